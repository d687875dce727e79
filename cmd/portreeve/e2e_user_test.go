//go:build linux

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"portreeve/server/session"
)

// TestOwners looks at who owns what was uploaded: the user, where the daemon
// may act as others, and otherwise the daemon.
func TestOwners(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	sent := randomFile(t, 1000)
	curl.put(d.job(t, epsv, "alice", "mine", sent)).must(t)
	wantOwner(t, d.path("mine"), d.uid)
	if os.Getuid() != 0 {
		return
	}
	// As root, what is not the user's is out of reach though it is in the home.
	writeFile(t, d.path("roots"), []byte("secret"))
	os.Chmod(d.path("roots"), 0o600)
	if out, err := curl.get(d.job(t, epsv, "alice", "roots", filepath.Join(t.TempDir(), "got"))).run(t); err == nil {
		t.Errorf("alice reads what is root's:\n%s", out)
	}
	os.Chmod(d.home, 0o755)
	os.Chown(d.home, 0, 0)
	if out, err := curl.put(d.job(t, epsv, "alice", "new", sent)).run(t); err == nil {
		t.Errorf("alice writes to what is root's:\n%s", out)
	}
}

func wantOwner(t *testing.T, path string, uid int) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid {
		t.Errorf("%s belongs to user %d, not %d", path, got, uid)
	}
}

// TestOrdinaryUser runs the daemon without root. Whoever runs the tests as
// root sees here what the other tests show to everybody else.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	var cred *syscall.Credential
	if os.Getuid() == 0 {
		cred = &syscall.Credential{Uid: 12345, Gid: 12345}
	}
	d := startSiteAs(t, cred)
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, m := range c.modes {
				t.Run(m.String(), func(t *testing.T) { roundTrip(t, d, c, m) })
			}
		})
	}
	t.Run("who", func(t *testing.T) {
		t.Parallel()
		d.place(t, randomFile(t, 64<<20), "large")
		j := d.job(t, epsv, "slow", "large", filepath.Join(t.TempDir(), "got"))
		showAndKick(t, d, curl, curl.get(j), session.Downloading, "/large")
	})
}
