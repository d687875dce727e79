package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"portreeve/userdb"
)

// joesHome returns the terms of joe, or of the process if that cannot be joe, and
// a folder that everybody can reach.
func joesHome(t *testing.T) (Options, string) {
	o := Options{Caged: true, Perms: userdb.AllPerms, DirUmask: 0o027, Roots: new(Roots)}
	if os.Getuid() == 0 {
		o.As = joe
	}
	return o, publicDir(t)
}

func owner(t *testing.T, path string) (uid int, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), info.Mode().Perm()
}

func TestMakeHome(t *testing.T) {
	o, base := joesHome(t)
	home := base + "/homes/j/joe"
	made, err := MakeHome(home, o)
	if err != nil || !made {
		t.Fatalf("%v, %v", made, err)
	}
	uid := os.Getuid()
	for path, want := range map[string]struct {
		uid  int
		mode fs.FileMode
	}{base + "/homes": {uid, 0o755}, base + "/homes/j": {uid, 0o755}, home: {max(uid, joeIfRoot()), 0o750}} {
		if uid, mode := owner(t, path); uid != want.uid || mode != want.mode {
			t.Errorf("%s is %d's, %o; want %+v", path, uid, mode, want)
		}
	}
	if made, err := MakeHome(home, o); made || err != nil {
		t.Errorf("again: %v, %v", made, err)
	}
	f, err := Open(home, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Mkdir("/d"); err != nil {
		t.Error(err)
	}
}

func joeIfRoot() int {
	if os.Getuid() == 0 {
		return joe.UID
	}
	return 0
}

// TestMakeHomeBelowARoot: the folder to start in is the user's, and its root is above.
func TestMakeHomeBelowARoot(t *testing.T) {
	o, base := joesHome(t)
	if made, err := MakeHome(base+"/joe/./sub", o); !made || err != nil {
		t.Fatalf("%v, %v", made, err)
	}
	if uid, _ := owner(t, base+"/joe"); uid != os.Getuid() {
		t.Errorf("the root is %d's", uid)
	}
	if uid, _ := owner(t, base+"/joe/sub"); uid != max(os.Getuid(), joeIfRoot()) {
		t.Errorf("the folder to start in is %d's", uid)
	}
}

func TestMakeHomeThroughTheAdministratorsLinks(t *testing.T) {
	o, base := joesHome(t)
	for _, link := range []struct{ target, name string }{{"there", "relative"}, {base + "/there", "absolute"}, {"../" + filepath.Base(base) + "/there", "up"}, {"loop", "loop"}} {
		if err := os.Symlink(link.target, base+"/"+link.name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"relative", "absolute", "up"} {
		if made, err := MakeHome(base+"/"+name+"/"+name, o); !made || err != nil {
			t.Errorf("%s: %v, %v", name, made, err)
		}
		if _, err := os.Stat(base + "/there/" + name); err != nil {
			t.Error(err)
		}
	}
	if made, err := MakeHome(base+"/loop/joe", o); made { // Open says what is wrong
		t.Errorf("a loop was made into a folder, %v", err)
	}
}

// TestMakeHomeWhereOthersRule: where somebody else could lead root anywhere, links
// are not followed, and what is made is made by the user, who may not everywhere.
func TestMakeHomeWhereOthersRule(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root makes folders for others")
		return
	}
	o, base := joesHome(t)
	theirs, joes, closed := base+"/theirs", base+"/joes", base+"/closed"
	for dir, uid := range map[string]int{theirs: 4711, joes: joe.UID, closed: 0} {
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(closed, 0o700), os.Symlink(closed, joes+"/link"), os.Lchown(joes+"/link", joe.UID, joe.GID),
		os.Symlink(closed, theirs+"/link")); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{theirs + "/joe", theirs + "/link/joe", joes + "/link/joe"} {
		if made, err := MakeHome(home, o); made || err == nil {
			t.Errorf("%s: %v, %v", home, made, err)
		}
	}
	if found, err := os.ReadDir(closed); err != nil || len(found) > 0 {
		t.Errorf("there is %v, %v", found, err)
	}
	if made, err := MakeHome(joes+"/a/b", o); !made || err != nil {
		t.Errorf("in joe's own folder: %v, %v", made, err)
	}
	for _, path := range []string{joes + "/a", joes + "/a/b"} {
		if uid, _ := owner(t, path); uid != joe.UID {
			t.Errorf("%s is %d's", path, uid)
		}
	}
}

// TestMakeHomeForManyAtOnce: no two logins meet a home that is half made.
func TestMakeHomeForManyAtOnce(t *testing.T) {
	o, base := joesHome(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := MakeHome(base+"/homes/joe", o); err != nil {
				t.Error(err)
			}
			f, err := Open(base+"/homes/joe", o)
			if err != nil {
				t.Error(err)
				return
			}
			f.Close()
		})
	}
	all.Wait()
}
