//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"portreeve/userdb"
)

// quota asks the program what a user has.
func (d *site) quota(t testing.TB, user string) quota {
	t.Helper()
	var q quota
	out := d.must(t, "quota", "show", user, "--json")
	if err := json.Unmarshal([]byte(out), &q); err != nil {
		t.Fatalf("quota show --json: %v\n%s", err, out)
	}
	return q
}

// onDisk counts the users' home, as du would, without what the daemon hides.
func (d *site) onDisk(t testing.TB) (u userdb.Usage) {
	t.Helper()
	err := filepath.WalkDir(d.home, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.home || strings.HasPrefix(e.Name(), ".pureftpd-upload.") {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if u.Files++; info.Mode().IsRegular() {
			u.Bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestKill9Quota kills the daemon in the middle of uploads and deletions of a user
// with a quota. The next daemon counts the user's files and goes on from there, and
// one that ends well leaves figures that need no counting.
func TestKill9Quota(t *testing.T) {
	t.Parallel()
	for _, atomicUploads := range []string{"yes", "no"} {
		t.Run("NoTruncate "+atomicUploads, func(t *testing.T) {
			t.Parallel()
			d := startSite(t, "NoTruncate "+atomicUploads)
			d.must(t, "quota", "set", "alice", "--files", "60", "--bytes", "64M")
			r := rand.New(rand.NewPCG(9, 171))
			for round := range 3 {
				if round > 0 {
					d.start(t)
					d.counted(t)
				}
				d.churn(t, round, int64(20+r.IntN(60)), func() { d.cmd.Process.Kill() })
				<-d.exited
				if q := d.quota(t, "alice"); !q.Writing {
					t.Errorf("round %d: the daemon died, and the database does not know: %+v", round, q)
				}
			}
			d.start(t)
			d.counted(t)
			d.churn(t, 9, 50, func() { d.cmd.Process.Signal(syscall.SIGTERM) })
			<-d.exited
			q, disk := d.quota(t, "alice"), d.onDisk(t)
			if q.Used != disk || q.Writing || !q.Counted {
				t.Errorf("after a good end the database has %+v, the disk %+v", q, disk)
			}
			if disk.Files > 60 || disk.Bytes > 64<<20 {
				t.Errorf("there is more than is allowed: %+v", disk)
			}
		})
	}
}

// counted waits until the daemon has counted, and compares.
func (d *site) counted(t *testing.T) {
	t.Helper()
	eventually(t, "the files are counted", func() bool { return !d.quota(t, "alice").Writing })
	if q, disk := d.quota(t, "alice"), d.onDisk(t); q.Used != disk || !q.Counted {
		t.Errorf("after a count the database has %+v, the disk %+v", q, disk)
	}
	eventually(t, "the log tells of the count", func() bool { // after the database has it
		log := d.log.String()
		return strings.Contains(log, "did not end well") && strings.Contains(log, `msg="counted again" user=alice done=1 of=1`)
	})
}

// churn has clients store and delete, until so many changes are acknowledged, and
// then ends the daemon under them.
func (d *site) churn(t *testing.T, round int, most int64, end func()) {
	t.Helper()
	var (
		wait    sync.WaitGroup
		changes atomic.Int64
	)
	for w := range 10 {
		wait.Go(func() {
			c, err := loginFTP(d.port4, "alice")
			if err != nil {
				return // ended before
			}
			defer c.Close()
			r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
			for {
				name := fmt.Sprint("f", r.IntN(80))
				if r.IntN(3) == 0 {
					if c.PrintfLine("DELE %s", name) != nil {
						return
					}
					if _, _, err = c.ReadResponse(0); err != nil {
						return
					}
				} else if err := c.store(name, bytes.NewReader(make([]byte, r.IntN(3<<20)))); err != nil {
					if c.PrintfLine("NOOP") != nil {
						return
					}
					if _, _, err := c.ReadResponse(200); err != nil {
						return
					}
				}
				if changes.Add(1) == most {
					end()
				}
			}
		})
	}
	wait.Wait()
	if changes.Load() < most {
		t.Errorf("round %d: only %d changes, not %d", round, changes.Load(), most)
		end()
	}
}

// The commands that show, set and count quotas, with a daemon that runs: what is
// set holds for the next login, and what is counted reaches a user who is logged in.
func TestQuotaCommands(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	writeFile(t, d.path("old"), make([]byte, 3<<20))
	os.Chown(d.path("old"), d.uid, -1)
	d.must(t, "quota", "set", "alice", "--bytes", "4M")
	c := dialFTP(t, d, "alice")
	if err := c.store("f", bytes.NewReader(make([]byte, 2<<20))); err == nil || !strings.HasPrefix(err.Error(), "552") {
		t.Errorf("more than the quota: %v", err)
	}
	// Somebody else makes room, which the daemon cannot know.
	if err := os.Remove(d.path("old")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon has nothing to tell", func() bool { return !d.quota(t, "alice").Writing })
	out := d.must(t, "quota", "recount", "alice")
	if !strings.Contains(out, "user alice has 0 files with 0 bytes; known were 1 with 3.0 MiB") {
		t.Errorf("recount says %q", out)
	}
	if err := c.store("g", bytes.NewReader(make([]byte, 2<<20))); err != nil {
		t.Errorf("after a recount: %v", err)
	}
	eventually(t, "the database has it", func() bool {
		return d.quota(t, "alice").Used == userdb.Usage{Files: 1, Bytes: 2 << 20}
	})
	if out := d.must(t, "quota", "report"); !strings.Contains(out, "alice  50 %      1  unlimited  2.0 MiB  4.0 MiB\n") {
		t.Errorf("the report is\n%s", out)
	}
}

// TestQuotaCosts looks at the system calls of the daemon: an upload of a user
// without a quota takes none for the sake of quotas, and one of a user with one
// looks no file up either, whatever it takes to note it all now and then.
func TestQuotaCosts(t *testing.T) {
	t.Parallel()
	needs(t, "strace")
	const files = 200
	trace := filepath.Join(t.TempDir(), "trace")
	d := newSite(t, nil, "HistoryDays 0") // which is written each second
	d.addUser(t, "bob")
	d.must(t, "quota", "set", "bob", "--files", "1000", "--bytes", "100M")
	d.wrap = []string{"strace", "-D", "-f", "-q", "-o", trace, "-e", "trace=statx,newfstatat,fstat,rename,renameat,renameat2,flock,fdatasync", "-e", "signal=none"}
	d.start(t)
	calls := make(map[string]map[string]int)
	for _, user := range []string{"alice", "bob"} {
		c := dialFTP(t, d, user)
		if err := c.store("first", strings.NewReader("x")); err != nil { // of a burst, and its mark
			t.Fatal(err)
		}
		eventually(t, "the login is noted", func() bool { // beside the session, and once
			return strings.Contains(d.must(t, "pw", "show", user), "127.0.0.1")
		})
		before := count(t, trace)
		for i := range files {
			if err := c.store(fmt.Sprint(user, i), strings.NewReader("content")); err != nil {
				t.Fatal(err)
			}
		}
		calls[user] = count(t, trace)
		for call, n := range before {
			calls[user][call] -= n
		}
		c.Close()
	}
	d.signal(t, syscall.SIGTERM)
	d.ended(t)
	t.Logf("without a quota %v, with one %v, of %d files", calls["alice"], calls["bob"], files)
	if n := calls["alice"]["fdatasync"]; n != 0 {
		t.Errorf("without a quota the database was written %d times", n)
	}
	more := calls["bob"]["statx"] + calls["bob"]["newfstatat"] + calls["bob"]["fstat"] -
		calls["alice"]["statx"] - calls["alice"]["newfstatat"] - calls["alice"]["fstat"]
	if more > files/4 {
		t.Errorf("%d files took %d looks more with a quota than without", files, more)
	}
}

// count counts the calls in a trace, as far as it is written.
func count(t *testing.T, trace string) map[string]int {
	t.Helper()
	calls := make(map[string]int)
	for line := range strings.Lines(string(readFile(t, trace))) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if call, _, ok := strings.Cut(strings.TrimSpace(rest), "("); ok && !strings.HasPrefix(call, "<") {
			calls[call]++
		}
	}
	return calls
}
