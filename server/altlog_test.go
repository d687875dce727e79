package server

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/logparse"
)

// keep has a rig write logs of transfers, and returns what reads one.
func (r *rig) keep(specs ...string) (read func(format string) []logparse.Entry) {
	r.t.Helper()
	dir := r.t.TempDir()
	for i, name := range specs {
		specs[i] = name + ":" + filepath.Join(dir, name)
	}
	use, err := r.srv.UseAltLogs(specs)
	if err != nil {
		r.t.Fatal(err)
	}
	use()
	r.t.Cleanup(r.srv.CloseAltLogs)
	return func(name string) (all []logparse.Entry) {
		r.t.Helper()
		synctest.Wait() // the logs are at rest
		return readLog(r.t, name, filepath.Join(dir, name))
	}
}

func readLog(t testing.TB, name, path string) (all []logparse.Entry) {
	t.Helper()
	format, _ := logparse.Find(name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		e, err := format.Parse(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, line)
		}
		all = append(all, e)
	}
	return all
}

// TestAltLog moves files and reads about it in every format.
func TestAltLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.AutoRename = true })
		read := r.keep(logparse.Names()...)
		if err := os.MkdirAll(filepath.Join(r.home, "sub/real"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/sub/real", filepath.Join(r.home, "link")); err != nil { // of the root, not of the host
			t.Fatal(err)
		}
		c := r.login()
		c.stor("12345", "STOR link/a b")
		c.stor("", "STOR link/a b")
		c.retr("RETR link/a b")
		c.retr("NLST")
		c.cmd(550, "RETR nothing")
		conn := c.passive()
		c.say("STOR cut")
		c.want(150)
		_, _ = io.WriteString(conn, "123")
		c.say("ABOR")
		c.want(426)
		c.want(226)
		root, err := filepath.EvalSymlinks(r.home)
		if err != nil {
			t.Fatal(err)
		}
		want := []struct {
			path      string
			bytes     int64
			direction logparse.Direction
			status    logparse.Status
		}{
			{"/sub/real/a b", 5, logparse.Upload, logparse.Whole},
			{"/sub/real/a b.1", 0, logparse.Upload, logparse.Whole},
			{"/sub/real/a b", 5, logparse.Download, logparse.Whole},
			{"/cut", 3, logparse.Upload, logparse.Cut},
		}
		for _, name := range logparse.Names() {
			got := slices.DeleteFunc(read(name), func(e logparse.Entry) bool { // of the rest see TestEntries
				return e.Event != logparse.Transfer || e.Status == logparse.Failed || strings.HasSuffix(e.Path, "/nothing")
			})
			if len(got) != len(want) {
				t.Fatalf("%s: %+v", name, got)
			}
			for i, w := range want {
				e, path := got[i], root+w.path
				if strings.HasPrefix(name, "xferlog") && name != "xferlog-glftpd" {
					path = strings.ReplaceAll(path, " ", "_")
				}
				f, _ := logparse.Find(name)
				silent := f.Says&logparse.SaysStatus == 0 || name == "syslog" && w.status == logparse.Whole // on how it ended
				if e.Path != path || e.Bytes != w.bytes || e.Direction != w.direction || e.Status != w.status && !(silent && e.Status == logparse.Unknown) ||
					e.User != "alice" || e.Host != clientAddr.Addr().String() || !e.Time.Truncate(time.Second).Equal(time.Now().Truncate(time.Second)) {
					t.Errorf("%s has %+v, not %+v", name, e, w)
				}
			}
		}
	})
}

// TestAltLogMoves moves files away under the server, and changes the directive.
func TestAltLogMoves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		path := filepath.Join(t.TempDir(), "log")
		other := path + ".xferlog"
		follow := func(specs ...string) {
			t.Helper()
			use, err := r.srv.UseAltLogs(specs)
			if err != nil {
				t.Fatal(err)
			}
			use()
		}
		follow("w3c:" + path)
		c := r.login()
		put := func(name string) {
			t.Helper()
			c.stor("x", "STOR %s", name)
			synctest.Wait()
			time.Sleep(altLogLook) // passes at once
		}
		put("one")
		os.Rename(path, path+".1")
		put("two")
		follow("w3c:"+path, "xferlog:"+other)
		put("three")
		follow("xferlog:" + other)
		put("four")
		follow()
		put("five")
		for file, want := range map[string]int{path + ".1": 1, path: 2} {
			if got := len(readLog(t, "w3c", file)); got != want {
				t.Errorf("%s has %d lines, not %d", file, got, want)
			}
			if text, _ := os.ReadFile(file); !strings.HasPrefix(string(text), "#Software") || strings.Count(string(text), "#Fields") != 1 {
				t.Errorf("%s has not one header:\n%s", file, text)
			}
		}
		if got := len(readLog(t, "xferlog", other)); got != 2 {
			t.Errorf("the other has %d lines", got)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the log is %v, %v", info.Mode(), err)
		}
	})
}

// TestAltLogTorn opens a log whose last line was not written to its end: what comes
// then has lines of its own. It is so, too, where the server may not read the log.
func TestAltLogTorn(t *testing.T) {
	format, _ := logparse.Find("clf")
	path := filepath.Join(t.TempDir(), "log")
	for text, want := range map[string]int{"": 1, "whole\n": 2, "torn": 2} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newAltLog("clf:"+path, path, format, slog.New(slog.DiscardHandler))
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		l.write(&logparse.Entry{Path: "/x", Direction: logparse.Upload})
		l.write(&logparse.Entry{Event: logparse.Message, Text: "which this format has no line for"})
		l.close()
		got, _ := os.ReadFile(path)
		lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
		if len(lines) != want || !strings.HasPrefix(string(got), text) || !strings.Contains(lines[want-1], `"PUT /x"`) {
			t.Errorf("behind %q there is %q", text, got)
		}
	}
}

// TestAltLogRefused names what cannot be a log: nothing changes then.
func TestAltLogRefused(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for _, specs := range [][]string{{"clf:" + dir}, {"clf:" + link}, {"clf:/nowhere/log"}, {"clf:" + dir + "/a", "stats:" + dir + "/a"}, {"clf:/dev/null"}} {
		if _, err := r.srv.UseAltLogs(specs); err == nil {
			t.Errorf("%v is taken", specs)
		}
	}
	if logs := r.srv.altLogs.all(); len(logs) != 0 {
		t.Errorf("%d logs are in force", len(logs))
	}
}

// TestAltLogLoses fills the queue of a log whose disk does not answer, and a disk.
func TestAltLogLoses(t *testing.T) {
	dir := t.TempDir()
	stuck, err := openAltLog("clf:"+filepath.Join(dir, "log"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range altLogQueue + 7 { // nobody writes
		stuck.note(&logparse.Entry{Path: "/x"})
	}
	if n := stuck.lost.Load(); n != 7 {
		t.Errorf("%d were lost", n)
	}
	r := newRig(t)
	r.srv.altLogs.now.Store(&[]*altLog{stuck})
	if got := r.srv.LostEntries(); len(got) != 1 {
		t.Errorf("told is %v", got)
	}
	r.srv.altLogs.now.Store(nil)
	stuck.file.Close() // every write fails
	stuck.looked = time.Now().Add(time.Hour)
	stuck.write(&logparse.Entry{Path: "/x"})
	if n := stuck.lost.Load(); n != 8 {
		t.Errorf("%d were lost", n)
	}
}
