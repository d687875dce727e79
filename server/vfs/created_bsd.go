//go:build darwin || freebsd || netbsd

package vfs

import (
	"syscall"
	"time"
)

// created is when a file came into being.
func created(st *syscall.Stat_t) time.Time {
	t := st.Birthtimespec
	return time.Unix(int64(t.Sec), int64(t.Nsec))
}
