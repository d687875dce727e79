package vfs

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openRoot opens the host directory host as a root.
func openRoot(host string) (root, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(host, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	r := linuxRoot(fd)
	// A kernel before 5.6 has no openat2, and a sandbox may refuse what it
	// does not know.
	probe, err := r.resolve("/", unix.O_PATH|unix.O_DIRECTORY)
	switch err {
	case nil:
		unix.Close(probe)
		return r, nil
	case unix.ENOSYS, unix.EPERM:
		r.close()
		return openOSRoot(host)
	}
	r.close()
	return nil, err
}

// A linuxRoot is an O_PATH descriptor from which openat2 resolves with the
// meaning of chroot.
type linuxRoot int

// resolve opens path with the kernel keeping it inside the root.
//
// openat2 answers EAGAIN when some directory anywhere was renamed while it
// resolved a "..", since it cannot then tell inside from outside. A tenant
// could keep that up, so there is an end to trying.
func (r linuxRoot) resolve(path string, flags uint64) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range 128 {
		fd, err = retry(func() (int, error) { return unix.Openat2(int(r), path, &how) })
		if err != unix.EAGAIN {
			break
		}
	}
	return fd, err
}

func (r linuxRoot) dir(path string) (dir, error) {
	if path == "/" {
		return rootDir{linuxDir(r)}, nil
	}
	fd, err := r.resolve(path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return linuxDir(fd), nil
}

func (r linuxRoot) open(path string, flags int, in *Info) (*os.File, error) {
	fd, err := r.resolve(path, uint64(flags)|openFlags)
	if err != nil {
		return nil, err
	}
	return newFile(fd, path, in)
}

// openFlags keep an open from waiting for the other end of a FIFO and from
// making a terminal ours.
const openFlags = unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_LARGEFILE

// newFile describes an open descriptor and makes it a file. O_NONBLOCK has
// done its work by then; without it package os does not try to poll.
func newFile(fd int, name string, in *Info) (*os.File, error) {
	err := statFD(fd, in)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (r linuxRoot) stat(path string, in *Info) error {
	fd, err := r.resolve(path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return statFD(fd, in)
}

func (r linuxRoot) enter(path string) error {
	// Resolving the dot asks for the right to search path itself.
	fd, err := r.resolve(path+"/.", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func (r linuxRoot) chmod(path string, mode fs.FileMode) error {
	fd, err := r.resolve(path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return chmodFD(fd, mode)
}

// chmodFD sets the permission bits of what an O_PATH descriptor names. The
// set-id and sticky bits are taken from files and kept on directories, where
// they say how the directory is shared.
func chmodFD(fd int, mode fs.FileMode) error {
	var in Info
	if err := statFD(fd, &in); err != nil {
		return err
	}
	bits := uint32(mode.Perm())
	if in.IsDir() {
		bits |= specialBits(in.Mode)
	}
	err := again(func() error { return unix.Fchmodat(fd, "", bits, unix.AT_EMPTY_PATH) })
	if err == unix.EOPNOTSUPP || err == unix.EPERM { // before Linux 6.6, or in a sandbox older than that
		err = again(func() error { return unix.Chmod(procFD(fd), bits) })
	}
	return err
}

func (r linuxRoot) chtimes(path string, mtime time.Time) error {
	fd, err := r.resolve(path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ts, err := unix.TimeToTimespec(mtime)
	if err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}
	err = again(func() error { return unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH) })
	if err == unix.EINVAL || err == unix.ENOENT { // before Linux 5.8
		err = again(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, procFD(fd), times, 0) })
	}
	return err
}

func (r linuxRoot) chgrp(path string, gid int) error {
	fd, err := r.resolve(path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return again(func() error { return unix.Fchownat(fd, "", -1, gid, unix.AT_EMPTY_PATH) })
}

// procFD names an open file by its descriptor. The kernel follows it to the
// very file, so nothing is resolved again.
func procFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func (r linuxRoot) volume(path string, use func(fd int) error) error {
	fd, err := r.resolve(path, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return use(fd)
}

func (r linuxRoot) close() error { return unix.Close(int(r)) }

// A linuxDir is a descriptor of a directory, O_PATH unless it is to be read.
type linuxDir int

// rootDir is the descriptor of the root itself, which outlives its use as a
// dir.
type rootDir struct{ linuxDir }

func (rootDir) close() error { return nil }

func (d linuxDir) lstat(name string, in *Info) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	in.Name = name
	return statAt(int(d), p, unix.AT_SYMLINK_NOFOLLOW, in)
}

func (d linuxDir) open(name string, flags int, mode fs.FileMode, in *Info) (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Openat(int(d), name, flags|openFlags|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
	})
	if err != nil {
		return nil, err
	}
	return newFile(fd, name, in)
}

func (d linuxDir) mkdir(name string, mode fs.FileMode) error {
	if err := again(func() error { return unix.Mkdirat(int(d), name, uint32(mode.Perm())) }); err != nil {
		return err
	}
	fd, err := unix.Openat(int(d), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // made, and gone or replaced since
	}
	defer unix.Close(fd)
	var in Info
	if statFD(fd, &in) == nil && in.Mode.Perm() != mode.Perm() { // the umask of the process took bits
		_ = chmodFD(fd, mode) // fails where there are no modes
	}
	return nil
}

func (d linuxDir) unlink(name string) error {
	return again(func() error { return unix.Unlinkat(int(d), name, 0) })
}

func (d linuxDir) rmdir(name string) error {
	return again(func() error { return unix.Unlinkat(int(d), name, unix.AT_REMOVEDIR) })
}

func (d linuxDir) rename(old string, to dir, name string, replace bool) error {
	dst := to.(interface{ fd() int }).fd()
	if replace {
		return again(func() error { return unix.Renameat(int(d), old, dst, name) })
	}
	err := again(func() error { return unix.Renameat2(int(d), old, dst, name, unix.RENAME_NOREPLACE) })
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	return renameByLink(d, old, linuxDir(dst), name)
}

// renameByLink is a rename that does not replace, for file systems without
// the flag, such as NFS: a link does not replace either. Directories cannot
// have one, so there one has to look, and hope.
func renameByLink(d linuxDir, old string, to linuxDir, name string) error {
	var in Info
	if err := d.lstat(old, &in); err != nil {
		return err
	}
	if in.IsDir() {
		if err := to.lstat(name, &in); err == nil {
			return unix.EEXIST
		}
		return d.rename(old, to, name, true)
	}
	if err := again(func() error { return unix.Linkat(int(d), old, int(to), name, 0) }); err != nil {
		return err
	}
	return d.unlink(old)
}

func (d linuxDir) fd() int { return int(d) }

func (d linuxDir) readlink(name string) (string, error) {
	var buf [maxPath]byte
	n, err := retry(func() (int, error) { return unix.Readlinkat(int(d), name, buf[:]) })
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func (d linuxDir) symlink(target, name string) error {
	return again(func() error { return unix.Symlinkat(target, int(d), name) })
}

func (d linuxDir) close() error { return unix.Close(int(d)) }

// statFD describes what an open descriptor names; its name is not touched.
func statFD(fd int, in *Info) error {
	var empty byte
	return statAt(fd, &empty, unix.AT_EMPTY_PATH, in)
}

// statAt is statx(2) with a name that ends in a zero byte, so that a name in
// a buffer of getdents64 is used where it lies. The call has one number and
// one layout on every architecture, which fstatat has not.
func statAt(fd int, name *byte, flags int, in *Info) error {
	var st unix.Statx_t
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(name)),
			uintptr(flags), unix.STATX_BASIC_STATS|unix.STATX_BTIME, uintptr(unsafe.Pointer(&st)), 0)
		if errno == 0 {
			break
		}
		if errno != syscall.EINTR {
			return errno
		}
	}
	in.Mode = fileMode(uint32(st.Mode))
	in.Size = int64(st.Size)
	in.ModTime = time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec))
	in.Created = time.Time{}
	if st.Mask&unix.STATX_BTIME != 0 {
		in.Created = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
	}
	in.Nlink = uint64(st.Nlink)
	in.UID, in.GID = int(st.Uid), int(st.Gid)
	in.Dev, in.Ino = unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino
	return nil
}

// fileMode turns the kernel's st_mode into Go's.
func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	case unix.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	default:
		mode |= fs.ModeDevice
	}
	if m&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if m&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if m&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// specialBits is the inverse for the three bits above the permissions.
func specialBits(mode fs.FileMode) (bits uint32) {
	if mode&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}
