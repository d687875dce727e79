package vfs

import (
	"fmt"
	"io/fs"
	"strings"
)

// Rules are what the administrator refuses to an account although its permissions
// and those of the files would allow it.
type Rules struct {
	// NoDotWrite refuses to make, change and remove what has a name that begins
	// with a dot, or lies below such a directory; NoDotRead refuses to read it,
	// to enter it and to tell anything of it. A listing of what holds it has
	// its name, as the system's own does. What is on the way to where the user
	// starts does not count: the administrator has chosen that.
	NoDotWrite, NoDotRead bool

	// KeepFiles refuses to remove files. They may be replaced and renamed.
	KeepFiles bool

	// NoChmod refuses to choose permissions and groups. Times may be set.
	NoChmod bool

	// KeepOwner lets no user take from himself the right to read and write his
	// files, and to enter his directories.
	KeepOwner bool

	// NotOwn refuses to read files that belong to the account itself: what
	// strangers stored under one account is then for the administrator to look
	// at first, and to give to somebody else.
	NotOwn bool
}

// What Rules refuse.
var (
	// ErrDot is a name that begins with a dot where Rules refuse it. It is an
	// ErrName too.
	ErrDot = fmt.Errorf("begins with a dot: %w", ErrName)

	// ErrKept is an attempt to remove a file that KeepFiles keeps, and ErrNoChmod
	// one to choose permissions or a group. They are an ErrDenied too.
	ErrKept    = fmt.Errorf("files are kept: %w", ErrDenied)
	ErrNoChmod = fmt.Errorf("permissions are not the client's to choose: %w", ErrDenied)

	// ErrUnapproved is an attempt to read what NotOwn keeps.
	ErrUnapproved = fmt.Errorf("not approved by the administrator: %w", ErrDenied)
)

// mayLook refuses op on path where the rules on names let nobody look; clean is
// path as it is on disk. With last, the link at its end counts as what it means.
func (f *FS) mayLook(op, path, clean string, last bool) error {
	if !f.opts.NoDotRead {
		return nil
	}
	return fail(op, path, f.do(func() error { return f.undotted(clean, last) }))
}

// mayChange is the same for what is about to be made, changed or removed.
func (f *FS) mayChange(op, path, clean string, last bool) error {
	if !f.opts.NoDotWrite {
		return nil
	}
	return fail(op, path, f.do(func() error { return f.undotted(clean, last) }))
}

// freeze notes in an Info whether mayChange refuses what it describes; it runs as
// the user.
func (f *FS) freeze(clean string, last bool, in *Info) {
	in.Frozen = f.opts.NoDotWrite && f.undotted(clean, last) != nil
}

// undotted returns ErrDot if clean, or what links make of it, has a name that
// begins with a dot; it runs as the user. A link that is put in the way after
// that leads to other files of the user's, and no further.
func (f *FS) undotted(clean string, last bool) error {
	start, _ := f.opts.Charset.Encode(f.start)
	if dotted(clean, start) {
		return ErrDot
	}
	real, err := expand(clean, last, f.linkAt)
	if err != nil || !dotted(real, start) {
		return err
	}
	// What the administrator has chosen may have another name without its links.
	if start, err = expand(start, true, f.linkAt); err != nil || dotted(real, start) {
		return ErrDot
	}
	return nil
}

// dotted tells whether a clean path has a name that begins with a dot, not
// counting those of start, if it leads there.
func dotted(path, start string) bool {
	if rest, ok := strings.CutPrefix(path, start); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	return strings.Contains(path, "/.")
}

// What KeepOwner leaves to the owner.
const (
	ownerFile fs.FileMode = 0o600
	ownerDir  fs.FileMode = 0o700
)

// kept are the permissions of what is at a clean path that KeepOwner leaves to its
// owner; it runs as the user.
func (f *FS) kept(clean string) fs.FileMode {
	var in Info
	switch {
	case !f.opts.KeepOwner || f.root.stat(clean, &in) != nil:
		return 0
	case in.IsDir():
		return ownerDir
	}
	return ownerFile
}

// ruled takes away the rights to an entry that the rules refuse.
func (f *FS) ruled(entry *Info, r Rights) Rights {
	if entry.IsRegular() {
		if f.opts.KeepFiles {
			r &^= MayDelete
		}
		if f.opts.NotOwn && entry.UID == f.who.UID {
			r &^= MayRead
		}
	}
	if !strings.HasPrefix(entry.Name, ".") || entry.Name == "." || entry.Name == ".." {
		return r
	}
	if f.opts.NoDotWrite {
		r &= lookRights
	}
	if f.opts.NoDotRead {
		r &^= lookRights
	}
	return r
}
