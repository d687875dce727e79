package stats

import "encoding/binary"

// A calendar is what a user did day by day. Days that are over are kept as in a
// state, in a dozen bytes each; only the last few may still change.
type calendar struct {
	past   []byte
	last   int32 // the number of the last day in past
	recent []day // in order of time
}

// maxDay is the last day that there is, give or take some thousand years.
const maxDay = 1 << 22

// recentDays is how many days are kept as they are: who is late is so by minutes.
const recentDays = 2

// day returns a day, and whether it is new.
func (c *calendar) day(number int32) (d *day, fresh bool) {
	if n := len(c.recent); n > 0 && c.recent[n-1].number == number {
		return &c.recent[n-1], false
	}
	if len(c.past) > 0 && number <= c.last {
		c.recent = c.days(nil)
		c.past = nil
	}
	at := len(c.recent)
	for at > 0 && c.recent[at-1].number > number {
		at--
	}
	if at > 0 && c.recent[at-1].number == number {
		return &c.recent[at-1], false
	}
	if at == len(c.recent) { // the usual case: a new day begins
		c.archive(recentDays - 1)
		at = len(c.recent)
	}
	c.recent = append(c.recent, day{})
	copy(c.recent[at+1:], c.recent[at:])
	c.recent[at] = day{number: number}
	return &c.recent[at], true
}

// archive leaves so many days that may change.
func (c *calendar) archive(left int) {
	for len(c.recent) > left {
		last := c.last
		if len(c.past) == 0 {
			last = 0
		}
		c.past = c.recent[0].append(c.past, int64(last))
		c.last = c.recent[0].number
		c.recent = c.recent[:copy(c.recent, c.recent[1:])]
	}
}

// days appends all of them to a list that is empty.
func (c *calendar) days(list []day) []day {
	d := decoder{rest: c.past}
	last := int64(0)
	for len(d.rest) > 0 {
		var one day
		last = one.load(&d, last)
		list = inOrder(list, one)
	}
	for _, one := range c.recent {
		list = inOrder(list, one)
	}
	return list
}

// inOrder appends a day if it comes after those before, as all do but in a state
// that nobody wrote so.
func inOrder(list []day, one day) []day {
	if n := len(list); n > 0 && one.number <= list[n-1].number {
		return list
	}
	return append(list, one)
}

// write adds a calendar to a state.
func (c *calendar) write(e *encoder) {
	e.text(c.past)
	e.varint(int64(c.last))
	e.uvarint(uint64(len(c.recent)))
	last := int64(0)
	for i := range c.recent {
		e.buf = c.recent[i].append(e.buf, last)
		last = int64(c.recent[i].number)
	}
	e.spill()
}

// load reads what write wrote. The days that are over are read when they are asked
// for.
func (c *calendar) load(d *decoder) {
	c.past = d.take(d.length(1))
	c.past = c.past[:len(c.past):len(c.past)] // the bytes behind it are others'
	c.last = int32(d.varint())
	last := int64(0)
	for range d.length(8) {
		var one day
		last = one.load(d, last)
		c.recent = append(c.recent, one)
	}
}

// size is about how many days there are.
func (c *calendar) size() int { return len(c.past)/16 + len(c.recent) }

func (d *day) append(buf []byte, last int64) []byte {
	buf = binary.AppendVarint(buf, int64(d.number)-last)
	for _, n := range [...]uint32{d.hours, uint32(d.count), uint32(d.incomplete), uint32(d.deletes)} {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	for _, n := range [...]int64{d.in, d.out, d.deleted} {
		buf = binary.AppendVarint(buf, n)
	}
	return buf
}

// load reads a day that comes after one, and returns its number.
func (d *day) load(from *decoder, last int64) int64 {
	last += from.varint()
	if last < -maxDay || last > maxDay {
		from.fail()
		return 0
	}
	d.number = int32(last)
	d.hours, d.count = uint32(from.uvarint()), int32(from.uvarint())
	d.incomplete, d.deletes = int32(from.uvarint()), int32(from.uvarint())
	d.in, d.out, d.deleted = from.varint(), from.varint(), from.varint()
	return last
}
