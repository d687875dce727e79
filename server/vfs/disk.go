package vfs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Disks remembers for a second how full file systems are. The zero value knows
// none.
type Disks struct {
	// Measure tells how much of the file system of an open file is used, in
	// percent; nil asks the system, as df does.
	Measure func(fd int) (percent float64, err error)

	mu    sync.Mutex // guards known
	known map[uint64]diskUse
}

type diskUse struct {
	percent float64
	at      time.Time
}

// useLasts is how long that is believed.
const useLasts = time.Second

// of returns how full the file system of an open file is.
func (d *Disks) of(fd int) (float64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	dev, now := uint64(st.Dev), time.Now()
	d.mu.Lock()
	last, known := d.known[dev]
	d.mu.Unlock()
	if known && now.Sub(last.at) < useLasts {
		return last.percent, nil
	}
	measure := d.Measure
	if measure == nil {
		measure = usedFD
	}
	percent, err := measure(fd) // may take long on a network's file system
	if err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[uint64]diskUse)
	}
	d.known[dev] = diskUse{percent, now}
	return percent, nil
}

// DiskUsed returns how much of the file system is used that holds path, or would hold
// it, in percent of what is there for ordinary users.
func (f *FS) DiskUsed(path string, d *Disks) (percent float64, err error) {
	const op = "use of disk"
	clean, err := f.existing(op, path)
	if err != nil {
		return 0, err
	}
	look := func(fd int) (err error) {
		percent, err = d.of(fd)
		return err
	}
	err = f.do(func() error {
		err := f.root.volume(clean, look)
		if err != nil { // it may be still to come
			parent, _ := split(clean)
			err = f.root.volume(parent, look)
		}
		return err
	})
	return percent, fail(op, path, err)
}

// Free returns how many bytes the file system that holds path has for an
// ordinary user, or the account has room for.
func (f *FS) Free(path string) (bytes int64, err error) {
	clean, err := f.lookup("free space of", path)
	if err != nil {
		return 0, err
	}
	err = f.do(func() error {
		return f.root.volume(clean, func(fd int) (err error) {
			bytes, err = freeFD(fd)
			return err
		})
	})
	if a := f.account(); a != nil {
		bytes = min(bytes, a.Left().Bytes)
	}
	return bytes, fail("free space of", path, err)
}

// freeFD returns the bytes that an ordinary user may still write.
func freeFD(fd int) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return 0, err
	}
	return max(0, int64(st.Bavail)) * int64(st.Bsize), nil
}

// usedFD returns how many percent of what an ordinary user could use are used.
func usedFD(fd int) (float64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return 0, err
	}
	used := float64(st.Blocks) - float64(st.Bfree)
	all := used + float64(max(0, int64(st.Bavail)))
	if all <= 0 { // of those that have no size, such as /proc
		return 0, nil
	}
	return used / all * 100, nil
}
