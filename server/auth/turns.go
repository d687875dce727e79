package auth

import (
	"context"
	"net/netip"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"
)

// turns are the right to hash, for one at a time on every other processor. Who
// waits is let in as it came, but of one source no more than half as many wait
// for a turn or have one; the rest stand behind them. So a flood from one address
// is one client more to all others, however long its own line gets.
type turns struct {
	all  *semaphore.Weighted
	each int64

	mu      sync.Mutex // guards sources
	sources map[netip.Prefix]*queue
}

// A queue is where those of one source stand, as long as there are any.
type queue struct {
	places *semaphore.Weighted
	users  int
}

func newTurns() *turns {
	n := int64((runtime.GOMAXPROCS(0) + 1) / 2)
	return &turns{all: semaphore.NewWeighted(n), each: max(n/2, 1), sources: make(map[netip.Prefix]*queue)}
}

// take waits for a turn, which lasts until release is called.
func (t *turns) take(ctx context.Context, from netip.Addr) (release func(), err error) {
	key := source(from)
	q := t.enter(key)
	if err := acquire(ctx, q.places, 1); err != nil {
		t.leave(key, q)
		return nil, err
	}
	if err := acquire(ctx, t.all, 1); err != nil {
		q.places.Release(1)
		t.leave(key, q)
		return nil, err
	}
	return func() {
		t.all.Release(1)
		q.places.Release(1)
		t.leave(key, q)
	}, nil
}

func (t *turns) enter(key netip.Prefix) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.sources[key]
	if q == nil {
		q = &queue{places: semaphore.NewWeighted(t.each)}
		t.sources[key] = q
	}
	q.users++
	return q
}

func (t *turns) leave(key netip.Prefix, q *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(t.sources, key)
	}
}
