package stats

import (
	"cmp"
	"slices"

	"portreeve/logparse"
)

// logins count who got in, as far as the log tells.
type logins struct {
	good, failed int64
	hosts, users table           // up is good, and down failed; last is of a failure
	lately       map[string]*run // hosts with failures in the last minute
	bursts       []burst
	more         int64 // bursts that are not kept
}

// A run is failures of a host that come close on each other.
type run struct {
	times []int64 // of the last minute
	burst int     // in bursts, plus one
}

type burst struct {
	host     string
	from, to int64
	count    int64
}

const (
	burstLeast = 5
	burstSpan  = 60 // seconds
	maxBursts  = 1000
	maxRuns    = 1 << 14
	maxLogins  = 100_000 // keys of each table
)

func newLogins() logins {
	return logins{hosts: newTable(maxLogins), users: newTable(maxLogins), lately: make(map[string]*run)}
}

// add counts a login.
func (l *logins) add(e *logparse.Entry, at int64) {
	failed := e.Status == logparse.Failed
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
	}
	if !failed {
		l.good++
		return
	}
	l.failed++
	l.fail(e.Host, at)
}

// fail looks whether a failure makes a burst.
func (l *logins) fail(host string, at int64) {
	r := l.lately[host]
	if r == nil {
		if len(l.lately) >= maxRuns {
			for host, r := range l.lately {
				if len(r.times) == 0 || r.times[len(r.times)-1] < at-burstSpan {
					delete(l.lately, host)
				}
			}
			if len(l.lately) >= maxRuns {
				return
			}
		}
		r = new(run)
		l.lately[string(append([]byte(nil), host...))] = r
	}
	r.times = slices.DeleteFunc(r.times, func(t int64) bool { return t <= at-burstSpan })
	if len(r.times) == 0 {
		r.burst = 0
	}
	r.times = append(r.times, at)
	switch {
	case r.burst > 0:
		b := &l.bursts[r.burst-1]
		b.to = max(b.to, at)
		b.count++
		r.times = r.times[1:] // of a burst it is the last that matters
	case len(r.times) >= burstLeast && len(l.bursts) < maxBursts:
		l.bursts = append(l.bursts, burst{string(append([]byte(nil), host...)), r.times[0], at, int64(len(r.times))})
		r.burst = len(l.bursts)
	case len(r.times) >= burstLeast:
		l.more++
		r.times = r.times[:0]
	}
}

// merge adds the logins of a later part. A burst that goes on there is one.
func (l *logins) merge(later *logins) {
	l.good += later.good
	l.failed += later.failed
	mergeTable(&l.hosts, &later.hosts)
	mergeTable(&l.users, &later.users)
	for _, b := range later.bursts {
		i := slices.IndexFunc(l.bursts, func(o burst) bool { return o.host == b.host && b.from-o.to < burstSpan && b.from >= o.from })
		switch {
		case i >= 0:
			l.bursts[i].to = max(l.bursts[i].to, b.to)
			l.bursts[i].count += b.count
		case len(l.bursts) < maxBursts:
			l.bursts = append(l.bursts, b)
		default:
			l.more++
		}
	}
	l.more += later.more
	l.lately = later.lately
	for _, r := range l.lately {
		r.burst = 0
	}
}

// show is what a report has of them.
func (l *logins) show(c *Collector) Logins {
	out := Logins{Good: l.good, Failed: l.failed, Hosts: l.worst(c, &l.hosts), Users: l.worst(c, &l.users)}
	bursts := slices.Clone(l.bursts)
	slices.SortFunc(bursts, func(a, b burst) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.from, b.from)) })
	for _, b := range bursts[:min(len(bursts), max(c.options.Top, 0))] {
		out.Bursts = append(out.Bursts, Burst{b.host, c.stamp(b.from), c.stamp(b.to), b.count})
	}
	return out
}

// worst are the keys with the most failures.
func (l *logins) worst(c *Collector, t *table) []LoginRow {
	var numbers []uint32
	for i := range t.cells {
		if t.cells[i].down > 0 {
			numbers = append(numbers, uint32(i))
		}
	}
	slices.SortFunc(numbers, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(t.cells[b].down, t.cells[a].down), cmp.Compare(t.name(a), t.name(b)))
	})
	if c.options.Top >= 0 {
		numbers = numbers[:min(len(numbers), c.options.Top)]
	}
	var rows []LoginRow
	for _, n := range numbers {
		cell := &t.cells[n]
		rows = append(rows, LoginRow{t.name(n), cell.up, cell.down, c.stamp(cell.last)})
	}
	return rows
}

func (l *logins) write(e *encoder) {
	e.varint(l.good)
	e.varint(l.failed)
	e.varint(l.more)
	l.hosts.write(e)
	l.users.write(e)
	e.uvarint(uint64(len(l.bursts)))
	for _, b := range l.bursts {
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
		e.uvarint(uint64(r.burst))
		e.uvarint(uint64(len(r.times)))
		for _, at := range r.times {
			e.varint(at)
		}
	}
}

func (l *logins) load(d *decoder) {
	l.good, l.failed, l.more = d.varint(), d.varint(), d.varint()
	l.hosts.load(d)
	l.users.load(d)
	for range d.length(4) {
		l.bursts = append(l.bursts, burst{d.text(), d.varint(), d.varint(), d.varint()})
	}
	for range d.length(3) {
		host, r := d.text(), new(run)
		if r.burst = int(d.uvarint()); r.burst < 0 || r.burst > len(l.bursts) {
			d.fail()
			return
		}
		for range d.length(1) {
			r.times = append(r.times, d.varint())
		}
		l.lately[host] = r
	}
}
