package main

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"portreeve/puredb"
	"portreeve/server"
	"portreeve/server/ledger"
	"portreeve/server/vfs"
	"portreeve/userdb"
)

// openHome opens the home of a user to look at all of it, as that user if that
// takes nobody but root.
func openHome(cfg server.Config, u userdb.User) (*vfs.FS, error) {
	o := vfs.Options{Caged: true, Perms: userdb.AllPerms, Charset: cfg.FSCharset, KeepUsage: cfg.QuotaFile}
	if isRoot() {
		o.As = &vfs.Identity{UID: u.UID, GID: u.GID, Groups: groupsOf(u.UID)}
	}
	return vfs.Open(u.Home, o)
}

// groupsOf returns the supplementary groups of a system user, as far as that is
// known.
func groupsOf(uid int) (groups []int) {
	who, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return nil
	}
	ids, err := who.GroupIds()
	if err != nil {
		return nil
	}
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil && gid > 0 {
			groups = append(groups, gid)
		}
	}
	return groups
}

// ownFolder makes the folder of a database that nobody named, in which usage may be
// kept before there are users. Where it cannot be, whoever needs it will say so.
func (d *daemon) ownFolder(cfg server.Config) {
	if cfg.UserDB == d.source.systemDefaults().UserDB {
		_ = os.MkdirAll(filepath.Dir(cfg.UserDB), 0o700)
	}
}

// recount counts the files of users whom a daemon was writing for when it died.
func (d *daemon) recount(cfg server.Config) {
	logins := append([]server.AuthMethod{{Kind: "userdb", Arg: cfg.UserDB}}, cfg.Authentication()...)
	for i := range cfg.VirtualHosts {
		logins = append(logins, cfg.HostLogins(&cfg.VirtualHosts[i])...)
	}
	seen := make(map[string]bool)
	for _, m := range logins {
		path := m.Arg
		if m.Kind != "userdb" && m.Kind != "puredb" || seen[path] || puredb.Is(path) {
			continue
		}
		seen[path] = true
		db := userdb.At(path)
		d.ftp.Ledger.Recover(db, func(name string) (ledger.Files, func(), error) {
			u, err := db.Get(name)
			if err != nil {
				return nil, nil, err
			}
			files, err := openHome(cfg, u)
			if err != nil {
				return nil, nil, err
			}
			return files, func() { files.Close() }, nil
		})
	}
}
