// Package measure counts what happens, for whoever watches: how often, how large,
// and who has most of it. Counting waits for no reader.
package measure

import "sync/atomic"

// A Histogram counts values by their size. Its methods may be called by anybody
// at any time; none takes a lock.
type Histogram struct {
	bounds []int64 // the largest value of each bucket, rising
	counts []atomic.Int64
	sum    atomic.Int64
}

// NewHistogram makes one whose buckets end with bounds, which rise and are never
// changed, and one more for what is larger than all of them.
func NewHistogram(bounds []int64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Int64, len(bounds)+1)}
}

// Observe counts a value.
func (h *Histogram) Observe(v int64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

// Buckets are what a histogram has counted.
type Buckets struct {
	Bounds []int64
	Counts []int64 // of each bucket alone; the last is of what is larger than all bounds
	Sum    int64   // of all values
}

// Buckets returns what was counted. What is being counted meanwhile may be in a
// bucket and not yet in the sum.
func (h *Histogram) Buckets() Buckets {
	b := Buckets{Bounds: h.bounds, Counts: make([]int64, len(h.counts))}
	for i := range h.counts {
		b.Counts[i] = h.counts[i].Load()
	}
	b.Sum = h.sum.Load()
	return b
}

// Count returns how many values were counted.
func (b Buckets) Count() (n int64) {
	for _, c := range b.Counts {
		n += c
	}
	return n
}

// A Count is how often something happened, by what tells it apart.
type Count struct {
	Labels []string
	N      int64
}

// Sizes are the sizes of something, by what tells it apart.
type Sizes struct {
	Labels []string
	Buckets
}
