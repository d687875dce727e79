package userdb

import (
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
		var b batch
		for {
			if err := db.view(b.fill); err != nil {
				yield(User{}, err)
				return
			}
			for i := range b.ends {
				name, record := b.at(i)
				if !yield(decode(layout, string(name), record)) {
					return
				}
			}
			if b.last {
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
	b.data, b.ends, b.last = b.data[:0], b.ends[:0], true
	users := tx.Bucket([]byte(bucketUsers))
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
	}
	if n := len(b.ends); n > 0 {
		last, _ := b.at(n - 1)
		b.after = append(b.after[:0], last...)
	}
	return nil
}
