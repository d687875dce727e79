//go:build unix

package server

import (
	"net"
	"syscall"
)

// inlineUrgent leaves urgent bytes where they stand in the stream. Python's
// ftplib sends ABOR with its line feed urgent, and without this the line would
// never end; BSD's clients send Telnet's "synch" so (RFC 959, section 4.1.3).
func inlineUrgent(c net.Conn) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := t.SyscallConn(); err == nil {
		// A system that cannot do it serves all clients but those.
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1)
		})
	}
}
