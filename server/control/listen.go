package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Returned by Listen.
var (
	// ErrInUse: another daemon answers on the socket, or holds it.
	ErrInUse = errors.New("another daemon is using it")
	// ErrNotSocket: the path names something that is not a socket, and is left alone.
	ErrNotSocket = errors.New("it exists and is not a socket")
)

// answerTime bounds the dial that looks for another daemon. A local socket
// answers at once or not at all, unless its queue is full.
const answerTime = 2 * time.Second

// Listen makes the Unix socket at path, with the given permissions and group (-1
// leaves the group as it comes). Where a daemon uses the path already it returns
// ErrInUse; a socket that a dead one left is replaced. The folder is made if only
// it is missing. Closing the listener removes the socket if it is still ours.
//
// A lock on the file beside the socket (path + ".lock"), held until Close, makes
// looking and replacing one step: without it, of two daemons that start together,
// each could find the socket dead, and the later would remove the earlier's.
func Listen(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	l, err := listen(path, mode, gid)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	if most := len(syscall.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return nil, fmt.Errorf("the path is longer than the %d bytes a socket's may have", most)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, err
	}
	l := &listener{path: path, lock: lock}
	if err := l.replace(mode, gid); err != nil {
		lock.release()
		return nil, err
	}
	return l, nil
}

// A listener removes what it made, and nothing else.
type listener struct {
	*net.UnixListener
	path string
	file fs.FileInfo // the socket in the folder
	lock *lock
	once sync.Once
}

// replace puts a listening socket at l.path, if nobody answers there. It is
// bound in a private folder, made what it shall be, and only then moved: at no
// moment is it more open than asked, and no umask of the whole process is turned.
func (l *listener) replace(mode fs.FileMode, gid int) error {
	switch old, err := os.Lstat(l.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case old.Mode().Type() != fs.ModeSocket:
		return ErrNotSocket
	case answers(l.path):
		return ErrInUse
	}
	// The name is no longer than ours was, as a socket's path must be short.
	dir, err := os.MkdirTemp(filepath.Dir(l.path), ".s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	if l.UnixListener, err = net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"}); err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // it would remove whatever has the name by then
	if err := l.publish(made, mode, gid); err != nil {
		l.UnixListener.Close()
		return err
	}
	return nil
}

func (l *listener) publish(made string, mode fs.FileMode, gid int) (err error) {
	if gid >= 0 {
		if err := os.Lchown(made, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(made, mode.Perm()); err != nil {
		return err
	}
	if l.file, err = os.Lstat(made); err != nil {
		return err
	}
	return os.Rename(made, l.path)
}

// answers reports whether somebody takes connections at path. Whatever is not a
// plain refusal counts as an answer, since the price of an error there is to
// take the socket from a daemon that lives.
func answers(path string) bool {
	conn, err := net.DialTimeout("unix", path, answerTime)
	if err == nil {
		conn.Close()
	}
	return !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist)
}

// Addr names the path that clients use, not the one at which it was bound.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the socket, unless the path has become
// another's.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.file) {
			os.Remove(l.path)
		}
		err = l.UnixListener.Close()
		l.lock.release()
	})
	return err
}

// A lock is an exclusive lock on a file, which is there as long as the lock is.
type lock struct{ file *os.File }

// acquire takes the lock at path, or returns ErrInUse.
func acquire(path string) (*lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = ErrInUse
			}
			return nil, err
		}
		// Who held it may have removed the file between our open and our lock;
		// then we hold a lock that nobody else will see.
		held, err := f.Stat()
		if err == nil {
			if now, statErr := os.Lstat(path); statErr == nil && os.SameFile(held, now) {
				return &lock{f}, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

func (l *lock) release() {
	os.Remove(l.file.Name()) // while we hold it, so that it is ours
	l.file.Close()
}
