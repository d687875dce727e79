package userdb

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Changeset is what one transaction did to users, as the trail has it.
type Changeset struct {
	Number  uint64
	At      time.Time
	Author  Author
	Added   int // users
	Changed int
	Removed int
	Undoes  uint64 // the changeset that this one took back, 0 if it is none
	Whole   bool   // all its deltas are there, without which it cannot be undone

	chunks [][]byte
}

// Users returns how many users were changed.
func (c *Changeset) Users() int { return c.Added + c.Changed + c.Removed }

// A Delta is what became of one user.
type Delta struct {
	User       string           `json:"user"`
	What       string           `json:"what"` // added, changed or removed
	Attributes []AttributeDelta `json:"attributes,omitzero"`
}

// An AttributeDelta is an attribute as it was and as it came to be, in the words of
// Fields. Of a password it tells only whether there was one.
type AttributeDelta struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Deltas yields what became of each user, as far as it is kept.
func (c *Changeset) Deltas() iter.Seq[Delta] {
	return func(yield func(Delta) bool) {
		layout := userLayout()
		for d := range c.raw() {
			if !yield(d.show(layout)) {
				return
			}
		}
	}
}

func (c *Changeset) raw() iter.Seq[rawDelta] {
	return func(yield func(rawDelta) bool) {
		for _, chunk := range c.chunks {
			for d := range deltasIn(chunk) {
				if !yield(d) {
					return
				}
			}
		}
	}
}

// Wanted says which changesets History returns.
type Wanted struct {
	User   string // those of one user, with its deltas alone
	Number uint64 // one of them
	Most   int    // as many, 0 for all
}

// History returns changesets, the latest first. It knows those of users who are
// gone as well.
func (db DB) History(want Wanted) ([]Changeset, error) {
	var found []Changeset
	err := db.view(func(tx *bolt.Tx) error {
		for c := range changesets(tx, want.Number) {
			if want.User != "" {
				c.chunks = slices.DeleteFunc(c.chunks, func(chunk []byte) bool { return !mentions(chunk, want.User) })
				if len(c.chunks) == 0 {
					continue
				}
			}
			for i := range c.chunks {
				c.chunks[i] = bytes.Clone(c.chunks[i])
			}
			if found = append(found, c); len(found) == want.Most {
				break
			}
		}
		return nil
	})
	if want.User != "" {
		for i := range found {
			found[i].only(want.User)
		}
	}
	return found, err
}

// changesets yields the changesets of the trail, or that of one number, the latest
// first; their chunks are the transaction's.
func changesets(tx *bolt.Tx, number uint64) iter.Seq[Changeset] {
	return func(yield func(Changeset) bool) {
		trail := tx.Bucket([]byte(bucketTrail))
		if trail == nil {
			return
		}
		cursor := trail.Cursor()
		var key, value []byte
		if number != 0 {
			key, _ = cursor.Seek(trailKey(number + 1))
		}
		if key == nil {
			key, value = cursor.Last()
		} else {
			key, value = cursor.Prev()
		}
		layout := headerLayout()
		var chunks [][]byte
		for ; len(key) >= 8; key, value = cursor.Prev() {
			at := binary.BigEndian.Uint64(key)
			if number != 0 && at != number {
				return
			}
			if len(key) > 8 {
				chunks = append(chunks, value)
				continue
			}
			slices.Reverse(chunks)
			c := readChangeset(layout, at, value)
			c.chunks, chunks = chunks, nil
			if !yield(c) {
				return
			}
		}
	}
}

// readChangeset reads a header. One that cannot be read, of a later version perhaps,
// says nothing but its number.
func readChangeset(layout layout[header], number uint64, record []byte) Changeset {
	var h header
	if err := layout.read(string(record), &h); err != nil {
		return Changeset{Number: number}
	}
	return Changeset{
		Number: number, At: h.at, Author: h.author, Added: h.added, Changed: h.changed, Removed: h.removed,
		Undoes: uint64(max(h.undoes, 0)), Whole: h.whole(),
	}
}

// mentions tells whether a chunk has a delta of that user.
func mentions(chunk []byte, user string) bool {
	for _, word := range []string{wordAdded, wordChanged, wordRemoved} {
		first := word + " " + user + "\n"
		if bytes.HasPrefix(chunk, []byte(first)) || bytes.Contains(chunk, []byte("\n"+first)) {
			return true
		}
	}
	return false
}

// only leaves a changeset the deltas of one user.
func (c *Changeset) only(user string) {
	var kept []byte
	for d := range c.raw() {
		if d.user == user {
			kept = append(kept, d.text...)
		}
	}
	c.chunks = [][]byte{kept}
}

// A rawDelta is a delta as it is in a chunk.
type rawDelta struct {
	word, user string
	text       []byte            // all of it
	before     map[string]string // values of record lines by their keys
	after      map[string]string
	usage      []byte // lines
}

// deltasIn yields the deltas of a chunk. What does not begin like one is passed over.
func deltasIn(chunk []byte) iter.Seq[rawDelta] {
	return func(yield func(rawDelta) bool) {
		for len(chunk) > 0 {
			end := deltaEnd(chunk)
			d, ok := parseDelta(chunk[:end])
			chunk = chunk[end:]
			if ok && !yield(d) {
				return
			}
		}
	}
}

// deltaEnd returns where the next delta begins.
func deltaEnd(chunk []byte) int {
	at := 0
	for line := range bytes.Lines(chunk) {
		if at > 0 && !strings.ContainsRune("-+~", rune(line[0])) {
			break
		}
		at += len(line)
	}
	return at
}

func parseDelta(text []byte) (rawDelta, bool) {
	d := rawDelta{text: text, before: make(map[string]string), after: make(map[string]string)}
	head, lines, ended := strings.Cut(string(text), "\n")
	d.word, d.user, _ = strings.Cut(head, " ")
	if d.word != wordAdded && d.word != wordChanged && d.word != wordRemoved || d.user == "" || !ended {
		return d, false
	}
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line[1:], "\n"), " ")
		switch line[0] {
		case '-':
			d.before[key] = value
		case '+':
			d.after[key] = value
		case '~':
			d.usage = append(d.usage, line[1:]...)
		}
	}
	return d, true
}

// Keys of a record: the value of one nobody is shown, the other is in no delta.
const (
	keyPassword = "password"
	keyChanged  = "changed"
)

// show puts a delta in words, in the order of Fields.
func (d *rawDelta) show(layout layout[User]) Delta {
	shown := Delta{User: d.user, What: d.word}
	add := func(key string, word func(values map[string]string) string) {
		was, before := d.before[key]
		is, after := d.after[key]
		if !before && !after || before && after && was == is {
			return
		}
		a := AttributeDelta{Name: key}
		if d.word != wordAdded {
			a.Before = word(d.before)
		}
		if d.word != wordRemoved {
			a.After = word(d.after)
		}
		shown.Attributes = append(shown.Attributes, a)
	}
	add(keyPassword, func(values map[string]string) string {
		switch {
		case values[keyPassword] == "":
			return "none"
		case d.word == wordChanged && d.before[keyPassword] != "" && values[keyPassword] == d.after[keyPassword]:
			return "another"
		}
		return "set"
	})
	known := map[string]bool{keyPassword: true}
	for _, f := range Fields {
		if known[f.Name] = true; f.AliasOf == "" && f.Group != groupKept {
			add(f.Name, func(values map[string]string) string { return lineWord(layout, f.Name, values) })
		}
	}
	for _, key := range slices.Sorted(keysOf(d.before, d.after)) {
		if !known[key] { // of a later version, which may have secrets
			add(key, func(map[string]string) string { return "?" })
		}
	}
	return shown
}

func keysOf(maps ...map[string]string) iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := make(map[string]bool)
		for _, m := range maps {
			for key := range m {
				if !seen[key] && !yield(key) {
					return
				}
				seen[key] = true
			}
		}
	}
}

// lineWord shows the value of a record's line as Fields does, or what the lack of
// the line means.
func lineWord(layout layout[User], key string, values map[string]string) string {
	var u User
	if text, found := values[key]; found {
		i := slices.IndexFunc(layout, func(a attribute[User]) bool { return a.key == key })
		if i < 0 || layout[i].set(&u, text) != nil {
			return "?"
		}
	}
	f, _ := Fields.Lookup(key)
	return f.Bind(&u).String()
}
