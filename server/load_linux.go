package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// loadAverage returns the load of the last five minutes, by the system call, since
// not every container has /proc.
func loadAverage() (float64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, os.NewSyscallError("sysinfo", err)
	}
	return float64(info.Loads[1]) / (1 << 16), nil
}
