package stats

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"portreeve/logparse"
)

// logins count who got in, as far as the log tells.
type logins struct {
	good, failed int64
	unknown      int64           // of the failed, those as somebody who does not exist
	hosts, users table           // up is good, down failed and deleted unknown; last is of a failure
	lately       map[string]*run // hosts with failures in the last minute
	bursts       []*burst
	more         int64 // bursts that are not kept
	lost         int64 // hosts that there was no room for
	// began is when the first failure was. What failed from then on is kept for the
	// part of the log before: a burst may have begun there.
	began int64
	heads map[string]*head
}

// A run is failures of a host that come close on each other.
type run struct {
	times []int64 // of the last minute; of a burst only the last
	burst *burst  // that it is
}

func (r *run) last() int64 { return r.times[len(r.times)-1] }

type burst struct {
	host     string
	from, to int64
	count    int64
}

// A head is the first run of a host in a part of a log.
type head struct {
	times []int64 // of its first minute, up to where it was a burst by itself
	count int64   // of all of it
	to    int64   // the last
	burst *burst  // that it became
	over  bool
}

const (
	burstLeast = 5
	burstSpan  = 60 // seconds
	maxBursts  = 1000
	maxRuns    = 1 << 14
	maxLogins  = 100_000 // keys of each table
	headSpan   = 300     // in which a run from before goes on, though entries be late
)

// unknownUser is the reason that our log gives for the failure of a name that nobody
// has. Others do not tell it from a wrong password.
const unknownUser = "unknown-user"

func newLogins() logins {
	return logins{hosts: newTable(maxLogins), users: newTable(maxLogins), lately: make(map[string]*run), heads: make(map[string]*head)}
}

// add counts a login.
func (l *logins) add(e *logparse.Entry, at int64) {
	failed := e.Status == logparse.Failed
	unknown := failed && e.Reason == unknownUser
	for _, of := range [...]struct {
		table *table
		key   string
	}{{&l.hosts, e.Host}, {&l.users, e.User}} {
		if of.table.full() {
			of.table.shrink()
		}
		c := of.table.cellOf(of.key)
		if failed {
			c.down++
			c.last = max(c.last, at)
		} else {
			c.up++
		}
		if unknown {
			c.deleted++
		}
	}
	if !failed {
		l.good++
		return
	}
	l.failed++
	if unknown {
		l.unknown++
	}
	l.fail(e.Host, at)
}

// fail looks whether a failure makes a burst.
func (l *logins) fail(host string, at int64) {
	r := l.lately[host]
	if r == nil {
		if len(l.lately) >= maxRuns {
			l.forget(at)
		}
		r = new(run)
		host = strings.Clone(host)
		l.lately[host] = r
	}
	if l.began == 0 {
		l.began = at
	}
	h := l.heads[host]
	if h == nil && at < l.began+headSpan && len(l.heads) < maxRuns {
		h = new(head)
		l.heads[strings.Clone(host)] = h
	}
	l.failAt(host, r, at)
	if h != nil && !h.over {
		h.add(r, at)
	}
}

// failAt adds a failure to a run.
func (l *logins) failAt(host string, r *run, at int64) {
	r.times = slices.DeleteFunc(r.times, func(t int64) bool { return t <= at-burstSpan })
	if len(r.times) == 0 {
		r.burst = nil
	}
	if b := r.burst; b != nil {
		b.to = max(b.to, at)
		b.count++
		r.times = append(r.times[:0], b.to)
		return
	}
	r.times = append(r.times, at)
	slices.Sort(r.times) // one may be late
	if len(r.times) < burstLeast {
		return
	}
	r.burst = &burst{strings.Clone(host), r.times[0], r.last(), burstLeast}
	r.times = append(r.times[:0], r.last())
	l.keep(r.burst, at)
}

// add adds a failure to the head that its host's run is, unless this is another run.
func (h *head) add(r *run, at int64) {
	if h.over = h.count > 0 && at-h.to >= burstSpan; h.over {
		return
	}
	h.count++
	h.to = max(h.to, at)
	if h.burst == nil && (len(h.times) == 0 || at < h.times[0]+burstSpan) {
		h.times = append(h.times, at)
	}
	h.burst = r.burst
}

// forget leaves the hosts that failed in the last minute, and none if these are too
// many.
func (l *logins) forget(now int64) {
	for host, r := range l.lately {
		if r.last() <= now-burstSpan {
			delete(l.lately, host)
		}
	}
	if len(l.lately) > maxRuns/2 {
		l.lost += int64(len(l.lately))
		clear(l.lately)
	}
}

// keep keeps a burst. If there are twice as many as are kept, it leaves the longest
// and those that go on.
func (l *logins) keep(b *burst, now int64) {
	if l.bursts = append(l.bursts, b); len(l.bursts) < 2*maxBursts {
		return
	}
	slices.SortFunc(l.bursts, longer)
	kept := l.bursts[:maxBursts]
	for _, b := range l.bursts[maxBursts:] {
		if b.to > now-burstSpan && len(kept) < maxBursts*3/2 {
			kept = append(kept, b)
		} else {
			l.more++
		}
	}
	clear(l.bursts[len(kept):])
	l.bursts = kept
}

// longer puts the longest burst first.
func longer(a, b *burst) int {
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.from, b.from), cmp.Compare(a.host, b.host))
}

// merge adds the logins of a later part. A burst that began before goes on there.
func (l *logins) merge(later *logins) {
	l.good += later.good
	l.failed += later.failed
	l.unknown += later.unknown
	l.more += later.more
	l.lost += later.lost
	mergeTable(&l.hosts, &later.hosts)
	mergeTable(&l.users, &later.users)
	if l.began == 0 {
		l.began, l.heads = later.began, later.heads
	}
	for _, host := range sortedKeys(later.heads, cmp.Compare[string]) {
		if r := l.lately[host]; r != nil {
			l.follow(r, host, later)
		}
	}
	for _, b := range later.bursts {
		if b.count > 0 {
			l.keep(b, b.to)
		}
	}
	for host, r := range later.lately {
		l.lately[host] = r
	}
	if len(l.lately) > maxRuns {
		l.forget(slices.MaxFunc(slices.Collect(maps.Values(l.lately)), func(a, b *run) int { return cmp.Compare(a.last(), b.last()) }).last())
	}
}

// follow puts behind a run the first of the same host in a later part.
func (l *logins) follow(r *run, host string, later *logins) {
	h, there := later.heads[host], later.lately[host]
	if h.times[0]-r.last() >= burstSpan {
		return
	}
	for i, at := range h.times {
		if r.burst == nil {
			if l.failAt(host, r, at); r.burst == nil {
				continue
			}
			i++
		}
		// All that is left of the run is of this burst, and none of its own.
		r.burst.count += h.count - int64(i)
		r.burst.to = max(r.burst.to, h.to)
		r.times = append(r.times[:0], r.burst.to)
		if h.burst != nil {
			h.burst.count = 0
		}
		if !h.over && there != nil {
			later.lately[host] = r
		}
		return
	}
	if !h.over && h.burst == nil && int64(len(h.times)) == h.count && there != nil {
		later.lately[host] = r
	}
}

// show is what a report has of them.
func (l *logins) show(c *Collector) Logins {
	out := Logins{Good: l.good, Failed: l.failed, Unknown: l.unknown}
	out.Hosts = worst(c, &l.hosts, func(c *cell) int64 { return c.down })
	out.Users = worst(c, &l.users, func(c *cell) int64 { return c.down - c.deleted })
	out.Names = worst(c, &l.users, func(c *cell) int64 { return c.deleted })
	bursts := slices.Clone(l.bursts)
	slices.SortFunc(bursts, longer)
	for _, b := range bursts[:min(len(bursts), max(c.options.Top, 0))] {
		out.Bursts = append(out.Bursts, Burst{b.host, c.stamp(b.from), c.stamp(b.to), b.count})
	}
	return out
}

// worst are the keys with the most failures of some kind.
func worst(c *Collector, t *table, failures func(*cell) int64) []LoginRow {
	var numbers []uint32
	for i := range t.cells {
		if failures(&t.cells[i]) > 0 {
			numbers = append(numbers, uint32(i))
		}
	}
	slices.SortFunc(numbers, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(failures(&t.cells[b]), failures(&t.cells[a])), cmp.Compare(t.name(a), t.name(b)))
	})
	if c.options.Top >= 0 {
		numbers = numbers[:min(len(numbers), c.options.Top)]
	}
	var rows []LoginRow
	for _, n := range numbers {
		cell := &t.cells[n]
		rows = append(rows, LoginRow{Key: t.name(n), Good: cell.up, Failed: failures(cell), Unknown: cell.deleted, Last: c.stamp(cell.last)})
	}
	return rows
}

func (l *logins) write(e *encoder) {
	e.varint(l.good)
	e.varint(l.failed)
	e.varint(l.unknown)
	e.varint(l.more)
	e.varint(l.lost)
	numbers := make(map[*burst]uint64, len(l.bursts))
	l.hosts.write(e)
	l.users.write(e)
	e.uvarint(uint64(len(l.bursts)))
	for i, b := range l.bursts {
		numbers[b] = uint64(i) + 1
		e.text([]byte(b.host))
		e.varint(b.from)
		e.varint(b.to)
		e.varint(b.count)
	}
	hosts := sortedKeys(l.lately, cmp.Compare[string])
	e.uvarint(uint64(len(hosts)))
	for _, host := range hosts {
		e.text([]byte(host))
		r := l.lately[host]
		e.uvarint(numbers[r.burst])
		e.uvarint(uint64(len(r.times)))
		for _, at := range r.times {
			e.varint(at)
		}
	}
}

func (l *logins) load(d *decoder) {
	l.good, l.failed, l.unknown, l.more, l.lost = d.varint(), d.varint(), d.varint(), d.varint(), d.varint()
	l.hosts.load(d)
	l.users.load(d)
	for range d.length(4) {
		l.bursts = append(l.bursts, &burst{d.text(), d.varint(), d.varint(), d.varint()})
	}
	for range d.length(3) {
		host, r := d.text(), new(run)
		number := d.uvarint()
		if number > uint64(len(l.bursts)) {
			d.fail()
			return
		}
		if number > 0 {
			r.burst = l.bursts[number-1]
		}
		for range d.length(1) {
			r.times = append(r.times, d.varint())
		}
		if len(r.times) == 0 {
			d.fail()
			return
		}
		l.lately[host] = r
	}
}
