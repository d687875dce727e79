package stats

import (
	"math/bits"
	"time"

	"portreeve/logparse"
)

// Sizes are classed by powers of four from 1 KiB to 1 TiB, rates by powers of two
// from 1 KiB to 4 GiB a second.
var (
	sizeBounds = bounds(10, 2, 16)
	rateBounds = bounds(10, 1, 23)
)

// bounds returns powers of two, from one on and so many apart.
func bounds(first, step, n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = 1 << (first + i*step)
	}
	return list
}

// sizeOf returns the class of a size; the last has no bound.
func sizeOf(n int64) int {
	return min(max(bits.Len64(uint64(max(n, 0)))-10+1, 0)/2, len(sizeBounds))
}

// rateClassOf does so for a rate.
func rateClassOf(rate float64) int {
	return min(max(bits.Len64(uint64(max(rate, 0)))-10, 0), len(rateBounds))
}

// What a transfer must have taken for its rate to tell something. xferlog counts
// whole seconds, and its writers round them in four ways.
const (
	leastWhole = 5 * time.Second
	leastExact = 50 * time.Millisecond
)

// rateOf returns a rate in bytes a second, if the transfer was whole and took long
// enough to have one.
func rateOf(e *logparse.Entry) (float64, bool) {
	if e.Event != logparse.Transfer || e.Status != logparse.Whole && e.Status != logparse.Unknown {
		return 0, false
	}
	least := leastWhole
	switch {
	case e.Rate > 0 && e.Took == 0: // the log has no other
		return e.Rate, true
	case e.Rate > 0, e.Took%time.Second != 0:
		least = leastExact
	}
	if e.Took < least {
		return 0, false
	}
	return e.Speed(), true
}
