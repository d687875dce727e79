package vfs

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestSymlink looks at what is on disk: a link means the same from outside the
// home as from inside it, and leads nowhere else.
func TestSymlink(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/e")
		w.link("d/e", "/short")
		w.file("/f", "content")
		for _, c := range []struct{ target, path, stored string }{
			{"/f", "/a", "f"},
			{"f", "/b", "f"},
			{"/f", "/d/e/c", "../../f"},
			{"../../f", "/d/e/d", "../../f"},
			{"../../../../../f", "/d/e/e", "../../f"}, // above the root there is the root
			{"/f", "/short/f", "../../f"},             // the link is where the folder is
			{"/", "/d/root", ".."},
			{".", "/d/self", "."},
			{"/etc/passwd", "/d/passwd", "../etc/passwd"},
			{"nowhere", "/dangling", "nowhere"},
		} {
			w.must(w.fs.Symlink(c.target, c.path))
			real := strings.Replace(c.path, "/short/", "/d/e/", 1)
			if got, err := os.Readlink(w.home + real); err != nil || got != c.stored {
				t.Errorf("%s to %s holds %q, %v, not %q", c.path, c.target, got, err, c.stored)
			}
			if c.stored != "nowhere" && !strings.HasSuffix(c.stored, "f") {
				continue
			}
			_, err := w.fetch(c.path)
			if c.stored == "nowhere" {
				wantErr(t, "through a link to nothing", err, fs.ErrNotExist)
			} else if err != nil {
				t.Errorf("through %s: %v", c.path, err)
			}
		}
		wantErr(t, "a name that is taken", w.fs.Symlink("/f", "/d"), fs.ErrExist)
		wantErr(t, "in what is not there", w.fs.Symlink("/f", "/none/l"), fs.ErrNotExist)
		wantErr(t, "a reserved name", w.fs.Symlink("/f", "/"+tempPrefix+"x"), ErrName)
		wantErr(t, "to a reserved name", w.fs.Symlink("/"+tempPrefix+"x", "/l"), fs.ErrNotExist)
		wantErr(t, "to a name that is none", w.fs.Symlink("a\nb", "/l"), fs.ErrNotExist)
	})
}

func TestRelative(t *testing.T) {
	for _, c := range []struct{ dir, to, want string }{
		{"/", "/", "."}, {"/", "/a", "a"}, {"/a", "/", ".."}, {"/a", "/a", "."}, {"/a/b", "/a/c", "../c"},
		{"/a", "/ab", "../ab"}, {"/a/b/c", "/x/y", "../../../x/y"},
	} {
		if got := relative(c.dir, c.to); got != c.want {
			t.Errorf("from %s to %s: %q, not %q", c.dir, c.to, got, c.want)
		}
		if back := Clean(c.dir, relative(c.dir, c.to)); back != c.to {
			t.Errorf("from %s to %s leads to %s", c.dir, c.to, back)
		}
	}
}

func TestChgrp(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "")
		w.must(w.fs.Chgrp("/f", w.fs.who.GID))
		wantErr(t, "a group of others", w.fs.Chgrp("/f", 54321), ErrDenied)
		wantErr(t, "missing", w.fs.Chgrp("/none", w.fs.who.GID), fs.ErrNotExist)
	})
}

func TestSetUmask(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.must(w.fs.SetUmask(0o4027))
		w.must(errors.Join(w.store("/f", "x", How{}), w.fs.Mkdir("/d")))
		for path, want := range map[string]fs.FileMode{"/f": 0o640, "/d": fs.ModeDir | 0o750} {
			if in, err := w.fs.Stat(path); err != nil || in.Mode&(fs.ModeType|0o7777) != want {
				t.Errorf("%s has %v, %v, not %v", path, in.Mode, err, want)
			}
		}
	})
}

func TestStorable(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.file("/f", "content")
		for path, want := range map[string]error{
			"/f": nil, "/new": nil, "/d/new": nil, "/d": ErrIsDir, "/": ErrIsDir, "/new/": ErrIsDir,
			"/none/new": fs.ErrNotExist, "/f/new": syscall.ENOTDIR, "/" + quotaFile: ErrName,
		} {
			wantErr(t, path, w.fs.Storable(path), want)
		}
		if in, err := w.fs.Stat("/new"); err == nil || w.content("/f") != "content" {
			t.Errorf("asking made %v, or changed the file", in)
		}
	})
}

// What is written within a file keeps the rest, and what is hidden has its name
// at the end only, whatever the file system was opened with.
func TestWithinAndHidden(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for _, atomic := range []bool{false, true} {
			w.opts.NoTruncate = atomic
			w.open()
			w.file("/f", "0123456789")
			w.must(w.store("/f", "ab", How{Within: true}))
			if got := w.content("/f"); got != "ab23456789" {
				t.Errorf("within: %q", got)
			}
			up, err := w.fs.Write("/f", How{Hidden: true})
			w.must(err)
			w.must(up.Begin())
			_, err = up.File().WriteString("new")
			w.must(err)
			if got := w.content("/f"); got != "ab23456789" {
				t.Errorf("hidden, under way: %q", got)
			}
			w.must(up.Commit())
			if got := w.content("/f"); got != "new" {
				t.Errorf("hidden, at the end: %q", got)
			}
		}
	})
}
