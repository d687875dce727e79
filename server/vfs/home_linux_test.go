package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"portreeve/userdb"
)

// TestHomeBelowAClosedFolder: where the root is, the administrator says; as root
// the daemon gets there, whatever the user could do outside, and as anybody else
// it is told so.
func TestHomeBelowAClosedFolder(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	home := filepath.Join(closed, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	o := Options{Caged: true, Perms: userdb.AllPerms}
	if os.Getuid() != 0 {
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(closed, 0o700)
		if _, err := Open(home, o); !errors.Is(err, ErrNoHome) {
			t.Errorf("Open: %v", err)
		}
		return
	}
	o.As = &Identity{UID: 12345, GID: 12345}
	if _, err := Open(home, o); !errors.Is(err, ErrNoHome) { // the home itself is root's
		t.Errorf("Open of a home that is closed to its user: %v", err)
	}
	if err := os.Chown(home, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	f, err := Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Mkdir("/made"); err != nil {
		t.Errorf("Mkdir: %v", err)
	}
	if err := f.Chdir("/.."); err != nil { // the root, as ever
		t.Errorf("Chdir: %v", err)
	}
	if _, err := f.Stat("/../closed"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat above the home: %v", err)
	}
}
