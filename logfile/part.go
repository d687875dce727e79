package logfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"portreeve/logparse"
)

// A Window is a stretch of time; a bound that is zero is none.
type Window struct {
	Since time.Time
	Until time.Time // not in it
}

// Has tells whether a time is in the window.
func (w Window) Has(t time.Time) bool {
	return !t.Before(w.Since) && (w.Until.IsZero() || t.Before(w.Until))
}

// Bounded tells whether there is a time that is not in it.
func (w Window) Bounded() bool { return !w.Since.IsZero() || !w.Until.IsZero() }

const (
	// disorder is how far lines may run backwards: each is of the end of a
	// transfer, and sessions may write late.
	disorder = 10 * time.Minute
	// around is how far from a change of clocks nobody minds it.
	around = 26 * time.Hour
	// grain is what is read rather than searched.
	grain = 4 << 10
	// glance is how much is read for one line at most.
	glance = 4 * logparse.MaxLine
	// checks are looks taken at the whole file to see that it is in order.
	checks = 16
)

// Within returns the part of a plain file that has all entries of a window, and
// few others; who reads it asks [Window.Has] of each. Of a file that is compressed,
// that is not in order, or whose times have no year, it is the whole.
func (f *File) Within(w Window) (Part, error) {
	if !f.Plain || !w.Bounded() || f.Format.Name == "" || f.First.IsZero() {
		return Part{}, nil
	}
	s, err := f.search()
	if err != nil {
		return Part{}, err
	}
	defer s.file.Close()
	from, to := int64(0), s.size
	if !w.Since.IsZero() {
		from = s.before(w.Since.Add(-f.slack(w.Since)))
	}
	if !w.Until.IsZero() {
		to = s.behind(w.Until.Add(f.slack(w.Until)))
	}
	if from >= to || !s.inOrder() || s.err != nil {
		return Part{}, s.err
	}
	p := s.part(from)
	if to < s.size {
		p.Length = to - from
	}
	return p, s.err
}

// zoneless tells whether times in the file depend on those before them.
func (f *File) zoneless() bool { return f.Format.Says&logparse.SaysZone == 0 }

// slack is how far from a time lines may stand that are of it. Where clocks are
// changed, a line that is looked at alone may be taken for one of the other pass.
func (f *File) slack(t time.Time) time.Duration {
	if !f.zoneless() {
		return disorder
	}
	start, end := t.In(f.zone()).ZoneBounds()
	if !start.IsZero() && start.After(t.Add(-around)) || !end.IsZero() && end.Before(t.Add(around)) {
		return around
	}
	return disorder
}

// Segments cuts a part of a plain file, at ends of lines, into up to n of about the
// same length, for as many readers. Together they read what one reads.
func (f *File) Segments(p Part, n int) ([]Part, error) {
	const least = 1 << 20
	return f.segments(p, n, least)
}

func (f *File) segments(p Part, n int, least int64) ([]Part, error) {
	if !f.Plain || n < 2 || f.Format.Name == "" {
		return []Part{p}, nil
	}
	s, err := f.search()
	if err != nil {
		return nil, err
	}
	defer s.file.Close()
	end := s.size
	if p.Length > 0 {
		end = p.Offset + p.Length
	}
	n = int(min(int64(n), (end-p.Offset)/least))
	parts := []Part{p}
	for i := 1; i < n; i++ {
		at := s.lineFrom(p.Offset + (end-p.Offset)*int64(i)/int64(n))
		last := &parts[len(parts)-1]
		if at <= last.Offset || at >= end {
			continue
		}
		last.Length = at - last.Offset
		parts = append(parts, s.part(at))
	}
	if last := &parts[len(parts)-1]; p.Length > 0 {
		last.Length = end - last.Offset
	} else {
		last.Length = 0
	}
	return parts, s.err
}

// Ending returns the part of a plain file that has the last so many bytes, from
// the beginning of a line on; of another file it is the whole.
func (f *File) Ending(size int64) (Part, error) {
	if !f.Plain || f.Size <= size || f.Format.Name == "" {
		return Part{}, nil
	}
	s, err := f.search()
	if err != nil {
		return Part{}, err
	}
	defer s.file.Close()
	p := s.part(s.lineFrom(f.Size - size))
	return p, s.err
}

// A search looks at lines here and there.
type search struct {
	of     *File
	file   *os.File
	size   int64
	header string
	seen   []sighting
	loose  bool // times do not tell the order
	err    error
	buf    []byte
}

// A sighting is a line that was looked at.
type sighting struct {
	offset int64
	time   time.Time
}

func (f *File) search() (*search, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	s := &search{of: f, file: file, size: f.Size}
	s.header = s.headerAt(glance)
	return s, nil
}

// read returns what is at an offset, as much as there is.
func (s *search) read(offset int64, n int) []byte {
	s.buf = slices.Grow(s.buf[:0], n)[:n]
	n, err := s.file.ReadAt(s.buf, offset)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return s.buf[:n]
}

// lineFrom returns where the first line begins that does so at an offset or
// behind it; the end of the file if none does that is not absurdly long.
func (s *search) lineFrom(offset int64) int64 {
	if offset <= 0 {
		return 0
	}
	for n := grain; n <= glance; n *= 4 {
		if i := bytes.IndexByte(s.read(offset-1, n), '\n'); i >= 0 {
			return offset + int64(i)
		}
	}
	return s.size
}

// look returns the first line from an offset on that can be read.
func (s *search) look(offset int64) (sighting, bool) {
	start := s.lineFrom(offset)
	p := s.of.parser()
	var e logparse.Entry
	if s.header != "" {
		_ = p.Parse(&s.of.Format, s.header, &e)
	}
	for n := grain; n <= glance; n *= 4 {
		at := start
		for line := range bytes.Lines(s.read(start, n)) {
			text, whole := bytes.CutSuffix(line, []byte("\n"))
			if !whole {
				break
			}
			if err := p.Parse(&s.of.Format, string(bytes.TrimSuffix(text, []byte("\r"))), &e); err == nil && !e.Time.IsZero() {
				if stamp := e.Style.Syslog.Stamp; stamp == 'b' || stamp == 'B' { // without a year
					s.loose = true
				}
				found := sighting{at, e.Time}
				s.seen = append(s.seen, found)
				return found, true
			}
			at += int64(len(line))
		}
	}
	return sighting{}, false
}

// before returns the beginning of a line that, like all before it, is older than t;
// as far behind as can be told.
func (s *search) before(t time.Time) int64 {
	from, to := int64(0), s.size
	for to-from > grain {
		middle := from + (to-from)/2
		if l, ok := s.look(middle); ok && l.offset < to && l.time.Before(t) {
			from = l.offset
		} else {
			to = middle
		}
	}
	return from
}

// behind returns the beginning of a line that, like all behind it, is not older
// than t; as far before as can be told.
func (s *search) behind(t time.Time) int64 {
	from, to, found := int64(0), s.size, s.size
	for to-from > grain {
		middle := from + (to-from)/2
		switch l, ok := s.look(middle); {
		case !ok: // nothing is known of what is before it
			from = middle
		case l.offset >= to:
			to = middle
		case l.time.Before(t):
			from = l.offset
		default:
			found, to = l.offset, middle
		}
	}
	return found
}

// inOrder tells whether the lines seen are in order, and some more.
func (s *search) inOrder() bool {
	for i := range int64(checks) {
		s.look(s.size * i / checks)
	}
	slices.SortFunc(s.seen, func(a, b sighting) int { return int(a.offset - b.offset) })
	var latest time.Time
	for _, l := range s.seen {
		if l.time.Before(latest.Add(-s.of.slack(latest))) {
			return false
		}
		if l.time.After(latest) {
			latest = l.time
		}
	}
	return !s.loose
}

// part returns what is behind the beginning of a line.
func (s *search) part(offset int64) Part {
	p := Part{Offset: offset}
	if offset == 0 {
		return p
	}
	p.Header = s.headerAt(offset)
	if !s.of.zoneless() {
		return p
	}
	l, ok := s.look(offset)
	if !ok || !logparse.Twice(l.time) {
		return p
	}
	// In which pass it is only the lines before it tell.
	start := s.before(l.time.Add(-around))
	in, err := s.of.OpenPart(Part{Offset: start, Length: offset - start})
	if err != nil {
		s.err = err
		return p
	}
	defer in.Close()
	for _, err := range in.All() {
		if _, line := errors.AsType[*logparse.LineError](err); err != nil && !line {
			s.err = err
		}
	}
	p.After = in.Before()
	return p
}

// headerAt returns the line before an offset that tells what the fields of the
// lines behind it are.
func (s *search) headerAt(offset int64) string {
	if s.of.Format.Header == nil {
		return ""
	}
	mark := []byte("#Fields:")
	for to := min(offset, s.size); to > 0; {
		from := max(0, to-glance)
		text := s.read(from, int(to-from))
		for end := len(text); ; {
			at := bytes.LastIndex(text[:end], mark)
			if at < 0 {
				break
			}
			if at == 0 && from == 0 || at > 0 && text[at-1] == '\n' {
				line, _, _ := bytes.Cut(text[at:], []byte("\n"))
				return string(bytes.TrimSuffix(line, []byte("\r")))
			}
			end = at
		}
		if from == 0 {
			break
		}
		to = from + int64(len(mark)) // it may lie across
	}
	return ""
}

// From returns what is behind the end of a line, which is told by how many bytes
// of the file's text end with it.
func (f *File) From(offset int64) (Part, error) {
	if !f.Plain || offset == 0 {
		return Part{}, nil
	}
	if offset >= f.Size {
		return Part{Offset: f.Size}, nil
	}
	s, err := f.search()
	if err != nil {
		return Part{}, err
	}
	defer s.file.Close()
	return s.part(offset), s.err
}
