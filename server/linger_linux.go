package server

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// awaitInput waits in the kernel until there is something to read, or the end. What
// is wrong with the connection is found by who reads.
func awaitInput(c net.Conn, most time.Duration) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		limit := unix.NsecToTimespec(int64(most))
		_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &limit, nil)
	})
}
