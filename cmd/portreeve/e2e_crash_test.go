//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	crashes      = 4  // kills of the daemon
	crashUploads = 50 // files sent, and
	crashChanges = 50 // users changed, before each
)

// TestKill9 kills the daemon, and some of the processes that change users,
// again and again in the middle of uploads and changes. What was acknowledged
// must be there, what was not is there wholly or not at all, and the database
// opens.
func TestKill9(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	r := rand.New(rand.NewPCG(9, 9))
	for i := range crashChanges {
		d.addUser(t, crashUser(i), "-c", "round -1")
	}
	for i := range crashUploads / 2 { // the others are new
		writeFile(t, d.path(crashFile(i)), crashContent(i, -1))
		os.Chown(d.path(crashFile(i)), d.uid, -1)
	}
	// What may be there now, by file and by user: the newest acknowledged, and
	// any begun since.
	files, users := make([][]int, crashUploads), make([][]int, crashChanges)
	for i := range files {
		files[i] = []int{-1}
	}
	for i := range users {
		users[i] = []int{-1}
	}
	for round := range crashes {
		if round > 0 {
			d.start(t)
		}
		killAt := int64(1 + r.IntN(crashUploads-1))
		var acks atomic.Int64
		var wait sync.WaitGroup
		d.crashUploads(&wait, round, files, func() {
			if acks.Add(1) == killAt {
				d.cmd.Process.Kill()
			}
		})
		d.crashChanges(t, &wait, round, users, r)
		wait.Wait()
		d.cmd.Process.Kill()
		<-d.exited
		d.checkFiles(t, round, files)
		d.checkUsers(t, round, users)
	}
}

func crashUser(i int) string { return fmt.Sprintf("user%03d", i) }
func crashFile(i int) string { return fmt.Sprintf("file%03d", i) }

// crashContent is the file of a round: between 64 KiB and 1 MiB, never the same.
func crashContent(i, round int) []byte {
	content := make([]byte, 64<<10+i*19<<10)
	newRandom(uint64(i)<<8 | uint64(round+1)).Read(content)
	return content
}

// crashUploads sends every file, ten at a time, and calls acked for each that
// the server says it has.
func (d *site) crashUploads(wait *sync.WaitGroup, round int, may [][]int, acked func()) {
	const at = 10
	for w := range at {
		wait.Go(func() {
			c, err := loginFTP(d.port4, "alice")
			if err != nil {
				return // killed before
			}
			defer c.Close()
			for i := w; i < crashUploads; i += at {
				may[i] = append(may[i], round)
				if c.store(crashFile(i), bytes.NewReader(crashContent(i, round))) != nil {
					return
				}
				may[i] = []int{round}
				acked()
			}
		})
	}
}

// crashChanges changes every user, four at a time, and kills a third of the
// processes that do it.
func (d *site) crashChanges(t *testing.T, wait *sync.WaitGroup, round int, may [][]int, r *rand.Rand) {
	const at = 4
	killAfter := make([]time.Duration, crashChanges)
	for i := range killAfter {
		if r.IntN(3) == 0 {
			killAfter[i] = time.Duration(r.Int64N(int64(25 * time.Millisecond)))
		}
	}
	for w := range at {
		wait.Go(func() {
			for i := w; i < crashChanges; i += at {
				may[i] = append(may[i], round)
				cmd := d.program(t, "pw", "usermod", crashUser(i), "-c", fmt.Sprintf("round %d", round))
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Error(err)
					return
				}
				if killAfter[i] > 0 {
					time.AfterFunc(killAfter[i], func() { cmd.Process.Kill() })
				}
				err := cmd.Wait()
				switch exit, failed := errors.AsType[*exec.ExitError](err); {
				case err == nil:
					may[i] = []int{round}
				case !failed || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL:
					t.Errorf("usermod: %v\n%s", err, out.String())
				}
			}
		})
	}
}

func (d *site) checkFiles(t *testing.T, round int, may [][]int) {
	t.Helper()
	for i, rounds := range may {
		content, err := os.ReadFile(d.path(crashFile(i)))
		found := -2
		for _, r := range rounds {
			switch {
			case err == nil && bytes.Equal(content, crashContent(i, r)):
				found = r
			case err != nil && r == -1 && i >= crashUploads/2:
				found = -1 // not there, as at first
			}
		}
		if found == -2 {
			t.Errorf("round %d: %s is none of rounds %v: %d bytes, %v", round, crashFile(i), rounds, len(content), err)
		}
	}
	// Whatever else is there must not look like somebody's file.
	all, err := os.ReadDir(d.home)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), "file") && !strings.HasPrefix(e.Name(), ".") {
			t.Errorf("round %d: %s was left behind", round, e.Name())
		}
	}
}

func (d *site) checkUsers(t *testing.T, round int, may [][]int) {
	t.Helper()
	for i, rounds := range may {
		var u struct {
			Gecos string `json:"gecos"`
		}
		out := d.must(t, "pw", "show", crashUser(i), "--json", "--db", filepath.Join(d.dir, "users.db"))
		if err := json.Unmarshal([]byte(out), &u); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found := false
		for _, r := range rounds {
			found = found || u.Gecos == fmt.Sprintf("round %d", r)
		}
		if !found {
			t.Errorf("round %d: %s says %q, not one of rounds %v", round, crashUser(i), u.Gecos, rounds)
		}
		may[i] = rounds
	}
}
