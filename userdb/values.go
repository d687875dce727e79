package userdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Perms is a set of the things an account may do with its files. The zero set
// permits nothing.
type Perms uint8

// The permissions. Listing includes the facts of a file, such as its size.
const (
	PermList Perms = 1 << iota
	PermRead
	PermWrite
	PermDelete
	PermRename
	PermMkdir
	PermChmod

	AllPerms = PermList | PermRead | PermWrite | PermDelete | PermRename | PermMkdir | PermChmod
)

// permNames are the words for the bits of Perms, in their order.
var permNames = [...]string{"list", "read", "write", "delete", "rename", "mkdir", "chmod"}

// Has reports whether the set has all of want.
func (p Perms) Has(want Perms) bool { return p&want == want }

// Words yields the names of the permissions in the set.
func (p Perms) Words() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, name := range permNames {
			if p&(1<<i) != 0 && !yield(name) {
				return
			}
		}
	}
}

// String returns the words parted by commas, "none" if there are none.
func (p Perms) String() string {
	if p&AllPerms == 0 {
		return "none"
	}
	return string(p.append(nil, ','))
}

func (p Perms) append(b []byte, between byte) []byte {
	start := len(b)
	for word := range p.Words() {
		if len(b) > start {
			b = append(b, between)
		}
		b = append(b, word...)
	}
	return b
}

// ParsePerms reads words parted by commas or blanks; "all" and "none" are the
// full and the empty set.
func ParsePerms(text string) (Perms, error) {
	var p Perms
	words := 0
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		words++
		bit, err := parsePerm(word)
		if err != nil {
			return 0, err
		}
		p |= bit
	}
	if words == 0 {
		return 0, invalid("no permission named; say none for none")
	}
	return p, nil
}

func parsePerm(word string) (Perms, error) {
	for i, name := range permNames {
		if word == name {
			return 1 << i, nil
		}
	}
	switch word {
	case "all":
		return AllPerms, nil
	case "none":
		return 0, nil
	}
	return 0, invalid("%q is none of the permissions %s, all, none", word, strings.Join(permNames[:], ", "))
}

// MarshalJSON writes the words as an array.
func (p Perms) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for word := range p.Words() {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, word)
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads an array of words.
func (p *Perms) UnmarshalJSON(b []byte) error {
	var words []string
	if err := json.Unmarshal(b, &words); err != nil {
		return fmt.Errorf("reading permissions: %w", err)
	}
	var set Perms
	for _, word := range words {
		bit, err := parsePerm(word)
		if err != nil {
			return err
		}
		set |= bit
	}
	*p = set
	return nil
}

// A Limit is a quantity that may not be passed. Its zero value is no limit,
// which is not the same as a limit of 0: that allows nothing at all.
type Limit struct {
	most int64
	set  bool
}

// LimitOf returns the limit of n; a negative n counts as 0.
func LimitOf(n int64) Limit { return Limit{max(n, 0), true} }

// Value returns the limit, and false if there is none.
func (l Limit) Value() (most int64, limited bool) { return l.most, l.set }

// Allows reports whether n is within the limit.
func (l Limit) Allows(n int64) bool { return !l.set || n <= l.most }

// String returns the number, or "unlimited".
func (l Limit) String() string {
	if !l.set {
		return unlimited
	}
	return strconv.FormatInt(l.most, 10)
}

// MarshalJSON writes a number, or null for no limit.
func (l Limit) MarshalJSON() ([]byte, error) {
	if !l.set {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, l.most, 10), nil
}

// UnmarshalJSON reads a number of at least 0, or null.
func (l *Limit) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*l = Limit{}
		return nil
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 {
		return invalid("limit %s is not a whole number of at least 0", b)
	}
	*l = LimitOf(n)
	return nil
}

// Hours is the part of each day in which an account may log in. Its zero value
// is all day.
type Hours struct {
	from, to int16 // minutes since midnight; both of these minutes belong to it
	set      bool
}

// ParseHours reads "hhmm-hhmm", also without leading zeros as pure-pw stores it
// ("900-1800"). An end that is before the beginning is on the next day. The
// empty text is all day.
func ParseHours(text string) (Hours, error) {
	if text == "" {
		return Hours{}, nil
	}
	from, to, found := strings.Cut(text, "-")
	a, aok := minuteOfDay(from)
	b, bok := minuteOfDay(to)
	if !found || !aok || !bok {
		return Hours{}, invalid("%q is not a time of day such as 0900-1800", text)
	}
	return Hours{a, b, true}, nil
}

func minuteOfDay(hhmm string) (int16, bool) {
	n, err := strconv.ParseUint(hhmm, 10, 16)
	if err != nil || len(hhmm) > 4 || n > 2359 || n%100 > 59 {
		return 0, false
	}
	return int16(n/100*60 + n%100), true
}

// Contains reports whether t, by the clock of its own location, is in the hours.
func (h Hours) Contains(t time.Time) bool {
	if !h.set {
		return true
	}
	now := int16(t.Hour()*60 + t.Minute())
	if h.from <= h.to {
		return h.from <= now && now <= h.to
	}
	return now >= h.from || now <= h.to
}

// Until returns the first moment after t, which the hours contain, that they do
// not; the zero time if there is none. What counts is the clock of t's location,
// which may be put forward or back on the way.
func (h Hours) Until(t time.Time) time.Time {
	const day = 24 * 60
	end := (int(h.to) + 1) % day // the first minute that does not belong to them
	if !h.set || end == int(h.from) {
		return time.Time{}
	}
	year, month, date := t.Date()
	if t.Hour()*60+t.Minute() >= end {
		date++
	}
	at := time.Date(year, month, date, 0, end, 0, 0, t.Location())
	_, before := t.Zone()
	_, after := at.Zone()
	if before == after {
		return at
	}
	at = t.Truncate(time.Minute)
	for h.Contains(at) {
		at = at.Add(time.Minute)
	}
	return at
}

// String returns "hhmm-hhmm", or nothing for all day.
func (h Hours) String() string {
	if !h.set {
		return ""
	}
	return fmt.Sprintf("%02d%02d-%02d%02d", h.from/60, h.from%60, h.to/60, h.to%60)
}

// MarshalText is String.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseHours.
func (h *Hours) UnmarshalText(b []byte) error {
	parsed, err := ParseHours(string(b))
	if err == nil {
		*h = parsed
	}
	return err
}
