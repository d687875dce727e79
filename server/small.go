package server

import (
	"cmp"
	"context"
	"io"
	"os"
	"time"

	registry "portreeve/server/session"
)

// Small files. One whose client has connected already is moved by the session
// itself: no goroutine is started for it, nothing is told to the runtime's
// poller, and nobody listens for ABOR, since it would come too late. As soon as
// there is something to wait for, the rest is a transfer like any other.

// smallest is the largest file that is moved so.
const smallest = 64 << 10

// brief is how long an upload of that size waits for its data, each time. A client
// that is near sends it as soon as it has read 150.
const brief = time.Millisecond

// briefThreads is how many may wait so at a time.
const briefThreads = 16

// atOnce tries to do the work of a transfer over a connection that is there, and
// tells whether it was done: if not, what was moved is in t.
func (s *session) atOnce(ctx context.Context, t *transfer, a *arrival) bool {
	select { // who waits in the kernel holds a thread
	case s.srv.brief <- struct{}{}:
		defer func() { <-s.srv.brief }()
	default:
		return false
	}
	buf := s.srv.buffers.Get().(*[smallest]byte)
	defer s.srv.buffers.Put(buf)
	if t.kind == registry.Uploading { // of which the client waits for 150
		s.announce(t)
	}
	start := time.Now()
	f := &flow{leave: &t.leave, ctx: ctx, here: a, buf: buf[:], begun: start}
	r := result{}
	over := false
	r.reply, over, r.err = t.small(f)
	if !over {
		t.moved = f.bytes
		return false
	}
	a.close()
	r.bytes, r.took, r.orphaned = f.bytes, time.Since(start), f.orphaned
	s.entry.Brief(t.kind, r.bytes, r.err)
	if r.err == nil && !t.said { // both replies in one go: it was too short for one between them
		t.said = true
		s.settle(t, r, t.accept)
	} else {
		s.announce(t)
		s.settle(t, r)
	}
	return true
}

// sendSmall sends a file of up to that size, and tells whether it is all out.
func (f *flow) sendSmall(file *os.File, size int64) bool {
	n, err := io.ReadFull(file, f.buf[:size])
	if err == nil {
		f.bytes = int64(f.here.send(f.buf[:size]))
	}
	if f.bytes == size && f.here.clean() {
		return true
	}
	_, _ = file.Seek(f.bytes-int64(n), io.SeekCurrent) // whoever goes on finds out what was wrong
	return false
}

// receiveSmall stores what comes, and tells whether that was all.
func (f *flow) receiveSmall(file *os.File) (over bool, err error) {
	n, over, err := f.here.receive(f.buf[:f.allowed.upTo(smallest)], brief, attention)
	if n > 0 {
		_, werr := file.Write(f.buf[:n])
		err = cmp.Or(werr, err)
	}
	f.bytes = int64(n)
	f.allowed.room -= f.bytes
	return over, err
}
