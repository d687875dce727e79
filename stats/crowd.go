package stats

import (
	"maps"
	"math/bits"
	"slices"
)

// A crowd counts how many transfers there are at once. Each is from its second of
// beginning to that of its end, both included. Entries come in the order of their
// ends, nearly, and reach back as long as they took; so what happened more than
// the ring ago is settled.
type crowd struct {
	ring   []int32  // by second, how many more there are than in the one before
	marks  []uint64 // a bit for each second of the ring at which that may not be 0
	began  bool
	first  int64   // the end of the first
	newest int64   // the latest end
	next   int64   // the first second that is not settled
	level  int64   // how many there are in the second before
	head   []int64 // the beginnings of those that began before first; for who comes before us

	most, at int64
	minutes  map[int64]*crowdHour // by hours since 1970
	last     *crowdHour           // that was looked for, and which it is
	lastHour int64
	lost     int64 // beginnings for which head had no room
}

// A crowdHour is an hour's minutes.
type crowdHour struct {
	most [60]uint32
	sum  [60]uint32 // over its seconds
}

const (
	crowdRing  = 1 << 17 // seconds; a day and a half
	crowdMask  = crowdRing - 1
	crowdHead  = 1 << 16
	crowdStep  = 1 << 12 // seconds that are settled at once
	crowdHours = 50_000  // that are kept; five years and a half
)

// add counts a transfer that ended at a second and took some.
func (c *crowd) add(end, took int64) {
	if !c.began {
		c.begin(end)
	}
	start := end - max(took, 0)
	if start < c.first {
		if len(c.head) < crowdHead {
			c.head = append(c.head, start)
		} else {
			c.lost++
		}
		start = c.first
	}
	if end < start { // before the first: it is all head
		return
	}
	if end > c.newest {
		c.settle((end - crowdRing/2) &^ (crowdStep - 1))
		c.newest = end
	}
	start, end = max(start, c.next), max(end, c.next)
	c.change(start, 1)
	c.change(end+1, -1)
}

// change changes how many there are from a second on.
func (c *crowd) change(at int64, n int32) {
	i := at & crowdMask
	c.ring[i] += n
	c.marks[i/64] |= 1 << (i % 64)
}

func (c *crowd) begin(first int64) {
	c.began, c.first, c.newest, c.next = true, first, first, first
	c.ring, c.marks = make([]int32, crowdRing), make([]uint64, crowdRing/64)
	c.minutes = make(map[int64]*crowdHour)
}

// settle counts the seconds before one.
func (c *crowd) settle(before int64) {
	for c.next < before {
		change := c.marked(min(before, c.newest+2)) // behind that there is nothing
		if c.level > 0 {
			c.note(c.next, change, c.level)
		}
		if c.next = change; change >= before || change > c.newest+1 {
			c.next = before
			return
		}
		i := change & crowdMask
		c.level += int64(c.ring[i])
		c.ring[i] = 0
		c.marks[i/64] &^= 1 << (i % 64)
	}
}

// marked returns the first second from next on at which something changes, or a
// limit.
func (c *crowd) marked(limit int64) int64 {
	for at := c.next; at < limit; at = (at | 63) + 1 {
		if word := c.marks[at&crowdMask/64] >> (at & 63); word != 0 {
			return min(at+int64(bits.TrailingZeros64(word)), limit)
		}
	}
	return max(limit, c.next)
}

// hour returns the minutes of an hour; of those that cannot be kept, ones that
// nobody looks at.
func (c *crowd) hour(number int64) *crowdHour {
	if c.last != nil && c.lastHour == number {
		return c.last
	}
	h := c.minutes[number]
	if h == nil {
		h = new(crowdHour)
		if len(c.minutes) < crowdHours {
			c.minutes[number] = h
		}
	}
	c.last, c.lastHour = h, number
	return h
}

// note counts the seconds from one to before another, in which there are so many.
func (c *crowd) note(from, to, level int64) {
	if level > c.most && from < to {
		c.most, c.at = level, from
	}
	for from < to {
		hour := floorDiv(from, 3600)
		h := c.hour(hour)
		m := (from - hour*3600) / 60
		end := min(hour*3600+m*60+60, to)
		h.most[m] = max(h.most[m], uint32(level))
		h.sum[m] += uint32(level * (end - from))
		from = end
	}
}

// merge adds a crowd whose entries come after ours.
func (c *crowd) merge(later *crowd) {
	if !later.began {
		return
	}
	if !c.began {
		*c = *later
		return
	}
	c.settle(later.first - crowdRing/2)
	// What began here and ended there is here up to its first second.
	for _, start := range later.head {
		if start < c.first && len(c.head) < crowdHead {
			c.head = append(c.head, start)
		}
		if start = max(start, c.next); start < later.first {
			c.change(start, 1)
			c.change(later.first, -1)
			c.newest = max(c.newest, later.first)
		}
	}
	c.settle(c.newest + 2)
	for number, theirs := range later.minutes {
		ours := c.hour(number)
		for m := range ours.most {
			ours.most[m] = max(ours.most[m], theirs.most[m])
			ours.sum[m] += theirs.sum[m]
		}
	}
	if later.most > c.most {
		c.most, c.at = later.most, later.at
	}
	c.lost += later.lost
	c.last = nil
	c.ring, c.marks, c.newest, c.next, c.level = later.ring, later.marks, max(c.newest, later.newest), later.next, later.level
}

// copy returns one that can be finished while this goes on.
func (c *crowd) copy() crowd {
	twin := *c
	twin.ring, twin.marks, twin.head, twin.last = slices.Clone(c.ring), slices.Clone(c.marks), slices.Clone(c.head), nil
	twin.minutes = make(map[int64]*crowdHour, len(c.minutes))
	for number, h := range c.minutes {
		hour := *h
		twin.minutes[number] = &hour
	}
	return twin
}

// finish settles everything, that which began before the first too.
func (c *crowd) finish() {
	if !c.began {
		return
	}
	c.settle(c.newest + 2)
	if len(c.head) == 0 {
		return
	}
	starts := slices.Clone(c.head)
	slices.Sort(starts)
	before := crowd{}
	before.begin(max(starts[0], c.first-crowdRing/2))
	for _, start := range starts {
		before.change(max(start, before.first), 1)
	}
	before.change(c.first, -int32(len(starts)))
	before.newest = c.first
	before.settle(c.first)
	if before.most > c.most || before.most == c.most && before.at < c.at {
		c.most, c.at = before.most, before.at
	}
	for number, h := range before.minutes {
		ours := c.hour(number)
		for m := range ours.most {
			ours.most[m] = max(ours.most[m], h.most[m])
			ours.sum[m] += h.sum[m]
		}
	}
	c.head = nil
}

// points returns a curve of at most so many points, each of a whole number of
// minutes.
func (c *crowd) points(limit int) (points []timed, step int64) {
	if len(c.minutes) == 0 {
		return nil, 60
	}
	hours := make([]int64, 0, len(c.minutes))
	for number := range c.minutes {
		hours = append(hours, number)
	}
	slices.Sort(hours)
	first, last := hours[0]*60, hours[len(hours)-1]*60+59
	for _, minutes := range [...]int64{1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440} {
		if step = minutes; (last-first)/minutes < int64(limit) {
			break
		}
	}
	if most := int64(limit); (last-first)/step >= most {
		step = ((last-first)/most/1440 + 1) * 1440
	}
	first = floorDiv(first, step) * step
	points = make([]timed, (last-first)/step+1)
	for i := range points {
		points[i].at = (first + int64(i)*step) * 60
	}
	for _, number := range hours {
		h := c.minutes[number]
		for m := range h.most {
			p := &points[(number*60+int64(m)-first)/step]
			p.most = max(p.most, int64(h.most[m]))
			p.sum += int64(h.sum[m])
		}
	}
	return points, step * 60
}

// timed is a point of the curve.
type timed struct{ at, most, sum int64 }

// write adds a crowd to a state.
func (c *crowd) write(e *encoder) {
	e.flag(c.began)
	if !c.began {
		return
	}
	for _, n := range [...]int64{c.first, c.newest, c.next, c.level, c.most, c.at, c.lost} {
		e.varint(n)
	}
	e.uvarint(uint64(len(c.head)))
	for _, start := range c.head {
		e.varint(c.first - start)
	}
	// Of the ring, what is not settled: from next to the second behind newest.
	changes := 0
	for at := c.next; at <= c.newest+1; at++ {
		if c.ring[at&crowdMask] != 0 {
			changes++
		}
	}
	e.uvarint(uint64(changes))
	last := c.next
	for at := c.next; at <= c.newest+1; at++ {
		if n := c.ring[at&crowdMask]; n != 0 {
			e.uvarint(uint64(at - last))
			e.varint(int64(n))
			last = at
		}
	}
	hours := slices.Sorted(maps.Keys(c.minutes))
	e.uvarint(uint64(len(hours)))
	for _, number := range hours {
		e.varint(number)
		h := c.minutes[number]
		for m := range h.most {
			e.uvarint(uint64(h.most[m]))
			e.uvarint(uint64(h.sum[m]))
		}
	}
}

// load reads what write wrote.
func (c *crowd) load(d *decoder) {
	if d.byte() == 0 {
		return
	}
	c.begin(0)
	for _, n := range [...]*int64{&c.first, &c.newest, &c.next, &c.level, &c.most, &c.at, &c.lost} {
		*n = d.varint()
	}
	c.head = make([]int64, d.length(1))
	for i := range c.head {
		c.head[i] = c.first - d.varint()
	}
	if c.next < -1<<40 || c.next > 1<<40 || c.newest < c.next-2 || c.newest-c.next > crowdRing-2 {
		d.fail()
	}
	at := c.next
	for range d.length(2) {
		at += d.count()
		if at < c.next || at > c.newest+1 {
			d.fail()
			return
		}
		c.change(at, int32(d.varint()))
	}
	for range d.length(121) {
		h, number := new(crowdHour), d.varint()
		if number < -1<<40 || number > 1<<40 {
			d.fail()
			return
		}
		c.minutes[number] = h
		for m := range h.most {
			h.most[m], h.sum[m] = uint32(d.uvarint()), uint32(d.uvarint())
		}
	}
}

// floorDiv divides so that what is before 1970 is in an hour, too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
