package server

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portreeve/userdb"
)

// Explain says what the daemon answers, in the daemon's words, and does nothing.
func TestExplain(t *testing.T) {
	for _, c := range []struct {
		name   string
		config func(*Config)
		user   func(*userdb.User)
		before []string // what the session does first; "login" is another session
		asks   []string
		rule   string // that refuses; "" if none does
	}{
		{name: "login"},
		{name: "disabled", user: func(u *userdb.User) { u.Disabled = true }, rule: "account"},
		{name: "expired", user: func(u *userdb.User) { u.Expires = time.Now().Add(-time.Hour) }, rule: "account"},
		{name: "hours", user: func(u *userdb.User) { u.Hours = hours(time.Hour, 2*time.Hour) }, rule: "hours"},
		{name: "uid", config: func(c *Config) { c.MinUID = 2000 }, rule: "MinUID"},
		{name: "TLS", user: func(u *userdb.User) { u.TLS = userdb.TLSLogin }, rule: "TLS"},
		{name: "TLS for all", config: func(c *Config) { c.TLS = 2 }, rule: "TLS"},
		{name: "client denied", user: func(u *userdb.User) {
			u.DenyClient = userdb.Patterns{{Prefix: netip.PrefixFrom(clientAddr.Addr(), 32)}}
		}, rule: "client addresses"},
		{name: "local not allowed", user: func(u *userdb.User) {
			u.AllowLocal = userdb.Patterns{{Prefix: netip.MustParsePrefix("203.0.113.0/24")}}
		}, rule: "local addresses"},
		{name: "hours before addresses", user: func(u *userdb.User) {
			u.Hours, u.AllowClient = hours(time.Hour, 2*time.Hour), userdb.Patterns{{Prefix: netip.MustParsePrefix("203.0.113.0/24")}}
		}, rule: "hours"},
		{name: "anonymous only", config: func(c *Config) { c.AnonymousOnly = true }, rule: "anonymous only"},
		{name: "too many of the user", user: func(u *userdb.User) { u.MaxSessions = 1 }, before: []string{"login"}, rule: "sessions of the user"},
		{name: "home", user: func(u *userdb.User) { u.Home += "/nosuch" }, rule: "home"},

		{name: "store", asks: []string{"STOR new 100"}},
		{name: "store over", asks: []string{"STOR file 100"}},
		{name: "store in place", config: func(c *Config) { c.NoTruncate = false }, asks: []string{"STOR file 100"}},
		{name: "append", asks: []string{"APPE file 100"}},
		{name: "unique", asks: []string{"STOU 100"}},
		{name: "not to write", user: without(userdb.PermWrite), asks: []string{"STOR new"}, rule: "permissions of the account"},
		{name: "a folder", asks: []string{"STOR dir"}, rule: "file system"},
		{name: "below nothing", asks: []string{"STOR nosuch/new"}, rule: "file system"},
		{name: "closed folder", asks: []string{"STOR closed/new"}, rule: "file system"},
		{name: "reserved", asks: []string{"STOR .ftpquota"}, rule: "names"},
		{name: "dot file", config: func(c *Config) { c.NoDotWrite = true }, asks: []string{"STOR .new"}, rule: "dot files"},
		{name: "read dot file", config: func(c *Config) { c.NoDotRead = true }, asks: []string{"RETR .dot"}, rule: "dot files"},
		{name: "too large", config: func(c *Config) { c.MaxFileSize = 50 }, asks: []string{"STOR new 100"}, rule: "MaxFileSize"},
		{name: "appended too large", config: func(c *Config) { c.MaxFileSize = 100 }, asks: []string{"APPE file 98"}, rule: "MaxFileSize"},
		{name: "quota", user: func(u *userdb.User) { u.QuotaBytes = userdb.LimitOf(50) }, asks: []string{"STOR new 100"}, rule: "quota"},
		{name: "quota of files", user: func(u *userdb.User) { u.QuotaFiles = userdb.LimitOf(1) }, asks: []string{"STOR new 1"}, rule: "quota"},
		{name: "within the quota", user: func(u *userdb.User) { u.QuotaBytes = userdb.LimitOf(500) }, asks: []string{"STOR new 100"}},
		{name: "quota and folder", user: func(u *userdb.User) { u.QuotaFiles = userdb.LimitOf(1) }, asks: []string{"MKD new"}, rule: "quota"},

		{name: "fetch", asks: []string{"RETR file"}},
		{name: "fetch nothing", asks: []string{"RETR nosuch"}, rule: "file system"},
		{name: "not to read", user: without(userdb.PermRead), asks: []string{"RETR file"}, rule: "permissions of the account"},
		{name: "ratio", user: func(u *userdb.User) { u.UploadRatio, u.DownloadRatio = 1, 2 }, asks: []string{"RETR file"}, rule: "ratio"},
		{name: "disk", config: func(c *Config) { c.MaxDiskUsage = 40 }, asks: []string{"STOR new"}, rule: "MaxDiskUsage"},
		{name: "room on the disk", config: func(c *Config) { c.MaxDiskUsage = 60 }, asks: []string{"STOR new"}},

		{name: "list", asks: []string{"LIST dir", "MLSD", "NLST"}},
		{name: "not to list", user: without(userdb.PermList), asks: []string{"LIST"}, rule: "permissions of the account"},
		{name: "list nothing", asks: []string{"MLSD nosuch"}, rule: "file system"},

		{name: "delete", asks: []string{"DELE file"}},
		{name: "delete a folder", asks: []string{"DELE dir"}, rule: "file system"},
		{name: "delete in closed folder", asks: []string{"DELE closed/file"}, rule: "file system"},
		{name: "not to delete", user: without(userdb.PermDelete), asks: []string{"DELE file"}, rule: "permissions of the account"},
		{name: "keep", config: func(c *Config) { c.KeepAllFiles = true }, asks: []string{"DELE file"}, rule: "KeepAllFiles"},
		{name: "remove folder", asks: []string{"RMD empty"}},
		{name: "remove full folder", asks: []string{"RMD dir"}, rule: "file system"},
		{name: "remove no folder", asks: []string{"RMD file"}, rule: "file system"},
		{name: "make folder", asks: []string{"MKD new"}},
		{name: "make it twice", asks: []string{"MKD dir"}, rule: "file system"},
		{name: "not to make folders", user: without(userdb.PermMkdir), asks: []string{"MKD new"}, rule: "permissions of the account"},

		{name: "rename", asks: []string{"RNFR file", "RNTO other"}},
		{name: "rename onto", asks: []string{"RNFR file", "RNTO dir/file"}},
		{name: "rename onto a folder", asks: []string{"RNFR file", "RNTO empty"}, rule: "file system"},
		{name: "rename and keep", config: func(c *Config) { c.AutoRename = true }, asks: []string{"RNFR file", "RNTO dir/file"}, rule: "file system"},
		{name: "rename into a closed folder", asks: []string{"RNFR file", "RNTO closed/new"}, rule: "file system"},
		{name: "rename nothing", asks: []string{"RNFR nosuch"}, rule: "file system"},
		{name: "NoRename", config: func(c *Config) { c.NoRename = true }, asks: []string{"RNFR file"}, rule: "permissions of the account"},

		{name: "chmod", asks: []string{"SITE CHMOD 600 file"}},
		{name: "NoChmod", config: func(c *Config) { c.NoChmod = true }, asks: []string{"SITE CHMOD 600 file"}, rule: "NoChmod"},
		{name: "chmod nothing", asks: []string{"SITE CHMOD 600 nosuch"}, rule: "file system"},
		{name: "set time", asks: []string{"MFMT 20260101000000 file"}},
		{name: "change folder", asks: []string{"CWD dir", "RETR file"}},
		{name: "no link", asks: []string{"SITE SYMLINK file link"}, rule: "command"},
		{name: "link", config: func(c *Config) { c.Symlinks = true }, asks: []string{"SITE SYMLINK file link"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, func(cfg *Config) {
					cfg.LoginDelay, cfg.TLS = 0, 0
					if c.config != nil {
						c.config(cfg)
					}
				})
				r.furnish()
				if c.user != nil {
					r.alter("alice", c.user)
				}
				for range c.before {
					r.login()
				}
				time.Sleep(2 * time.Second) // the last login is noted
				was := r.tree()
				found := r.explain(t, Question{User: "alice", From: clientAddr.Addr(), Local: serverAddr.Addr(), Commands: c.asks})
				if now := r.tree(); now != was {
					t.Errorf("explain has changed\n%s\nto\n%s", was, now)
				}
				last := found[len(found)-1]
				if last.Allowed != (c.rule == "") || !last.Allowed && last.Rule != c.rule {
					t.Errorf("%+v; %q was to decide", last, c.rule)
				}
				for _, f := range found[:len(found)-1] {
					if !f.Allowed {
						t.Errorf("%+v refuses, and is not the last", f)
					}
				}
				if reply := r.really(c.asks); last.Allowed != (reply == "") || reply != last.Reply {
					t.Errorf("the daemon answers %q, and explain says %q", reply, last.Reply)
				}
			})
		})
	}
}

func without(p userdb.Perms) func(*userdb.User) {
	return func(u *userdb.User) { u.Perms &^= p }
}

// furnish makes what the questions are about. What is closed to everybody is also
// closed to root, if sessions act as users.
func (r *rig) furnish() {
	r.t.Helper()
	r.srv.ActAsUsers = os.Geteuid() == 0
	r.srv.disks.Measure = func(int) (float64, error) { return 50, nil }
	for _, dir := range []string{"dir", "empty", "closed"} {
		if err := os.Mkdir(filepath.Join(r.home, dir), 0o755); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, file := range []string{"file", ".dot", "dir/file", "closed/file"} {
		r.put(file, "hello")
	}
	err := filepath.Walk(r.home, func(path string, _ os.FileInfo, err error) error {
		if err == nil && r.srv.ActAsUsers {
			err = os.Chown(path, 1000, 1000)
		}
		return err
	})
	if err == nil {
		err = os.Chmod(filepath.Join(r.home, "closed"), 0o555)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { os.Chmod(filepath.Join(r.home, "closed"), 0o755) })
}

// tree is all that is there, as far as it may not change.
func (r *rig) tree() string {
	r.t.Helper()
	var b strings.Builder
	err := filepath.Walk(r.home, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	db, err := os.Stat(r.srv.Config().UserDB)
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Fprintln(&b, db.ModTime(), db.Size())
	return b.String()
}

func (r *rig) explain(t *testing.T, q Question) []Finding {
	t.Helper()
	s := Rehearse(r.srv.Config(), r.srv.Sessions, r.srv.Auth)
	defer s.Ledger.Close()
	s.ActAsUsers, s.disks.Measure = r.srv.ActAsUsers, r.srv.disks.Measure
	found, err := s.Explain(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// really does what explain was asked about, and returns the reply that refuses, ""
// if none does.
func (r *rig) really(asks []string) string {
	r.t.Helper()
	c := r.dial(netip.AddrPort{})
	c.want(220)
	for _, line := range []string{"USER alice", "PASS secret", "TYPE I"} {
		c.say("%s", line)
		if text := c.refusal(); text != "" {
			return text
		}
	}
	for _, line := range asks {
		line, size := splitSize(line)
		if size > 0 {
			c.say("ALLO %d", size)
			if text := c.refusal(); text != "" {
				return text
			}
		}
		if verb, _, _ := strings.Cut(line, " "); lookup(verb).need&opensData == 0 {
			c.say("%s", line)
			if text := c.refusal(); text != "" {
				return text
			}
			continue
		}
		data := c.passive()
		c.say("%s", line)
		code, text, err := c.read()
		if err != nil {
			r.t.Fatal(err)
		}
		if code == 150 {
			go func() {
				defer data.Close()
				if size > 0 || strings.HasPrefix(line, "STO") || strings.HasPrefix(line, "APPE") {
					data.Write([]byte(strings.Repeat("x", int(size))))
					return
				}
				for buf := make([]byte, 4096); ; {
					if _, err := data.Read(buf); err != nil {
						return
					}
				}
			}()
			text = c.refusal()
		}
		if !strings.HasPrefix(text, "150") && text != "" {
			return lastOf(text)
		}
	}
	return ""
}

// refusal reads a reply, and returns its last line if it refuses.
func (c *client) refusal() string {
	c.t.Helper()
	code, text, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	if code < 400 {
		return ""
	}
	return lastOf(text)
}

func lastOf(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }
