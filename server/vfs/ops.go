package vfs

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"portreeve/server/ledger"
	"portreeve/userdb"
)

// Stat describes what path names, through links. It asks for no permission of
// the account: the facts of one entry whose name is known are not a listing.
func (f *FS) Stat(path string) (Info, error) {
	return f.stat("stat", path, f.lookup, func(clean string, in *Info) error {
		defer f.freeze(clean, true, in)
		return f.statPath(clean, in)
	})
}

// Lstat describes path itself, if it is a link.
func (f *FS) Lstat(path string) (Info, error) {
	return f.stat("lstat", path, f.lookupItself, func(clean string, in *Info) error {
		defer f.freeze(clean, false, in)
		return f.lstatPath(clean, in)
	})
}

func (f *FS) stat(op, path string, lookup func(op, path string) (string, error), stat func(path string, in *Info) error) (in Info, err error) {
	clean, err := lookup(op, path)
	if err != nil {
		return Info{}, err
	}
	if err := f.do(func() error { return stat(clean, &in) }); err != nil {
		return Info{}, fail(op, path, err)
	}
	in.Name, _ = f.opts.Charset.Decode(in.Name) // it was encoded to get here
	return in, nil
}

// statPath and lstatPath run as the user.
func (f *FS) statPath(path string, in *Info) error {
	_, in.Name = split(path)
	if path == "/" {
		in.Name = "/"
	}
	return f.root.stat(path, in)
}

func (f *FS) lstatPath(path string, in *Info) error {
	if path == "/" {
		return f.statPath(path, in)
	}
	return f.at(path, func(d dir, base string) error { return d.lstat(base, in) })
}

// at opens the directory of path, which is not the root, for one operation
// on the last component.
func (f *FS) at(path string, op func(d dir, base string) error) error {
	parent, base := split(path)
	d, err := f.root.dir(parent)
	if err != nil {
		return err
	}
	defer d.close()
	return op(d, base)
}

// linkAt reads the link at path; it runs as the user.
func (f *FS) linkAt(path string) (target string, err error) {
	err = f.at(path, func(d dir, base string) error {
		target, err = d.readlink(base)
		return err
	})
	return target, err
}

// HostPath returns where on the host a path is, its links followed as they are in
// the root: an absolute one means another place to those who look from outside.
// What cannot be followed is returned as it is.
func (f *FS) HostPath(path string) string { return f.hostPath(path, true) }

// HostPathItself is HostPath for what is at path, which may be a link.
func (f *FS) HostPathItself(path string) string { return f.hostPath(path, false) }

func (f *FS) hostPath(path string, last bool) string {
	real, _ := f.onDisk(Clean("/", path))
	_ = f.do(func() error {
		if followed, err := expand(real, last, f.linkAt); err == nil {
			real = followed
		}
		return nil
	})
	return join(f.hostReal(), strings.TrimPrefix(real, "/"))
}

// hostReal is where the root is, without links, which are the administrator's.
func (f *FS) hostReal() string {
	f.located.Do(func() {
		f.real = f.host
		if real, err := filepath.EvalSymlinks(f.host); err == nil {
			f.real = real
		}
	})
	return f.real
}

// Chdir reports whether path is a directory that the user may enter.
func (f *FS) Chdir(path string) error {
	clean, err := f.lookup("chdir", path)
	if err != nil {
		return err
	}
	return fail("chdir", path, f.do(func() error { return f.root.enter(clean) }))
}

// Read opens a regular file; the caller closes it. The open never waits, not
// even for the other end of a FIFO, which is then refused.
func (f *FS) Read(path string) (*os.File, Info, error) {
	clean, err := f.lookup("read", path)
	if err == nil {
		err = f.need(userdb.PermRead, "read", path)
	}
	if err == nil && strings.HasSuffix(path, "/") {
		err = fail("read", path, ErrIsDir)
	}
	if err != nil {
		return nil, Info{}, err
	}
	file, in, err := f.open(clean)
	if err == nil && f.opts.NotOwn && in.UID == f.who.UID {
		file.Close()
		err = ErrUnapproved
	}
	if err != nil {
		return nil, Info{}, fail("read", path, err)
	}
	in.Name, _ = f.opts.Charset.Decode(in.Name)
	return file, in, nil
}

// open opens a regular file to be read.
func (f *FS) open(clean string) (file *os.File, in Info, err error) {
	_, in.Name = split(clean)
	err = f.do(func() (err error) {
		file, err = f.root.open(clean, os.O_RDONLY, &in)
		return err
	})
	if err != nil {
		return nil, in, err
	}
	if err := storable(&in); err != nil {
		file.Close()
		return nil, in, err
	}
	return file, in, nil
}

// ReadText returns the beginning of a regular file, at most so many bytes, for
// the server to show: the file says to whoever comes here what its owner wants
// said, also to those who may not download. They are not told if they could have
// given that name to a file of which they wanted to know what it says.
func (f *FS) ReadText(path string, most int64) ([]byte, error) {
	clean, err := f.existing("read", path)
	if err == nil && f.Perms()&(userdb.PermWrite|userdb.PermRename) != 0 {
		err = f.need(userdb.PermRead, "read", path)
	}
	if err != nil {
		return nil, err
	}
	file, _, err := f.open(clean)
	if err != nil {
		return nil, fail("read", path, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most))
	return text, fail("read", path, err)
}

// storable refuses what holds no bytes of a user.
func storable(in *Info) error {
	switch {
	case in.IsRegular():
		return nil
	case in.IsDir():
		return ErrIsDir
	}
	return ErrNotRegular
}

// Remove removes a file or a link, never a directory.
func (f *FS) Remove(path string) error {
	if f.opts.KeepFiles {
		return fail("remove", path, ErrKept)
	}
	return f.remove("remove", path, func(d dir, base, _ string) error { return d.unlink(base) })
}

// RemoveDir removes an empty directory; a link to one is none.
func (f *FS) RemoveDir(path string) error {
	return f.remove("remove directory", path, f.rmdir)
}

func (f *FS) remove(op, path string, run func(d dir, base, path string) error) error {
	clean, err := f.lookupItself(op, path)
	if err == nil {
		err = f.need(userdb.PermDelete, op, path)
	}
	if err == nil {
		err = f.mayChange(op, path, clean, false)
	}
	if err == nil && clean == "/" {
		err = fail(op, path, ErrDenied)
	}
	if err != nil {
		return err
	}
	return fail(op, path, f.rearrange(func(a *ledger.Account) error {
		return f.at(clean, func(d dir, base string) error {
			gone, err := weigh(a, d, base)
			if err == nil {
				err = run(d, base, clean)
			}
			if err == nil {
				drop(a, gone)
			}
			return err
		})
	}))
}

// Mkdir makes a directory, with 0777 less DirUmask for its mode; what is above
// it must exist.
func (f *FS) Mkdir(path string) error {
	clean, err := f.create("make directory", path)
	if err == nil {
		err = f.need(userdb.PermMkdir, "make directory", path)
	}
	if err != nil {
		return err
	}
	return fail("make directory", path, f.rearrange(func(a *ledger.Account) error {
		return f.at(clean, func(d dir, base string) error {
			_, mask := f.Umask()
			return mkdir(a, d, base, 0o777&^mask)
		})
	}))
}

// Rename gives old the name path. It follows no link at the end of either. It
// replaces a file there unless AutoRename is set, or the account may neither
// write nor delete: then the error is fs.ErrExist.
func (f *FS) Rename(old, path string) error {
	from, err := f.lookupItself("rename", old)
	if err == nil {
		err = f.need(userdb.PermRename, "rename", old)
	}
	if err == nil {
		err = f.mayChange("rename", old, from, false)
	}
	if err == nil && from == "/" {
		err = fail("rename", old, ErrDenied)
	}
	if err != nil {
		return err
	}
	to, err := f.create("rename to", path)
	if err != nil {
		return err
	}
	replace := !f.opts.AutoRename && f.Perms()&(userdb.PermWrite|userdb.PermDelete) != 0
	return fail("rename to", path, f.rearrange(func(a *ledger.Account) error {
		return f.at(from, func(src dir, base string) error {
			return f.at(to, func(dst dir, name string) error {
				gone, err := weighOther(a, dst, name, src, base)
				if err == nil {
					err = src.rename(base, dst, name, replace)
				}
				if err == nil {
					drop(a, gone)
				}
				return err
			})
		})
	}))
}

// Chmod sets the permission bits of a file or directory, through links. Bits
// above 0777 are ignored: no client makes a file set-uid, and a directory
// keeps what it has of them.
func (f *FS) Chmod(path string, mode fs.FileMode) error {
	if f.opts.NoChmod {
		return fail("change mode", path, ErrNoChmod)
	}
	return f.change("change mode", path, func(clean string) error {
		return f.root.chmod(clean, mode|f.countable(clean)|f.kept(clean))
	})
}

// Chtimes sets the time of last modification, through links, and leaves the
// time of access.
func (f *FS) Chtimes(path string, mtime time.Time) error {
	return f.change("change time", path, func(clean string) error { return f.root.chtimes(clean, mtime) })
}

// Chgrp gives a file or directory, through links, to one of the user's own
// groups; the kernel allows that to its owner.
func (f *FS) Chgrp(path string, gid int) error {
	if f.opts.NoChmod {
		return fail("change group", path, ErrNoChmod)
	}
	return f.change("change group", path, func(clean string) error {
		if gid != f.who.GID && !slices.Contains(f.who.Groups, gid) {
			return ErrDenied
		}
		return f.root.chgrp(clean, gid)
	})
}

// change runs, as the user, what changes the facts of something that is there.
func (f *FS) change(op, path string, run func(clean string) error) error {
	clean, err := f.lookup(op, path)
	if err == nil {
		err = f.need(userdb.PermChmod, op, path)
	}
	if err == nil {
		err = f.mayChange(op, path, clean, true)
	}
	if err != nil {
		return err
	}
	return fail(op, path, f.do(func() error { return run(clean) }))
}

// Symlink makes a link at path that means target, a virtual path too, which need
// not exist. What is stored leads from the one to the other and not from the
// root: so it means the same to whoever sees the home from outside.
func (f *FS) Symlink(target, path string) error {
	clean, err := f.create("link", path)
	if err == nil {
		err = f.need(userdb.PermWrite, "link", path)
	}
	if err == nil && f.opts.OnlyNew {
		err = fail("link", path, ErrDenied)
	}
	if err != nil {
		return err
	}
	onDisk, ok := f.opts.Charset.Encode(target)
	if !ok {
		return fail("link", path, ErrName)
	}
	return fail("link", path, f.do(func() error {
		parent, base := split(clean)
		real, err := expand(parent, true, f.linkAt)
		if err != nil {
			return err
		}
		to := Clean(real, onDisk)
		if !allowed(to) {
			return fs.ErrNotExist
		}
		d, err := f.root.dir(real)
		if err != nil {
			return err
		}
		defer d.close()
		return d.symlink(relative(real, to), base)
	}))
}

// Readlink returns the target of a link as the user may see it; see
// ListOptions.Targets.
func (f *FS) Readlink(path string) (string, error) {
	clean, err := f.lookupItself("read link", path)
	if err != nil {
		return "", err
	}
	if clean == "/" {
		return "", fail("read link", path, unix.EINVAL)
	}
	var target string
	err = f.do(func() (err error) {
		if target, err = f.linkAt(clean); err == nil {
			parent, _ := split(clean)
			target = f.readable(f.shown(parent, target))
		}
		return err
	})
	return target, fail("read link", path, err)
}

// shown returns the text of a link in the directory dir as a caged user may
// see it. What begins with the host path of the root begins with / instead;
// what leads out, or would forge a line of a listing, is "?". It runs as the
// user.
func (f *FS) shown(dir, target string) string {
	for i := 0; i < len(target); i++ {
		if target[i] < ' ' || target[i] == 0x7f {
			return "?"
		}
	}
	if f.host == "/" {
		return target
	}
	if !strings.HasPrefix(target, "/") {
		if !strings.Contains(target, "..") {
			return target
		}
		// The link is where dir really is, if links lead to dir.
		real, err := expand(dir, true, f.linkAt)
		if err != nil || climbs(real, target) {
			return "?"
		}
		return target
	}
	if target == f.host {
		return "/"
	}
	if rest, ok := strings.CutPrefix(target, f.host+"/"); ok {
		return "/" + rest
	}
	var in Info
	if f.root.stat(target, &in) == nil {
		return target
	}
	return "?"
}

// climbs reports whether the relative target, read in the clean path dir,
// goes above the root.
func climbs(dir, target string) bool {
	depth := 0
	if dir != "/" {
		depth = strings.Count(dir, "/")
	}
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}
