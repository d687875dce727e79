package spool

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A stage is a spool with a runner.
type stage struct {
	t      *testing.T
	dir    string // without links
	spool  string
	j      *Journal
	runner Runner
	log    safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newStage(t *testing.T, script string) *stage {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, dir: dir, spool: filepath.Join(dir, "spool")}
	s.j = open(t, s.spool)
	s.runner = Runner{Program: s.script(script), AtOnce: 1, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	return s
}

// script writes a program that gets the folder as $D.
func (s *stage) script(text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nD="+s.dir+"\n"+text+"\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// store makes a file and notes it.
func (s *stage) store(name string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "home", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("12345"), 0o640); err != nil {
		s.t.Fatal(err)
	}
	s.j.Add(Upload{Time: time.Now(), User: "al ice", Path: path, Status: Complete})
	return path
}

// run runs until stop, or the end of the test.
func (s *stage) run() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	r, err := Read(s.spool, s.runner.Log)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() { ended <- s.runner.Run(ctx, r) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				s.t.Errorf("the runner ended with %v", err)
			}
			r.Close()
		})
	}
	s.t.Cleanup(stop)
	return stop
}

func (s *stage) until(what string, cond func() bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			s.t.Fatalf("not in time: %s; the log has\n%s", what, s.log.String())
		}
	}
}

func (s *stage) done() bool { return s.j.State().Waiting == 0 }

func (s *stage) said(words string) bool { return strings.Contains(s.log.String(), words) }

func (s *stage) text(name string) string {
	text, _ := os.ReadFile(filepath.Join(s.dir, name))
	return string(text)
}

// The program gets the path as it is, and what Pure-FTPd's tells beside it.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	s := newStage(t, `printf '%s\0' "$#" "$1" "$PWD" >>$D/told
env -0 | grep -z ^UPLOAD_ | sort -z >>$D/told`)
	info, err := os.Stat(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	uid, gid := fmt.Sprint(os.Getuid()), fmt.Sprint(st.Gid)
	owner, group := uid, gid
	if u, err := user.LookupId(uid); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		group = g.Name
	}
	var want strings.Builder
	s.runner.Limit = time.Minute
	for _, name := range hostile {
		if len(name) < 255 && !strings.HasSuffix(name, "/") {
			path := s.store(strings.ReplaceAll(strings.TrimPrefix(name, "/"), "/", "_"))
			for _, field := range []string{"1", path, "/", "UPLOAD_GID=" + gid, "UPLOAD_GROUP=" + group, "UPLOAD_PERMS=640", "UPLOAD_SIZE=5",
				"UPLOAD_STATUS=complete", "UPLOAD_UID=" + uid, "UPLOAD_USER=" + owner, "UPLOAD_VUSER=al ice"} {
				want.WriteString(field + "\x00")
			}
		}
	}
	s.run()
	s.until("all are told", s.done)
	if got := s.text("told"); got != want.String() {
		t.Errorf("got\n%q\nnot\n%q", got, want.String())
	}
	if _, err := os.Stat("/x"); err == nil {
		t.Error("a name was run")
	}
}

// A program that fails was told.
func TestFails(t *testing.T) {
	t.Parallel()
	s := newStage(t, `echo x >>$D/told; exit 3`)
	s.store("a")
	s.store("b")
	s.run()
	s.until("both are told", s.done)
	if got := s.text("told"); got != "x\nx\n" || strings.Count(s.log.String(), "the program failed") != 2 {
		t.Errorf("told %q; the log has\n%s", got, s.log.String())
	}
}

// One that a signal ends is told of no other way, if we are not ended too.
func TestSignaled(t *testing.T) {
	t.Parallel()
	s := newStage(t, `echo x >>$D/told; kill -TERM $$`)
	s.store("a")
	s.run()
	s.until("it is told", s.done)
	if got := s.text("told"); got != "x\n" || !s.said("the program was ended") {
		t.Errorf("told %q; the log has\n%s", got, s.log.String())
	}
}

// And if we are, as when a service is stopped whole, it is told again.
func TestEndedTogether(t *testing.T) {
	t.Parallel()
	s := newStage(t, `echo $$ >>$D/told; exec sleep 600`)
	s.store("a")
	stop := s.run()
	s.until("it runs", func() bool { return strings.HasSuffix(s.text("told"), "\n") })
	pid, err := strconv.Atoi(strings.TrimSpace(s.text("told")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	stop()
	if s.done() {
		t.Error("it is taken for done")
	}
	s.script(`echo again >>$D/told`)
	s.run()
	s.until("it is told again", s.done)
	if got := s.text("told"); !strings.HasSuffix(got, "\nagain\n") {
		t.Errorf("told %q", got)
	}
}

// What was cut off, when all ended before the program did, is not done.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := newStage(t, `echo x >>$D/told`)
	hard, kill := context.WithCancel(context.Background())
	kill()
	if s.runner.settle(hard, hard, Upload{User: "al ice", Path: s.store("a"), Status: Complete}) {
		t.Errorf("it is taken for done; the log has\n%s", s.log.String())
	}
}

// A program that is not there, or cannot run, costs nothing but time.
func TestAbsent(t *testing.T) {
	t.Parallel()
	s := newStage(t, `echo "$1" >>$D/told`)
	away := s.runner.Program + ".away"
	if err := os.Rename(s.runner.Program, away); err != nil {
		t.Fatal(err)
	}
	path := s.store("a")
	s.run()
	s.until("it is missed", func() bool { return s.said("cannot be run") })
	if s.done() {
		t.Error("it is taken for done")
	}
	if err := os.Rename(away, s.runner.Program); err != nil {
		t.Fatal(err)
	}
	s.until("it is told", s.done)
	if got := s.text("told"); got != path+"\n" {
		t.Errorf("told %q", got)
	}
}

// One that hangs ends at its limit, with what it began, and the next one has its
// turn.
func TestHangs(t *testing.T) {
	t.Parallel()
	s := newStage(t, `case "$1" in */hangs) sleep 600 & echo $! >$D/child.new; mv $D/child.new $D/child; wait;; *) echo "$1" >>$D/told;; esac`)
	s.runner.Limit = 300 * time.Millisecond
	s.store("hangs")
	path := s.store("next")
	s.run()
	s.until("both are done", s.done)
	if got := s.text("told"); got != path+"\n" || !s.said("longer than it may") {
		t.Errorf("told %q; the log has\n%s", got, s.log.String())
	}
	pid, err := strconv.Atoi(strings.TrimSpace(s.text("child")))
	if err != nil {
		t.Fatal(err)
	}
	s.until("its child has ended", func() bool { return ended(pid) })
}

// ended tells whether a process runs no more; nobody may have waited for it.
func ended(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// As many as may run at a time, and what was begun after one that hangs is not
// forgotten with it.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, `mkdir $D/$(basename "$1"); until [ -d $D/a -a -d $D/b ]; do :; done`)
	s.runner.AtOnce = 2
	s.store("a")
	s.store("b")
	s.run()
	s.until("both have met", s.done)
}

// A path that leads elsewhere by now is nobody's upload.
func TestReplaced(t *testing.T) {
	t.Parallel()
	s := newStage(t, `echo "$1" >>$D/told`)
	for _, name := range []string{"gone", "link", "folder", "sub/behind"} {
		path := s.store(name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "link":
			if err := os.Symlink(s.runner.Program, path); err != nil {
				t.Fatal(err)
			}
		case "folder":
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		case "sub/behind":
			if err := os.WriteFile(filepath.Join(s.dir, "behind"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(s.dir, filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := s.store("stays")
	s.run()
	s.until("all are done", s.done)
	if got := s.text("told"); got != path+"\n" {
		t.Errorf("told %q", got)
	}
}
