package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// Pure-FTPd's pipe: what its pure-uploadscript reads.

const (
	pipeRetry = 200 * time.Millisecond // between two looks for a reader
	pipeBusy  = 5 * time.Millisecond   // between two looks whether it has read
)

// A Pipe is a FIFO with a lock beside it. It waits for no reader: records stay in
// the spool until they were read.
type Pipe struct {
	path string
	log  *slog.Logger
	lock *os.File
	fd   int // -1: nobody has the other end open
}

// NewPipe makes the FIFO, if it is not there.
func NewPipe(path string, log *slog.Logger) (*Pipe, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the pipe %s: %w", path, err)
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the pipe: %w", err)
	case info.Mode().Type() != fs.ModeNamedPipe:
		return nil, fmt.Errorf("the pipe: %s is no FIFO", path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the pipe: %s is another user's, or open to others", path)
	}
	// Where the reader looks for it: "x.pipe" has "x.lock".
	lock, err := os.OpenFile(strings.TrimSuffix(path, ".pipe")+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the lock of the pipe: %w", err)
	}
	return &Pipe{path: path, log: log, lock: lock, fd: -1}, nil
}

// Run writes what r has until ctx ends.
func (p *Pipe) Run(ctx context.Context, r *Reader) error {
	defer p.close()
	for {
		rec, err := r.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if strings.ContainsFunc(rec.Path, unicode.IsControl) {
			// Pure-uploadscript takes it for the end of something, and what follows for lost.
			p.log.Warn("an upload with such a name cannot be told through a pipe", "path", rec.Path, "user", rec.User)
			if err := r.Done(rec); err != nil {
				return err
			}
			continue
		}
		if err := p.tell(ctx, r, rec); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// tell writes a record and waits until it was read. Only that makes it done: a
// machine that stops loses what is in a pipe.
func (p *Pipe) tell(ctx context.Context, r *Reader, rec *Record) error {
	for wait := time.Duration(0); ctx.Err() == nil; {
		if wait > 0 {
			pause(ctx, wait)
		}
		if p.fd < 0 && !p.connect() {
			wait = pipeRetry
			continue
		}
		err := p.write(rec)
		switch {
		case err == nil:
			p.await(ctx)
			if ctx.Err() != nil {
				return nil
			}
			return r.Done(rec)
		case errors.Is(err, unix.EAGAIN):
			wait = pipeBusy
		case errors.Is(err, unix.EPIPE): // the reader has left; another may come, and reads what is in the pipe first
			wait = pipeRetry
		default:
			return fmt.Errorf("writing to the pipe %s: %w", p.path, err)
		}
	}
	return nil
}

// connect opens the pipe, which takes a reader. From then on it stays open, so that
// what is in it outlives the reader.
func (p *Pipe) connect() bool {
	fd, err := unix.Open(p.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	p.fd = fd
	return true
}

// write writes a record: 2, the account, 1, the path, 0.
func (p *Pipe) write(rec *Record) error {
	user := strings.Map(func(c rune) rune {
		if c < ' ' {
			return '_'
		}
		return c
	}, rec.User)
	line := append([]byte{2}, user...)
	line = append(line, 1)
	line = append(line, rec.Path...)
	line = append(line, 0)
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(p.lock.Fd(), unix.F_SETLK, &lock); err != nil {
		return unix.EAGAIN // another server writes
	}
	defer func() {
		lock.Type = unix.F_UNLCK
		_ = unix.FcntlFlock(p.lock.Fd(), unix.F_SETLK, &lock)
	}()
	if n, err := unread(p.fd); err == nil && n > 0 {
		return unix.EAGAIN // only an empty pipe surely takes a record whole
	}
	_, err := unix.Write(p.fd, line)
	return err
}

// await waits until the pipe is empty.
func (p *Pipe) await(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := unread(p.fd)
		if err != nil || n == 0 {
			return
		}
		pause(ctx, pipeBusy)
	}
}

func (p *Pipe) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
	p.lock.Close()
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
