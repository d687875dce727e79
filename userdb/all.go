package userdb

import (
	"bytes"
	"iter"

	bolt "go.etcd.io/bbolt"
)

// A long transaction would keep everybody who wants to write waiting. So a walk
// over all users is a chain of short ones, which copy this much and no more.
const (
	walkUsers = 1000
	walkBytes = 1 << 20
)

// All yields the users in the order of their names' bytes. It holds no lock
// while the caller works and no more than a batch in memory; so each user is
// seen as it was when its batch was read, and one that is added or removed
// during the walk may be seen or not.
//
// A record that cannot be read is yielded as an error with a User that has only
// its name, and the walk goes on. Any other error ends it.
func (db DB) All() iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		layout := userLayout()
		for b, err := range db.batches(false) {
			if err != nil {
				yield(User{}, err)
				return
			}
			for i := range b.ends {
				name, record := b.at(i)
				if !yield(decode(layout, string(name), record)) {
					return
				}
			}
		}
	}
}

// Walk is All, and yields besides what the database knows of each user and what
// Edits need to change it. Its error ends it; that of one user is in Stored.
func (db DB) Walk() iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		layout := userLayout()
		for b, err := range db.batches(true) {
			if err != nil {
				yield(Stored{}, err)
				return
			}
			for i := range b.ends {
				name, record := b.at(i)
				s := Stored{record: bytes.Clone(record), Last: b.uses[i].last, Tally: b.uses[i].tally()}
				if s.User, s.Err = decode(layout, string(name), record); !yield(s, nil) {
					return
				}
			}
		}
	}
}

// batches yields runs of users, each until the next.
func (db DB) batches(uses bool) iter.Seq2[*batch, error] {
	return func(yield func(*batch, error) bool) {
		b := batch{wantUses: uses}
		for !b.last {
			err := db.view(b.fill)
			if !yield(&b, err) || err != nil {
				return
			}
		}
	}
}

// A batch is a run of users, copied out of a transaction into memory that the
// next one uses again.
type batch struct {
	data  []byte
	ends  [][2]int // of each user's name and record in data
	after []byte   // the name that the next batch begins behind
	last  bool

	wantUses bool
	uses     []use // of each user, if they are wanted; one that cannot be read is empty
}

// at returns the name and the record of the i-th user.
func (b *batch) at(i int) (name, record []byte) {
	start := 0
	if i > 0 {
		start = b.ends[i-1][1]
	}
	return b.data[start:b.ends[i][0]], b.data[b.ends[i][0]:b.ends[i][1]]
}

func (b *batch) fill(tx *bolt.Tx) error {
	b.data, b.ends, b.uses, b.last = b.data[:0], b.ends[:0], b.uses[:0], true
	users, usage := tx.Bucket([]byte(bucketUsers)), tx.Bucket([]byte(bucketUsage))
	if users == nil {
		return nil
	}
	c := users.Cursor()
	name, record := c.First()
	if b.after != nil {
		// The first name that can follow is this one and a zero byte.
		name, record = c.Seek(append(b.after, 0))
	}
	for ; name != nil; name, record = c.Next() {
		if len(b.ends) == walkUsers || len(b.data) > walkBytes {
			b.last = false
			break
		}
		b.data = append(b.data, name...)
		nameEnd := len(b.data)
		b.data = append(b.data, record...)
		b.ends = append(b.ends, [2]int{nameEnd, len(b.data)})
		if b.wantUses {
			b.uses = append(b.uses, usedBy(usage, string(name)))
		}
	}
	if n := len(b.ends); n > 0 {
		last, _ := b.at(n - 1)
		b.after = append(b.after[:0], last...)
	}
	return nil
}

// usedBy returns the usage of a user. One that cannot be read is as if nothing was
// counted.
func usedBy(usage *bolt.Bucket, name string) use {
	if usage == nil {
		return use{}
	}
	u, err := readUse(usage, name)
	if err != nil {
		return use{}
	}
	return u
}
