package vfs

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"portreeve/userdb"
)

// TestRoots: sessions of one home share it, others and those that come after it
// was replaced do not, and the last closes it.
func TestRoots(t *testing.T) {
	base := publicDir(t)
	one, two := filepath.Join(base, "one"), filepath.Join(base, "two")
	for _, home := range []string{one, two} {
		if err := os.Mkdir(home, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var roots Roots
	open := func(home string) *FS {
		t.Helper()
		f, err := Open(home, Options{Caged: true, Perms: userdb.AllPerms, Roots: &roots})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b, c := open(one), open(one), open(two)
	if runtime.GOOS == "linux" && a.root != b.root || a.root == c.root {
		t.Errorf("%p and %p of one home, %p of another", a.root, b.root, c.root)
	}
	a.Close()
	a.Close()
	if err := b.Mkdir("/mine"); err != nil {
		t.Errorf("after another session of the home has ended: %v", err)
	}
	if err := os.Rename(one, one+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(one, 0o755); err != nil {
		t.Fatal(err)
	}
	d := open(one)
	if _, err := d.Stat("/mine"); err == nil {
		t.Error("a session sees the home that was there before")
	}
	if _, err := b.Stat("/mine"); err != nil {
		t.Errorf("a session lost its home: %v", err)
	}
	for _, f := range []*FS{b, c, d} {
		f.Close()
	}
	if len(roots.open) != 0 {
		t.Errorf("left open: %v", roots.open)
	}
	if _, err := Open(base+"/none", Options{Caged: true, Roots: &roots}); err == nil {
		t.Error("no home was opened")
	}
}
