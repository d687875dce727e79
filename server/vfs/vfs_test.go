package vfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portreeve/userdb"
)

func TestOperations(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "hello")
		w.dir("/d")
		w.dir("/d/sub")
		w.file("/d/g", "inner")
		w.link("f", "/rel")
		w.link("/d/g", "/abs")
		w.link("../../../d", "/climb")
		w.link("nowhere", "/dangling")
		w.link("loop", "/loop")
		w.link("self", "/self")
		w.must(syscall.Mkfifo(w.home+"/fifo", 0o666))
		w.own(w.home + "/fifo")

		f := w.fs
		read := func(path string) error { _, err := w.fetch(path); return err }
		stat := func(path string) error { _, err := f.Stat(path); return err }
		lstat := func(path string) error { _, err := f.Lstat(path); return err }
		list := func(path string) error {
			l, err := f.List(path, ListOptions{})
			if err == nil {
				err = l.Close()
			}
			return err
		}
		rename := func(to string) func(string) error {
			return func(path string) error { return f.Rename(path, to) }
		}
		store := func(path string) error { return w.store(path, "x", How{}) }
		for _, tc := range []struct {
			what string
			op   func(path string) error
			path string
			want error
		}{
			{"stat", stat, "/", nil},
			{"stat", stat, "/f", nil},
			{"stat", stat, "/rel", nil},
			{"stat", stat, "/abs", nil},
			{"stat", stat, "/climb/g", nil},
			{"stat", stat, "/missing", fs.ErrNotExist},
			{"stat", stat, "/dangling", fs.ErrNotExist},
			{"stat", stat, "/loop", syscall.ELOOP},
			{"stat", stat, "/f/x", syscall.ENOTDIR},
			{"stat", stat, "/a\nb", fs.ErrNotExist},
			{"stat", stat, "/a\x00b", fs.ErrNotExist},
			{"stat", stat, "/" + strings.Repeat("n", 256), fs.ErrNotExist},
			{"stat", stat, strings.Repeat("/n", 2100), fs.ErrNotExist},
			{"lstat", lstat, "/", nil},
			{"lstat", lstat, "/dangling", nil},
			{"lstat", lstat, "/loop", nil},
			{"lstat", lstat, "/climb/g", nil},
			{"chdir", f.Chdir, "/", nil},
			{"chdir", f.Chdir, "/d", nil},
			{"chdir", f.Chdir, "/d/", nil},
			{"chdir", f.Chdir, "/climb", nil},
			{"chdir", f.Chdir, "/f", syscall.ENOTDIR},
			{"chdir", f.Chdir, "/abs", syscall.ENOTDIR},
			{"chdir", f.Chdir, "/missing", fs.ErrNotExist},
			{"read", read, "/f", nil},
			{"read", read, "/rel", nil},
			{"read", read, "/abs", nil},
			{"read", read, "/climb/sub/../g", nil},
			{"read", read, "/../../f", nil},
			{"read", read, "/f/", ErrIsDir},
			{"read", read, "/d", ErrIsDir},
			{"read", read, "/", ErrIsDir},
			{"read", read, "/fifo", ErrNotRegular},
			{"read", read, "/missing", fs.ErrNotExist},
			{"read", read, "/loop", syscall.ELOOP},
			{"list", list, "/", nil},
			{"list", list, "/d", nil},
			{"list", list, "/climb", nil},
			{"list", list, "/f", syscall.ENOTDIR},
			{"list", list, "/missing", fs.ErrNotExist},
			{"mkdir", f.Mkdir, "/new", nil},
			{"mkdir", f.Mkdir, "/climb/new", nil},
			{"mkdir", f.Mkdir, "/new", fs.ErrExist},
			{"mkdir", f.Mkdir, "/f", fs.ErrExist},
			{"mkdir", f.Mkdir, "/dangling", fs.ErrExist},
			{"mkdir", f.Mkdir, "/", fs.ErrExist},
			{"mkdir", f.Mkdir, "/x/y", fs.ErrNotExist},
			{"mkdir", f.Mkdir, "/a\rb", ErrName},
			{"mkdir", f.Mkdir, "/" + strings.Repeat("n", 256), ErrName},
			{"mkdir", f.Mkdir, strings.Repeat("/n", 2100), ErrName},
			{"mkdir", f.Mkdir, "/.ftpquota", ErrName},
			{"mkdir", f.Mkdir, "/.pureftpd-upload.1", ErrName},
			{"rmdir", f.RemoveDir, "/d", syscall.ENOTEMPTY},
			{"rmdir", f.RemoveDir, "/f", syscall.ENOTDIR},
			{"rmdir", f.RemoveDir, "/climb", syscall.ENOTDIR},
			{"rmdir", f.RemoveDir, "/missing", fs.ErrNotExist},
			{"rmdir", f.RemoveDir, "/", ErrDenied},
			{"rmdir", f.RemoveDir, "/new", nil},
			{"remove", f.Remove, "/d", ErrIsDir},
			{"remove", f.Remove, "/missing", fs.ErrNotExist},
			{"remove", f.Remove, "/.ftpquota", fs.ErrNotExist},
			{"remove", f.Remove, "/", ErrDenied},
			{"remove", f.Remove, "/climb", nil},
			{"remove", f.Remove, "/dangling", nil},
			{"rename", rename("/g"), "/f", nil},
			{"rename", rename("/f"), "/g", nil},
			{"rename", rename("/d/sub/x"), "/d", syscall.EINVAL},
			{"rename", rename("/x/y"), "/f", fs.ErrNotExist},
			{"rename", rename("/a\x1bb"), "/f", ErrName},
			{"rename", rename("/.ftpquota"), "/f", ErrName},
			{"rename", rename("/"), "/f", fs.ErrExist},
			{"rename", rename("/y"), "/", ErrDenied},
			{"rename", rename("/y"), "/missing", fs.ErrNotExist},
			{"rename", rename("/loop2"), "/loop", nil},
			{"store", store, "/", ErrIsDir},
			{"store", store, "/d", ErrIsDir},
			{"store", store, "/new/", ErrIsDir},
			{"store", store, "/fifo", ErrNotRegular},
			{"store", store, "/x/y", fs.ErrNotExist},
			{"store", store, "/f/y", syscall.ENOTDIR},
			{"store", store, "/self", syscall.ELOOP},
			{"store", store, "/\x7f", ErrName},
			{"store", store, "/.pureftpd-upload.x/f", ErrName},
		} {
			wantErr(t, tc.what+" "+tc.path[:min(len(tc.path), 40)], tc.op(tc.path), tc.want)
		}
		if got := w.content("/d/g"); got != "inner" {
			t.Errorf("/d/g holds %q", got)
		}
	})
}

func TestStat(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "12345")
		w.link("/f", "/link")
		at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		w.must(os.Chtimes(w.home+"/f", at, at))
		w.must(os.Chmod(w.home+"/f", 0o640|fs.ModeSetuid))
		host, err := os.Stat(w.home + "/f")
		w.must(err)
		sys := host.Sys().(*syscall.Stat_t)

		in, err := w.fs.Stat("/link")
		w.must(err)
		if age := time.Since(in.Created); !in.Created.IsZero() && (age < -time.Minute || age > time.Minute) {
			t.Errorf("a new file was created at %s", in.Created)
		}
		in.ModTime, in.Created = in.ModTime.UTC(), time.Time{}
		want := Info{Name: "link", Mode: 0o640 | fs.ModeSetuid, Size: 5, ModTime: at, Nlink: 1,
			UID: int(sys.Uid), GID: int(sys.Gid), Dev: uint64(sys.Dev), Ino: sys.Ino}
		if in != want {
			t.Errorf("Stat = %+v, want %+v", in, want)
		}
		if in, err = w.fs.Lstat("/link"); err != nil || !in.IsLink() {
			t.Errorf("Lstat of a link = %+v, %v", in, err)
		}
		if in, err = w.fs.Stat("/"); err != nil || in.Name != "/" || !in.IsDir() {
			t.Errorf("Stat of the root = %+v, %v", in, err)
		}
	})
}

func TestModesComeFromOptions(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		old := syscall.Umask(0o077) // whatever the process has
		defer syscall.Umask(old)
		for _, atomic := range []bool{false, true} {
			w.opts.NoTruncate, w.opts.FileUmask, w.opts.DirUmask = atomic, 0o113, 0o002
			w.open()
			w.must(w.store("/f", "x", How{}))
			w.must(w.store("/a", "x", How{Append: true}))
			w.must(w.fs.Mkdir("/d"))
			for path, want := range map[string]fs.FileMode{"/f": 0o664, "/a": 0o664, "/d": fs.ModeDir | 0o775} {
				if in, err := w.fs.Stat(path); err != nil || in.Mode != want {
					t.Errorf("NoTruncate %t: %s has mode %v, %v; want %v", atomic, path, in.Mode, err, want)
				}
			}
			w.must(errors.Join(w.fs.Remove("/f"), w.fs.Remove("/a"), w.fs.RemoveDir("/d")))
		}
	})
}

func TestMkdirKeepsTheGroupOfAShare(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/share")
		w.must(os.Chmod(w.home+"/share", 0o775|fs.ModeSetgid))
		old := syscall.Umask(0o077)
		defer syscall.Umask(old)
		w.must(w.fs.Mkdir("/share/d"))
		if in, err := w.fs.Stat("/share/d"); err != nil || in.Mode != fs.ModeDir|fs.ModeSetgid|0o755 {
			t.Errorf("mode is %v, %v", in.Mode, err)
		}
	})
}

func TestChmodAndChtimes(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "")
		w.link("f", "/link")
		w.dir("/d")
		w.must(os.Chmod(w.home+"/d", 0o755|fs.ModeSetgid))
		w.must(os.Chmod(w.home+"/f", 0o755|fs.ModeSetuid|fs.ModeSticky))
		w.must(w.fs.Chmod("/link", 0o4600|fs.ModeSetuid|fs.ModeSticky))
		w.must(w.fs.Chmod("/d", 0o700))
		at := time.Date(1999, 12, 31, 23, 59, 58, 0, time.UTC)
		w.must(w.fs.Chtimes("/link", at))
		w.must(w.fs.Chtimes("/d", at))
		for path, want := range map[string]fs.FileMode{"/f": 0o600, "/d": fs.ModeDir | fs.ModeSetgid | 0o700} {
			if in, err := w.fs.Stat(path); err != nil || in.Mode != want || !in.ModTime.Equal(at) {
				t.Errorf("%s has %v, %v, %v", path, in.Mode, in.ModTime, err)
			}
		}
		wantErr(t, "chmod missing", w.fs.Chmod("/missing", 0o600), fs.ErrNotExist)
		wantErr(t, "chtimes missing", w.fs.Chtimes("/missing", at), fs.ErrNotExist)
		if w.as != nil || os.Getuid() != 0 { // root may
			w.must(w.fs.Chmod("/f", 0))
			_, err := w.fetch("/f")
			wantErr(t, "read what has no mode", err, fs.ErrPermission)
			w.must(w.fs.Chmod("/f", 0o200)) // no right to read is needed
		}
	})
}

func TestFree(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		var st syscall.Statfs_t
		w.must(syscall.Statfs(w.home, &st))
		want := int64(st.Bavail) * int64(st.Bsize)
		got, err := w.fs.Free("/")
		if err != nil || got < want/2 || got > want*2 { // others write meanwhile
			t.Errorf("Free = %d, %v, want about %d", got, err, want)
		}
		_, err = w.fs.Free("/missing")
		wantErr(t, "free of missing", err, fs.ErrNotExist)
	})
}

func TestHome(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/sub")
		w.file("/sub/f", "x")
		home := w.home
		for _, tc := range []struct {
			home  string
			caged bool
			start string // "" for no home
			holds string
		}{
			{home, true, "/", "/sub/f"},
			{home + "/", true, "/", "/sub/f"},
			{home + "/./", false, "/", "/sub/f"}, // the mark alone makes a cage
			{home + "/./sub", true, "/sub", "/sub/f"},
			{home + "/./missing", true, "/", "/sub/f"},
			{home + "/./../..", true, "/", "/sub/f"},
			{home + "/sub", false, home + "/sub", home + "/sub/f"},
			{home + "/missing", true, "", ""},
			{home + "/missing", false, "", ""},
			{home + "/sub/f", true, "", ""},
			{"sub", true, "", ""},
			{"", false, "", ""},
		} {
			w.home, w.opts.Caged = tc.home, tc.caged
			f, err := open(w.home, w.opts, w.openRoot)
			if tc.start == "" {
				if !errors.Is(err, ErrNoHome) {
					t.Errorf("Open(%q) = %v, want ErrNoHome", tc.home, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("Open(%q): %v", tc.home, err)
				continue
			}
			if f.Home() != tc.start {
				t.Errorf("Open(%q).Home() = %q, want %q", tc.home, f.Home(), tc.start)
			}
			if _, err := f.Stat(tc.holds); err != nil {
				t.Error(err)
			}
			f.Close()
		}
	})
}

func TestHomeMustBeEnterable(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		if w.as == nil && os.Getuid() == 0 {
			return // root enters everywhere
		}
		w.must(os.Chmod(w.home, 0o600))
		_, err := open(w.home, w.opts, w.openRoot)
		if !errors.Is(err, ErrNoHome) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Open = %v", err)
		}
		w.must(os.Chmod(w.home, 0o700))
	})
}

// TestClose: what was begun before Close goes on, and nothing after it.
func TestClose(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NoTruncate = true
		w.open()
		w.file("/f", "x")
		u, err := w.fs.Write("/u", How{})
		w.must(err)
		l, err := w.fs.List("/", ListOptions{})
		w.must(err)
		for range 3 {
			w.must(w.fs.Close())
		}
		var names []string
		for e := range l.Entries() {
			names = append(names, e.Name)
		}
		w.must(l.Err())
		if !slices.Equal(names, []string{"f"}) {
			t.Errorf("listed %q", names)
		}
		w.must(finish(u, "late"))
		if got := w.content("/u"); got != "late" {
			t.Errorf("stored %q", got)
		}
		_, err = w.fs.Stat("/")
		wantErr(t, "stat after all is closed", err, fs.ErrClosed)
		_, err = w.fs.Write("/v", How{})
		wantErr(t, "store after all is closed", err, fs.ErrClosed)
		_, err = w.fs.List("/", ListOptions{})
		wantErr(t, "list after all is closed", err, fs.ErrClosed)
	})
}

// TestPerms tries every operation with every permission alone, and without it.
func TestPerms(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ops := map[string]struct {
			need userdb.Perms
			run  func() error
		}{
			"stat":  {0, func() error { _, err := w.fs.Stat("/f"); return err }},
			"lstat": {0, func() error { _, err := w.fs.Lstat("/f"); return err }},
			"chdir": {0, func() error { return w.fs.Chdir("/d") }},
			"link":  {0, func() error { _, err := w.fs.Readlink("/l"); return err }},
			"free":  {0, func() error { _, err := w.fs.Free("/"); return err }},
			"list": {userdb.PermList, func() error {
				l, err := w.fs.List("/", ListOptions{})
				if err == nil {
					l.Close()
				}
				return err
			}},
			"read":    {userdb.PermRead, func() error { _, err := w.fetch("/f"); return err }},
			"store":   {userdb.PermWrite, func() error { return w.store("/f", "f", How{}) }},
			"append":  {userdb.PermWrite, func() error { return w.store("/f", "f", How{Append: true}) }},
			"resume":  {userdb.PermWrite, func() error { return w.store("/f", "f", How{Offset: 1}) }},
			"unique":  {userdb.PermWrite, func() error { return w.store("/d/", "f", How{Unique: true}) }},
			"remove":  {userdb.PermDelete, func() error { return w.fs.Remove("/f") }},
			"rmdir":   {userdb.PermDelete, func() error { return w.fs.RemoveDir("/empty") }},
			"rename":  {userdb.PermRename, func() error { return w.fs.Rename("/f", "/g") }},
			"mkdir":   {userdb.PermMkdir, func() error { return w.fs.Mkdir("/new") }},
			"chmod":   {userdb.PermChmod, func() error { return w.fs.Chmod("/f", 0o600) }},
			"umask":   {userdb.PermChmod, func() error { return w.fs.SetUmask(0o022) }},
			"chgrp":   {userdb.PermChmod, func() error { return w.fs.Chgrp("/f", w.fs.who.GID) }},
			"symlink": {userdb.PermWrite, func() error { return w.fs.Symlink("/f", "/g") }},
			"may":     {userdb.PermWrite, func() error { return w.fs.Storable("/f") }},
			"chtimes": {userdb.PermChmod, func() error { return w.fs.Chtimes("/f", time.Unix(1, 0)) }},
		}
		w.dir("/d")
		w.link("f", "/l")
		for name, op := range ops {
			for _, with := range []bool{true, false} {
				w.must(os.RemoveAll(w.home + "/new"))
				w.must(os.RemoveAll(w.home + "/g"))
				w.must(os.RemoveAll(w.home + "/f"))
				w.must(os.RemoveAll(w.home + "/empty"))
				w.file("/f", "content")
				w.dir("/empty")
				before := w.content("/f")
				w.opts.Perms = op.need
				if !with {
					w.opts.Perms = userdb.AllPerms &^ op.need
				}
				w.open()
				if w.fs.Perms() != w.opts.Perms {
					t.Error("Perms are not what was given")
				}
				err := op.run()
				if with || op.need == 0 {
					wantErr(t, name, err, nil)
					continue
				}
				wantErr(t, name+" without permission", err, ErrDenied)
				wantErr(t, name+" without permission", err, fs.ErrPermission)
				if got := w.content("/f"); got != before {
					t.Errorf("%s without permission changed the file", name)
				}
			}
		}
	})
}

func TestRenameReplaces(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for _, tc := range []struct {
			perms userdb.Perms
			auto  bool
			want  error
		}{
			{userdb.AllPerms, false, nil},
			{userdb.PermRename | userdb.PermWrite, false, nil},
			{userdb.PermRename | userdb.PermDelete, false, nil},
			{userdb.PermRename, false, fs.ErrExist},
			{userdb.AllPerms, true, fs.ErrExist},
		} {
			w.file("/a", "a")
			w.file("/b", "b")
			w.opts.Perms, w.opts.AutoRename = tc.perms, tc.auto
			w.open()
			wantErr(t, tc.perms.String(), w.fs.Rename("/a", "/b"), tc.want)
			if tc.want == nil && w.content("/b") != "a" {
				t.Error("not replaced")
			}
			if tc.want != nil && w.content("/b")+w.content("/a") != "ba" {
				t.Error("something has changed")
			}
		}
		w.dir("/d")
		w.dir("/e")
		wantErr(t, "rename onto a directory", w.fs.Rename("/d", "/e"), fs.ErrExist)
		wantErr(t, "rename a directory", w.fs.Rename("/d", "/new"), nil)
	})
}

func TestReadlink(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/e")
		w.link("d", "/jump")
		for i, tc := range []struct{ in, target, want string }{
			{"/", "f", "f"},
			{"/d/e", "../../f", "../../f"},
			{"/d/e", "../../../f", "?"},
			{"/d/e", "x/../../../../f", "?"},
			{"/jump", "../f", "../f"},
			{"/jump/e", "../../../f", "?"},
			{"/", w.home, "/"},
			{"/", w.home + "/d/x", "/d/x"},
			{"/", w.home + "2/x", "?"},
			{"/", w.outside, "?"},
			{"/", "/etc/passwd", "?"},
			{"/", "/d/e", "/d/e"}, // leads there in a cage
			{"/", "a\nb", "?"},
		} {
			path := join(tc.in, "link"+string(rune('a'+i)))
			w.link(tc.target, path)
			if got, err := w.fs.Readlink(path); err != nil || got != tc.want {
				t.Errorf("link %s -> %s is shown as %q, %v; want %q", path, tc.target, got, err, tc.want)
			}
		}
		_, err := w.fs.Readlink("/d")
		wantErr(t, "readlink of a directory", err, syscall.EINVAL)
		_, err = w.fs.Readlink("/")
		wantErr(t, "readlink of the root", err, syscall.EINVAL)

		w.opts.Caged = false
		w.open()
		if got, err := w.fs.Readlink(w.home + "/linkk"); err != nil || got != "/etc/passwd" {
			t.Errorf("without a cage a link is shown as %q, %v", got, err)
		}
	})
}

// What an account may do changes under its operations, for those that begin later;
// an upload that is under way ends well.
func TestSetPerms(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "hello")
		up, err := w.fs.Write("/up", How{})
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var busy sync.WaitGroup
		busy.Go(func() { // the race detector is what looks
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = w.fs.Stat("/f")
					_ = w.fs.Mkdir("/made")
				}
			}
		})
		w.fs.SetPerms(userdb.PermList)
		close(stop)
		busy.Wait()
		wantErr(t, "store", w.store("/g", "x", How{}), ErrDenied)
		_, err = w.fetch("/f")
		wantErr(t, "read", err, ErrDenied)
		if err := up.Commit(); err != nil {
			t.Errorf("the upload that was under way: %v", err)
		}
		w.fs.SetPerms(userdb.AllPerms)
		wantErr(t, "store again", w.store("/g", "x", How{}), nil)
	})
}
