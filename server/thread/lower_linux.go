package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Lower gives the calling goroutine a thread that comes by so much after the
// others. The thread is not given back: it ends with the goroutine, since without
// privilege a priority can only fall. Where priorities cannot be had at all, the
// goroutine goes on as it is.
func Lower(by int) {
	runtime.LockOSThread()
	// Of a thread's number the calls mean that thread alone, as nowhere else but on
	// Linux; and the first returns 20 less the nice value, so that it is no error.
	if own, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 20-own+by)
	}
}
