package userdb

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// ErrConflict means that a user was changed between Read and Commit.
var ErrConflict = errors.New("a user was changed meanwhile")

// Edits are changes of many users that are made all at once or not at all. They
// are gathered in memory, a few hundred bytes a user, while others read and write
// as they like.
type Edits struct {
	db     DB
	layout layout[User]
	list   []edit
	record []byte // of whom Put looks at
	undoes uint64 // the changeset that they take back
	number uint64 // of the changeset that they became
}

// An edit is a user's record as it was read, nil if there was none, and as it is
// to be, nil if there is to be none.
type edit struct {
	name     string
	old, new []byte
	usage    []byte // lines of the usage that comes back with the user
}

func (e edit) compare(other edit) int { return strings.Compare(e.name, other.name) }

// fits tells whether the user's record is still what was read.
func (e edit) fits(record []byte) bool {
	return (record == nil) == (e.old == nil) && bytes.Equal(record, e.old)
}

func (e edit) conflict() error { return fmt.Errorf("%w: %s", ErrConflict, e.name) }

// write makes the edit.
func (e edit) write(tx *bolt.Tx, users *bolt.Bucket) error {
	if e.new != nil {
		return cmp.Or(users.Put([]byte(e.name), e.new), e.settle(tx))
	}
	return cmp.Or(users.Delete([]byte(e.name)), e.settle(tx))
}

// settle makes what is known of a user besides its record fit the edit.
func (e edit) settle(tx *bolt.Tx) error {
	switch {
	case e.new == nil:
		return forgetUsage(tx, e.name)
	case e.usage == nil:
		return nil
	}
	record := e.usage
	if get(tx.Bucket([]byte(bucketGuests)), e.name) != nil { // somebody wrote on when the user was gone
		record = doubted(record)
	}
	if err := forgetUsage(tx, e.name); err != nil {
		return err
	}
	usage, err := tx.CreateBucketIfNotExists([]byte(bucketUsage))
	if err != nil {
		return err
	}
	return usage.Put([]byte(e.name), record)
}

// doubted returns a record of usage that says to count anew, since somebody was
// changing the files. One that cannot be read becomes an empty one.
func doubted(record []byte) []byte {
	var u use
	if useLayout().read(string(record), &u) != nil {
		u = use{}
	}
	u.counted, u.left, u.writer = false, true, ""
	return useLayout().append(nil, &u)
}

// Stored is a user as Edits read it. A record that cannot be read has Err, and
// cannot be changed.
type Stored struct {
	User   User
	Err    error
	Tally  Tally // this and Last are there if Walk read it
	Last   Login
	record []byte
}

// Exists tells whether there is a user of that name.
func (s Stored) Exists() bool { return s.record != nil }

// Edits begins to gather changes.
func (db DB) Edits() *Edits { return &Edits{db: db, layout: userLayout()} }

// Len returns how many users would be written.
func (e *Edits) Len() int { return len(e.list) }

// Read returns the users of those names, in their order, as one transaction sees
// them.
func (e *Edits) Read(names []string) ([]Stored, error) {
	found := make([]Stored, len(names))
	err := e.db.view(func(tx *bolt.Tx) error {
		users := tx.Bucket([]byte(bucketUsers))
		for i, name := range names {
			found[i].record = bytes.Clone(get(users, name))
		}
		return nil
	})
	if errors.Is(err, ErrNoDatabase) {
		return found, nil
	}
	for i, name := range names {
		if s := &found[i]; s.Exists() {
			s.User, s.Err = decode(e.layout, name, s.record)
		}
	}
	return found, err
}

// Put notes how a user is to be; was is what Read returned for its name. A user
// may be put once.
func (e *Edits) Put(was Stored, u User) error {
	u.Changed = time.Now()
	if was.Exists() {
		u.Created = was.User.Created
	} else if u.Created.IsZero() {
		u.Created = u.Changed
	}
	u.normal()
	if err := u.Validate(); err != nil {
		return err
	}
	switch {
	case was.Err != nil:
		return was.Err
	case was.Exists() && was.User.Name != u.Name:
		return invalid("user %q cannot be renamed", was.User.Name)
	}
	e.record = e.layout.append(e.record[:0], &u)
	if !was.Exists() || !sameBut("changed", was.record, e.record) {
		// Both are kept without what they may be a part of: a line of a file, a larger array.
		e.list = append(e.list, edit{name: strings.Clone(u.Name), old: was.record, new: bytes.Clone(e.record)})
	}
	return nil
}

// Remove notes that there is to be no user of that name; was is what Read returned
// for it. A record that cannot be read can be removed.
func (e *Edits) Remove(name string, was Stored) {
	if was.Exists() {
		e.list = append(e.list, edit{name: name, old: was.record})
	}
}

// Deltas yields what Commit would do to each user, in the order in which they were
// put.
func (e *Edits) Deltas() iter.Seq[Delta] {
	return func(yield func(Delta) bool) {
		for _, c := range e.list {
			for d := range deltasIn(appendDelta(nil, c)) {
				if !yield(d.show(e.layout)) {
					return
				}
			}
		}
	}
}

// Undoable tells whether the trail would keep what Commit does in such detail that
// it can be undone.
func (e *Edits) Undoable() bool { return len(e.list) == 0 || deltasOf(e.list) != nil }

// rebuildFrom is the number of edits from which a new file takes less time than a
// transaction, during which nobody could log in.
const rebuildFrom = 20_000

// Commit writes all users that were put, or none of them. It fails with
// ErrConflict if one of them is no longer as it was read. done, which may be nil,
// is told how many users are written from time to time.
func (e *Edits) Commit(done func(int)) error {
	if len(e.list) == 0 {
		return nil
	}
	if done == nil {
		done = func(int) {}
	}
	slices.SortFunc(e.list, edit.compare)
	for i, c := range e.list[1:] {
		if e.list[i].name == c.name {
			return fmt.Errorf("%w: %s is to be added twice", ErrUserExists, c.name)
		}
	}
	noted := changer{author: e.db.author, undoes: e.undoes, edits: e.list, deltas: deltasOf(e.list)}
	if len(e.list) >= rebuildFrom {
		if err := e.rebuild(&noted, done); !errors.Is(err, errMoved) {
			return err
		}
	}
	return e.atOnce(&noted, done)
}

// Number returns the number of the changeset that Commit made, 0 if there was
// nothing to change.
func (e *Edits) Number() uint64 { return e.number }

// atOnce writes the edits in one transaction.
func (e *Edits) atOnce(noted *changer, done func(int)) error {
	write := func(tx *bolt.Tx) error {
		users, err := tx.CreateBucketIfNotExists([]byte(bucketUsers))
		if err != nil {
			return err
		}
		for _, c := range e.list {
			if !c.fits(users.Get([]byte(c.name))) {
				return c.conflict()
			}
		}
		if e.number, err = noted.write(tx); err != nil {
			return err
		}
		for _, c := range e.list {
			if err := c.write(tx, users); err != nil {
				return err
			}
		}
		return touched(users)
	}
	err := e.db.update(write)
	if errors.Is(err, ErrNoDatabase) {
		if err = e.db.create(); err == nil {
			err = e.db.update(write)
		}
	}
	if err == nil {
		done(len(e.list))
	}
	return err
}
