package userfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"portreeve/userdb"
)

// A jsonUser is a user as JSON has it. What `pw list --json` and `pw show --json`
// say besides is passed over.
type jsonUser struct {
	*userdb.User
	Password *string `json:"password,omitempty"`
	Plain    *string `json:"plain_password,omitempty"`

	Kind  json.RawMessage `json:"password_kind,omitempty"`
	Last  json.RawMessage `json:"last_login,omitempty"`
	Usage json.RawMessage `json:"usage,omitempty"`
}

func readJSON(from io.Reader, emit func(Entry) bool) error {
	lines := &lineCounter{from: bufio.NewReader(from), line: 1}
	first, err := lines.skipBlanks()
	if err != nil {
		return err
	}
	dec := json.NewDecoder(lines)
	array := first == '['
	if array {
		if _, err := dec.Token(); err != nil {
			return err
		}
	}
	for {
		if array && !dec.More() {
			_, err := dec.Token() // its end, or why there is none
			if err == nil {
				err = nothingBehind(dec)
			}
			return lines.fault(dec, err)
		}
		var object json.RawMessage
		switch err := dec.Decode(&object); {
		case errors.Is(err, io.EOF) && !array:
			return nil
		case err != nil:
			return lines.fault(dec, err)
		}
		begins := lines.at(dec.InputOffset()) - bytes.Count(object, []byte("\n"))
		if !emit(objectEntry(begins, object)) {
			return nil
		}
	}
}

// nothingBehind refuses what follows an array: users that would be passed over.
func nothingBehind(dec *json.Decoder) error {
	switch _, err := dec.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return errors.New("there is more behind the end of the array")
}

func objectEntry(n int, object []byte) Entry {
	var said struct {
		Name     string     `json:"name"`
		Password *string    `json:"password"`
		Plain    string     `json:"plain_password"`
		Expires  *time.Time `json:"expires"`
	}
	if err := json.Unmarshal(object, &said); err != nil {
		return refuse(n, said.Name, jsonFault(err))
	}
	if err := saidOnce(object); err != nil {
		return refuse(n, said.Name, err)
	}
	if said.Expires != nil && said.Expires.IsZero() { // which stands for never here
		return refuse(n, said.Name, errors.New("expires: the year 1 is no moment of an account's end"))
	}
	e := Entry{Line: n, Name: said.Name, Password: said.Plain}
	if err := userdb.ValidPassword(said.Plain); err != nil {
		return refuse(n, said.Name, err)
	}
	if said.Password != nil && said.Plain == "" {
		e.Notes = noteOf(*said.Password)
	}
	e.Set = func(u *userdb.User) error { return setObject(u, object) }
	return e
}

// saidOnce refuses an object that says something twice: which is meant is not known,
// and one of the two may be a limit. What is not an object says nothing.
func saidOnce(object []byte) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return err
	}
	seen := make(map[string]bool)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name := strings.Map(foldRune, fmt.Sprint(key))
		if seen[name] {
			return fmt.Errorf("it says %s twice", key)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}

// foldRune returns the first of the runes that encoding/json takes for the same in
// the name of a field.
func foldRune(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// setObject gives u what an object says. An object that says what is not known is
// refused, since it may be a limit.
func setObject(u *userdb.User, object []byte) error {
	// Lists are written into where they lie, and may be shared with another user.
	for _, l := range []*userdb.Patterns{&u.AllowClient, &u.DenyClient, &u.AllowLocal, &u.DenyLocal} {
		*l = slices.Clone(*l)
	}
	said := jsonUser{User: u}
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&said); err != nil {
		return jsonFault(err)
	}
	if said.Password != nil {
		return setHash(u, *said.Password)
	}
	return nil
}

// jsonFault leaves out of an error what only a programmer knows.
func jsonFault(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: a %s is not what it may be", strings.TrimPrefix(strings.TrimPrefix(wrong.Field, "User."), "Limits."), wrong.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// A lineCounter tells in which line an offset of what was read through it is.
type lineCounter struct {
	from   *bufio.Reader
	read   int64
	line   int     // of what is behind the breaks that were passed
	breaks []int64 // offsets of line breaks that nobody asked about yet
}

// skipBlanks returns the first byte that is none, which is read again.
func (l *lineCounter) skipBlanks() (byte, error) {
	for {
		b, err := l.from.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, nil
		case err != nil:
			return 0, err
		case b == '\n':
			l.line++
		case b != ' ' && b != '\t' && b != '\r':
			return b, l.from.UnreadByte()
		}
	}
}

func (l *lineCounter) Read(b []byte) (int, error) {
	n, err := l.from.Read(b)
	for i, c := range b[:n] {
		if c == '\n' {
			l.breaks = append(l.breaks, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at returns the line of an offset, which is not before the last one asked about.
func (l *lineCounter) at(offset int64) int {
	passed := 0
	for passed < len(l.breaks) && l.breaks[passed] < offset {
		passed++
	}
	l.breaks = append(l.breaks[:0], l.breaks[passed:]...)
	l.line += passed
	return l.line
}

func (l *lineCounter) fault(dec *json.Decoder, err error) error {
	if err == nil {
		return nil
	}
	at := dec.InputOffset()
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = max(at, wrong.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, err = l.read, io.ErrUnexpectedEOF
	}
	return fmt.Errorf("line %d: %w", l.at(at), err)
}
