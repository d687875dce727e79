package logparse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unsafe"
)

const (
	// MaxLine is the longest line that is read, without its end. A path has at most
	// 4096 bytes on Linux, three times that when it is escaped.
	MaxLine = 64 << 10
	// block is how much is read at once. The texts of its entries are parts of one
	// string, so there is one allocation for some thousand lines.
	block = 4 * MaxLine
	// maxIdle is how often a source may give nothing and no reason.
	maxIdle = 100
)

// What can be wrong with a line beyond its format.
var (
	ErrTooLong = fmt.Errorf("longer than %d KiB", MaxLine>>10)
	// ErrUnknown is returned where the format is to be found out and cannot be.
	ErrUnknown = errors.New("in no format that is known")
)

// A LineError tells which line cannot be read, and why.
type LineError struct {
	Name string // of the file, if the reader knows
	Line int64
	Err  error
}

func (e *LineError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err)
}

// Unwrap returns why.
func (e *LineError) Unwrap() error { return e.Err }

// Counts are what a reader has met.
type Counts struct {
	Lines     int64 // that end, also those below; empty ones and those of headers
	Entries   int64
	Bad       int64 // that cannot be read
	TooLong   int64 // and those that were not tried
	Ambiguous int64 // that could be read otherwise
	Weekday   int64 // whose day of the week is not that of their date
	Foreign   int64 // in the system's log, by other programs
}

// A Reader reads a log of any size, in memory that depends on nothing but the
// longest line. The texts of an entry are parts of a block of about a quarter
// of a megabyte, which lives as long as one of them: who keeps some of many
// lines should keep [strings.Clone] of them.
type Reader struct {
	Parser        // who reads the same log on, in another file, hands its Parser over
	Name   string // of the file, for errors
	Format Format // if it has no name it is found out, from the first block
	// Lend tells that nothing of an entry is kept: its texts are there until the next
	// is read. That spares copying the log.
	Lend bool
	// Growing tells that the log is being written: a last line that has no end
	// yet is left for another reader, which begins at Offset.
	Growing bool

	from   io.Reader
	buf    []byte // what was read and is no whole line yet
	text   string // what is left of the block
	lent   int    // of buf is text, if it lends
	err    error  // why nothing more comes
	long   bool   // of the line that comes next the beginning was passed over,
	passed int64  // so many bytes
	counts Counts
	offset int64
}

// NewReader makes a reader. A format without a name stands for any.
func NewReader(r io.Reader, f Format) *Reader { return &Reader{from: r, Format: f} }

// Counts returns what was met so far.
func (r *Reader) Counts() Counts { return r.counts }

// Offset returns how many bytes the lines have that were read.
func (r *Reader) Offset() int64 { return r.offset }

// All returns all entries that are left. The entry is the same each time, and
// filled anew. A [LineError] is about one line; any other error is the last.
func (r *Reader) All() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		var e Entry
		for {
			err := r.Read(&e)
			if err == io.EOF {
				return
			}
			_, goesOn := errors.AsType[*LineError](err)
			if !yield(&e, err) || err != nil && !goesOn {
				return
			}
		}
	}
}

// Read reads the next entry. After a [LineError] it reads on behind that line; at
// the end it returns [io.EOF].
func (r *Reader) Read(e *Entry) error {
	for {
		line, err := r.line()
		if err == ErrTooLong {
			r.counts.TooLong++
			return r.wrong(err)
		}
		if err != nil {
			return err
		}
		if line == "" {
			continue
		}
		switch err = r.parse(&r.Format, line, e); {
		case err == nil:
			r.counts.Entries++
			if e.Style.Ambiguous {
				r.counts.Ambiguous++
			}
			if e.Style.Weekday != "" {
				r.counts.Weekday++
			}
			return nil
		case err == errForeign:
			r.counts.Foreign++
		case err != errHeader:
			r.counts.Bad++
			return r.wrong(err)
		}
	}
}

func (r *Reader) wrong(err error) error {
	if part, ok := errors.AsType[*partError](err); ok && r.Lend {
		err = wrong(part.part, strings.Clone(part.text)) // it is kept until it is told
	}
	return &LineError{r.Name, r.counts.Lines, err}
}

// line returns the next line without its end, or ErrTooLong for one.
func (r *Reader) line() (string, error) {
	for {
		end := strings.IndexByte(r.text, '\n')
		if end < 0 {
			if err := r.fill(); err != nil {
				return "", err
			}
			continue
		}
		line := r.text[:end]
		r.text = r.text[end+1:]
		r.offset += int64(end) + 1 + r.passed
		r.passed = 0
		r.counts.Lines++
		if r.long || len(line) > MaxLine+1 || len(line) == MaxLine+1 && line[MaxLine] != '\r' {
			r.long = false
			return "", ErrTooLong
		}
		return strings.TrimSuffix(line, "\r"), nil
	}
}

// fill reads the next lines. What is read behind the last of them stays for the
// next time; if it is too long for a line, only that it was there.
func (r *Reader) fill() error {
	if r.buf == nil {
		r.buf = make([]byte, 0, block)
	}
	r.drop(r.lent)
	r.lent = 0
	whole := 0 // what there is in whole lines
	for idle := 0; r.err == nil; {
		seen := len(r.buf)
		var n int
		n, r.err = r.from.Read(r.buf[seen:cap(r.buf)])
		r.buf = r.buf[:seen+n]
		if idle++; n > 0 {
			idle = 0
		} else if idle == maxIdle && r.err == nil {
			r.err = io.ErrNoProgress
		}
		if seen == 0 && !r.long {
			r.trim()
		}
		if end := bytes.LastIndexByte(r.buf[min(seen, len(r.buf)):], '\n') + 1; end > 0 {
			whole = seen + end
		}
		switch {
		case whole > 0 && !r.undecided(r.buf[:whole]):
			return r.give(whole)
		case whole == 0 && len(r.buf) > MaxLine+1:
			r.long = true
			r.passed += int64(len(r.buf))
			r.buf = r.buf[:0]
		}
	}
	if whole > 0 {
		return r.give(whole)
	}
	return r.rest()
}

// trim passes over what stands before the first character of a log and is no part
// of a line: a hole, which who writes without O_APPEND into a file that was
// truncated leaves there, and the mark by which some editors know UTF-8.
func (r *Reader) trim() {
	start := 0
	for start < len(r.buf) && r.buf[start] == 0 {
		start++
	}
	if r.offset == 0 && bytes.HasPrefix(r.buf[start:], []byte("\uFEFF")) {
		start += len("\uFEFF")
	}
	if start > 0 {
		r.passed += int64(start)
		r.buf = r.buf[:copy(r.buf, r.buf[start:])]
	}
}

// undecided tells whether these lines do not tell the format, and more may that are
// still to come, as they do from a pipe.
func (r *Reader) undecided(text []byte) bool {
	if r.Format.Name != "" || r.err != nil || len(r.buf) > MaxLine || bytes.Count(text, []byte("\n")) >= sample {
		return false
	}
	_, ok := Detect(string(text))
	return !ok
}

// give hands out what is before end.
func (r *Reader) give(end int) error {
	if r.Lend {
		r.text, r.lent = unsafe.String(&r.buf[0], end), end // nothing is read into it while there is some text left
	} else {
		r.text = string(r.buf[:end])
	}
	known := r.text
	if r.err == io.EOF && !r.Growing { // the last line may have no end
		known = string(r.buf)
	}
	if !r.Lend {
		r.drop(end)
	}
	return r.find(known)
}

// drop leaves what comes behind so many bytes.
func (r *Reader) drop(n int) { r.buf = r.buf[:copy(r.buf, r.buf[n:])] }

// find finds out the format, once, by some lines.
func (r *Reader) find(text string) error {
	if r.Format.Name != "" {
		return nil
	}
	f, ok := Detect(text)
	if !ok {
		r.err = ErrUnknown
		if r.Name != "" {
			r.err = fmt.Errorf("%s is %w", r.Name, ErrUnknown)
		}
		return r.err
	}
	r.Format = f
	return nil
}

// rest gives the last line, if it has no end.
func (r *Reader) rest() error {
	if r.err != io.EOF || r.Growing || len(r.buf) == 0 && !r.long {
		return r.err
	}
	r.text = string(r.buf) + "\n"
	r.offset-- // that is not there
	r.buf = r.buf[:0]
	return r.find(r.text)
}
