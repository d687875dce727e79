package auth

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// failures counts failed logins by the client's address, so that guessing gets
// slow. It is never counted by user: anybody could then lock anybody out. A
// good login takes nothing back, or one account would do for guessing others;
// time does.
type failures struct {
	mu sync.Mutex // guards by
	by map[netip.Prefix]failed
}

type failed struct {
	count int
	last  time.Time
}

const (
	// forgiven is how long it takes for one failure to be forgotten.
	forgiven = time.Minute
	// maxFailures bounds one count, and so how long it takes to get to zero.
	maxFailures = 30
	// maxSources bounds the memory for addresses to some megabytes.
	maxSources = 1 << 16
)

func newFailures() *failures { return &failures{by: make(map[netip.Prefix]failed)} }

// source is what one client can send from: an IPv4 address, or the 64 bits that
// an IPv6 network has, which are its own to fill.
func source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	p, _ := a.Prefix(min(a.BitLen(), 64)) // an address that is not known counts as one source
	return p
}

// now returns the count as it stands after some of it was forgotten.
func (f failed) now() int { return max(f.count-int(time.Since(f.last)/forgiven), 0) }

func (f *failures) add(from netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := source(from)
	if _, known := f.by[key]; !known && len(f.by) >= maxSources {
		makeRoom(f.by, func(x failed) bool { return x.now() == 0 })
	}
	f.by[key] = failed{min(f.by[key].now()+1, maxFailures), time.Now()}
}

func (f *failures) count(from netip.Addr) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[source(from)].now()
}

// pad is the most of chance in a delay.
const pad = 15 * time.Millisecond

// delay returns how late the n-th failure is answered.
func delay(n int, step, most time.Duration) time.Duration {
	if step <= 0 || most <= 0 || n == 0 {
		return 0
	}
	return min(time.Duration(n)*step, most) + rand.N(pad)
}
