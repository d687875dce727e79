package measure

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
)

func TestHistogram(t *testing.T) {
	h := NewHistogram([]int64{1, 10, 100})
	for _, v := range []int64{-5, 0, 1, 2, 10, 11, 100, 101, 5000} {
		h.Observe(v)
	}
	b := h.Buckets()
	if want := []int64{3, 2, 2, 2}; !slices.Equal(b.Counts, want) {
		t.Errorf("buckets %v, want %v", b.Counts, want)
	}
	if b.Count() != 9 || b.Sum != 5220 {
		t.Errorf("count %d, sum %d, want 9 and 5220", b.Count(), b.Sum)
	}
}

func TestHistogramFromManySides(t *testing.T) {
	h := NewHistogram([]int64{10})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for v := range int64(1000) {
				h.Observe(v)
				_ = h.Buckets()
			}
		})
	}
	all.Wait()
	if b := h.Buckets(); b.Count() != 8000 || b.Counts[0] != 88 || b.Sum != 8*999*500 {
		t.Errorf("buckets %v, sum %d", b.Counts, b.Sum)
	}
}

func TestTopKnowsAFewExactly(t *testing.T) {
	top := NewTop(5)
	for i, user := range []string{"ann", "joe", "zoe", "joe"} {
		top.Add(Key{User: user}, int64(10+i))
	}
	top.Add(Key{Host: "b.example", User: "joe"}, 12)
	want := []Share{
		{Key{User: "joe"}, 24, 0}, {Key{"b.example", "joe"}, 12, 0},
		{Key{User: "zoe"}, 12, 0}, {Key{User: "ann"}, 10, 0},
	}
	if got := top.Most(10); !slices.Equal(got, want) {
		t.Errorf("most: %v, want %v", got, want)
	}
	if got := top.Most(1); !slices.Equal(got, want[:1]) {
		t.Errorf("the first: %v", got)
	}
}

// A crowd of 100,000 users costs what a thousand do, those who have most are
// found among them, and no sum is wrong by more than its error says.
func TestTopOfACrowd(t *testing.T) {
	const crowd, kept, heavy = 100_000, 1000, 10
	truth := make(map[Key]int64)
	top, total := NewTop(kept), int64(0)
	add := func(k Key, n int64) {
		truth[k] += n
		total += n
		top.Add(k, n)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3 * crowd {
		add(Key{User: "u" + strconv.Itoa(random.IntN(crowd))}, random.Int64N(1000))
		if i%30 == 0 {
			add(Key{User: fmt.Sprint("heavy", i/30%heavy)}, 50_000)
		}
	}
	if n := len(top.heap); n != kept || len(top.byKey) != kept {
		t.Errorf("%d in the heap, %d by key, want %d", n, len(top.byKey), kept)
	}
	most := top.Most(heavy)
	for _, s := range top.Most(kept) {
		if is := truth[s.Key]; s.Sum < is || s.Sum-s.Error > is || s.Error > total/kept {
			t.Errorf("%v is said to have %d (error %d), and has %d", s.Key, s.Sum, s.Error, is)
		}
	}
	for _, s := range most {
		if len(s.User) != len("heavy0") || s.User[:5] != "heavy" {
			t.Errorf("%v is among the first %d, with %d", s.Key, heavy, s.Sum)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	h := NewHistogram([]int64{100e3, 300e3, 1e6, 3e6, 10e6, 30e6, 100e6, 300e6, 1e9, 3e9, 10e9, 60e9})
	b.RunParallel(func(pb *testing.PB) {
		for v := int64(0); pb.Next(); v++ {
			h.Observe(v)
		}
	})
}

func BenchmarkTopAdd(b *testing.B) {
	top := NewTop(1000)
	for i := 0; b.Loop(); i++ {
		top.Add(Key{User: strconv.Itoa(i * 7919 % 100_000)}, int64(i%5000))
	}
}
