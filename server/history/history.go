// Package history remembers what happened on a server: every session and transfer
// of the last days, in a file of its own that commands read while it is written.
//
// The daemon records entries and does not wait: a goroutine writes those of a
// second together. What was not written when a machine fails is lost, which is a
// second's; and so is, and is counted, what comes faster than a disk takes it.
package history

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"portreeve/logparse"
)

// Options say how much is remembered.
type Options struct {
	Days  int   // 0: nothing
	Bytes int64 // of the file, about; 0: whatever it takes
}

const (
	queued     = 16 << 10 // entries that may wait
	batch      = 4096     // that are written together,
	batchEvery = time.Second
	pruneEvery = time.Hour
	muted      = time.Minute // between two complaints
)

// A Recorder writes entries down. Close ends it.
type Recorder struct {
	db      DB
	log     *slog.Logger
	options atomic.Pointer[Options]
	queue   chan logparse.Entry
	lost    atomic.Int64
	wake    chan struct{}
	stop    chan struct{}
	done    sync.WaitGroup
	failed  failures

	waiting    []logparse.Entry // the goroutine's own, with what follows
	complained time.Time
	failing    bool
}

// Record returns a recorder that writes to a history.
func Record(db DB, o Options, log *slog.Logger) *Recorder {
	r := &Recorder{db: db, log: log, queue: make(chan logparse.Entry, queued), wake: make(chan struct{}, 1), stop: make(chan struct{})}
	r.options.Store(&o)
	r.done.Go(r.run)
	return r
}

// Use changes how much is remembered.
func (r *Recorder) Use(o Options) {
	r.options.Store(&o)
	select {
	case r.wake <- struct{}{}:
	default: // it is about to look
	}
}

// Records tells whether anything is remembered.
func (r *Recorder) Records() bool { return r.options.Load().Days > 0 }

// Record takes an entry, or counts it as lost.
func (r *Recorder) Record(e logparse.Entry) {
	if !r.Records() || !kept(&e) {
		return
	}
	if failed(&e) && !r.failed.admit(time.Now()) {
		return
	}
	select {
	case r.queue <- e:
	default:
		r.lost.Add(1)
	}
}

// kept tells whether an entry is one to remember.
func kept(e *logparse.Entry) bool {
	switch e.Event {
	case logparse.Transfer, logparse.Delete, logparse.Rename, logparse.Mkdir, logparse.Rmdir, logparse.Login, logparse.Logout:
		return true
	}
	return false
}

// DB returns the history that is written.
func (r *Recorder) DB() DB { return r.db }

// Lost returns how many entries could not be kept.
func (r *Recorder) Lost() int64 { return r.lost.Load() }

// Close writes what waits.
func (r *Recorder) Close() {
	close(r.stop)
	r.done.Wait()
}

func (r *Recorder) run() {
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	pruned := time.Time{} // what grew too old while nobody wrote
	for {
		select {
		case e := <-r.queue:
			if r.waiting = append(r.waiting, e); len(r.waiting) >= batch {
				r.write()
			}
			continue
		case <-tick.C:
			r.fold(false)
			r.write()
		case <-r.wake:
			pruned = time.Time{}
		case <-r.stop:
			r.drain()
			return
		}
		if time.Since(pruned) >= pruneEvery {
			if pruned = time.Now(); r.prune() {
				pruned = time.Time{} // the rest comes after what waits
				r.Use(*r.options.Load())
			}
		}
	}
}

// drain writes what is left at the end.
func (r *Recorder) drain() {
	for {
		select {
		case e := <-r.queue:
			r.waiting = append(r.waiting, e)
		default:
			r.fold(true)
			r.write()
			return
		}
	}
}

// fold writes with the others how many logins failed beyond what is written.
func (r *Recorder) fold(end bool) {
	if e, ok := r.failed.fold(time.Now(), end); ok {
		r.waiting = append(r.waiting, e)
	}
}

// write writes what waits. If it cannot be written it is kept for the next time,
// up to a batch.
func (r *Recorder) write() {
	if len(r.waiting) == 0 {
		return
	}
	err := r.db.Write(r.waiting)
	if err == nil {
		if r.failing {
			r.log.Info("history is written again", "path", r.db.Path(), "lost", r.lost.Load())
		}
		r.failing = false
		clear(r.waiting)
		r.waiting = r.waiting[:0]
		return
	}
	if isDamaged(err) {
		r.setAside(err)
		return
	}
	r.failing = true
	if more := len(r.waiting) - batch; more >= 0 {
		r.lost.Add(int64(more) + 1)
		r.waiting = append(r.waiting[:0], r.waiting[more+1:]...)
	}
	r.complain("history cannot be written", err)
}

// prune removes some of what is too old, and tells whether there may be more.
func (r *Recorder) prune() bool {
	o := *r.options.Load()
	if _, err := os.Stat(r.db.Path()); err != nil || o.Days == 0 {
		return false
	}
	gone, more, err := r.db.Prune(time.Now().AddDate(0, 0, -o.Days), o.Bytes)
	switch {
	case isDamaged(err):
		r.setAside(err)
	case err != nil:
		r.complain("old history cannot be removed", err)
	case gone > 0:
		r.log.Debug("old history was removed", "entries", gone)
	}
	return more
}

// setAside begins anew where a file cannot be read.
func (r *Recorder) setAside(err error) {
	aside := fmt.Sprintf("%s.damaged-%d", r.db.Path(), time.Now().Unix())
	if moved := os.Rename(r.db.Path(), aside); moved != nil {
		r.complain("history is damaged, and cannot be moved away", moved)
		return
	}
	r.log.Error("history was damaged; a new one begins", "err", err, "old", aside)
}

// complain logs what is wrong, now and then.
func (r *Recorder) complain(what string, err error) {
	if time.Since(r.complained) < muted && !r.complained.IsZero() {
		return
	}
	r.complained = time.Now()
	r.log.Error(what, "err", err, "lost", r.lost.Load())
}
