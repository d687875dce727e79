package server

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"strings"

	"portreeve/server/vfs"
)

// A marker is what part of a file the next transfer is of: from where on (REST,
// RFC 3659, section 5), and perhaps up to where (RANG, draft-bryan-ftp-range).
// The last of the two to be said holds, for one transfer.
type marker struct {
	first  int64
	last   int64 // the last byte, if ranged
	ranged bool
}

// of returns which part of size bytes is meant. What begins behind the end is an
// error of REST, and for RANG nothing.
func (m marker) of(size int64) (first, n int64, err error) {
	switch {
	case m.first > size && !m.ranged:
		return 0, 0, vfs.ErrOffset
	case m.first > size:
		return size, 0, nil
	}
	return m.first, min(m.room(), size-m.first), nil
}

// room is how many bytes there may be at most.
func (m marker) room() int64 {
	if !m.ranged || m.last-m.first == math.MaxInt64 {
		return math.MaxInt64
	}
	return m.last - m.first + 1
}

// cmdREST sets where the next transfer begins. What is wrong with the marker
// shows then (RFC 3659, section 5.3).
func (s *session) cmdREST(_ context.Context, arg string) (reply, error) {
	n, err := digits(arg)
	if err != nil {
		return say(501, "REST takes a number of bytes"), nil
	}
	if s.mark.first = n; n > 0 {
		s.log.Info("restarting", "at", n)
	}
	return sayf(350, "The next transfer begins at %d", n), nil
}

// cmdRANG sets the first and the last byte of the next transfer; 1 and 0, which
// can be no range, take that back.
func (s *session) cmdRANG(_ context.Context, arg string) (reply, error) {
	from, to, _ := strings.Cut(arg, " ")
	first, err := digits(from)
	last, lerr := digits(strings.TrimLeft(to, " "))
	switch {
	case err != nil || lerr != nil:
		return say(501, "RANG takes the first and the last byte"), nil
	case first == 1 && last == 0:
		return say(350, "The next transfer is of the whole file"), nil
	case s.zipped: // draft-bryan-ftp-range, section 4
		return say(501, "No ranges in MODE Z"), nil
	case first > last:
		return say(501, "A range ends behind its beginning"), nil
	}
	s.mark = marker{first: first, last: last, ranged: true}
	return sayf(350, "The next transfer is of the bytes from %d to %d", first, last), nil
}

// seekTo goes to a place that is not behind the end of file.
func seekTo(file *os.File, offset int64) error {
	if offset == 0 {
		return nil
	}
	_, err := file.Seek(offset, io.SeekStart)
	return err
}

// text returns the part of a text file of size bytes that a marker means, counted
// as TYPE A sends it. What goes before has to be read, so that is for small files
// only, and for no more of a file than it was when it was looked at.
func (m marker) text(file io.Reader, size int64) (io.Reader, error) {
	if m == (marker{}) {
		return newASCIIReader(file), nil
	}
	if size > maxASCIIScan {
		return nil, vfs.ErrOffset
	}
	src := newASCIIReader(io.LimitReader(file, size))
	_, err := io.CopyN(io.Discard, src, m.first)
	switch {
	case errors.Is(err, io.EOF) && !m.ranged:
		return nil, vfs.ErrOffset
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	}
	return io.LimitReader(src, m.room()), nil
}
