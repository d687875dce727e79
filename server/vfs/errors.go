package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"portreeve/server/ledger"
)

// Errors of an FS are *fs.PathError with the virtual path, never a host path,
// around one of these, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission or a
// syscall.Errno. Match them with errors.Is.
var (
	// ErrNoHome is what Open returns if the home is missing, is no
	// directory, or may not be entered by its user.
	ErrNoHome = errors.New("home directory is not usable")

	// ErrIdentity is what Open returns if this process or this system cannot
	// act as the user, and what every operation returns once the kernel
	// refused to switch.
	ErrIdentity = errors.New("cannot act as the user")

	// ErrDenied is a refusal by the account's Perms or by the kind of path
	// (the virtual root cannot be removed or renamed). It is an
	// fs.ErrPermission too.
	ErrDenied = fmt.Errorf("not allowed to this account: %w", fs.ErrPermission)

	// ErrName is a name that may not be created: a control byte, a component
	// over 255 bytes, a path over 4096, or one of the names reserved for the
	// daemon. Looked up, such a name does not exist.
	ErrName = errors.New("name is not allowed")

	// ErrIsDir is an attempt to read or write a directory.
	ErrIsDir = errors.New("is a directory")

	// ErrNotRegular is an attempt to read or write what is neither a regular
	// file nor a directory.
	ErrNotRegular = errors.New("not a regular file")

	// ErrOffset is a restart offset beyond the end of the file.
	ErrOffset = errors.New("offset is beyond the end of the file")

	// ErrQuota is a file, or a directory, that the account has no room for.
	ErrQuota = ledger.ErrFull

	// ErrCounting is a change to files that are just being counted.
	ErrCounting = ledger.ErrCounting
)

// fail wraps err for the virtual path. Whatever text the layers below put
// around an errno is dropped, because it may hold a host path.
func fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: cause(err)}
}

// cause strips the wrappers of package os off err.
func cause(err error) error {
	for {
		switch e := err.(type) {
		case *fs.PathError:
			err = e.Err
		case *os.LinkError:
			err = e.Err
		case *os.SyscallError:
			err = e.Err
		default:
			switch err {
			case syscall.EISDIR:
				return ErrIsDir
			case syscall.ENXIO: // a FIFO without a reader, a socket
				return ErrNotRegular
			}
			return err
		}
	}
}
