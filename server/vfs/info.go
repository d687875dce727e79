package vfs

import (
	"io/fs"
	"slices"
	"time"

	"portreeve/userdb"
)

// Info describes one directory entry.
type Info struct {
	Name     string // last component; "/" for the root
	Mode     fs.FileMode
	Size     int64
	ModTime  time.Time
	Created  time.Time // zero where the file system does not say
	Nlink    uint64
	UID, GID int
	Dev, Ino uint64
	Target   string // of a link, if it was asked for
	Frozen   bool   // a rule on names lets nobody change it or what it holds; not said of entries of a Listing
}

func (in *Info) IsDir() bool     { return in.Mode.IsDir() }
func (in *Info) IsRegular() bool { return in.Mode.IsRegular() }
func (in *Info) IsLink() bool    { return in.Mode&fs.ModeSymlink != 0 }

// Rights is what a user may do with an entry; RFC 3659, section 7.5.5, has
// one letter for each.
type Rights uint16

const (
	MayAppend Rights = 1 << iota // a: a file may be appended to
	MayRead                      // r: a file may be fetched
	MayWrite                     // w: a file may be stored over
	MayDelete                    // d: the entry may be removed
	MayRename                    // f: the entry may be renamed
	MayCreate                    // c: files may be created in the directory
	MayMkdir                     // m: directories may be created in it
	MayPurge                     // p: what it holds may be removed
	MayEnter                     // e: CWD into the directory
	MayList                      // l: the directory may be listed
)

// lookRights are those that change nothing.
const lookRights = MayRead | MayList | MayEnter

// Rights tells what the user may do with entry, judged by Perms and the
// permission bits alone: it costs no system call, and the kernel, which also
// knows of access lists and read-only mounts, has the last word. dir is the
// directory that holds entry, nil for the virtual root, which can be neither
// removed nor renamed.
func (f *FS) Rights(entry, dir *Info) Rights {
	var r Rights
	perms := f.Perms()
	grant := func(need userdb.Perms, rights Rights) {
		if perms.Has(need) {
			r |= rights
		}
	}
	bits := f.bits(entry)
	switch {
	case entry.IsDir():
		if bits&1 != 0 {
			r |= MayEnter
		}
		if bits&4 != 0 {
			grant(userdb.PermList, MayList)
		}
		if bits&3 == 3 {
			grant(userdb.PermWrite, MayCreate)
			grant(userdb.PermMkdir, MayMkdir)
			grant(userdb.PermDelete, MayPurge)
		}
	case entry.IsRegular():
		if bits&4 != 0 {
			grant(userdb.PermRead, MayRead)
		}
		if bits&2 != 0 && (!f.opts.OnlyNew || entry.Size == 0) {
			grant(userdb.PermWrite, MayAppend|MayWrite)
		}
	}
	if dir != nil && f.bits(dir)&3 == 3 && f.unstuck(entry, dir) {
		grant(userdb.PermDelete, MayDelete)
		grant(userdb.PermRename, MayRename)
	}
	r = f.ruled(entry, r)
	if entry.Frozen || dir != nil && dir.Frozen {
		r &= lookRights
	}
	return r
}

// bits returns the rwx bits of in that apply to the user.
func (f *FS) bits(in *Info) fs.FileMode {
	perm := in.Mode.Perm()
	switch {
	case f.who.UID == 0:
		if in.IsDir() || perm&0o111 != 0 {
			return 7
		}
		return 6
	case in.UID == f.who.UID:
		return perm >> 6 & 7
	case in.GID == f.who.GID || slices.Contains(f.who.Groups, in.GID):
		return perm >> 3 & 7
	}
	return perm & 7
}

// unstuck reports whether the sticky bit of dir lets the user remove entry.
func (f *FS) unstuck(entry, dir *Info) bool {
	return dir.Mode&fs.ModeSticky == 0 || f.who.UID == 0 || entry.UID == f.who.UID || dir.UID == f.who.UID
}
