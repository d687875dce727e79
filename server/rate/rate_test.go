package rate

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	kb = 1 << 10
	mb = 1 << 20
	gb = 1 << 30
)

func down(n int64) Limit { return Limit{Down: n} }

func holder(name string) Holder {
	return Holder{Name: name, GID: 100, Addr: netip.MustParseAddr("192.0.2.7")}
}

// A runner moves as much as it may, until it is stopped.
type runner struct {
	session *Session
	moved   atomic.Int64
	stop    func()
}

// run starts a transfer of a session.
func run(t *testing.T, s *Session, w Way) *runner {
	ctx, cancel := context.WithCancel(t.Context())
	r := &runner{session: s}
	var done sync.WaitGroup
	done.Go(func() {
		x := s.Begin(w)
		defer x.End()
		for ctx.Err() == nil {
			n := x.Step()
			r.moved.Add(n)
			if !x.Limited() { // nothing would slow it down in virtual time
				time.Sleep(time.Millisecond)
			}
			_ = x.Pay(ctx, n)
		}
	})
	r.stop = func() { cancel(); done.Wait() }
	t.Cleanup(r.stop)
	return r
}

// after lets time pass and returns how much each has moved in it.
func after(d time.Duration, runners ...*runner) []int64 {
	moved := make([]int64, len(runners))
	for i, r := range runners {
		moved[i] = -r.moved.Load()
	}
	time.Sleep(d)
	synctest.Wait()
	for i, r := range runners {
		moved[i] += r.moved.Load()
	}
	return moved
}

func sum(moved []int64) (all int64) {
	for _, n := range moved {
		all += n
	}
	return all
}

// near fails unless got is within so many percent of want.
func near(t *testing.T, what string, got, want int64, percent float64) {
	t.Helper()
	if math.Abs(float64(got-want)) > float64(want)*percent/100 {
		t.Errorf("%s: %d, which is %.2f%% of %d", what, got, float64(got)/float64(want)*100, want)
	}
}

// TestExact holds the sum of a user's sessions to its rate over ten seconds, and
// at no moment before to more than an eighth of a second above it.
func TestExact(t *testing.T) {
	for _, rate := range []int64{8 * kb, 100 * kb, 1_000_000, 50 * mb, 2 * gb} {
		for _, sessions := range []int{1, 2, 8} {
			for w := range ways {
				synctest.Test(t, func(t *testing.T) {
					var tree Tree
					var all []*runner
					for range sessions {
						all = append(all, run(t, tree.Join(holder("alice"), Limit{rate, rate}, Limit{}), w))
					}
					total := int64(0)
					for i := range int64(100) {
						total += sum(after(time.Second/10, all...))
						if most := rate*(i+1)/10 + rate/8 + int64(sessions)*stepMin; total > most {
							t.Fatalf("%d at %d sessions: %d after %d ms, more than %d", rate, sessions, total, 100*(i+1), most)
						}
					}
					near(t, "sum", total, 10*rate, 3)
					for _, r := range all {
						// who came first has had what all may have at once
						if n, fair := r.moved.Load(), 10*rate/int64(sessions); n < fair*94/100 || n > fair*106/100+rate/10 {
							t.Errorf("%d of %d at %d sessions", n, fair, sessions)
						}
					}
				})
			}
		}
	}
}

// TestSharing lets users share what they have in common, and each its part.
func TestSharing(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		users  []Limit // of each user
		own    []Limit // of each session
		of     []int   // the user of each session
		want   []int64 // what each session gets a second
	}{
		{"by users", Limits{Server: down(1000 * kb)}, make([]Limit, 2), make([]Limit, 5), []int{0, 1, 1, 1, 1},
			[]int64{500 * kb, 125 * kb, 125 * kb, 125 * kb, 125 * kb}},
		{"fast", Limits{Server: down(gb)}, make([]Limit, 2), make([]Limit, 3), []int{0, 1, 1},
			[]int64{gb / 2, gb / 4, gb / 4}},
		{"what one may not have, others get", Limits{}, []Limit{down(1000 * kb)}, []Limit{down(100 * kb), {}, {}}, []int{0, 0, 0},
			[]int64{100 * kb, 450 * kb, 450 * kb}},
		{"a user below its share", Limits{Server: down(1000 * kb)}, []Limit{down(200 * kb), {}, {}}, make([]Limit, 4), []int{0, 0, 1, 2},
			[]int64{100 * kb, 100 * kb, 400 * kb, 400 * kb}},
		{"a group", Limits{Groups: map[int]Limit{100: down(300 * kb), 7: down(1)}}, make([]Limit, 3), make([]Limit, 3), []int{0, 1, 2},
			[]int64{100 * kb, 100 * kb, 100 * kb}},
		{"the least of all", Limits{Server: down(400 * kb), Groups: map[int]Limit{100: down(300 * kb)}, Networks: map[netip.Prefix]Limit{
			netip.MustParsePrefix("192.0.2.0/24"): down(50 * kb), netip.MustParsePrefix("192.0.0.0/16"): down(60 * kb),
			netip.MustParsePrefix("10.0.0.0/8"): down(1)}}, []Limit{down(200 * kb)}, []Limit{down(100 * kb)}, []int{0}, []int64{50 * kb}},
		{"the wider network", Limits{Networks: map[netip.Prefix]Limit{
			netip.MustParsePrefix("192.0.2.0/24"): down(70 * kb), netip.MustParsePrefix("192.0.0.0/16"): down(60 * kb)}},
			make([]Limit, 2), make([]Limit, 2), []int{0, 1}, []int64{30 * kb, 30 * kb}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tree Tree
				tree.Configure(test.limits)
				var all []*runner
				for i, user := range test.of {
					all = append(all, run(t, tree.Join(holder(string(rune('a'+user))), test.users[user], test.own[i]), Down))
				}
				after(time.Second, all...)
				for i, n := range after(10*time.Second, all...) {
					near(t, "session "+string(rune('0'+i)), n, 10*test.want[i], 3)
				}
			})
		})
	}
}

// TestMany has an account that is many people's share by addresses.
func TestMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		var all []*runner
		for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.2"} {
			h := Holder{Name: "ftp", Addr: netip.MustParseAddr(addr), Many: true}
			all = append(all, run(t, tree.Join(h, down(400*kb), Limit{}), Down))
		}
		after(time.Second, all...)
		for i, n := range after(10*time.Second, all...) {
			near(t, "session", n, 10*[]int64{200 * kb, 100 * kb, 100 * kb}[i], 3)
		}
	})
}

// TestWays keeps the directions apart, and accounts of other databases.
func TestWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		l := Limit{Up: 30 * kb, Down: 100 * kb}
		s := tree.Join(holder("alice"), l, Limit{})
		h := holder("alice")
		h.Users = "/srv/b.db"
		other := tree.Join(h, l, Limit{})
		got := after(10*time.Second, run(t, s, Up), run(t, s, Down), run(t, other, Down))
		for i, want := range []int64{300 * kb, 1000 * kb, 1000 * kb} {
			near(t, "moved", got[i], want, 3)
		}
	})
}

func TestJoinAndLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		join := func() *runner { return run(t, tree.Join(holder("alice"), down(1000*kb), Limit{}), Down) }
		a := join()
		near(t, "alone", sum(after(2*time.Second, a)), 2000*kb, 6)
		b := join()
		after(time.Second, a, b)
		for _, n := range after(5*time.Second, a, b) {
			near(t, "one of two", n, 2500*kb, 3)
		}
		b.stop()
		after(time.Second/5, a)
		near(t, "alone again", sum(after(5*time.Second, a)), 5000*kb, 3)
		a.stop()
		time.Sleep(time.Hour)
		a = join()
		near(t, "after a pause, without a burst", sum(after(time.Second, a)), 1000*kb, 12)
	})
}

// TestStalled has others get at once what one does not use, who may catch up with
// a fifth of a second at most.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		join := func() *Session { return tree.Join(holder("alice"), down(1000*kb), Limit{}) }
		stalled := join().Begin(Down)
		for range 20 {
			if err := stalled.Pay(t.Context(), stalled.Step()); err != nil {
				t.Fatal(err)
			}
		}
		others := []*runner{run(t, join(), Down), run(t, join(), Down), run(t, join(), Down)}
		after(time.Second/10, others...)
		near(t, "the first second", sum(after(time.Second, others...)), 1000*kb, 3)
		near(t, "the others", sum(after(10*time.Second, others...)), 10000*kb, 3)
		for _, o := range others {
			o.stop()
		}
		time.Sleep(time.Hour)
		start, moved := time.Now(), int64(0)
		for time.Since(start) < time.Second {
			n := stalled.Step()
			moved += n
			if err := stalled.Pay(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		if most := int64(1000 * kb * 13 / 10); moved > most {
			t.Errorf("%d moved in the second after an hour's stall", moved)
		}
		stalled.End()
	})
}

// TestChange changes limits under transfers, also one that waits for long.
func TestChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		s := tree.Join(holder("alice"), Limit{}, Limit{})
		r := run(t, s, Down)
		free := sum(after(time.Second, r))
		if free < 1000*mb || free > 1001*mb {
			t.Errorf("%d moved without a limit", free)
		}
		for _, step := range []struct {
			name         string
			user, own    Limit
			limits       Limits
			want, within int64
		}{
			{"user", down(100 * kb), Limit{}, Limits{}, 100 * kb, 12},
			{"slower", down(1), Limit{}, Limits{}, 0, 0},
			{"faster", down(mb), Limit{}, Limits{}, mb, 12},
			{"session", down(mb), down(10 * kb), Limits{}, 10 * kb, 22},
			{"server", Limit{}, Limit{}, Limits{Server: down(200 * kb)}, 200 * kb, 12},
			{"group", Limit{}, Limit{}, Limits{Groups: map[int]Limit{100: down(300 * kb)}}, 300 * kb, 12},
			{"none", Limit{}, Limit{}, Limits{}, free, 1},
		} {
			s.Set(step.user, step.own)
			tree.Configure(step.limits)
			synctest.Wait()
			got := sum(after(time.Second, r))
			if step.want == 0 {
				if got > 2*stepMin {
					t.Errorf("%s: %d moved", step.name, got)
				}
				continue
			}
			near(t, step.name, got, step.want, float64(step.within))
		}
		r.stop()
		s.Leave()
		s.Set(down(1), down(1)) // too late
		s.Leave()
		if len(tree.buckets)+len(tree.accounts) != 0 {
			t.Errorf("%d buckets and %d accounts are left", len(tree.buckets), len(tree.accounts))
		}
	})
}

// TestLastSays has the limit of a user be what was said last, for all its sessions.
func TestLastSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		a := run(t, tree.Join(holder("alice"), down(100*kb), Limit{}), Down)
		after(time.Second, a)
		b := run(t, tree.Join(holder("alice"), down(mb), Limit{}), Down)
		after(time.Second, a, b)
		for _, n := range after(4*time.Second, a, b) {
			near(t, "half", n, 2*mb, 3)
		}
	})
}

func TestNodesVanish(t *testing.T) {
	var tree Tree
	tree.Configure(Limits{Server: Limit{1, 1}, Groups: map[int]Limit{100: down(1), 8: down(1)},
		Networks: map[netip.Prefix]Limit{netip.MustParsePrefix("192.0.2.0/24"): {Up: 1}, netip.MustParsePrefix("2001:db8::/32"): down(1)}})
	if len(tree.buckets) != 0 {
		t.Errorf("%d buckets without a session", len(tree.buckets))
	}
	a := tree.Join(holder("alice"), down(1), down(1))
	b := tree.Join(holder("bob"), Limit{}, Limit{})
	if n := len(tree.buckets); n != 6 { // server twice, group, network, user, session
		t.Errorf("%d buckets", n)
	}
	a.Leave()
	if n := len(tree.buckets); n != 4 {
		t.Errorf("%d buckets without alice", n)
	}
	b.Leave()
	if len(tree.buckets)+len(tree.accounts) != 0 {
		t.Errorf("%d buckets and %d accounts are left", len(tree.buckets), len(tree.accounts))
	}
}

// TestUnlimitedTakesNoLock moves while the lock is held, and allocates nothing.
func TestUnlimitedTakesNoLock(t *testing.T) {
	var tree Tree
	s := tree.Join(holder("alice"), Limit{Up: 1}, Limit{})
	tree.mu.Lock()
	defer tree.mu.Unlock()
	for _, x := range []*Transfer{s.Begin(Down), nil} {
		if n := testing.AllocsPerRun(100, func() {
			if x.Limited() || x.Step() != StepMax || x.Pay(context.Background(), StepMax) != nil {
				t.Error("it is limited")
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
		x.End()
	}
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tree Tree
		x := tree.Join(holder("alice"), down(1), Limit{}).Begin(Down)
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		start := time.Now()
		x.Step()
		if err := x.Pay(ctx, mb); err != why || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		x.End()
	})
}

// TestNeverTooMuch lets sessions come, stall, go and change at random, and holds
// every limit over any second to what it says, with what may be ahead of its time.
func TestNeverTooMuch(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var tree Tree
			const server, user = 900 * kb, 400 * kb
			tree.Configure(Limits{Server: down(server)})
			names := []string{"alice", "bob", "carol", "dave"}
			moved := make([]atomic.Int64, len(names))
			var live sync.WaitGroup
			for range 40 {
				who, seed := rnd.IntN(len(names)), rnd.Uint64()
				live.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, 2))
					time.Sleep(time.Duration(rnd.Int64N(int64(20 * time.Second))))
					s := tree.Join(holder(names[who]), down(user), Limit{})
					defer s.Leave()
					x := s.Begin(Down)
					defer x.End()
					for end := time.Now().Add(time.Duration(rnd.Int64N(int64(10 * time.Second)))); time.Now().Before(end); {
						n := rnd.Int64N(x.Step()) + 1
						moved[who].Add(n)
						if err := x.Pay(t.Context(), n); err != nil {
							t.Error(err)
						}
						if rnd.IntN(20) == 0 {
							time.Sleep(time.Duration(rnd.Int64N(int64(time.Second))))
						}
					}
				})
			}
			// A second, the arrears, and what may be ahead; what is smallest each may have.
			most := func(rate int64) int64 { return rate + rate/5 + rate/8 + 40*stepMin }
			for range 35 {
				before := make([]int64, len(names))
				for i := range moved {
					before[i] = moved[i].Load()
				}
				time.Sleep(time.Second)
				synctest.Wait()
				all := int64(0)
				for i := range moved {
					n := moved[i].Load() - before[i]
					all += n
					if n > most(user) {
						t.Errorf("seed %d: %s moved %d in a second", seed, names[i], n)
					}
				}
				if all > most(server) {
					t.Errorf("seed %d: %d moved in a second", seed, all)
				}
			}
			live.Wait()
			if len(tree.buckets) != 0 {
				t.Errorf("%d buckets are left", len(tree.buckets))
			}
		})
	}
}
