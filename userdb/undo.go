package userdb

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Undo and its errors.
var (
	// ErrNoChange means that the trail has no changeset of that number, or none
	// at all.
	ErrNoChange = errors.New("no such change")
	// ErrNotKept means that a changeset was too large to be kept whole, or that
	// later ones have pushed parts of it out.
	ErrNotKept = errors.New("it was too large to be kept whole, or is too old")
)

// A LaterError means that a changeset cannot be undone, since what it did to a
// user has been changed again.
type LaterError struct {
	User      string
	Attribute string // "" means that the user was added or removed
	By        uint64 // the changeset that did it, 0 if that is not in the trail
}

func (e *LaterError) Error() string {
	what := fmt.Sprintf("%s of user %s was changed", e.Attribute, e.User)
	if e.Attribute == "" {
		what = fmt.Sprintf("user %s was added or removed", e.User)
	}
	if e.By == 0 {
		return what + " since, by a change that is not in the trail"
	}
	return fmt.Sprintf("%s since, by change %d", what, e.By)
}

// Undo returns edits that take a changeset back, the latest one if number is 0. It
// gives back hashes and, to users who were removed, what their files took up. Where
// any of the attributes concerned is no longer as the changeset left it, it fails
// with a LaterError; the others may have changed. What Commit makes of it is a
// changeset that can be undone in turn.
func (db DB) Undo(number uint64) (*Edits, Changeset, error) {
	c, err := db.undoable(number)
	if err != nil {
		return nil, c, err
	}
	e := db.Edits()
	e.undoes = c.Number
	deltas := slices.Collect(c.raw())
	for batch := range slices.Chunk(deltas, walkUsers) {
		if err := e.undoAll(batch); err != nil {
			if later, ok := errors.AsType[*LaterError](err); ok {
				err = db.blame(later, c.Number)
			}
			return nil, c, err
		}
	}
	if len(e.list) != c.Users() {
		return nil, c, fmt.Errorf("change %d cannot be undone: %w", c.Number, ErrNotKept)
	}
	return e, c, nil
}

// undoable returns a changeset with all its deltas.
func (db DB) undoable(number uint64) (Changeset, error) {
	list, err := db.History(Wanted{Number: number, Most: 1})
	switch {
	case err != nil:
		return Changeset{}, err
	case len(list) == 0 && number == 0:
		return Changeset{}, fmt.Errorf("%w: nothing was changed yet", ErrNoChange)
	case len(list) == 0:
		return Changeset{}, fmt.Errorf("%w: %d", ErrNoChange, number)
	case !list[0].Whole:
		return list[0], fmt.Errorf("change %d cannot be undone: %w", list[0].Number, ErrNotKept)
	}
	return list[0], nil
}

// undoAll adds the edits that take deltas back, of users as one transaction sees them.
func (e *Edits) undoAll(deltas []rawDelta) error {
	present, renewed := make([][]byte, len(deltas)), make([][]byte, len(deltas))
	err := e.db.view(func(tx *bolt.Tx) error {
		users, digests := tx.Bucket([]byte(bucketUsers)), tx.Bucket([]byte(bucketRenewed))
		for i, d := range deltas {
			present[i], renewed[i] = bytes.Clone(get(users, d.user)), bytes.Clone(get(digests, d.user))
		}
		return nil
	})
	for i := 0; err == nil && i < len(deltas); i++ {
		err = e.undo(&deltas[i], present[i], renewed[i])
	}
	return err
}

// undo adds the edit that takes a delta back. A user's record is present now, and
// its hash may be renewed.
func (e *Edits) undo(d *rawDelta, present, renewed []byte) error {
	if (present == nil) != (d.word == wordRemoved) {
		return &LaterError{User: d.user}
	}
	lines, err := e.linesBefore(d, present, renewed)
	if err != nil {
		return err
	}
	was := Stored{record: present}
	switch d.word {
	case wordAdded:
		e.Remove(d.user, was)
		return nil
	case wordRemoved:
		if len(d.before) == 0 {
			return fmt.Errorf("user %q cannot be brought back: its record could not be read", d.user)
		}
	default:
		if was.User, was.Err = decode(e.layout, d.user, present); was.Err != nil {
			return was.Err
		}
	}
	u, err := decode(e.layout, d.user, e.layout.join(lines))
	if err == nil {
		err = e.Put(was, u)
	}
	if err != nil {
		return fmt.Errorf("taking back what became of user %q: %w", d.user, err)
	}
	if last := &e.list[len(e.list)-1]; len(d.usage) > 0 && last.name == d.user {
		last.usage = append([]byte(recordVersion+"\n"), d.usage...)
		if bytes.Contains(last.usage, []byte("\nwriter ")) {
			last.usage = doubted(last.usage)
		}
	}
	return nil
}

// linesBefore returns what the lines of a user's record were before a delta, all
// others being as they are now.
func (e *Edits) linesBefore(d *rawDelta, present, renewed []byte) (map[string]string, error) {
	for key := range keysOf(d.before, d.after) {
		if !slices.ContainsFunc(e.layout, func(a attribute[User]) bool { return a.key == key }) {
			return nil, fmt.Errorf("%w: attribute %.20q of user %q is unknown; was it written by a later version?", ErrMalformed, key, d.user)
		}
	}
	lines := recordLines(present)
	for _, a := range e.layout {
		was, before := d.before[a.key]
		is, after := d.after[a.key]
		if !before && !after && d.word != wordAdded || a.key == keyChanged {
			continue
		}
		now, there := lines[a.key]
		same := now == is && there == after
		if a.key == keyPassword && there && after {
			same = samePassword(renewed, is, now)
		}
		if !same {
			return nil, &LaterError{User: d.user, Attribute: a.key}
		}
		if delete(lines, a.key); before {
			lines[a.key] = was
		}
	}
	return lines, nil
}

// recordLines returns the values of a record by their keys.
func recordLines(record []byte) map[string]string {
	d, _ := parseDelta(appendLines([]byte(wordAdded+" -\n"), '+', record, nil))
	return d.after
}

// join makes a record of values.
func (l layout[T]) join(values map[string]string) []byte {
	b := []byte(recordVersion + "\n")
	for _, a := range l {
		if value, found := values[a.key]; found {
			b = append(append(append(append(b, a.key...), ' '), value...), '\n')
		}
	}
	return b
}

// blame finds the changeset behind the one of that number that stands in the way.
func (db DB) blame(later *LaterError, number uint64) error {
	history, err := db.History(Wanted{User: later.User})
	if err != nil {
		return err
	}
	for _, c := range history {
		if c.Number <= number {
			break
		}
		for d := range c.raw() {
			keys := slices.Collect(keysOf(d.before, d.after))
			if d.word != wordChanged || slices.Contains(keys, later.Attribute) {
				later.By = c.Number
				return later
			}
		}
	}
	return later
}
