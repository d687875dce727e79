package logfile

import (
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"portreeve/logparse"
)

// A Scanner reads the entries of many files, one after the other. Its methods but
// All may be called while that runs.
type Scanner struct {
	Files  []*File
	Window Window
	// Step is called after every so many lines; All ends where it returns false.
	// Nil is never called.
	Step func() bool

	done   atomic.Int64
	now    atomic.Pointer[Input]
	counts logparse.Counts
}

// Often is the number of lines after which something else can be looked at.
const Often = 4096

// Scan returns the entries of files that are in a window of time. The entry is the
// same each time, and filled anew. No error is the last: a [logparse.LineError] is
// about one line, any other about the rest of one file.
func Scan(files []*File, w Window) iter.Seq2[*logparse.Entry, error] {
	s := Scanner{Files: files, Window: w}
	return s.All()
}

// All returns what [Scan] does.
func (s *Scanner) All() iter.Seq2[*logparse.Entry, error] {
	return func(yield func(*logparse.Entry, error) bool) {
		last := make(map[string]time.Time) // of each log
		for _, f := range s.Files {
			if !s.file(f, last, yield) {
				return
			}
		}
	}
}

// file reads one, and tells whether to go on.
func (s *Scanner) file(f *File, last map[string]time.Time, yield func(*logparse.Entry, error) bool) bool {
	in, err := f.OpenWithin(s.Window, last[f.Log])
	if err != nil {
		return yield(nil, err)
	}
	defer in.Close()
	s.now.Store(in)
	defer func() {
		s.now.Store(nil)
		s.done.Add(f.Size)
		s.counts = sum(s.counts, in.Counts())
		last[f.Log] = in.Before()
	}()
	n := 0
	for e, err := range in.All() {
		if n++; n%Often == 0 && s.Step != nil && !s.Step() {
			return false
		}
		if _, line := errors.AsType[*logparse.LineError](err); err == nil && !s.Window.Has(e.Time) {
			continue
		} else if err != nil && !line {
			return yield(nil, err)
		}
		if !yield(e, err) {
			return false
		}
	}
	return true
}

// OpenWithin opens the part of a file that has all entries of a window, and few
// others. After is the time of the last entry of the same log in the files before
// this one, or zero.
func (f *File) OpenWithin(w Window, after time.Time) (*Input, error) {
	p, err := f.Within(w)
	if err != nil {
		return nil, err
	}
	in, err := f.OpenPart(p)
	if err == nil && p.Offset == 0 && !after.IsZero() {
		in.After(after)
	}
	return in, err
}

// Done returns how many bytes of Total are done with.
func (s *Scanner) Done() int64 {
	done := s.done.Load()
	if in := s.now.Load(); in != nil {
		done += in.part.Offset + in.Done()
	}
	return done
}

// Total returns how many bytes the files have.
func (s *Scanner) Total() (n int64) {
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Counts returns what was met in the files that are done with.
func (s *Scanner) Counts() logparse.Counts { return s.counts }

func sum(a, b logparse.Counts) logparse.Counts {
	return logparse.Counts{Lines: a.Lines + b.Lines, Entries: a.Entries + b.Entries, Bad: a.Bad + b.Bad,
		TooLong: a.TooLong + b.TooLong, Ambiguous: a.Ambiguous + b.Ambiguous, Weekday: a.Weekday + b.Weekday,
		Foreign: a.Foreign + b.Foreign}
}
