// Package purepw edits the text in which pure-pw of Pure-FTPd keeps its users.
//
// A line is a user, of 18 fields with colons between them; a line that begins with
// "#" is a comment. What is no user's line stays where it is, as does every field
// that nobody changes.
//
// A change is written beside the file and then renamed over it, so that whoever
// reads it sees the old or the new; a lock on the file keeps two changes apart.
// The program of Pure-FTPd itself takes no lock.
package purepw

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// What is returned besides the errors of the system.
var (
	// ErrNoUser means that no line that can be read is that user's.
	ErrNoUser = errors.New("no such user")
	// ErrTooLong means that a line would be longer than Pure-FTPd reads.
	ErrTooLong = errors.New("the line would be too long")
)

// maxLine is the longest line that Pure-FTPd reads whole on Linux; those that are
// read here may be longer.
const (
	maxLine = 2047
	maxRead = 1 << 20
)

// An Entry is a user as its line has it. An empty field is no limit.
type Entry struct {
	Login, Password, UID, GID, Gecos, Home string
	UploadRate, DownloadRate               string // bytes a second
	UploadRatio, DownloadRatio, Sessions   string
	Files, Bytes                           string
	AllowLocal, DenyLocal                  string
	AllowClient, DenyClient                string
	Hours                                  string // and whatever follows
	fields                                 int
}

// parts are the fields in their order in the line.
func (e *Entry) parts() []*string {
	return []*string{
		&e.Login, &e.Password, &e.UID, &e.GID, &e.Gecos, &e.Home,
		&e.UploadRate, &e.DownloadRate, &e.UploadRatio, &e.DownloadRatio, &e.Sessions, &e.Files, &e.Bytes,
		&e.AllowLocal, &e.DenyLocal, &e.AllowClient, &e.DenyClient, &e.Hours,
	}
}

// HasLists tells whether the line goes on to the lists of addresses.
func (e *Entry) HasLists() bool { return e.fields >= 17 }

// Line returns the line, without its end.
func (e *Entry) Line() string {
	var b strings.Builder
	for i, part := range e.parts() {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(*part)
	}
	return b.String()
}

// Parse reads a line. It returns false for one that pure-pw takes for no user's.
func Parse(line string) (Entry, bool) {
	var e Entry
	parts := e.parts()
	texts := strings.SplitN(line, ":", len(parts))
	e.fields = len(texts)
	for i, text := range texts {
		*parts[i] = text
	}
	return e, e.Login != "" && e.Password != "" && isID(e.UID) && isID(e.GID) && strings.HasPrefix(e.Home, "/")
}

func isID(text string) bool {
	n, err := strconv.ParseUint(text, 10, 32)
	return err == nil && n > 0
}

// New returns the entry of a user that is to be added.
func New(login string) Entry { return Entry{Login: login, fields: 18} }

// A File is a text of users by its name.
type File struct{ path string }

// At returns the file of that name, which need not be there yet.
func At(path string) File { return File{path} }

// Path returns the name of the file.
func (f File) Path() string { return f.path }

// Lines yields the lines that are neither empty nor a comment.
func (f File) Lines() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		in, err := os.Open(f.path)
		if err != nil {
			yield("", err)
			return
		}
		defer in.Close()
		lines := scan(in)
		for lines.Scan() {
			if line := lines.Text(); line != "" && line[0] != '#' && !yield(line, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield("", fmt.Errorf("reading %s: %w", f.path, err))
		}
	}
}

func scan(in io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRead)
	return lines
}

// Find returns the first entry of a login. invalid, which may be nil, is told of
// each line before it that is no user's.
func (f File) Find(login string, invalid func(line string)) (Entry, error) {
	for line, err := range f.Lines() {
		if err != nil {
			return Entry{}, err
		}
		e, ok := Parse(line)
		switch {
		case !ok && invalid != nil:
			invalid(line)
		case ok && e.Login == login:
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("%w: %s", ErrNoUser, login)
}

// Edit changes a user: what change returns takes the place of all lines of that
// login, at the end of the file. change gets whether there are such lines, and the
// first of them that can be read, or nil. If it returns nil they are removed.
//
// Add makes the file if there is none.
func (f File) Edit(login string, add bool, change func(there bool, was *Entry) (*Entry, error)) error {
	path, err := filepath.EvalSymlinks(f.path)
	if errors.Is(err, fs.ErrNotExist) && add {
		path, err = f.path, nil
	}
	if err != nil {
		return err
	}
	in, made, err := lock(path, add)
	if err != nil {
		return err
	}
	defer in.Close()
	err = replace(in, path, login, change)
	if err != nil && made {
		os.Remove(path)
	}
	return err
}

// lock opens the file and locks it. Whoever waited for the lock may find that the
// name is another file's by then.
func lock(path string, make bool) (_ *os.File, made bool, err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) && make {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			made = err == nil
			if errors.Is(err, fs.ErrExist) {
				continue
			}
		}
		if err != nil {
			return nil, false, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, false, fmt.Errorf("locking %s: %w", path, err)
		}
		mine, err1 := f.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, named) {
			return f, made, nil
		}
		f.Close()
		if err := cmp.Or(err1, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
	}
}

func replace(in *os.File, path, login string, change func(bool, *Entry) (*Entry, error)) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer temp.Close()
	defer os.Remove(temp.Name())
	out := bufio.NewWriterSize(temp, 64<<10)
	there, was, err := others(in, out, login)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	now, err := change(there, was)
	if err != nil {
		return err
	}
	if now != nil {
		line := now.Line()
		if len(line) > maxLine {
			return fmt.Errorf("%w: %d bytes", ErrTooLong, len(line))
		}
		out.WriteString(line + "\n")
	}
	if err = cmp.Or(out.Flush(), keepOwner(temp, in), temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path) // never of one that is not whole
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// others copies all lines but those of a login.
func others(in io.Reader, out *bufio.Writer, login string) (there bool, was *Entry, err error) {
	lines := scan(in)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' || !strings.HasPrefix(line, login+":") {
			out.WriteString(line + "\n")
			continue
		}
		there = true
		if e, ok := Parse(line); ok && was == nil {
			was = &e
		}
	}
	return there, was, lines.Err()
}

// keepOwner gives the new file the owner of the old one.
func keepOwner(to, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return to.Chown(int(st.Uid), int(st.Gid))
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
