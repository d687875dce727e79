package main

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	// lull is how long nobody may have come for the time to be right.
	lull = 2 * time.Second
	// crowd is how many sessions must have begun or gone to be worth it.
	crowd = 256
)

// returnMemory gives back what a crowd that came or went has left behind, once
// nobody comes any more. The collector alone would wait for the next crowd, and
// keep until then half as much again as the sessions need.
func (d *daemon) returnMemory(ctx context.Context) {
	tick := time.NewTicker(lull)
	defer tick.Stop()
	var done, last int64
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := d.ftp.Sessions.Turnover()
		if now == last && now-done >= crowd {
			debug.FreeOSMemory()
			done = now
		}
		last = now
	}
}
