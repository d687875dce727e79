package server

import (
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// threads is how many downloads at a time may hold a thread each.
const threads = 32

// impatience is how long a thread waits for a client. One that takes longer for
// a step is slow, and waited for by the runtime, which can do that for thousands.
const impatience = 100 * time.Millisecond

// pollFrom is the least that is worth holding a thread for.
const pollFrom = 256 << 10

// sendStep sends up to n bytes of file from where it stands. It is sendfile, as
// io.CopyN would end in, but for a client that is fast it waits in poll, on this
// thread: a large file then costs neither a round through the runtime's poller
// nor the waking of a goroutine for each buffer that the client drains.
func (f *flow) sendStep(file *os.File, n int64) (int64, error) {
	tcp, ok := f.conn.(*net.TCPConn)
	if !ok || f.slow || n < pollFrom {
		return io.CopyN(f.conn, file, n)
	}
	select {
	case f.threads <- struct{}{}:
		defer func() { <-f.threads }()
	default:
		return io.CopyN(f.conn, file, n)
	}
	sent, err := pollSend(tcp, file, n)
	f.slow = errors.Is(err, os.ErrDeadlineExceeded)
	return sent, err
}

func pollSend(conn *net.TCPConn, file *os.File, n int64) (sent int64, err error) {
	rawConn, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	rawFile, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	deadline := time.Now().Add(impatience)
	cerr := rawConn.Write(func(to uintptr) bool {
		ferr := rawFile.Control(func(from uintptr) { sent, err = sendBytes(int(to), int(from), n, deadline) })
		err = cmp.Or(err, ferr)
		return true
	})
	return sent, cmp.Or(err, cerr)
}

func sendBytes(to, from int, n int64, deadline time.Time) (sent int64, err error) {
	for sent < n {
		k, err := unix.Sendfile(to, from, nil, int(n-sent))
		switch {
		case k > 0:
			sent += int64(k)
		case err == nil:
			return sent, io.EOF
		case err == unix.EAGAIN:
			left := time.Until(deadline)
			if left <= 0 {
				return sent, os.ErrDeadlineExceeded
			}
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(to), Events: unix.POLLOUT}}, int(left/time.Millisecond)+1)
		case err != unix.EINTR:
			return sent, os.NewSyscallError("sendfile", err)
		}
	}
	return sent, nil
}
