package stats

import (
	"slices"
	"time"

	"portreeve/logparse"
)

// Options say what is counted and how.
type Options struct {
	Zone *time.Location // by whose clocks; nil is time.Local
	By   [][]Dimension  // what else to sum up: one dimension, or two crossed
	Keys int            // that a table keeps; 0 is DefaultKeys
	// Order is by what the best keys are found; "" is ByBytes.
	Order Order
	Top   int // rows of a table in a report; 0 is DefaultTop, below 0 all
	// Depth is how many folders a directory is told with; 0 is DefaultDepth.
	Depth int
	// Keep tells whether an entry counts; nil: all do. Filter is the same in words.
	Keep   func(*logparse.Entry) bool
	Filter string
	// Anonymous are the names of users under which servers log anonymous sessions
	// without saying so; nil is ftp and anonymous.
	Anonymous []string
	// Quota tells what a user has and may have, for forecasts; nil: nobody knows.
	Quota func(user string) (Quota, bool)
	// Quiet are the rules that do not speak, by name.
	Quiet []string
}

// What options are unless told otherwise.
const (
	DefaultKeys  = 1_000_000
	DefaultTop   = 10
	DefaultDepth = 3
)

// A Collector sums entries up. It is not for two goroutines.
type Collector struct {
	options Options

	read    Read
	began   bool
	first   int64 // second of the earliest entry
	batch   batch // entries that are not in what follows; see flush
	unnamed unnamed
	touched uint64 // so that looking at something ahead of time is done

	users, hosts, files table
	// What more is known of users and hosts, by their numbers.
	days     []calendar
	networks names
	network  []uint32

	hours   hours
	kinds   kinds
	crossed []table // as options.By
	sizes   spread
	rates   spread
	spans   spread
	crowd   crowd
	key     []byte // to write in
	quarter int64  // of an hour since 1970, whose
	offset  int64  // offset of the zone this is, in seconds

	watch    watcher
	logins   logins
	sessions sessions
	dayCells int // in days, about
	dayLost  int64
}

// maxDays is how many days of users are kept: some 16 bytes each.
const maxDays = 8 << 20

// NewCollector makes a collector.
func NewCollector(o Options) *Collector {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Keys == 0 {
		o.Keys = DefaultKeys
	}
	if o.Top == 0 {
		o.Top = DefaultTop
	}
	if o.Depth == 0 {
		o.Depth = DefaultDepth
	}
	if o.Order == "" {
		o.Order = ByBytes
	}
	if o.Anonymous == nil {
		o.Anonymous = []string{"ftp", "anonymous"}
	}
	c := &Collector{options: o, users: newTable(o.Keys), hosts: newTable(o.Keys), files: newTable(o.Keys), networks: newNames(), logins: newLogins(),
		quarter: -1 << 62}
	c.watch.sweeps.files = &c.files
	c.crossed = make([]table, len(o.By))
	for i := range c.crossed {
		c.crossed[i] = newTable(o.Keys)
	}
	return c
}

// Add counts an entry, and keeps nothing of it.
func (c *Collector) Add(e *logparse.Entry) {
	if c.options.Keep != nil && !c.options.Keep(e) {
		c.read.Left++
		return
	}
	c.sessions.add(e)
	switch e.Event {
	case logparse.Transfer, logparse.Delete:
		c.moved(e)
	case logparse.Login:
		c.logins.add(e, e.Time.Unix())
	}
}

// moved counts a transfer or a delete.
func (c *Collector) moved(e *logparse.Entry) {
	at := e.Time.Unix()
	wall := c.wall(e.Time, at)
	one := seen{at: at, bytes: e.Bytes, took: int64(e.Took / time.Millisecond), offset: int32(c.offset), what: whatOf(e)}
	if !c.began || at < c.first {
		c.first, c.began = at, true
	}
	if e.Xfer.Mode != 'a' && c.isAnonymous(e.User) {
		e.Xfer.Mode = 'a'
	}
	c.hours.at(floorDiv(wall, 3600)).add(&one)
	c.kinds.at(e).add(&one)
	if e.Event == logparse.Transfer {
		c.transferred(e, at)
	}
	for i, by := range c.options.By {
		c.cross(&c.crossed[i], by, e, wall).add(&one)
	}
	if c.users.full() || c.hosts.full() || c.files.full() {
		c.flush()
		c.room()
	}
	c.batch.add(&one)
	if c.unnamed.add(e, &c.users, &c.hosts, &c.files); c.unnamed.full() {
		c.name()
	}
	if c.batch.full() {
		c.flush()
	}
}

// name finds the numbers of the names of the last entries.
func (c *Collector) name() {
	u := &c.unnamed
	var touched uint64
	for i := range u.list {
		w := &u.list[i]
		touched += c.users.home(w.user.hash).hash + c.hosts.home(w.host.hash).hash + c.files.home(w.file.hash).hash
	}
	c.touched += touched
	list := c.batch.list[len(c.batch.list)-len(u.list):]
	from := 0
	for i := range u.list {
		w, s := &u.list[i], &list[i]
		s.user = c.users.wanted(u.text[from:w.user.end], w.user.hash)
		s.host = c.hosts.wanted(u.text[w.user.end:w.host.end], w.host.hash)
		s.file = c.files.wanted(u.text[w.host.end:w.file.end], w.file.hash)
		from = w.file.end
		if int(s.user) == len(c.days) {
			c.days = append(c.days, calendar{})
		}
		if int(s.host) == len(c.network) {
			c.network = append(c.network, c.networks.number(network(c.hosts.name(s.host))))
		}
		s.network = c.network[s.host]
	}
	u.clear()
}

// transferred counts how much, how long and how fast.
func (c *Collector) transferred(e *logparse.Entry, at int64) {
	c.crowd.add(at, int64(e.Took/time.Second))
	c.sizes.add(sizeOf(e.Bytes), float64(e.Bytes), e)
	c.spans.add(0, e.Took.Seconds(), e)
	if rate, ok := rateOf(e); ok {
		c.rates.add(rateClassOf(rate), rate, e)
	} else {
		c.rates.left++
	}
}

// isAnonymous tells whether a name stands for no account.
func (c *Collector) isAnonymous(user string) bool {
	for _, name := range c.options.Anonymous {
		if name == user {
			return true
		}
	}
	return false
}

// flush counts those of the batch. It is to be called before anything is looked up.
func (c *Collector) flush() {
	c.name()
	list := c.batch.list
	for i := range list {
		c.watch.begin(&list[i])
		c.files.cells[list[i].file].add(&list[i])
	}
	for i := range list {
		c.hosts.cells[list[i].host].add(&list[i])
	}
	c.batch.byUser(len(c.users.cells))
	for _, user := range c.batch.users {
		c.touched += uint64(c.users.cells[user].last) + uint64(len(c.days[user].recent)) + c.watch.touch(user)
	}
	next := 0
	for i, user := range c.batch.users {
		if i%together == 0 {
			c.aheadUsers(c.batch.users[i:min(i+together, len(c.batch.users))])
		}
		for range c.batch.of[user].n {
			if next%together == 0 {
				c.aheadEntries(c.batch.order[next:min(next+together, len(c.batch.order))])
			}
			s := &list[c.batch.order[next]]
			next++
			c.users.cells[user].add(s)
			c.day(user, s.wall()).add(s)
			c.watch.see(s)
		}
	}
	c.batch.clear()
	c.watch.tidy()
}

// together is of how many things memory is looked at before the first is worked on:
// the processor waits once for all of them.
const together = 32

// aheadUsers looks at what is known of users.
func (c *Collector) aheadUsers(users []uint32) {
	var touched uint64
	for _, user := range users {
		if n := len(c.days[user].recent); n > 0 {
			touched += uint64(c.days[user].recent[n-1].count)
		}
		touched += c.watch.touchWindows(user)
	}
	c.touched += touched
}

// aheadEntries looks at entries of the batch.
func (c *Collector) aheadEntries(order []int32) {
	var touched int64
	for _, i := range order {
		touched += c.batch.list[i].at
	}
	c.touched += uint64(touched)
}

// room folds keys where there is no room for one more, and tells the new numbers of
// the others, if there are any. The batch has to be flushed.
func (c *Collector) room() (r renumbering) {
	if c.users.full() {
		r.users = c.users.shrink()
		c.days = renumber(c.days, r.users, len(c.users.cells))
		c.dayCells = 0
		for i := range c.days {
			c.dayCells += c.days[i].size()
		}
	}
	if c.hosts.full() {
		r.hosts = c.hosts.shrink()
		c.network = renumber(c.network, r.hosts, len(c.hosts.cells))
		r.networks = c.shrinkNetworks()
	}
	if c.files.full() {
		r.files = c.files.shrink()
	}
	if r.users != nil || r.hosts != nil || r.files != nil {
		c.watch.renumber(r)
	}
	return r
}

// shrinkNetworks leaves those that there are hosts of.
func (c *Collector) shrinkNetworks() []uint32 {
	old := c.networks
	numbers := slices.Repeat([]uint32{dropped}, len(old.ends))
	c.networks = newNames()
	for i, n := range c.network {
		numbers[n] = c.networks.number(old.name(n))
		c.network[i] = numbers[n]
	}
	return numbers
}

// renumber puts what is known of keys where their new numbers are.
func renumber[T any](list []T, numbers []uint32, n int) []T {
	moved := make([]T, n)
	for i, to := range numbers {
		if to != dropped {
			moved[to] = list[i]
		}
	}
	return moved
}

// wall returns what clocks of the zone show, as clocks at UTC would count it.
func (c *Collector) wall(t time.Time, at int64) int64 {
	if quarter := floorDiv(at, 900); quarter != c.quarter { // no zone changes within one
		_, offset := t.In(c.options.Zone).Zone()
		c.quarter, c.offset = quarter, int64(offset)
	}
	return at + c.offset
}

// day returns what a user did on the day of an entry.
func (c *Collector) day(user uint32, wall int64) *day {
	if c.dayCells >= maxDays {
		c.dayLost++
		return new(day)
	}
	d, fresh := c.days[user].day(int32(min(max(floorDiv(wall, 86400), -maxDay), maxDay)))
	if fresh {
		c.dayCells++
	}
	return d
}

// add counts an entry.
func (d *day) add(w *seen) {
	d.hours |= 1 << (floorDiv(w.wall(), 3600) - floorDiv(w.wall(), 86400)*24)
	up, down, gone, cut := w.what.bits()
	d.count += int32(up + down)
	d.incomplete += int32(cut)
	d.deletes += int32(gone)
	d.in += w.bytes & -up
	d.out += w.bytes & -down
	d.deleted += w.bytes & -gone
}

// merge adds another one.
func (d *day) merge(o *day) {
	d.hours |= o.hours
	d.count += o.count
	d.incomplete += o.incomplete
	d.deletes += o.deletes
	d.in += o.in
	d.out += o.out
	d.deleted += o.deleted
}

// cross returns the cell of an entry in a table that was asked for.
func (c *Collector) cross(t *table, by []Dimension, e *logparse.Entry, wall int64) *cell {
	if t.full() {
		t.shrink()
	}
	local := *e
	local.Time = time.Unix(wall, 0).UTC()
	c.key = c.key[:0]
	for _, d := range by {
		c.key = appendText(c.key, d.key(&c.options, &local))
	}
	key := string(c.key)
	return &t.cells[t.at(key, t.hash(key))]
}

// A spread is how values are spread.
type spread struct {
	sketch  sketch
	classes [32]class
	counted int64
	left    int64
	bytes   int64
	millis  int64 // that they took
	most    float64
}

type class struct{ count, bytes int64 }

func (s *spread) add(class int, value float64, e *logparse.Entry) {
	s.sketch.add(value)
	s.classes[class].count++
	s.classes[class].bytes += e.Bytes
	s.counted++
	s.bytes += e.Bytes
	s.millis += int64(e.Took / time.Millisecond)
	s.most = max(s.most, value)
}

// Last is the time of the newest transfer or delete; zero if there is none.
func (c *Collector) Last() time.Time {
	c.flush()
	if !c.began {
		return time.Time{}
	}
	return time.Unix(c.total().last, 0).In(c.options.Zone)
}

// total is the sum of everything.
func (c *Collector) total() cell {
	sum := c.kinds.other
	for i := range c.kinds.cells {
		sum.merge(&c.kinds.cells[i])
	}
	return sum
}
