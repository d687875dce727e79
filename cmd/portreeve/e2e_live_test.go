//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/server/session"
)

// busy waits until who shows that a user moves a file, and returns that session.
func (d *site) busy(t testing.TB, state session.State, path string) session.Info {
	t.Helper()
	var found session.Info
	eventually(t, "who shows "+path+" "+state.String(), func() bool {
		for _, s := range d.who(t, "--state", state.String()) {
			if s.Path == path && s.Moved > 0 {
				found = s
			}
		}
		return found.ID != 0
	})
	return found
}

// TestWhoShowsTransfers has each program move a file slowly, both ways, looks
// at it with who, and makes it leave.
func TestWhoShowsTransfers(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	sent := randomFile(t, 64<<20) // a minute's worth: none of these gets to its end
	d.place(t, sent, "large")
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			needs(t, c.programs...)
			name := c.name + ".down"
			if err := os.Link(d.path("large"), d.path(name)); err != nil {
				t.Fatal(err)
			}
			got := filepath.Join(t.TempDir(), "got")
			s := showAndKick(t, d, c, c.get(d.job(t, c.modes[0], "slow", name, got)), session.Downloading, "/"+name)
			if s.Size != 64<<20 {
				t.Errorf("who shows a file of %d bytes, not %d", s.Size, 64<<20)
			}
			if c.put == nil {
				return
			}
			name = c.name + ".up"
			showAndKick(t, d, c, c.put(d.job(t, c.modes[0], "slow", name, sent)), session.Uploading, "/"+name)
			if size := sizeOf(d.path(name)); size >= 0 {
				t.Errorf("the upload that was broken off left %d bytes", size)
			}
		})
	}
}

func showAndKick(t *testing.T, d *site, c client, do command, state session.State, path string) session.Info {
	t.Helper()
	var out bytes.Buffer
	program := do.start(t, &out)
	s := d.busy(t, state, path)
	if s.User != "slow" || !s.Remote.Addr().IsLoopback() || s.RateAvg > 2*slowRate {
		t.Errorf("who shows %+v", s)
	}
	if table := d.must(t, "who"); !strings.Contains(table, "slow") {
		t.Errorf("who shows nobody:\n%s", table)
	}
	d.must(t, "kick", s.ID.String(), "--message", "closing time")
	eventually(t, "the session is gone", func() bool { return !d.has(s.ID) })
	if c.returns {
		program.Process.Kill()
	}
	if err := waitFor(t, program); err == nil && c.refuses {
		t.Errorf("%s was kicked and thinks that it is done:\n%s", c.name, out.String())
	}
	return s
}

func (d *site) has(id session.ID) bool {
	c := d.api()
	defer c.Close()
	_, err := c.Session(context.Background(), id)
	return err == nil
}

// TestSlowClient looks at an upload over a line that is slow by itself: it must
// be seen to move, bit by bit, and at the rate that it has.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	const rate = 200 << 10
	d := startSite(t)
	j := d.job(t, epsv, "alice", "up", randomFile(t, 64<<20))
	var out bytes.Buffer
	program := curlArgs(j, "--limit-rate", fmt.Sprint(rate), "-T", j.local, j.url()).start(t, &out)
	defer program.Wait()
	defer program.Process.Kill()
	seen := make(map[int64]bool)
	eventually(t, "who has shown it move several times", func() bool {
		for _, s := range d.who(t, "--state", "uploading") {
			if s.Moved > 0 && s.Rate1s > 0 && s.Rate1s < 8*rate {
				seen[s.Moved] = true
			}
		}
		return len(seen) >= 6
	})
}

// interrupted is an ftplib that fetches a file, tells what it hears when that is
// ended, and goes on.
const interrupted = `
import ftplib, sys
ftp = ftplib.FTP()
ftp.connect("127.0.0.1", int(sys.argv[1]), timeout=20)
ftp.login("slow", sys.argv[2])
try:
    ftp.retrbinary("RETR large", lambda data: None)
    sys.exit("the transfer was not ended")
except ftplib.error_temp as e:
    print("told", e)
try:
    print("and then", ftp.voidcmd("NOOP"), "in", ftp.pwd())
except ftplib.error_temp as e:
    print("told", e)
`

// interrupt runs it, ends what it does with a command of ours, and returns what
// it heard.
func interrupt(t *testing.T, d *site, with func(session.Info) []string) string {
	t.Helper()
	d.place(t, randomFile(t, 64<<20), "large")
	var out bytes.Buffer
	program := cmdline("python3", "-c", interrupted, d.port4, password).start(t, &out)
	d.must(t, with(d.busy(t, session.Downloading, "/large"))...)
	if err := waitFor(t, program); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	return out.String()
}

// TestAbort ends a transfer of a real client, which goes on with its session.
func TestAbort(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	heard := interrupt(t, d, func(s session.Info) []string { return []string{"abort", s.ID.String()} })
	for _, want := range []string{"told 426", "and then 200", "in /"} {
		if !strings.Contains(heard, want) {
			t.Errorf("the client does not hear %q:\n%s", want, heard)
		}
	}
}

// TestKick ends a session of a real client, which hears why.
func TestKick(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	heard := interrupt(t, d, func(session.Info) []string { return []string{"kick", "--user", "slow", "--message", "back at nine"} })
	for _, want := range []string{"told 426", "told 421", "back at nine"} {
		if !strings.Contains(heard, want) {
			t.Errorf("the client does not hear %q:\n%s", want, heard)
		}
	}
	eventually(t, "the session is gone", func() bool { return len(d.who(t)) == 0 })
}

// TestWatch reads who --watch while a session comes and goes.
func TestWatch(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	d.place(t, randomFile(t, 64<<20), "large")
	watch := d.program(t, "who", "--watch", "--json")
	lines, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	defer watch.Wait()
	defer watch.Process.Kill()
	j := d.job(t, epsv, "slow", "large", filepath.Join(t.TempDir(), "got"))
	var out bytes.Buffer
	program := curlArgs(j, "-o", j.local, j.url()).start(t, &out)
	defer program.Wait()
	defer program.Process.Kill()
	for dec := json.NewDecoder(lines); ; {
		var seen json.RawMessage
		if err := dec.Decode(&seen); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(seen), `"/large"`) {
			return
		}
	}
}
