package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/server/auth"
	"portreeve/userdb"
)

// TestWhoIsCaged: who sees nothing above his home, and who is exempt from rules.
func TestWhoIsCaged(t *testing.T) {
	plain := auth.Account{Name: "joe", UID: 1000, GID: 1000}
	member := auth.Account{Name: "ann", UID: 1001, GID: 1001, Groups: []int{4, 100}}
	own := auth.Account{Name: "eve", UID: 1002, GID: 100}
	caged := auth.Account{Name: "bob", UID: 1003, GID: 100, Caged: true}
	quota := plain
	quota.QuotaFiles = userdb.LimitOf(0)
	memberQuota := own
	memberQuota.QuotaBytes = userdb.LimitOf(1)
	anonymous := auth.Account{Name: "ftp", UID: 100, GID: 100, Caged: true, Anonymous: true}
	all := []auth.Account{plain, member, own, caged, quota, memberQuota, anonymous}
	for _, tc := range []struct {
		name           string
		edit           func(*Config)
		caged, trusted string // one letter an account, in the order of all
	}{
		{"nothing said", func(*Config) {}, "...c..c", "......."},
		{"ChrootEveryone", func(c *Config) { c.ChrootEveryone = true }, "ccccccc", "......."},
		{"TrustedGID", func(c *Config) { c.TrustedGID = 100 }, "c..cc.c", ".ttt.t."},
		{"both", func(c *Config) { c.TrustedGID, c.ChrootEveryone = 100, true }, "ccccccc", "......."},
	} {
		c := DefaultConfig()
		tc.edit(&c)
		for i, a := range all {
			if got, want := c.cages(&a), tc.caged[i] != '.'; got != want {
				t.Errorf("%s: %s caged: %v", tc.name, a.Name, got)
			}
			if got, want := c.trusts(&a), tc.trusted[i] == 't'; got != want {
				t.Errorf("%s: %s trusted: %v", tc.name, a.Name, got)
			}
			s := &session{cfg: &c}
			if limited := s.quota(&a).Any(); limited && tc.trusted[i] == 't' {
				t.Errorf("%s: %s has a quota", tc.name, a.Name)
			}
		}
	}
}

// TestTrustedGID: who belongs to the group may leave the home, and rules on files
// do not hold for it.
func TestTrustedGID(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, func(c *Config) {
				c.TrustedGID, c.KeepAllFiles, c.NoDotWrite, c.NoDotRead = 2000, true, true, true
			})
			gid := 1000
			if trusted {
				gid = 2000
			}
			addUser(t, userdb.At(r.srv.Config().UserDB), "trent", "secret", r.home, func(u *userdb.User) { u.GID, u.Caged = gid, false })
			r.put(".f", "x")
			r.put("g", "x")
			c := r.dial(clientAddr)
			c.want(220)
			c.login("trent")
			if !trusted {
				c.cmd(550, "CWD %s", r.home)
				c.cmd(550, "DELE g")
				c.cmd(550, "DELE .f")
				return
			}
			if text := c.cmd(257, "PWD"); !strings.Contains(text, r.home) {
				t.Errorf("PWD: %s", text)
			}
			c.cmd(250, "CWD %s", filepath.Dir(r.home))
			c.cmd(250, "DELE home/g")
			c.cmd(250, "DELE home/.f")
		})
	}
}

// TestCreateHomeDir makes the home of who logs in, and of nobody else.
func TestCreateHomeDir(t *testing.T) {
	for _, on := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.CreateHomeDir, c.AnonymousRoot = on, "/srv/ftp" })
			home := filepath.Join(r.home, "homes", "new")
			addUser(t, userdb.At(r.srv.Config().UserDB), "new", "secret", home)
			c := r.dial(clientAddr)
			c.want(220)
			c.cmd(331, "USER new")
			if !on {
				c.cmd(421, "PASS secret")
				return
			}
			c.cmd(530, "PASS wrong")
			if r.exists("homes") {
				t.Error("a failed login made a home")
			}
			c.login("new")
			c.cmd(257, "MKD d")
			if info, err := os.Stat(home); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("the home: %v, %v", info, err)
			}
			if !strings.Contains(r.logs.String(), "home made") {
				t.Errorf("the log says\n%s", r.logs)
			}
		})
	}
}
