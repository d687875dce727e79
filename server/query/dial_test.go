package query

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestDialAway waits for a program that is not there, once for all.
func TestDialAway(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	synctest.Test(t, func(t *testing.T) {
		d := NewDialer(socket)
		for i, tt := range []struct{ least, most, pause time.Duration }{
			{time.Second, 2 * time.Second, 0}, {0, 0, 0}, {0, 0, downTime + 1}, {time.Second, 2 * time.Second, 0},
		} {
			at := time.Now()
			if _, err := d.Dial(t.Context()); err == nil {
				t.Fatal("nobody answers")
			}
			if took := time.Since(at); took < tt.least || took > tt.most {
				t.Errorf("dial %d took %v", i, took)
			}
			<-time.After(tt.pause)
		}
		<-time.After(downTime + 1)
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
		defer cancel()
		if _, err := d.Dial(ctx); !errors.Is(err, enough) {
			t.Errorf("whoever has no time left: %v", err)
		}
	})
}

// TestDialComesBack waits for one that is about to be there.
func TestDialComesBack(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	d := NewDialer(socket)
	done := make(chan error)
	go func() {
		conn, err := d.Dial(context.Background())
		if err == nil {
			conn.Close()
		}
		done <- err
	}()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
