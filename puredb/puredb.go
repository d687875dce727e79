// Package puredb reads the indexed files of users that pure-pw of Pure-FTPd makes.
//
// All numbers are of 32 bits, the highest byte first, and offsets count from the
// beginning of the file:
//
//	"PDB2"
//	257 offsets: where each of 256 buckets begins, and where the last one ends
//	the buckets: pairs of the hash of a name and the offset of its record
//	the records: length and bytes of a name, length and bytes of the rest of its line
//
// A bucket's pairs are sorted by hash, and those of one name stand in the order of
// the text that the file was made of. A bucket of none holds one number that means
// nothing. A name is in the bucket of the lowest byte of its hash.
//
// Whatever the file says is checked against its size before it is believed: a file
// that was damaged, or made to do harm, is an error and never another user's record.
package puredb

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"

	"portreeve/userdb"
)

const (
	magic   = "PDB2"
	buckets = 256
	// head is where the first bucket begins.
	head = len(magic) + 4*(buckets+1)

	pairLen = 8
	// maxName and maxFields are more than what pure-pw reads a line of.
	maxName   = 1 << 10
	maxFields = 1 << 16
)

// What is returned besides the errors of the system.
var (
	// ErrFormat means that a file is not of this kind.
	ErrFormat = errors.New("not a PureDB file")
	// ErrDamaged means that it is, and that something in it cannot be.
	ErrDamaged = errors.New("damaged PureDB file")
)

// A File is an open file of users. Its methods may be called by several goroutines.
type File struct {
	from   io.ReaderAt
	size   int64
	closer io.Closer
}

// Open opens the file of that name.
func Open(name string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s", ErrFormat, name)
	}
	var db *File
	if err == nil {
		db, err = New(f, info.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	db.closer = f
	return db, nil
}

// Is tells whether the file of that name is of this kind.
func Is(name string) bool {
	f, err := Open(name)
	if err == nil {
		f.Close()
	}
	return err == nil || errors.Is(err, ErrDamaged)
}

// New reads what is elsewhere than in a file.
func New(from io.ReaderAt, size int64) (*File, error) {
	var start [len(magic)]byte
	if _, err := from.ReadAt(start[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case string(start[:]) != magic:
		return nil, ErrFormat
	case size < int64(head) || size > math.MaxUint32:
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	return &File{from: from, size: size}, nil
}

// Close closes the file.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Get returns what follows the name and its colon in the user's line of the text,
// or userdb.ErrNoUser. Of several users of a name the first one is meant.
func (f *File) Get(name string) (fields string, err error) {
	if name == "" || len(name) > maxName {
		return "", fmt.Errorf("%w: %.40q", userdb.ErrNoUser, name)
	}
	h := hash(name)
	begin, end, err := f.bucket(int(h % buckets))
	if err != nil {
		return "", err
	}
	pairs := make([]byte, min(end-begin, 512*pairLen))
	for at := begin; end-at >= pairLen; at += int64(len(pairs)) {
		pairs = pairs[:min((end-at)/pairLen*pairLen, int64(cap(pairs)/pairLen*pairLen))]
		if err := f.read(pairs, at); err != nil {
			return "", err
		}
		for p := pairs; len(p) > 0; p = p[pairLen:] {
			if binary.BigEndian.Uint32(p) != h {
				continue
			}
			fields, found, err := f.recordOf(int64(binary.BigEndian.Uint32(p[4:])), name)
			if found || err != nil {
				return fields, err
			}
		}
	}
	return "", fmt.Errorf("%w: %s", userdb.ErrNoUser, name)
}

// bucket returns where a bucket begins and ends.
func (f *File) bucket(i int) (begin, end int64, err error) {
	var offsets [8]byte
	if err := f.read(offsets[:], int64(len(magic)+4*i)); err != nil {
		return 0, 0, err
	}
	begin = int64(binary.BigEndian.Uint32(offsets[:]))
	end = int64(binary.BigEndian.Uint32(offsets[4:]))
	if begin < int64(head) || end < begin || end > f.size {
		return 0, 0, fmt.Errorf("%w: bucket %d lies from %d to %d", ErrDamaged, i, begin, end)
	}
	return begin, end, nil
}

// count returns how many users the index has.
func (f *File) count() (n int64, err error) {
	for i := range buckets {
		begin, end, err := f.bucket(i)
		if err != nil {
			return 0, err
		}
		n += (end - begin) / pairLen
	}
	return n, nil
}

// recordOf returns the record at an offset if it is that name's.
func (f *File) recordOf(at int64, name string) (fields string, found bool, err error) {
	key, next, err := f.text(at, maxName)
	if err != nil || string(key) != name {
		return "", false, err
	}
	value, _, err := f.text(next, maxFields)
	return string(value), err == nil, err
}

// All yields every user's name and the rest of its line, in the order of the text
// that the file was made of; of a name that is there twice, both. It ends with an
// error if they are not as many as the index has: a file may be cut between two.
func (f *File) All() iter.Seq2[[2]string, error] {
	return func(yield func([2]string, error) bool) {
		var last [4]byte
		err := f.read(last[:], int64(head-4))
		missing, countErr := f.count()
		err = cmp.Or(err, countErr)
		for at := int64(binary.BigEndian.Uint32(last[:])); err == nil && at < f.size; {
			if at < int64(head) {
				err = fmt.Errorf("%w: its records begin at %d", ErrDamaged, at)
				break
			}
			var key, value []byte
			if key, at, err = f.text(at, maxName); err == nil {
				value, at, err = f.text(at, maxFields)
			}
			if err == nil && !yield([2]string{string(key), string(value)}, nil) {
				return
			}
			missing--
		}
		if err == nil && missing != 0 {
			err = fmt.Errorf("%w: it has %d records less than its index", ErrDamaged, missing)
		}
		if err != nil {
			yield([2]string{}, err)
		}
	}
}

// text returns the bytes at an offset whose length stands before them, and the
// offset of what follows.
func (f *File) text(at int64, most uint32) ([]byte, int64, error) {
	var length [4]byte
	if at < int64(head) {
		return nil, 0, fmt.Errorf("%w: a record at %d", ErrDamaged, at)
	}
	if err := f.read(length[:], at); err != nil {
		return nil, 0, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > most || at+4+int64(n) > f.size {
		return nil, 0, fmt.Errorf("%w: %d bytes of text at %d", ErrDamaged, n, at)
	}
	b := make([]byte, n)
	if err := f.read(b, at+4); err != nil {
		return nil, 0, err
	}
	return b, at + 4 + int64(n), nil
}

// read fills b from an offset.
func (f *File) read(b []byte, at int64) error {
	if at+int64(len(b)) > f.size {
		return fmt.Errorf("%w: it ends before %d", ErrDamaged, at+int64(len(b)))
	}
	n, err := f.from.ReadAt(b, at)
	switch {
	case n == len(b): // at the end of the file an error may come with all of it
		return nil
	case errors.Is(err, io.EOF): // it was cut since it was opened
		return fmt.Errorf("%w: it ends before %d", ErrDamaged, at+int64(len(b)))
	}
	return err
}

// hash goes through a name from its end.
func hash(name string) uint32 {
	h := uint32(5381)
	for i := len(name) - 1; i >= 0; i-- {
		h += h << 5
		h ^= uint32(name[i])
	}
	return h
}
