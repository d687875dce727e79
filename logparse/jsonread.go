package logparse

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// errJSON is what is wrong with a line that is no JSON object.
var errJSON = &partError{"JSON object", "the line"}

// noEvent is what a line has that is of something else.
const noEvent Event = 0xff

// maxDepth bounds how deep what is not known may be nested.
const maxDepth = 16

// A scanner reads JSON from a text. It takes no more than RFC 8259 has, but for
// bytes that are no UTF-8.
type scanner struct{ rest string }

// parseJSON reads a line: keys may stand in any order, and those that are not
// known are passed over.
func parseJSON(_ *Parser, line string, e *Entry) error {
	s := scanner{line}
	e.Event = noEvent
	if !s.take('{') {
		return errForm
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return errJSON
		}
		key, ok := s.text()
		if !ok || !s.take(':') {
			return errJSON
		}
		if err := s.member(key, e); err != nil {
			return err
		}
	}
	if s.blanks(); s.rest != "" {
		return errJSON
	}
	if e.Time.IsZero() || e.Event == noEvent {
		return errForm
	}
	return nil
}

// member reads what belongs to a key into the entry.
func (s *scanner) member(key string, e *Entry) error {
	s.blanks()
	if strings.HasPrefix(s.rest, `"`) {
		text, ok := s.text()
		if !ok {
			return errJSON
		}
		return e.setText(key, text)
	}
	start := s.rest
	if !s.skip(0) {
		return errJSON
	}
	return e.setNumber(key, start[:len(start)-len(s.rest)])
}

func (e *Entry) setText(key, text string) error {
	if key == "time" {
		return e.setTime(text)
	}
	name, coded := strings.CutSuffix(key, inBase64)
	for i := range jsonTexts {
		if jsonTexts[i].key != name {
			continue
		}
		if coded {
			plain, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return wrong("base64", text)
			}
			text = string(plain)
		}
		*jsonTexts[i].text(e) = text
		return nil
	}
	e.setJSONWord(key, text)
	return nil
}

// setTime reads a time of RFC 3339.
func (e *Entry) setTime(text string) error {
	const clock = len("2006-01-02T")
	if len(text) > clock+8 && text[clock-1] == 'T' && strings.HasSuffix(text, "Z") {
		t, ok := isoTime(text[:clock-1], text[clock:clock+8])
		part, isPart := strings.CutPrefix(text[clock+8:len(text)-1], ".")
		nano, exact := fraction(part)
		if ok && exact && isPart == (part != "") && len(text)-1-clock-8 == len(part)+boolLen(isPart) {
			e.Time = t.Add(nano)
			return nil
		}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return wrong("time", text)
	}
	e.Time = t.UTC()
	return nil
}

func boolLen(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fraction reads up to nine decimals of a second.
func fraction(text string) (time.Duration, bool) {
	n := time.Duration(0)
	for i := range 9 {
		n *= 10
		if i >= len(text) {
			continue
		}
		if text[i]-'0' > 9 {
			return 0, false
		}
		n += time.Duration(text[i] - '0')
	}
	return n, len(text) <= 9
}

func (e *Entry) setNumber(key, text string) error {
	var to *int64
	var small *int
	switch key {
	case isASCII:
		e.Xfer.ASCII = text == "true"
		return nil
	case "seconds":
		return e.setTook(text)
	case "rate":
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(rate, 0) || rate < 0 {
			return wrong("rate", text)
		}
		e.Rate = rate
		return nil
	case "auth":
		if text == "0" || text == "1" {
			e.Xfer.Auth = text[0]
		}
		return nil
	case "bytes":
		to = &e.Bytes
	case "offset":
		to = &e.Offset
	case "size":
		to = &e.Size
	case "code":
		small = &e.Code
	case "pid":
		small = &e.PID
	default:
		return nil
	}
	n, err := count(text)
	if err != nil {
		return err
	}
	if small == nil {
		*to = n
		return nil
	}
	if n > math.MaxInt32 {
		return wrong("number", text)
	}
	*small = int(n)
	return nil
}

func (e *Entry) setTook(text string) error {
	whole, part, hasPart := strings.Cut(text, ".")
	n, err := span(whole)
	nano, ok := fraction(part)
	if err != nil || !ok || hasPart && part == "" {
		return wrong("number of seconds", text)
	}
	e.Took = n + nano
	return nil
}

func (s *scanner) blanks() {
	for s.rest != "" && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

// take takes one character, if it comes next.
func (s *scanner) take(c byte) bool {
	s.blanks()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text reads a text in quotes.
func (s *scanner) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	for i := range len(s.rest) {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped reads the rest of a text whose first escape is at i.
func (s *scanner) escaped(i int) (string, bool) {
	text := append(make([]byte, 0, 2*i+32), s.rest[:i]...)
	for rest := s.rest[i:]; rest != ""; {
		c := rest[0]
		switch {
		case c == '"':
			s.rest = rest[1:]
			return string(text), true
		case c < ' ':
			return "", false
		case c != '\\':
			text, rest = append(text, c), rest[1:]
			continue
		case len(rest) < 2:
			return "", false
		}
		if rest[1] == 'u' {
			r, n := unicodeEscape(rest)
			if n == 0 {
				return "", false
			}
			text, rest = utf8.AppendRune(text, r), rest[n:]
			continue
		}
		at := strings.IndexByte(`"\/bfnrt`, rest[1])
		if at < 0 {
			return "", false
		}
		text, rest = append(text, "\"\\/\b\f\n\r\t"[at]), rest[2:]
	}
	return "", false
}

// unicodeEscape reads \uXXXX, or two of them that are one character, and tells how
// long that is; 0 if it is neither.
func unicodeEscape(text string) (rune, int) {
	unit := func(text string) rune {
		if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(text[2:6], 16, 16)
		if err != nil {
			return -1
		}
		return rune(n)
	}
	r := unit(text)
	if r < 0 {
		return 0, 0
	}
	if utf16.IsSurrogate(r) {
		if pair := utf16.DecodeRune(r, unit(text[6:])); pair != utf8.RuneError {
			return pair, 12
		}
		return utf8.RuneError, 6
	}
	return r, 6
}

// skip passes over a value, and tells whether it is one.
func (s *scanner) skip(depth int) bool {
	s.blanks()
	if s.rest == "" || depth > maxDepth {
		return false
	}
	switch c := s.rest[0]; c {
	case '"':
		_, ok := s.text()
		return ok
	case '{', '[':
		return s.skipMany(c, depth)
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest, ok := strings.CutPrefix(s.rest, word); ok {
			s.rest = rest
			return true
		}
	}
	end := 0
	for end < len(s.rest) && strings.IndexByte("0123456789+-.eE", s.rest[end]) >= 0 {
		end++
	}
	s.rest = s.rest[end:]
	return end > 0
}

// skipMany passes over an object or an array.
func (s *scanner) skipMany(open byte, depth int) bool {
	end := open + 2 // in ASCII
	s.take(open)
	for first := true; !s.take(end); first = false {
		if !first && !s.take(',') {
			return false
		}
		if open == '{' {
			if _, ok := s.text(); !ok || !s.take(':') {
				return false
			}
		}
		if !s.skip(depth + 1) {
			return false
		}
	}
	return true
}
