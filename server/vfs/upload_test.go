package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// onDisk returns all names in a directory of the home, hidden ones too.
func (w *world) onDisk(path string) (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(w.home + path)
	w.must(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// both runs a test with and without NoTruncate in each world.
func both(t *testing.T, run func(t *testing.T, w *world)) {
	eachWorld(t, func(t *testing.T, w *world) {
		for _, atomic := range []bool{false, true} {
			t.Run(fmt.Sprintf("NoTruncate=%t", atomic), func(t *testing.T) {
				w := newWorld(t, w.openRoot, w.as)
				w.opts.NoTruncate = atomic
				w.open()
				run(t, w)
			})
		}
	})
}

// TestStore is the table of RFC 3659, section 5, and of what is there before.
func TestStore(t *testing.T) {
	const old = "0123456789"
	both(t, func(t *testing.T, w *world) {
		for _, tc := range []struct {
			name   string
			exists bool
			how    How
			data   string
			want   string
			err    error
			offset int64
		}{
			{"new", false, How{}, "new", "new", nil, 0},
			{"empty", false, How{}, "", "", nil, 0},
			{"over", true, How{}, "short", "short", nil, 0},
			{"over with nothing", true, How{}, "", "", nil, 0},
			{"append", true, How{Append: true}, "++", "0123456789++", nil, 10},
			{"append new", false, How{Append: true}, "++", "++", nil, 0},
			{"resume", true, How{Offset: 4}, "XY", "0123XY6789", nil, 4},
			{"resume at the end", true, How{Offset: 10}, "XY", "0123456789XY", nil, 10},
			{"resume over the end", true, How{Offset: 9}, "XYZ", "012345678XYZ", nil, 9},
			{"resume behind the end", true, How{Offset: 11}, "XY", old, ErrOffset, 0},
			{"resume nothing", false, How{Offset: 2}, "XY", "", ErrOffset, 0},
			{"append at a marker", true, How{Append: true, Offset: 2}, "++", "01++456789", nil, 2},
			{"append behind the end", true, How{Append: true, Offset: 11}, "++", old, ErrOffset, 0},
			{"not over", true, How{NoReplace: true}, "x", old, fs.ErrExist, 0},
			{"not over, new", false, How{NoReplace: true}, "x", "x", nil, 0},
			{"not append", true, How{NoReplace: true, Append: true}, "x", old, fs.ErrExist, 0},
		} {
			w.must(os.RemoveAll(w.home + "/f"))
			if tc.exists {
				w.file("/f", old)
			}
			u, err := w.fs.Write("/f", tc.how)
			if err == nil {
				whole := !tc.how.Append && tc.how.Offset == 0
				if u.Replaces() != (w.opts.NoTruncate && tc.exists && whole) {
					t.Errorf("%s: Replaces says %t", tc.name, u.Replaces())
				}
				if u.Offset() != tc.offset || u.Name() != "/f" {
					t.Errorf("%s: begins at %d of %s", tc.name, u.Offset(), u.Name())
				}
				err = finish(u, tc.data)
				wantErr(t, tc.name+": second commit", u.Commit(), fs.ErrClosed)
				w.must(u.Discard()) // has nothing left to do
			}
			wantErr(t, tc.name, err, tc.err)
			if tc.err != nil && !tc.exists {
				if _, err := os.Lstat(w.home + "/f"); err == nil {
					t.Errorf("%s: a refused upload made a file", tc.name)
				}
			} else if got := w.content("/f"); got != tc.want {
				t.Errorf("%s: stored %q, want %q", tc.name, got, tc.want)
			}
			if names := w.onDisk("/"); len(names) > 1 {
				t.Errorf("%s: left behind %q", tc.name, names)
			}
		}
	})
}

// TestOldContent: when it goes, and what stays of a broken upload.
func TestOldContent(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		atomic := w.opts.NoTruncate
		expect := func(when, inPlace, hidden string) {
			t.Helper()
			want := inPlace
			if atomic {
				want = hidden
			}
			got := "none"
			if b, err := os.ReadFile(w.home + "/f"); err == nil {
				got = string(b)
			}
			if got != want {
				t.Errorf("%s the file holds %q, want %q", when, got, want)
			}
		}
		write := func(how How) *Upload {
			t.Helper()
			u, err := w.fs.Write("/f", how)
			w.must(err)
			return u
		}
		begin := func(u *Upload) {
			t.Helper()
			w.must(u.Begin())
			_, err := u.File().WriteString("new")
			w.must(err)
		}

		w.must(write(How{}).Discard())
		expect("after no data for a new file", "none", "none")
		w.must(write(How{Append: true}).Discard())
		expect("after no data to append", "none", "none")
		u := write(How{})
		begin(u)
		expect("in an upload", "new", "none")
		w.must(u.Discard())
		expect("after a broken upload", "new", "none")

		w.file("/f", "old content")
		w.must(write(How{}).Discard())
		expect("after no data", "old content", "old content")
		u = write(How{})
		expect("before the data", "old content", "old content")
		begin(u)
		expect("in an upload", "new", "old content")
		w.must(u.Discard())
		expect("after a broken upload", "new", "old content")

		w.file("/f", "old content")
		u = write(How{Offset: 1})
		begin(u)
		w.must(u.Discard())
		expect("after a broken resumption", "onewcontent", "onewcontent")

		// Somebody else's file by now.
		u = write(How{Append: true})
		w.must(u.Discard())
		w.must(os.Remove(w.home + "/f"))
		u = write(How{})
		w.must(os.RemoveAll(w.home + "/f"))
		w.file("/f", "another")
		w.must(u.Discard())
		expect("after a discarded upload", "another", "another")

		if names := w.onDisk("/"); !slices.Equal(names, []string{"f"}) {
			t.Errorf("left behind %q", names)
		}
	})
}

func TestReplacedFileKeepsItsMode(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.file("/f", "old")
		w.must(os.Chmod(w.home+"/f", 0o660|fs.ModeSetuid))
		w.must(w.store("/f", "new", How{}))
		if in, err := w.fs.Stat("/f"); err != nil || in.Mode.Perm() != 0o660 {
			t.Errorf("mode is %v, %v", in.Mode, err)
		}
		if in, _ := w.fs.Stat("/f"); w.opts.NoTruncate && in.Mode&fs.ModeSetuid != 0 {
			t.Error("a new file is set-uid")
		}
	})
}

func TestStoreThroughLinks(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.file("/d/f", "old")
		w.link("d/f", "/rel")
		w.link("/d/f", "/abs")
		w.link("../../d/rel2", "/climb")
		w.link("../abs", "/d/rel2")
		w.link("d/new", "/dangling")
		w.link("d", "/dir")
		for _, path := range []string{"/rel", "/abs", "/climb", "/dir/f"} {
			wantErr(t, path, w.store(path, "by "+path, How{}), nil)
			if got := w.content("/d/f"); got != "by "+path {
				t.Errorf("stored %q by %s", got, path)
			}
			if in, err := w.fs.Lstat(path); err != nil || in.IsLink() != (path != "/dir/f") {
				t.Errorf("%s is no link any more: %v, %v", path, in.Mode, err)
			}
		}
		wantErr(t, "dangling", w.store("/dangling", "x", How{}), fs.ErrNotExist)
		wantErr(t, "append to dangling", w.store("/dangling", "x", How{Append: true}), fs.ErrNotExist)
		wantErr(t, "resume dangling", w.store("/dangling", "x", How{Offset: 1}), ErrOffset)
		wantErr(t, "a directory", w.store("/dir", "x", How{}), ErrIsDir)
		wantErr(t, "into the directory", w.store("/dir/new", "x", How{}), nil)
		if names := w.onDisk("/d"); !slices.Equal(names, []string{"f", "new", "rel2"}) {
			t.Errorf("in /d are %q", names)
		}
	})
}

func TestAutoRename(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.opts.AutoRename = true
		w.open()
		for i, want := range []string{"/f", "/f.1", "/f.2", "/f.3"} {
			u, err := w.fs.Write("/f", How{})
			w.must(err)
			w.must(finish(u, fmt.Sprint(i)))
			if u.Name() != want || w.content(want) != fmt.Sprint(i) {
				t.Errorf("stored as %s, want %s", u.Name(), want)
			}
		}
		w.must(os.Remove(w.home + "/f.1")) // holes are filled
		w.link("nowhere", "/f.4")
		var wg sync.WaitGroup
		names := make([]string, 6)
		for i := range names {
			wg.Go(func() {
				u, err := w.fs.Write("/f", How{})
				if err == nil {
					err = finish(u, "x")
				}
				if err != nil {
					t.Error(err)
					return
				}
				names[i] = u.Name()
			})
		}
		wg.Wait()
		slices.Sort(names)
		if want := []string{"/f.1", "/f.5", "/f.6", "/f.7", "/f.8", "/f.9"}; !slices.Equal(names, want) {
			t.Errorf("stored as %q, want %q", names, want)
		}
		if got := w.content("/f"); got != "0" {
			t.Errorf("the first holds %q", got)
		}
		u, err := w.fs.Write("/f.4", How{})
		w.must(err)
		w.must(finish(u, "x"))
		w.link("f", "/link")
		v, err := w.fs.Write("/link", How{})
		w.must(err)
		w.must(finish(v, "x"))
		if u.Name() != "/f.4.1" || v.Name() != "/link.1" {
			t.Errorf("beside links stored as %q and %q", u.Name(), v.Name())
		}
		// What goes on with a file is meant for that file.
		w.must(w.store("/f", "+", How{Append: true}))
		w.must(w.store("/f", "-", How{Offset: 1}))
		if got := w.content("/f"); got != "0-" {
			t.Errorf("the first holds %q", got)
		}
		long := "/" + strings.Repeat("n", maxName)
		w.must(w.store(long, "x", How{}))
		wantErr(t, "a name too long to be numbered", w.store(long, "x", How{}), ErrName)
		for _, name := range w.onDisk("/") {
			if reserved(name) {
				t.Errorf("left behind %q", name)
			}
		}
	})
}

func TestUnique(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.dir("/d")
		seen := map[string]bool{}
		for _, tc := range []struct{ path, prefix string }{
			{"/d/h6", "/d/h6."},
			{"/d/h6", "/d/h6."},
			{"/d/", "/d/stou."},
			{"/", "/stou."},
			{"/d/" + strings.Repeat("n", maxName), "/d/" + strings.Repeat("n", maxName-9) + "."},
			{"/d/x" + strings.Repeat("é", 127), "/d/x" + strings.Repeat("é", 122) + "."},
		} {
			u, err := w.fs.Write(tc.path, How{Unique: true})
			w.must(err)
			name := u.Name()
			w.must(finish(u, "data"))
			if u.Name() != name || seen[name] || !strings.HasPrefix(name, tc.prefix) || len(path.Base(name)) > maxName {
				t.Errorf("a unique name for %.40q is %q, and then %q", tc.path, name, u.Name())
			}
			seen[name] = true
			if got := w.content(name); got != "data" {
				t.Errorf("%s holds %q", name, got)
			}
		}
		u, err := w.fs.Write("/d/gone", How{Unique: true})
		w.must(err)
		w.must(u.Discard())
		if names := w.onDisk("/d"); len(names) != 5 {
			t.Errorf("left behind: %q", names)
		}
		_, err = w.fs.Write("/d/.ftpquota", How{Unique: true})
		wantErr(t, "unique reserved name", err, ErrName)
		_, err = w.fs.Write("/x/", How{Unique: true})
		wantErr(t, "unique name in a missing directory", err, fs.ErrNotExist)
	})
}

// TestUniqueDoesNotReplace: even if its name is taken while data comes.
func TestUniqueDoesNotReplace(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NoTruncate = true
		w.open()
		u, err := w.fs.Write("/h", How{Unique: true})
		w.must(err)
		w.file(u.Name(), "mine")
		wantErr(t, "commit", finish(u, "data"), fs.ErrExist)
		if got := w.content(u.Name()); got != "mine" {
			t.Errorf("replaced by %q", got)
		}
		if names := w.onDisk("/"); len(names) != 1 {
			t.Errorf("left behind %q", names)
		}
	})
}

// TestCommitFails where the name has become a directory.
func TestCommitFails(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NoTruncate = true
		w.open()
		u, err := w.fs.Write("/f", How{})
		w.must(err)
		w.dir("/f")
		if err := finish(u, "data"); err == nil {
			t.Error("a file replaced a directory")
		}
		if names := w.onDisk("/"); !slices.Equal(names, []string{"f"}) {
			t.Errorf("left behind %q", names)
		}
	})
}

// TestSameName: the last commit wins, whole, and nothing is left over.
func TestSameName(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const size = 100_000
		files := openFiles(t)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for round := range 20 {
					u, err := w.fs.Write("/f", How{})
					if err != nil {
						t.Error(err)
						return
					}
					if round%5 == 4 {
						err = u.Discard()
					} else {
						err = finish(u, strings.Repeat(string(rune('a'+i)), size))
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := openFiles(t); n > files { // fewer, if the collector has closed some of other tests
			t.Errorf("%d files were open before, %d after", files, n)
		}
		got := w.content("/f")
		if w.opts.NoTruncate && (len(got) != size || strings.Trim(got, got[:1]) != "") {
			t.Errorf("%d bytes of several uploads", len(got))
		}
		if names := w.onDisk("/"); !slices.Equal(names, []string{"f"}) {
			t.Errorf("left behind %q", names)
		}
	})
}

// openFiles counts the descriptors of the process, where it can.
func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(fds)
}

// TestNoDescriptorLeaks goes through the ways to fail.
func TestNoDescriptorLeaks(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/sub")
		w.file("/f", "x")
		w.link("nowhere", "/dangling")
		w.link("d/../../x/y", "/lost")
		files := openFiles(t)
		for _, path := range []string{"/f", "/d", "/dangling", "/lost", "/f/x", "/d/f", "/missing/x", "/\n"} {
			for _, how := range []How{{}, {Append: true}, {Offset: 9}, {NoReplace: true}, {Unique: true}} {
				if u, err := w.fs.Write(path, how); err == nil {
					u.Discard()
				}
			}
			if file, _, err := w.fs.Read(path); err == nil {
				file.Close()
			}
			if l, err := w.fs.List(path, ListOptions{Targets: true, Follow: true}); err == nil {
				for range l.Entries() {
					break
				}
			}
			w.fs.Chdir(path)
			w.fs.Stat(path)
			w.fs.Lstat(path)
			w.fs.Readlink(path)
			w.fs.Rename(path, path+"/x/y")
			w.fs.Rename(path, "/missing/x")
			w.fs.RemoveDir(path)
			w.fs.Mkdir(path)
			w.fs.Chmod(path+"x", 0o600)
			w.fs.Chtimes(path+"x", time.Now())
			w.fs.Free(path)
		}
		if n := openFiles(t); n > files { // fewer, if the collector has closed some of other tests
			t.Errorf("%d files were open before, %d after", files, n)
		}
	})
}

func TestHiddenFilesAreHidden(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NoTruncate = true
		w.open()
		w.file("/.ftpquota", "1 2")
		w.file("/.x", "")
		u, err := w.fs.Write("/f", How{})
		w.must(err)
		defer u.Discard()
		hidden := "/" + u.temp
		if names := w.onDisk("/"); len(names) != 3 || names[1] != u.temp {
			t.Fatalf("on disk are %q, and %q", names, u.temp)
		}
		for _, opt := range []ListOptions{{Hidden: true}, {Hidden: true, Sort: Unsorted}, {Match: ".*"}, {Match: ".pure*", Hidden: true, NamesOnly: true}} {
			for _, name := range w.names("/", opt) {
				if name != ".x" {
					t.Errorf("listed %q", name)
				}
			}
		}
		for _, path := range []string{hidden, "/.ftpquota"} {
			_, stat := w.fs.Stat(path)
			_, _, read := w.fs.Read(path)
			for _, err := range []error{stat, read, w.fs.Remove(path), w.fs.Rename(path, "/x"), w.fs.Chmod(path, 0o777)} {
				wantErr(t, path, err, fs.ErrNotExist)
			}
			wantErr(t, path, w.store(path, "x", How{}), ErrName)
		}
		wantErr(t, "remove what is being stored in", w.fs.RemoveDir("/"), ErrDenied)
	})
}

// TestLeftovers: those of a daemon that is gone are removed, those of an
// upload in progress and of other servers are not.
func TestLeftovers(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.NoTruncate = true
		w.open()
		long := time.Now().Add(-2 * leftoverAge)
		leave := func(name string, at time.Time) string {
			w.file("/d/"+name, "x")
			w.must(os.Chtimes(w.home+"/d/"+name, at, at))
			return name
		}
		w.dir("/d")
		stale := leave(tempPrefix+token(tempToken), long)
		fresh := leave(tempPrefix+token(tempToken), time.Now())
		foreign := leave(tempPrefix+"1.2.3", long)
		link := tempPrefix + token(tempToken)
		w.link(foreign, "/d/"+link)
		u, err := w.fs.Write("/d/f", How{})
		w.must(err)
		live := u.temp
		w.must(os.Chtimes(w.home+"/d/"+live, long, long)) // a client that is slow

		wantErr(t, "remove with uploads in it", w.fs.RemoveDir("/d"), fs.ErrExist)
		if w.names("/d", ListOptions{Hidden: true}) != nil {
			t.Error("something hidden is listed")
		}
		got, want := w.onDisk("/d"), []string{fresh, foreign, live, link}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q, without %s", got, want, stale)
		}
		w.must(finish(u, "data"))
		w.must(errors.Join(w.fs.Remove("/d/f"), os.Remove(w.home+"/d/"+foreign),
			os.Remove(w.home+"/d/"+fresh), os.Remove(w.home+"/d/"+link)))

		for range 3 * maxLeftovers {
			leave(tempPrefix+token(tempToken), long)
		}
		w.names("/d", ListOptions{})
		if n := len(w.onDisk("/d")); n != 2*maxLeftovers {
			t.Errorf("one listing left %d of them", n)
		}
		w.must(w.fs.RemoveDir("/d"))
	})
}

func TestUploadOutlivesTheNameOfItsDirectory(t *testing.T) {
	w := newWorld(t, openRoot, nil)
	w.opts.NoTruncate = true
	w.open()
	w.dir("/d")
	u, err := w.fs.Write("/d/f", How{})
	w.must(err)
	w.must(w.fs.Rename("/d", "/e"))
	err = finish(u, "data")
	if errors.Is(err, fs.ErrNotExist) {
		return // os.Root, which knows directories by name
	}
	w.must(err)
	if got := w.content("/e/f"); got != "data" {
		t.Errorf("stored %q", got)
	}
}
