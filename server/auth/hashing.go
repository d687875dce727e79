package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"portreeve/server/measure"
	"portreeve/server/thread"
	"portreeve/userdb"
)

// hashing checks passwords within a budget of memory. A flood of logins waits
// in line, instead of taking 32 MiB each.
type hashing struct {
	cost       userdb.Cost
	memory     int64
	slots      *semaphore.Weighted // in bytes, of memory in all
	turns      *turns
	remember   time.Duration
	remembered *remembered
	dummy      string // a hash of that cost, which no password has
	load       *load
}

func newHashing(o Options, r *remembered, l *load) *hashing {
	return &hashing{
		cost:       o.Cost,
		memory:     o.Memory,
		slots:      semaphore.NewWeighted(o.Memory),
		turns:      newTurns(),
		remember:   o.Remember,
		remembered: r,
		dummy:      userdb.Dummy(o.Cost),
		load:       l,
	}
}

// A load is what hashing does and has done.
type load struct {
	checked      atomic.Int64 // passwords hashed to be compared
	waiting      atomic.Int64 // for a turn and for memory
	waited, took *measure.Histogram
}

func newLoad() *load {
	return &load{waited: measure.NewHistogram(spans[:]), took: measure.NewHistogram(spans[:])}
}

// spans are bounds for what a hash takes, or waits, in nanoseconds.
var spans = [...]int64{1e6, 3e6, 10e6, 30e6, 100e6, 300e6, 1e9, 3e9, 10e9, 30e9}

// A Load is what hashing passwords costs.
type Load struct {
	Waiting      int64           // logins that wait for a turn, or for memory
	Waited, Took measure.Buckets // in nanoseconds; the one before a hash, the other for it
}

// Load tells what hashing passwords costs.
func (c *Chain) Load() Load {
	return Load{Waiting: c.load.waiting.Load(), Waited: c.load.waited.Buckets(), Took: c.load.took.Buckets()}
}

// check reports whether an attempt has the password that a user's stored hash was
// made of. An error besides ErrBusy tells why the hash is no good, and comes after
// as much time as any other answer.
func (h *hashing) check(ctx context.Context, a Attempt, stored string) (bool, error) {
	key := h.remembered.digest(a.Name, stored, a.Password)
	if h.remember > 0 && h.remembered.has(key) {
		return true, nil
	}
	ctx, cancel := inTime(ctx)
	defer cancel()
	return h.remembered.once(ctx, key, func() (bool, error) {
		ok, err := h.verify(ctx, a, stored)
		switch {
		case ok:
			h.remembered.add(key, h.remember)
		case errors.Is(err, ErrBusy):
		case err != nil || userdb.Weaker(stored, h.cost):
			// It took less time than a hash of today, or none: let a guess
			// at this user cost as much as at any.
			if _, wasteErr := h.verify(ctx, a, h.dummy); wasteErr != nil {
				return false, wasteErr
			}
		}
		return ok, err
	})
}

// inTime ends ctx at its deadline, which is the caller's wish and may not do so
// by itself.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if limit, ok := ctx.Deadline(); ok {
		return context.WithDeadline(withoutDeadline{ctx}, limit)
	}
	return ctx, func() {}
}

// verdict is what a password that was looked at comes to, nil if it opens the
// account: record is what is wrong with the user's own, which is told only after
// the time for hashing is spent.
func verdict(record error, ok bool, hashing error) error {
	switch {
	case errors.Is(hashing, ErrBusy):
		return hashing
	case record != nil:
		return denied(record)
	case hashing != nil:
		return denied(hashing)
	case !ok:
		return denied(ErrPassword)
	}
	return nil
}

// withoutDeadline hides one, so that another is set in earnest.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// waste takes as long as check does for a wrong password.
func (h *hashing) waste(ctx context.Context, a Attempt) error {
	_, err := h.check(ctx, a, h.dummy)
	return err
}

func (h *hashing) verify(ctx context.Context, a Attempt, stored string) (bool, error) {
	need, err := userdb.Memory(stored)
	if err != nil {
		return false, err
	}
	if need > h.memory {
		return false, fmt.Errorf("%w: %d MiB", userdb.ErrTooCostly, need>>20)
	}
	ok := false
	runErr := h.run(ctx, a.From, need, func() (good bool) {
		h.load.checked.Add(1)
		ok, err = userdb.Verify(stored, a.Password, h.memory)
		return ok
	})
	return ok, cmp.Or(runErr, err)
}

// renew hashes a password at today's cost.
func (h *hashing) renew(ctx context.Context, password string) (string, error) {
	hash, err := "", error(nil)
	runErr := h.run(ctx, netip.Addr{}, h.cost.Memory(), func() (good bool) {
		hash, err = userdb.Hash(password, h.cost)
		return true
	})
	return hash, cmp.Or(runErr, err)
}

// run hashes within the budget, behind everything else that this process does, and
// on half of the processors: a hash is made to sweep through the memory that they
// share, which whoever moves data feels at any priority. What was no good is
// followed by a rest of the same length, which its client does not wait for: so a
// flood of wrong passwords has half of that time at most.
func (h *hashing) run(ctx context.Context, from netip.Addr, need int64, hash func() (good bool)) error {
	over, err := h.enter(ctx, from, need)
	if err != nil {
		return err
	}
	defer func() { over() }()
	defer h.slots.Release(need)
	start, good := time.Now(), false
	thread.Run(thread.Hashing, func() { good = hash() })
	h.load.took.Observe(int64(time.Since(start)))
	if release := over; !good {
		over = func() { time.AfterFunc(time.Since(start), release) }
	}
	return nil
}

// enter waits for a turn, which lasts until over is called, and for memory.
func (h *hashing) enter(ctx context.Context, from netip.Addr, need int64) (over func(), err error) {
	h.load.waiting.Add(1)
	defer h.load.waiting.Add(-1)
	asked := time.Now()
	if over, err = h.turns.take(ctx, from); err != nil {
		return nil, err
	}
	if err = acquire(ctx, h.slots, need); err != nil {
		over()
		return nil, err
	}
	h.load.waited.Observe(int64(time.Since(asked)))
	return over, nil
}

func acquire(ctx context.Context, s *semaphore.Weighted, n int64) error {
	// A semaphore that is free does not look at the context.
	if ctx.Err() != nil || s.Acquire(ctx, n) != nil {
		return fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	return nil
}

// A digest stands for a name, a stored hash and a password. Without the key,
// which never leaves this process, nothing can be guessed from it.
type digest [sha256.Size]byte

// remembered holds the digests of passwords that were found good lately, so
// that a client which opens ten connections waits once. Since the stored hash
// is part of a digest, a changed password is never found. Wrong passwords are
// not remembered, but a crowd with the same one waits for the same answer.
type remembered struct {
	key [32]byte

	mu      sync.Mutex // guards the fields that follow
	until   map[digest]time.Time
	running map[digest]*running
}

// running is a check that others wait for. Its result is set before done closes.
type running struct {
	done chan struct{}
	ok   bool
	err  error
}

// maxRemembered bounds the memory for good passwords to some megabytes.
const maxRemembered = 1 << 16

func newRemembered() *remembered {
	r := &remembered{until: make(map[digest]time.Time), running: make(map[digest]*running)}
	rand.Read(r.key[:])
	return r
}

func (r *remembered) digest(name, stored, password string) digest {
	mac := hmac.New(sha256.New, r.key[:])
	for _, part := range [...]string{name, stored, password} {
		fmt.Fprintf(mac, "%d:%s", len(part), part) // its length, so that no two parts can be cut otherwise
	}
	return digest(mac.Sum(nil))
}

func (r *remembered) has(key digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until[key])
}

func (r *remembered) add(key digest, span time.Duration) {
	if span <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if len(r.until) >= maxRemembered {
		makeRoom(r.until, func(until time.Time) bool { return !now.Before(until) })
	}
	r.until[key] = now.Add(span)
}

// makeRoom takes entries out of a map that is full: of some picked at random,
// those that are of no more use, or else any one.
func makeRoom[K comparable, V any](m map[K]V, useless func(V) bool) {
	const look = 64
	room, seen := false, 0
	for k, v := range m {
		if useless(v) {
			delete(m, k)
			room = true
		}
		if seen++; seen == look {
			break
		}
	}
	for k := range m {
		if !room {
			delete(m, k)
		}
		return
	}
}

// once calls check, unless one for the same digest is running, whose answer it
// then waits for. If that one's client gave up, the next in line checks itself.
func (r *remembered) once(ctx context.Context, key digest, check func() (bool, error)) (bool, error) {
	for {
		r.mu.Lock()
		other := r.running[key]
		if other == nil {
			mine := &running{done: make(chan struct{})}
			r.running[key] = mine
			r.mu.Unlock()
			return r.run(key, mine, check)
		}
		r.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return false, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
		}
		if !errors.Is(other.err, ErrBusy) {
			return other.ok, other.err
		}
	}
}

func (r *remembered) run(key digest, mine *running, check func() (bool, error)) (bool, error) {
	mine.err = errors.New("the check ended early") // what others see if check panics
	defer func() {
		r.mu.Lock()
		delete(r.running, key)
		r.mu.Unlock()
		close(mine.done)
	}()
	mine.ok, mine.err = check()
	return mine.ok, mine.err
}
