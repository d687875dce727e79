package userdb

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Many edits go into a new file that takes the place of the old one. It is filled
// while others read and write the old one, and only what is no user's record is
// copied while they wait: some milliseconds, where one transaction for a million
// users would keep everybody out for half a minute.
//
// Whoever waited for the old file's lock meanwhile finds that the name means
// another file, and opens that; see open.

// rebuildTries is how often users may change under the copying.
const rebuildTries = 3

// errMoved means that users changed while the new file was filled.
var errMoved = errors.New("users changed meanwhile")

func (e *Edits) rebuild(noted *changer, done func(int)) error {
	if _, err := os.Stat(e.db.path); errors.Is(err, os.ErrNotExist) {
		if err := e.db.create(); err != nil {
			return err
		}
	}
	path, err := filepath.EvalSymlinks(e.db.path)
	if err != nil {
		return e.db.opening(err)
	}
	err = errMoved
	for range rebuildTries {
		if err = e.rebuildOnce(path, noted, done); !errors.Is(err, errMoved) {
			break
		}
	}
	return err
}

func (e *Edits) rebuildOnce(path string, noted *changer, done func(int)) error {
	folder := filepath.Dir(path)
	removeAbandoned(folder)
	f, err := os.CreateTemp(folder, newFile) // mode 0600
	if err != nil {
		return fmt.Errorf("making a new user database: %w", err)
	}
	defer os.Remove(f.Name())
	if err := cmp.Or(ownAs(f, path), f.Close()); err != nil {
		return fmt.Errorf("making a new user database: %w", err)
	}
	began, err := e.db.Revision()
	if err != nil {
		return err
	}
	b, err := bolt.Open(f.Name(), 0o600, &bolt.Options{Timeout: lockWait, NoSync: true, NoStatistics: true})
	if err != nil {
		return fmt.Errorf("making a new user database: %w", err)
	}
	defer b.Close()
	if err := e.merge(b, done); err != nil {
		return err
	}
	if err := b.Sync(); err != nil { // so that little is left to write while others wait
		return fmt.Errorf("writing the new user database: %w", err)
	}
	return e.db.open(false, func(old *bolt.DB) error {
		err := old.View(func(from *bolt.Tx) error {
			users := from.Bucket([]byte(bucketUsers))
			if users != nil && users.Sequence() != began || users == nil && began != 0 {
				return errMoved
			}
			return b.Update(func(to *bolt.Tx) (err error) {
				if err = copyOthers(to, from, began+1); err != nil {
					return err
				}
				if e.number, err = noted.write(to); err != nil {
					return err
				}
				return e.settleOthers(to)
			})
		})
		if err != nil {
			return err
		}
		err = cmp.Or(b.Sync(), b.Close())
		if err == nil {
			err = os.Rename(f.Name(), path) // never of one that is not whole
		}
		if err = cmp.Or(err, syncFolder(folder)); err != nil {
			return fmt.Errorf("writing the new user database: %w", err)
		}
		return nil
	})
}

// newFile is the pattern of the name that a new file has until it takes its place.
const newFile = ".users-*.new"

// abandonedAfter is when a new file that nobody has locked is nobody's. Between two
// locks, or before the first one, is less than that.
const abandonedAfter = time.Minute

// removeAbandoned removes new files of those who were ended while they filled them:
// they have the hashes of everybody, and as many bytes as the database. What cannot
// be removed stays.
func removeAbandoned(folder string) {
	names, _ := filepath.Glob(filepath.Join(folder, newFile)) // a folder with * in its name finds none, or others' like these
	for _, name := range names {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < abandonedAfter {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if tryLock(f) == nil {
			os.Remove(name)
		}
		f.Close()
	}
}

// merge fills b with the users that there are and the edits.
func (e *Edits) merge(b *bolt.DB, done func(int)) error {
	edits, written := e.list, 0
	write := func(out []edit) error {
		for len(out) > 0 {
			n := min(len(out), addBatch)
			if err := appendUsers(b, out[:n]); err != nil {
				return err
			}
			out, written = out[n:], written+n
			done(min(written, len(e.list)))
		}
		return nil
	}
	var old batch
	for {
		if err := e.db.view(old.fill); err != nil {
			return err
		}
		var out []edit
		for i := range old.ends {
			name, record := old.at(i)
			for len(edits) > 0 && edits[0].name < string(name) {
				if edits[0].old != nil {
					return edits[0].conflict()
				}
				out, edits = append(out, edits[0]), edits[1:]
			}
			if len(edits) > 0 && edits[0].name == string(name) {
				if !edits[0].fits(record) {
					return edits[0].conflict()
				}
				record, edits = edits[0].new, edits[1:]
			}
			out = append(out, edit{name: string(name), new: record})
		}
		if err := write(out); err != nil {
			return err
		}
		if !old.last {
			continue
		}
		for _, c := range edits {
			if c.old != nil {
				return c.conflict()
			}
		}
		return write(edits)
	}
}

// appendUsers writes users behind those that b has.
func appendUsers(b *bolt.DB, batch []edit) error {
	return b.Update(func(tx *bolt.Tx) error {
		users, err := tx.CreateBucketIfNotExists([]byte(bucketUsers))
		if err != nil {
			return err
		}
		users.FillPercent = 0.9
		for _, c := range batch {
			if c.new == nil { // to be removed
				continue
			}
			if err := users.Put([]byte(c.name), c.new); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyOthers copies every bucket but that of the users, and gives that its revision.
func copyOthers(to, from *bolt.Tx, revision uint64) error {
	users, err := to.CreateBucketIfNotExists([]byte(bucketUsers))
	if err != nil {
		return err
	}
	if err := users.SetSequence(revision); err != nil {
		return err
	}
	return from.ForEach(func(name []byte, b *bolt.Bucket) error {
		if string(name) == bucketUsers {
			return nil
		}
		copied, err := to.CreateBucket(name)
		if err != nil {
			return err
		}
		return copyBucket(copied, b)
	})
}

// settleOthers makes what is known of users besides their records fit the edits.
func (e *Edits) settleOthers(tx *bolt.Tx) error {
	for _, c := range e.list {
		if err := c.settle(tx); err != nil {
			return err
		}
	}
	return nil
}

func copyBucket(to, from *bolt.Bucket) error {
	to.FillPercent = 0.9
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	return from.ForEach(func(key, value []byte) error {
		if value != nil {
			return to.Put(key, value)
		}
		inner, err := to.CreateBucket(key)
		if err != nil {
			return err
		}
		return copyBucket(inner, from.Bucket(key))
	})
}

// replaced tells whether the file that was opened no longer has the name.
func replaced(f *os.File, path string) bool {
	opened, err1 := f.Stat()
	named, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && !os.SameFile(opened, named)
}
