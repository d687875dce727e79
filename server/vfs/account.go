package vfs

import (
	"errors"
	"io/fs"

	"portreeve/server/ledger"
	"portreeve/userdb"
)

// How an FS keeps its account exact. Regular files and directories count, and the
// bytes of regular files; links do not, nor do the daemon's own hidden files.
//
// Who changes names holds the account's lock from the look that says what the
// change comes to until it is made. Bytes are reserved while they come, without
// that lock. What is written where it is counts as it was until it is closed.

// account returns who counts, nil if nobody needs to.
func (f *FS) account() *ledger.Account {
	if a := f.opts.Account; a.Limited() {
		return a
	}
	return nil
}

// Left returns how many files and bytes the account has room for; false if that is
// not limited.
func (f *FS) Left() (userdb.Usage, bool) {
	a := f.account()
	if a == nil {
		return userdb.Usage{}, false
	}
	return a.Left(), true
}

// rearrange runs, as the user, what makes or removes names. The account is nil if
// nobody counts.
func (f *FS) rearrange(job func(a *ledger.Account) error) error {
	a := f.account()
	if a == nil {
		return f.do(func() error { return job(nil) })
	}
	if err := a.Begin(); err != nil {
		return err
	}
	defer a.End()
	a.Lock()
	defer a.Unlock()
	return f.do(func() error { return job(a) })
}

// weigh returns what an entry of a directory counts for.
func weigh(a *ledger.Account, d dir, name string) (userdb.Usage, error) {
	if a == nil {
		return userdb.Usage{}, nil
	}
	var in Info
	if err := d.lstat(name, &in); err != nil {
		return userdb.Usage{}, err
	}
	return weight(a, &in), nil
}

func weight(a *ledger.Account, in *Info) userdb.Usage {
	switch {
	case in.IsRegular():
		return a.Of(inode(in), in.Size)
	case in.IsDir():
		return userdb.Usage{Files: 1}
	}
	return userdb.Usage{}
}

// weighOther is weigh for what another entry is about to replace: nothing, if it is
// not there or the same file.
func weighOther(a *ledger.Account, d dir, name string, by dir, entry string) (userdb.Usage, error) {
	if a == nil {
		return userdb.Usage{}, nil
	}
	var old, its Info
	err := d.lstat(name, &old)
	if errors.Is(err, fs.ErrNotExist) {
		return userdb.Usage{}, nil
	}
	if err == nil {
		err = by.lstat(entry, &its)
	}
	if err != nil || inode(&old) == inode(&its) {
		return userdb.Usage{}, err
	}
	return weight(a, &old), nil
}

func inode(in *Info) ledger.Inode { return ledger.Inode{Dev: in.Dev, Ino: in.Ino} }

// drop counts what is gone.
func drop(a *ledger.Account, gone userdb.Usage) {
	if a != nil {
		a.Add(userdb.Usage{Files: -gone.Files, Bytes: -gone.Bytes})
	}
}

// mkdir makes a directory if there is room for it. Where somebody counts, its owner
// can always look into it.
func mkdir(a *ledger.Account, d dir, name string, mode fs.FileMode) error {
	if a == nil {
		return d.mkdir(name, mode)
	}
	c, err := a.Claim(true)
	if err != nil {
		return err
	}
	if err := d.mkdir(name, mode|countable); err != nil {
		c.Drop()
		return err
	}
	c.Settle(userdb.Usage{Files: 1})
	return nil
}

// countable is what a directory keeps of its permissions where somebody counts.
const countable fs.FileMode = 0o500

func (f *FS) countable(clean string) fs.FileMode {
	var in Info
	if f.account() != nil && f.root.stat(clean, &in) == nil && in.IsDir() {
		return countable
	}
	return 0
}

// A tracked upload is one that an account counts.
type tracked struct {
	account *ledger.Account
	claim   *ledger.Claim // nil before the file is there, and after the end
	inode   ledger.Inode  // of a file that is written where it is
	size    int64         // such a file had before
	granted int64         // bytes
}

// Counted tells whether an account counts the upload: Grow then says how much may
// be written.
func (u *Upload) Counted() bool { return u.tracked.claim != nil }

// Grow asks for room for n more bytes, and returns for how many there is.
func (u *Upload) Grow(n int64) int64 {
	if u.tracked.claim == nil {
		return n
	}
	n = u.tracked.claim.Grow(n)
	u.tracked.granted += n
	return n
}

// enlist has the account count an upload, if there is one; it ends with retire.
func (u *Upload) enlist() error {
	a := u.fs.account()
	if a == nil {
		return nil
	}
	if err := a.Begin(); err != nil {
		return err
	}
	u.tracked.account = a
	return nil
}

// retire is the end of what enlist began.
func (u *Upload) retire() {
	t := &u.tracked
	if t.account == nil {
		return
	}
	if t.claim != nil {
		t.claim.Drop()
		t.claim = nil
	}
	t.account.End()
	t.account = nil
}

// underLock runs, as the user, what must find names as they are counted.
func (u *Upload) underLock(job func() error) error {
	if a := u.tracked.account; a != nil {
		a.Lock()
		defer a.Unlock()
	}
	return u.fs.do(job)
}

// underLockIf is underLock for what touches no names, and is to be done only where
// somebody counts.
func (u *Upload) underLockIf(job func() error) error {
	a := u.tracked.account
	if a == nil {
		return nil
	}
	a.Lock()
	defer a.Unlock()
	return job()
}

// claimHidden begins to count a hidden file, which may replace another.
func (u *Upload) claimHidden(old *Info, how How) (err error) {
	t := &u.tracked
	if t.account == nil {
		return nil
	}
	if t.claim, err = t.account.Claim(!u.over); err != nil {
		return err
	}
	if u.over {
		t.claim.Replaces(inode(old), old.Size)
	}
	return u.hasRoom(how)
}

// claimNew begins to count a file that is about to be made in its place.
func (u *Upload) claimNew(how How) (err error) {
	t := &u.tracked
	if t.account == nil || t.claim != nil {
		return nil
	}
	if t.claim, err = t.account.Claim(true); err != nil {
		return err
	}
	return u.hasRoom(how)
}

// claimMade counts a file that was made in its place.
func (u *Upload) claimMade() {
	t := &u.tracked
	if t.account == nil {
		return
	}
	t.claim.Made()
	t.inode = inode(&u.info)
	t.claim.Writes(t.inode, 0)
}

// claimPlace begins to count a file that is there, and is written where it is, from
// Upload.offset on.
func (u *Upload) claimPlace(in *Info, how How) (err error) {
	t := &u.tracked
	if t.account == nil {
		return nil
	}
	if t.claim, err = t.account.Claim(false); err != nil {
		return err
	}
	t.inode, t.size = inode(in), in.Size
	t.claim.Within(t.claim.Writes(t.inode, in.Size) - u.offset)
	return u.hasRoom(how)
}

// hasRoom refuses an upload that is known to find too little room: it has said how
// much it is, there is none at all, or it was found out the last time.
func (u *Upload) hasRoom(how How) error {
	t := &u.tracked
	if how.Expect > 0 {
		if !t.claim.Expect(how.Expect) {
			return ErrQuota
		}
		return nil
	}
	if room := t.claim.Room(); room == 0 || t.account.Failed(u.path, room) {
		return ErrQuota
	}
	return nil
}

// commitCounted gives a hidden file its name, if there still is room for it.
func (u *Upload) commitCounted(size int64) error {
	// What nothing had the name of when the upload began, nothing has as a rule. The
	// kernel tells of the exceptions, so that this costs no look.
	if u.replace && !u.over {
		err := u.settle(userdb.Usage{Files: 1, Bytes: size}, false)
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, ErrQuota) {
			return err
		}
	}
	old := userdb.Usage{}
	if !u.number {
		var err error
		if old, err = weigh(u.tracked.account, u.dir, u.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return u.settle(userdb.Usage{Files: 1 - old.Files, Bytes: size - old.Bytes}, u.replace)
}

// settle is a commit that changes what the user has by d.
func (u *Upload) settle(d userdb.Usage, replace bool) error {
	t := &u.tracked
	if !t.claim.Fit(d) {
		return ErrQuota
	}
	if err := u.rename(replace); err != nil {
		return err
	}
	t.claim.Settle(d)
	t.claim = nil
	t.account.Forget(u.path)
	return nil
}

// closePlace counts what has become of a file that was written where it is. It
// runs with the account's lock, while the file is open.
func (u *Upload) closePlace() error {
	t := &u.tracked
	if t.claim == nil || t.inode == (ledger.Inode{}) {
		return nil
	}
	in := Info{Size: t.size, Nlink: 1}
	st, err := u.file.Stat()
	if err == nil {
		in.fill(st)
	}
	t.claim.Written(t.inode, in.Size, in.Nlink == 0)
	t.claim = nil
	return err
}

// Exceed is Discard for an upload that found no room. It is remembered, so that
// the same file does not come again and again, and what has come of it is taken
// back where it was written in its place: a file that was begun goes, one that was
// there is as long as it was.
func (u *Upload) Exceed() error {
	t := &u.tracked
	if u.done || t.account == nil {
		return u.Discard()
	}
	if t.claim != nil {
		t.account.Fail(u.path, t.granted)
	}
	if u.temp != "" || !u.began {
		return u.Discard()
	}
	err := u.underLock(u.takeBack)
	return errors.Join(err, u.Discard())
}

// takeBack undoes what can be undone of what was written in its place.
func (u *Upload) takeBack() error {
	switch {
	case u.created:
		return u.withdraw()
	case !u.emptied:
		st, err := u.file.Stat()
		if err == nil && st.Size() > u.tracked.size {
			err = u.file.Truncate(u.tracked.size)
		}
		return err
	}
	path, err := expand(u.path, true, u.fs.linkAt)
	if err == nil {
		err = u.in(path)
	}
	if err != nil {
		return err
	}
	u.info.Dev, u.info.Ino = u.tracked.inode.Dev, u.tracked.inode.Ino
	return u.withdraw()
}
