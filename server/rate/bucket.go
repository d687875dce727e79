package rate

import (
	"context"
	"math"
	"net/netip"
	"time"
)

const (
	// period is how much of its time a bucket deals out at once.
	period = time.Second / 10
	// arrears is how much unused time is made up for.
	arrears = time.Second / 5
)

// StepMax is the greatest step, for transfers without a limit too: between steps
// progress is counted and the end is heard of.
const StepMax = 1 << 20

// stepMin is the least, which is still worth a system call.
const stepMin = 256

// slowStart is how many steps of a transfer are smaller than they could be, each
// half of the one after it: several that begin at once do not know of each other
// yet.
const slowStart = 4

// A node names a bucket: one field says of what, none that it is the server's.
type node struct {
	way     Way
	grouped bool // by gid
	gid     int
	network netip.Prefix
	account account
	session *Session
}

// A bucket limits what is drawn from it. It lives as long as a session has it on
// its way, and belongs to the tree's lock.
type bucket struct {
	node
	rate     int64
	paid     time.Time    // until when what was drawn takes
	sessions int          // on whose way it is
	drawing  map[peer]int // transfers, by who shares
}

// A peer is who gets a share: a user, or the people at one address.
type peer struct {
	account
	addr netip.Addr
}

// enter has a transfer draw from now on. Where nobody did, unused time is lost.
func (b *bucket) enter(p peer, now time.Time) {
	if len(b.drawing) == 0 && b.paid.Before(now) {
		b.paid = now
	}
	b.drawing[p]++
}

func (b *bucket) exit(p peer) {
	if b.drawing[p]--; b.drawing[p] <= 0 {
		delete(b.drawing, p)
	}
}

// share is how much a transfer of that peer may draw at once.
func (b *bucket) share(p peer) int64 {
	whole := float64(b.rate) * period.Seconds()
	each := min(whole/float64(len(b.drawing)), StepMax)
	return int64(each / float64(b.drawing[p]))
}

// draw takes n bytes out and returns when they are paid for.
func (b *bucket) draw(n int64, now time.Time) time.Time {
	if late := now.Add(-arrears); b.paid.Before(late) {
		b.paid = late
	}
	b.paid = b.paid.Add(time.Duration(math.Ceil(float64(n) / float64(b.rate) * float64(time.Second))))
	return b.paid
}

// A Transfer draws from what is on its session's way. It is its goroutine's own.
// A nil one has no limit.
type Transfer struct {
	session *Session
	way     Way
	path    *path // where it draws
	slow    int   // steps still to come that are of the first
	step    int64
}

// Begin makes a transfer; End must follow.
func (s *Session) Begin(w Way) *Transfer {
	return &Transfer{session: s, way: w, slow: slowStart}
}

// Limited tells whether there is a limit now.
func (t *Transfer) Limited() bool { return t != nil && t.session.Limited(t.way) }

// Step returns how many bytes to move before Pay.
func (t *Transfer) Step() int64 {
	if t == nil {
		return StepMax
	}
	if p := t.session.paths[t.way].Load(); p != t.path {
		t.follow(p)
	}
	if t.path == nil {
		return StepMax
	}
	return t.step
}

// Pay waits until n bytes that were moved are within all limits, or returns why
// ctx ended. What was moved under limits that hold no more is not paid for.
func (t *Transfer) Pay(ctx context.Context, n int64) error {
	if t == nil {
		return nil
	}
	now := time.Now()
	p := t.session.paths[t.way].Load()
	if p == nil || p != t.path {
		return nil
	}
	if wait := t.draw(n, now).Sub(now); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.over:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// draw takes n bytes from all that is on the way, and returns when they are paid
// for.
func (t *Transfer) draw(n int64, now time.Time) (due time.Time) {
	tree := t.session.tree
	tree.mu.Lock()
	defer tree.mu.Unlock()
	for _, b := range t.path.buckets {
		if paid := b.draw(n, now); paid.After(due) {
			due = paid
		}
	}
	t.slow = max(0, t.slow-1)
	t.measureLocked()
	return due
}

// End is when nothing more is moved.
func (t *Transfer) End() {
	if t != nil && t.path != nil {
		t.follow(nil)
	}
}

// follow has the transfer draw from another path.
func (t *Transfer) follow(p *path) {
	t.session.tree.mu.Lock()
	defer t.session.tree.mu.Unlock()
	now, peer := time.Now(), t.session.peer()
	if p != nil {
		for _, b := range p.buckets {
			b.enter(peer, now)
		}
	}
	if t.path != nil { // after that, so that a bucket which is in both is not idle between
		for _, b := range t.path.buckets {
			b.exit(peer)
		}
	}
	if t.path = p; p != nil {
		t.measureLocked()
	}
}

// measureLocked finds the step: what the narrowest place on the way lets through.
func (t *Transfer) measureLocked() {
	t.step = StepMax
	for _, b := range t.path.buckets {
		t.step = min(t.step, b.share(t.session.peer()))
	}
	t.step = max(t.step>>t.slow, stepMin)
}
