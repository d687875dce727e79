package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A rehearsal says what would come of each operation, and nothing comes of it.
func TestRehearse(t *testing.T) {
	stored := func(path string, how How) func(*FS) error {
		return func(f *FS) error {
			u, err := f.Write(path, how)
			if err != nil {
				return err
			}
			if err := u.Begin(); err != nil {
				return err
			}
			if _, err := u.File().WriteString("new"); err != nil {
				return err
			}
			return u.Commit()
		}
	}
	ops := map[string]func(*FS) error{}
	for _, path := range []string{"/f", "/d", "/e", "/new", "/closed/f", "/closed/new", "/others/f", "/others/new", "/nosuch/new", "/link", "/gone"} {
		ops["store "+path] = stored(path, How{})
		ops["store hidden "+path] = stored(path, How{Hidden: true})
		ops["append "+path] = stored(path, How{Append: true})
		ops["resume "+path] = stored(path, How{Offset: 2})
		ops["unique "+path] = stored(path, How{Unique: true})
		ops["remove "+path] = func(f *FS) error { return f.Remove(path) }
		ops["remove folder "+path] = func(f *FS) error { return f.RemoveDir(path) }
		ops["make "+path] = func(f *FS) error { return f.Mkdir(path) }
		ops["chmod "+path] = func(f *FS) error { return f.Chmod(path, 0o700) }
		ops["touch "+path] = func(f *FS) error { return f.Chtimes(path, time.Unix(1e9, 0)) }
		ops["symlink "+path] = func(f *FS) error { return f.Symlink("/f", path) }
		ops["rename from "+path] = func(f *FS) error { return f.Rename(path, "/moved") }
		ops["rename to "+path] = func(f *FS) error { return f.Rename("/f", path) }
		ops["rename folder to "+path] = func(f *FS) error { return f.Rename("/e", path) }
	}
	names := make([]string, 0, len(ops))
	for name := range ops {
		names = append(names, name)
	}
	slices.Sort(names)
	eachWorld(t, func(t *testing.T, w *world) {
		kernel := !strings.Contains(t.Name(), "os.Root") // which looks at things in an order of its own
		for _, name := range names {
			w.must(os.RemoveAll(w.home))
			w.must(os.Mkdir(w.home, 0o755))
			w.own(w.home)
			for _, dir := range []string{"/d", "/e", "/closed", "/others"} {
				w.dir(dir)
			}
			for _, file := range []string{"/f", "/d/f", "/closed/f", "/others/f"} {
				w.file(file, "hello")
			}
			w.link("f", "/link")
			w.link("nosuch", "/gone")
			w.must(os.Chmod(w.home+"/closed", 0o555))
			if w.as != nil { // a folder as /tmp is
				w.must(os.Chown(w.home+"/others", 0, 0))
				w.must(os.Chown(w.home+"/others/f", 0, 0))
				w.must(os.Chmod(w.home+"/others", 0o777|fs.ModeSticky))
			}
			was := everything(t, w.home)
			w.opts.Rehearse = true
			said := ops[name](w.open())
			if now := everything(t, w.home); now != was {
				t.Fatalf("%s has changed\n%s\nto\n%s", name, was, now)
			}
			w.opts.Rehearse = false
			done := ops[name](w.open())
			if (said == nil) != (done == nil) || kernel && kind(said) != kind(done) {
				t.Errorf("%s: it says %v, and then it is %v", name, said, done)
			}
			os.Chmod(w.home+"/closed", 0o755)
		}
	})
}

// kind is what an error comes to for a client.
func kind(err error) error {
	for _, k := range []error{ErrDenied, ErrIsDir, ErrNotRegular, ErrOffset, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, syscall.ENOTDIR} {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}

// everything is what is below a folder, and how it is.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
