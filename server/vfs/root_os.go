package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An osRoot confines by os.Root: for systems without openat2.
//
// os.Root opens each directory on the way for reading, so here a user needs
// the right to read, and not only to search, the directories he goes through.
type osRoot struct{ r *os.Root }

func openOSRoot(host string) (root, error) {
	r, err := os.OpenRoot(host)
	if err != nil {
		return nil, err
	}
	return osRoot{r}, nil
}

// local turns a virtual path into what os.Root takes.
func local(path string) string {
	if path == "/" {
		return "."
	}
	return path[1:]
}

// within runs op on path. os.Root refuses links that are absolute or climb
// out, which inside a root have a meaning: then the links are expanded first
// and op gets a path without any.
func (o osRoot) within(path string, last bool, op func(name string) error) error {
	err := op(local(path))
	if err == nil || isErrno(err) {
		return err
	}
	path, err = expand(path, last, func(p string) (string, error) { return o.r.Readlink(local(p)) })
	if err != nil {
		return err
	}
	if err = op(local(path)); err != nil && !isErrno(err) {
		return syscall.ENOENT // a link that changed meanwhile
	}
	return err
}

// isErrno tells the system's errors from os.Root's own refusal.
func isErrno(err error) bool {
	_, ok := errors.AsType[syscall.Errno](err)
	return ok || errors.Is(err, os.ErrClosed)
}

func (o osRoot) dir(path string) (dir, error) {
	var in Info
	if err := o.stat(path, &in); err != nil {
		return nil, err
	}
	if !in.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return osDir{o, path}, nil
}

func (o osRoot) open(path string, flags int, in *Info) (f *os.File, err error) {
	err = o.within(path, true, func(name string) error {
		f, err = o.openFile(name, flags, 0, in)
		return err
	})
	return f, err
}

func (o osRoot) openFile(name string, flags int, mode fs.FileMode, in *Info) (*os.File, error) {
	f, err := o.r.OpenFile(name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	in.fill(st)
	return f, nil
}

func (o osRoot) stat(path string, in *Info) error {
	return o.within(path, true, func(name string) error {
		st, err := o.r.Stat(name)
		if err == nil {
			in.fill(st)
		}
		return err
	})
}

func (o osRoot) enter(path string) error {
	d, err := o.dir(path)
	if err != nil {
		return err
	}
	// Looking up any name asks for the right to search.
	var in Info
	if err := d.lstat(tempPrefix, &in); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (o osRoot) chmod(path string, mode fs.FileMode) error {
	var in Info
	if err := o.stat(path, &in); err != nil {
		return err
	}
	mode = mode.Perm()
	if in.IsDir() {
		mode |= in.Mode & (fs.ModeSetgid | fs.ModeSticky | fs.ModeSetuid)
	}
	return o.within(path, true, func(name string) error { return o.r.Chmod(name, mode) })
}

func (o osRoot) chtimes(path string, mtime time.Time) error {
	return o.within(path, true, func(name string) error { return o.r.Chtimes(name, time.Time{}, mtime) })
}

func (o osRoot) chgrp(path string, gid int) error {
	return o.within(path, true, func(name string) error { return o.r.Chown(name, -1, gid) })
}

func (o osRoot) volume(path string, use func(fd int) error) error {
	var in Info
	f, err := o.open(path, os.O_RDONLY, &in)
	if err != nil {
		return err
	}
	defer f.Close()
	return use(int(f.Fd()))
}

func (o osRoot) close() error { return o.r.Close() }

// An osDir remembers the path of a directory: os.Root has no operations
// between two open directories.
type osDir struct {
	osRoot
	path string
}

func (d osDir) within(name string, op func(name string) error) error {
	return d.osRoot.within(join(d.path, name), false, op)
}

func (d osDir) lstat(name string, in *Info) error {
	in.Name = name
	return d.within(name, func(path string) error {
		st, err := d.r.Lstat(path)
		if err == nil {
			in.fill(st)
		}
		return err
	})
}

func (d osDir) open(name string, flags int, mode fs.FileMode, in *Info) (f *os.File, err error) {
	err = d.within(name, func(path string) error {
		if flags&os.O_EXCL == 0 {
			if st, err := d.r.Lstat(path); err == nil && st.Mode()&fs.ModeSymlink != 0 {
				return syscall.ELOOP
			}
		}
		f, err = d.openFile(path, flags, mode.Perm(), in)
		return err
	})
	return f, err
}

func (d osDir) mkdir(name string, mode fs.FileMode) error {
	return d.within(name, func(path string) error {
		if err := d.r.Mkdir(path, mode.Perm()); err != nil {
			return err
		}
		st, err := d.r.Lstat(path)
		if err == nil && st.IsDir() && st.Mode().Perm() != mode.Perm() { // the umask of the process took bits
			return d.r.Chmod(path, mode.Perm()|st.Mode()&(fs.ModeSetgid|fs.ModeSticky))
		}
		return nil
	})
}

// remove looks first what it is about to remove, because os.Root takes files
// and directories alike.
func (d osDir) remove(name string, directory bool) error {
	return d.within(name, func(path string) error {
		st, err := d.r.Lstat(path)
		switch {
		case err != nil:
			return err
		case directory && !st.IsDir():
			return syscall.ENOTDIR
		case !directory && st.IsDir():
			return syscall.EISDIR
		}
		return d.r.Remove(path)
	})
}

func (d osDir) unlink(name string) error { return d.remove(name, false) }
func (d osDir) rmdir(name string) error  { return d.remove(name, true) }

func (d osDir) rename(old string, to dir, name string, replace bool) error {
	return d.within(old, func(from string) error {
		return to.(osDir).within(name, func(path string) error {
			if replace {
				return d.r.Rename(from, path)
			}
			st, err := d.r.Lstat(from)
			if err != nil {
				return err
			}
			if st.IsDir() { // no links to directories: look, and hope
				if _, err := d.r.Lstat(path); err == nil {
					return syscall.EEXIST
				}
				return d.r.Rename(from, path)
			}
			if err := d.r.Link(from, path); err != nil {
				return err
			}
			return d.r.Remove(from)
		})
	})
}

func (d osDir) readlink(name string) (target string, err error) {
	err = d.within(name, func(path string) error {
		target, err = d.r.Readlink(path)
		return err
	})
	return target, err
}

func (d osDir) symlink(target, name string) error {
	return d.within(name, func(path string) error { return d.r.Symlink(target, path) })
}

func (d osDir) close() error { return nil }

// An osLister reads names from a file and stats them in a root of their own,
// which costs one system call each where a path would cost one a component.
type osLister struct {
	osDir
	f *os.File
}

func (o osRoot) list(path string, in *Info) (lister, error) {
	if _, err := o.dir(path); err != nil { // OpenRoot has no errno for a file
		return nil, err
	}
	var sub *os.Root
	err := o.within(path, true, func(name string) (err error) {
		sub, err = o.r.OpenRoot(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := osRoot{sub}
	f, err := l.openFile(".", os.O_RDONLY, 0, in)
	if err != nil {
		sub.Close()
		return nil, err
	}
	return &osLister{osDir{l, "/"}, f}, nil
}

func (l *osLister) read(es *entries) (more bool, err error) {
	found, err := l.f.ReadDir(batch)
	for _, e := range found {
		es.add(e.Name(), e.Type())
	}
	if err == io.EOF {
		return false, nil
	}
	return err == nil, err
}

func (l *osLister) stat(es *entries, i int, in *Info) error {
	return l.lstat(in.Name, in)
}

func (l *osLister) close() error { return errors.Join(l.f.Close(), l.r.Close()) }

// fill copies what os found out.
func (in *Info) fill(st fs.FileInfo) {
	in.Mode, in.Size, in.ModTime = st.Mode(), st.Size(), st.ModTime()
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		in.Created = created(sys)
		in.Nlink = uint64(sys.Nlink)
		in.UID, in.GID = int(sys.Uid), int(sys.Gid)
		in.Dev, in.Ino = uint64(sys.Dev), uint64(sys.Ino)
	}
}
