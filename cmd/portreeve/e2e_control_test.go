//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Groups that nobody on this machine has.
const (
	lookers  = 20011
	changers = 20012
)

// asMember runs a command of ours as a user who is in these groups, and returns
// its exit code.
func (d *site) asMember(t *testing.T, groups []uint32, args ...string) int {
	t.Helper()
	cmd := d.program(t, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345, Groups: groups}}
	out, err := cmd.CombinedOutput()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode()
	}
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return 0
}

// TestControlGroups sends users of all sorts to the control socket: looking and
// changing are two permissions, and the kernel says who has which. Without root
// nobody can be sent, and the socket must be closed to all others by its mode.
func TestControlGroups(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		d := startSite(t)
		info, err := os.Stat(d.socket())
		if err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Fatalf("the socket's mode is %v, %v", info.Mode(), err)
		}
		d.must(t, "reload")
		return
	}
	type row struct {
		groups       []uint32
		who, changes int
	}
	for name, c := range map[string]struct {
		directives []string
		rows       []row
	}{
		"two groups": {[]string{"ControlSocketGroup 20011", "ControlGroup 20012"}, []row{
			{nil, exitFailed, exitFailed},
			{[]uint32{lookers}, exitDone, exitFailed},
			{[]uint32{changers}, exitFailed, exitFailed}, // cannot open it
			{[]uint32{lookers, changers}, exitDone, exitDone},
		}},
		"those who change alone": {[]string{"ControlGroup 20012"}, []row{
			{[]uint32{lookers}, exitFailed, exitFailed},
			{[]uint32{changers}, exitDone, exitDone},
		}},
		"those who look alone": {[]string{"ControlSocketGroup 20011"}, []row{
			{[]uint32{lookers}, exitDone, exitFailed},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := startSite(t, c.directives...)
			for _, r := range c.rows {
				if got := d.asMember(t, r.groups, "who"); got != r.who {
					t.Errorf("groups %v: who ends with %d, not %d", r.groups, got, r.who)
				}
				for _, change := range [][]string{{"reload"}, {"kick", "--user", "nobody-by-that-name"}} {
					want := r.changes
					if want == exitDone && change[0] == "kick" {
						want = exitNotFound
					}
					if got := d.asMember(t, r.groups, change...); got != want {
						t.Errorf("groups %v: %v ends with %d, not %d", r.groups, change, got, want)
					}
				}
			}
		})
	}
}

// TestHangupAtOnce sends SIGHUP as soon as there is a process id to send it to.
func TestHangupAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		d := newSite(t, nil, "PIDFile pid")
		d.configure(t, "PIDFile "+filepath.Join(d.dir, "pid"))
		cmd := d.program(t, "serve", "--config", d.conf)
		log := new(logBuffer)
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "there is a process id", func() bool {
			pid, err := os.ReadFile(filepath.Join(d.dir, "pid"))
			return err == nil && len(pid) > 0
		})
		cmd.Process.Signal(syscall.SIGHUP)
		eventually(t, "the configuration is read again", func() bool {
			return strings.Contains(log.tail(60), "configuration read again")
		})
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("the daemon ended with %v\n%s", err, log.tail(60))
		}
	}
}

// TestReloadKeepsWhatNeedsARestart changes directives of both sorts while the
// daemon runs: one is in force at once, the other only in the next daemon.
func TestReloadKeepsWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	other := filepath.Join(d.dir, "other.db")
	d.configure(t, "MaxClientsNumber 77", "UserDB "+other)
	if out := d.must(t, "reload"); !strings.Contains(out, "changed: MaxClientsNumber") || !strings.Contains(out, "needs a restart: UserDB") {
		t.Errorf("reload says %q", out)
	}
	status, err := d.status(t.Context())
	if err != nil || status.Limits.Max != 77 || status.UserDB == other {
		t.Errorf("now: %+v, %v", status, err)
	}
	dialFTP(t, d, "alice") // is in the old database alone
}
