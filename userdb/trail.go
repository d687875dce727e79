package userdb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	bolt "go.etcd.io/bbolt"
)

// The trail says who changed which users, when, and what they were before. It is
// written in the transaction of the change, so that neither is there without the
// other, and it is what Undo works by.
//
// A changeset is what one transaction did. Under its number, eight bytes, stands
// its header; under the number and four bytes more, which count from 0, stand
// chunks of deltas, one after another:
//
//	changed alice
//	-quota_bytes 1073741824
//	+quota_bytes 2147483648
//
// A line behind a sign is one of the user's record: as it was, as it is, and with
// "~" one of the usage of a user who was removed. Since they are the record's own
// lines, what is new in a record is in the trail too. That goes for hashes of
// passwords, without which no change of one could be undone: they are as safe here
// as in the records, and nothing that reads the trail for people hands them out.
//
// What is no attribute is not in it: logins, and what files amount to. Nor is
// Renew, by which a login replaces a hash by a better one of the same password.
const (
	bucketTrail     = "trail"
	bucketTrailSize = "trail_size"
)

// The bounds of the trail. What goes beyond them takes the oldest away, in the same
// transaction: chunk by chunk, so that no change has to pay for a large one.
//
// A changeset beyond the bounds of one has a header alone, and cannot be undone.
// Half of the trail is always left for others.
const (
	MaxTrailUsers     = 100_000 // deltas, and headers
	MaxTrailBytes     = 32 << 20
	MaxChangesetUsers = MaxTrailUsers / 2
	maxChangesetBytes = MaxTrailBytes / 2

	chunkBytes = 16 << 10 // from which on a chunk is full
)

// An Author is who changes users, and by which command.
type Author struct {
	UID     int    `json:"uid"`
	Name    string `json:"name,omitzero"` // of the system's account
	Sudo    string `json:"sudo,omitzero"` // whose account called sudo
	Command string `json:"command,omitzero"`
}

// maxAuthor bounds each text of an Author.
const maxAuthor = 200

// By returns the same database for changes that somebody answers for. Without it
// they are those of the process's uid.
func (db DB) By(a Author) DB {
	db.author = a
	return db
}

// normal makes lines of the texts.
func (a Author) normal() Author {
	if a == (Author{}) {
		a.UID = os.Getuid()
	}
	for _, s := range []*string{&a.Name, &a.Sudo, &a.Command} {
		text := strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, strings.ToValidUTF8(*s, "?"))
		if len(text) > maxAuthor {
			text = strings.ToValidUTF8(text[:maxAuthor], "") + "..."
		}
		*s = text
	}
	return a
}

// header is the record of a changeset in the trail.
type header struct {
	at                      time.Time
	author                  Author
	added, changed, removed int
	kept                    int  // how many deltas were written
	lost                    bool // some of them are gone again
	undoes                  int64
}

func (h *header) users() int { return h.added + h.changed + h.removed }

// whole tells whether the trail has all deltas.
func (h *header) whole() bool { return !h.lost && h.kept == h.users() }

func headerLayout() layout[header] {
	return layout[header]{
		timeOf("at", func(h *header) *time.Time { return &h.at }),
		numberOf("uid", func(h *header) *int { return &h.author.UID }),
		textOf("name", func(h *header) *string { return &h.author.Name }),
		textOf("sudo", func(h *header) *string { return &h.author.Sudo }),
		textOf("command", func(h *header) *string { return &h.author.Command }),
		numberOf("added", func(h *header) *int { return &h.added }),
		numberOf("changed", func(h *header) *int { return &h.changed }),
		numberOf("removed", func(h *header) *int { return &h.removed }),
		numberOf("kept", func(h *header) *int { return &h.kept }),
		flagOf("lost", func(h *header) *bool { return &h.lost }),
		numberOf("undoes", func(h *header) *int64 { return &h.undoes }),
	}
}

// trailSize is how much is in the trail.
type trailSize struct{ users, bytes int64 }

func sizeLayout() layout[trailSize] {
	return layout[trailSize]{
		numberOf("users", func(s *trailSize) *int64 { return &s.users }),
		numberOf("bytes", func(s *trailSize) *int64 { return &s.bytes }),
	}
}

// within tells whether that may be in the trail.
func (s trailSize) within() bool { return s.users <= MaxTrailUsers && s.bytes <= MaxTrailBytes }

// A changer is a changeset that is to be written.
type changer struct {
	author Author
	undoes uint64
	edits  []edit
	deltas [][]byte // of the edits, in their order; nil: they are too many
}

// deltasOf returns the deltas of edits, or nil if they are more than one changeset
// may have.
func deltasOf(edits []edit) [][]byte {
	if len(edits) > MaxChangesetUsers {
		return nil
	}
	total := 0
	all := make([][]byte, len(edits))
	for i, e := range edits {
		all[i] = appendDelta(nil, e)
		if total += len(all[i]); total > maxChangesetBytes {
			return nil
		}
	}
	return all
}

// appendDelta writes what an edit does. Who is removed without a record that can be
// read leaves a line and no more.
func appendDelta(b []byte, e edit) []byte {
	switch {
	case e.old == nil:
		b = append(b, wordAdded...)
	case e.new == nil:
		b = append(b, wordRemoved...)
	default:
		b = append(b, wordChanged...)
	}
	b = append(append(append(b, ' '), e.name...), '\n')
	if e.new == nil && (userLayout().read(string(e.old), new(User)) != nil) {
		return b
	}
	b = appendLines(b, '-', e.old, e.new)
	return appendLines(b, '+', e.new, e.old)
}

// appendLines writes the lines of a record that the other does not have.
func appendLines(b []byte, sign byte, record, other []byte) []byte {
	rest := record
	for {
		// A line is looked for with the break before it, which the first, the
		// version, has not.
		at := bytes.IndexByte(rest, '\n')
		if at < 0 || at == len(rest)-1 {
			return b
		}
		rest = rest[at:]
		line := rest[:bytes.IndexByte(rest[1:], '\n')+2]
		if len(line) < 3 { // no line break behind it
			return b
		}
		if !bytes.HasPrefix(line[1:], []byte(keyChanged+" ")) && !bytes.Contains(other, line) {
			b = append(append(b, sign), line[1:]...)
		}
		rest = rest[1:]
	}
}

// The words that deltas begin with.
const (
	wordAdded   = "added"
	wordChanged = "changed"
	wordRemoved = "removed"
)

// write notes the changeset and returns its number. It is to be called before the
// edits are made: the usage of those who are removed is still there.
func (c *changer) write(tx *bolt.Tx) (uint64, error) {
	trail, err := tx.CreateBucketIfNotExists([]byte(bucketTrail))
	if err != nil {
		return 0, err
	}
	trail.FillPercent = 0.9 // nothing comes between
	number, err := trail.NextSequence()
	if err != nil {
		return 0, err
	}
	size := readTrailSize(tx)
	h := header{at: time.Now().UTC().Truncate(time.Second), author: c.author.normal(), kept: len(c.deltas), undoes: int64(c.undoes)}
	for _, e := range c.edits {
		switch {
		case e.old == nil:
			h.added++
		case e.new == nil:
			h.removed++
		default:
			h.changed++
		}
	}
	value := headerLayout().append(nil, &h)
	if err := trail.Put(trailKey(number), value); err != nil {
		return 0, err
	}
	size.users++
	size.bytes += int64(len(value))
	if err := c.writeChunks(tx, number, &size); err != nil {
		return 0, err
	}
	if err := evict(trail, number, &size); err != nil {
		return 0, err
	}
	sizes, err := tx.CreateBucketIfNotExists([]byte(bucketTrailSize))
	if err != nil {
		return 0, err
	}
	return number, sizes.Put([]byte(bucketTrailSize), sizeLayout().append(nil, &size))
}

func (c *changer) writeChunks(tx *bolt.Tx, number uint64, size *trailSize) error {
	trail, usage := tx.Bucket([]byte(bucketTrail)), tx.Bucket([]byte(bucketUsage))
	var chunk []byte
	index := uint32(0)
	for i, delta := range c.deltas {
		chunk = append(chunk, delta...)
		if e := c.edits[i]; e.new == nil && usage != nil {
			chunk = appendLines(chunk, '~', usage.Get([]byte(e.name)), nil)
		}
		if len(chunk) < chunkBytes && i < len(c.deltas)-1 {
			continue
		}
		if err := trail.Put(binary.BigEndian.AppendUint32(trailKey(number), index), chunk); err != nil {
			return err
		}
		size.bytes += int64(len(chunk))
		chunk, index = nil, index+1
	}
	size.users += int64(len(c.deltas))
	return nil
}

func trailKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// readTrailSize returns what is in the trail. If that cannot be read, nothing
// is: the trail is then bounded by what comes.
func readTrailSize(tx *bolt.Tx) (size trailSize) {
	if sizes := tx.Bucket([]byte(bucketTrailSize)); sizes != nil {
		if record := sizes.Get([]byte(bucketTrailSize)); record != nil && sizeLayout().read(string(record), &size) != nil {
			return trailSize{}
		}
	}
	return size
}

// evict takes the oldest chunks away until the rest is within bounds. The changeset
// of that number, which has just been written, stays.
func evict(trail *bolt.Bucket, newest uint64, size *trailSize) error {
	for c := trail.Cursor(); !size.within(); {
		key, value := c.First()
		if len(key) < 8 || binary.BigEndian.Uint64(key) == newest {
			return nil
		}
		number, head := bytes.Clone(key), bytes.Clone(value)
		chunk, value := c.Next()
		if len(number) == 8 && len(chunk) > 8 && bytes.Equal(number, chunk[:8]) {
			size.users -= int64(countDeltas(value))
			size.bytes -= int64(len(value))
			chunk = bytes.Clone(chunk)
			if err := cmp.Or(lose(trail, number, head, size), trail.Delete(chunk)); err != nil {
				return err
			}
			continue
		}
		size.users--
		size.bytes -= int64(len(head))
		if err := trail.Delete(number); err != nil {
			return err
		}
	}
	return nil
}

// lose notes in the header of a changeset that some of its deltas are gone.
func lose(trail *bolt.Bucket, number, head []byte, size *trailSize) error {
	var h header
	if err := headerLayout().read(string(head), &h); err != nil || h.lost {
		return nil //nolint:nilerr // what cannot be read cannot be undone anyway
	}
	h.lost = true
	value := headerLayout().append(nil, &h)
	size.bytes += int64(len(value) - len(head))
	return trail.Put(number, value)
}

// countDeltas counts the lines that have no sign.
func countDeltas(chunk []byte) (n int) {
	for line := range bytes.Lines(chunk) {
		if !strings.ContainsRune("-+~", rune(line[0])) {
			n++
		}
	}
	return n
}

// written notes a change of one user in the transaction that makes it.
func (db DB) written(tx *bolt.Tx, e edit) error {
	c := changer{author: db.author, edits: []edit{e}, deltas: deltasOf([]edit{e})}
	if _, err := c.write(tx); err != nil {
		return fmt.Errorf("noting the change of user %q: %w", e.name, err)
	}
	return nil
}
