package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// look is how often a reader looks for what is new.
const look = 100 * time.Millisecond

// A Reader is the other end of a spool. One goroutine calls Next; Done may be
// called from any.
type Reader struct {
	dir  string
	log  *slog.Logger
	lock *os.File

	// Of Next
	at    position
	file  *os.File // nil: the segment is not there yet
	in    *bufio.Reader
	part  []byte // of a line whose end is not there yet
	final bool   // the segment grows no more

	// mu guards the fields that follow.
	mu    sync.Mutex
	open  []*Record // given out, and not all before them done
	done  *os.File
	swept uint64 // segments before it are removed
}

// A Record is an upload that a Reader has given out.
type Record struct {
	Upload
	end  position
	done bool
}

// Read begins to read the spool in a folder, where Done got to.
func Read(dir string, log *slog.Logger) (*Reader, error) {
	lock, err := claim(dir, readerName)
	if err != nil {
		return nil, err
	}
	r := &Reader{dir: dir, log: log, lock: lock, at: readDone(dir)}
	r.done, err = os.OpenFile(filepath.Join(dir, doneName), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("the spool of uploads: %w", err)
	}
	return r, nil
}

// Next returns the next record, and waits for one until ctx ends. Lines that
// are not whole are passed over.
func (r *Reader) Next(ctx context.Context) (*Record, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		u, found, err := r.line()
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading the spool of uploads: %w", err)
		case found:
			rec := &Record{Upload: u, end: r.at}
			r.mu.Lock()
			r.open = append(r.open, rec)
			r.mu.Unlock()
			return rec, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// line returns the next record if there is one.
func (r *Reader) line() (u Upload, found bool, err error) {
	for {
		if r.file == nil {
			if ok, err := r.enter(); err != nil || !ok {
				return u, false, err
			}
		}
		more, err := r.in.ReadBytes('\n')
		r.part = append(r.part, more...)
		if err == nil {
			line := r.part
			r.at.offset += int64(len(line))
			r.part = r.part[:0]
			if u, ok := parseRecord(string(line[:len(line)-1])); ok {
				return u, true, nil
			}
			if len(line) > 1 { // what a full disk cut off is ended by an empty line
				r.log.Error("what was written about an upload is damaged, and is passed over", "segment", r.at.segment, "offset", r.at.offset)
			}
			continue
		}
		if !errors.Is(err, io.EOF) {
			return u, false, err
		}
		if ok, err := r.over(); err != nil || !ok {
			return u, false, err
		}
	}
}

// over is asked at the end of a segment, and tells whether to read on: there is
// another. What was written before that began must be read first.
func (r *Reader) over() (bool, error) {
	numbers, _, err := segments(r.dir)
	if err != nil || len(numbers) == 0 || numbers[len(numbers)-1] <= r.at.segment {
		return false, err
	}
	if !r.final {
		r.final = true
		return true, nil
	}
	r.file.Close()
	r.file, r.final, r.part = nil, false, r.part[:0]
	r.at = position{segment: r.at.segment + 1}
	return true, nil
}

// enter opens the segment that is next.
func (r *Reader) enter() (bool, error) {
	numbers, _, err := segments(r.dir)
	if err != nil {
		return false, err
	}
	for _, n := range numbers {
		if n < r.at.segment {
			continue
		}
		if n > r.at.segment {
			r.at = position{segment: n}
		}
		f, err := os.Open(segmentPath(r.dir, n))
		if err != nil {
			return false, err
		}
		if _, err := f.Seek(r.at.offset, io.SeekStart); err != nil {
			f.Close()
			return false, err
		}
		r.file, r.in = f, bufio.NewReader(f)
		return true, nil
	}
	return false, nil
}

// Done forgets a record, as soon as all before it are done.
func (r *Reader) Done(rec *Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec.done = true
	n := 0
	for n < len(r.open) && r.open[n].done {
		n++
	}
	if n == 0 {
		return nil
	}
	end := r.open[n-1].end
	r.open = append(r.open[:0], r.open[n:]...)
	if _, err := r.done.WriteAt(end.note(), 0); err != nil {
		return fmt.Errorf("noting what is done: %w", err)
	}
	return r.sweep(end.segment)
}

// sweep removes segments of which all is done.
func (r *Reader) sweep(before uint64) error {
	if before == r.swept {
		return nil
	}
	numbers, _, err := segments(r.dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n >= before {
			break
		}
		if err := os.Remove(segmentPath(r.dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what is done: %w", err)
		}
	}
	r.swept = before
	return nil
}

// Close ends reading. What is not done will be read again.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done.Close()
	r.lock.Close()
}
