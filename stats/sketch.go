package stats

import "math"

// A sketch knows percentiles of values within one per cent, in a fixed size. It
// counts values in buckets whose bounds are apart by a 64th of a power of two: the
// upper bits of a float are their numbers.
type sketch struct {
	counts []int64
	total  int64
}

const (
	sketchBits  = 6
	sketchLeast = 1023 - 10 // the exponent of the smallest value told apart: a thousandth
	sketchSize  = 64 << sketchBits
	sketchShift = 52 - sketchBits
)

// add counts a value; those below a thousandth are one.
func (s *sketch) add(v float64) {
	if s.counts == nil {
		s.counts = make([]int64, sketchSize)
	}
	i := int64(math.Float64bits(max(v, 0))>>sketchShift) - sketchLeast<<sketchBits
	s.counts[min(max(i, 0), sketchSize-1)]++
	s.total++
}

// merge adds what another one counted.
func (s *sketch) merge(o *sketch) {
	if o.counts == nil {
		return
	}
	if s.counts == nil {
		s.counts = make([]int64, sketchSize)
	}
	for i, n := range o.counts {
		s.counts[i] += n
	}
	s.total += o.total
}

// quantile returns the value that a share of all, 0 to 1, are not above.
func (s *sketch) quantile(share float64) float64 {
	rank := int64(math.Ceil(share * float64(s.total)))
	for i, n := range s.counts {
		if rank -= n; rank <= 0 && n > 0 {
			if i == 0 {
				return 0
			}
			low := math.Float64frombits(uint64(i+sketchLeast<<sketchBits) << sketchShift)
			high := math.Float64frombits(uint64(i+1+sketchLeast<<sketchBits) << sketchShift)
			return (low + high) / 2
		}
	}
	return 0
}

// write adds a sketch to a state.
func (s *sketch) write(e *encoder) {
	used := 0
	for _, n := range s.counts {
		if n > 0 {
			used++
		}
	}
	e.uvarint(uint64(used))
	last := 0
	for i, n := range s.counts {
		if n > 0 {
			e.uvarint(uint64(i - last))
			e.uvarint(uint64(n))
			last = i
		}
	}
}

// load reads what write wrote.
func (s *sketch) load(d *decoder) {
	*s = sketch{}
	used := d.length(2)
	if used > 0 {
		s.counts = make([]int64, sketchSize)
	}
	at := uint64(0)
	for range used {
		at += d.uvarint()
		n := d.count()
		if at >= sketchSize || n > math.MaxInt64-s.total {
			d.fail()
			return
		}
		s.counts[at] = n
		s.total += n
	}
}
