package vfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"

	"portreeve/server/ledger"
	"portreeve/userdb"
)

// counted gives the world an account with limits; only what is there by then is
// counted without the FS.
func (w *world) counted(files, bytes int64) *ledger.Account {
	w.t.Helper()
	l := ledger.New(slog.New(slog.DiscardHandler))
	w.t.Cleanup(l.Close)
	a := l.Open(userdb.At(w.t.TempDir()+"/users.db"), "joe")
	w.opts.Account = a
	a.Use(w.open(), ledger.Limits{Files: userdb.LimitOf(files), Bytes: userdb.LimitOf(bytes)})
	w.exact("at first")
	return a
}

// exact fails unless the account has what is on disk, and nothing is reserved.
func (w *world) exact(when string) {
	w.t.Helper()
	if err := w.opts.Account.Begin(); err != nil {
		w.t.Fatal(err)
	}
	defer w.opts.Account.End()
	held, _ := w.opts.Account.Usage()
	disk, err := w.fs.Count(context.Background(), nil)
	if held != disk || err != nil {
		w.t.Errorf("%s the account has %+v, the disk %+v, %v", when, held, disk, err)
	}
	limits, left := w.opts.Account.Limits(), w.opts.Account.Left()
	files, _ := limits.Files.Value()
	bytes, _ := limits.Bytes.Value()
	if left.Files != max(0, files-held.Files) || left.Bytes != max(0, bytes-held.Bytes) {
		w.t.Errorf("%s something stays reserved: %+v is left of %d and %d", when, left, files, bytes)
	}
}

// upload stores as the server does: it asks for room before it writes.
func (w *world) upload(path, content string, how How) error {
	u, err := w.fs.Write(path, how)
	if err != nil {
		return err
	}
	return w.send(u, content)
}

func (w *world) send(u *Upload, content string) error {
	err := u.Begin()
	if err == nil {
		n := u.Grow(int64(len(content)))
		if _, err = u.File().WriteString(content[:n]); err == nil && n < int64(len(content)) {
			err = ErrQuota
			w.must(u.Exceed())
		}
	}
	if err != nil {
		u.Discard()
		return err
	}
	return u.Commit()
}

// Whatever makes, changes or removes files, the account has what is on disk.
func TestAccountIsExact(t *testing.T) {
	ten := strings.Repeat("x", 10)
	both(t, func(t *testing.T, w *world) {
		w.file("/old", ten)
		w.dir("/d")
		w.link("old", "/l")
		w.file("/.ftpquota.x", "12345")
		w.counted(20, 100)
		for _, tc := range []struct {
			name string
			run  func() error
			err  error
		}{
			{"store", func() error { return w.upload("/a", ten, How{}) }, nil},
			{"store shorter", func() error { return w.upload("/a", "x", How{}) }, nil},
			{"store longer", func() error { return w.upload("/a", ten+ten, How{}) }, nil},
			{"store empty", func() error { return w.upload("/a", "", How{}) }, nil},
			{"append", func() error { return w.upload("/a", ten, How{Append: true}) }, nil},
			{"resume", func() error { return w.upload("/a", ten, How{Offset: 5}) }, nil},
			{"within", func() error { return w.upload("/a", "yy", How{Within: true}) }, nil},
			{"append to nothing", func() error { return w.upload("/b", "x", How{Append: true}) }, nil},
			{"unique", func() error { return w.upload("/d/", ten, How{Unique: true}) }, nil},
			{"hidden", func() error { return w.upload("/b", ten, How{Hidden: true}) }, nil},
			{"through a link", func() error { return w.upload("/l", ten+ten, How{}) }, nil},
			{"not over", func() error { return w.upload("/a", ten, How{NoReplace: true}) }, fs.ErrExist},
			{"behind the end", func() error { return w.upload("/a", ten, How{Offset: 99}) }, ErrOffset},
			{"into nothing", func() error { return w.upload("/none/a", ten, How{}) }, fs.ErrNotExist},
			{"onto a directory", func() error { return w.upload("/d", ten, How{}) }, ErrIsDir},
			{"too much", func() error { return w.upload("/c", strings.Repeat("x", 100), How{}) }, ErrQuota},
			{"too much again", func() error { return w.upload("/c", "x", How{}) }, ErrQuota},
			{"too much, as it says", func() error { return w.upload("/c", "x", How{Expect: 99}) }, ErrQuota},
			{"not too much, as it says", func() error { return w.upload("/c", "x", How{Expect: 2}) }, nil},
			{"too much appended", func() error { return w.upload("/c", strings.Repeat("y", 99), How{Append: true}) }, ErrQuota},
			{"too much over another", func() error { return w.upload("/c", strings.Repeat("y", 101), How{}) }, ErrQuota},
			{"make a directory", func() error { return w.fs.Mkdir("/e") }, nil},
			{"make it again", func() error { return w.fs.Mkdir("/e") }, fs.ErrExist},
			{"rename", func() error { return w.fs.Rename("/a", "/e/a") }, nil},
			{"rename onto itself", func() error { return w.fs.Rename("/e/a", "/e/a") }, nil},
			{"rename over another", func() error { return w.fs.Rename("/b", "/e/a") }, nil},
			{"rename a link over a file", func() error { return w.fs.Rename("/l", "/e/a") }, nil},
			{"rename a directory over one", func() error {
				err := errors.Join(w.fs.Mkdir("/g"), w.fs.Mkdir("/h"), w.fs.Rename("/g", "/h"))
				if errors.Is(err, fs.ErrExist) { // os.Root does not
					err = nil
				}
				return err
			}, nil},
			{"remove a link", func() error { return w.fs.Remove("/e/a") }, nil},
			{"remove a file", func() error { return w.fs.Remove("/old") }, nil},
			{"remove nothing", func() error { return w.fs.Remove("/old") }, fs.ErrNotExist},
			{"remove a directory as a file", func() error { return w.fs.Remove("/e") }, ErrIsDir},
			{"remove a directory", func() error { return w.fs.RemoveDir("/e") }, nil},
			{"make links", func() error { return w.fs.Symlink("/d", "/link") }, nil},
			{"a name that misleads", func() error { return w.fs.Mkdir("/x.ftpquota") }, ErrName},
		} {
			if err := tc.run(); !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Errorf("%s: %v, not %v", tc.name, err, tc.err)
			}
			w.exact(tc.name)
		}
		for _, name := range w.onDisk("/") {
			if strings.HasPrefix(name, tempPrefix) {
				t.Errorf("%s is left", name)
			}
		}
	})
}

func TestAccountFilesT171(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.file("/a", "1")
		w.counted(2, 100)
		w.must(w.upload("/b", "1", How{}))
		for _, how := range []How{{}, {Unique: true}, {Hidden: true}, {Append: true}} {
			wantErr(t, fmt.Sprintf("a third file: %+v", how), w.upload("/c", "1", how), ErrQuota)
		}
		wantErr(t, "a directory", w.fs.Mkdir("/d"), ErrQuota)
		w.must(w.upload("/b", "22", How{}))
		w.exact("in the end")
		if got := w.onDisk("/"); len(got) != 2 {
			t.Errorf("there are %q", got)
		}
	})
}

// What is given up at any point leaves nothing reserved.
func TestAccountGivesUp(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.file("/old", "12345")
		w.counted(5, 100)
		for _, path := range []string{"/new", "/old"} {
			for _, how := range []How{{}, {Expect: 50}, {Append: true}, {Hidden: true}} {
				for steps := range 3 {
					u, err := w.fs.Write(path, how)
					w.must(err)
					if steps > 0 {
						w.must(u.Begin())
					}
					if steps > 1 {
						n, err := u.File().WriteString("123456789"[:u.Grow(9)])
						if w.must(err); n != 9 {
							t.Errorf("there was room for %d", n)
						}
					}
					w.must(u.Discard())
					w.must(u.Discard())
					w.exact(fmt.Sprintf("%s %+v given up after %d steps", path, how, steps))
				}
			}
		}
	})
}

// A file that is to be replaced may go before that, and somebody else have its
// room: then there is none any more.
func TestAccountReplacesWhatIsGone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NoTruncate = true
		w.file("/f", strings.Repeat("o", 90))
		w.counted(5, 100)
		u, err := w.fs.Write("/f", How{})
		w.must(err)
		w.must(u.Begin())
		if n := u.Grow(100); n != 100 {
			t.Errorf("in the place of 90 there is room for %d", n)
		}
		second, err := w.fs.Write("/f", How{})
		wantErr(t, "a second one in its place", err, ErrQuota)
		if second != nil {
			second.Discard()
		}
		_, err = u.File().WriteString(strings.Repeat("n", 100))
		w.must(err)
		w.must(w.fs.Remove("/f"))
		w.must(w.upload("/other", strings.Repeat("x", 50), How{}))
		wantErr(t, "no more room", u.Commit(), ErrQuota)
		w.exact("in the end")
		if got := strings.Join(w.onDisk("/"), " "); got != "other" {
			t.Errorf("there are %s", got)
		}
	})
}

// A name that nobody had may be somebody's by the end, who is replaced, also where
// there is room for one of them only by then.
func TestAccountReplacesWhatCame(t *testing.T) {
	for _, less := range []bool{false, true} {
		t.Run(fmt.Sprintf("less=%v", less), func(t *testing.T) {
			eachWorld(t, func(t *testing.T, w *world) {
				w.opts.NoTruncate = true
				a := w.counted(2, 100)
				u, err := w.fs.Write("/f", How{})
				w.must(err)
				w.must(u.Begin())
				u.Grow(40)
				_, err = u.File().WriteString(strings.Repeat("n", 40))
				w.must(err)
				w.must(w.upload("/f", strings.Repeat("o", 60), How{}))
				if less {
					a.Use(w.fs, ledger.Limits{Files: userdb.LimitOf(1), Bytes: userdb.LimitOf(60)})
				}
				w.must(u.Commit())
				w.exact("in the end")
				if have, _ := a.Usage(); have != (userdb.Usage{Files: 1, Bytes: 40}) {
					t.Errorf("in the end there are %+v", have)
				}
			})
		})
	}
}

func TestCount(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/e")
		w.file("/d/e/f", "123")
		w.file("/a\nb", "4567")
		w.link("../outside", "/out")
		w.link("/", "/d/loop")
		w.file("/"+quotaFile, "9 9")
		w.file("/"+tempPrefix+"x", "hidden")
		for i := range countBatch + 10 {
			w.file(fmt.Sprintf("/d/e/%d", i), "x")
		}
		var said userdb.Usage
		got, err := w.fs.Count(t.Context(), func(u userdb.Usage) { said = u })
		want := userdb.Usage{Files: 4 + countBatch + 10, Bytes: 7 + countBatch + 10}
		if got != want || said != want || err != nil {
			t.Errorf("%+v, said %+v, %v, not %+v", got, said, err, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.fs.Count(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if w.as != nil || os.Getuid() != 0 {
			w.must(os.Chmod(w.home+"/d", 0))
			got, err := w.fs.Count(t.Context(), nil)
			if got != (userdb.Usage{Files: 2, Bytes: 4}) {
				t.Errorf("with a closed directory %+v", got)
			}
			wantErr(t, "a closed directory", err, fs.ErrPermission)
			w.must(os.Chmod(w.home+"/d", 0o755))
		}
	})
}

// What links lead to counts as pure-quotacheck counts it.
func TestCountThroughLinks(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/e")
		w.file("/d/f", "123")
		w.file("/d/"+quotaFile, "not counted")
		w.file("/"+tempPrefix+"x", "hidden")
		for _, l := range []struct{ to, at string }{
			{"d/f", "/again"}, {"again", "/and-again"}, {"nowhere", "/dangling"}, {"loop", "/loop"},
			{"d", "/folder"}, {"..", "/d/e/up"}, {".", "/root"}, {"../outside", "/out"},
		} {
			w.link(l.to, l.at)
		}
		// d, d/e, d/f, again, and-again and the hidden one
		got, err := w.fs.CountThroughLinks(t.Context())
		if want := (userdb.Usage{Files: 6, Bytes: 3*3 + 6}); got != want || err != nil {
			t.Errorf("%+v, %v, not %+v", got, err, want)
		}
		if w.as != nil || os.Getuid() != 0 {
			w.must(os.Chmod(w.home+"/d/e", 0))
			got, err := w.fs.CountThroughLinks(t.Context())
			if got != (userdb.Usage{Files: 5, Bytes: 3*3 + 6}) {
				t.Errorf("with a closed directory %+v", got)
			}
			wantErr(t, "a closed directory", err, fs.ErrPermission)
			w.must(os.Chmod(w.home+"/d/e", 0o755))
		}
	})
}

// A directory stays one that can be counted.
func TestCountedDirectoriesStayOpen(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.counted(5, 5)
		w.must(w.fs.SetUmask(0o777))
		w.must(w.fs.Mkdir("/d"))
		for range 2 {
			in, err := w.fs.Stat("/d")
			if w.must(err); in.Mode.Perm() != 0o500 {
				t.Errorf("its mode is %o", in.Mode.Perm())
			}
			w.must(w.fs.Chmod("/d", 0))
		}
	})
}

func TestUsageFile(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		_, err := w.fs.ReadUsage()
		wantErr(t, "none", err, fs.ErrNotExist)
		w.must(w.fs.WriteUsage(userdb.Usage{Files: 1, Bytes: 2}))
		_, err = w.fs.ReadUsage()
		wantErr(t, "not wanted", err, fs.ErrNotExist)
		w.opts.KeepUsage = true
		w.open()
		for range 2 {
			w.must(w.fs.WriteUsage(userdb.Usage{Files: 12, Bytes: 345}))
		}
		if got := w.content("/" + quotaFile); got != "12 345\n" {
			t.Errorf("it is %q", got)
		}
		if got, err := w.fs.ReadUsage(); err != nil || got != (userdb.Usage{Files: 12, Bytes: 345}) {
			t.Errorf("%+v, %v", got, err)
		}
		if names := w.onDisk("/"); len(names) != 1 {
			t.Errorf("there are %q", names)
		}
		in, err := os.Stat(w.home + "/" + quotaFile)
		if w.must(err); in.Mode().Perm() != 0o600 {
			t.Errorf("its mode is %o", in.Mode().Perm())
		}
		w.must(os.Remove(w.home + "/" + quotaFile))
		w.link("/../outside/secret", "/"+quotaFile)
		if _, err := w.fs.ReadUsage(); err == nil {
			t.Error("a link was followed")
		}
	})
}

func FuzzParseUsage(f *testing.F) {
	for _, text := range []string{"", "1", "1 2", "1 2\n", "1 2\r\n", "1  2", "-1 2", "1 2 3", "x", "9223372036854775807 1", "9223372036854775808 1", "1 2\n\n", "+1 2", "1_0 2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUsage(text)
		if err != nil {
			if u != (userdb.Usage{}) {
				t.Errorf("%q is refused and grants %+v", text, u)
			}
			return
		}
		var files, bytes int64
		if n, err := fmt.Sscanf(text, "%d %d", &files, &bytes); n != 2 || err != nil || u != (userdb.Usage{Files: files, Bytes: bytes}) || files < 0 || bytes < 0 {
			t.Errorf("%q is %+v", text, u)
		}
	})
}

// BenchmarkStoreCounted is BenchmarkStore for a user with a quota.
func BenchmarkStoreCounted(b *testing.B) {
	home := publicDir(b)
	if err := os.Chmod(home, 0o777); err != nil {
		b.Fatal(err)
	}
	l := ledger.New(slog.New(slog.DiscardHandler))
	defer l.Close()
	for _, quota := range []bool{false, true} {
		b.Run(fmt.Sprintf("quota=%v", quota), func(b *testing.B) {
			a := l.Open(userdb.At(b.TempDir()+"/users.db"), "joe")
			o := Options{Caged: true, Perms: userdb.AllPerms, NoTruncate: true, Account: a}
			if os.Getuid() == 0 {
				o.As = joe
			}
			f, err := Open(home, o)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if quota {
				a.Use(f, ledger.Limits{Bytes: userdb.LimitOf(1 << 40)})
				defer a.Part(f)
			}
			b.ReportAllocs()
			defer cpuTime(b)()
			for b.Loop() {
				u, err := f.Write("/f", How{})
				if err == nil {
					u.Grow(4)
					err = finish(u, "data")
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			f.Remove("/f")
		})
	}
}
