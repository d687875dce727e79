package vfs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// An account that may only store what is new may also give an empty file its
// content, as clients do that make the file first. While it does, it holds a lock
// on that file: of several who want to, one does, and nobody's content is lost.

// fill takes an empty file that is there, open to be written.
func (u *Upload) fill(file *os.File, in *Info) error {
	if !u.fs.opts.OnlyNew || !in.IsRegular() || in.Size > 0 || u.offset > 0 {
		return fs.ErrExist
	}
	if err := hold(file); err != nil {
		return err
	}
	return u.unfilled(file)
}

// fillHidden is fill for a hidden file that is to take its place. It returns the
// mode for that.
func (u *Upload) fillHidden(old *Info) (fs.FileMode, error) {
	if !u.fs.opts.OnlyNew || !old.IsRegular() || old.Size > 0 {
		return 0, fs.ErrExist
	}
	var in Info
	file, err := u.dir.open(u.name, os.O_WRONLY, 0, &in)
	if err != nil {
		return 0, err
	}
	u.empty, u.replace, u.over = file, true, true
	return in.Mode.Perm(), u.fill(file, &in)
}

// hold waits for nobody: a file that somebody else fills is busy. Where there are
// no locks it does nothing.
func hold(file *os.File) error {
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		return unix.EBUSY
	}
	return nil
}

// unfilled tells whether the file is empty still, and the one at the path.
func (u *Upload) unfilled(file *os.File) error {
	var held, now Info
	info, err := file.Stat()
	if err != nil {
		return err
	}
	held.fill(info)
	if err := u.fs.root.stat(u.path, &now); err != nil {
		return err
	}
	if held.Size > 0 || held.Dev != now.Dev || held.Ino != now.Ino {
		return fs.ErrExist
	}
	return nil
}
