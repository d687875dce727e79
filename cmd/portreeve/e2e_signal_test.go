//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portreeve/server/session"
)

// slowly has curl fetch a file of so many bytes at a mebibyte a second, and
// returns once bytes flow.
func slowly(t *testing.T, d *site, size int64) (program *exec.Cmd, want, got string) {
	t.Helper()
	want, got = randomFile(t, size), filepath.Join(t.TempDir(), "got")
	d.place(t, want, "large")
	j := d.job(t, epsv, "slow", "large", got)
	program = curlArgs(j, "-o", got, j.url()).start(t, new(bytes.Buffer))
	t.Cleanup(func() { program.Process.Kill() })
	d.busy(t, session.Downloading, "/large")
	return program, want, got
}

func refusesConnections(d *site) bool {
	c, err := net.Dial("tcp", "127.0.0.1:"+d.port4)
	if err == nil {
		c.Close()
	}
	return err != nil
}

// ended waits for the daemon's end and returns how long that took.
func (d *site) ended(t testing.TB) time.Duration {
	t.Helper()
	start := time.Now()
	select {
	case <-d.exited:
	case <-time.After(patience):
		t.Fatal("the daemon does not end")
	}
	return time.Since(start)
}

// TestSIGTERM lets a transfer finish that does so in time, tells idle sessions
// to go, and takes no new ones.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	d := startSite(t, "ShutdownGrace 30")
	idle := dialFTP(t, d, "alice")
	program, want, got := slowly(t, d, 3<<20)
	d.signal(t, syscall.SIGTERM)
	eventually(t, "nobody new is let in", func() bool { return refusesConnections(d) })
	if _, _, err := idle.ReadResponse(421); err != nil {
		t.Errorf("an idle session was told %v", err)
	}
	if err := waitFor(t, program); err != nil {
		t.Errorf("curl: %v", err)
	}
	sameContent(t, want, got)
	if took := d.ended(t); took > 5*time.Second {
		t.Errorf("it stayed %v after the last session", took)
	}
	if d.err != nil {
		t.Errorf("the daemon ended with %v", d.err)
	}
}

// TestGrace cuts off a transfer that takes longer than ShutdownGrace.
func TestGrace(t *testing.T) {
	t.Parallel()
	d := startSite(t, "ShutdownGrace 1")
	program, _, _ := slowly(t, d, 64<<20)
	d.signal(t, syscall.SIGTERM)
	if took := d.ended(t); took > 10*time.Second {
		t.Errorf("a grace of one second took %v", took)
	}
	if waitFor(t, program) == nil {
		t.Error("curl thinks that it has the whole file")
	}
}

// TestSecondSignal ends at once, whatever goes on.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	d := startSite(t, "ShutdownGrace 3600")
	program, _, _ := slowly(t, d, 64<<20)
	d.signal(t, syscall.SIGTERM)
	eventually(t, "nobody new is let in", func() bool { return refusesConnections(d) })
	d.signal(t, syscall.SIGTERM)
	if took := d.ended(t); took > 5*time.Second {
		t.Errorf("the second signal took %v", took)
	}
	if waitFor(t, program) == nil {
		t.Error("curl thinks that it has the whole file")
	}
}

// TestReload puts a new configuration in force under a transfer, and refuses a
// bad one whole, however it is asked.
func TestReload(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	program, want, got := slowly(t, d, 4<<20)
	d.configure(t, "MaxClientsNumber 77", "MaxClientsPerIP 66")
	mark := d.log.len()
	d.signal(t, syscall.SIGHUP)
	limits := func() session.Limits {
		status, err := d.status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return status.Limits
	}
	eventually(t, "the new limits are in force", func() bool { return limits() == session.Limits{Max: 77, PerHost: 66} })
	eventually(t, "the log tells what changed", func() bool {
		said := d.log.since(mark)
		return strings.Contains(said, "MaxClientsNumber") && strings.Contains(said, "MaxClientsPerIP")
	})

	d.configure(t, "MaxClientsNumber 88", "MaxClientz 5", "MaxIdleTime never", "Umask 999:1")
	mark = d.log.len()
	faults := []string{"MaxClientz", "never", "999"}
	d.signal(t, syscall.SIGHUP)
	for i, fault := range faults {
		line := fmt.Sprintf("%s:%d", d.conf, 11+i) // after nine of ours and a good one
		eventually(t, "the log has "+fault, func() bool {
			said := d.log.since(mark)
			return strings.Contains(said, fault) && strings.Contains(said, line)
		})
	}
	out, err := d.run(t, "", "reload")
	if err == nil {
		t.Error("reload says that a bad file is in force")
	}
	for _, fault := range faults {
		if !strings.Contains(out, fault) {
			t.Errorf("reload does not tell about %s:\n%s", fault, out)
		}
	}
	if got := limits(); got != (session.Limits{Max: 77, PerHost: 66}) {
		t.Errorf("a bad file changed the limits to %+v", got)
	}

	d.configure(t, "MaxClientsNumber 99")
	d.must(t, "reload")
	if got := limits(); got != (session.Limits{Max: 99}) {
		t.Errorf("reload left the limits at %+v", got)
	}
	if err := waitFor(t, program); err != nil {
		t.Errorf("curl: %v", err)
	}
	sameContent(t, want, got)
}
