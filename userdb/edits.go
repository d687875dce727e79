package userdb

import (
	"bytes"
	"errors"
	"fmt"
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
}

// An edit is a user's record as it was read, nil if there was none, and as it is
// to be, nil if there is to be none.
type edit struct {
	name     string
	old, new []byte
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
		return users.Put([]byte(e.name), e.new)
	}
	if err := users.Delete([]byte(e.name)); err != nil {
		return err
	}
	return forgetUsage(tx, e.name)
}

// Stored is a user as Edits read it. A record that cannot be read has Err, and
// cannot be changed.
type Stored struct {
	User   User
	Err    error
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
	record := encode(e.layout, &u)
	if !was.Exists() || !sameBut("changed", was.record, record) {
		e.list = append(e.list, edit{u.Name, was.record, record})
	}
	return nil
}

// Remove notes that there is to be no user of that name; was is what Read returned
// for it. A record that cannot be read can be removed.
func (e *Edits) Remove(name string, was Stored) {
	if was.Exists() {
		e.list = append(e.list, edit{name, was.record, nil})
	}
}

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
	if len(e.list) >= rebuildFrom {
		if err := e.rebuild(done); !errors.Is(err, errMoved) {
			return err
		}
	}
	return e.atOnce(done)
}

// atOnce writes the edits in one transaction.
func (e *Edits) atOnce(done func(int)) error {
	write := func(tx *bolt.Tx) error {
		users, err := tx.CreateBucketIfNotExists([]byte(bucketUsers))
		if err != nil {
			return err
		}
		for _, c := range e.list {
			if !c.fits(users.Get([]byte(c.name))) {
				return c.conflict()
			}
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
