package history

import (
	"bytes"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"

	"portreeve/logparse"
)

// A Query chooses entries. What is empty chooses all.
type Query struct {
	Since time.Time
	Until time.Time // not in it
	// One of these is looked up, the others are compared: a user, an address, and
	// what a path is or was called. They are exact.
	User string
	Host string
	Path string
	// Match tells whether an entry is meant that all of the above means; nil: yes.
	Match  func(*logparse.Entry) bool
	Newest bool // first
}

// readMost is how many entries are looked at in one transaction: who writes does not
// wait longer.
const readMost = 2000

// A record is an entry as it is kept.
type record struct {
	key  [keyLength]byte
	line string
}

// All returns the entries that a query chooses, in the order of time. The entry is
// the same each time, and filled anew.
func (db DB) All(q Query) iter.Seq2[*logparse.Entry, error] {
	return func(yield func(*logparse.Entry, error) bool) {
		format, _ := logparse.Find("json")
		var p logparse.Parser
		var e logparse.Entry
		for from := q.start(); ; {
			records, next, err := db.read(&q, from, readMost)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range records {
				if err := p.Parse(&format, r.line, &e); err != nil {
					if !yield(nil, err) {
						return
					}
					continue
				}
				if q.means(&e) && !yield(&e, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			from = next
		}
	}
}

// means tells whether an entry is chosen.
func (q *Query) means(e *logparse.Entry) bool {
	return (q.User == "" || e.User == q.User) && (q.Host == "" || e.Host == q.Host) && (q.Path == "" || e.Path == q.Path || e.To == q.Path) &&
		(q.Match == nil || q.Match(e))
}

// prefix is that of the index to go by; nil: none. Of paths there are the fewest.
func (q *Query) prefix() []byte {
	switch {
	case q.Path != "":
		return indexPrefix(byPath, q.Path)
	case q.User != "":
		return indexPrefix(byUser, q.User)
	case q.Host != "":
		return indexPrefix(byHost, q.Host)
	}
	return nil
}

// start is the key from which to go.
func (q *Query) start() []byte {
	if !q.Newest {
		return keyOf(q.Since, 0)
	}
	if q.Until.IsZero() {
		return bytes.Repeat([]byte{0xff}, keyLength)
	}
	return keyOf(q.Until, 0)
}

// read returns at most so many records from a key on, and the key that comes next;
// nil: none.
func (db DB) read(q *Query, from []byte, most int) (records []record, next []byte, err error) {
	prefix := q.prefix()
	err = db.view(func(tx *bolt.Tx) error {
		entries := tx.Bucket(bucketEntries)
		c := entries.Cursor()
		if prefix != nil {
			c = tx.Bucket(bucketIndex).Cursor()
		}
		k, v := seek(c, append(bytes.Clone(prefix), from...), q.Newest)
		for ; k != nil && bytes.HasPrefix(k, prefix); k, v = step(c, q.Newest) {
			key := k[len(prefix):]
			if q.beyond(key) {
				return nil
			}
			if len(records) == most {
				next = bytes.Clone(key)
				return nil
			}
			if prefix != nil {
				if v = entries.Get(key); v == nil {
					continue
				}
			}
			records = append(records, record{line: string(v)})
			copy(records[len(records)-1].key[:], key)
		}
		return nil
	})
	return records, next, err
}

// seek goes to a key, or the next one; backwards to the last that is not behind it.
func seek(c *bolt.Cursor, key []byte, backwards bool) (k, v []byte) {
	k, v = c.Seek(key)
	if !backwards {
		return k, v
	}
	switch {
	case k == nil:
		return c.Last()
	case !bytes.Equal(k, key):
		return c.Prev()
	}
	return k, v
}

func step(c *bolt.Cursor, backwards bool) (k, v []byte) {
	if backwards {
		return c.Prev()
	}
	return c.Next()
}

// beyond tells whether a key is out of the time that is asked for.
func (q *Query) beyond(key []byte) bool {
	at := timeOf(key)
	if q.Newest {
		return at.Before(q.Since)
	}
	return !q.Until.IsZero() && !at.Before(q.Until)
}
