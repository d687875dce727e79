package spool

import "golang.org/x/sys/unix"

// unread returns how many bytes are in a pipe.
func unread(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCINQ) }
