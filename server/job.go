package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"portreeve/server/thread"
)

// A job is a transfer without a data connection: it reads or writes whole files
// for a client and sends none of them. It may take long, and so runs beside its
// session, which hears ABOR and STAT meanwhile; and it costs a client one line
// and the server a file's worth of work, and so there is a limit to how many run
// at a time (RFC 2577 has no word on that; CPUs have).

// jobs counts the jobs that run, in all and by account.
type jobs struct {
	mu  sync.Mutex // guards the fields that follow
	all int
	of  map[string]int
}

// A JobLimit is the most jobs at a time, in all and of one account.
type JobLimit struct{ All, User int }

// take makes one more run, if that is within the limit.
func (j *jobs) take(account string, limit JobLimit) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.all >= limit.All || j.of[account] >= limit.User {
		return false
	}
	if j.of == nil {
		j.of = make(map[string]int)
	}
	j.all++
	j.of[account]++
	return true
}

func (j *jobs) release(account string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all--
	if j.of[account]--; j.of[account] == 0 {
		delete(j.of, account)
	}
}

// running returns how many run.
func (j *jobs) running() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all
}

// work starts a job; its reply comes from the loop, as a transfer's does.
func (s *session) work(ctx context.Context, t *transfer) (reply, error) {
	account := s.account.Name
	if !s.srv.jobs.take(account, s.cfg.MaxJobs) {
		if t.undo != nil {
			t.undo()
		}
		return say(450, "Too many jobs at a time, try again later"), nil
	}
	go t.toil(s.launch(ctx, t), s, func() { s.srv.jobs.release(account) })
	return reply{}, nil
}

// toil is move for a job; its place is free when its client hears that it is over.
func (t *transfer) toil(ctx context.Context, s *session, release func()) {
	var r result
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("%w: %v\n%s", errFault, p, debug.Stack())
		}
		release()
		t.done <- r
	}()
	start := time.Now()
	f := &flow{ctx: ctx, entry: s.entry, begun: start}
	r.reply, r.err = t.work(f)
	r.bytes, r.took = f.bytes, time.Since(start)
	if r.err != nil && ctx.Err() != nil {
		r.err = context.Cause(ctx)
	}
}

// jobStep is how much a job does before it looks whether it is to end, and lets
// others have the processor.
const jobStep = 1 << 20

// longJob is what is worth a thread of its own, which commands go before.
const longJob = 8 << 20

// pass moves size bytes of src, from where it stands, by move, which takes a step
// and says how far it came.
func (f *flow) pass(size int64, move func(n int64) (int64, error)) error {
	if size >= longJob && !f.yields {
		f.yields = true
		thread.Lower(thread.Bulk)
	}
	for size > 0 {
		if f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
		n, err := move(min(size, jobStep))
		size -= n
		if cerr := f.count(n); cerr != nil {
			return cerr
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return errShrunk
		}
		runtime.Gosched()
	}
	return nil
}

// copyFile adds size bytes of src to dst. Both are files as they are, so that the
// kernel copies them, or only what they are made of (copy_file_range).
func (f *flow) copyFile(dst, src *os.File, size int64) error {
	return f.pass(size, func(n int64) (int64, error) {
		return dst.ReadFrom(&io.LimitedReader{R: src, N: n})
	})
}
