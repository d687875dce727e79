//go:build unix

package userdb

import (
	"cmp"
	"errors"
	"os"
	"syscall"
)

// ownAsFolder gives a file that root made to the owner of its folder: the
// daemon may run as somebody else, and must be able to write it.
func ownAsFolder(f *os.File, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// ownAs gives a file that root made the owner and mode of another.
func ownAs(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// syncFolder makes a new name in a folder last.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // a file system that cannot
		err = nil
	}
	return cmp.Or(err, d.Close())
}

// tryLock takes the lock that bbolt takes on a file, unless somebody has it.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// unlock gives up the lock that bbolt took on a file.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
