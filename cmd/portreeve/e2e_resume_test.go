//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What is cut off moves at the speed of user slow, 1 MiB/s, so that there is
// time to do it; what goes on afterwards is alice's, whose home is the same.
const (
	cutSize = 3 << 20
	cutAt   = 256 << 10
)

// TestResumeDownload kills each program in the middle of a download and has it
// fetch the rest.
func TestResumeDownload(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	sent := randomFile(t, cutSize)
	for _, c := range clients {
		d.place(t, sent, "for-"+c.name)
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needs(t, c.programs...)
			name, got := "for-"+c.name, filepath.Join(t.TempDir(), "got")
			var out bytes.Buffer
			cut := c.get(d.job(t, c.modes[0], "slow", name, got)).start(t, &out)
			eventually(t, "a part of the file is here", func() bool { return sizeOf(got) >= cutAt })
			cut.Process.Kill()
			cut.Wait()
			part := sizeOf(got)
			if part >= cutSize {
				t.Fatalf("the program was not cut off: it has all %d bytes", part)
			}
			rest := d.job(t, c.modes[0], "alice", name, got)
			rest.resume = part
			said := c.get(rest).must(t)
			sameContent(t, sent, got)
			if t.Failed() {
				t.Log(said)
			}
			d.wantCommand(t, "REST", name)
		})
	}
}

// TestResumeUpload kills each program in the middle of an upload and has it
// send the rest. The file is written in place, or there was nothing to resume.
func TestResumeUpload(t *testing.T) {
	t.Parallel()
	d := startSite(t, "NoTruncate no")
	sent := randomFile(t, cutSize)
	for _, c := range clients {
		if !c.restarts {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needs(t, c.programs...)
			name := c.name + ".bin"
			cutOff(t, d, c, sent, name, func() bool { return sizeOf(d.path(name)) >= cutAt })
			rest := d.job(t, c.modes[0], "alice", name, sent)
			rest.resume = sizeOf(d.path(name))
			if rest.resume >= cutSize {
				t.Fatalf("the program was not cut off: the server has all %d bytes", rest.resume)
			}
			said := c.put(rest).must(t)
			sameContent(t, sent, d.path(name))
			if t.Failed() {
				t.Log(said)
			}
		})
	}
}

// TestBrokenUpload kills each program in the middle of an upload that was to
// replace a file. The old file must stay, and nothing beside it.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	sent, old := randomFile(t, cutSize), randomFile(t, 1000)
	for _, c := range clients {
		if c.put == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needs(t, c.programs...)
			d.mkdir(t, c.name)
			name := c.name + "/precious"
			d.place(t, old, name)
			cutOff(t, d, c, sent, name, func() bool { return d.moved("/"+name) >= cutAt })
			sameContent(t, old, d.path(name))
			if left, _ := os.ReadDir(d.path(c.name)); len(left) != 1 {
				t.Errorf("a broken upload left something: %v", left)
			}
		})
	}
}

// cutOff starts an upload, kills the program once enough has arrived, and
// waits until the server has noticed.
func cutOff(t *testing.T, d *site, c client, local, name string, enough func() bool) {
	t.Helper()
	var out bytes.Buffer
	cut := c.put(d.job(t, c.modes[0], "slow", name, local)).start(t, &out)
	eventually(t, "a part of the file is there", enough)
	cut.Process.Kill()
	cut.Wait()
	eventually(t, "the session has ended", func() bool { return d.moved("/"+name) < 0 })
}

// TestKilledUpload kills programs whose data comes as fast as the network takes
// it, as when a machine loses its power: both connections end at the same
// moment, and the end of the data must not be taken for the end of the file.
func TestKilledUpload(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	old := randomFile(t, 1000)
	for i := range 20 {
		name := fmt.Sprintf("precious%02d", i)
		d.place(t, old, name)
		j := d.job(t, epsv, "alice", name, "-") // standard input
		c := curl.put(j)
		needs(t, c.args[0])
		cmd := exec.Command(c.args[0], c.args[1:]...)
		input, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := input.Write(make([]byte, cutSize)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		eventually(t, "a part of the file is there", func() bool {
			return d.moved("/"+name) >= cutAt && time.Since(begun) > 300*time.Millisecond
		})
		cmd.Process.Kill()
		cmd.Wait()
		eventually(t, "the session has ended", func() bool { return d.moved("/"+name) < 0 })
		sameContent(t, old, d.path(name))
	}
}
