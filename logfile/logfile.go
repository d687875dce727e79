// Package logfile opens logs as files: rotated, compressed, growing ones, in the
// order of time.
//
// [Find] makes files of paths and patterns, and [Scan] reads their entries, one
// file after the other, within a window of time:
//
//	files, err := logfile.Find([]string{"/var/log/xferlog"}, logfile.Options{Rotated: true})
//	for e, err := range logfile.Scan(files, logfile.Window{Since: yesterday}) {
//		...
//	}
//
// Who divides the work opens parts of a file ([File.Within], [File.Segments],
// [File.OpenPart]); who waits for what comes opens it with [Follow].
//
// What is read takes the same memory whatever the size of a log, and a file that
// is broken does not keep the others from being read.
package logfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portreeve/logparse"
)

// Stdin is the name of standard input.
const Stdin = "-"

// Options say how logs are found and read.
type Options struct {
	Format   logparse.Format // of all files; without a name it is found out for each
	Zone     *time.Location  // of times that come without one; nil is time.Local
	RawNames bool            // as in logparse.Parser
	Rotated  bool            // a log is read with what it was called before it was rotated away
	Stdin    io.Reader       // what is read for Stdin; nil: nothing is
}

// A File is a log, or one of the files that make one.
type File struct {
	Path   string
	Size   int64           // as it is on disk; 0 for what is no regular file
	Plain  bool            // it can be read from any place on
	Format logparse.Format // without a name if it could not be found out
	First  time.Time       // of the first entry; zero if there is none
	Log    string          // what the file was called while it was written, which is the same for all of one log

	compression compression
	stream      bool // it can be read once, and from the beginning
	info        fs.FileInfo
	options     Options
}

// Find returns the files that paths and patterns name, oldest first: in the order
// of their first entries, and then those that have none, or cannot be read twice,
// such as standard input. A file that is named twice, by whatever name, is there
// once. The error joins what is wrong with some; the others are returned.
func Find(patterns []string, o Options) ([]*File, error) {
	f := finder{options: o}
	for _, pattern := range patterns {
		f.pattern(pattern)
	}
	slices.SortStableFunc(f.files, byTime)
	return f.files, errors.Join(f.errs...)
}

// byTime is the order in which files are read.
func byTime(a, b *File) int {
	rank := func(f *File) int {
		switch {
		case f.stream:
			return 2
		case f.First.IsZero():
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.First.Compare(b.First))
}

type finder struct {
	options Options
	files   []*File
	errs    []error
}

// IsPattern tells whether an argument is one. What is there by the very name is not.
func IsPattern(path string) bool {
	_, err := os.Lstat(path)
	return err != nil && strings.ContainsAny(path, `*?[`)
}

// pattern adds the files of one, or that of a path.
func (f *finder) pattern(pattern string) {
	if pattern == Stdin {
		f.add(pattern, true)
		return
	}
	paths := []string{pattern}
	if IsPattern(pattern) {
		found, err := filepath.Glob(pattern)
		switch {
		case err != nil:
			f.errs = append(f.errs, fmt.Errorf("pattern %q: %w", pattern, err))
		case len(found) == 0:
			f.errs = append(f.errs, fmt.Errorf("no file is called like %q: %w", pattern, fs.ErrNotExist))
		}
		paths = found
	}
	for _, path := range paths {
		var before []string
		if f.options.Rotated {
			before = Rotated(path)
		}
		// Who asks for a log with its rotated files may do so just when it was rotated away.
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || len(before) == 0 {
			f.add(path, true)
		}
		for _, old := range before {
			f.add(old, false)
		}
	}
}

// add adds a file, unless it is there. One that nobody named may be gone by now.
func (f *finder) add(path string, named bool) {
	file := &File{Path: path, options: f.options, Format: f.options.Format}
	file.Log, _ = Live(path)
	if err := file.look(); err != nil {
		if named || !errors.Is(err, fs.ErrNotExist) {
			f.errs = append(f.errs, err)
		}
		return
	}
	if !slices.ContainsFunc(f.files, file.same) {
		f.files = append(f.files, file)
	}
}

func (f *File) same(other *File) bool {
	if f.Path == Stdin || other.Path == Stdin {
		return f.Path == other.Path
	}
	return os.SameFile(f.info, other.info)
}

// Is tells whether a file is this one, by whatever name.
func (f *File) Is(info fs.FileInfo) bool { return f.info != nil && os.SameFile(f.info, info) }

// look finds out what a file is.
func (f *File) look() (err error) {
	if f.stream = f.Path == Stdin; f.stream {
		return nil
	}
	if f.info, err = os.Stat(f.Path); err != nil {
		return err
	}
	switch mode := f.info.Mode(); {
	case mode.IsDir():
		return fmt.Errorf("%s is a folder; its logs are %s", f.Path, filepath.Join(f.Path, "*"))
	case !mode.IsRegular(): // to open a pipe may take until somebody writes
		f.stream = true
		return nil
	}
	f.Size = f.info.Size()
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	var start [magicLength]byte
	n, err := io.ReadFull(file, start[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("reading %w", err)
	}
	f.compression = compressionOf(start[:n])
	f.Plain = f.compression == none
	return f.begin()
}

// glimpses are how much of a file is read for the first entry: the second where the
// first does not tell.
var glimpses = [...]int{64 << 10, 1 << 20}

// begin finds out the format and the time of the first entry. A file that cannot
// be read is told of when somebody reads it.
func (f *File) begin() error {
	in, err := f.Open()
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer in.Close()
	var text []byte
	for _, size := range glimpses {
		had := len(text)
		text = slices.Grow(text, size-had)[:size]
		n, err := io.ReadFull(in.data, text[had:])
		text = text[:had+n]
		if f.glimpse(text) || err != nil {
			break
		}
	}
	return nil
}

// glimpse looks at the beginning of a file, and tells whether that is enough.
func (f *File) glimpse(text []byte) bool {
	known := f.Format
	if known.Name == "" {
		known, _ = logparse.Detect(string(text))
	}
	r := logparse.NewReader(bytes.NewReader(text), known)
	r.Parser = f.parser()
	r.Growing = true
	for e, err := range r.All() {
		if err == nil && !e.Time.IsZero() {
			f.First = e.Time
			break
		}
	}
	f.Format = known
	return known.Name != "" && !f.First.IsZero()
}

// parser makes one for lines of the file. A time without a year is not after the
// last line was written, which matters in files that were rotated away a year ago.
func (f *File) parser() logparse.Parser {
	p := logparse.Parser{Zone: f.options.Zone, RawNames: f.options.RawNames}
	if f.info != nil && !f.stream && f.info.ModTime().Year() >= epoch {
		p.Latest = f.info.ModTime()
	}
	return p
}

// epoch is the year from which on a file's time is believed: archives that are to
// be the same each time they are made have their files of 1970 or 1980.
const epoch = 1990

// zone is where times are that do not say where.
func (f *File) zone() *time.Location {
	if f.options.Zone == nil {
		return time.Local
	}
	return f.options.Zone
}

// Head returns how a file's text begins, so many bytes of it if there are. It is
// by that that a log is known again, whatever it is called since.
func (f *File) Head(n int) ([]byte, error) {
	if f.stream {
		return nil, nil
	}
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	head := make([]byte, n)
	n, err = io.ReadFull(in.data, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return head[:n], err
}
