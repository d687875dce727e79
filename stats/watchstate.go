package stats

import (
	"cmp"
	"slices"
)

// write adds a watcher to a state. Its head is for the part before, and there is
// none.
func (w *watcher) write(e *encoder) {
	w.judgeAll()
	for _, n := range [...]int64{w.began, w.latest, w.retried, w.mended, w.wasted, w.lost} {
		e.varint(n)
	}
	e.uvarint(uint64(len(w.users)))
	for i := range w.users {
		w.users[i].write(e, w.began, w.latest)
	}
	e.uvarint(uint64(len(w.best)))
	for _, key := range sortedKeys(w.best, func(a, b ruleUser) int { return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.user, b.user)) }) {
		b := w.best[key]
		for _, n := range [...]int64{int64(key.rule), int64(key.user), b.n, b.at} {
			e.varint(n)
		}
	}
	w.sweeps.write(e)
}

func sortedKeys[K comparable, V any](m map[K]V, order func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, order)
	return keys
}

// write adds a user; what is out of the windows at the latest time is left out.
func (u *watched) write(e *encoder, began, latest int64) {
	for _, n := range [...]int64{u.count, int64(u.run)} {
		e.varint(n)
	}
	e.flag(u.roams)
	// Entries may be late, and so what still is in a window is not all at the end.
	left := func(n int, at func(int) int64, window int64) (kept []int) {
		for i := range n {
			if at(i) > latest-window {
				kept = append(kept, i)
			}
		}
		e.uvarint(uint64(len(kept)))
		return kept
	}
	for _, i := range left(len(u.loads), func(i int) int64 { return u.loads[i].at }, tenMinutes) {
		e.varint(u.loads[i].at)
		e.varint(int64(u.loads[i].file))
	}
	for _, i := range left(len(u.deletes), func(i int) int64 { return u.deletes[i] }, tenMinutes) {
		e.varint(u.deletes[i])
	}
	for _, i := range left(len(u.places), func(i int) int64 { return u.places[i].at }, hourLong) {
		e.varint(u.places[i].at)
		e.varint(int64(u.places[i].network))
	}
	for _, i := range left(len(u.failed), func(i int) int64 { return u.failed[i].at }, hourLong) {
		e.varint(u.failed[i].at)
		e.varint(int64(u.failed[i].host))
		e.varint(int64(u.failed[i].file))
	}
	e.uvarint(uint64(len(u.sights)))
	last := uint32(0)
	for _, one := range u.sights {
		e.uvarint(uint64(one.network - last))
		e.uvarint(uint64(one.before))
		e.varint(one.at - began)
		last = one.network
	}
}

// load reads what write wrote.
func (w *watcher) load(d *decoder) {
	for _, n := range [...]*int64{&w.began, &w.latest, &w.retried, &w.mended, &w.wasted, &w.lost} {
		*n = d.varint()
	}
	w.users = make([]watched, d.length(8))
	for i := range w.users {
		w.users[i].load(d, w.began)
		w.sights += len(w.users[i].sights)
		w.held += w.users[i].held()
	}
	if n := d.length(4); n > 0 {
		w.best = make(map[ruleUser]extreme, n)
		for range n {
			w.best[ruleUser{ruleNumber(d.varint()), d.number()}] = extreme{d.varint(), d.varint()}
		}
	}
	w.sweeps.load(d)
}

// number reads that of a name.
func (d *decoder) number() uint32 {
	n := d.varint()
	if n < 0 || n > int64(dropped) {
		d.fail()
	}
	return uint32(n)
}

func (u *watched) load(d *decoder, began int64) {
	u.count = d.varint()
	u.run, u.roams, u.led = int32(d.varint()), d.byte() == 1, true
	for range d.length(2) {
		u.loads = append(u.loads, load{d.varint(), d.number()})
	}
	for range d.length(1) {
		u.deletes = append(u.deletes, d.varint())
	}
	for range d.length(2) {
		u.places = append(u.places, place{d.varint(), d.number()})
	}
	for range d.length(3) {
		one := attempt{at: d.varint()}
		one.host, one.file = d.number(), d.number()
		u.failed = append(u.failed, one)
		u.failedAt = max(u.failedAt, one.at)
	}
	if n := d.length(3); n > 0 {
		u.sights = make([]sight, n)
	}
	last := uint64(0)
	for i := range u.sights {
		before := last
		if last += d.uvarint(); last >= uint64(dropped) || i > 0 && last <= before {
			d.fail()
		}
		u.sights[i] = sight{uint32(last), uint32(d.uvarint()), began + d.varint()}
	}
}
