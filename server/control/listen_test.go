package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// leaveStale makes a socket as a daemon leaves it that was killed.
func leaveStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("folder holds %v, want %v", names, want)
	}
}

func TestListen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run") // made for us
	path := filepath.Join(dir, "s")
	l, err := Listen(path, 0o640, -1)
	if err != nil {
		t.Fatal(err)
	}
	only(t, dir, "s", "s.lock")
	if got := l.Addr().String(); got != path {
		t.Errorf("Addr is %s, want %s", got, path)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	only(t, dir)
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

// TestListenMode asks for modes under umasks that would spoil them.
func TestListenMode(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
			path := filepath.Join(t.TempDir(), "s")
			old := syscall.Umask(umask)
			l, err := Listen(path, mode, -1)
			syscall.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != fs.ModeSocket|mode {
				t.Errorf("umask %03o: mode %v, %v, want %v", umask, info.Mode(), err, mode)
			}
			l.Close()
		}
	}
}

func TestListenGroup(t *testing.T) {
	gid := os.Getgid()
	if os.Getuid() == 0 {
		gid = 54321
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, 0o660, gid)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); int(st.Gid) != gid || int(st.Uid) != os.Getuid() {
		t.Errorf("owner %d:%d, want %d:%d", st.Uid, st.Gid, os.Getuid(), gid)
	}
	if os.Getuid() != 0 {
		if l, err := Listen(filepath.Join(t.TempDir(), "s"), 0o660, 54321); err == nil {
			l.Close()
			t.Error("gave the socket to a group that is not ours")
		}
	}
}

func TestListenReplacesStale(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	leaveStale(t, path)
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil { // of the same death
		t.Fatal(err)
	}
	l, err := Listen(path, 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	only(t, dir)
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	ours := filepath.Join(dir, "ours")
	l, err := Listen(ours, 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// Another program's, which knows no lock.
	theirs := filepath.Join(dir, "theirs")
	other, err := net.Listen("unix", theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Symlink(file, locked+".lock"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		want error
	}{
		{ours, ErrInUse},
		{theirs, ErrInUse},
		{file, ErrNotSocket},
		{link, ErrNotSocket},
		{folder, ErrNotSocket},
		{locked, syscall.ELOOP}, // a lock that leads elsewhere is not followed
		{filepath.Join(dir, strings.Repeat("x", 120)), nil},
	} {
		l, err := Listen(test.path, 0o600, -1)
		if err == nil {
			l.Close()
		}
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.path) {
			t.Errorf("%s: %v, want %v", test.path, err, test.want)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "dear" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	for _, path := range []string{ours, theirs} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Errorf("who was there first is gone: %v", err)
			continue
		}
		conn.Close()
	}
}

// TestCloseRemovesOnlyOurs puts other things under the name meanwhile.
func TestCloseRemovesOnlyOurs(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"nothing": func(string) error { return nil },
		"a file":  func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a socket": func(path string) error {
			other, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				other.SetUnlinkOnClose(false)
				other.Close()
			}
			return err
		},
	} {
		path := filepath.Join(t.TempDir(), "s")
		l, err := Listen(path, 0o600, -1)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, path+".old"); err != nil { // keeps the inode from coming back
			t.Fatal(err)
		}
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Lstat(path)
		if err := l.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		after, _ := os.Lstat(path)
		if (before == nil) != (after == nil) {
			t.Errorf("%s: was %v, is %v", name, before, after)
		}
	}
}

// TestListenAtOnce starts many at the same instant, over a stale socket: one
// wins, and its socket is the one that answers.
func TestListenAtOnce(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		path := filepath.Join(dir, "s")
		leaveStale(t, path)
		var won atomic.Pointer[net.Listener]
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for range 10 {
			wg.Go(func() {
				<-begin
				l, err := Listen(path, 0o600, -1)
				switch {
				case err == nil && !won.CompareAndSwap(nil, &l):
					t.Error("two listen")
				case err != nil && !errors.Is(err, ErrInUse):
					t.Error(err)
				}
			})
		}
		close(begin)
		wg.Wait()
		l := won.Load()
		if l == nil {
			t.Fatal("nobody listens")
		}
		accepted := make(chan error)
		go func() {
			conn, err := (*l).Accept()
			if err == nil {
				conn.Close()
			}
			accepted <- err
		}()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-accepted; err != nil {
			t.Error(err)
		}
		conn.Close()
		(*l).Close()
		only(t, dir)
	}
}
