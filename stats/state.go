package stats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"portreeve/logparse"
)

// A state is what a collector knows, so that reading a log can go on where it was
// left. Its numbers are varints; a change of anything here needs another magic.
const stateMagic = "portreeve statistics 1\n"

// ErrOther is returned for a state of other options: what it counted cannot be
// counted otherwise.
var ErrOther = errors.New("the state was made with other options")

// AppendState adds a collector's state. Extra is whatever goes with it.
func (c *Collector) AppendState(buf, extra []byte) []byte {
	c.flush()
	buf = append(buf, stateMagic...)
	buf = appendText(buf, c.options.text())
	buf = appendText(buf, string(extra))
	for _, n := range c.read.numbers() {
		buf = binary.AppendVarint(buf, *n)
	}
	began := byte(0)
	if c.began {
		began = 1
	}
	buf = append(buf, began)
	buf = binary.AppendVarint(buf, c.first)
	buf = c.users.append(buf)
	for _, days := range c.days {
		buf = binary.AppendUvarint(buf, uint64(len(days)))
		last := int64(0)
		for i := range days {
			buf = days[i].append(buf, last)
			last = int64(days[i].number)
		}
	}
	buf = binary.AppendUvarint(buf, uint64(c.dayLost))
	buf = c.hosts.append(buf)
	buf = c.files.append(buf)
	buf = c.hours.append(buf)
	buf = c.kinds.append(buf)
	for i := range c.crossed {
		buf = c.crossed[i].append(buf)
	}
	for _, s := range [...]*spread{&c.sizes, &c.rates, &c.spans} {
		buf = s.append(buf)
	}
	return c.crowd.append(buf)
}

// LoadState makes a collector that goes on where another one was, and returns what
// went with it.
func LoadState(o Options, state []byte) (c *Collector, extra []byte, err error) {
	rest, ok := bytes.CutPrefix(state, []byte(stateMagic))
	if !ok {
		return nil, nil, fmt.Errorf("%w, or by another version", errState)
	}
	c = NewCollector(o)
	d := decoder{rest: rest}
	if d.text() != c.options.text() && d.err == nil {
		return nil, nil, ErrOther
	}
	extra = d.take(d.length(1))
	for _, n := range c.read.numbers() {
		*n = d.varint()
	}
	c.began = d.byte() == 1
	c.first = d.varint()
	c.users.load(&d)
	c.days = make([][]day, len(c.users.cells))
	for i := range c.days {
		c.days[i] = loadDays(&d)
		c.dayCells += len(c.days[i])
	}
	c.dayLost = d.count()
	c.hosts.load(&d)
	for i := range c.hosts.cells {
		c.network = append(c.network, c.networks.number(network(c.hosts.name(uint32(i)))))
	}
	c.files.load(&d)
	c.hours.load(&d)
	c.kinds.load(&d)
	for i := range c.crossed {
		c.crossed[i].load(&d)
	}
	for _, s := range [...]*spread{&c.sizes, &c.rates, &c.spans} {
		s.load(&d)
	}
	c.crowd.load(&d)
	if len(d.rest) > 0 {
		d.fail()
	}
	if d.err != nil {
		return nil, nil, d.err
	}
	return c, extra, nil
}

// text is what of options a state depends on.
func (o *Options) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "zone %s, keys %d, depth %d, filter %s, anonymous %q", o.Zone, o.Keys, o.Depth, o.Filter, o.Anonymous)
	for _, by := range o.By {
		b.WriteString(", by")
		for _, d := range by {
			b.WriteString(" " + d.Name)
		}
	}
	return b.String()
}

func (r *Read) numbers() []*int64 {
	return []*int64{&r.Files, &r.Bytes, &r.Lines, &r.Entries, &r.Bad, &r.TooLong, &r.Ambiguous, &r.Left}
}

func (d *day) append(buf []byte, last int64) []byte {
	buf = binary.AppendVarint(buf, int64(d.number)-last)
	for _, n := range [...]uint32{d.hours, uint32(d.count), uint32(d.incomplete), uint32(d.deletes)} {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	for _, n := range [...]int64{d.in, d.out, d.deleted} {
		buf = binary.AppendVarint(buf, n)
	}
	return buf
}

func loadDays(d *decoder) []day {
	n := d.length(8)
	if n == 0 {
		return nil
	}
	days := make([]day, n)
	last := int64(0)
	for i := range days {
		last += d.varint()
		if last != int64(int32(last)) || i > 0 && last <= int64(days[i-1].number) {
			d.fail()
		}
		days[i].number = int32(last)
		days[i].hours, days[i].count = uint32(d.uvarint()), int32(d.uvarint())
		days[i].incomplete, days[i].deletes = int32(d.uvarint()), int32(d.uvarint())
		days[i].in, days[i].out, days[i].deleted = d.varint(), d.varint(), d.varint()
	}
	return days
}

func (h *hours) append(buf []byte) []byte {
	numbers := make([]int64, 0, len(h.number))
	for number := range h.number {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	buf = binary.AppendUvarint(buf, uint64(len(numbers)))
	for _, number := range numbers {
		buf = binary.AppendVarint(buf, number)
		buf = h.cells[h.number[number]].append(buf)
	}
	buf = h.other.append(buf)
	return binary.AppendUvarint(buf, uint64(h.folded))
}

func (h *hours) load(d *decoder) {
	for range d.length(9) {
		number := d.varint()
		if number < -1<<40 || number > 1<<40 {
			d.fail()
		}
		h.at(number).load(d)
	}
	h.other.load(d)
	h.folded = d.count()
}

func (k *kinds) append(buf []byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(k.list)))
	for i := range k.list {
		is := &k.list[i]
		ascii := byte(0)
		if is.ascii {
			ascii = 1
		}
		buf = append(buf, byte(is.event), byte(is.direction), byte(is.status), is.mode, ascii)
		for _, text := range [...]string{is.service, is.tls, is.client, is.reason} {
			buf = appendText(buf, text)
		}
		buf = k.cells[i].append(buf)
	}
	buf = k.other.append(buf)
	return binary.AppendUvarint(buf, uint64(k.folded))
}

func (k *kinds) load(d *decoder) {
	for range d.length(17) {
		var e logparse.Entry
		e.Event, e.Direction, e.Status = logparse.Event(d.byte()), logparse.Direction(d.byte()), logparse.Status(d.byte())
		e.Xfer.Mode, e.Xfer.ASCII = d.byte(), d.byte() == 1
		e.Xfer.Service, e.TLS, e.Client, e.Reason = d.text(), d.text(), d.text(), d.text()
		k.at(&e).load(d)
	}
	k.other.load(d)
	k.folded = d.count()
}

func (s *spread) append(buf []byte) []byte {
	buf = s.sketch.append(buf)
	for _, c := range s.classes {
		buf = binary.AppendUvarint(buf, uint64(c.count))
		buf = binary.AppendVarint(buf, c.bytes)
	}
	for _, n := range [...]int64{s.counted, s.left, s.bytes, s.millis} {
		buf = binary.AppendVarint(buf, n)
	}
	return binary.LittleEndian.AppendUint64(buf, math.Float64bits(s.most))
}

func (s *spread) load(d *decoder) {
	s.sketch.load(d)
	for i := range s.classes {
		s.classes[i] = class{d.count(), d.varint()}
	}
	s.counted, s.left, s.bytes, s.millis = d.varint(), d.varint(), d.varint(), d.varint()
	if b := d.take(8); len(b) == 8 {
		s.most = math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
}
