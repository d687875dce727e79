package stats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"portreeve/logparse"
)

// A state is what a collector knows, so that reading a log can go on where it was
// left. Its numbers are varints; a change of anything here needs another magic.
const stateMagic = "portreeve statistics 5\n"

// ErrOther is returned for a state of other options: what it counted cannot be
// counted otherwise.
var ErrOther = errors.New("the state was made with other options")

// WriteState writes a collector's state. Extra is whatever goes with it.
func (c *Collector) WriteState(w io.Writer, extra []byte) error {
	c.flush()
	e := &encoder{to: w, buf: make([]byte, 0, 2*spillAt)}
	e.bytes([]byte(stateMagic))
	e.text([]byte(c.options.text()))
	e.text(extra)
	for _, n := range c.read.numbers() {
		e.varint(*n)
	}
	e.flag(c.began)
	e.varint(c.first)
	c.users.write(e)
	for i := range c.days {
		c.days[i].write(e)
	}
	e.uvarint(uint64(c.dayLost))
	c.hosts.write(e)
	c.files.write(e)
	c.hours.write(e)
	c.kinds.write(e)
	for i := range c.crossed {
		c.crossed[i].write(e)
	}
	for _, s := range [...]*spread{&c.sizes, &c.rates, &c.spans} {
		s.write(e)
	}
	c.crowd.write(e)
	c.watch.write(e)
	c.logins.write(e)
	c.sessions.write(e)
	return e.end()
}

// LoadState makes a collector that goes on where another one was, and returns what
// went with it. The state becomes the collector's.
func LoadState(o Options, state []byte) (c *Collector, extra []byte, err error) {
	rest, ok := bytes.CutPrefix(state, []byte(stateMagic))
	if !ok {
		return nil, nil, fmt.Errorf("%w, or by another version", errState)
	}
	if len(rest) < sumLength {
		return nil, nil, errState
	}
	rest, sum := rest[:len(rest)-sumLength], rest[len(rest)-sumLength:]
	if crc32.Checksum(state[:len(state)-sumLength], castagnoli) != binary.LittleEndian.Uint32(sum) {
		return nil, nil, errState
	}
	return loadState(o, rest)
}

// loadState reads a state that is whole.
func loadState(o Options, rest []byte) (c *Collector, extra []byte, err error) {
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
	c.days = make([]calendar, len(c.users.cells))
	for i := range c.days {
		c.days[i].load(&d)
		c.dayCells += c.days[i].size()
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
	c.watch.load(&d)
	c.logins.load(&d)
	c.sessions.load(&d)
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

func (h *hours) write(e *encoder) {
	numbers := make([]int64, 0, len(h.number))
	for number := range h.number {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	e.uvarint(uint64(len(numbers)))
	for _, number := range numbers {
		e.varint(number)
		h.cells[h.number[number]].write(e)
	}
	h.other.write(e)
	e.uvarint(uint64(h.folded))
}

func (h *hours) load(d *decoder) {
	for range d.length(1 + cellLength) {
		number := d.varint()
		if number < -1<<40 || number > 1<<40 {
			d.fail()
		}
		h.at(number).load(d)
	}
	h.other.load(d)
	h.folded = d.count()
}

func (k *kinds) write(e *encoder) {
	e.uvarint(uint64(len(k.list)))
	for i := range k.list {
		is := &k.list[i]
		e.bytes([]byte{byte(is.event), byte(is.direction), byte(is.status), is.mode})
		e.flag(is.ascii)
		for _, text := range [...]string{is.service, is.tls, is.client, is.reason} {
			e.text([]byte(text))
		}
		k.cells[i].write(e)
	}
	k.other.write(e)
	e.uvarint(uint64(k.folded))
}

func (k *kinds) load(d *decoder) {
	for range d.length(9 + cellLength) {
		var e logparse.Entry
		e.Event, e.Direction, e.Status = logparse.Event(d.byte()), logparse.Direction(d.byte()), logparse.Status(d.byte())
		e.Xfer.Mode, e.Xfer.ASCII = d.byte(), d.byte() == 1
		e.Xfer.Service, e.TLS, e.Client, e.Reason = d.text(), d.text(), d.text(), d.text()
		k.at(&e).load(d)
	}
	k.other.load(d)
	k.folded = d.count()
}

func (s *spread) write(e *encoder) {
	s.sketch.write(e)
	for _, c := range s.classes {
		e.uvarint(uint64(c.count))
		e.varint(c.bytes)
	}
	for _, n := range [...]int64{s.counted, s.left, s.bytes, s.millis} {
		e.varint(n)
	}
	e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(s.most))
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
