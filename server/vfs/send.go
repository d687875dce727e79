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
	helpers  = 2   // lanes besides the one that sends: the kernel's work divides, and file systems far away wait less
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

// A sender sends what its lanes make. The lanes take turns at reading names:
// whose turn it is has the directory, and puts the run that it read in the queue;
// then it looks up and formats it while others read. That is done by the same
// goroutine since what the kernel has just read is in the cache of its processor.
type sender struct {
	l      *Listing
	format func() Format
	mine   Format
	write  func([]byte) error

	turn  chan struct{} // holds a token while nobody has the directory
	at    int           // what of l.es was taken; belongs to whose turn it is
	ended bool          // nothing is left; the same

	queue chan *run     // in the order in which they are sent, closed at the end
	slots chan struct{} // as many as runs are in the queue or about to be
	quit  chan struct{}
	lanes sync.WaitGroup
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

// all sends everything else. Small directories need no lanes.
func (s *sender) all() error {
	for first := true; s.queue == nil; first = false {
		if !first && s.worthHelp() {
			s.start()
			break
		}
		r := s.next()
		if r == nil {
			return nil
		}
		s.l.compose(r, s.mine)
		if more, err := s.send(r); err != nil || !more {
			return err
		}
	}
	defer s.end()
	for {
		r := s.first()
		if r == nil {
			return nil
		}
		<-s.slots
		if more, err := s.send(r); err != nil || !more {
			return err
		}
	}
}

// worthHelp reports whether more than a moment's work is left.
func (s *sender) worthHelp() bool {
	l := s.l
	more := l.more || len(l.es.list)-s.at > sendRun
	return more && !l.namesOnly(&l.es) && runtime.GOMAXPROCS(0) > 1
}

func (s *sender) start() {
	s.turn, s.quit = make(chan struct{}, 1), make(chan struct{})
	s.queue, s.slots = make(chan *run, pending), make(chan struct{}, pending)
	s.turn <- struct{}{}
	for range helpers {
		s.lanes.Go(func() {
			f := s.format()
			for {
				select {
				case s.slots <- struct{}{}:
					if !s.one(f) {
						return
					}
				case <-s.quit:
					return
				}
			}
		})
	}
}

// end waits for the lanes, who use the open directory.
func (s *sender) end() {
	close(s.quit)
	s.lanes.Wait()
}

// one makes a run, for which there is a slot, and reports whether there was one.
func (s *sender) one(f Format) bool {
	<-s.turn
	var r *run
	if !s.ended {
		if r = s.take(); r != nil {
			r.done = make(chan struct{}, 1)
			s.queue <- r
		} else {
			s.ended = true
			close(s.queue)
		}
	}
	s.turn <- struct{}{}
	switch {
	case r == nil:
		return false
	case r.fault != nil:
		r.done <- struct{}{}
		return false
	}
	s.l.compose(r, f)
	return true
}

// take is next; a fault of ours becomes that of the goroutine that sends.
func (s *sender) take() (r *run) {
	defer func() {
		if p := recover(); p != nil {
			r, s.ended = &run{fault: fault(p)}, true
		}
	}()
	return s.next()
}

// fault is what was recovered, and where it came from.
func fault(p any) string { return fmt.Sprintf("%v\n%s", p, debug.Stack()) }

// first returns the run that is to be sent, nil if that was all. While it is
// not ready this goroutine is a lane, too.
func (s *sender) first() *run {
	var r *run
	queue, done := s.queue, chan struct{}(nil)
	slots := s.slots
	for {
		select {
		case <-done: // before anything else
			return r
		default:
		}
		select {
		case next, ok := <-queue:
			if !ok {
				return nil
			}
			r, queue, done = next, nil, next.done
		case <-done:
			return r
		case slots <- struct{}{}:
			if !s.one(s.mine) {
				slots = nil
			}
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
	err = s.write(r.text)
	s.put(r)
	return !l.truncated, err
}

// compose looks up and formats the entries of r.
func (l *Listing) compose(r *run, format Format) {
	defer func() {
		if p := recover(); p != nil {
			r.fault = fault(p)
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
