package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"portreeve/server/rate"
	"portreeve/server/thread"
)

// Large files. They are moved by threads that do nothing else, of lower priority
// (see package thread), and that wait in the kernel, which costs neither a round
// through the runtime's poller nor the waking of a goroutine for each buffer.

const (
	// bulkThreads is how many transfers at a time may have a thread each.
	bulkThreads = 32
	// impatience is how long a thread waits for a client. One that takes longer is
	// slow, and waited for by the runtime, which can do that for thousands.
	impatience = 100 * time.Millisecond
	// patiently is how much is moved so before it is looked at anew.
	patiently = 16 << 20
	// bulkPipe is how much an upload moves at a time: as much as a pipe holds.
	bulkPipe = 1 << 20
	// lowWater is how much must have come before the thread of an upload is woken,
	// so that it does not wake for each segment. The end wakes it, too.
	lowWater = bulkPipe / 2
)

// bulk moves up to n bytes with move, on a thread of its own, if there is one and
// they are worth it. It returns what was moved and what is wrong; more is to come
// if that is nothing and it was less than n.
func (f *flow) bulk(file *os.File, n int64, move func(f *flow, conn, file int, n int64) (int64, error)) (moved int64, err error) {
	conn := f.conn
	if f.tls != nil {
		conn = f.tls.trunk.Conn
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok || f.bytes < f.until || f.draw.Limited() || n < bulkFrom {
		return 0, nil
	}
	select {
	case f.threads <- struct{}{}:
	default:
		return 0, nil
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() { <-f.threads }()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v\n%s", errFault, p, debug.Stack())
			}
		}()
		thread.Lower(thread.Bulk)
		err = onDescriptors(tcp, file, func(conn, file int) { moved, err = move(f, conn, file, n) }, &err)
	}()
	<-over
	return moved, err
}

// onDescriptors lends both for as long as use takes.
func onDescriptors(conn, file syscall.Conn, use func(conn, file int), err *error) error {
	rawConn, cerr := conn.SyscallConn()
	if cerr != nil {
		return cerr
	}
	rawFile, ferr := file.SyscallConn()
	if ferr != nil {
		return ferr
	}
	cerr = rawConn.Control(func(conn uintptr) {
		ferr = rawFile.Control(func(file uintptr) { use(int(conn), int(file)) })
	})
	return cmp.Or(*err, ferr, cerr)
}

// await waits until the connection is ready for events. It tells that a client
// is slow, and then nothing more is to be done here.
func (f *flow) await(conn int, events int16) (ready bool, err error) {
	if f.ctx.Err() != nil {
		return false, nil // whoever goes on finds out
	}
	poll := []unix.PollFd{{Fd: int32(conn), Events: events}}
	n, err := unix.Poll(poll, int(impatience/time.Millisecond))
	if n == 0 && err == nil {
		f.until = f.bytes + patiently
		return false, nil
	}
	if errors.Is(err, unix.EINTR) {
		err = nil
	}
	return err == nil, err
}

// sendBulk is sendfile(2), in steps of which each is counted.
func (f *flow) sendBulk(conn, file int, n int64) (sent int64, err error) {
	for sent < n && !f.draw.Limited() { // there may be one by now
		k, err := unix.Sendfile(conn, file, nil, int(min(n-sent, rate.StepMax)))
		switch {
		case k > 0:
			sent += int64(k)
			f.moved(int64(k))
		case err == nil:
			return sent, io.EOF
		case err == unix.EAGAIN:
			if ready, err := f.await(conn, unix.POLLOUT); !ready {
				return sent, os.NewSyscallError("poll", err)
			}
		case err != unix.EINTR:
			return sent, os.NewSyscallError("sendfile", err)
		}
	}
	return sent, nil
}

// receiveBulk is splice(2), from the connection into a pipe and on into the file.
// Its error is io.EOF at the client's end.
func (f *flow) receiveBulk(conn, file int, n int64) (received int64, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, nil // no more descriptors: the usual way has some already
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	_, _ = unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, bulkPipe) // there is a limit for all of a user; a smaller one does
	wakeAt(conn, lowWater)
	defer wakeAt(conn, 1) // whoever goes on waits for any byte
	for received < n && !f.draw.Limited() {
		step := f.allowed.upTo(min(n-received, bulkPipe))
		if step == 0 { // whoever goes on waits for the end
			return received, nil
		}
		k, err := unix.Splice(conn, nil, pipe[1], nil, int(step), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch {
		case k > 0:
			if err := drainPipe(pipe[0], file, k); err != nil {
				return received, err
			}
			received += k
			f.allowed.room -= k
			f.moved(k)
		case err == nil:
			return received, io.EOF
		case err == unix.EAGAIN:
			if ready, err := f.await(conn, unix.POLLIN); !ready {
				return received, os.NewSyscallError("poll", err)
			}
		case err == unix.EINVAL && received == 0:
			f.until = math.MaxInt64 // not here, then
			return 0, nil
		case err != unix.EINTR:
			return received, os.NewSyscallError("splice", err)
		}
	}
	return received, nil
}

// wakeAt has who waits at a connection woken by so many bytes.
func wakeAt(conn, n int) { // a system that cannot wakes for each
	_ = unix.SetsockoptInt(conn, unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
}

// drainPipe moves n bytes from a pipe to a file; where the file system cannot
// splice, through memory.
func drainPipe(pipe, file int, n int64) error {
	for n > 0 {
		k, err := unix.Splice(pipe, nil, file, nil, int(n), unix.SPLICE_F_MOVE)
		switch {
		case k > 0:
			n -= k
		case err == unix.EINVAL:
			return copyPipe(pipe, file, n)
		case err == nil:
			return io.ErrShortWrite
		case err != unix.EINTR:
			return os.NewSyscallError("splice", err)
		}
	}
	return nil
}

func copyPipe(pipe, file int, n int64) error {
	buf := make([]byte, n)
	for len(buf) > 0 {
		k, err := unix.Read(pipe, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return cmp.Or(os.NewSyscallError("read", err), io.ErrUnexpectedEOF)
		}
		for p := buf[:k]; len(p) > 0; {
			w, err := unix.Write(file, p)
			if err != nil && err != unix.EINTR {
				return os.NewSyscallError("write", err)
			}
			p = p[max(w, 0):]
		}
		buf = buf[k:]
	}
	return nil
}
