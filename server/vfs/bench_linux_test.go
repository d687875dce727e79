package vfs

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkListRaw is what the kernel takes for 100,000 entries: getdents64
// and statx (fstatat takes as long), with nothing made of them.
func BenchmarkListRaw(b *testing.B) {
	dir := manyFiles(b, 100_000) + "/d"
	for name, stat := range map[string]func(fd int, name *byte){
		"statx": func(fd int, name *byte) {
			var st unix.Statx_t
			unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(name)), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, uintptr(unsafe.Pointer(&st)), 0)
		},
		"names": func(fd int, name *byte) {},
	} {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 32<<10)
			defer cpuTime(b)()
			for b.Loop() {
				fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
				if err != nil {
					b.Fatal(err)
				}
				for {
					n, err := unix.Getdents(fd, buf)
					if err != nil || n == 0 {
						break
					}
					for off := 0; off < n; {
						stat(fd, &buf[off+direntName])
						off += int(*(*uint16)(unsafe.Pointer(&buf[off+direntReclen])))
					}
				}
				unix.Close(fd)
			}
		})
	}
}
