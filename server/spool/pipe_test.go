package spool

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// feed has a pipe fed from a spool until stop, or the test ends.
func (s *stage) feed(path string) (stop func()) {
	s.t.Helper()
	p, err := NewPipe(path, slog.New(slog.NewTextHandler(&s.log, nil)))
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := Read(s.spool, s.runner.Log)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, r) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the pipe ended with %v", err)
		}
		r.Close()
	}
	s.t.Cleanup(stop)
	return stop
}

// records reads from a pipe until it has as many.
func (s *stage) records(f *os.File, count int) []string {
	s.t.Helper()
	var text []byte
	for bytes.Count(text, []byte{0}) < count {
		buf := make([]byte, 64<<10)
		n, err := f.Read(buf)
		if err != nil {
			s.t.Fatalf("after %q: %v", text, err)
		}
		text = append(text, buf[:n]...)
	}
	return strings.SplitAfter(string(text), "\x00")[:count]
}

func (s *stage) openPipe(path string) *os.File {
	s.t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	return f
}

// Nobody is at the other end, somebody is, leaves, and another one comes; the
// feeder ends and is back: each upload comes through, in Pure-FTPd's form.
func TestPipe(t *testing.T) {
	s := newStage(t, "")
	path := filepath.Join(s.dir, "x.pipe")
	a := s.store("a b")
	stop := s.feed(path) // waits for nobody
	s.store("with\na line")
	f := s.openPipe(path)
	if got, want := s.records(f, 1)[0], "\x02al ice\x01"+a+"\x00"; got != want {
		t.Errorf("got %q, not %q", got, want)
	}
	s.until("what was read is done, and what cannot be told", s.done)
	if !s.said("cannot be told through a pipe") {
		t.Errorf("the log has\n%s", s.log.String())
	}
	f.Close()
	b := s.store("b")
	f = s.openPipe(path)
	if got := s.records(f, 1)[0]; !strings.Contains(got, b) {
		t.Errorf("got %q", got)
	}
	s.until("it is done", s.done)
	f.Close()
	c := s.store("c") // nobody reads it
	stop()
	if s.done() {
		t.Error("what nobody has read is done")
	}
	s.feed(path)
	f = s.openPipe(path)
	if got := s.records(f, 1)[0]; !strings.Contains(got, c) {
		t.Errorf("got %q", got)
	}
	s.until("all is done", s.done)
	if _, err := os.Stat(filepath.Join(s.dir, "x.lock")); err != nil {
		t.Errorf("pure-ftpd's lock: %v", err)
	}
}

// What is in the pipe and not read yet is not done: a machine that stops loses it.
func TestPipeUnread(t *testing.T) {
	s := newStage(t, "")
	path := filepath.Join(s.dir, "p")
	want := s.store("a")
	stop := s.feed(path)
	f := s.openPipe(path)
	s.until("it is in the pipe", func() bool { n, err := unread(int(f.Fd())); return err == nil && n > 0 })
	stop()
	if s.done() {
		t.Error("what is in the pipe is done")
	}
	if got := s.records(f, 1)[0]; !strings.Contains(got, want) {
		t.Errorf("got %q", got)
	}
}

// A user's name cannot begin a record.
func TestPipeUser(t *testing.T) {
	s := newStage(t, "")
	path := filepath.Join(s.dir, "p")
	s.j.Add(Upload{User: "\x02root\x01/etc/passwd", Path: "/x", Status: Complete})
	s.feed(path)
	if got, want := s.records(s.openPipe(path), 1)[0], "\x02_root_/etc/passwd\x01/x\x00"; got != want {
		t.Errorf("got %q, not %q", got, want)
	}
}

func TestPipeRefused(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(string) error{
		"file":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"link":   func(path string) error { return os.Symlink(filepath.Join(dir, "other"), path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"open": func(path string) error {
			if p, err := NewPipe(path, quiet); err != nil {
				return err
			} else {
				p.close()
			}
			return os.Chmod(path, 0o622)
		},
	} {
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := NewPipe(path, quiet); err == nil {
			t.Errorf("%s is taken for the pipe", name)
		}
	}
}
