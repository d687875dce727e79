package history

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"portreeve/logparse"
)

// Remove removes what a query chooses, in transactions of some thousand entries, and
// tells after each how many are gone. If all of one user is meant, so are the days
// that are summed up.
func (db DB) Remove(q Query, step func(gone int64)) (gone int64, err error) {
	q.Newest = false
	for from := q.start(); from != nil; {
		var records []record
		if records, from, err = db.read(&q, from, readMost); err != nil {
			return gone, err
		}
		n, err := db.removeThose(&q, records)
		if gone += n; err != nil {
			return gone, err
		}
		step(gone)
	}
	if q.User != "" && q.Host == "" && q.Path == "" && q.Match == nil && q.Since.IsZero() && q.Until.IsZero() {
		return gone, db.update(func(tx *bolt.Tx) error { return removeDays(tx.Bucket(bucketDays), q.User) })
	}
	return gone, nil
}

// removeThose removes of some records those that are meant.
func (db DB) removeThose(q *Query, records []record) (gone int64, err error) {
	format, _ := logparse.Find("json")
	var p logparse.Parser
	var meant []record
	for _, r := range records {
		var e logparse.Entry
		if p.Parse(&format, r.line, &e) == nil && q.means(&e) {
			meant = append(meant, r)
		}
	}
	if len(meant) == 0 {
		return 0, nil
	}
	err = db.update(func(tx *bolt.Tx) error {
		lines, index := tx.Bucket(bucketEntries), tx.Bucket(bucketIndex)
		for _, r := range meant {
			if lines.Get(r.key[:]) == nil {
				continue // pruned meanwhile
			}
			if err := remove(tx, r.key[:], r.line, &p); err != nil {
				return err
			}
			gone++
		}
		return index.SetSequence(index.Sequence() - min(uint64(gone), index.Sequence()))
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}

// remove removes an entry and what leads to it.
func remove(tx *bolt.Tx, key []byte, line string, p *logparse.Parser) error {
	format, _ := logparse.Find("json")
	var e logparse.Entry
	if err := p.Parse(&format, line, &e); err == nil {
		for _, k := range indexKeys(&e, key) {
			if err := tx.Bucket(bucketIndex).Delete(k); err != nil {
				return err
			}
		}
	}
	return tx.Bucket(bucketEntries).Delete(key)
}

// removeDays removes the days of a user.
func removeDays(days *bolt.Bucket, user string) error {
	var keys [][]byte
	c := days.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if len(k) >= 4 && string(k[4:]) == user {
			keys = append(keys, bytes.Clone(k))
		}
	}
	for _, k := range keys {
		if err := days.Delete(k); err != nil {
			return err
		}
	}
	return days.SetSequence(days.Sequence() - min(uint64(len(keys)), days.Sequence()))
}
