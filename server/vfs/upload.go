package vfs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"portreeve/userdb"
)

// How says what an upload does to what is there.
type How struct {
	// Offset writes from there on into the file that exists and keeps what
	// lies beyond the bytes written.
	Offset int64
	// Append writes at the end the file has now, or at Offset if that is
	// not 0 (RFC 3659, section 5.4).
	Append bool
	// Within keeps what lies beyond the bytes written at Offset 0 too.
	Within bool
	// Hidden gives the file its name only when it is complete, also where the
	// FS was not opened with NoTruncate.
	Hidden bool
	// Unique makes a name that is not taken from the last component of the
	// path, which may be empty: "/dir/" leaves the choice to the FS.
	Unique bool
	// NoReplace refuses with fs.ErrExist if the name is taken.
	NoReplace bool
	// Expect is how many bytes are known to come; 0 is not known.
	Expect int64
}

// An Upload is a file that is being stored. Whoever has it calls Begin when
// data is about to come, writes to File, and ends with Commit or Discard, all
// in one goroutine at a time.
//
// With NoTruncate or AutoRename a whole file goes to a hidden name in the
// directory of its final one, and Commit renames it, so the final name shows
// the old content or all of the new. The new file has the permission bits of
// the one it replaces and belongs to the user, even if the old one, which he
// must have been allowed to write, did not; other names of the old one (hard
// links) keep the old content. Otherwise, and always with Offset or Append,
// the file is written in place, and what arrived of a broken upload stays.
//
// Commit does not wait for the disk: after it the file survives the end of
// the daemon, however sudden, but not that of the machine.
type Upload struct {
	fs   *FS
	file *os.File
	dir  dir // where name and temp are; nil for an existing file in place

	empty *os.File // the file that is filled; nil if none is, or it is file itself

	path    string // where the client will find it, as it is on disk
	name    string // last component of the final name
	temp    string // hidden name; "" in place
	offset  int64
	replace bool // the final name may be taken
	number  bool // and if it is not to be replaced, try name.1, name.2, ...
	trunc   bool // Begin truncates
	created bool // name is ours and new: info tells which file it was
	over    bool // Commit is to replace a file that was there
	info    Info
	began   bool
	emptied bool // by Begin
	done    bool

	tracked tracked
}

// Write opens path for storing. A link to a file inside the root is followed,
// and stays; one that leads nowhere is refused with fs.ErrNotExist.
func (f *FS) Write(path string, how How) (*Upload, error) {
	const op = "store"
	if err := f.need(userdb.PermWrite, op, path); err != nil {
		return nil, err
	}
	clean, ok := f.onDisk(Clean("/", path))
	if !ok {
		return nil, fail(op, path, ErrName)
	}
	asDir := path == "" || path[len(path)-1] == '/'
	if !how.Unique && (asDir || clean == "/") {
		return nil, fail(op, path, ErrIsDir)
	}
	if err := f.mayChange(op, path, clean, true); err != nil {
		return nil, err
	}
	if f.opts.OnlyNew && (!f.opts.AutoRename || how.Offset > 0 || how.Append || how.Within) {
		how.NoReplace = true
	}
	if f.misleads(clean) {
		return nil, fail(op, path, ErrName)
	}
	if err := f.acquire(); err != nil {
		return nil, fail(op, path, err)
	}
	u := &Upload{fs: f, path: clean, offset: how.Offset}
	err := u.enlist()
	if err == nil {
		err = u.underLock(func() error { return u.open(how, asDir) })
	}
	if err != nil {
		u.Discard()
		return nil, fail(op, path, err)
	}
	return u, nil
}

// open opens what is to be written.
func (u *Upload) open(how How, asDir bool) error {
	switch {
	case how.Unique:
		return u.openUnique(how, asDir)
	case how.Offset > 0 || how.Append || how.Within:
		return u.openInPlace(how)
	case how.Hidden || u.fs.opts.NoTruncate || u.fs.opts.AutoRename:
		return u.openHidden(how)
	}
	return u.openInPlace(how)
}

// Storable tells what is wrong with path for storing, as far as that can be
// known without making or opening anything.
func (f *FS) Storable(path string) error {
	const op = "store"
	clean, ok := f.onDisk(Clean("/", path))
	switch err := f.need(userdb.PermWrite, op, path); {
	case err != nil:
		return err
	case !ok, f.misleads(clean):
		return fail(op, path, ErrName)
	case clean == "/" || strings.HasSuffix(path, "/"):
		return fail(op, path, ErrIsDir)
	}
	if err := f.mayChange(op, path, clean, true); err != nil {
		return err
	}
	return fail(op, path, f.do(func() error {
		var in Info
		err := f.root.stat(clean, &in)
		if errors.Is(err, fs.ErrNotExist) {
			parent, _ := split(clean)
			return f.root.enter(parent)
		}
		if err != nil {
			return err
		}
		return storable(&in)
	}))
}

// openInPlace opens an existing file without truncating it, or makes one.
func (u *Upload) openInPlace(how How) error {
	for range 8 { // somebody else may remove and create the name meanwhile
		var in Info
		err := u.openExisting(&in)
		switch {
		case err == nil && how.NoReplace:
			if err := u.fill(u.file, &in); err != nil {
				return err
			}
			return u.claimPlace(&in, how)
		case err == nil:
			if err := u.seek(how, in.Size); err != nil {
				return err
			}
			return u.claimPlace(&in, how)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case how.Offset > 0:
			return ErrOffset
		}
		if err = u.in(u.path); err != nil {
			return err
		}
		if err = u.create(u.name, how); err == nil || errors.Is(err, ErrQuota) {
			return err
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := u.dir.lstat(u.name, &in); err == nil && in.IsLink() {
			return fs.ErrNotExist // the link leads nowhere
		}
		u.dir.close()
		u.dir = nil
	}
	return fs.ErrExist
}

// openExisting opens what is at the path, looking first, because to open a
// device for writing may already do something to it.
func (u *Upload) openExisting(in *Info) (err error) {
	if err = u.fs.root.stat(u.path, in); err != nil {
		return err
	}
	if err = storable(in); err != nil {
		return err
	}
	if u.file, err = u.fs.root.open(u.path, os.O_WRONLY, in); err != nil {
		return err
	}
	return storable(in)
}

// seek goes where the client wants to write. O_APPEND would do for one case,
// but the kernel does not splice to such a file.
func (u *Upload) seek(how How, size int64) error {
	switch {
	case how.Offset > size:
		return ErrOffset
	case how.Append && how.Offset == 0:
		u.offset = size
	case how.Offset == 0 && !how.Within:
		u.trunc = true
	}
	if u.offset == 0 {
		return nil
	}
	_, err := u.file.Seek(u.offset, io.SeekStart)
	return err
}

// openHidden makes the hidden file that is to become path.
func (u *Upload) openHidden(how How) error {
	if err := u.in(u.path); err != nil {
		return err
	}
	u.number = u.fs.opts.AutoRename && !how.NoReplace
	u.replace = !u.fs.opts.AutoRename && !how.NoReplace
	mode := u.mode()
	var old Info
	err := u.dir.lstat(u.name, &old)
	if err == nil && old.IsLink() && u.replace {
		if err = u.follow(&old); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case how.NoReplace:
		if mode, err = u.fillHidden(&old); err != nil {
			return err
		}
	case u.number && old.IsLink():
	default:
		if err := storable(&old); err != nil {
			return err
		}
		if u.replace {
			if err := u.writable(); err != nil {
				return err
			}
			mode = old.Mode.Perm()
			u.over = true
		}
	}
	if err := u.claimHidden(&old, how); err != nil {
		return err
	}
	return u.makeHidden(mode)
}

// follow goes on to the file that a link at the final name means, so that
// Commit does not replace the link. One that leads nowhere is an error.
func (u *Upload) follow(file *Info) error {
	real, err := expand(u.path, true, u.fs.linkAt)
	if err != nil {
		return err
	}
	if real == "/" {
		return ErrIsDir
	}
	u.dir.close()
	if err := u.in(real); err != nil {
		return err
	}
	return u.dir.lstat(u.name, file)
}

// writable asks the kernel whether the user may write the file about to be
// replaced, for which a rename would only need the directory.
func (u *Upload) writable() error {
	var in Info
	file, err := u.dir.open(u.name, os.O_WRONLY, 0, &in)
	if err != nil {
		return err
	}
	file.Close()
	return storable(&in)
}

func (u *Upload) makeHidden(mode fs.FileMode) error {
	temp := tempPrefix + token(tempToken)
	if err := u.make(temp, mode); err != nil {
		return err
	}
	u.temp = temp
	lock(u.file)
	return nil
}

// openUnique finds a name that is not taken. Its last part is random rather
// than a count, so that the name, which the client is told before it sends
// anything, is still free when a hidden file is given it in the end.
func (u *Upload) openUnique(how How, asDir bool) error {
	hint, parent := "stou", u.path
	if !asDir && u.path != "/" {
		parent, hint = split(u.path)
	}
	hint = u.fs.clip(hint, maxName-len(".01234567"))
	for range 8 {
		name := hint + "." + token(4)
		u.path = join(parent, name)
		if err := u.in(u.path); err != nil {
			return err
		}
		if !u.fs.opts.NoTruncate {
			if err := u.create(name, how); !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		var in Info
		if err := u.dir.lstat(name, &in); errors.Is(err, fs.ErrNotExist) {
			if err := u.claimHidden(nil, how); err != nil {
				return err
			}
			return u.makeHidden(u.mode())
		} else if err != nil {
			return err
		}
		u.dir.close()
		u.dir = nil
	}
	return fs.ErrExist
}

// clip cuts a name on disk to so many bytes, and no character in two.
func (f *FS) clip(name string, most int) string {
	text, _ := f.opts.Charset.Decode(name)
	for len(name) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
		name, _ = f.opts.Charset.Encode(text)
	}
	return name
}

// in opens the directory of path and remembers the last component.
func (u *Upload) in(path string) (err error) {
	var parent string
	parent, u.name = split(path)
	u.dir, err = u.fs.root.dir(parent)
	return err
}

// mode is that of a new file.
func (u *Upload) mode() fs.FileMode {
	mask, _ := u.fs.Umask()
	return 0o777 &^ mask
}

// make creates the file that is written to.
func (u *Upload) make(name string, mode fs.FileMode) (err error) {
	u.file, err = u.dir.open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode, &u.info)
	if err == nil && u.info.Mode.Perm() != mode.Perm() {
		// The umask of the process took bits, which come back; or the file
		// system knows no modes, which is no reason to refuse a file.
		_ = u.file.Chmod(mode.Perm())
	}
	return err
}

// create makes a new file that is written where it is.
func (u *Upload) create(name string, how How) error {
	if err := u.claimNew(how); err != nil {
		return err
	}
	if err := u.make(name, u.mode()); err != nil {
		return err
	}
	if u.fs.opts.OnlyNew { // ours to withdraw only if nobody else has begun to fill it
		if err := hold(u.file); err != nil {
			return err
		}
	}
	u.created = true
	u.claimMade()
	return nil
}

// token is n random bytes in hexadecimal.
func token(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// File is where the data goes, already at the right offset. It is the
// concrete type so that its ReadFrom may splice.
func (u *Upload) File() *os.File { return u.file }

// Name returns the virtual path of the file; with AutoRename it is final only
// after Commit.
func (u *Upload) Name() string {
	name, _ := u.fs.opts.Charset.Decode(u.path)
	return name
}

// Offset returns where in the file the writing begins.
func (u *Upload) Offset() int64 { return u.offset }

// Replaces tells whether Commit will put the file in the place of another.
func (u *Upload) Replaces() bool { return u.over }

// Begin is called when data is about to come, not before: only then does a
// file that is written in place lose its old content.
func (u *Upload) Begin() error {
	u.began = true
	if !u.trunc {
		return nil
	}
	u.trunc, u.emptied = false, true
	return fail("store", u.Name(), u.file.Truncate(0))
}

// Commit ends an upload that is complete. If it fails, a hidden file is gone.
func (u *Upload) Commit() error {
	if u.done {
		return fail("store", u.Name(), fs.ErrClosed)
	}
	size, err := u.weighed()
	// The lock that keeps a hidden file from being swept up lasts as long as one
	// of its descriptors does; closing one tells whether all was written.
	lock := -1
	if err == nil {
		lock, err = unix.Dup(int(u.file.Fd()))
	}
	if err == nil {
		defer unix.Close(lock)
		err = u.file.Close()
	}
	if err != nil {
		u.Discard()
		return fail("store", u.Name(), err)
	}
	if u.temp == "" {
		u.end()
		return nil
	}
	err = u.underLock(func() error {
		if u.tracked.claim != nil {
			return u.commitCounted(size)
		}
		return u.rename(u.replace)
	})
	if err == nil {
		u.temp = ""
	}
	if errors.Is(err, ErrQuota) {
		_ = u.Exceed()
	}
	u.Discard()
	return fail("store", u.Name(), err)
}

// weighed returns how large a hidden file has become, where somebody counts; one
// that is written where it is, is counted.
func (u *Upload) weighed() (size int64, err error) {
	if u.temp == "" {
		return 0, u.underLockIf(u.closePlace)
	}
	if u.tracked.account == nil { // there may be a limit only since it began
		if err := u.enlist(); err != nil || u.tracked.account == nil {
			return 0, err
		}
		if u.tracked.claim, err = u.tracked.account.Claim(false); err != nil {
			return 0, err
		}
	}
	return u.file.Seek(0, io.SeekEnd)
}

// rename gives the hidden file its name, which another file may have if replace.
func (u *Upload) rename(replace bool) error {
	if u.empty != nil {
		if err := u.unfilled(u.empty); err != nil {
			return err
		}
	}
	if !u.number {
		return u.dir.rename(u.temp, u.dir, u.name, replace)
	}
	parent, _ := split(u.path)
	name := u.name
	for i := 1; i < 10000; i++ {
		err := u.dir.rename(u.temp, u.dir, name, false)
		if err == nil {
			u.path = join(parent, name)
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		name = u.name + "." + strconv.Itoa(i)
		if len(name) > maxName {
			return ErrName
		}
	}
	return fs.ErrExist
}

// Discard gives up an upload. Hidden files go, and so does one that was made
// in place for data that never came. It does nothing after Commit.
func (u *Upload) Discard() error {
	if u.done {
		return nil
	}
	var err error
	if u.temp != "" {
		u.file.Close()
		err = u.fs.do(func() error { return u.dir.unlink(u.temp) })
	} else if u.file != nil {
		err = u.discardPlace()
	}
	u.end()
	return fail("discard", u.Name(), err)
}

// discardPlace gives up a file that was written where it is.
func (u *Upload) discardPlace() (err error) {
	if u.created && !u.began {
		err = u.underLock(u.withdraw)
	}
	if cerr := u.underLockIf(u.closePlace); cerr != nil && !errors.Is(cerr, fs.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	u.file.Close()
	return err
}

// withdraw removes the file made in place, unless the name is another's now.
func (u *Upload) withdraw() error {
	var in Info
	if err := u.dir.lstat(u.name, &in); err != nil || in.Dev != u.info.Dev || in.Ino != u.info.Ino {
		return nil
	}
	if err := u.dir.unlink(u.name); err != nil {
		return err
	}
	if a := u.tracked.account; a != nil {
		drop(a, weight(a, &in))
	}
	return nil
}

// end releases what Write acquired.
func (u *Upload) end() {
	u.done = true
	u.retire()
	if u.empty != nil {
		u.empty.Close()
	}
	if u.dir != nil {
		u.dir.close()
	}
	u.fs.release()
}
