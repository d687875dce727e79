package server

import (
	"context"
	"time"
)

// A throttle keeps one transfer to a rate by sleeping to a schedule: after n
// bytes it is n/rate after the beginning. It is the transfer goroutine's own.
type throttle struct {
	rate  int64 // bytes a second; 0 is no limit
	start time.Time
	moved int64
}

// Sizes of one step of a copy. Between steps progress is counted and the limits
// are looked at, so a step is short where a rate is kept and long where not.
const (
	stepMax = 1 << 20
	stepMin = 4 << 10
)

// step returns how many bytes to move before the next wait.
func (t *throttle) step() int64 {
	if t.rate <= 0 {
		return stepMax
	}
	return max(stepMin, min(stepMax, t.rate/8))
}

// wait sleeps until n more bytes are due.
func (t *throttle) wait(ctx context.Context, n int64) error {
	if t.rate <= 0 {
		return nil
	}
	if t.start.IsZero() {
		t.start = time.Now()
	}
	t.moved += n
	ahead := time.Duration(float64(t.moved)/float64(t.rate)*float64(time.Second)) - time.Since(t.start)
	if ahead < -time.Second { // the peer was slower: what it missed is not made up for in one burst
		t.start, t.moved = time.Now(), 0
	}
	return pause(ctx, ahead)
}

// pause waits for d, or for ctx and then returns why it ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
