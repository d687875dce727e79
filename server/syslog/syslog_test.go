package syslog

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listen is a system's log.
func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func read(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	c.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestSend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := listen(t, path)
	at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.Local)
	l := open(t, Options{Facility: "ftp", Ident: "pure-ftpd", Socket: path})
	l.Send(Warning, at, "(?@::1) [WARNING] text")
	if got, want := read(t, c), "<92>Nov  2 03:04:05 pure-ftpd: (?@::1) [WARNING] text"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	l.Send(Debug, at, strings.Repeat("x", 100<<10))
	if got := read(t, c); len(got) > longest+100 {
		t.Errorf("a line has %d bytes", len(got))
	}
	l = open(t, Options{Facility: "local7", Ident: "x", PID: true, Socket: path})
	l.Send(Error, at, "text")
	l.Close() // writes it
	if got := read(t, c); !strings.HasPrefix(got, "<187>Nov  2 03:04:05 x[") || !strings.HasSuffix(got, "]: text") {
		t.Errorf("%q", got)
	}
	if l.Lost() != 0 {
		t.Errorf("%d were lost", l.Lost())
	}
}

// TestStartedAnew has the log end and begin again.
func TestStartedAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := listen(t, path)
	l := open(t, Options{Facility: "ftp", Ident: "x", Socket: path})
	l.Send(Info, time.Now(), "one")
	read(t, c)
	c.Close()
	os.Remove(path)
	c = listen(t, path)
	l.Send(Info, time.Now(), "two")
	if got := read(t, c); !strings.HasSuffix(got, ": two") {
		t.Errorf("%q", got)
	}
}

// TestNobodyThere writes to no log, and to one that does not read: nothing waits.
func TestNobodyThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const lines = 5 * queued
	for _, busy := range []bool{false, true} {
		if busy {
			listen(t, path)
		}
		l := open(t, Options{Facility: "ftp", Ident: "x", Socket: path})
		begun := time.Now()
		for range lines {
			l.Send(Info, time.Now(), "line")
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%d lines took %v", lines, took)
		}
		if busy && l.Lost() == 0 {
			t.Error("nothing was lost")
		}
	}
}

func TestFacilities(t *testing.T) {
	for _, name := range Facilities {
		if _, ok := facilities[name]; !ok {
			t.Errorf("%s has no number", name)
		}
	}
	if len(Facilities) != len(facilities) {
		t.Error("the manual has not all of them")
	}
	if _, err := New(Options{Facility: "none"}); err == nil {
		t.Error("none is one")
	}
}
