package userdb

import (
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// A Tally is what the database knows of what a user's files take up.
//
// It is right while nobody writes for the user. Who does so says it first, by its
// name in Writer, adds what has changed from time to time, and takes the name
// back when it is done: a name that is there although its process is gone means
// that the files have to be counted.
type Tally struct {
	Usage
	Counted bool   // the files were counted once; otherwise Usage means nothing
	Left    bool   // they were counted once, and changed since by a user without limits
	Writer  string // whose changes may be missing; "" is nobody's
}

// A Change is what a writer has to tell of a user.
type Change struct {
	Usage      // to be added, and may be negative
	Done  bool // that is all: Writer is taken back
}

// Tally returns what is known of a user, or of somebody of that name whom another
// back-end lets in. Nobody needs to have heard of them before, nor is there need
// for a database.
func (db DB) Tally(name string) (Tally, error) {
	var t Tally
	err := db.view(func(tx *bolt.Tx) (err error) {
		t, err = tallyOf(tx, name)
		return err
	})
	if errors.Is(err, ErrNoDatabase) {
		return Tally{}, nil
	}
	return t, err
}

// Tallies returns the tallies of all users, and of those guests that have one.
func (db DB) Tallies() (map[string]Tally, error) {
	all := make(map[string]Tally)
	err := db.view(func(tx *bolt.Tx) error {
		for _, bucket := range []string{bucketGuests, bucketUsage} {
			usage := tx.Bucket([]byte(bucket))
			if usage == nil {
				continue
			}
			err := usage.ForEach(func(name, _ []byte) error {
				u, err := readUse(usage, string(name))
				if err != nil {
					u = use{} // not counted
				}
				all[string(name)] = u.tally()
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// Unfinished returns the names of those who have a writer that is not this one.
func (db DB) Unfinished(writer string) ([]string, error) {
	all, err := db.Tallies()
	if errors.Is(err, ErrNoDatabase) {
		return nil, nil
	}
	var names []string
	for name, t := range all {
		if t.Writer != "" && t.Writer != writer {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// BeginWriting says that writer is about to change what those users' files take
// up, in one transaction, and returns what is known of each.
func (db DB) BeginWriting(writer string, names []string) (map[string]Tally, error) {
	tallies := make(map[string]Tally, len(names))
	err := db.tally(func(tx *bolt.Tx) error {
		for _, name := range names {
			t, err := editTally(tx, name, func(u *use) { u.writer = writer })
			if err != nil {
				return err
			}
			tallies[name] = t
		}
		return nil
	})
	return tallies, err
}

// AddUsages adds what writer has to tell, in one transaction, and returns what
// comes of it: somebody else may have changed the figures too.
func (db DB) AddUsages(writer string, changes map[string]Change) (map[string]Tally, error) {
	tallies := make(map[string]Tally, len(changes))
	err := db.tally(func(tx *bolt.Tx) error {
		for name, c := range changes {
			t, err := editTally(tx, name, func(u *use) {
				u.held.add(c.Usage)
				if c.Done && u.writer == writer {
					u.writer = ""
				}
			})
			if err != nil {
				return err
			}
			tallies[name] = t
		}
		return nil
	})
	return tallies, err
}

// SetUsage says what a user's files were counted to take up. It takes the names of
// writers back, since whatever they had to tell is in it, unless the writer that
// is to stay is among them.
func (db DB) SetUsage(name string, found Usage, stays string) error {
	return db.tally(func(tx *bolt.Tx) error {
		_, err := editTally(tx, name, func(u *use) {
			u.held, u.counted, u.left = found, true, false
			if u.writer != stays {
				u.writer = ""
			}
		})
		return err
	})
}

// LearnUsages says what users' files take up according to others, in one transaction.
// It passes over whom nobody knows, or of whom something is known here already.
func (db DB) LearnUsages(found map[string]Usage) error {
	return db.update(func(tx *bolt.Tx) error {
		for name, held := range found {
			if get(tx.Bucket([]byte(bucketUsers)), name) == nil || held.Files < 0 || held.Bytes < 0 {
				continue
			}
			_, err := editTally(tx, name, func(u *use) {
				if !u.counted && u.writer == "" && !u.left {
					u.held, u.counted = held, true
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Uncount says that nobody counts any more what those users do, as they have no
// limits. It writes only if some of them were counted.
func (db DB) Uncount(names []string) error {
	var counted []string
	err := db.view(func(tx *bolt.Tx) error {
		for _, name := range names {
			if t, err := tallyOf(tx, name); err == nil && t.Counted {
				counted = append(counted, name)
			}
		}
		return nil
	})
	if errors.Is(err, ErrNoDatabase) || err == nil && len(counted) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return db.tally(func(tx *bolt.Tx) error {
		for _, name := range counted {
			if _, err := editTally(tx, name, func(u *use) { u.counted, u.left = false, true }); err != nil {
				return err
			}
		}
		return nil
	})
}

// tally is update, in a database that is made if there is none: guests have
// theirs elsewhere.
func (db DB) tally(do func(*bolt.Tx) error) error {
	err := db.update(do)
	if errors.Is(err, ErrNoDatabase) {
		if err = db.create(); err == nil {
			err = db.update(do)
		}
	}
	return err
}

// add does not fall below zero, nor beyond what a number can be.
func (u *Usage) add(d Usage) {
	sum := func(a, b int64) int64 {
		if c := a + b; c >= 0 && (b < 0 || c >= a) {
			return c
		} else if b > 0 {
			return a
		}
		return 0
	}
	u.Files, u.Bytes = sum(u.Files, d.Files), sum(u.Bytes, d.Bytes)
}

func (u use) tally() Tally { return Tally{u.held, u.counted, u.left, u.writer} }

// place is the bucket that has the usage of somebody.
func place(tx *bolt.Tx, name string) string {
	if get(tx.Bucket([]byte(bucketUsers)), name) == nil {
		return bucketGuests
	}
	return bucketUsage
}

func tallyOf(tx *bolt.Tx, name string) (Tally, error) {
	usage := tx.Bucket([]byte(place(tx, name)))
	if usage == nil {
		return Tally{}, nil
	}
	u, err := readUse(usage, name)
	return u.tally(), err
}

// editTally changes the usage of somebody. A record that cannot be read is begun
// anew, without the word that it was counted.
func editTally(tx *bolt.Tx, name string, edit func(*use)) (Tally, error) {
	if name == "" || len(name) > bolt.MaxKeySize {
		return Tally{}, fmt.Errorf("keeping the usage of %.20q: nobody can be called that", name)
	}
	usage, err := tx.CreateBucketIfNotExists([]byte(place(tx, name)))
	if err != nil {
		return Tally{}, err
	}
	u, err := readUse(usage, name)
	if err != nil {
		u = use{}
	}
	edit(&u)
	return u.tally(), usage.Put([]byte(name), useLayout().append(nil, &u))
}
