package stats

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unsafe"

	"portreeve/logparse"
)

// points is how many the curve of concurrency has at most.
const points = 400

// An Order is by what the best keys are found.
type Order string

// The orders.
const (
	ByBytes Order = "bytes"
	ByCount Order = "count"
)

// Report makes a report of what was added so far; more may be added afterwards.
// Before, if there is one, is what this is compared with.
func (c *Collector) Report(before *Collector) *Report {
	c.flush()
	o := &c.options
	r := &Report{Made: Stamp{time.Now().In(o.Zone)}, Zone: zoneName(o.Zone), Filters: o.Filter, Read: c.read, Users: c.users.keys(), Hosts: c.hosts.keys(), Files: c.files.keys(),
		Capped: c.users.folded+c.hosts.folded+c.files.folded > 0}
	r.Read.Forgotten = c.dayLost + c.crowd.lost + c.watch.lost + c.logins.lost + c.logins.more + c.sessions.lost
	total := c.total()
	r.Total = c.sum(&total)
	if c.began {
		r.From, r.To = c.stamp(c.first), r.Total.Last
	}
	if before != nil {
		before.flush()
		sum := before.total()
		s := before.sum(&sum)
		r.Before = &s
	}
	for i := range Dimensions {
		if d := &Dimensions[i]; d.of != byNothing {
			r.add(c.show(c.fold(d), []Dimension{*d}, before.folded(d)))
		}
	}
	for i, by := range o.By {
		if len(by) == 1 && by[0].of != byNothing {
			continue // it is there
		}
		r.add(c.show(&c.crossed[i], by, before.crossedTable(i)))
	}
	r.Sizes, r.Rates, r.Durations = c.distributions()
	c.heat(r)
	c.concurrency(r)
	r.Failures = Failures{Count: total.incomplete, Wasted: c.watch.wasted, Retried: c.watch.retried, Mended: c.watch.mended}
	r.Sessions = c.sessions.show()
	r.Logins = c.logins.show(c)
	r.Forecasts = c.forecasts(o.Quota)
	r.Unusual = c.findings()
	return r
}

// zoneName is what a zone is called.
func zoneName(zone *time.Location) string {
	if name := zone.String(); name != "Local" {
		return name
	}
	return time.Now().Format("MST")
}

func (c *Collector) stamp(at int64) Stamp { return Stamp{time.Unix(at, 0).In(c.options.Zone)} }

// sum is a cell for others.
func (c *Collector) sum(cell *cell) Sum {
	s := Sum{Up: cell.up, Down: cell.down, Deleted: cell.deleted, Incomplete: cell.incomplete, In: cell.in, Out: cell.out,
		Seconds: float64(cell.took) / 1000}
	if cell.count() > 0 {
		s.Last = c.stamp(cell.last)
	}
	return s
}

// keys is how many there are, at least.
func (t *table) keys() int64 { return int64(len(t.cells)) + t.folded }

// folded is fold, of a collector that may not be there.
func (c *Collector) folded(d *Dimension) *table {
	if c == nil {
		return nil
	}
	return c.fold(d)
}

func (c *Collector) crossedTable(i int) *table {
	if c == nil {
		return nil
	}
	return &c.crossed[i]
}

// fold sums a dimension up from its base.
func (c *Collector) fold(d *Dimension) *table {
	switch d.Name {
	case "user":
		return &c.users
	case "host":
		return &c.hosts
	case "file":
		return &c.files
	}
	t := newTable(c.options.Keys)
	add := func(e *logparse.Entry, cell *cell) {
		if t.full() {
			t.shrink()
		}
		key := d.key(&c.options, e)
		t.cellOf(key).merge(cell)
	}
	var e logparse.Entry
	switch d.of {
	case byUser:
		c.users.each(&t, func(name string, cell *cell) { e.User = name; add(&e, cell) })
	case byHost:
		c.hosts.each(&t, func(name string, cell *cell) { e.Host = name; add(&e, cell) })
	case byFile:
		c.files.each(&t, func(name string, cell *cell) { e.Path = name; add(&e, cell) })
	case byHour:
		for number, i := range c.hours.number {
			e.Time = time.Unix(number*3600, 0).UTC()
			add(&e, &c.hours.cells[i])
		}
		t.other, t.folded = c.hours.other, c.hours.folded
	case byKind:
		for i := range c.kinds.list {
			e = c.kinds.list[i].entry()
			add(&e, &c.kinds.cells[i])
		}
		t.other, t.folded = c.kinds.other, c.kinds.folded
	}
	return &t
}

// each calls f for each key, which is not to be kept, and hands on what was folded.
func (t *table) each(to *table, f func(string, *cell)) {
	all, from := unsafe.String(unsafe.SliceData(t.text), len(t.text)), uint32(0) // nothing is added meanwhile
	for i, end := range t.ends {
		f(all[from:end], &t.cells[i])
		from = end
	}
	to.other, to.folded = t.other, t.folded
}

// cellOf returns the cell of a key, a new one if need be.
func (t *table) cellOf(key string) *cell { return &t.cells[t.at(key, t.hash(key))] }

// cell returns that of a key, or nil.
func (t *table) cell(key string) *cell {
	if s := t.find(t.hash(key)); s.after > 0 {
		return &t.cells[s.after-1]
	}
	return nil
}

// show shows the best rows, and sums the rest up.
func (c *Collector) show(t *table, by []Dimension, before *table) Table {
	out := Table{Keys: t.keys(), Folded: t.other.count(), Ordered: by[0].Ordered}
	var names, titles []string
	for _, d := range by {
		names, titles = append(names, d.Name), append(titles, d.Title)
	}
	out.Name, out.Title = strings.Join(names, ","), strings.Join(titles, " and ")
	numbers := make([]uint32, len(t.cells))
	for i := range numbers {
		numbers[i] = uint32(i)
	}
	limit := c.options.Top
	if out.Ordered && len(by) == 1 {
		limit = -1
	}
	if limit >= 0 && limit < len(numbers) {
		numbers = t.best(numbers, limit, c.options.Order)
	} else {
		slices.SortFunc(numbers, t.better(c.options.Order))
	}
	if out.Ordered {
		slices.SortFunc(numbers, func(a, b uint32) int { return cmp.Compare(t.name(a), t.name(b)) })
	}
	total := c.total()
	shown := cell{}
	for _, n := range numbers {
		row := c.row(t.name(n), &t.cells[n], &total, len(by))
		row.Missing = t.missed(n)
		if before != nil {
			row.Before = &Sum{}
			if old := before.cell(t.name(n)); old != nil {
				*row.Before = c.sum(old)
			}
		}
		out.Rows = append(out.Rows, row)
		shown.merge(&t.cells[n])
	}
	if other := total.without(&shown); other.count() > 0 {
		row := c.row("", &other, &total, 0)
		row.Last = Stamp{}
		out.Other = &row
	}
	return out
}

// add adds a table that tells something.
func (r *Report) add(t Table) {
	nothing := len(t.Rows) == 1 && t.Other == nil && (t.Rows[0].Key == notTold || t.Rows[0].Key == noDomain)
	if len(t.Rows) == 0 || nothing {
		return
	}
	r.Tables = append(r.Tables, t)
}

// Table returns the table of that name, or nil.
func (r *Report) Table(name string) *Table {
	for i := range r.Tables {
		if r.Tables[i].Name == name {
			return &r.Tables[i]
		}
	}
	return nil
}

// row is a key's, which is of so many parts.
func (c *Collector) row(key string, cell, total *cell, parts int) Row {
	row := Row{Key: key, Sum: c.sum(cell)}
	if parts > 1 {
		d := decoder{rest: []byte(key)}
		row.Key, row.Also = d.text(), d.text()
	}
	if n := total.count(); n > 0 {
		row.OfCount = float64(cell.count()) / float64(n)
	}
	if n := total.bytes(); n > 0 {
		row.OfBytes = float64(cell.bytes()) / float64(n)
	}
	return row
}

// better orders numbers by what their keys amount to, best first.
func (t *table) better(order Order) func(a, b uint32) int {
	return func(a, b uint32) int {
		x, y := &t.cells[a], &t.cells[b]
		first, second := cmp.Compare(y.bytes(), x.bytes()), cmp.Compare(y.count(), x.count())
		if order == ByCount {
			first, second = second, first
		}
		if first != 0 {
			return first
		}
		if second != 0 {
			return second
		}
		return cmp.Compare(t.name(a), t.name(b))
	}
}

// best returns the best of numbers, in their order. Most are not better than the
// last of those that were found, which is seen at once.
func (t *table) best(numbers []uint32, n int, order Order) []uint32 {
	if n == 0 {
		return nil
	}
	better := t.better(order)
	found := make([]uint32, 0, n)
	for _, number := range numbers {
		if len(found) == n && better(number, found[n-1]) >= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(found, number, better)
		if len(found) == n {
			found = found[:n-1]
		}
		found = slices.Insert(found, at, number)
	}
	return found
}

// without is a sum less another.
func (c *cell) without(o *cell) cell {
	left := *c
	left.up -= o.up
	left.down -= o.down
	left.deleted -= o.deleted
	left.incomplete -= o.incomplete
	left.in -= o.in
	left.out -= o.out
	left.took -= o.took
	return left
}

func (c *Collector) distributions() (sizes, rates, spans Distribution) {
	sizes, rates, spans = c.sizes.show(sizeBounds), c.rates.show(rateBounds), c.spans.show(nil)
	if c.rates.millis > 0 {
		rates.Mean = float64(c.rates.bytes) / float64(c.rates.millis) * 1000
	}
	if c.sizes.counted > 0 {
		sizes.Mean = float64(c.sizes.bytes) / float64(c.sizes.counted)
		spans.Mean = float64(c.spans.millis) / 1000 / float64(c.spans.counted)
	}
	if rates.Left > 0 {
		rates.Note = "complete transfers of at least 5 seconds, or 50 milliseconds where the log tells these"
	}
	return sizes, rates, spans
}

// show is a distribution by classes with these bounds, and one without.
func (s *spread) show(bounds []int64) Distribution {
	d := Distribution{Counted: s.counted, Left: s.left, Most: s.most, P50: s.sketch.quantile(0.5), P90: s.sketch.quantile(0.9),
		P95: s.sketch.quantile(0.95), P99: s.sketch.quantile(0.99)}
	d.P50, d.P90, d.P95, d.P99 = min(d.P50, s.most), min(d.P90, s.most), min(d.P95, s.most), min(d.P99, s.most)
	for i := 0; i <= len(bounds) && len(bounds) > 0; i++ {
		b := Bucket{Count: s.classes[i].count, Bytes: s.classes[i].bytes}
		if i < len(bounds) {
			b.Below = float64(bounds[i])
		}
		d.Classes = append(d.Classes, b)
	}
	return d
}

// heat sums up by weekday and hour.
func (c *Collector) heat(r *Report) {
	var cells [7][24]cell
	for number, i := range c.hours.number {
		t := time.Unix(number*3600, 0).UTC()
		cells[(int(t.Weekday())+6)%7][t.Hour()].merge(&c.hours.cells[i])
	}
	for day := range cells {
		for hour := range cells[day] {
			r.Heat[day][hour] = c.sum(&cells[day][hour])
		}
	}
}

func (c *Collector) concurrency(r *Report) {
	settled := c.crowd.copy()
	settled.finish()
	list, step := settled.points(points)
	r.Concurrency = Concurrency{Most: settled.most, Step: int(step), Note: "transfers at once, a second more or less"}
	if settled.most > 0 {
		r.Concurrency.At = c.stamp(settled.at)
	}
	for _, p := range list {
		r.Concurrency.Points = append(r.Concurrency.Points, Point{c.stamp(p.at), p.most, float64(p.sum) / float64(step)})
	}
}
