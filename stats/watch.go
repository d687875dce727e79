package stats

import (
	"cmp"
	"math"
	"slices"

	"portreeve/logparse"
)

// A day is what a user did on one day, by the clocks of the report's zone.
type day struct {
	number     int32  // since 1970
	hours      uint32 // a bit for each with an entry
	count      int32  // uploads and downloads
	incomplete int32
	deletes    int32
	in         int64
	out        int64
	deleted    int64 // bytes
}

// A seen is an entry as the rules take it: names are numbers, the same for the
// same name.
type seen struct {
	user, host, network, file uint32
	at                        int64 // as Unix counts
	bytes                     int64
	took                      int64 // milliseconds
	what                      what
}

// What an entry was.
type what uint8

const (
	upload what = 1 << iota
	download
	deletion
	whole // it was not cut
)

func whatOf(e *logparse.Entry) what {
	w := download
	switch {
	case e.Event == logparse.Delete:
		w = deletion
	case e.Direction == logparse.Upload:
		w = upload
	}
	if e.Status != logparse.Cut && e.Status != logparse.Failed {
		w |= whole
	}
	return w
}

// A watcher knows what happened lately, for the rules that need to. Its windows are
// an hour long at most, so where a log was read in parts it is enough that each
// part keeps its first hour: the part before sees that, too.
type watcher struct {
	users   []watched
	sights  int // of all users
	failed  map[attempt]int64
	best    map[ruleUser]extreme
	head    []seen // of the first hour
	began   int64  // when that was
	latest  int64
	retried int64
	mended  int64
	wasted  int64
	lost    int64 // what there was no room for

	distinct map[uint32]bool // to count with
}

// What a watcher keeps at most, whatever it is shown.
const (
	maxHead   = 100_000
	maxSights = 1 << 20
	maxFailed = 1 << 16
	maxWindow = 4096 // downloads of a user in a window
	maxBest   = 1 << 16
)

const (
	tenMinutes = 600
	hourLong   = 3600
)

// watched is a user.
type watched struct {
	count    int64  // of entries so far
	network  uint32 // of the last, plus one
	run      int32  // of incomplete transfers, up to now
	leading  int32  // of those from the beginning on; as long as led is not set
	led      bool
	from     int64 // when the run began
	leadFrom int64
	loads    []load  // the downloads of ten minutes
	deletes  []int64 // and the deletes
	places   []place // the networks of an hour
	sights   []sight // by network
}

type load struct {
	at   int64
	file uint32
}

type place struct {
	at      int64
	network uint32
}

// A sight is the first time that a user was in a network.
type sight struct {
	network uint32
	before  uint32 // entries of the user until then
	at      int64
}

type attempt struct{ user, host, file uint32 }

type ruleUser struct {
	rule ruleNumber
	user uint32
}

// An extreme is the most that a window had.
type extreme struct {
	n  int64
	at int64 // when it was reached
}

// see shows an entry.
func (w *watcher) see(s *seen) {
	if len(w.head) == 0 && w.began == 0 {
		w.began = s.at
	}
	if s.at < w.began+hourLong {
		if len(w.head) < maxHead {
			w.head = append(w.head, *s)
		} else {
			w.lost++
		}
	}
	u := w.windows(s)
	w.network(u, s)
	u.count++
	w.attempt(s)
	if s.what&deletion == 0 {
		w.run(u, s)
	}
}

// windows shows an entry to what looks at a stretch of time.
func (w *watcher) windows(s *seen) *watched {
	for int(s.user) >= len(w.users) {
		w.users = append(w.users, watched{})
	}
	w.latest = max(w.latest, s.at)
	u := &w.users[s.user]
	switch {
	case s.what&deletion != 0:
		w.deleted(u, s)
	case s.what&download != 0:
		w.downloaded(u, s)
	}
	w.place(u, s)
	return u
}

// reached notes how much a window had.
func (w *watcher) reached(rule ruleNumber, s *seen, n int64) {
	if w.best == nil {
		w.best = make(map[ruleUser]extreme)
	}
	key := ruleUser{rule, s.user}
	old, known := w.best[key]
	if !known && len(w.best) >= maxBest {
		w.lost++
		return
	}
	if n > old.n {
		w.best[key] = extreme{n, s.at}
	}
}

func (w *watcher) deleted(u *watched, s *seen) {
	u.deletes = append(u.deletes, s.at)
	old := 0
	for old < len(u.deletes) && u.deletes[old] <= s.at-tenMinutes {
		old++
	}
	if len(u.deletes)-old > maxWindow {
		old = len(u.deletes) - maxWindow
	}
	if old > 0 {
		u.deletes = u.deletes[:copy(u.deletes, u.deletes[old:])]
	}
	if n := int64(len(u.deletes)); n >= deleteRunLeast {
		w.reached(ruleDeletes, s, n)
	}
}

func (w *watcher) downloaded(u *watched, s *seen) {
	old := 0
	for old < len(u.loads) && u.loads[old].at <= s.at-tenMinutes {
		old++
	}
	if len(u.loads)-old >= maxWindow {
		old = len(u.loads) - maxWindow + 1
	}
	if old > 64 || old == len(u.loads) { // not for each
		u.loads = u.loads[:copy(u.loads, u.loads[old:])]
		old = 0
	}
	u.loads = append(u.loads, load{s.at, s.file})
	if len(u.loads)-old <= sweepMost {
		return
	}
	if w.distinct == nil {
		w.distinct = make(map[uint32]bool)
	}
	clear(w.distinct)
	for _, l := range u.loads[old:] {
		w.distinct[l.file] = true
	}
	if n := int64(len(w.distinct)); n > sweepMost {
		w.reached(ruleSweep, s, n)
	}
}

// place looks at how many networks there are within an hour.
func (w *watcher) place(u *watched, s *seen) {
	if n := len(u.places); n > 0 && u.places[n-1].network == s.network {
		u.places[n-1].at = s.at
		return
	}
	u.places = slices.DeleteFunc(u.places, func(p place) bool { return p.at <= s.at-hourLong || p.network == s.network })
	if len(u.places) >= maxWindow {
		u.places = u.places[1:]
	}
	u.places = append(u.places, place{s.at, s.network})
	if n := int64(len(u.places)); n >= hostsLeast {
		w.reached(ruleHosts, s, n)
	}
}

// network notes when a user was first in a network.
func (w *watcher) network(u *watched, s *seen) {
	if u.network == s.network+1 {
		return
	}
	u.network = s.network + 1
	w.sight(u, sight{s.network, uint32(min(u.count, math.MaxUint32)), s.at})
}

func (w *watcher) sight(u *watched, first sight) {
	at, known := slices.BinarySearchFunc(u.sights, first.network, func(s sight, n uint32) int { return cmp.Compare(s.network, n) })
	switch {
	case known:
	case w.sights >= maxSights:
		w.lost++
	default:
		w.sights++
		u.sights = slices.Insert(u.sights, at, first)
	}
}

// run counts incomplete transfers one after the other.
func (w *watcher) run(u *watched, s *seen) {
	if s.what&whole != 0 {
		u.run, u.led = 0, true
		return
	}
	if u.run == 0 {
		u.from = s.at
	}
	u.run++
	if !u.led {
		u.leading, u.leadFrom = u.run, u.from
	}
	if n := int64(u.run); n >= failureRunLeast {
		w.reached(ruleFailures, s, n)
	}
}

// attempt finds out whether an incomplete transfer is tried again.
func (w *watcher) attempt(s *seen) {
	if s.what&deletion != 0 {
		return
	}
	key := attempt{s.user, s.host, s.file}
	w.again(key, s)
	if s.what&whole != 0 {
		return
	}
	w.wasted += s.bytes
	if w.failed == nil {
		w.failed = make(map[attempt]int64)
	}
	if len(w.failed) >= maxFailed {
		for k, at := range w.failed {
			if at < s.at-tenMinutes {
				delete(w.failed, k)
			}
		}
	}
	if len(w.failed) < maxFailed {
		w.failed[key] = s.at
	} else {
		w.lost++
	}
}

// again counts an attempt after one that failed.
func (w *watcher) again(key attempt, s *seen) {
	if len(w.failed) == 0 {
		return
	}
	at, ok := w.failed[key]
	if !ok {
		return
	}
	delete(w.failed, key)
	if s.at-at > tenMinutes {
		return
	}
	w.retried++
	if s.what&whole != 0 {
		w.mended++
	}
}

// A renumbering tells the new numbers of names.
type renumbering struct{ users, hosts, networks, files []uint32 }

// of returns the new number, the old one where nothing is new.
func of(numbers []uint32, n uint32) uint32 {
	switch {
	case numbers == nil:
		return n
	case int64(n) >= int64(len(numbers)): // dropped, or in a state that nobody wrote so
		return dropped
	}
	return numbers[n]
}

// merge adds what a watcher saw afterwards, whose names have these numbers here.
func (w *watcher) merge(later *watcher, r renumbering) {
	later.renumber(r)
	if w.began == 0 {
		*w = *later
		return
	}
	// What is in windows across the border is seen from here.
	for i := range later.head {
		s := &later.head[i]
		if s.user == dropped {
			continue
		}
		w.windows(s)
		if s.what&deletion == 0 {
			w.again(attempt{s.user, s.host, s.file}, s)
		}
	}
	for i := range later.users {
		for i >= len(w.users) {
			w.users = append(w.users, watched{})
		}
		u := &w.users[i]
		for _, first := range later.users[i].sights {
			first.before = uint32(min(int64(first.before)+u.count, math.MaxUint32))
			w.sight(u, first)
		}
		u.follow(&later.users[i], func(n, at int64) { w.reached(ruleFailures, &seen{user: uint32(i), at: at}, n) })
	}
	for key, e := range later.best {
		w.reached(key.rule, &seen{user: key.user, at: e.at}, e.n)
	}
	for key, at := range later.failed {
		if w.failed == nil {
			w.failed = make(map[attempt]int64)
		}
		w.failed[key] = at
	}
	w.latest = max(w.latest, later.latest)
	w.retried += later.retried
	w.mended += later.mended
	w.wasted += later.wasted
	w.lost += later.lost
}

// follow puts behind what a user did what he did then.
func (u *watched) follow(later *watched, run func(n, at int64)) {
	if later.count == 0 {
		return
	}
	if n := int64(u.run) + int64(later.leading); u.run > 0 && later.leading > 0 && n >= failureRunLeast {
		run(n, later.leadFrom)
	}
	switch {
	case later.led:
		if !u.led {
			u.leading += later.leading
		}
		u.run, u.from = later.run, later.from
	default:
		u.run += later.run
		if !u.led {
			u.leading = u.run
		}
	}
	u.led = u.led || later.led
	u.count += later.count
	u.network, u.loads, u.deletes, u.places = later.network, later.loads, later.deletes, later.places
}

// renumber changes the numbers of names; what is about a dropped one is forgotten.
func (w *watcher) renumber(r renumbering) {
	if r.users != nil {
		users := make([]watched, 0, len(w.users))
		for i := range w.users {
			if to := of(r.users, uint32(i)); to != dropped {
				for int(to) >= len(users) {
					users = append(users, watched{})
				}
				users[to] = w.users[i]
			}
		}
		w.users = users
	}
	for i := range w.users {
		u := &w.users[i]
		for j := range u.loads {
			u.loads[j].file = of(r.files, u.loads[j].file)
		}
		for j := range u.places {
			u.places[j].network = of(r.networks, u.places[j].network)
		}
		if u.network > 0 {
			u.network = of(r.networks, u.network-1) + 1
		}
		if r.networks != nil {
			for j := range u.sights {
				u.sights[j].network = of(r.networks, u.sights[j].network)
			}
			u.sights = slices.DeleteFunc(u.sights, func(s sight) bool { return s.network == dropped })
			slices.SortFunc(u.sights, func(a, b sight) int { return cmp.Compare(a.network, b.network) })
		}
	}
	w.sights = 0
	for i := range w.users {
		w.sights += len(w.users[i].sights)
	}
	for i := range w.head {
		s := &w.head[i]
		s.user, s.host, s.network, s.file = of(r.users, s.user), of(r.hosts, s.host), of(r.networks, s.network), of(r.files, s.file)
	}
	w.failed = moved(w.failed, func(k attempt) (attempt, bool) {
		k = attempt{of(r.users, k.user), of(r.hosts, k.host), of(r.files, k.file)}
		return k, k.user != dropped && k.host != dropped && k.file != dropped
	})
	w.best = moved(w.best, func(k ruleUser) (ruleUser, bool) {
		k.user = of(r.users, k.user)
		return k, k.user != dropped
	})
}

func moved[K comparable, V any](m map[K]V, to func(K) (K, bool)) map[K]V {
	if m == nil {
		return nil
	}
	out := make(map[K]V, len(m))
	for k, v := range m {
		if k, ok := to(k); ok {
			out[k] = v
		}
	}
	return out
}

// write adds a watcher to a state. Its head is for the part before, and there is
// none.
func (w *watcher) write(e *encoder) {
	for _, n := range [...]int64{w.began, w.latest, w.retried, w.mended, w.wasted, w.lost} {
		e.varint(n)
	}
	e.uvarint(uint64(len(w.users)))
	for i := range w.users {
		w.users[i].write(e, w.began, w.latest)
	}
	failed := sortedKeys(w.failed, func(a, b attempt) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.host, b.host), cmp.Compare(a.file, b.file))
	})
	failed = slices.DeleteFunc(failed, func(k attempt) bool { return w.failed[k] < w.latest-tenMinutes })
	e.uvarint(uint64(len(failed)))
	for _, key := range failed {
		for _, n := range [...]int64{int64(key.user), int64(key.host), int64(key.file), w.failed[key]} {
			e.varint(n)
		}
	}
	e.uvarint(uint64(len(w.best)))
	for _, key := range sortedKeys(w.best, func(a, b ruleUser) int { return cmp.Or(cmp.Compare(a.rule, b.rule), cmp.Compare(a.user, b.user)) }) {
		b := w.best[key]
		for _, n := range [...]int64{int64(key.rule), int64(key.user), b.n, b.at} {
			e.varint(n)
		}
	}
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
	for _, n := range [...]int64{u.count, int64(u.network), int64(u.run), u.from} {
		e.varint(n)
	}
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
	w.users = make([]watched, d.length(7))
	for i := range w.users {
		w.users[i].load(d, w.began)
		w.sights += len(w.users[i].sights)
	}
	if n := d.length(4); n > 0 {
		w.failed = make(map[attempt]int64, n)
		for range n {
			w.failed[attempt{d.number(), d.number(), d.number()}] = d.varint()
		}
	}
	if n := d.length(4); n > 0 {
		w.best = make(map[ruleUser]extreme, n)
		for range n {
			w.best[ruleUser{ruleNumber(d.varint()), d.number()}] = extreme{d.varint(), d.varint()}
		}
	}
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
	u.network = d.number()
	u.run, u.from, u.led = int32(d.varint()), d.varint(), true
	for range d.length(2) {
		u.loads = append(u.loads, load{d.varint(), d.number()})
	}
	for range d.length(1) {
		u.deletes = append(u.deletes, d.varint())
	}
	for range d.length(2) {
		u.places = append(u.places, place{d.varint(), d.number()})
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
