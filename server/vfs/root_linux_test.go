package vfs

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProcFD takes the way of kernels that cannot change what an O_PATH
// descriptor names.
func TestProcFD(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		r, ok := w.fs.root.(linuxRoot)
		if !ok {
			return
		}
		w.file("/f", "")
		at := time.Unix(1_000_000_000, 0)
		w.must(w.fs.do(func() error {
			fd, err := r.resolve("/f", unix.O_PATH)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(at.UnixNano())}
			return errors.Join(unix.Chmod(procFD(fd), 0o640), unix.UtimesNanoAt(unix.AT_FDCWD, procFD(fd), ts, 0))
		}))
		if in := w.lstat("/f"); in.Mode != 0o640 || !in.ModTime.Equal(at) {
			t.Errorf("got %v, %v", in.Mode, in.ModTime)
		}
	})
}

func TestChtimesLeavesTheTimeOfAccess(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "")
		at := time.Unix(1_000_000_000, 0)
		w.must(os.Chtimes(w.home+"/f", at, time.Now()))
		w.must(w.fs.Chtimes("/f", time.Unix(5, 0)))
		in, err := os.Stat(w.home + "/f")
		w.must(err)
		if got := in.Sys().(*syscall.Stat_t).Atim; int64(got.Sec) != at.Unix() {
			t.Errorf("the time of access is %v", got)
		}
	})
}

// TestRenameByLink takes the way of file systems that cannot rename without
// replacing.
func TestRenameByLink(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		r, ok := w.fs.root.(linuxRoot)
		if !ok {
			return
		}
		for _, path := range []string{"/d", "/d/sub", "/e"} {
			w.dir(path)
		}
		w.file("/d/f", "f")
		w.file("/e/taken", "taken")
		w.link("nowhere", "/d/link")
		try := func(old, name string) error {
			return w.fs.do(func() error {
				from, err := r.dir("/d")
				if err != nil {
					return err
				}
				defer from.close()
				to, err := r.dir("/e")
				if err != nil {
					return err
				}
				defer to.close()
				return renameByLink(from.(linuxDir), old, to.(linuxDir), name)
			})
		}
		for _, tc := range []struct {
			old, name string
			want      error
		}{
			{"f", "taken", fs.ErrExist},
			{"sub", "taken", fs.ErrExist},
			{"missing", "new", fs.ErrNotExist},
			{"f", "f", nil},
			{"sub", "sub", nil},
			{"link", "link", nil},
		} {
			if err := try(tc.old, tc.name); !errors.Is(err, tc.want) {
				t.Errorf("%s to %s: %v, want %v", tc.old, tc.name, err, tc.want)
			}
		}
		if len(w.onDisk("/d")) != 0 || len(w.onDisk("/e")) != 4 || w.content("/e/taken") != "taken" || w.content("/e/f") != "f" {
			t.Errorf("there are %q and %q", w.onDisk("/d"), w.onDisk("/e"))
		}
	})
}

// TestFilesAreForTheKernel: an upload may splice, which O_APPEND forbids, and
// none of the files polls.
func TestFilesAreForTheKernel(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "0123456789")
		u, err := w.fs.Write("/f", How{Append: true})
		w.must(err)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		w.must(err)
		defer ln.Close()
		go func() {
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err == nil {
				io.WriteString(conn, "from the net")
				conn.Close()
			}
		}()
		conn, err := ln.Accept()
		w.must(err)
		defer conn.Close()
		w.must(u.Begin())
		if n, err := u.File().ReadFrom(conn); err != nil || n != 12 {
			t.Errorf("ReadFrom = %d, %v", n, err)
		}
		flags, err := unix.FcntlInt(u.File().Fd(), unix.F_GETFL, 0)
		w.must(err)
		w.must(u.Commit())
		if flags&unix.O_APPEND != 0 {
			t.Error("the file is open for appending")
		}
		if _, ok := w.fs.root.(linuxRoot); ok && flags&unix.O_NONBLOCK != 0 {
			t.Error("the file is not open for blocking")
		}
		if got := w.content("/f"); got != "0123456789from the net" {
			t.Errorf("stored %q", got)
		}
	})
}

// FuzzResolve looks up any path in a home full of links, through both roots:
// they must agree, and find nothing but what is in the home.
func FuzzResolve(f *testing.F) {
	home := publicDir(f) + "/home"
	inside := map[uint64]bool{}
	for _, err := range []error{
		os.MkdirAll(home+"/d/e/f", 0o755),
		os.MkdirAll(home+"/etc", 0o755),
		os.WriteFile(home+"/etc/passwd", nil, 0o644),
		os.WriteFile(home+"/d/e/g", nil, 0o644),
		os.Symlink("/d/e", home+"/a"),
		os.Symlink("../../../d", home+"/b"),
		os.Symlink("/", home+"/d/c"),
		os.Symlink("../../..", home+"/d/e/u"),
		os.Symlink("a/../b/e/./u//d/c/a", home+"/m"),
		os.Symlink("l", home+"/l"),
		os.Symlink("/etc/passwd", home+"/p"),
		os.Symlink("/proc/self/root/etc/passwd", home+"/q"),
		os.Symlink("nowhere", home+"/n"),
		os.Symlink(home, home+"/h"),
		filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			in, err := d.Info()
			if err == nil {
				inside[in.Sys().(*syscall.Stat_t).Ino] = true
			}
			return err
		}),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	opts := Options{Caged: true}
	one, err := open(home, opts, openRoot)
	if err != nil {
		f.Fatal(err)
	}
	two, err := open(home, opts, openOSRoot)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"/", "a/g", "b/e/g", "d/c/d/c/p", "m/g", "l", "p", "q", "n", "h/d", "../../etc/passwd",
		"d/e/u/u/etc/passwd", "a/../a/..", "p/x", "d/e/g/..", "/proc/self/root", "a\x00b", "d/e/u/d/c/m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for name, stat := range map[string]func(*FS, string) (Info, error){"stat": (*FS).Stat, "lstat": (*FS).Lstat} {
			a, errA := stat(one, path)
			b, errB := stat(two, path)
			a.Created = b.Created // os.Root does not know it
			if (errA == nil) != (errB == nil) || errors.Is(errA, fs.ErrNotExist) != errors.Is(errB, fs.ErrNotExist) || a != b {
				t.Errorf("%s %q: %+v, %v by openat2, %+v, %v by os.Root", name, path, a, errA, b, errB)
			}
			if errA == nil && !inside[a.Ino] {
				t.Errorf("%s %q found %+v, which is not in the home", name, path, a)
			}
		}
	})
}
