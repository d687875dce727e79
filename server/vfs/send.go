package vfs

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// A Format appends what a listing says of an entry. The Info and its strings are
// good for the call alone. It runs as the user. What it appends nothing for is
// not counted.
type Format func(b []byte, in *Info) []byte

// Bounds of how a listing is made by several goroutines.
const (
	helpers  = 2   // besides the one that sends; the kernel's work divides, and file systems far away wait less
	pending  = 6   // runs that are being made or wait to be sent
	sendRun  = 512 // entries of a sorted listing in one run
	keptText = 256 << 10
)

// A run is some entries, one after the other, that are looked up and formatted
// together.
type run struct {
	own      entries  // names that were read for this run
	es       *entries // own, or all those of the listing
	from, to int      // in es
	most     int      // lines
	text     []byte
	lines    int
	err      error
	fault    any           // what a Format panicked with
	done     chan struct{} // nil if nobody waits
}

var runs = sync.Pool{New: func() any { return new(run) }}

// Send formats the entries and hands the text to write, in order, and returns how
// many there were. It does it instead of Entries, and closes the listing like
// that. A large directory is looked at by several goroutines at once, each with a
// Format of its own; write is called by this one.
func (l *Listing) Send(format func() Format, write func([]byte) error) (lines int, err error) {
	defer l.Close()
	if l.closed {
		return 0, nil
	}
	s := sender{l: l, format: format, mine: format(), write: write}
	if err := s.dots(); err != nil {
		return 0, err
	}
	l.begin()
	err = s.all()
	if err == nil {
		err = l.err
	}
	return len(l.dots()) + l.yielded, err
}

// A sender is the goroutine that reads names and sends what came of them.
type sender struct {
	l      *Listing
	format func() Format
	mine   Format
	write  func([]byte) error
	at     int // what of l.es was given out

	work  chan *run // to the helpers, nil while there are none
	queue []*run    // in the order in which they are sent
	wg    sync.WaitGroup
}

// dots sends the directory itself and its parent.
func (s *sender) dots() error {
	var text []byte
	for _, in := range s.l.dots() {
		text = s.mine(text, in)
	}
	if text == nil {
		return nil
	}
	return s.write(text)
}

// all sends everything else. Small directories need no helpers.
func (s *sender) all() error {
	defer s.end()
	for first := true; ; first = false {
		if !first && s.work == nil && s.worthHelp() {
			s.start()
		}
		s.fill()
		if len(s.queue) == 0 {
			return nil
		}
		r := s.queue[0]
		s.queue = s.queue[1:]
		s.wait(r)
		again, err := s.send(r)
		s.put(r)
		if err != nil || !again {
			return err
		}
	}
}

func (s *sender) worthHelp() bool {
	l := s.l
	more := l.more || len(l.es.list)-s.at > sendRun
	return more && !l.namesOnly(&l.es) && runtime.GOMAXPROCS(0) > 1
}

func (s *sender) start() {
	s.work = make(chan *run, pending)
	for range helpers {
		s.wg.Go(func() {
			f := s.format()
			for r := range s.work {
				s.l.compose(r, f)
			}
		})
	}
}

// end waits for the helpers, who use the open directory.
func (s *sender) end() {
	if s.work == nil {
		return
	}
	for len(s.work) > 0 {
		select {
		case <-s.work:
		default:
		}
	}
	close(s.work)
	s.wg.Wait()
}

// fill gives out as much as may be pending: one run if there are no helpers.
func (s *sender) fill() {
	most := 1
	if s.work != nil {
		most = pending
	}
	for len(s.queue) < most {
		r := s.next()
		if r == nil {
			return
		}
		s.queue = append(s.queue, r)
		if s.work != nil {
			r.done = make(chan struct{}, 1)
			s.work <- r
		}
	}
}

// next returns the next run, nil if that is all.
func (s *sender) next() *run {
	l := s.l
	if s.at < len(l.es.list) {
		if l.stopped() {
			return nil
		}
		r := s.get(&l.es, s.at, min(s.at+sendRun, len(l.es.list)))
		s.at = r.to
		return r
	}
	r := s.get(nil, 0, 0)
	r.es = &r.own
	for l.more && r.to == 0 {
		r.own.reset()
		l.more = l.read(&r.own)
		r.to = len(r.own.list)
		l.es.leftovers = append(l.es.leftovers, r.own.leftovers...)
		l.es.leftovers = l.es.leftovers[:min(len(l.es.leftovers), maxLeftovers)]
		r.own.leftovers = nil
	}
	if r.to == 0 {
		s.put(r)
		return nil
	}
	r.most = r.to
	return r
}

func (s *sender) get(es *entries, from, to int) *run {
	r := runs.Get().(*run)
	r.own.opt, r.own.charset = &s.l.opt, s.l.es.charset
	r.es, r.from, r.to, r.most = es, from, to, to-from
	return r
}

func (s *sender) put(r *run) {
	r.own.opt, r.own.charset, r.es, r.done = nil, nil, nil, nil
	if cap(r.text) <= keptText {
		runs.Put(r)
	}
}

// wait returns when r is made. Meanwhile it makes some itself.
func (s *sender) wait(r *run) {
	if r.done == nil {
		s.l.compose(r, s.mine)
		return
	}
	for {
		select {
		case <-r.done: // before any work
			return
		default:
		}
		select {
		case <-r.done:
			return
		case other := <-s.work:
			s.l.compose(other, s.mine)
		}
	}
}

// send writes what came of r, and reports whether there may be more.
func (s *sender) send(r *run) (more bool, err error) {
	l := s.l
	if limit := l.opt.Limit; limit > 0 && l.yielded+r.lines > limit {
		l.truncated = true
		r.most = limit - l.yielded
		r.done = nil
		l.compose(r, s.mine) // how much of the text that is, nobody knows any more
	}
	if r.fault != nil {
		panic(r.fault)
	}
	if r.err != nil {
		return false, r.err
	}
	l.yielded += r.lines
	return !l.truncated, s.write(r.text)
}

// compose looks up and formats the entries of r.
func (l *Listing) compose(r *run, format Format) {
	defer func() {
		if p := recover(); p != nil {
			r.fault = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
		if r.done != nil {
			r.done <- struct{}{}
		}
	}()
	r.text, r.lines, r.fault = r.text[:0], 0, nil
	r.err = l.asUser(r.es, func() error {
		var in Info
		for i := r.from; i < r.to && r.lines < r.most; i++ {
			e := r.es.list[i]
			in = Info{Name: r.es.name(e), Mode: e.kind}
			if !l.describe(r.es, i, &in) || !l.decode(&in) {
				continue
			}
			before := len(r.text)
			if r.text = format(r.text, &in); len(r.text) > before {
				r.lines++
			}
		}
		return nil
	})
}
