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
// ErrInUse; a socket that a dead one left is replaced. The folder is made if it
// is missing. Closing the listener removes the socket if it is still ours.
//
// A lock on the file beside the socket (path + ".lock"), held until Close, makes
// looking and replacing one step: without it, of two daemons that start together,
// each could find the socket dead, and the later would remove the earlier's.
func Listen(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	l, err := listen(path, mode, gid)
	if err != nil {
		return nil, fmt.Errorf("listen on socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	if most := len(syscall.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return nil, fmt.Errorf("the path is longer than the %d bytes a socket's may have", most)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
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

// replace puts a listening socket at l.path, if nobody answers there.
func (l *listener) replace(mode fs.FileMode, gid int) error {
	switch old, err := os.Lstat(l.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case old.Mode().Type() != fs.ModeSocket:
		return ErrNotSocket
	case answers(l.path):
		return ErrInUse
	default:
		if err := os.Remove(l.path); err != nil {
			return err
		}
	}
	fd, err := bind(l.path)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), l.path)
	defer f.Close() // the listener has its own descriptor
	if err := l.listen(f, mode, gid); err != nil {
		os.Remove(l.path)
		return err
	}
	return nil
}

// bind makes the socket and its name, and does not listen yet.
func bind(path string) (fd int, err error) {
	syscall.ForkLock.RLock() // not every system can make it close-on-exec at once
	fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		syscall.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// listen opens the socket only when its group and mode are what they shall be:
// until then the kernel refuses whoever connects, so at no moment is it more
// open than asked, and no umask of the whole process need be turned.
func (l *listener) listen(f *os.File, mode fs.FileMode, gid int) (err error) {
	if gid >= 0 {
		if err := os.Lchown(l.path, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(l.path, mode.Perm()); err != nil {
		return err
	}
	if l.file, err = os.Lstat(l.path); err != nil {
		return err
	}
	if err := syscall.Listen(int(f.Fd()), syscall.SOMAXCONN); err != nil {
		return os.NewSyscallError("listen", err)
	}
	made, err := net.FileListener(f)
	if err != nil {
		return err
	}
	l.UnixListener = made.(*net.UnixListener)
	l.SetUnlinkOnClose(false) // it would remove whatever has the name by then
	return nil
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
