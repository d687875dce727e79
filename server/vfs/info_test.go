package vfs

import (
	"io/fs"
	"os"
	"testing"

	"portreeve/userdb"
)

// TestRightsAgreeWithKernel tries what Rights promises, for every mode and
// every relation to the owner; without root, only as who we are.
func TestRightsAgreeWithKernel(t *testing.T) {
	owners := map[string]struct{ uid, gid int }{
		"owner":         {joe.UID, 7},
		"group":         {20002, joe.GID},
		"supplementary": {20002, 20009},
		"other":         {20002, 20002},
	}
	as := &Identity{UID: joe.UID, GID: joe.GID, Groups: []int{20008, 20009}}
	if os.Getuid() != 0 {
		as = nil
		owners = map[string]struct{ uid, gid int }{"owner": {os.Getuid(), os.Getgid()}}
	}
	for who, owner := range owners {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t, openRoot, as)
			w.dir("/d")
			w.file("/d/f", "x")
			w.file("/f", "x")
			for mode := range fs.FileMode(0o1000) {
				for _, path := range []string{"/d", "/f"} {
					w.must(os.Chown(w.home+path, owner.uid, owner.gid))
					w.must(os.Chmod(w.home+path, mode))
				}
				w.checkRights(mode)
			}
		})
	}
}

// checkRights compares Rights with what happens for the file /f and the
// directory /d.
func (w *world) checkRights(mode fs.FileMode) {
	f := w.fs
	top, file, dir := w.lstat("/"), w.lstat("/f"), w.lstat("/d")
	check := func(what string, right Rights, in Info, err error) {
		if got := f.Rights(&in, &top)&right != 0; got != (err == nil) {
			w.t.Errorf("mode %04o: Rights says %t to %s, but: %v", mode, got, what, err)
		}
	}
	opened, _, err := f.Read("/f")
	check("read", MayRead, file, err)
	if err == nil {
		opened.Close()
	}
	u, err := f.Write("/f", How{Append: true})
	check("append", MayAppend, file, err)
	check("write", MayWrite, file, err)
	if err == nil {
		u.Discard()
	}
	check("enter", MayEnter, dir, f.Chdir("/d"))
	l, err := f.List("/d", ListOptions{})
	check("list", MayList, dir, err)
	if err == nil {
		l.Close()
	}
	u, err = f.Write("/d/new", How{})
	check("create", MayCreate, dir, err)
	if err == nil {
		u.Discard()
	}
	err = f.Mkdir("/d/new")
	check("mkdir", MayMkdir, dir, err)
	if err == nil {
		w.must(f.RemoveDir("/d/new"))
	}
	err = f.Rename("/d/f", "/d/g")
	if err == nil {
		w.must(f.Rename("/d/g", "/d/f"))
	}
	check("purge", MayPurge, dir, err)
	inner := Info{Mode: 0o600, UID: dir.UID}
	if got := f.Rights(&inner, &dir)&MayRename != 0; got != (err == nil) {
		w.t.Errorf("mode %04o: Rights says %t to rename in it, but: %v", mode, got, err)
	}
}

func (w *world) lstat(path string) Info {
	w.t.Helper()
	in, err := w.fs.Lstat(path)
	w.must(err)
	return in
}

func TestRightsInStickyDirectories(t *testing.T) {
	sticky := fs.ModeDir | fs.ModeSticky | 0o777
	for _, tc := range []struct {
		who, dir, entry int
		want            bool
	}{
		{1001, 0, 1001, true},
		{1001, 1001, 1002, true},
		{1001, 1002, 1003, false},
		{0, 1002, 1003, true},
	} {
		f := &FS{who: Identity{UID: tc.who, GID: tc.who}}
		f.SetPerms(userdb.AllPerms)
		got := f.Rights(&Info{UID: tc.entry}, &Info{Mode: sticky, UID: tc.dir})
		if tc.want != (got&(MayDelete|MayRename) == MayDelete|MayRename) || !tc.want && got&(MayDelete|MayRename) != 0 {
			t.Errorf("%+v: got %b", tc, got)
		}
	}
}

func TestRightsFollowPerms(t *testing.T) {
	file, dir, link := Info{Mode: 0o777}, Info{Mode: fs.ModeDir | 0o777}, Info{Mode: fs.ModeSymlink | 0o777}
	for _, tc := range []struct {
		perms             userdb.Perms
		file, dir, inRoot Rights
	}{
		{0, 0, MayEnter, MayEnter},
		{userdb.PermList, 0, MayEnter | MayList, MayEnter | MayList},
		{userdb.PermRead, MayRead, MayEnter, MayEnter},
		{userdb.PermWrite, MayAppend | MayWrite, MayEnter | MayCreate, MayEnter | MayCreate},
		{userdb.PermDelete, MayDelete, MayEnter | MayPurge | MayDelete, MayEnter | MayPurge},
		{userdb.PermRename, MayRename, MayEnter | MayRename, MayEnter},
		{userdb.PermMkdir, 0, MayEnter | MayMkdir, MayEnter | MayMkdir},
		{userdb.PermChmod, 0, MayEnter, MayEnter},
	} {
		f := &FS{who: Identity{UID: 1001, GID: 1001}}
		f.SetPerms(tc.perms)
		if got := f.Rights(&file, &dir); got != tc.file {
			t.Errorf("%v: a file: %b, want %b", tc.perms, got, tc.file)
		}
		if got := f.Rights(&dir, &dir); got != tc.dir {
			t.Errorf("%v: a directory: %b, want %b", tc.perms, got, tc.dir)
		}
		if got := f.Rights(&dir, nil); got != tc.inRoot {
			t.Errorf("%v: the root: %b, want %b", tc.perms, got, tc.inRoot)
		}
		if got := f.Rights(&link, &dir); got != tc.file&(MayDelete|MayRename) {
			t.Errorf("%v: a link: %b", tc.perms, got)
		}
	}
}
