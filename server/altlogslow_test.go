package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/logparse"
)

// odd has a rig write a log to what is no file on a disk, and returns the log.
func (r *rig) odd(to *os.File) *altLog {
	r.t.Helper()
	format, _ := logparse.Find("json")
	l := newAltLog("json:"+to.Name(), to.Name(), format, r.srv.Log)
	l.file = to
	r.srv.altLogs.use([]*altLog{l})
	r.t.Cleanup(r.srv.CloseAltLogs)
	return l
}

// TestAltLogFull moves files while the log's disk is full: each is there, each
// line is counted as lost, and the daemon's log says so, but not each time.
func TestAltLogFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		l := r.odd(full)
		c := r.login()
		const files = 200
		for i := range files {
			if code := c.stor("12345", "STOR f%d", i); code != 226 {
				t.Fatalf("file %d is %d", i, code)
			}
		}
		synctest.Wait()
		for i := range files {
			if got := r.get(fmt.Sprint("f", i)); got != "12345" {
				t.Errorf("file %d is %q", i, got)
			}
		}
		if n, told := l.lost.Load(), r.srv.LostEntries()["AltLog json:/dev/full"]; n != files+2 || n != told { // with Connect and Login
			t.Errorf("%d were lost, %d are told", n, told)
		}
		if n := strings.Count(r.logs.String(), "no space left on device"); n != 1 {
			t.Errorf("the log has it %d times", n)
		}
	})
}

// TestAltLogSlow writes to a pipe that nobody reads: nobody waits for it, and when
// it is read at last, every line that there was room for is in it.
func TestAltLogSlow(t *testing.T) {
	r := newRig(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	for err == nil { // until it is full
		_, err = io.WriteString(in, strings.Repeat("\n", 1<<10))
	}
	in.SetWriteDeadline(time.Time{})
	l := r.odd(in)
	l.path = toStderr           // which is not looked for at a path, nor closed
	for range altLogQueue + 2 { // and one that is being written
		l.note(&logparse.Entry{Path: "/x"})
	}
	c := r.login()
	for i := range 50 {
		if code := c.stor("12345", "STOR f%d", i); code != 226 {
			t.Fatalf("file %d is %d", i, code)
		}
	}
	c.cmd(221, "QUIT")
	<-c.done
	if n := l.lost.Load(); n < 52 {
		t.Errorf("%d were lost", n)
	}
	if n := strings.Count(r.logs.String(), errTooSlow.Error()); n != 1 {
		t.Errorf("the log has it %d times", n)
	}
	read := make(chan string)
	go func() {
		all, _ := io.ReadAll(out)
		read <- string(all)
	}()
	r.srv.CloseAltLogs() // writes what waits
	in.Close()
	text := strings.TrimLeft(<-read, "\n")
	if n := strings.Count(text, "\n"); n < altLogQueue || !strings.HasSuffix(text, "}\n") {
		t.Errorf("%d lines came, the last %q", n, text[max(0, len(text)-100):])
	}
	if !strings.Contains(r.logs.String(), "entries are missing in a log") {
		t.Error("nobody was told how many are missing")
	}
}

// TestAltLogStderr has two names for one place, and one format for it.
func TestAltLogStderr(t *testing.T) {
	var cfg Config
	value := altLogs(&cfg.AltLog)
	if err := value.Set("json:-"); err != nil || value.String() != "json:stderr" {
		t.Errorf("it is %q, %v", value.String(), err)
	}
	r := newRig(t)
	if _, err := r.srv.UseAltLogs([]string{"json:stderr", "clf:stderr"}); err == nil {
		t.Error("two formats are mixed")
	}
	if value.Set("json:stdout") == nil {
		t.Error("any word is a path")
	}
	l, err := openAltLog("json:stderr", slog.New(slog.DiscardHandler))
	if err != nil || l.file != os.Stderr {
		t.Fatalf("it is %v, %v", l.file, err)
	}
	l.discard()
	if _, err := os.Stderr.Stat(); err != nil {
		t.Errorf("standard error was closed: %v", err)
	}
}
