package stats

import "slices"

// merge adds what another collector counted of entries that came after ours, by
// the same options. Of the other nothing is left that may be used.
func (c *Collector) merge(later *Collector) {
	c.flush()
	later.flush()
	c.read.add(later.read)
	if later.began && (!c.began || later.first < c.first) {
		c.first, c.began = later.first, true
	}
	var r renumbering
	c.mergeUsers(later, &r)
	c.mergeHosts(later, &r)
	c.mergeFiles(later, &r)
	c.watch.merge(&later.watch, r)
	c.logins.merge(&later.logins)
	c.sessions.merge(&later.sessions)
	for i := range c.crossed {
		mergeTable(&c.crossed[i], &later.crossed[i])
	}
	c.hours.merge(&later.hours)
	c.kinds.merge(&later.kinds)
	c.sizes.merge(&later.sizes)
	c.rates.merge(&later.rates)
	c.spans.merge(&later.spans)
	c.crowd.merge(&later.crowd)
}

// roomAgain is room while numbers are found for those of another collector.
func (c *Collector) roomAgain(found *renumbering) {
	r := c.room()
	if r.users == nil && r.hosts == nil && r.files == nil {
		return
	}
	for _, list := range [...]struct{ found, moved []uint32 }{{found.users, r.users}, {found.hosts, r.hosts}, {found.networks, r.networks}, {found.files, r.files}} {
		for i, n := range list.found {
			list.found[i] = of(list.moved, n)
		}
	}
}

func (c *Collector) mergeUsers(later *Collector, r *renumbering) {
	var days []day
	for i := range later.users.cells {
		c.roomAgain(r)
		n := c.users.take(&later.users, uint32(i))
		if int(n) == len(c.days) {
			c.days = append(c.days, calendar{})
		}
		r.users = append(r.users, n)
		days = later.days[i].days(days[:0])
		for j := range days {
			c.day(n, int64(days[j].number)*86400).merge(&days[j])
		}
	}
	c.users.mergeFolded(&later.users)
	c.dayLost += later.dayLost
}

func (c *Collector) mergeHosts(later *Collector, r *renumbering) {
	r.networks = slices.Repeat([]uint32{dropped}, len(later.networks.ends))
	for i := range later.hosts.cells {
		c.roomAgain(r)
		n := c.hosts.take(&later.hosts, uint32(i))
		there := later.network[i]
		if int(n) == len(c.network) {
			c.network = append(c.network, c.networks.number(later.networks.name(there)))
		}
		r.hosts = append(r.hosts, n)
		r.networks[there] = c.network[n]
	}
	c.hosts.mergeFolded(&later.hosts)
}

func (c *Collector) mergeFiles(later *Collector, r *renumbering) {
	for i := range later.files.cells {
		c.roomAgain(r)
		r.files = append(r.files, c.files.take(&later.files, uint32(i)))
	}
	c.files.mergeFolded(&later.files)
}

func (h *hours) merge(later *hours) {
	for number, i := range later.number {
		h.at(number).merge(&later.cells[i])
	}
	h.other.merge(&later.other)
	h.folded += later.folded
}

func (k *kinds) merge(later *kinds) {
	for i := range later.list {
		e := later.list[i].entry()
		k.at(&e).merge(&later.cells[i])
	}
	k.other.merge(&later.other)
	k.folded += later.folded
}

func mergeTable(t, later *table) {
	for i := range later.cells {
		if t.full() {
			t.shrink()
		}
		t.take(later, uint32(i))
	}
	t.mergeFolded(later)
}

// take adds what another table has of one key, and returns its number in ours.
func (t *table) take(later *table, i uint32) uint32 {
	name := later.name(i)
	n := t.at(name, t.hash(name))
	t.cells[n].merge(&later.cells[i])
	if missed := later.missed(i); missed > 0 {
		if t.missing == nil {
			t.missing = make([]int64, len(t.cells))
		}
		t.missing[n] += missed
	}
	return n
}

// mergeFolded adds what another table folded.
func (t *table) mergeFolded(later *table) {
	if later.folded == 0 {
		return
	}
	t.other.merge(&later.other)
	t.folded += later.folded
	t.floor += later.floor
}

// merge adds another one.
func (s *spread) merge(o *spread) {
	s.sketch.merge(&o.sketch)
	for i := range s.classes {
		s.classes[i].count += o.classes[i].count
		s.classes[i].bytes += o.classes[i].bytes
	}
	s.counted += o.counted
	s.left += o.left
	s.bytes += o.bytes
	s.millis += o.millis
	s.most = max(s.most, o.most)
}

// add adds what more was read.
func (r *Read) add(o Read) {
	r.Files += o.Files
	r.Bytes += o.Bytes
	r.Lines += o.Lines
	r.Entries += o.Entries
	r.Bad += o.Bad
	r.TooLong += o.TooLong
	r.Ambiguous += o.Ambiguous
	r.Left += o.Left
}
