package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"portreeve/userdb"
)

func TestRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		c := testChain(t, options(db))
		login := func(what, password string, hashes int64, want error) {
			t.Helper()
			before := c.load.checked.Load()
			if _, err := c.Login(t.Context(), attempt("alice", password)); !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
			if n := c.load.checked.Load() - before; n != hashes {
				t.Errorf("%s: %d hashes, not %d", what, n, hashes)
			}
			synctest.Wait() // or the next waits for the write that notes this one
		}
		login("the first", secret, 1, nil)
		login("the second", secret, 0, nil)
		login("wrong", "wrong", 1, ErrPassword)
		login("wrong again", "wrong", 1, ErrPassword)
		time.Sleep(time.Minute - time.Nanosecond)
		login("within the minute", secret, 0, nil)
		time.Sleep(time.Nanosecond)
		login("after the minute", secret, 1, nil)
		login("after that", secret, 0, nil)

		// The same password again, but hashed anew: nothing is known of it.
		setPassword(t, db, "alice", hashOf(t, secret))
		login("with another hash", secret, 1, nil)
		setPassword(t, db, "alice", hashOf(t, "other"))
		login("when it was changed", secret, 1, ErrPassword)
		login("the new one", "other", 1, nil)
		setPassword(t, db, "alice", "!"+hashOf(t, "other"))
		login("when it was locked", "other", 1, userdb.ErrUnknownHash)

		// Rules are looked at each time.
		setPassword(t, db, "alice", hashOf(t, secret))
		login("unlocked", secret, 1, nil)
		if err := db.Modify("alice", func(u *userdb.User) error { u.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		login("when disabled", secret, 0, ErrDisabled)
		c.Close()
	})
}

func setPassword(t *testing.T, db userdb.DB, name, hash string) {
	t.Helper()
	if err := db.Modify(name, func(u *userdb.User) error { u.Password = hash; return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestRememberOff(t *testing.T) {
	o := options(testDB(t))
	o.Remember = 0
	c := testChain(t, o)
	for range 3 {
		if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.load.checked.Load(); n != 3 {
		t.Errorf("%d hashes for 3 logins", n)
	}
	if len(c.remembered.until) != 0 {
		t.Error("something was remembered")
	}
}

// Nothing but the same three parts has the same digest.
func TestDigest(t *testing.T) {
	r := newRemembered()
	seen := make(map[digest]string)
	for _, p := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "", "abc"}, {"a", "b", "c1:d"},
		{"a", "b1:c", "d"}, {"1:a", "b", "c"}} {
		d := r.digest(p[0], p[1], p[2])
		if other, taken := seen[d]; taken {
			t.Errorf("%q and %s have one digest", p, other)
		}
		seen[d] = fmt.Sprintf("%q", p)
	}
	if newRemembered().digest("a", "b", "c") == r.digest("a", "b", "c") {
		t.Error("two processes have the same key")
	}
}

func TestRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemembered()
		key := func(i int) digest { return r.digest("a", "b", fmt.Sprint(i)) }
		for i := range maxRemembered + 100 {
			r.add(key(i), time.Minute)
			if !r.has(key(i)) {
				t.Fatalf("the one just added is not there, of %d", i)
			}
		}
		if n := len(r.until); n != maxRemembered {
			t.Errorf("%d are remembered", n)
		}
		time.Sleep(time.Hour)
		for i := range 1000 {
			r.add(key(-i), time.Minute)
		}
		for i := range 1000 {
			if !r.has(key(-i)) {
				t.Errorf("%d made room, though others are of no more use", i)
			}
		}
		r.add(key(-9999), 0)
		if r.has(key(-9999)) {
			t.Error("remembered for no time")
		}
	})
}

// Ten connections with one password wait for one hash.
func TestCrowdPaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemembered()
		key := r.digest("a", "b", "c")
		calls, begin := 0, make(chan struct{})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				ok, err := r.once(t.Context(), key, func() (bool, error) {
					calls++ // by one goroutine at a time, or the race detector sees it
					<-begin
					return true, nil
				})
				if !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
			})
		}
		synctest.Wait()
		close(begin)
		wg.Wait()
		if calls != 1 {
			t.Errorf("%d checks for ten with one password", calls)
		}
		if len(r.running) != 0 {
			t.Error("the check is still listed")
		}
		// A wrong one is not remembered: the next asks again.
		for range 2 {
			if ok, err := r.once(t.Context(), key, func() (bool, error) { calls++; return false, nil }); ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		}
		if calls != 3 {
			t.Errorf("%d checks", calls)
		}
	})
}

// A client that leaves while others wait for its check does not take it along.
func TestCrowdLosesItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemembered()
		key := r.digest("a", "b", "c")
		ctx, leave := context.WithCancel(t.Context())
		results := make(chan error, 3)
		go func() {
			_, err := r.once(ctx, key, func() (bool, error) {
				<-ctx.Done()
				return false, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
			})
			if !errors.Is(err, ErrBusy) {
				t.Errorf("the first: %v", err)
			}
			results <- nil
		}()
		synctest.Wait()
		for range 2 {
			go func() {
				ok, err := r.once(t.Context(), key, func() (bool, error) { return true, nil })
				if !ok {
					err = errors.Join(err, errors.New("not let in"))
				}
				results <- err
			}()
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.once(short, key, nil); !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one with little time: %v", err)
		}
		leave()
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCrowdSurvivesPanic(t *testing.T) {
	r := newRemembered()
	key := r.digest("a", "b", "c")
	func() {
		defer func() {
			if r := recover(); r != "x" {
				t.Errorf("recovered %v", r)
			}
		}()
		ok, err := r.once(t.Context(), key, func() (bool, error) { panic("x") })
		t.Errorf("it returned %v, %v", ok, err)
	}()
	if ok, err := r.once(t.Context(), key, func() (bool, error) { return true, nil }); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// With the budget in use, a login waits as long as it may, and no longer.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		o := options(db)
		o.Memory = testCost().Memory()
		c := testChain(t, o)
		slots := c.settings.Load().hashing.slots
		if !slots.TryAcquire(o.Memory) {
			t.Fatal("the budget is in use already")
		}
		for _, a := range []Attempt{attempt("alice", secret), attempt("alice", "wrong"), attempt("nobody", secret)} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			start := time.Now()
			if got, err := c.Login(ctx, a); !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %+v, %v", a.Name, got, err)
			}
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("%s waited %v", a.Name, took)
			}
			cancel()
		}
		if n := c.Failures(client); n != 0 {
			t.Errorf("%d failures counted of logins that were not answered", n)
		}
		done := make(chan error)
		go func() {
			_, err := c.Login(t.Context(), attempt("alice", secret))
			done <- err
		}()
		synctest.Wait() // it waits in line
		slots.Release(o.Memory)
		if err := <-done; err != nil {
			t.Errorf("when the budget is free: %v", err)
		}
		// What was in use when the settings changed still counts.
		if !slots.TryAcquire(1) {
			t.Fatal("the budget was not given back")
		}
		if err := c.Configure(o); err != nil {
			t.Fatal(err)
		}
		if c.settings.Load().hashing.slots != slots {
			t.Error("a reload begins a second budget")
		}
		slots.Release(1)
		c.Close()
	})
}

// TestRestAfterWrongPassword: the turn of a password that was no good lasts twice
// as long as its hash, which its own client does not wait for.
func TestRestAfterWrongPassword(t *testing.T) {
	for good, rest := range map[bool]time.Duration{true: 0, false: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			h := newHashing(Options{Memory: 1, Cost: testCost()}, newRemembered(), newLoad())
			h.turns.all = semaphore.NewWeighted(1)
			start := time.Now()
			check := func(good bool) time.Duration {
				if err := h.run(t.Context(), netip.Addr{}, 1, func() bool { time.Sleep(time.Second); return good }); err != nil {
					t.Error(err)
				}
				return time.Since(start)
			}
			if took := check(good); took != time.Second {
				t.Errorf("the answer took %v", took)
			}
			if took := check(true); took != 2*time.Second+rest {
				t.Errorf("good %v: the next was over after %v", good, took)
			}
			time.Sleep(time.Minute)
			if !h.turns.idle() {
				t.Error("a turn is lost")
			}
		})
	}
}

// idle tells whether nobody has a turn or waits for one.
func (t *turns) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sources) == 0 && t.all.TryAcquire(1)
}

// TestFloodFromOneAddress: who comes from elsewhere waits for one of a flood, and
// not for all of it; a client that gives up leaves no place taken.
func TestFloodFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashing(Options{Memory: 100, Cost: testCost()}, newRemembered(), newLoad())
		h.turns.all, h.turns.each = semaphore.NewWeighted(1), 1
		flood, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_ = h.run(t.Context(), flood, 1, func() bool { time.Sleep(time.Second); return false })
			})
		}
		synctest.Wait()
		if n := h.load.waiting.Load(); n != 49 {
			t.Errorf("%d are said to wait behind one of 50", n)
		}
		impatient, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for range 50 {
			wg.Go(func() {
				if err := h.run(impatient, flood, 1, func() bool { return true }); !errors.Is(err, ErrBusy) {
					t.Errorf("one at the end of a long line: %v", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if err := h.run(t.Context(), other, 1, func() bool { return true }); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 2*time.Second { // one hash and its rest
			t.Errorf("a login from elsewhere waited %v", took)
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if !h.turns.idle() {
			t.Error("a turn is lost")
		}
		took, waited := h.load.took.Buckets(), h.load.waited.Buckets()
		if n := h.load.waiting.Load(); n != 0 || took.Count() != 51 || waited.Count() != 51 || took.Sum != int64(50*time.Second) {
			t.Errorf("%d are said to wait after the end of %d hashes in %v, for which %d waited", n, took.Count(), time.Duration(took.Sum), waited.Count())
		}
	})
}
