package spool

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	segmentBytes = 1 << 20
	// spoolBytes is the most that waits: some hundred thousand uploads.
	spoolBytes = 64 << 20

	lookAgain = time.Second // whether there is room again
	mute      = time.Minute // between two complaints
)

var errFull = errors.New("too many wait: is portreeve uploadscript running, and does its program end?")

// A Journal is the writer's end of a spool. Its methods may be called from
// several goroutines at once.
type Journal struct {
	dir  string
	log  *slog.Logger
	lock *os.File
	most int64

	// mu guards the fields that follow.
	mu         sync.Mutex
	file       *os.File  // nil: the next record begins a segment
	number     uint64    // of the last segment
	size       int64     // of file
	others     int64     // bytes of the other segments, when it was last looked
	looked     time.Time // at others, or whether file is still there
	torn       bool      // the last record is not whole
	noted      int64
	lost       int64
	complained time.Time
	line       []byte
}

// Open begins to write to the spool in a folder, which is made if need be.
func Open(dir string, log *slog.Logger) (*Journal, error) {
	lock, err := claim(dir, writerName)
	if err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, log: log, lock: lock, most: spoolBytes}
	numbers, size, err := segments(dir)
	if err != nil {
		lock.Close()
		return nil, err
	}
	j.number = readDone(dir).segment // what is before it would not be read
	if len(numbers) > 0 {
		j.number = max(j.number, numbers[len(numbers)-1])
	}
	j.others, j.looked = size, time.Now()
	return j, nil
}

// Add writes an upload down. It waits for nothing but one write, into memory of
// the system. What cannot be written is counted: the upload itself is done.
func (j *Journal) Add(u Upload) {
	if lost, complain, err := j.add(u); complain {
		j.log.Error("an upload will not be told to the program", "path", u.Path, "err", err, "lost", lost)
	}
}

// add writes an upload down, and tells whether to complain, now and then, of one
// that it cannot.
func (j *Journal) add(u Upload) (lost int64, complain bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err = j.makeRoom(); err == nil {
		err = j.write(u)
	}
	if err == nil {
		j.noted++
		return 0, false, nil
	}
	j.lost++
	if now := time.Now(); now.Sub(j.complained) >= mute {
		j.complained, complain = now, true
	}
	return j.lost, complain, err
}

// makeRoom begins another segment when it is time to, if not too much waits.
func (j *Journal) makeRoom() error {
	if j.file != nil && (j.size >= segmentBytes || j.removed()) {
		j.file.Close()
		j.file = nil
	}
	if j.file != nil {
		return nil
	}
	if time.Since(j.looked) >= lookAgain || j.others < j.most {
		_, size, err := segments(j.dir)
		if err != nil {
			return err
		}
		j.others, j.looked = size, time.Now()
	}
	if j.others >= j.most {
		return errFull
	}
	for {
		j.number++
		f, err := os.OpenFile(segmentPath(j.dir, j.number), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			j.file, j.size, j.torn = f, 0, false
			return nil
		case !errors.Is(err, fs.ErrExist): // an upload of a server that is ending may have taken the number
			return err
		}
	}
}

// removed tells, now and then, whether somebody has removed the segment: a reader
// never does as long as it is the last.
func (j *Journal) removed() bool {
	if time.Since(j.looked) < lookAgain {
		return false
	}
	j.looked = time.Now()
	_, err := os.Lstat(segmentPath(j.dir, j.number))
	return errors.Is(err, fs.ErrNotExist)
}

func (j *Journal) write(u Upload) error {
	j.line = j.line[:0]
	if j.torn {
		j.line = append(j.line, '\n')
	}
	j.line = appendRecord(j.line, u)
	n, err := j.file.Write(j.line)
	j.size += int64(n)
	j.torn = err != nil && (n > 0 || j.torn)
	return err
}

// State is how a spool fares.
type State struct {
	Waiting int64 // uploads that are not done
	Noted   int64 // uploads that were written down since the start
	Lost    int64 // uploads that could not be written down
	Read    bool  // somebody reads it
}

// State tells how much waits, who reads, and what was lost since the start.
func (j *Journal) State() State {
	j.mu.Lock()
	st := State{Noted: j.noted, Lost: j.lost}
	j.mu.Unlock()
	st.Waiting, st.Read = waiting(j.dir), locked(j.dir, readerName)
	return st
}

// waiting counts the records that are not done. There are never more than
// spoolBytes of them.
func waiting(dir string) (count int64) {
	done := readDone(dir)
	numbers, _, _ := segments(dir)
	for _, n := range numbers {
		text, err := os.ReadFile(segmentPath(dir, n))
		if n < done.segment || err != nil { // it has just been removed
			continue
		}
		if n == done.segment {
			text = text[min(done.offset, int64(len(text))):]
		}
		count += int64(bytes.Count(text, []byte("\n")))
	}
	return count
}

// Close ends writing.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
	j.lock.Close()
}
