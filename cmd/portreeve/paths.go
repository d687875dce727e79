package main

import (
	"os"
	"os/user"
	"path/filepath"

	"portreeve/userdb"
)

// Where things are if nothing says otherwise: the system's places for root,
// the user's own for anybody else.

// isRoot tells whether the process may act for others.
func isRoot() bool { return os.Geteuid() == 0 }

func (e *env) stateHome() string {
	if dir := e.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "portreeve")
	}
	home := e.getenv("HOME")
	if u, err := user.Current(); !filepath.IsAbs(home) && err == nil {
		home = u.HomeDir
	}
	// Never a path that depends on the folder one is in: two commands would then
	// use two databases.
	return filepath.Join("/", home, ".local", "state", "portreeve")
}

// defaultDB is the user database that commands use without --db.
func (e *env) defaultDB() string {
	switch {
	case e.getenv("PORTREEVE_DB") != "":
		return e.getenv("PORTREEVE_DB")
	case isRoot():
		return "/var/lib/portreeve/users.db"
	}
	return filepath.Join(e.stateHome(), "users.db")
}

// database returns the database in a file. Its folder is made with it if it is where
// nobody named another.
func (e *env) database(path string) userdb.DB {
	bare := *e
	bare.getenv = func(name string) string {
		if name == "PORTREEVE_DB" {
			return ""
		}
		return e.getenv(name)
	}
	db := userdb.At(path)
	if path == bare.defaultDB() {
		db = db.WithFolder()
	}
	return db
}

// defaultSocket is the control socket that commands use without --socket.
func (e *env) defaultSocket() string {
	switch dir := e.getenv("XDG_RUNTIME_DIR"); {
	case e.getenv("PORTREEVE_SOCKET") != "":
		return e.getenv("PORTREEVE_SOCKET")
	case isRoot():
		return "/run/portreeve/portreeve.sock"
	case filepath.IsAbs(dir):
		return filepath.Join(dir, "portreeve.sock")
	}
	return filepath.Join(e.stateHome(), "portreeve.sock")
}

// defaultCert is the certificate that cert new makes if nothing names another.
func (e *env) defaultCert() string {
	if isRoot() {
		return systemCert
	}
	return filepath.Join(e.stateHome(), "portreeve.pem")
}

const systemCert = "/etc/portreeve/portreeve.pem"

// systemConfig is the file that serve reads as root if it is there and
// --config names no other.
const systemConfig = "/etc/portreeve/portreeve.conf"
