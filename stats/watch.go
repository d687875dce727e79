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

// What an entry was.
type what uint8

const (
	upload what = 1 << iota
	download
	deletion
	whole // it was not cut
)

// bits are 1 for what it was: an upload, a download, a delete, and a transfer that was
// cut.
func (w what) bits() (up, down, gone, cut int64) {
	n := int64(w)
	up, down, gone = n&1, n>>1&1, n>>2&1
	return up, down, gone, (up | down) &^ (n >> 3)
}

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
// part keeps its first hour: the part before sees that, too. The findings are those
// of one pass then, unless that hour has more than maxHead entries. An entry that is
// late counts in the windows that end after it.
type watcher struct {
	users   []watched
	sights  int // of all users
	held    int // loads, deletes, places and failed of all users
	best    map[ruleUser]extreme
	sweeps  sweeps
	head    []seen // of the first hour
	began   int64  // when that was
	latest  int64
	retried int64
	mended  int64
	wasted  int64
	lost    int64 // what there was no room for
}

// What a watcher keeps at most, whatever it is shown.
const (
	maxHead   = 100_000
	maxSights = 1 << 20
	maxRoams  = 64   // networks of a user, for whom another one is no news then
	maxWindow = 4096 // downloads of a user in a window, or deletes
	maxPlaces = 256  // networks of a user in a window
	maxFailed = 256  // incomplete transfers of a user that may be tried again
	maxHeld   = 1 << 20
	maxBest   = 1 << 16
)

const (
	tenMinutes = 600
	hourLong   = 3600
)

// watched is a user.
type watched struct {
	count   int64     // of entries so far
	lately  [4]uint32 // the networks of the last entries, plus one, which are among sights
	turn    uint8     // in lately
	run     int32     // of incomplete transfers, up to now
	leading int32     // of those from the beginning on
	led     bool      // since there was a whole one
	roams   bool      // in too many networks for sights
	leadTo  int64     // when the last of leading was
	gone    int32     // of loads, those that are out of the window
	loads   []load    // the downloads of ten minutes, in order of time
	// files is how often each is among loads that are not gone. It is there while
	// there are many, so that they need not be counted for each.
	files   map[uint32]int32
	deletes []int64 // of ten minutes, in order of time
	places  []place // the networks of an hour
	failed  []attempt
	// failedAt is when the last of them was, or later.
	failedAt int64
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

type ruleUser struct {
	rule ruleNumber
	user uint32
}

// An extreme is the most that a window had.
type extreme struct {
	n  int64
	at int64 // when it was reached
}

// begin shows an entry before anything of those in the same batch is seen: they come
// in the order of the log.
func (w *watcher) begin(s *seen) {
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
}

// see shows an entry. Those of a user come in the order of the log, and different
// users in any.
func (w *watcher) see(s *seen) {
	u := w.windows(s)
	w.network(u, s)
	u.count++
	if s.what&deletion == 0 {
		w.attempt(u, s)
		w.run(u, s)
	}
}

// tidy is called when all that came before the latest entry was seen.
func (w *watcher) tidy() {
	if w.held > maxHeld {
		w.release(w.latest)
	}
}

// touch looks at what see will look at, for the processor to have it by then.
func (w *watcher) touch(user uint32) uint64 {
	if int64(user) >= int64(len(w.users)) {
		return 0
	}
	u := &w.users[user]
	return uint64(u.count) + uint64(len(u.places)) + uint64(len(u.sights))
}

// touchWindows does so when touch was there.
func (w *watcher) touchWindows(user uint32) (touched uint64) {
	if int64(user) >= int64(len(w.users)) {
		return 0
	}
	u := &w.users[user]
	if n := len(u.places); n > 0 {
		touched += uint64(u.places[n-1].at)
	}
	if n := len(u.loads); n > 0 {
		touched += uint64(u.loads[n-1].at)
	}
	return touched
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

// network notes when a user was first in a network.
func (w *watcher) network(u *watched, s *seen) {
	now := s.network + 1
	if u.lately[0] == now || u.lately[1] == now || u.lately[2] == now || u.lately[3] == now || u.roams {
		return
	}
	u.lately[u.turn%4] = now
	u.turn++
	w.sight(u, sight{s.network, uint32(min(u.count, math.MaxUint32)), s.at})
}

func (w *watcher) sight(u *watched, first sight) {
	at, known := slices.BinarySearchFunc(u.sights, first.network, func(s sight, n uint32) int { return cmp.Compare(s.network, n) })
	switch {
	case known || u.roams:
	case len(u.sights) == maxRoams:
		w.roam(u)
	case w.sights >= maxSights:
		w.lost++
	default:
		w.sights++
		u.sights = slices.Insert(u.sights, at, first)
	}
}

// roam forgets where a user was first.
func (w *watcher) roam(u *watched) {
	w.sights -= len(u.sights)
	u.roams, u.sights = true, nil
}

// run counts incomplete transfers one after the other.
func (w *watcher) run(u *watched, s *seen) {
	if s.what&whole != 0 {
		u.run, u.led = 0, true
		return
	}
	u.run++
	if !u.led {
		u.leading, u.leadTo = u.run, s.at
	}
	if n := int64(u.run); n >= failureRunLeast {
		w.reached(ruleFailures, s, n)
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
		files := w.sweeps.files
		*w = *later
		w.sweeps.files, w.sweeps.folders = files, folders{}
		return
	}
	// What is in windows across the border is seen from here.
	headEnd := later.began + hourLong
	if len(later.head) == maxHead {
		headEnd = later.head[maxHead-1].at
	}
	for i := range later.head {
		s := &later.head[i]
		if s.user == dropped {
			continue
		}
		u := w.windows(s)
		if s.what&deletion == 0 {
			w.again(u, s)
		}
	}
	for i := range later.users {
		for i >= len(w.users) {
			w.users = append(w.users, watched{})
		}
		u, there := &w.users[i], &later.users[i]
		for _, first := range there.sights {
			first.before = uint32(min(int64(first.before)+u.count, math.MaxUint32))
			w.sight(u, first)
		}
		if there.roams {
			w.roam(u)
		}
		if n := int64(u.run) + int64(there.leading); there.leading > 0 && n >= failureRunLeast {
			w.reached(ruleFailures, &seen{user: uint32(i), at: there.leadTo}, n)
		}
		w.judge(uint32(i), u)
		u.follow(there, headEnd)
	}
	for key, e := range later.best {
		w.reached(key.rule, &seen{user: key.user, at: e.at}, e.n)
	}
	w.mergeSweeps(later)
	w.retried += later.retried
	w.mended += later.mended
	w.wasted += later.wasted
	w.latest = max(w.latest, later.latest)
	w.lost += later.lost
	w.held = 0
	for i := range w.users {
		w.held += w.users[i].held()
	}
	w.tidy()
}

// follow puts behind what a user did what he did then. The windows of who did
// nothing after a time are right already.
func (u *watched) follow(later *watched, since int64) {
	if later.count == 0 {
		return
	}
	if !u.led && later.leading > 0 {
		u.leading, u.leadTo = u.run+later.leading, later.leadTo
	}
	if later.led {
		u.run = later.run
	} else {
		u.run += later.run
	}
	u.led = u.led || later.led
	u.count += later.count
	u.lately = [4]uint32{}
	if n := len(later.loads); n > 0 && later.loads[n-1].at >= since {
		u.loads, u.gone, u.files = later.loads, later.gone, later.files
	}
	if n := len(later.deletes); n > 0 && later.deletes[n-1] >= since {
		u.deletes = later.deletes
	}
	if n := len(later.places); n > 0 && later.places[n-1].at >= since {
		u.places = later.places
	}
	u.failed = append(u.failed, later.failed...)
	u.failed = u.failed[max(len(u.failed)-maxFailed, 0):]
	u.failedAt = max(u.failedAt, later.failedAt)
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
		u.files = nil // it is made again when it is needed
		for j := range u.loads {
			u.loads[j].file = of(r.files, u.loads[j].file)
		}
		for j := range u.places {
			u.places[j].network = of(r.networks, u.places[j].network)
		}
		for j := range u.failed {
			u.failed[j].host, u.failed[j].file = of(r.hosts, u.failed[j].host), of(r.files, u.failed[j].file)
		}
		u.failed = slices.DeleteFunc(u.failed, func(a attempt) bool { return a.host == dropped || a.file == dropped })
		if r.networks != nil {
			u.lately = [4]uint32{}
			for j := range u.sights {
				u.sights[j].network = of(r.networks, u.sights[j].network)
			}
			u.sights = slices.DeleteFunc(u.sights, func(s sight) bool { return s.network == dropped })
			slices.SortFunc(u.sights, func(a, b sight) int { return cmp.Compare(a.network, b.network) })
		}
	}
	w.sights, w.held = 0, 0
	for i := range w.users {
		w.sights += len(w.users[i].sights)
		w.held += w.users[i].held()
	}
	for i := range w.head {
		s := &w.head[i]
		s.user, s.host, s.network, s.file = of(r.users, s.user), of(r.hosts, s.host), of(r.networks, s.network), of(r.files, s.file)
	}
	w.best = moved(w.best, func(k ruleUser) (ruleUser, bool) {
		k.user = of(r.users, k.user)
		return k, k.user != dropped
	})
	w.sweeps.renumber(r)
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
