package stats

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// randomSeen is a log in which every rule about windows speaks now and then. Its
// entries are late by as much as told.
func randomSeen(r *rand.Rand, late int64) []seen {
	var list []seen
	at := int64(1_770_000_000)
	one := func(user, network, file uint32, w what) {
		list = append(list, seen{user: user, host: network, network: network, file: file, at: at - r.Int64N(late+1), bytes: r.Int64N(1000), what: w})
	}
	for range 40 {
		user := r.Uint32N(3)
		at += r.Int64N(1 + []int64{60, 900, 5400, 200_000}[r.IntN(4)])
		switch r.IntN(5) {
		case 0: // many downloads of about as many files as a sweep has
			span := 1 + r.Int64N(3)
			for range 450 + r.IntN(200) {
				one(user, 0, r.Uint32N(1600), download|whole)
				at += r.Int64N(span)
			}
		case 1:
			span := 1 + r.Int64N(14)
			for range 80 + r.IntN(60) {
				one(user, 0, r.Uint32N(50), deletion|whole)
				at += r.Int64N(span)
			}
		case 2:
			for range 3 + r.IntN(12) {
				one(user, r.Uint32N(6), r.Uint32N(5), upload|whole)
				at += r.Int64N(1200)
			}
		default: // what is cut and tried again
			for range 5 + r.IntN(20) {
				w := upload
				if r.IntN(8) == 0 {
					w |= whole
				}
				one(user, r.Uint32N(2), r.Uint32N(3), w)
				at += r.Int64N(400)
			}
		}
	}
	return list
}

// show shows an entry as if it were a batch.
func (w *watcher) show(s *seen) {
	w.begin(s)
	w.see(s)
	w.tidy()
}

// watchTold is what a watcher has to tell.
type watchTold struct {
	best                    map[ruleUser]extreme
	retried, mended, wasted int64
	sights                  string
}

func (w *watcher) tells() watchTold {
	one := watchTold{best: w.best, retried: w.retried, mended: w.mended, wasted: w.wasted}
	for i := range w.users {
		if w.users[i].count == 0 {
			continue
		}
		one.sights += fmt.Sprint(i, w.users[i].count, w.users[i].roams, w.users[i].sights, "\n")
	}
	return one
}

// slowly finds out the same by looking at the whole log for each entry.
func slowly(list []seen) watchTold {
	out := watchTold{best: make(map[ruleUser]extreme)}
	reached := func(rule ruleNumber, s *seen, n, least int64) {
		if key := (ruleUser{rule, s.user}); n >= least && n > out.best[key].n {
			out.best[key] = extreme{n, s.at}
		}
	}
	for i := range list {
		s := &list[i]
		files, networks, deletes, run := map[uint32]bool{}, map[uint32]bool{}, int64(0), int64(0)
		broken := s.what&whole == 0
		for j := i; j >= 0; j-- {
			o := &list[j]
			if o.user != s.user {
				continue
			}
			if o.at > s.at-3600 {
				networks[o.network] = true
			}
			if o.at > s.at-600 && o.what&download != 0 {
				files[o.file] = true
			}
			if o.at > s.at-600 && o.what&deletion != 0 {
				deletes++
			}
			if o.what&deletion == 0 {
				if broken = broken && o.what&whole == 0; broken {
					run++
				}
			}
		}
		reached(ruleHosts, s, int64(len(networks)), 4)
		if s.what&download != 0 {
			reached(ruleSweep, s, int64(len(files)), 501)
		}
		if s.what&deletion != 0 {
			reached(ruleDeletes, s, deletes, 100)
			continue
		}
		reached(ruleFailures, s, run, 10)
		if s.what&whole == 0 {
			out.wasted += s.bytes
		}
		for j := i - 1; j >= 0; j-- {
			o := &list[j]
			if o.user != s.user || o.host != s.host || o.file != s.file || o.what&deletion != 0 {
				continue
			}
			if o.what&whole == 0 && o.at >= s.at-600 {
				out.retried++
				if s.what&whole != 0 {
					out.mended++
				}
			}
			break
		}
	}
	return out
}

func (a watchTold) differs(b watchTold) bool {
	return !maps.Equal(a.best, b.best) || a.retried != b.retried || a.mended != b.mended || a.wasted != b.wasted
}

// TestWatcher holds the windows to what looking at everything finds.
func TestWatcher(t *testing.T) {
	spoke := make(map[ruleNumber]int)
	for seed := range uint64(5) {
		list := randomSeen(rand.New(rand.NewPCG(seed, 1)), 0)
		var w watcher
		for i := range list {
			w.show(&list[i])
		}
		got, want := w.tells(), slowly(list)
		if got.differs(want) {
			t.Fatalf("log %d: the watcher tells %+v, want %+v", seed, got, want)
		}
		for key := range want.best {
			spoke[key.rule]++
		}
	}
	for _, rule := range []ruleNumber{ruleSweep, ruleHosts, ruleFailures, ruleDeletes} {
		if n := spoke[rule]; n < 2 || n > 14 {
			t.Errorf("the rule %s speaks %d times of 15, which tries little", Rules[rule].Name, n)
		}
	}
}

// TestWatchersOfParts cuts logs anywhere, gives names other numbers in each part,
// and wants what one pass tells.
func TestWatchersOfParts(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		list := randomSeen(r, int64(seed%2)*120)
		var whole watcher
		for i := range list {
			whole.show(&list[i])
		}
		var cuts []int
		for range 1 + r.IntN(6) {
			cuts = append(cuts, r.IntN(len(list)))
		}
		if r.IntN(2) == 0 { // close to each other
			cuts = append(cuts, min(cuts[0]+1, len(list)), min(cuts[0]+10, len(list)))
		}
		slices.Sort(cuts)
		var sum watcher
		from := 0
		for _, cut := range append(cuts, len(list)) {
			var part watcher
			numbers := permutation(r, 1600)
			for _, s := range list[from:cut] {
				s.user, s.host, s.network, s.file = s.user^1, s.host^1, s.network^1, numbers[s.file]
				part.show(&s)
			}
			from = cut
			small := []uint32{1, 0, 3, 2, 5, 4, 7, 6}
			there := renumbering{small, small, small, inverse(numbers)}
			sum.merge(&part, there)
		}
		got, want := sum.tells(), whole.tells()
		if got.differs(want) || got.sights != want.sights {
			t.Fatalf("log %d cut at %v: the watchers tell\n%+v, want\n%+v", seed, cuts, got, want)
		}
	}
}

func permutation(r *rand.Rand, n int) []uint32 {
	list := make([]uint32, n)
	for i, v := range r.Perm(n) {
		list[i] = uint32(v)
	}
	return list
}

func inverse(list []uint32) []uint32 {
	out := make([]uint32, len(list))
	for i, v := range list {
		out[v] = uint32(i)
	}
	return out
}

// TestWatcherState goes on from a state anywhere, as if nothing had been.
func TestWatcherState(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		list := randomSeen(r, 0)
		var whole, w watcher
		cut := r.IntN(len(list))
		for i := range list {
			whole.show(&list[i])
			if i == cut {
				e := new(encoder)
				w.write(e)
				d := decoder{rest: e.buf}
				w = watcher{}
				if w.load(&d); d.err != nil || len(d.rest) > 0 {
					t.Fatalf("log %d: a state with %d bytes too many and %v", seed, len(d.rest), d.err)
				}
			}
			w.show(&list[i])
		}
		if got, want := w.tells(), whole.tells(); got.differs(want) || got.sights != want.sights {
			t.Fatalf("log %d with a state after %d: it tells\n%+v, want\n%+v", seed, cut, got, want)
		}
	}
}

// TestWatcherBounds shows a million names, each of which wants a window.
func TestWatcherBounds(t *testing.T) {
	var w watcher
	s := seen{at: 1_770_000_000}
	for i := range uint32(600_000) {
		for _, s.what = range []what{download, deletion | whole} {
			s.user, s.host, s.network, s.file = i%200_000, i, i/200_000, i
			w.show(&s)
		}
	}
	held, sights, failed := 0, 0, 0
	for i := range w.users {
		held += w.users[i].held()
		sights += len(w.users[i].sights)
		failed = max(failed, len(w.users[i].failed))
	}
	if held != w.held || held > maxHeld || failed > maxFailed || sights != w.sights || w.lost == 0 {
		t.Errorf("held are %d (it says %d) and %d attempts, sights %d (it says %d), lost %d", held, w.held, failed, sights, w.sights, w.lost)
	}
	for i := range uint32(5000) {
		s.user, s.network = 7, 100+i
		w.show(&s)
	}
	if u := &w.users[7]; !u.roams || len(u.sights) > 0 || len(u.places) > maxPlaces {
		t.Errorf("who was in 5000 networks has %d sights and %d places", len(u.sights), len(u.places))
	}
}

// TestClockPutBack wants the windows to go on after a line from the future.
func TestClockPutBack(t *testing.T) {
	var w watcher
	w.show(&seen{at: 2_100_000_000, what: download | whole})
	w.show(&seen{at: 2_100_000_000, what: deletion | whole})
	for i := range uint32(600) {
		w.show(&seen{at: 1_770_000_000, file: i, network: i / 100, what: download | whole})
		w.show(&seen{at: 1_770_000_000, what: deletion | whole})
	}
	for rule, want := range map[ruleNumber]int64{ruleSweep: 600, ruleDeletes: 600, ruleHosts: 6} {
		if got := w.best[ruleUser{rule, 0}].n; got != want {
			t.Errorf("%s: %d, want %d", Rules[rule].Name, got, want)
		}
	}
}

func BenchmarkWatcher(b *testing.B) {
	for _, shape := range []struct{ users, hosts, files uint32 }{{2000, 5000, 60_000}, {1, 5000, 60_000}} {
		b.Run(strconv.Itoa(int(shape.users)), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			list := make([]seen, 1<<20)
			for i := range list {
				s := seen{user: uint32(float64(shape.users) * r.Float64() * r.Float64()), file: r.Uint32N(shape.files), at: 1_770_000_000 + int64(i)/8, what: download | whole}
				s.host = (s.user*7 + r.Uint32N(3)) % shape.hosts
				s.network = s.host / 4
				if r.IntN(50) == 0 {
					s.what = upload
				}
				list[i] = s
			}
			var w watcher
			for i := range list {
				w.show(&list[i])
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				s := &list[i%len(list)]
				s.at += 1 << 17
				w.show(s)
			}
		})
	}
}
