package userdb

import (
	"bytes"
	"iter"
	"os"

	bolt "go.etcd.io/bbolt"
)

// A Watch tells what has become of users since it last looked. While the file is as
// it was it costs a look at the file's times; where only usage was written, one
// transaction that reads a number. One goroutine at a time may use it.
type Watch struct {
	db       DB
	as       os.FileInfo
	revision uint64
	again    bool // the file had changed a moment before the last look, and may have since without a change of its times
}

// NewWatch makes a watch of db that has not looked yet.
func NewWatch(db DB) *Watch { return &Watch{db: db} }

// Look returns the users called fresh and, if any user was changed since the last
// look, those that all names as well: as they are now, in one transaction. A user
// that is gone is yielded with ErrNoUser and one whose record cannot be read with
// its error, both with nothing but their names. If Look fails, the next one tries
// again.
func (w *Watch) Look(fresh []string, all func() []string) (iter.Seq2[User, error], error) {
	now, err := os.Stat(w.db.path)
	if err != nil {
		return nil, w.db.opening(err)
	}
	moved := !same(w.as, now)
	if !moved && !w.again && len(fresh) == 0 {
		return func(func(User, error) bool) {}, nil
	}
	var found []stored
	err = w.db.view(func(tx *bolt.Tx) error {
		users := tx.Bucket([]byte(bucketUsers))
		revision := uint64(0)
		if users != nil {
			revision = users.Sequence()
		}
		names := fresh
		if w.as == nil || !os.SameFile(w.as, now) || revision != w.revision {
			names = all()
		}
		found = make([]stored, len(names))
		for i, name := range names {
			found[i] = stored{name, bytes.Clone(get(users, name))}
		}
		w.revision = revision
		return nil
	})
	if err != nil {
		w.as = nil
		return nil, err
	}
	w.as, w.again = now, moved
	return decodeAll(found), nil
}

// stored is a user as it is in the file; no record: it is not.
type stored struct {
	name   string
	record []byte
}

// decodeAll yields what was found, with no lock held.
func decodeAll(found []stored) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		layout := userLayout()
		for _, f := range found {
			u, err := User{Name: f.name}, ErrNoUser
			if f.record != nil {
				u, err = decode(layout, f.name, f.record)
			}
			if !yield(u, err) {
				return
			}
		}
	}
}
