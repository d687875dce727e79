package vfs

import (
	"encoding/binary"
	"io/fs"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A direntBuf holds what one getdents64 returns: some 500 entries, which are
// looked up and sent together.
type direntBuf [16 << 10]byte

var direntBufs = sync.Pool{New: func() any { return new(direntBuf) }}

// A linuxLister reads names in the kernel's format and stats them from the
// buffer they are in: neither takes memory for each.
type linuxLister struct{ linuxDir }

func (r linuxRoot) list(path string, in *Info) (lister, error) {
	fd, err := r.resolve(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_LARGEFILE)
	if err != nil {
		return nil, err
	}
	if err := statFD(fd, in); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return linuxLister{linuxDir(fd)}, nil
}

func (l linuxLister) read(es *entries) (more bool, err error) {
	buf := direntBufs.Get().(*direntBuf)
	defer direntBufs.Put(buf)
	n, err := retry(func() (int, error) { return unix.Getdents(int(l.linuxDir), buf[:]) })
	if err == unix.ENOENT { // the directory was removed
		return false, nil
	}
	if err != nil || n == 0 {
		return false, err
	}
	for b := buf[:n]; len(b) >= direntName; {
		size := int(binary.NativeEndian.Uint16(b[direntReclen:]))
		if size <= direntName || size > len(b) {
			return false, unix.EIO
		}
		name := b[direntName:size]
		for i, c := range name {
			if c == 0 {
				es.add(unsafe.String(&name[0], i), direntKind(b[direntType]))
				break
			}
		}
		b = b[size:]
	}
	return true, nil
}

// Where the fields of a struct linux_dirent64 are.
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

func direntKind(t byte) fs.FileMode {
	switch t {
	case unix.DT_REG:
		return 0
	case unix.DT_DIR:
		return fs.ModeDir
	case unix.DT_LNK:
		return fs.ModeSymlink
	case unix.DT_UNKNOWN:
		return unknown
	}
	return fs.ModeDevice // or something else that is not listed
}

func (l linuxLister) stat(es *entries, i int, in *Info) error {
	return statAt(int(l.linuxDir), &es.names[es.list[i].off], unix.AT_SYMLINK_NOFOLLOW, in)
}
