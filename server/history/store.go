package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"portreeve/logparse"
)

// The file. Whoever reads or writes opens it for a transaction and closes it, so
// that the daemon's lock on it keeps nobody waiting for long.
//
//	entries   time and number -> a line of JSON
//	index     kind, hash of a user, host or path, key of an entry -> nothing
//	days      day, user -> what the user did
//
// The sequence of entries numbers them, that of the index counts them, and that of
// days counts the days, since to count keys takes as long as to read them all.
//
// An index has hashes, so that hostile names cost no more than others; who finds
// an entry by one looks whether it is meant.
var (
	bucketEntries = []byte("entries")
	bucketIndex   = []byte("index")
	bucketDays    = []byte("days")
)

const (
	keyLength  = 8 + 4
	hashLength = 8
	lockWait   = 5 * time.Second
)

// The kinds of index.
const (
	byUser = 'u'
	byHost = 'h'
	byPath = 'p'
)

// ErrNone is returned where there is no history yet.
var ErrNone = errors.New("there is no history yet")

// A DB names a file of history. It holds nothing open.
type DB struct {
	path string
	// Within a process readers and the writer take turns by a lock that lets nobody
	// starve, and does not look again only after a while as that of the file does.
	turns *sync.RWMutex
}

// At returns the history in the file of that name, which need not exist yet.
func At(path string) DB { return DB{path, new(sync.RWMutex)} }

// Path returns the name of the file.
func (db DB) Path() string { return db.path }

// errBroken is what is wrong with a file whose pages make no sense.
var errBroken = errors.New("the file is damaged")

// with opens the file, and closes it again. A damaged file makes bbolt panic, or
// the kernel fault if it was cut short under its mapping, which must not end a
// daemon that has sessions. Bbolt may then hold its own locks, so that it cannot be
// closed, and its mapping keeps the file's: that one is given up by hand.
func (db DB) with(readOnly bool, do func(*bolt.DB) error) (err error) {
	if readOnly {
		db.turns.RLock()
		defer db.turns.RUnlock()
	} else {
		db.turns.Lock()
		defer db.turns.Unlock()
	}
	var file *os.File
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %v", errBroken, fault)
			if file != nil {
				err = errors.Join(err, syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close())
			}
		}
	}()
	b, err := bolt.Open(db.path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: readOnly,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			file = f
			return f, err
		}})
	if err != nil {
		return fmt.Errorf("opening the history: %w", err)
	}
	return errors.Join(do(b), b.Close())
}

// update makes the file if it is not there, and its folder.
func (db DB) update(f func(*bolt.Tx) error) error {
	if err := os.MkdirAll(filepath.Dir(db.path), 0o755); err != nil {
		return err
	}
	return db.with(false, func(b *bolt.DB) error {
		err := b.Update(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{bucketEntries, bucketIndex, bucketDays} {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return f(tx)
		})
		if err != nil {
			return fmt.Errorf("writing the history: %w", err)
		}
		return nil
	})
}

func (db DB) view(f func(*bolt.Tx) error) error {
	if _, err := os.Stat(db.path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w at %s", ErrNone, db.path)
	}
	return db.with(true, func(b *bolt.DB) error {
		return b.View(func(tx *bolt.Tx) error {
			if tx.Bucket(bucketEntries) == nil || tx.Bucket(bucketIndex) == nil || tx.Bucket(bucketDays) == nil {
				return ErrNone
			}
			return f(tx)
		})
	})
}

// Write adds entries, all or none.
func (db DB) Write(entries []logparse.Entry) error {
	format, _ := logparse.Find("json")
	return db.update(func(tx *bolt.Tx) error {
		lines, index, days := tx.Bucket(bucketEntries), tx.Bucket(bucketIndex), tx.Bucket(bucketDays)
		for i := range entries {
			e := &entries[i]
			number, err := lines.NextSequence()
			if err != nil {
				return err
			}
			key := keyOf(e.Time, uint32(number))
			line := format.AppendEntry(nil, e)
			if len(line) == 0 {
				continue
			}
			if err := lines.Put(key, line[:len(line)-1]); err != nil {
				return err
			}
			for _, k := range indexKeys(e, key) {
				if err := index.Put(k, nil); err != nil {
					return err
				}
			}
			if err := addDay(days, e, maxDays); err != nil {
				return err
			}
			if err := index.SetSequence(index.Sequence() + 1); err != nil {
				return err
			}
		}
		return nil
	})
}

// keyOf is where an entry is: in the order of time.
func keyOf(t time.Time, number uint32) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, keyLength), uint64(max(t.UnixNano(), 0)))
	return binary.BigEndian.AppendUint32(key, number)
}

func indexKeys(e *logparse.Entry, key []byte) (keys [][]byte) {
	add := func(kind byte, name string) {
		if name != "" {
			keys = append(keys, append(indexPrefix(kind, name), key...))
		}
	}
	add(byUser, e.User)
	add(byHost, e.Host)
	add(byPath, e.Path)
	if e.To != e.Path {
		add(byPath, e.To)
	}
	return keys
}

func indexPrefix(kind byte, name string) []byte {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name)) // to memory
	return hash.Sum(append(make([]byte, 0, 1+hashLength+keyLength), kind))
}

// pruneBatch is how many entries go in one transaction.
const pruneBatch = 2000

// Prune removes what is older than a time, and of the rest the oldest until what is
// left takes no more than so many bytes, or about; 0 is no bound. It does so by
// transactions of some thousand entries, and returns how many are gone; if there
// may be more, it is to be called again.
func (db DB) Prune(before time.Time, bytes int64) (gone int64, more bool, err error) {
	gone, err = db.prune(before, bytes)
	return gone, gone == pruneBatch && err == nil, err
}

func (db DB) prune(before time.Time, bytes int64) (gone int64, err error) {
	var free int64
	if bytes > 0 {
		if free, err = db.free(); err != nil {
			return 0, err
		}
	}
	err = db.update(func(tx *bolt.Tx) error {
		over := bytes > 0 && tx.Size()-free > bytes
		lines, index := tx.Bucket(bucketEntries), tx.Bucket(bucketIndex)
		end := keyOf(before, 0)
		var keys, values [][]byte
		c := lines.Cursor()
		for k, v := c.First(); k != nil && len(keys) < pruneBatch && (over || string(k) < string(end)); k, v = c.Next() {
			keys, values = append(keys, append([]byte(nil), k...)), append(values, append([]byte(nil), v...))
		}
		var p logparse.Parser
		for i, key := range keys {
			if err := remove(tx, key, string(values[i]), &p); err != nil {
				return err
			}
			gone++
		}
		return index.SetSequence(index.Sequence() - min(uint64(gone), index.Sequence()))
	})
	return gone, err
}

// free is how much of the file is free for what comes.
func (db DB) free() (free int64, err error) {
	err = db.with(false, func(b *bolt.DB) error {
		free = int64(b.Stats().FreePageN) * int64(b.Info().PageSize)
		return nil
	})
	return free, err
}

// Status tells what a history holds.
type Status struct {
	Entries int64     `json:"entries"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Bytes   int64     `json:"bytes"` // of the file
}

// Status returns what there is.
func (db DB) Status() (s Status, err error) {
	err = db.view(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketEntries).Cursor()
		if k, _ := c.First(); k != nil {
			s.First = timeOf(k)
		}
		if k, _ := c.Last(); k != nil {
			s.Last = timeOf(k)
		}
		s.Entries = int64(tx.Bucket(bucketIndex).Sequence())
		s.Bytes = tx.Size()
		return nil
	})
	return s, err
}

func timeOf(key []byte) time.Time {
	if len(key) < 8 {
		return time.Time{}
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(key)))
}

// isDamaged tells whether an error is about what the file is.
func isDamaged(err error) bool {
	return errors.Is(err, errBroken) || errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch)
}
