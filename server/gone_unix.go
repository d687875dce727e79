//go:build unix

package server

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// peek returns what waits to be read from a connection, and tells whether the
// other side has ended it, or does so within the time given. Nothing is taken:
// others may be reading it meanwhile.
func peek(c net.Conn, wait time.Duration) (said []byte, gone bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, false
	}
	err = raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: hangup}}
		_, _ = unix.Poll(poll, int(wait/time.Millisecond))
		gone = poll[0].Revents&(hangup|unix.POLLHUP|unix.POLLERR) != 0
		buf := make([]byte, 256)
		n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		said = buf[:max(n, 0)]
		gone = gone || err == nil && n == 0 || errors.Is(err, unix.ECONNRESET)
	})
	return said, gone || errors.Is(err, net.ErrClosed)
}
