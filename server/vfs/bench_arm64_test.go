//go:build linux

package vfs

import "golang.org/x/sys/unix"

const sysFstatat = unix.SYS_FSTATAT
