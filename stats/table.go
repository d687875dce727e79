package stats

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// A table numbers keys and sums up what belongs to each. It keeps a limited number
// of them: when there are more, the half that matters least is folded into one
// sum. A key that comes again after that may miss what was folded, by as much as
// the largest that was.
type table struct {
	names
	cells   []cell
	missing []int64 // by number, what may be missing of its count; nil: nothing is anywhere
	limit   int     // of keys
	other   cell    // what was folded
	folded  int64   // so many keys, at least
	floor   int64   // the largest count that was folded
}

// maxText is how many bytes the keys of a table may have altogether: a hostile log
// can have names of 64 KiB.
const maxText = 256 << 20

// leastKeys is the smallest limit: half of the keys have to be worth something.
const leastKeys = 256

// dropped is the new number of a key that was folded.
const dropped = ^uint32(0)

func newTable(limit int) table {
	return table{names: newNames(), limit: max(limit, leastKeys)}
}

// at returns the number of a key, of which the hash is given. If full it must be
// shrunk before.
func (t *table) at(key string, hash uint64) uint32 {
	n := t.numbered(key, hash)
	if int(n) == len(t.cells) {
		t.cells = append(room(t.cells, 1), cell{})
		if t.missing != nil {
			t.missing = append(t.missing, t.floor)
		}
	}
	return n
}

// wanted is at for a key that is known most likely, and is made a string only if not.
func (t *table) wanted(key []byte, hash uint64) uint32 {
	if s := t.find(hash); s.after > 0 {
		return s.after - 1
	}
	return t.at(string(key), hash)
}

// full tells whether there is no room for those that wait and another key.
func (t *table) full() bool { return len(t.cells)+slack > t.limit || len(t.text) >= maxText }

// shrink folds half of the keys, and returns the new number of each.
func (t *table) shrink() []uint32 {
	rank := make([]uint32, len(t.cells))
	for i := range rank {
		rank[i] = uint32(i)
	}
	keep := make([]bool, len(rank))
	best := func(n int, value func(*cell) int64) {
		slices.SortFunc(rank, func(a, b uint32) int { return cmp.Compare(value(&t.cells[b]), value(&t.cells[a])) })
		for _, i := range rank[:n] {
			keep[i] = true
		}
	}
	best(len(rank)/4, (*cell).count)
	best(len(rank)/4, (*cell).bytes)
	small := newTable(t.limit)
	small.seed = t.seed // whoever waits for room has a hash
	small.other, small.folded, small.floor = t.other, t.folded, t.floor
	small.missing = []int64{}
	numbers := make([]uint32, len(t.cells))
	for i := range t.cells {
		c := &t.cells[i]
		if !keep[i] || len(small.text) > maxText/2 {
			numbers[i] = dropped
			small.other.merge(c)
			small.folded++
			small.floor = max(small.floor, c.count()+t.missed(uint32(i)))
			continue
		}
		numbers[i] = small.number(t.name(uint32(i)))
		small.cells = append(small.cells, *c)
		small.missing = append(small.missing, t.missed(uint32(i)))
	}
	*t = small
	return numbers
}

func (t *table) missed(n uint32) int64 {
	if t.missing == nil {
		return 0
	}
	return t.missing[n]
}

// names numbers texts from 0. Two texts are taken for the same if 64 bits of a hash
// are, whose seed nobody knows: looking at the text of each line again would take
// as long as all else, and among a million texts two are mixed up once in thirty
// million logs.
type names struct {
	seed  maphash.Seed
	slots []slot
	ends  []uint32 // of the texts, in text
	text  []byte
}

type slot struct {
	hash  uint64
	after uint32 // the number plus one; 0 is free
}

func newNames() names {
	return names{seed: maphash.MakeSeed(), slots: make([]slot, 64)}
}

// name returns the text of a number.
func (n *names) name(i uint32) string { return string(n.bytes(i)) }

func (n *names) bytes(i uint32) []byte {
	start := uint32(0)
	if i > 0 {
		start = n.ends[i-1]
	}
	return n.text[start:n.ends[i]]
}

// number returns the number of a text, the next one if it is new.
func (n *names) number(text string) uint32 { return n.numbered(text, n.hash(text)) }

func (n *names) hash(text string) uint64 { return maphash.String(n.seed, text) }

func (n *names) numbered(text string, hash uint64) uint32 {
	s := n.find(hash)
	if s.after > 0 {
		return s.after - 1
	}
	n.text = append(room(n.text, len(text)), text...)
	n.ends = append(room(n.ends, 1), uint32(len(n.text)))
	*s = slot{hash, uint32(len(n.ends))}
	if len(n.ends) > len(n.slots)/4*3 {
		n.grow(2 * len(n.slots))
	}
	return uint32(len(n.ends) - 1)
}

// home is where a hash is looked for first.
func (n *names) home(hash uint64) *slot { return &n.slots[hash&uint64(len(n.slots)-1)] }

// room is a list that has some for so many more. It doubles what there is, where
// append by itself adds a quarter: each time all of it is copied to memory that the
// system has to give first.
func room[T any](list []T, n int) []T {
	if cap(list)-len(list) >= n {
		return list
	}
	return slices.Grow(list, max(n, len(list)))
}

// find returns the slot of a hash, or a free one.
func (n *names) find(hash uint64) *slot {
	mask := uint64(len(n.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		if s := &n.slots[at]; s.hash == hash || s.after == 0 {
			return s
		}
	}
}

// grow makes room for more slots.
func (n *names) grow(size int) {
	old := n.slots
	n.slots = make([]slot, size)
	for _, s := range old {
		if s.after > 0 {
			*n.find(s.hash) = s
		}
	}
}

// hashAll makes the slots anew from the texts.
func (n *names) hashAll() {
	size := 64
	for size/4*3 < len(n.ends) {
		size *= 2
	}
	n.slots = make([]slot, size)
	for i := range n.ends {
		hash := maphash.Bytes(n.seed, n.bytes(uint32(i)))
		*n.find(hash) = slot{hash, uint32(i + 1)}
	}
}

// write adds a table to a state.
func (t *table) write(e *encoder) {
	e.uvarint(uint64(len(t.cells)))
	last := uint32(0)
	for _, end := range t.ends {
		e.uvarint(uint64(end - last))
		last = end
	}
	e.bytes(t.text)
	for i := range t.cells {
		t.cells[i].write(e)
	}
	t.other.write(e)
	e.uvarint(uint64(t.folded))
	e.uvarint(uint64(t.floor))
	e.flag(t.missing != nil)
	for _, m := range t.missing {
		e.uvarint(uint64(m))
	}
}

// load reads what write wrote.
func (t *table) load(d *decoder) {
	n := d.length(cellLength)
	total := uint64(0)
	more := n/16 + leastKeys // for what will come
	t.ends = make([]uint32, n, n+more)
	for i := range t.ends {
		total += d.uvarint()
		t.ends[i] = uint32(total)
		if total > maxText+1<<20 {
			d.fail()
			return
		}
	}
	text := d.take(int(total))
	t.text = append(make([]byte, 0, len(text)+len(text)/16+4096), text...)
	t.cells = make([]cell, n, n+more)
	for i := range t.cells {
		t.cells[i].load(d)
	}
	t.other.load(d)
	t.folded, t.floor = d.count(), d.count()
	if d.byte() == 1 {
		t.missing = make([]int64, n)
		for i := range t.missing {
			t.missing[i] = d.count()
		}
	}
	if d.err != nil {
		return
	}
	t.hashAll()
}

// A cell is a Sum as it is counted.
type cell struct {
	up, down, deleted, incomplete int64
	in, out                       int64
	took                          int64 // milliseconds
	last                          int64 // second, as Unix counts
}

func (c *cell) count() int64 { return c.up + c.down + c.deleted }
func (c *cell) bytes() int64 { return c.in + c.out }

// add counts an entry. What an entry is cannot be guessed, which a processor that
// meets a branch does: there is none.
func (c *cell) add(s *seen) {
	up, down, gone, cut := s.what.bits()
	c.last = max(c.last, s.at)
	c.up += up
	c.down += down
	c.deleted += gone
	c.incomplete += cut
	c.in += s.bytes & -up
	c.out += s.bytes & -down
	c.took += s.took & -(up | down)
}

// merge adds another one.
func (c *cell) merge(o *cell) {
	c.up += o.up
	c.down += o.down
	c.deleted += o.deleted
	c.incomplete += o.incomplete
	c.in += o.in
	c.out += o.out
	c.took += o.took
	c.last = max(c.last, o.last)
}

func (c *cell) fields() [8]*int64 {
	return [...]*int64{&c.up, &c.down, &c.deleted, &c.incomplete, &c.in, &c.out, &c.took, &c.last}
}

// cellLength is how long a cell is in a state. Its numbers are not varints, since
// there are many, which take long to write and longer to read.
const cellLength = 64

func (c *cell) write(e *encoder) {
	for _, f := range c.fields() {
		e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(*f))
	}
	e.spill()
}

func (c *cell) load(d *decoder) {
	text := d.take(cellLength)
	if len(text) < cellLength {
		return
	}
	for i, f := range c.fields() {
		*f = int64(binary.LittleEndian.Uint64(text[8*i:]))
	}
}
