//go:build !linux

package spool

import "golang.org/x/sys/unix"

// fionread is FIONREAD of the BSDs and of macOS.
const fionread = 0x4004667f

// unread returns how many bytes are in a pipe.
func unread(fd int) (int, error) { return unix.IoctlGetInt(fd, fionread) }
