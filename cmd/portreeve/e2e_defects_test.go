//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Defects of Pure-FTPd's that portreeve-migration(7) says are not here, as far as no
// other test shows it.

// pureDoor runs the program as pure-ftpd, which must not go on, and returns its code
// and what it said.
func pureDoor(t *testing.T, args ...string) (int, string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(linked(t), "pure-ftpd"), append(args, "--socket", filepath.Join(dir, "s"), "--db", filepath.Join(dir, "users.db"))...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = waitFor(t, cmd) // its code is looked at
	return cmd.ProcessState.ExitCode(), said.String()
}

// TestPortIsTaken: who comes second says so by its code, and leaves the first alone.
func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pid := filepath.Join(t.TempDir(), "pid")
	writeFile(t, pid, []byte("4711\n"))
	port := l.Addr().(*net.TCPAddr).Port
	code, said := pureDoor(t, "-S", fmt.Sprintf("127.0.0.1,%d", port), "-g", pid)
	if code != exitFTPD || !strings.Contains(said, "421 ") {
		t.Errorf("it ends with %d and %q", code, said)
	}
	if text, err := os.ReadFile(pid); err != nil || string(text) != "4711\n" {
		t.Errorf("the other one's file is %q, %v", text, err)
	}
}

// TestValuesThatAreNone: what cannot be meant ends the program, and makes it no
// server with another limit, or one that goes round in a loop.
func TestValuesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"-J-ALL", "-J-", "-J-X:HIGH", "-k200", "-Ix", "-c-5", "-U999"} {
		if code, said := pureDoor(t, "-S", "127.0.0.1,0", option); code != exitFTPD || !strings.Contains(said, "invalid argument") {
			t.Errorf("%s: it ends with %d and %q", option, code, said)
		}
	}
}

// TestClientDropsDownload: a download whose client drops the data connection is
// answered, and the session goes on.
func TestClientDropsDownload(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	d.place(t, randomFile(t, 64<<20), "large")
	c := dialFTP(t, d, "alice")
	err := c.transfer("RETR large", func(data *net.TCPConn) error {
		_, err := data.Read(make([]byte, 1000))
		return errors.Join(err, data.SetLinger(0))
	})
	if err == nil || !strings.Contains(err.Error(), "426") {
		t.Errorf("it is answered with %v", err)
	}
	if _, err := c.cmd(200, "NOOP"); err != nil {
		t.Error(err)
	}
}

// TestClientGoesBeforeData: a client that goes while a passive port waits for it is
// gone from the list at once.
func TestClientGoesBeforeData(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	c := dialFTP(t, d, "alice")
	if _, err := c.cmd(229, "EPSV"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.cmd(150, "LIST"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	eventually(t, "the session has ended", func() bool { return len(d.who(t)) == 0 })
}

// TestNoScopeInReplies: an address of IPv6 comes without a scope.
func TestNoScopeInReplies(t *testing.T) {
	t.Parallel()
	d := startSite(t, "AllowUserFXP yes")
	c := dialFTP(t, d, "alice")
	for _, arg := range []string{"|2|::1|40000|", "|2|fe80::1|40000|", "|2|2001:db8::1|40000|"} {
		if err := c.PrintfLine("EPRT %s", arg); err != nil {
			t.Fatal(err)
		}
		_, text, err := c.ReadResponse(0)
		if err != nil || strings.Contains(text, "%") {
			t.Errorf("EPRT %s: %q, %v", arg, text, err)
		}
	}
}
