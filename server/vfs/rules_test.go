package vfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// looks and changes are what can be done to the path p, or to what is in it if it
// is a folder.
var looks = []struct {
	name string
	do   func(w *world, p string) error
}{
	{"stat", func(w *world, p string) error { _, err := w.fs.Stat(p); return err }},
	{"lstat", func(w *world, p string) error { _, err := w.fs.Lstat(p); return err }},
	{"read", func(w *world, p string) error { _, err := w.fetch(p); return ignore(err, ErrIsDir) }},
	{"chdir", func(w *world, p string) error { return ignore(w.fs.Chdir(p), syscall.ENOTDIR) }},
	{"list", func(w *world, p string) error {
		l, err := w.fs.List(p, ListOptions{})
		if err == nil {
			l.Close()
		}
		return ignore(err, syscall.ENOTDIR)
	}},
	{"free", func(w *world, p string) error { _, err := w.fs.Free(p); return err }},
}

var changes = []struct {
	name string
	do   func(w *world, p string) error
}{
	{"store", func(w *world, p string) error { return ignore(w.store(p, "x", How{}), ErrIsDir) }},
	{"append", func(w *world, p string) error { return ignore(w.store(p, "x", How{Append: true}), ErrIsDir) }},
	{"storable", func(w *world, p string) error { return ignore(w.fs.Storable(p), ErrIsDir) }},
	{"mkdir", func(w *world, p string) error { return ignore(w.fs.Mkdir(p), fs.ErrExist) }},
	{"chmod", func(w *world, p string) error { return w.fs.Chmod(p, 0o755) }},
	{"chtimes", func(w *world, p string) error { return w.fs.Chtimes(p, time.Unix(1, 0)) }},
	{"rename to", func(w *world, p string) error { return w.fs.Rename("/other", p) }},
	{"link at", func(w *world, p string) error { return ignore(w.fs.Symlink("/f", p), fs.ErrExist) }},
	{"rename", func(w *world, p string) error { return w.fs.Rename(p, "/moved") }},
	{"remove", func(w *world, p string) error {
		return ignore(w.fs.Remove(p), ErrIsDir, fs.ErrNotExist, syscall.EPERM)
	}},
	{"rmdir", func(w *world, p string) error {
		return ignore(w.fs.RemoveDir(p), syscall.ENOTDIR, syscall.ENOTEMPTY, fs.ErrNotExist)
	}},
}

// ignore is err, unless it says only that the thing is of the wrong kind.
func ignore(err error, unless ...error) error {
	for _, e := range unless {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// dotty are paths that the rules are about: by their names, and by those of what
// links lead to.
var dotty = []string{"/.f", "/.d", "/.d/f", "/d/.f", "/toD/f", "/d/../.f"}

func (w *world) dots() {
	w.t.Helper()
	for _, d := range []string{"/.d", "/d"} {
		w.dir(d)
		w.file(d+"/f", "f")
		w.file(d+"/.f", "dot")
	}
	w.file("/.f", "dot")
	w.file("/f", "f")
	w.file("/other", "other")
	w.link(".d", "/toD")
	w.link("/.f", "/toF")
	w.link("d", "/toPlain")
}

func TestDotRules(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dots()
		w.opts.NoDotWrite = true
		w.open()
		for _, p := range append(slices.Clone(dotty), "/toF") {
			for _, op := range looks {
				wantErr(t, op.name+" "+p, op.do(w, p), nil)
			}
		}
		for _, p := range dotty {
			for _, op := range changes {
				wantErr(t, op.name+" "+p, op.do(w, p), ErrDot)
			}
		}
		wantErr(t, "store through a link", w.store("/toF", "x", How{}), ErrDot)
		wantErr(t, "chmod through a link", w.fs.Chmod("/toF", 0), ErrDot)
		wantErr(t, "a new one", w.store("/.new", "x", How{}), ErrName)

		w.opts.NoDotRead = true
		w.open()
		for _, p := range append(slices.Clone(dotty), "/toF") {
			for _, op := range looks {
				if op.name == "lstat" && p == "/toF" { // the link itself has no dot
					continue
				}
				wantErr(t, op.name+" "+p, op.do(w, p), ErrDot)
			}
		}
		for _, p := range []string{"/f", "/d/f", "/toPlain/f", "/toPlain", "/d"} {
			for _, op := range looks {
				wantErr(t, op.name+" "+p, op.do(w, p), nil)
			}
		}
		if names := w.names("/", ListOptions{Hidden: true}); !slices.Contains(names, ".f") {
			t.Errorf("the folder that holds them lists %q", names)
		}
		text, err := w.fs.ReadText("/.f", 10) // what the server shows is the administrator's
		if string(text) != "dot" || err != nil {
			t.Errorf("ReadText: %q, %v", text, err)
		}
		l, err := w.fs.List("/", ListOptions{Follow: true})
		w.must(err)
		for e := range l.Entries() {
			if (e.Name == "toF" || e.Name == "toD") != e.IsLink() {
				t.Errorf("%s is described as %v", e.Name, e.Mode)
			}
		}
		for _, op := range changes {
			if err := op.do(w, "/toPlain/f"); errors.Is(err, ErrName) {
				t.Errorf("%s without a dot: %v", op.name, err)
			}
		}
	})
}

// TestDotRulesWhereTheHomeHasADot: the way to where a user starts is not his choice.
func TestDotRulesWhereTheHomeHasADot(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/.in")
		w.dir("/.in/d")
		w.file("/.in/f", "f")
		w.file("/.in/.f", "dot")
		w.link(".in", "/to")
		w.file("/.beside", "dot")
		w.opts.NoDotRead, w.opts.NoDotWrite = true, true
		for _, start := range []string{"/.in", "/to"} {
			f, err := open(w.home+"/."+start, w.opts, w.openRoot)
			w.must(err)
			defer f.Close()
			w.fs = f
			wantErr(t, start+": a file", ignore(w.store(start+"/f", "x", How{})), nil)
			wantErr(t, start+": chdir", f.Chdir(start+"/d"), nil)
			wantErr(t, start+": a dot file", w.store(start+"/.f", "x", How{}), ErrDot)
			wantErr(t, start+": beside it", w.store("/.beside", "x", How{}), ErrDot)
		}
	})
}

func TestDotRights(t *testing.T) {
	w := newWorld(t, openRoot, nil)
	dir := &Info{Name: ".", Mode: fs.ModeDir | 0o777}
	for _, tc := range []struct {
		name  string
		rules Rules
		want  Rights
	}{
		{".f", Rules{}, MayRead | MayWrite | MayAppend | MayDelete | MayRename},
		{".f", Rules{NoDotWrite: true}, MayRead},
		{".f", Rules{NoDotWrite: true, NoDotRead: true}, 0},
		{"f", Rules{NoDotWrite: true, NoDotRead: true}, MayRead | MayWrite | MayAppend | MayDelete | MayRename},
		{"f", Rules{KeepFiles: true}, MayRead | MayWrite | MayAppend | MayRename},
		{"f", Rules{NotOwn: true}, MayWrite | MayAppend | MayDelete | MayRename},
	} {
		w.opts.Rules = tc.rules
		f := w.open()
		if got := f.Rights(&Info{Name: tc.name, Mode: 0o666, UID: f.who.UID}, dir); got != tc.want {
			t.Errorf("%s with %+v: %b, want %b", tc.name, tc.rules, got, tc.want)
		}
	}
}

func TestKeepFiles(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.file("/f", "old")
		w.link("f", "/link")
		w.opts.KeepFiles = true
		w.open()
		wantErr(t, "remove", w.fs.Remove("/f"), ErrDenied)
		wantErr(t, "remove a link", w.fs.Remove("/link"), ErrDenied)
		wantErr(t, "replace", w.store("/f", "new", How{}), nil)
		wantErr(t, "rename", w.fs.Rename("/f", "/g"), nil)
		wantErr(t, "remove a folder", w.fs.RemoveDir("/d"), nil)
		if got := w.content("/g"); got != "new" {
			t.Errorf("the file holds %q", got)
		}
	})
}

func TestModeRules(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.file("/f", "f")
		mode := func(p string) fs.FileMode {
			in, err := w.fs.Stat(p)
			w.must(err)
			return in.Mode.Perm()
		}
		w.opts.KeepOwner = true
		w.open()
		w.must(w.fs.Chmod("/f", 0o044))
		w.must(w.fs.Chmod("/d", 0))
		if f, d := mode("/f"), mode("/d"); f != 0o644 || d != 0o700 {
			t.Errorf("modes are %o and %o", f, d)
		}
		w.must(w.fs.SetUmask(0o777))
		w.must(w.store("/new", "x", How{}))
		w.must(w.fs.Mkdir("/newd"))
		if f, d := mode("/new"), mode("/newd"); f != 0o600 || d != 0o700 {
			t.Errorf("modes of new ones are %o and %o", f, d)
		}

		w.opts.KeepOwner, w.opts.NoChmod = false, true
		w.open()
		wantErr(t, "chmod", w.fs.Chmod("/f", 0o600), ErrDenied)
		wantErr(t, "chgrp", w.fs.Chgrp("/f", os.Getgid()), ErrDenied)
		wantErr(t, "umask", w.fs.SetUmask(0), ErrDenied)
		wantErr(t, "times", w.fs.Chtimes("/f", time.Unix(1, 0)), nil)
	})
}

func TestNotOwn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NotOwn = true
		w.open()
		w.must(w.store("/mine", "x", How{}))
		_, err := w.fetch("/mine")
		wantErr(t, "read", err, ErrUnapproved)
		wantErr(t, "read", err, fs.ErrPermission)
		if _, err := w.fs.Stat("/mine"); err != nil {
			t.Errorf("stat: %v", err)
		}
		if os.Getuid() != 0 {
			return
		}
		w.must(os.WriteFile(w.home+"/given", []byte("x"), 0o644))
		w.must(os.Chown(w.home+"/given", 4711, 4711))
		if got, err := w.fetch("/given"); got != "x" || err != nil {
			t.Errorf("what is another's: %q, %v", got, err)
		}
	})
}
