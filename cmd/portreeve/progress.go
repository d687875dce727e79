package main

import (
	"fmt"
	"time"
)

// A progress is a line on a terminal that says how far long work is.
type progress struct {
	e     *env
	on    bool
	began time.Time
	last  time.Time

	shown bool
}

const (
	progressEvery = 200 * time.Millisecond
	progressAfter = time.Second // what is over by then is not worth a line
)

// newProgress shows nothing if nobody looks, or if the output itself shows it.
func newProgress(e *env, quiet bool) *progress {
	now := time.Now()
	return &progress{e: e, on: !quiet && terminalWidth(e.err) > 0, began: now, last: now}
}

// due tells whether the line should be written again.
func (p *progress) due() bool {
	if !p.on || time.Since(p.last) < progressEvery {
		return false
	}
	p.last = time.Now()
	return true
}

func (p *progress) say(line string) {
	p.shown = true
	fmt.Fprintf(p.e.err, "\r\x1b[K%s", clipped(visible(line), terminalWidth(p.e.err)-1))
}

// step tells how many users were done.
func (p *progress) step(doing string, n int) {
	if p.due() {
		p.say(fmt.Sprintf("%s users: %d", doing, n))
	}
}

// bytes tells how much was read, how fast, and how long the rest takes.
func (p *progress) bytes(doing string, done, total int64) {
	if !p.due() || p.last.Sub(p.began) < progressAfter {
		return
	}
	rate := float64(done) / p.last.Sub(p.began).Seconds()
	line := fmt.Sprintf("%s: %s, %s/s", doing, size(done), size(int64(rate)))
	if total >= done && total > 0 && rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		line = fmt.Sprintf("%s: %d %% of %s, %s/s, %s left", doing, done*100/total, size(total), size(int64(rate)), left.Round(time.Second))
	}
	p.say(line)
}

// end takes the line away.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.e.err, "\r\x1b[K")
		p.shown = false
	}
}
