package measure

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
)

// A Top knows who has most of something, however many there are, in bounded
// memory: the Space-Saving algorithm (Metwally, Agrawal and El Abbadi, 2005). It
// follows so many keys; one that is new takes the place of the least, and its
// count, which is then in doubt. So a count is never too small, and too large by
// its error at most, which is at most all that was added divided by the keys
// that are followed. Whoever has a larger part than that is among them.
type Top struct {
	most int

	// mu guards the fields that follow.
	mu    sync.Mutex
	byKey map[Key]*place
	heap  places
}

// A Key is who something is of: a user, and the host that has him.
type Key struct{ Host, User string }

// A Share is what is known of a key.
type Share struct {
	Key
	Sum   int64 // at most so much was added
	Error int64 // of which so much may be others'
}

type place struct {
	Share
	at int // in the heap
}

// places is a heap with the least at its root.
type places []*place

func (p places) Len() int           { return len(p) }
func (p places) Less(i, j int) bool { return p[i].Sum < p[j].Sum }
func (p places) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].at, p[j].at = i, j
}

func (p *places) Push(x any) {
	one := x.(*place)
	one.at = len(*p)
	*p = append(*p, one)
}

func (p *places) Pop() any {
	last := len(*p) - 1
	one := (*p)[last]
	*p = (*p)[:last]
	return one
}

// NewTop makes a Top that follows so many keys, at least one.
func NewTop(keys int) *Top {
	return &Top{most: max(keys, 1), byKey: make(map[Key]*place)}
}

// Add adds n, which is at least 0, to what a key has.
func (t *Top) Add(k Key, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.byKey[k]
	switch {
	case p != nil:
		p.Sum += n
		heap.Fix(&t.heap, p.at)
	case len(t.heap) < t.most:
		p = &place{Share: Share{Key: k, Sum: n}}
		t.byKey[k] = p
		heap.Push(&t.heap, p)
	default:
		p = t.heap[0]
		delete(t.byKey, p.Key)
		t.byKey[k] = p
		p.Share = Share{Key: k, Sum: p.Sum + n, Error: p.Sum}
		heap.Fix(&t.heap, 0)
	}
}

// Most returns those who have most, the first n of them.
func (t *Top) Most(n int) []Share {
	t.mu.Lock()
	all := make([]Share, len(t.heap))
	for i, p := range t.heap {
		all[i] = p.Share
	}
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Sum, a.Sum), cmp.Compare(a.User, b.User), cmp.Compare(a.Host, b.Host))
	})
	return all[:min(n, len(all))]
}
