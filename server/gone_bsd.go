//go:build unix && !linux

package server

import "golang.org/x/sys/unix"

// hangup is the event of the other side's end, or of something to read: there is
// none for the end alone.
const hangup = unix.POLLHUP
