package logparse

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// errForm is what is wrong with a line that has not the parts it should have.
var errForm = errors.New("not a line of this format")

// A partError tells which part of a line cannot be read. It is worded when it is
// asked for, since a log can be full of them.
type partError struct{ part, text string }

// shown is how much of a part is worth showing.
const shown = 60

func (e *partError) Error() string {
	text, more := e.text, ""
	if len(text) > shown {
		text, more = text[:shown], "…"
	}
	return fmt.Sprintf("%q%s is no %s", text, more, e.part)
}

func wrong(part, text string) error { return &partError{part, text} }

// maxSeconds is the longest that a transfer is believed to take: a century.
const maxSeconds = 100 * 366 * 24 * 3600

// count reads a number as it is written: without a sign and without zeros before
// it.
func count(text string) (n int64, err error) {
	if len(text) == 0 || len(text) > 19 || text[0] == '0' && len(text) > 1 {
		return 0, wrong("number", text)
	}
	var u uint64 // 19 digits fit
	for i := range len(text) {
		d := text[i] - '0'
		if d > 9 {
			return 0, wrong("number", text)
		}
		u = u*10 + uint64(d)
	}
	if u > math.MaxInt64 {
		return 0, wrong("number", text)
	}
	return int64(u), nil
}

// smallCount reads a number that fits everywhere.
func smallCount(text string) (int, bool) {
	n, err := count(text)
	return int(n), err == nil && n <= math.MaxInt32
}

// span reads a number of seconds.
func span(text string) (time.Duration, error) {
	n, err := count(text)
	if err != nil {
		return 0, wrong("number of seconds", text)
	}
	return lasting(n)
}

// lasting is so many seconds.
func lasting(n int64) (time.Duration, error) {
	if n > maxSeconds {
		return 0, wrong("number of seconds", strconv.FormatInt(n, 10))
	}
	return time.Duration(n) * time.Second, nil
}

// seconds is how a duration is written: whole, to the nearest.
func seconds(d time.Duration) int64 { return wholeSeconds(d.Round(time.Second)) }

// wholeSeconds leaves out fractions, and what would not be believed.
func wholeSeconds(d time.Duration) int64 { return min(max(int64(d/time.Second), 0), maxSeconds) }

func appendCount(line []byte, n int64) []byte { return strconv.AppendInt(line, max(n, 0), 10) }

// word cuts the first word off a text, and tells whether there is a blank behind
// it.
func word(text string) (first, rest string, ok bool) {
	i := strings.IndexByte(text, ' ')
	if i <= 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// number cuts off a word that is a number, as count reads it.
func number(text string) (n int64, rest string, err error) {
	for i := range len(text) {
		d := text[i] - '0'
		if d <= 9 && i < 18 {
			n = n*10 + int64(d)
			continue
		}
		if text[i] == ' ' && i > 0 && (text[0] != '0' || i == 1) {
			return n, text[i+1:], nil
		}
		break
	}
	first, rest, ok := word(text)
	if !ok {
		return 0, "", errForm
	}
	n, err = count(first)
	return n, rest, err
}

// address is word for one without control characters.
func address(text string) (first, rest string, ok bool) {
	for i := range len(text) {
		if c := text[i]; c == ' ' {
			return text[:i], text[i+1:], i > 0
		} else if control(c) {
			break
		}
	}
	return "", "", false
}

// lastWord cuts the last word off.
func lastWord(text string) (rest, last string) { return cutLast(text, " ") }

// cutLast parts text at the last of sep.
func cutLast(text, sep string) (before, after string) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):]
	}
	return "", ""
}

// none stands for what is not known.
const none = "-"

// known is the reverse for what was read.
func known(text string) string {
	if text == none {
		return ""
	}
	return text
}

// control tells whether a byte has no place in a line.
func control(c byte) bool { return c < ' ' || c == 0x7f }

// appendWord adds a field that has no blanks.
func appendWord(line []byte, text string) []byte {
	if text == "" {
		return append(line, none...)
	}
	return appendName(line, text, '_')
}

// appendText adds a field that may have blanks.
func appendText(line []byte, text string) []byte {
	if text == "" {
		return append(line, none...)
	}
	return appendName(line, text, ' ')
}

// appendName adds a text with something else for blanks.
func appendName(line []byte, text string, blank byte) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c == ' ':
			line = append(line, blank)
		case control(c):
			line = append(line, '_')
		default:
			line = append(line, c)
		}
	}
	return line
}

// appendWithout adds a text in which, of what would be mistaken for the rest of
// the line, one byte is replaced.
func appendWithout(line []byte, text, mistaken, instead string) []byte {
	if strings.Contains(text, mistaken) {
		text = strings.ReplaceAll(text, mistaken, instead)
	}
	return appendName(line, text, ' ')
}

// controlled tells whether there is a control character in a line, which most
// formats do not write.
func controlled(line string) bool {
	for i := range len(line) {
		if control(line[i]) {
			return true
		}
	}
	return false
}

// appendEscaped adds a path as CLF and W3C have it: all but a few characters is %XX.
func appendEscaped(line []byte, path string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(path) {
		if c := path[i]; unescaped[c] {
			line = append(line, c)
		} else {
			line = append(line, '%', hex[c>>4], hex[c&15])
		}
	}
	return line
}

// unescaped are the characters that stand for themselves there.
var unescaped = func() (table [256]bool) {
	for c := range table {
		table[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '/' || c == '_' || c == '-'
	}
	return table
}()

// unescape reads what appendEscaped wrote.
func (p *Parser) unescape(text string) (string, error) {
	if text == "" {
		return "", wrong("path", text)
	}
	first := 0
	for first < len(text) && unescaped[text[first]] {
		first++
	}
	if first == len(text) {
		return text, nil
	}
	path := append(p.text[:0], text[:first]...)
	for i := first; i < len(text); i++ {
		if unescaped[text[i]] {
			path = append(path, text[i])
			continue
		}
		if text[i] != '%' || i+2 >= len(text) {
			return "", wrong("path", text)
		}
		high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
		c := high<<4 | low
		if high > 15 || low > 15 || unescaped[c] {
			return "", wrong("path", text)
		}
		path = append(path, c)
		i += 2
	}
	p.text = path
	return string(path), nil
}

// hexDigit is the value of a digit in upper case, above 15 if it is none.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
