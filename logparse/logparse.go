// Package logparse turns a line of a transfer log into an entry and back.
//
// A format is a row of [Formats], whose two functions are each other's inverse:
// a line that Parse takes is what Append makes of the entry, byte for byte, and
// an entry that was read is read again from what Append makes of it. What a
// format has no room for is not in the line and is zero when it is read.
package logparse

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Entry is one transfer.
type Entry struct {
	Time      time.Time     // when it ended, to the second
	Took      time.Duration // in whole seconds
	Host      string        // the client; "" is unknown
	User      string        // "" is unknown
	Path      string        // on the host
	Bytes     int64         // moved in this transfer, which may be a part of the file
	Direction Direction
	Status    Status
	Session   string // of stats: its start and its number, in hexadecimal, with a dot between

	Xfer Xfer
}

// Xfer is what xferlog alone has.
type Xfer struct {
	ASCII    bool
	Flags    string // what was done to the file on its way; "" is _, nothing
	Mode     byte   // r, a or g: a real user, anonymous, a guest; 0 is r
	Service  string // "" is ftp
	Auth     byte   // 1 if the client's host was asked who it is, else 0. Pure-FTPd, which asks nobody, writes 1, as 0 does here
	Ident    string // what it said; "" is *, nothing
	BlankDay bool   // the day is padded with a blank, as wu-ftpd and vsftpd have it, and not with a zero
}

// A Direction is where a file went; its letters are those of xferlog.
type Direction byte

// The directions.
const (
	Upload   Direction = 'i'
	Download Direction = 'o'
	Deleted  Direction = 'd' // ProFTPD notes that too
)

// A Status tells whether a transfer came to its end.
type Status byte

// What there is to say about the end of a transfer.
const (
	Unknown Status = iota // the format does not say
	Whole
	Cut
)

// A Format is a way to write transfers down, one a line.
type Format struct {
	Name   string
	Help   string
	Header func(at time.Time) string // of a new file; nil: none
	Parse  func(line string) (Entry, error)
	Append func(line []byte, e Entry) []byte // with its line end
}

// Formats are those that are read and written, by name.
var Formats = []Format{
	{"clf", "what web servers write; the end of a broken transfer is 206 and not 200", nil, parseCLF, appendCLF},
	{"stats", "one line for programs, with the session; it does not tell broken transfers", nil, parseStats, appendStats},
	{"w3c", "W3C's extended format, in UTC; a broken transfer is 426 and not 226", headW3C, parseW3C, appendW3C},
	{"xferlog", "wu-ftpd's, which most FTP servers write and most tools read", nil, parseXferlog, appendXferlog},
}

// Find returns the format of that name.
func Find(name string) (Format, bool) {
	for _, f := range Formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Names returns the names of all formats.
func Names() []string {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = f.Name
	}
	return names
}

// errForm is what is wrong with a line that has not the parts it should have.
var errForm = errors.New("not a line of this format")

// wrong tells which part of a line cannot be read.
func wrong(part, text string) error { return fmt.Errorf("%q is no %s", text, part) }

// maxSeconds is the longest that a transfer is believed to take: a century.
const maxSeconds = 100 * 366 * 24 * 3600

// seconds is how a duration is written: whole, to the nearest.
func seconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }

// count reads a number as Append writes it.
func count(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || text[0] == '0' && text != "0" {
		return 0, wrong("number", text)
	}
	return int64(n), nil
}

// span reads a number of seconds.
func span(text string) (time.Duration, error) {
	n, err := count(text)
	if err != nil || n > maxSeconds {
		return 0, wrong("number of seconds", text)
	}
	return time.Duration(n) * time.Second, nil
}

// moment reads a time as it is written in a layout, exactly: the library is more
// generous, and a time that the clocks of a place left out becomes another.
func moment(layout, text string, place *time.Location) (time.Time, error) {
	t, err := time.ParseInLocation(layout, text, place)
	if err != nil || t.Format(layout) != text {
		return time.Time{}, wrong("time", text)
	}
	return t, nil
}

// none stands for what is not known.
const none = "-"

// appendWord adds a field that has no blanks.
func appendWord(line []byte, text string) []byte {
	if text == "" {
		return append(line, none...)
	}
	for i := range len(text) {
		line = append(line, plain(text[i], true))
	}
	return line
}

// appendText adds a field that may have blanks.
func appendText(line []byte, text string) []byte {
	if text == "" {
		return append(line, none...)
	}
	for i := range len(text) {
		line = append(line, plain(text[i], false))
	}
	return line
}

// plain is a byte as it may stand in a line.
func plain(c byte, word bool) byte {
	if c < ' ' || c == 0x7f || word && c == ' ' {
		return '_'
	}
	return c
}

// known is the reverse for what was read.
func known(text string) string {
	if text == none {
		return ""
	}
	return text
}

// controlled tells whether there is a control character in a line, which no
// format writes.
func controlled(line string) bool {
	return strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// appendEscaped adds a path as CLF and W3C have it: all but a few characters is %XX.
func appendEscaped(line []byte, path string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(path) {
		if c := path[i]; unescaped(c) {
			line = append(line, c)
		} else {
			line = append(line, '%', hex[c>>4], hex[c&15])
		}
	}
	return line
}

func unescaped(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("./_-", c) >= 0
}

// unescape reads what appendEscaped wrote.
func unescape(text string) (string, error) {
	path := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if unescaped(text[i]) {
			path = append(path, text[i])
			continue
		}
		if text[i] != '%' || i+2 >= len(text) {
			return "", wrong("path", text)
		}
		c, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil || unescaped(byte(c)) || strings.ToUpper(text[i+1:i+3]) != text[i+1:i+3] {
			return "", wrong("path", text)
		}
		path = append(path, byte(c))
		i += 2
	}
	if len(path) == 0 {
		return "", wrong("path", text)
	}
	return string(path), nil
}
