//go:build freebsd || darwin

package server

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"
)

// loadAverage returns the load of the last five minutes.
func loadAverage() (float64, error) {
	raw, err := unix.SysctlRaw("vm.loadavg")
	if err != nil {
		return 0, os.NewSyscallError("sysctl vm.loadavg", err)
	}
	// struct loadavg: three numbers of 32 bits, and what they are multiples of, a long.
	at := 12
	if bits.UintSize == 64 {
		at = 16
	}
	if len(raw) < at+bits.UintSize/8 {
		return 0, errors.New("sysctl vm.loadavg: too short")
	}
	scale := binary.NativeEndian.Uint32(raw[at:])
	if bits.UintSize == 64 {
		scale = uint32(binary.NativeEndian.Uint64(raw[at:]))
	}
	if scale == 0 {
		return 0, errors.New("sysctl vm.loadavg: no scale")
	}
	return float64(binary.NativeEndian.Uint32(raw[4:])) / float64(scale), nil
}
