package logfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"portreeve/logparse"
)

const (
	// followLate is how long a file that was rotated away is watched after its last
	// line: sessions that have it open go on writing there.
	followLate = 10 * time.Minute
	followMost = 16 // such files at once
)

const (
	headLength = 1 << 10 // tells one file's beginning from another's
	tailLength = 256     // and what was read from what took its place
	gulp       = 256 << 10
)

// FollowOptions say where following begins.
type FollowOptions struct {
	// From is what was read already, and Offset, up to where: a log that was
	// rotated away meanwhile is followed from there on. Without it, what is
	// written from now on is read, or all that is there if All says so.
	From   *File
	Offset int64
	All    bool

	notifier notifier // nil: the kernel's
}

// A Follower reads what is written to a log, in whole lines, through every kind of
// rotation: when the file is renamed and made anew, when it is copied and
// truncated, when there is none for a while. It waits where others return
// [io.EOF], until its context ends. A file that was rotated away is watched for
// some minutes more, since who has it open writes there.
//
// No line is given twice. One is lost only if it is in no file any more by the
// time somebody looks; the last one of a file is not given before it has its end.
// On Linux the kernel tells when there is something, and a line comes at once; a
// log that is written all the time is looked at ten times a second. Elsewhere, and
// on file systems where another machine may write, it is looked at as often, and
// less often the longer nothing came.
type Follower struct {
	ctx     context.Context //nolint:containedctx // it is what ends a Read, which has no other way to know
	path    string
	live    *followed   // at the path; nil: nothing is there
	leaving []*followed // what was there before
	known   []*followed // files beside it whose contents were read, or are older; closed
	cut     []*followed // what was truncated and of which no copy is found yet
	ready   []byte      // whole lines
	left    []byte      // of these
	more    bool        // there is something to read at once
	came    time.Time   // when something did
	looked  time.Time   // when somebody looked

	notifier notifier
	told     bool      // it tells of everything
	placed   time.Time // when it was found out where the path leads; zero: it is not known

	folder time.Time // when it was changed
	again  int       // how often still to look into it
	buf    []byte
}

// again is how often a folder is looked into after it was changed: once more, since
// clocks of file systems are coarse; and a while where a file is empty that may
// become a copy.
const (
	againAlways = 1
	againEmpty  = 20
)

// A followed is a file that is read as it grows, or one that is compressed and
// does not.
type followed struct {
	file        *os.File
	compression compression
	packed      io.ReadCloser // what is read of a copy; nil: file is read
	over        bool          // packed is
	info        fs.FileInfo
	offset      int64
	head        []byte // the beginning of the file
	tail        []byte // what is before offset
	half        []byte // a line without its end
	came        time.Time
}

// Follow follows a log, which need not be there yet.
func Follow(ctx context.Context, path string, o FollowOptions) *Follower {
	f := &Follower{ctx: ctx, path: path, came: time.Now(), notifier: o.notifier, buf: make([]byte, tailLength+gulp)}
	if f.notifier == nil {
		f.notifier = newNotifier()
	}
	for _, name := range Rotated(path) {
		if s := glanced(name); s != nil {
			f.forget(s)
		}
	}
	f.live = openFollowed(path)
	switch {
	case o.From == nil:
		if f.live != nil && !o.All {
			f.live.offset = lastLine(f.live.file)
		}
	case f.live != nil && os.SameFile(f.live.info, o.From.info):
		f.live.offset = o.Offset
	default: // it was rotated away since
		for _, name := range Rotated(path) {
			if t := openFollowed(name); t != nil && os.SameFile(t.info, o.From.info) {
				t.offset = o.Offset
				t.remember()
				f.leaving = append(f.leaving, t)
			} else if t != nil {
				t.file.Close()
			}
		}
	}
	if f.live != nil {
		f.live.remember()
	}
	return f
}

// openFollowed opens a plain file; nil if it is not there, or no such.
func openFollowed(path string) *followed {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil
	}
	return &followed{file: file, info: info, came: time.Now()}
}

// lastLine returns where the line begins that has no end yet; the end of the file
// if the last one has.
func lastLine(file *os.File) int64 {
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	from := max(0, info.Size()-logparse.MaxLine)
	text, _ := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if end := bytes.LastIndexByte(text, '\n'); end >= 0 {
		return from + int64(end) + 1
	}
	return from
}

// remember notes how the file begins, and what is before the offset.
func (t *followed) remember() {
	t.head = headOf(io.NewSectionReader(t.file, 0, t.offset))
	t.tail = make([]byte, min(tailLength, t.offset))
	n, _ := t.file.ReadAt(t.tail, t.offset-int64(len(t.tail)))
	t.tail = t.tail[:n]
}

// glanced opens a file beside the log and looks how it begins; nil if it cannot be
// read.
func glanced(path string) *followed {
	t := openFollowed(path)
	if t == nil {
		return nil
	}
	t.compression = compressionIn(t.file)
	if in, err := decompress(t.compression, io.NewSectionReader(t.file, 0, t.info.Size())); err == nil {
		t.head = headOf(in)
		in.Close()
	}
	return t
}

func compressionIn(file *os.File) compression {
	var start [magicLength]byte
	n, _ := file.ReadAt(start[:], 0)
	return compressionOf(start[:n])
}

// headOf returns the beginning of a file, behind a hole: who writes without
// O_APPEND into a file that was truncated leaves one.
func headOf(from io.Reader) []byte {
	const most = 64 << 20
	r := bufio.NewReader(io.LimitReader(from, most))
	for {
		c, err := r.ReadByte()
		if err != nil {
			return nil
		}
		if c == 0 {
			continue
		}
		_ = r.UnreadByte() // of the byte that was read
		head, _ := io.ReadAll(io.LimitReader(r, headLength))
		return head
	}
}

func (t *followed) close() {
	if t.packed != nil {
		t.packed.Close()
	}
	if t.file != nil {
		t.file.Close()
	}
}

// Close closes all files.
func (f *Follower) Close() error {
	f.notifier.close()
	for _, t := range append(f.leaving, f.live) {
		if t != nil {
			t.close()
		}
	}
	f.live, f.leaving = nil, nil
	return nil
}

// Read waits for lines, and returns [io.EOF] once the context is done.
func (f *Follower) Read(p []byte) (int, error) {
	for len(f.left) == 0 {
		if f.ctx.Err() != nil {
			return 0, io.EOF
		}
		f.ready = f.ready[:0]
		if f.look(); len(f.ready) > 0 {
			f.left, f.came = f.ready, time.Now()
			break
		}
		if f.more || f.attend() {
			continue
		}
		if f.wait(); f.ctx.Err() != nil {
			return 0, io.EOF
		}
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

// attend has the notifier watch what there is now. What is watched only from now on
// is to be looked at once more, and attend tells that.
func (f *Follower) attend() (fresh bool) {
	var folders map[string][]string
	if time.Since(f.placed) >= followSure {
		f.placed, folders = time.Now(), places(f.path)
	}
	f.told, fresh = f.notifier.watch(f.open(), folders)
	return fresh
}

// wait waits until it is time to look.
func (f *Follower) wait() {
	most := followSure
	if !f.told {
		most = min(max(time.Since(f.came)/50, followBusy), followSlow)
	}
	if f.again > 0 {
		most = followBusy
	}
	what := f.notifier.wait(f.ctx, most)
	if what == folderChange {
		f.placed, f.again = time.Time{}, againEmpty
	}
	if early := followBusy - time.Since(f.looked); what != noChange && early > 0 {
		lookout{}.wait(f.ctx, early)
	}
}

// look reads what is new in all files, and finds out whether another is the log.
func (f *Follower) look() {
	f.more, f.looked = false, time.Now()
	for _, t := range f.leaving {
		f.drain(t)
	}
	if f.live != nil {
		f.drain(f.live)
	}
	if f.more {
		return
	}
	f.leaving = slices.DeleteFunc(f.leaving, func(t *followed) bool {
		gone := t.over || t.packed == nil && time.Since(t.came) > followLate
		if gone {
			f.forget(t)
		}
		return gone
	})
	info, err := os.Stat(f.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist): // it is there, and nobody can tell
	case err != nil:
		f.leave()
	case f.live == nil || !os.SameFile(info, f.live.info):
		f.turn()
		return
	}
	if folder, err := os.Stat(filepath.Dir(f.path)); err == nil && !folder.ModTime().Equal(f.folder) {
		f.folder, f.again = folder.ModTime(), againEmpty
	}
	if f.again > 0 {
		f.missed()
	}
}

// leave lets the log be one that was rotated away.
func (f *Follower) leave() {
	if f.live == nil {
		return
	}
	f.leaving = append(f.leaving, f.live)
	f.live = nil
	if len(f.leaving) > followMost {
		f.forget(f.leaving[0])
		f.leaving = f.leaving[1:]
	}
}

// forget closes a file of which only the contents are known then.
func (f *Follower) forget(t *followed) {
	t.close()
	f.known = append(f.known, t)
}

// turn takes the file that is at the path now. What was there in between is read
// first.
func (f *Follower) turn() {
	next := openFollowed(f.path)
	if f.live != nil { // what was written before it was renamed
		f.drain(f.live)
	}
	f.leave()
	if next == nil {
		return
	}
	if i := slices.IndexFunc(f.leaving, next.same); i >= 0 { // it was renamed back
		next.file.Close()
		next = f.leaving[i]
		f.leaving = slices.Delete(f.leaving, i, i+1)
	}
	f.live, f.again = next, againEmpty
	f.missed()
	f.drain(next)
	f.more = true
}

func (t *followed) same(other *followed) bool { return os.SameFile(t.info, other.info) }

// like tells whether two files begin alike, as far as both are known.
func (t *followed) like(other *followed) bool {
	n := min(len(t.head), len(other.head))
	return n > 0 && bytes.Equal(t.head[:n], other.head[:n])
}

// missed finds the files beside the log that nobody has read: it was rotated more
// than once since we looked, or it was truncated and a copy has what it had. Files
// are renamed while we look; so what is not clear is looked at again.
func (f *Follower) missed() {
	var found []*followed
	f.again--
	unclear := len(f.cut) > 0
	for _, path := range Rotated(f.path) {
		switch s := glanced(path); {
		case s == nil:
			unclear = true
		case slices.ContainsFunc(f.open(), s.same):
			s.close()
		case len(s.head) == 0:
			unclear = true
			s.close()
		case f.uncut(s):
		case slices.ContainsFunc(f.known, s.like), slices.ContainsFunc(f.open(), s.like): // a copy, or that compressed
			s.close()
		default:
			found = append(found, s)
		}
	}
	if !unclear {
		f.again, f.cut = min(f.again, againAlways), nil
	} else if f.again <= 0 {
		f.cut = nil
	}
	slices.SortFunc(found, func(a, b *followed) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, s := range found {
		if s.compression != none {
			f.known = append(f.known, &followed{head: s.head})
			f.unpack(s, followed{})
			continue
		}
		s.head = nil // it is made anew
		f.leaving = append(f.leaving, s)
		f.drain(s)
	}
	f.prune()
}

// uncut reads what a copy has of a file that was truncated, and tells whether it is
// one.
func (f *Follower) uncut(s *followed) bool {
	i := slices.IndexFunc(f.cut, s.like)
	if i < 0 || slices.ContainsFunc(f.open(), s.like) {
		return false
	}
	cut := f.cut[i]
	f.cut = slices.Delete(f.cut, i, i+1)
	f.unpack(s, *cut)
	return true
}

// prune forgets the oldest of what is known; their files are gone.
func (f *Follower) prune() {
	const most = 1000
	if extra := len(f.known) - most; extra > 0 {
		f.known = slices.Delete(f.known, 0, extra)
	}
}

// open returns the files that are open.
func (f *Follower) open() []*followed {
	if f.live == nil {
		return f.leaving
	}
	return append(slices.Clip(f.leaving), f.live)
}

// unpack reads a copy of a file, which may be compressed, from behind what was read
// of the file itself.
func (f *Follower) unpack(s *followed, of followed) {
	in, err := decompress(s.compression, io.NewSectionReader(s.file, 0, s.info.Size()))
	if err != nil {
		s.close()
		return
	}
	s.packed, s.half, s.head = in, of.half, nil
	if _, err := io.CopyN(io.Discard, in, of.offset); err != nil { // we know more than the copy
		s.close()
		return
	}
	f.leaving = append(f.leaving, s)
	f.drain(s)
}

// drain reads what a file has got.
func (f *Follower) drain(t *followed) {
	for len(f.ready) < gulp {
		if t.over || t.packed == nil && !f.grown(t) || t.packed != nil && !f.unpacked(t) {
			return
		}
	}
	f.more = true
}

// unpacked reads on in a compressed file, and tells whether there is more.
func (f *Follower) unpacked(t *followed) bool {
	n, err := t.packed.Read(f.buf)
	f.lines(t, f.buf[:n])
	t.over = err != nil
	return !t.over
}

// grown reads on in a plain file, and tells whether there may be more.
func (f *Follower) grown(t *followed) bool {
	known := len(t.tail)
	n, err := t.file.ReadAt(f.buf, t.offset-int64(known))
	if err != nil && err != io.EOF {
		return false // later there may be more
	}
	if n < known || !bytes.Equal(f.buf[:known], t.tail) {
		f.truncated(t)
		return true
	}
	t.offset += int64(n - known)
	t.tail = append(t.tail[:0], f.buf[max(0, n-tailLength):n]...)
	data := f.buf[known:n]
	if len(t.head) == 0 { // see headOf
		data = bytes.TrimLeft(data, "\x00")
	}
	if len(data) == 0 {
		return n == len(f.buf)
	}
	t.came = time.Now()
	t.head = append(t.head, data[:min(len(data), headLength-len(t.head))]...)
	f.lines(t, data)
	return n == len(f.buf)
}

// truncated begins a file again, and looks for a copy of what it had.
func (f *Follower) truncated(t *followed) {
	old := *t
	*t = followed{file: t.file, info: t.info, came: t.came}
	f.known = append(f.known, &followed{head: old.head})
	f.cut, f.again = append(f.cut, &old), againEmpty
	f.missed()
}

// lines hands out the lines that are whole. Of one that is too long is kept what
// shows that it is.
func (f *Follower) lines(t *followed, data []byte) {
	end := bytes.LastIndexByte(data, '\n') + 1
	if end > 0 {
		f.ready = append(append(f.ready, t.half...), data[:end]...)
		t.half = t.half[:0]
	}
	rest := data[end:]
	t.half = append(t.half, rest[:min(len(rest), logparse.MaxLine+2-len(t.half))]...)
}
