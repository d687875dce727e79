// Package userdb keeps the virtual users, their limits and their usage in one
// bbolt file.
//
// Nobody holds the file open. Each method opens it, does one transaction and
// closes it, 40 µs for a read; the file lock is the only coordination between
// the daemon, another daemon that takes over from it, and the commands that
// change users. So these work alike whether a daemon runs or not, and a login
// always sees the latest change.
//
// The methods speak of users, not of buckets: get, add, modify by a function,
// remove, iterate. A store on another machine could offer the same.
package userdb

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Any method.
var (
	// ErrBusy means that another process kept the file locked for too long.
	ErrBusy = errors.New("the user database is locked by another process")
	// ErrDamaged means that the file is not a database, or no longer one.
	ErrDamaged = errors.New("the user database is damaged")
	// ErrNoDatabase means that the file is not there yet. It is the answer of
	// all methods but Add and AddAll, which make it.
	ErrNoDatabase = errors.New("no user database")
	// ErrNoFolder means that a file cannot be made, as its folder is not there.
	ErrNoFolder = errors.New("no such folder")
)

// Methods that take a user's name.
var (
	// ErrNoUser means that no user has that name.
	ErrNoUser = errors.New("no such user")
	// ErrUserExists means that a user to be added is there already.
	ErrUserExists = errors.New("user exists")
)

// lockWait is how long a method waits for other processes. Transactions last
// milliseconds; only one that was stopped in the middle keeps the lock longer.
const lockWait = 5 * time.Second

// The buckets. A user's usage is apart from its record, so that a login or an
// upload never rewrites what an administrator may be editing.
const (
	bucketUsers = "users"
	bucketUsage = "usage"
	// bucketGuests is the usage of those whom another back-end lets in.
	bucketGuests = "guests"
)

// A DB names a database file, and who answers for what is changed through it. It
// holds nothing open.
type DB struct {
	path   string
	author Author
	folder bool // is made with the file
}

// At returns the database in the file of that name, which need not exist yet.
func At(path string) DB { return DB{path: path} }

// WithFolder returns the same database, whose folder is made with the file if it is
// not there: for places that nobody named, where that cannot be a slip.
func (db DB) WithFolder() DB {
	db.folder = true
	return db
}

// Path returns the name of the file.
func (db DB) Path() string { return db.path }

// Get returns the user of that name.
func (db DB) Get(name string) (User, error) {
	var record []byte
	err := db.view(func(tx *bolt.Tx) error {
		users := tx.Bucket([]byte(bucketUsers))
		found := get(users, name)
		if found == nil {
			return fmt.Errorf("%w: %s", ErrNoUser, name)
		}
		record = bytes.Clone(found)
		return nil
	})
	if err != nil {
		return User{}, err
	}
	return decode(userLayout(), name, record)
}

// Add stores a new user. It makes the database if there is none.
func (db DB) Add(u User) error {
	_, err := db.AddAll(func(yield func(User, error) bool) { yield(u, nil) })
	return err
}

// addBatch is how many users AddAll writes in one transaction. Others can read
// and write between two of them.
const addBatch = 5000

// AddAll stores new users and returns how many. It writes them in batches: on
// an error, its own or one that the sequence yields, whole batches before that
// are in and the rest is not.
func (db DB) AddAll(users iter.Seq2[User, error]) (int, error) {
	next, stop := iter.Pull2(users)
	defer stop()
	layout := userLayout()
	total := 0
	for {
		batch, err := gather(layout, next)
		if err != nil {
			return total, err
		}
		if len(batch) == 0 {
			return total, nil
		}
		if err := db.addBatch(batch); err != nil {
			return total, err
		}
		total += len(batch)
		if len(batch) < addBatch {
			return total, nil
		}
	}
}

// gather takes the next batch from a sequence and encodes it, before any lock
// is held.
func gather(layout layout[User], next func() (User, error, bool)) ([]edit, error) {
	var batch []edit
	for len(batch) < addBatch {
		u, err, ok := next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		u.Changed = time.Now()
		if u.Created.IsZero() {
			u.Created = u.Changed
		}
		u.normal()
		if err := u.Validate(); err != nil {
			return nil, err
		}
		batch = append(batch, edit{name: u.Name, new: encode(layout, &u)})
	}
	return batch, nil
}

func (db DB) addBatch(batch []edit) error {
	noted := changer{author: db.author, edits: batch, deltas: deltasOf(batch)}
	add := func(tx *bolt.Tx) error {
		users, err := tx.CreateBucketIfNotExists([]byte(bucketUsers))
		if err != nil {
			return err
		}
		if len(batch) == addBatch && slices.IsSortedFunc(batch, edit.compare) {
			users.FillPercent = 0.9 // nothing will come between: half the file, in half the time
		}
		for _, e := range batch {
			if users.Get([]byte(e.name)) != nil {
				return fmt.Errorf("%w: %s", ErrUserExists, e.name)
			}
			if err := users.Put([]byte(e.name), e.new); err != nil {
				return err
			}
		}
		if _, err := noted.write(tx); err != nil {
			return err
		}
		return touched(users)
	}
	err := db.update(add)
	if errors.Is(err, ErrNoDatabase) {
		if err = db.create(); err == nil {
			err = db.update(add)
		}
	}
	return err
}

// get returns the record of a user, or nil; bbolt's memory, for this transaction only.
func get(users *bolt.Bucket, name string) []byte {
	if users == nil || name == "" {
		return nil
	}
	return users.Get([]byte(name))
}

// Modify changes the user of that name by edit, in one transaction: nobody else
// reads or writes in between. While edit runs every login waits, so it must be
// quick; a password is hashed before. If it returns an error, or changes
// nothing, nothing is written. A user's name cannot be changed.
func (db DB) Modify(name string, edit func(*User) error) error {
	return db.modify(name, edit, db.written)
}

// modify is Modify, with what else is to be written.
func (db DB) modify(name string, change func(*User) error, also func(*bolt.Tx, edit) error) error {
	layout := userLayout()
	return db.update(func(tx *bolt.Tx) error {
		users := tx.Bucket([]byte(bucketUsers))
		old := get(users, name)
		if old == nil {
			return fmt.Errorf("%w: %s", ErrNoUser, name)
		}
		u, err := decode(layout, name, old)
		if err != nil {
			return err
		}
		if err := callerFunc(change).call(&u); err != nil {
			return err
		}
		if u.Name != name {
			return invalid("user %q cannot be renamed", name)
		}
		u.Changed = time.Now()
		u.normal()
		if err := u.Validate(); err != nil {
			return err
		}
		record := encode(layout, &u)
		if sameBut("changed", old, record) {
			return errUnchanged
		}
		if err := also(tx, edit{name: name, old: bytes.Clone(old), new: record}); err != nil {
			return err
		}
		if err := users.Put([]byte(name), record); err != nil {
			return err
		}
		return touched(users)
	})
}

// Remove forgets the user of that name and its usage.
func (db DB) Remove(name string) error {
	return db.update(func(tx *bolt.Tx) error {
		users := tx.Bucket([]byte(bucketUsers))
		old := bytes.Clone(get(users, name))
		if old == nil {
			return fmt.Errorf("%w: %s", ErrNoUser, name)
		}
		if err := db.written(tx, edit{name: name, old: old}); err != nil {
			return err
		}
		if err := users.Delete([]byte(name)); err != nil {
			return err
		}
		if err := forgetUsage(tx, name); err != nil {
			return err
		}
		return touched(users)
	})
}

// forgetUsage forgets what a user's files took up, its last login, and where its
// hash came from.
func forgetUsage(tx *bolt.Tx, name string) error {
	for _, bucket := range []string{bucketUsage, bucketGuests, bucketRenewed} {
		if usage := tx.Bucket([]byte(bucket)); usage != nil {
			if err := usage.Delete([]byte(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Changed returns when the file was last written, by a change of a user or of
// usage. It only asks the file system; Revision tells the two apart.
func (db DB) Changed() (time.Time, error) {
	info, err := os.Stat(db.path)
	if err != nil {
		return time.Time{}, db.opening(err)
	}
	return info.ModTime(), nil
}

// Revision returns a number that grows with every change of a user's record,
// and not with a change of usage.
func (db DB) Revision() (uint64, error) {
	var n uint64
	err := db.view(func(tx *bolt.Tx) error {
		if users := tx.Bucket([]byte(bucketUsers)); users != nil {
			n = users.Sequence()
		}
		return nil
	})
	return n, err
}

// touched counts a change of the users, for Revision.
func touched(users *bolt.Bucket) error {
	_, err := users.NextSequence()
	return err
}

// errUnchanged ends a transaction that would write what is there already.
var errUnchanged = errors.New("unchanged")

// view runs do in a transaction that only reads.
func (db DB) view(do func(*bolt.Tx) error) error {
	return db.open(true, func(b *bolt.DB) error { return b.View(do) })
}

// update runs do in a transaction that writes, and returns when it is on disk.
func (db DB) update(do func(*bolt.Tx) error) error {
	err := db.open(false, func(b *bolt.DB) error { return b.Update(do) })
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// open opens the file for the time of do. If another one took its place while it
// waited for the lock, it opens that one.
func (db DB) open(readOnly bool, do func(*bolt.DB) error) error {
	for {
		if err := db.openOnce(readOnly, do); !errors.Is(err, errReplaced) {
			return err
		}
	}
}

// errReplaced means that the file which was opened is no longer the database.
var errReplaced = errors.New("the user database was replaced")

func (db DB) openOnce(readOnly bool, do func(*bolt.DB) error) (err error) {
	var (
		b    *bolt.DB
		file *os.File
	)
	// A damaged file makes bbolt panic, or the kernel fault if it was cut
	// short under its mapping. Neither may end a daemon that has sessions.
	// bbolt may then hold its own locks, so that it cannot be closed, and its
	// mapping keeps the file's lock: that one is given up by hand.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if r, ok := r.(callerPanic); ok {
			b.Close()
			panic(r.value)
		}
		err = fmt.Errorf("%w: %s: %v", ErrDamaged, db.path, r)
		if file != nil {
			err = errors.Join(err, unlock(file))
			file.Close()
		}
	}()
	b, err = bolt.Open(db.path, 0o600, &bolt.Options{
		Timeout:  lockWait,
		ReadOnly: readOnly,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := openExisting(name, flag, mode)
			file = f
			return f, err
		},
		NoStatistics: true,
	})
	if err != nil {
		return db.opening(err)
	}
	if replaced(file, db.path) {
		return cmp.Or(b.Close(), errReplaced)
	}
	return cmp.Or(do(b), b.Close())
}

// callerFunc is a function that was handed to us. Its panics are its own and
// say nothing about the file.
type callerFunc func(*User) error

type callerPanic struct{ value any }

func (f callerFunc) call(u *User) error {
	defer func() {
		if r := recover(); r != nil {
			panic(callerPanic{r})
		}
	}()
	return f(u)
}

// openExisting opens a file, but makes none: that is done by create alone. An
// empty file is one that is yet to be filled.
func openExisting(name string, flag int, mode os.FileMode) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // to open some of them would never end
		return nil, errNotFile
	}
	f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil || flag&os.O_RDWR != 0 {
		return f, err
	}
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		f.Close()
		return nil, cmp.Or(err, fs.ErrNotExist)
	}
	return f, nil
}

// errNotFile is what a database cannot be: a folder, a device, a pipe.
var errNotFile = errors.New("it is no regular file")

// opening puts an error of opening the file in our terms.
func (db DB) opening(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s does not exist", ErrNoDatabase, db.path)
	case errors.Is(err, errNotFile):
		return fmt.Errorf("opening the user database: %s: %w", db.path, err)
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s, for %v", ErrBusy, db.path, lockWait)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %s: %w", ErrDamaged, db.path, err)
	}
	return fmt.Errorf("opening the user database: %w", err)
}

// create makes the file with its buckets under another name and gives it its
// own when it is complete, so that nobody ever sees a part of it.
func (db DB) create() error {
	folder := filepath.Dir(db.path)
	if db.folder {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("creating the user database: %w", err)
		}
	} else if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("creating the user database: %w: %s", ErrNoFolder, folder)
	}
	f, err := os.CreateTemp(folder, ".users-*.new") // mode 0600
	if err != nil {
		return fmt.Errorf("creating the user database: %w", err)
	}
	defer os.Remove(f.Name())
	if err := cmp.Or(ownAsFolder(f, folder), f.Close()); err != nil {
		return fmt.Errorf("creating the user database: %w", err)
	}
	b, err := bolt.Open(f.Name(), 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("creating the user database: %w", err)
	}
	if err := b.Close(); err != nil {
		return fmt.Errorf("creating the user database: %w", err)
	}
	if err := os.Link(f.Name(), db.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating the user database: %w", err)
	}
	return syncFolder(folder)
}
