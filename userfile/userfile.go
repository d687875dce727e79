// Package userfile reads and writes virtual users as other programs keep them, and
// as tables and JSON.
//
// Reading fails closed. A line that is not understood to its last field is an
// entry with an error, and no user with the rest of its attributes: what was not
// understood may have been a limit.
package userfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"portreeve/userdb"
)

// A Format is a way to write users down.
type Format string

// The formats.
const (
	PureText Format = "pureftpd.passwd" // what pure-pw edits
	PureDB   Format = "puredb"          // what pure-pw makes of it for the daemon
	ProFTPD  Format = "proftpd"         // AuthUserFile: the fields of passwd(5) with the hash among them
	Passwd   Format = "passwd"          // passwd(5), with hashes in shadow(5)
	VSFTPD   Format = "vsftpd"          // a line with the name, a line with the password in clear
	CSV      Format = "csv"             // a header of names of userdb.Fields, and values as they are shown
	JSON     Format = "json"            // objects one after another, or an array of them
)

// Formats returns those that can be read, and Writable those that can be written.
func Formats() []Format { return []Format{PureText, PureDB, ProFTPD, Passwd, VSFTPD, CSV, JSON} }

// Writable returns the formats that can be written.
func Writable() []Format { return []Format{PureText, PureDB, CSV, JSON} }

// An Entry is what a file says of one user.
type Entry struct {
	Line int // in a file that has lines, else which record it is
	Name string
	// Set gives a user, new or there already, the attributes that the file has.
	// What the format cannot hold stays as it is.
	Set      func(*userdb.User) error
	Password string // in clear, if the file has it so; Set does not know it
	Notes    []string
	LeftOut  string // why the user is none to be taken over, as an account of the system
	Err      error  // why the entry is refused; then there is no Set
}

// Options are what a file does not say of itself.
type Options struct {
	// Shadow holds hashes for Passwd; without it nobody has any.
	Shadow io.Reader
	// Shells are those with which somebody counts as a person, and HasHome tells
	// whether a folder is there: other accounts of Passwd are left out.
	Shells  map[string]bool
	HasHome func(string) bool
}

// A Source is a file to be read: a stream for all formats but PureDB, which needs
// any place of it.
type Source interface {
	io.Reader
	io.ReaderAt
}

// ErrFormat means that it cannot be told what a file is.
var ErrFormat = errors.New("no known file of users")

// sniffed is how much of a file is looked at: it must have its first line with a user.
const sniffed = 64 << 10

// Detect tells the format by what a file begins with. Head is all of a short file.
// VSFTPD is never found: nothing tells a name from a password in clear.
func Detect(head []byte) (Format, error) {
	head = head[:min(len(head), sniffed)]
	if bytes.HasPrefix(head, []byte("PDB2")) {
		return PureDB, nil
	}
	for line := range strings.Lines(string(bytes.TrimPrefix(head, []byte("\ufeff")))) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '{' || line[0] == '[' {
			return JSON, nil
		}
		return detectLine(line)
	}
	return "", fmt.Errorf("%w: it is empty", ErrFormat)
}

func detectLine(line string) (Format, error) {
	parts := strings.Split(line, ":")
	switch n := len(parts); {
	case isHeader(line):
		return CSV, nil
	case n == 7 && isShell(parts[6]):
		if strings.ContainsRune(parts[1], '$') {
			return ProFTPD, nil
		}
		return Passwd, nil
	case n >= 6 && strings.HasPrefix(parts[5], "/"):
		return PureText, nil
	case n == 1 && userdb.ValidName(line) == nil && !strings.ContainsAny(line, ",;\t"):
		// It might be a list of names alone, such as vsftpd's user_list or ftpusers,
		// each second of which would become the password of the one before.
		return "", fmt.Errorf("%w: if each second line of it is a password, it is one of %s", ErrFormat, VSFTPD)
	}
	return "", fmt.Errorf("%w: its first line is of no known kind", ErrFormat)
}

// isShell tells a shell from the rate that pure-pw has in its place.
func isShell(text string) bool { return text == "" || strings.Trim(text, "0123456789") != "" }

// Read yields what a file says of each user. An error ends it: what follows cannot
// be read.
func Read(from Source, size int64, format Format, o Options) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		emit := func(e Entry) bool { return yield(e, nil) }
		var err error
		switch format {
		case PureText:
			err = eachLine(from, func(n int, line string) bool { return emit(pureEntry(n, line)) })
		case PureDB:
			err = readPureDB(from, size, emit)
		case ProFTPD:
			err = eachLine(from, func(n int, line string) bool { return emit(proftpdEntry(n, line)) })
		case Passwd:
			err = readPasswd(from, o, emit)
		case VSFTPD:
			err = readVSFTPD(from, emit)
		case CSV:
			err = readCSV(from, emit)
		case JSON:
			err = readJSON(from, emit)
		default:
			err = fmt.Errorf("%w: %q", ErrFormat, format)
		}
		if err != nil {
			yield(Entry{}, err)
		}
	}
}

// maxLine is longer than any line of a user.
const maxLine = 64 << 10

// eachLine calls do with the lines that are neither empty nor comments, until it
// returns false.
func eachLine(from io.Reader, do func(n int, line string) bool) error {
	return everyLine(from, func(n int, line string) bool {
		return line == "" || line[0] == '#' || do(n, line)
	})
}

func everyLine(from io.Reader, do func(n int, line string) bool) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSuffix(lines.Text(), "\r")
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if !do(n, line) {
			return nil
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("it has more than %d bytes, which no user's has", maxLine)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

// refuse returns an entry that is none.
func refuse(n int, name string, err error) Entry { return Entry{Line: n, Name: name, Err: err} }

// stored returns a hash as we keep it. In password files a mark before a hash locks
// the account, and a mark alone stands for no password; "!*" is a locked account
// that has none.
func stored(hash string) (password string, locked bool) {
	bare := strings.TrimLeft(hash, "!*")
	switch {
	case hash == "!*":
		return "", true
	case bare == "" || bare == "x" || bare == "LK*" || bare == "NP*":
		return "", false
	case bare != hash && bare[0] == '$':
		return bare, true
	}
	return hash, false
}

// noteOf says what an administrator has to know of a password that cannot be
// checked here.
func noteOf(hash string) []string {
	switch _, err := userdb.Memory(hash); {
	case hash == "":
		return []string{"has no password, so that it cannot log in"}
	case err != nil:
		return []string{"has a password that cannot be checked, so that it cannot log in: " + err.Error()}
	}
	return nil
}
