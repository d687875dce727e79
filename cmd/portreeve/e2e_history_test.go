//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/server/history"
)

// TestHistory asks a running daemon's history who touched a file, what a user did,
// and who moved most; then it is killed, and still all of it is there.
func TestHistory(t *testing.T) {
	d := newSite(t, nil)
	file := filepath.Join(d.dir, "elsewhere", "h.db")
	d.configure(t, "HistoryFile "+file, "HistorySize 1G", "HistoryDays 30", "LoginDelay 0")
	d.addUser(t, "bob")
	d.start(t)
	alice, bob := dialFTP(t, d, "alice"), dialFTP(t, d, "bob")
	for _, err := range []error{
		alice.store("shared.txt", strings.NewReader("12345")),
		alice.store("other.txt", strings.NewReader("1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bob.cmd(250, "DELE shared.txt"); err != nil {
		t.Fatal(err)
	}
	host := d.path("shared.txt")
	ask := func(args ...string) string {
		t.Helper()
		return d.must(t, append([]string{"history", "--config", d.conf}, args...)...)
	}
	eventually(t, "the history has what was done", func() bool {
		out, err := d.run(t, "", "history", "--config", d.conf, "--path", host)
		return err == nil && strings.Contains(out, "bob")
	})
	if got := ask("--path", host); !strings.Contains(got, "alice") || strings.Contains(got, "other.txt") {
		t.Errorf("who touched the file is\n%s", got)
	}
	if got := ask("--user", "alice", "--event", "transfer", "--json"); strings.Count(got, "\n") != 2 {
		t.Errorf("alice's transfers are\n%s", got)
	}
	if got := ask("--addr", "127.0.0.1", "--event", "delete", "--json"); strings.Count(got, "\n") != 1 {
		t.Errorf("what was deleted from here is\n%s", got)
	}
	if got := ask("--user", "alice", "--until", "yesterday"); got != "" {
		t.Errorf("of yesterday it has\n%s", got)
	}
	if got := ask("top", "--json"); !strings.Contains(got, `{"user":"alice","uploads":2,"downloads":0,"incomplete":0,"deletes":0,"bytes_in":6,"bytes_out":0}`) {
		t.Errorf("top is\n%s", got)
	}
	if got := ask("status"); !strings.Contains(got, file) {
		t.Errorf("status is\n%s", got)
	}
	if got := d.must(t, "stats", "--from-history", "--config", d.conf, "--by", "user"); !strings.Contains(got, "2 up, 0 down; 1 deleted") {
		t.Errorf("statistics are\n%s", got)
	}

	// What is older than a second outlives a kill.
	before := ask("--last", "0", "--json")
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.exited
	if after := ask("--last", "0", "--json"); !strings.HasPrefix(after, strings.TrimSuffix(before, "\n")) {
		t.Errorf("after a kill it has\n%s and before\n%s", after, before)
	}

	// Nothing is remembered where it is switched off.
	d.configure(t, "HistoryFile "+file, "HistoryDays 0")
	d.start(t)
	if err := dialFTP(t, d, "alice").store("late.txt", strings.NewReader("1")); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.ended(t)
	if got := ask("--path", d.path("late.txt")); got != "" {
		t.Errorf("switched off it remembers\n%s", got)
	}
}

// TestHistoryIsReadWhileWritten asks again and again beside sessions that store.
func TestHistoryIsReadWhileWritten(t *testing.T) {
	const sessions, each = 3, 100
	d := startSite(t)
	var group sync.WaitGroup
	for i := range sessions {
		c := dialFTP(t, d, "alice")
		group.Go(func() {
			for n := range each {
				if err := c.store(fmt.Sprintf("f%d-%d", i, n), strings.NewReader("1")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	stored := make(chan struct{})
	go func() {
		group.Wait()
		close(stored)
	}()
	asked := 0
	for writing := true; writing || asked == 0; { // and not only once all is over
		select {
		case <-stored:
			writing = false
		default:
		}
		if out, err := d.run(t, "", "history", "--config", d.conf, "--last", "5"); err == nil {
			asked++
		} else if !strings.Contains(out, "no history yet") {
			t.Fatalf("asking beside the sessions: %v\n%s", err, out)
		}
	}
	eventually(t, "all is in the history", func() bool {
		out, err := d.run(t, "", "history", "--config", d.conf, "--last", "0", "--event", "transfer", "--json")
		return err == nil && strings.Count(out, "\n") == sessions*each
	})
}

// TestHistoryOutlivesKills kills a daemon again and again while sessions store as fast
// as they can, at any moment of writing: what was acknowledged a while before is there
// once, and nothing is there twice or in part.
func TestHistoryOutlivesKills(t *testing.T) {
	const (
		kills    = 4
		sessions = 3
		least    = 2500 * time.Millisecond // a batch is written each second, and takes some of one
	)
	d := newSite(t, nil)
	d.configure(t, "LoginDelay 0")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	known := make(map[string]bool) // what outlived the kills before
	var lock sync.Mutex
	for kill := range kills {
		stored := make(map[string]time.Time) // by path, when it was acknowledged
		d.start(t)
		over := time.AfterFunc(least+time.Second/4+time.Duration(r.Int64N(int64(1500*time.Millisecond))), func() { _ = d.cmd.Process.Signal(syscall.SIGKILL) })
		var group sync.WaitGroup
		for session := range sessions {
			c := dialFTP(t, d, "alice")
			group.Go(func() {
				for n := 0; ; n++ {
					name := fmt.Sprintf("k%d-%d-%d", kill, session, n)
					if c.store(name, strings.NewReader("1")) != nil {
						return // killed
					}
					lock.Lock()
					stored[d.path(name)] = time.Now()
					lock.Unlock()
				}
			})
		}
		group.Wait()
		<-d.exited
		over.Stop()
		killed := time.Now()
		times := make(map[string]int)
		for line := range strings.Lines(d.must(t, "history", "--config", d.conf, "--last", "0", "--event", "transfer", "--json")) {
			var e struct {
				Path  string
				Bytes int64
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Path == "" {
				t.Fatalf("after kill %d it has %q: %v", kill+1, line, err)
			}
			times[e.Path]++
		}
		settled := 0
		for path, at := range stored {
			if killed.Sub(at) > least {
				known[path] = true
				settled++
			}
		}
		missing := 0
		for path := range known {
			if times[path] == 0 {
				missing++
			}
		}
		for path, n := range times {
			if known[path] = true; n > 1 {
				t.Errorf("after kill %d it has %s %d times", kill+1, path, n)
			}
		}
		t.Logf("kill %d: %d were stored, %d of them long before; %d are known in all", kill+1, len(stored), settled, len(times))
		if missing > 0 {
			t.Errorf("after kill %d nothing is known of %d that it has to know", kill+1, missing)
		}
	}
}

// TestHistoryCommands has no daemon, and sums up, exports and removes what is there.
func TestHistoryCommands(t *testing.T) {
	d := newSite(t, nil)
	file := filepath.Join(d.dir, "h.db")
	now := time.Now().Add(-time.Minute)
	db := history.At(file)
	entries := []logparse.Entry{
		{Time: now.AddDate(0, 0, -20), User: "ann", Host: "192.0.2.1", Path: "/old", Bytes: 3, Direction: logparse.Upload, Status: logparse.Whole},
		{Time: now, User: "ann", Host: "192.0.2.1", Path: "/a\x1b", Bytes: 50, Direction: logparse.Upload, Status: logparse.Whole},
		{Time: now, User: "bob", Host: "192.0.2.2", Path: "/b", Bytes: 7, Direction: logparse.Download, Status: logparse.Whole},
	}
	if err := db.Write(entries); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) string {
		t.Helper()
		return d.must(t, append([]string{"history", "--file", file}, args...)...)
	}
	sub := func(name string, args ...string) string {
		t.Helper()
		return d.must(t, append([]string{"history", name, "--file", file}, args...)...)
	}
	if got := sub("top", "--by", "path"); !strings.Contains(got, "PATH") || strings.Index(got, `/a\x1b`) > strings.Index(got, "/b") || strings.Contains(got, "\x1b") {
		t.Errorf("top paths are\n%s", got)
	}
	if got := sub("top", "--by", "addr", "--since", "7d", "--json", "--top", "1"); !strings.Contains(got, `"addr":"192.0.2.1"`) || !strings.Contains(got, `"bytes_in":50`) || strings.Count(got, "\n") != 1 {
		t.Errorf("top addresses are\n%s", got)
	}
	if got := sub("export", "--to", "xferlog"); strings.Count(got, " ftp 0 * c\n") != 3 || !strings.Contains(got, " /b ") {
		t.Errorf("as xferlog it is\n%s", got)
	}
	out := filepath.Join(d.dir, "out.json")
	sub("export", "--to", "json", "--user", "bob", "-o", out)
	if text, err := os.ReadFile(out); err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("the file is %q, %v", text, err)
	}
	if said, err := d.run(t, "", "history", "prune", "--file", file); err == nil || !strings.Contains(said, "nothing says what") {
		t.Errorf("without a choice prune says %q, %v", said, err)
	}
	if said, err := d.run(t, "", "history", "prune", "--file", file, "--user", "bob"); err == nil || !strings.Contains(said, "no terminal") {
		t.Errorf("without a terminal prune says %q, %v", said, err)
	}
	if got := sub("prune", "--before", "10d", "--dry-run", "--json"); got != `{"entries":1,"removed":false}`+"\n" {
		var same struct{ Entries int }
		if json.Unmarshal([]byte(got), &same) != nil || same.Entries != 1 {
			t.Errorf("what would be removed is %q", got)
		}
	}
	if got := sub("prune", "--before", "10d", "--yes"); !strings.Contains(got, "1 entry") {
		t.Errorf("prune says %q", got)
	}
	sub("prune", "--path", "/b*", "--user", "ann", "--yes")
	if got := ask("--json"); strings.Count(got, "\n") != 2 || strings.Contains(got, "/old") {
		t.Errorf("what is left is\n%s", got)
	}
	sub("prune", "--user", "ann", "--yes")
	if got := ask("--json"); strings.Count(got, "\n") != 1 || strings.Contains(got, "ann") {
		t.Errorf("without ann there is\n%s", got)
	}
	if got := sub("top"); strings.Contains(got, "ann") || !strings.Contains(got, "bob") {
		t.Errorf("without ann top is\n%s", got)
	}
}
