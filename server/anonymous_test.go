package server

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// loginAnonymous is login of somebody whom nobody knows.
func (r *rig) loginAnonymous() *client {
	r.t.Helper()
	c := r.dial(netip.AddrPort{})
	c.want(220)
	c.cmd(331, "USER anonymous")
	c.cmd(230, "PASS me@example.org")
	return c
}

func TestT231UniqueTellsNothingOfTheDisk(t *testing.T) {
	r := newRig(t, func(c *Config) { c.AnonymousRoot = "/srv/ftp" })
	r.put("one", "x")
	r.put("other", "x")
	if err := os.Link(filepath.Join(r.home, "one"), filepath.Join(r.home, "same")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(r.home, "one"))
	if err != nil {
		t.Fatal(err)
	}
	disk := info.Sys().(*syscall.Stat_t)
	c := r.loginAnonymous()
	unique := func(name string) string {
		m := regexp.MustCompile(`unique=([^;]*);`).FindStringSubmatch(c.cmd(250, "MLST %s", name))
		if m == nil {
			t.Fatalf("%s has no unique fact", name)
		}
		return m[1]
	}
	one, same, other := unique("one"), unique("same"), unique("other")
	if one != same || one == other {
		t.Errorf("unique is %s, of its hard link %s, of another file %s", one, same, other)
	}
	if ino := fmt.Sprintf("%x", disk.Ino); len(ino) > 3 && strings.Contains(one, ino) {
		t.Errorf("unique %s shows the inode %s", one, ino)
	}
	if len(one) != 16 {
		t.Errorf("unique %s tells how long the inode is", one)
	}
}

// TestAnonymousInLogs: what anonymous says of itself is harmless there, and its
// sessions are called by one name.
func TestAnonymousInLogs(t *testing.T) {
	r := newRig(t, func(c *Config) { c.AnonymousRoot = "/srv/ftp" })
	c := r.dial(netip.AddrPort{})
	c.want(220)
	c.cmd(331, "USER FTP")
	c.cmd(230, "PASS -me@\x1b[31m%s", strings.Repeat("x", 500))
	if list := r.srv.Sessions.List(); len(list) != 1 || list[0].User != "ftp" {
		t.Errorf("sessions are %+v", list)
	}
	c.conn.Close()
	<-c.done
	logs := r.logs.String()
	if !strings.Contains(logs, `mail=me@?[31mxxx`) || strings.Contains(logs, strings.Repeat("x", maxMail)) {
		t.Errorf("the log says:\n%s", logs)
	}
}

func TestAnonymousInListings(t *testing.T) {
	r := newRig(t, func(c *Config) { c.AnonymousRoot = "/srv/ftp" })
	r.put("file", "x")
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(r.home, "file"), 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	c := r.loginAnonymous()
	data, _ := c.retr("LIST")
	want := `ftp +ftp `
	if os.Geteuid() != 0 {
		want = `(ftp|\d+) +(ftp|\d+) `
	}
	if !regexp.MustCompile(want).MatchString(data) {
		t.Errorf("the listing is %q", data)
	}
}

// TestAnonymousByAddress: who connects to an address that has a folder of its own
// sees that one, and the others what they always see.
func TestAnonymousByAddress(t *testing.T) {
	roots := t.TempDir()
	r := newRig(t, func(c *Config) { c.AnonymousRoot, c.AnonymousRoots = "/srv/ftp", roots })
	r.put("everywhere", "x")
	own := filepath.Join(roots, serverAddr.Addr().String())
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(own, "here"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := r.loginAnonymous()
	c.cmd(213, "MDTM here")
	c.cmd(550, "MDTM everywhere")
	if err := os.Rename(own, filepath.Join(roots, "192.0.2.99")); err != nil {
		t.Fatal(err)
	}
	r.loginAnonymous().cmd(213, "MDTM everywhere")
}
