package userdb

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Login tells when and from where somebody logged in.
type Login struct {
	At   time.Time  `json:"at"`
	From netip.Addr `json:"from"`
}

// Usage is what a user's files take up.
type Usage struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// use is the record of a user in the bucket of usage.
type use struct {
	last    Login
	held    Usage
	counted bool   // held is what the files were found to be, and not only what was added
	writer  string // see Tally
	left    bool
}

func useLayout() layout[use] {
	return layout[use]{
		timeOf("login", func(u *use) *time.Time { return &u.last.At }),
		addrOf("from", func(u *use) *netip.Addr { return &u.last.From }),
		numberOf("files", func(u *use) *int64 { return &u.held.Files }),
		numberOf("bytes", func(u *use) *int64 { return &u.held.Bytes }),
		flagOf("counted", func(u *use) *bool { return &u.counted }),
		textOf("writer", func(u *use) *string { return &u.writer }),
		flagOf("left", func(u *use) *bool { return &u.left }),
	}
}

// Last returns the user's last login, with a zero time if there was none.
func (db DB) Last(name string) (Login, error) {
	u, err := db.use(name)
	return u.last, err
}

// Usage returns what the user's files take up, as far as it was counted.
func (db DB) Usage(name string) (Usage, error) {
	u, err := db.use(name)
	return u.held, err
}

func (db DB) use(name string) (use, error) {
	var u use
	err := db.view(func(tx *bolt.Tx) error {
		users, usage := tx.Bucket([]byte(bucketUsers)), tx.Bucket([]byte(bucketUsage))
		if get(users, name) == nil {
			return fmt.Errorf("%w: %s", ErrNoUser, name)
		}
		if usage == nil {
			return nil
		}
		var err error
		u, err = readUse(usage, name)
		return err
	})
	return u, err
}

func readUse(usage *bolt.Bucket, name string) (use, error) {
	var u use
	if record := usage.Get([]byte(name)); record != nil {
		if err := useLayout().read(string(record), &u); err != nil {
			return use{}, fmt.Errorf("reading the usage of user %q: %w", name, err)
		}
	}
	return u, nil
}

// Touch notes a login. The user's own record is not written.
func (db DB) Touch(name string, from netip.Addr, at time.Time) error {
	return db.TouchAll(maps.All(map[string]Login{name: {at, from}}))
}

// TouchAll notes the logins of many users in one transaction. Users that are
// gone meanwhile are passed over.
func (db DB) TouchAll(logins iter.Seq2[string, Login]) error {
	return db.update(func(tx *bolt.Tx) error {
		changed := false
		for name, login := range logins {
			login.At, login.From = login.At.UTC().Truncate(time.Second), login.From.Unmap().WithZone("")
			ok, err := editUse(tx, name, func(u *use) { u.last = login })
			if err != nil {
				return err
			}
			changed = changed || ok
		}
		if !changed {
			return errUnchanged
		}
		return nil
	})
}

// AddUsage adds d, which may be negative, to what the user's files take up. As
// it adds, two daemons may both count. The sum does not fall below zero.
func (db DB) AddUsage(name string, d Usage) error {
	return db.update(func(tx *bolt.Tx) error {
		ok, err := editUse(tx, name, func(u *use) {
			u.held.Files = max(u.held.Files+d.Files, 0)
			u.held.Bytes = max(u.held.Bytes+d.Bytes, 0)
		})
		if err == nil && !ok {
			err = fmt.Errorf("%w: %s", ErrNoUser, name)
		}
		return err
	})
}

// editUse changes a user's usage; it returns false if there is no such user.
// A usage record that cannot be read is begun anew: it grants nothing.
func editUse(tx *bolt.Tx, name string, edit func(*use)) (bool, error) {
	if get(tx.Bucket([]byte(bucketUsers)), name) == nil {
		return false, nil
	}
	usage, err := tx.CreateBucketIfNotExists([]byte(bucketUsage))
	if err != nil {
		return false, err
	}
	u, err := readUse(usage, name)
	if err != nil {
		return false, err
	}
	edit(&u)
	return true, usage.Put([]byte(name), useLayout().append(nil, &u))
}
