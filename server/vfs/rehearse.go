package vfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A rehearsal is a root in which nothing changes: what would change something is
// asked whether it may, and then as good as done. All that comes before, the rules
// of the account and those of names, is the same as for a root where it happens.
// Another process may change between the question and the deed what the answer was,
// and a server far away may know better than the permission bits.
type rehearsal struct {
	root
	who *FS
}

func (r *rehearsal) dir(path string) (dir, error) {
	d, err := r.root.dir(path)
	if err != nil {
		return nil, err
	}
	return &rehearsedDir{d, r.who}, nil
}

func (r *rehearsal) open(path string, flags int, in *Info) (*os.File, error) {
	return rehearsed(r.root.open(path, flags, in))(flags)
}

// rehearsed has what would write to a file write to nowhere.
func rehearsed(file *os.File, err error) func(flags int) (*os.File, error) {
	return func(flags int) (*os.File, error) {
		if err != nil || flags&(os.O_WRONLY|os.O_RDWR) == 0 {
			return file, err
		}
		file.Close()
		return nowhere()
	}
}

// nowhere is a file that is gone when it is closed. It is one that may be cut,
// locked and given a mode, and so no device.
func nowhere() (*os.File, error) {
	file, err := os.CreateTemp("", "")
	if err == nil {
		err = os.Remove(file.Name())
	}
	return file, err
}

func (r *rehearsal) chmod(path string, _ fs.FileMode) error { return r.owns(path) }
func (r *rehearsal) chtimes(path string, _ time.Time) error { return r.owns(path) }
func (r *rehearsal) chgrp(path string, _ int) error         { return r.owns(path) }
func (r *rehearsal) list(path string, in *Info) (lister, error) {
	l, err := r.root.list(path, in)
	if err != nil {
		return nil, err
	}
	return &rehearsedLister{l, rehearsedDir{l, r.who}}, nil
}

// owns: facts of a file are its owner's to change.
func (r *rehearsal) owns(path string) error {
	var in Info
	if err := r.stat(path, &in); err != nil {
		return err
	}
	if uid := r.who.who.UID; uid != 0 && uid != in.UID {
		return syscall.EPERM
	}
	return nil
}

type rehearsedDir struct {
	dir
	who *FS
}

// mayChange asks whether names may be made in the directory and taken away.
func (d *rehearsedDir) mayChange() error {
	if at, ok := d.dir.(interface{ fd() int }); ok {
		return unix.Faccessat(at.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}
	var in Info
	if err := d.lstat(".", &in); err != nil {
		return err
	}
	if d.who.bits(&in)&3 != 3 {
		return syscall.EACCES
	}
	return nil
}

// mayLose asks whether an entry may be taken away, and describes it.
func (d *rehearsedDir) mayLose(name string, in *Info) error {
	if err := d.lstat(name, in); err != nil {
		return err
	}
	if err := d.mayChange(); err != nil {
		return err
	}
	var here Info
	if err := d.lstat(".", &here); err == nil && !d.who.unstuck(in, &here) {
		return syscall.EPERM
	}
	return nil
}

// mayMake asks whether a name that nothing has may be given.
func (d *rehearsedDir) mayMake(name string) error {
	var in Info
	switch err := d.lstat(name, &in); {
	case err == nil:
		return syscall.EEXIST
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return d.mayChange()
}

func (d *rehearsedDir) open(name string, flags int, mode fs.FileMode, in *Info) (*os.File, error) {
	if flags&os.O_CREATE == 0 {
		return rehearsed(d.dir.open(name, flags, mode, in))(flags)
	}
	if err := d.mayMake(name); err != nil {
		return nil, err
	}
	in.Name, in.Mode, in.Size = name, mode.Perm(), 0
	in.UID, in.GID = d.who.who.UID, d.who.who.GID
	return nowhere()
}

func (d *rehearsedDir) mkdir(name string, _ fs.FileMode) error { return d.mayMake(name) }
func (d *rehearsedDir) symlink(_, name string) error           { return d.mayMake(name) }

func (d *rehearsedDir) unlink(name string) error {
	var in Info
	if reserved(name) { // an upload of the rehearsal, which is not there; or of somebody, and stays
		if errors.Is(d.lstat(name, &in), fs.ErrNotExist) {
			return nil
		}
		return syscall.EPERM
	}
	if err := d.mayLose(name, &in); err != nil {
		return err
	}
	if in.IsDir() {
		return syscall.EISDIR
	}
	return nil
}

func (d *rehearsedDir) rmdir(name string) error {
	var in Info
	if err := d.mayLose(name, &in); err != nil {
		return err
	}
	if !in.IsDir() {
		return syscall.ENOTDIR
	}
	inside, err := d.dir.open(name, os.O_RDONLY, 0, &in)
	if err != nil { // who may not look may remove an empty one nevertheless
		return nil
	}
	defer inside.Close()
	for {
		names, err := inside.Readdirnames(100)
		if slices.ContainsFunc(names, func(name string) bool { return !isLeftover(name) }) {
			return syscall.ENOTEMPTY
		}
		if err != nil {
			return nil
		}
	}
}

func (d *rehearsedDir) rename(old string, to dir, name string, replace bool) error {
	dst, ok := to.(*rehearsedDir)
	if !ok {
		return syscall.EXDEV
	}
	if reserved(old) { // as above
		return dst.mayChange()
	}
	var in, there Info
	if err := d.mayLose(old, &in); err != nil {
		return err
	}
	err := dst.lstat(name, &there)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dst.mayChange()
	case err != nil:
		return err
	case !replace:
		return syscall.EEXIST
	}
	if err := dst.mayLose(name, &there); err != nil {
		return err
	}
	_, kernel := d.dir.(interface{ fd() int })
	switch {
	case there.IsDir() && !kernel: // os.Root replaces none
		return syscall.EEXIST
	case in.IsDir() && !there.IsDir():
		return syscall.ENOTDIR
	case !in.IsDir() && there.IsDir():
		return syscall.EISDIR
	case there.IsDir():
		return dst.rmdir(name)
	}
	return nil
}

// A rehearsedLister is both.
type rehearsedLister struct {
	lister
	dir rehearsedDir
}

func (l *rehearsedLister) open(name string, flags int, mode fs.FileMode, in *Info) (*os.File, error) {
	return l.dir.open(name, flags, mode, in)
}
func (l *rehearsedLister) mkdir(name string, mode fs.FileMode) error { return l.dir.mkdir(name, mode) }
func (l *rehearsedLister) unlink(name string) error                  { return l.dir.unlink(name) }
func (l *rehearsedLister) rmdir(name string) error                   { return l.dir.rmdir(name) }
func (l *rehearsedLister) symlink(target, name string) error         { return l.dir.symlink(target, name) }
func (l *rehearsedLister) rename(old string, to dir, name string, replace bool) error {
	return l.dir.rename(old, to, name, replace)
}
