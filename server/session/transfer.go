package session

import (
	"sync/atomic"
	"time"
)

// A Transfer is what Begin is told of a data connection about to work.
type Transfer struct {
	State  State  // Listing, Downloading, Uploading or Working
	Path   string // as the client sees it
	Offset int64  // resumed here
	Size   int64  // of the whole file, -1 if unknown
	Abort  func() // ends the transfer and leaves the session; may be called from any goroutine, more than once
}

// The counter's past is kept in ticks, for as long as the longest window.
const (
	tick      = 250 * time.Millisecond
	history   = 48 // ticks remembered: 10 s, the one under way, and room for a reader that dawdles
	second1   = int64(time.Second / tick)
	seconds10 = 10 * second1
)

// progress counts the bytes of one transfer. One goroutine writes, any number
// read without stopping it: nothing here takes a lock.
//
// marks is a ring of what had been moved when a tick began, for those ticks in
// which something was moved. A tick without a mark began with the count of the
// next that has one, so counts at the edges of ticks are exact however uneven
// the writing, and a transfer that stalls falls to a rate of zero by itself.
type progress struct {
	Transfer
	started time.Time
	moved   atomic.Int64
	marks   [history]mark

	last int64 // tick of the newest mark; the writer's own
}

// A mark is guarded by its stamp, which no tick shares with another: it is zero
// while the count changes, and who reads the same stamp before and after has
// read the count that belongs to it.
type mark struct {
	stamp atomic.Int64 // tick + 1, 0 if none
	count atomic.Int64
}

func newProgress(t Transfer) *progress {
	return &progress{Transfer: t, started: time.Now(), last: -1}
}

// add is the transfer path: an addition, a look at the clock, and three stores
// in the first chunk of a tick.
func (p *progress) add(n int64) {
	// Since reads the monotonic clock, so that setting the time breaks no rate.
	if now := int64(time.Since(p.started) / tick); now != p.last {
		p.last = now
		m := &p.marks[now%history]
		m.stamp.Store(0)
		m.count.Store(p.moved.Load())
		m.stamp.Store(now + 1)
	}
	p.moved.Add(n)
}

// before returns what had been moved when tick t began, given what has been
// moved by now.
func (p *progress) before(t, now, moved int64) int64 {
	for ; t <= now; t++ {
		m := &p.marks[t%history]
		if m.stamp.Load() != t+1 {
			continue
		}
		if count := m.count.Load(); m.stamp.Load() == t+1 {
			return count
		}
	}
	return moved
}

// rates returns what has been moved, and bytes a second over the last second,
// the last ten, and the whole transfer. A window ends now and begins at the edge
// of a tick, so it may be up to a tick longer than its name says.
func (p *progress) rates() (moved, in1s, in10s, average int64) {
	elapsed := time.Since(p.started)
	moved = p.moved.Load()
	now := int64(elapsed / tick)
	over := func(ticks int64) int64 {
		start := max(0, now-ticks)
		// A tick is the least that is divided by: the first chunk is no rate yet.
		span := max(elapsed-time.Duration(start)*tick, tick)
		// The writer may have marked a later count than the one read above.
		return perSecond(max(0, moved-p.before(start, now, moved)), span)
	}
	return moved, over(second1), over(seconds10), perSecond(moved, max(elapsed, tick))
}

func perSecond(n int64, span time.Duration) int64 {
	return int64(float64(n) / span.Seconds())
}
