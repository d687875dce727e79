package stats

import (
	"cmp"
	"strings"
	"time"

	"portreeve/logparse"
)

// sessions sum up what entries with the same session were. One is over when it says
// so, or when nothing came of it for a day. One whose beginning was not seen waits
// for what a part of the log before may have of it.
type sessions struct {
	live  map[string]*live
	began int64 // when the first entry was
	lost  int64 // ended early, since there were too many
	over  tally
}

// A live session is one that may go on.
type live struct {
	first, last int64 // milliseconds
	transfers   int64
	bytes, busy int64
	begun, over bool
}

// A tally is of sessions that are over.
type tally struct {
	count, transfers, bytes, busy, length int64
	lengths                               sketch
	longest                               float64
}

const (
	maxLive  = 50_000
	liveSpan = 24 * 3600 * 1000
)

// add counts an entry of a session.
func (s *sessions) add(e *logparse.Entry) {
	if e.Session == "" {
		return
	}
	at := e.Time.UnixMilli()
	if s.live == nil {
		s.live = make(map[string]*live)
	}
	if s.began == 0 {
		s.began = at
	}
	one := s.live[e.Session]
	if one != nil && one.ended(at, e.Event == logparse.Connect) { // its name is used again
		s.end(e.Session, one)
		one = nil
	}
	if one == nil {
		if len(s.live) >= maxLive {
			s.makeRoom(at)
		}
		one = &live{first: at, last: at}
		s.live[strings.Clone(e.Session)] = one
	}
	one.first, one.last = min(one.first, at-int64(e.Took/time.Millisecond)), max(one.last, at)
	switch e.Event {
	case logparse.Connect:
		one.begun = true
	case logparse.Transfer:
		one.transfers++
		one.bytes += e.Bytes
		one.busy += int64(e.Took / time.Millisecond)
	case logparse.Logout:
		one.over = true
		if one.begun {
			s.end(e.Session, one)
		}
	}
}

// ended tells whether what comes at a time is of another session.
func (l *live) ended(at int64, begins bool) bool {
	return at-l.last > liveSpan || l.over && begins
}

func (s *sessions) end(id string, one *live) {
	s.over.add(one)
	delete(s.live, id)
}

// makeRoom ends sessions that nothing came of for a day. If most are younger, as
// where nothing tells their end, it does not wait so long: to look through all of
// them for each new one takes time.
func (s *sessions) makeRoom(now int64) {
	for _, span := range [...]int64{liveSpan, liveSpan / 24, -liveSpan} {
		if len(s.live) <= maxLive*3/4 {
			return
		}
		for id, one := range s.live {
			if one.over || one.last < now-span {
				if span < 0 {
					s.lost++
				}
				s.end(id, one)
			}
		}
	}
}

func (t *tally) add(one *live) {
	length := max(one.last-one.first, 0)
	t.count++
	t.transfers += one.transfers
	t.bytes += one.bytes
	t.busy += min(one.busy, length)
	t.length += length
	t.lengths.add(float64(length) / 1000)
	t.longest = max(t.longest, float64(length)/1000)
}

// merge adds the sessions of a later part.
func (s *sessions) merge(later *sessions) {
	if s.began == 0 {
		*s = *later
		return
	}
	for id, there := range later.live {
		here := s.live[id]
		if here != nil && here.ended(there.first, there.begun) {
			s.end(id, here)
			here = nil
		}
		if here == nil {
			s.live[id] = there
			continue
		}
		here.first, here.last = min(here.first, there.first), max(here.last, there.last)
		here.transfers += there.transfers
		here.bytes += there.bytes
		here.busy += there.busy
		here.over = there.over
		if here.over && here.begun {
			s.end(id, here)
		}
	}
	if len(s.live) >= maxLive {
		s.makeRoom(0)
	}
	s.over.merge(&later.over)
	s.lost += later.lost
}

func (t *tally) merge(o *tally) {
	t.count += o.count
	t.transfers += o.transfers
	t.bytes += o.bytes
	t.busy += o.busy
	t.length += o.length
	t.lengths.merge(&o.lengths)
	t.longest = max(t.longest, o.longest)
}

// show is what a report has of them, those that go on as they are.
func (s *sessions) show() Sessions {
	var all tally
	all.merge(&s.over)
	for _, one := range s.live {
		all.add(one)
	}
	if all.count == 0 {
		return Sessions{}
	}
	out := Sessions{Count: all.count, Transfers: float64(all.transfers) / float64(all.count), Bytes: float64(all.bytes) / float64(all.count)}
	q := func(share float64) float64 { return min(all.lengths.quantile(share), all.longest) }
	out.Lengths = Distribution{Counted: all.count, P50: q(0.5), P90: q(0.9), P95: q(0.95), P99: q(0.99), Most: all.longest,
		Mean: float64(all.length) / 1000 / float64(all.count)}
	if all.length > 0 {
		out.Idle = 1 - float64(all.busy)/float64(all.length)
	}
	return out
}

func (s *sessions) write(e *encoder) {
	e.varint(s.began)
	e.varint(s.lost)
	t := &s.over
	for _, n := range [...]int64{t.count, t.transfers, t.bytes, t.busy, t.length, int64(t.longest * 1000)} {
		e.varint(n)
	}
	t.lengths.write(e)
	ids := sortedKeys(s.live, cmp.Compare[string])
	e.uvarint(uint64(len(ids)))
	for _, id := range ids {
		one := s.live[id]
		e.text([]byte(id))
		for _, n := range [...]int64{one.first, one.last - one.first, one.transfers, one.bytes, one.busy} {
			e.varint(n)
		}
		e.flag(one.begun)
		e.flag(one.over)
	}
}

func (s *sessions) load(d *decoder) {
	s.began, s.lost = d.varint(), d.varint()
	t, longest := &s.over, int64(0)
	for _, n := range [...]*int64{&t.count, &t.transfers, &t.bytes, &t.busy, &t.length, &longest} {
		*n = d.varint()
	}
	t.longest = float64(longest) / 1000
	t.lengths.load(d)
	n := d.length(8)
	s.live = make(map[string]*live, n)
	for range n {
		id, one := d.text(), new(live)
		one.first = d.varint()
		one.last = one.first + d.varint()
		one.transfers, one.bytes, one.busy = d.varint(), d.varint(), d.varint()
		one.begun, one.over = d.byte() == 1, d.byte() == 1
		s.live[id] = one
	}
}
