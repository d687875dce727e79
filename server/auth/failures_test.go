package auth

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(testDB(t))
		o.DelayStep, o.DelayMost = 3*time.Second, 10*time.Second
		c := testChain(t, o)
		if d := c.Delay(client); d != 0 {
			t.Errorf("before any failure: %v", d)
		}
		for i, want := range []time.Duration{3, 6, 9, 10, 10, 10} {
			if _, err := c.Login(t.Context(), attempt("alice", "wrong")); !errors.Is(err, ErrPassword) {
				t.Fatal(err)
			}
			d := c.Delay(client) - want*time.Second
			if d < 0 || d >= pad {
				t.Errorf("failure %d: %v more than %d s", i+1, d, want)
			}
		}
		if d := c.Delay(netip.MustParseAddr("192.0.2.8")); d != 0 {
			t.Errorf("another address waits %v", d)
		}
		// A good login takes nothing back.
		if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
			t.Fatal(err)
		}
		if n := c.Failures(client); n != 6 {
			t.Errorf("%d failures after a good login", n)
		}
		// Time does, a failure a minute.
		time.Sleep(4 * forgiven)
		if n := c.Failures(client); n != 2 {
			t.Errorf("%d failures after four minutes", n)
		}
		time.Sleep(time.Hour)
		if n := c.Failures(client); n != 0 {
			t.Errorf("%d failures after an hour", n)
		}
		c.Close()
	})
}

func TestDelayOff(t *testing.T) {
	for range 100 {
		if d := delay(5, 0, 10*time.Second); d != 0 {
			t.Errorf("delay of no step is %v", d)
		}
		if d := delay(5, time.Second, 0); d != 0 {
			t.Errorf("delay of no time is %v", d)
		}
	}
	seen := make(map[time.Duration]bool)
	for range 100 {
		seen[delay(1, time.Second, time.Minute)] = true
	}
	if len(seen) < 2 {
		t.Error("there is no chance in it")
	}
}

func TestFailuresBySource(t *testing.T) {
	f := newFailures()
	for _, addr := range []string{"2001:db8::1", "2001:db8::ffff:1", "2001:db8::2%eth0"} {
		f.add(netip.MustParseAddr(addr))
	}
	f.add(netip.MustParseAddr("::ffff:192.0.2.7"))
	f.add(client)
	f.add(netip.Addr{})
	for addr, want := range map[string]int{"2001:db8::9": 3, "2001:db8:0:1::1": 0, "192.0.2.7": 2, "192.0.2.6": 0} {
		if n := f.count(netip.MustParseAddr(addr)); n != want {
			t.Errorf("%s: %d failures, not %d", addr, n, want)
		}
	}
	if n := f.count(netip.Addr{}); n != 1 {
		t.Errorf("unknown address: %d", n)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		for range 10 * maxFailures {
			f.add(client)
		}
		if n := f.count(client); n != maxFailures {
			t.Errorf("%d failures", n)
		}
		a := netip.MustParseAddr("10.0.0.0")
		for range maxSources + 100 {
			f.add(a)
			a = a.Next()
		}
		if n := len(f.by); n != maxSources {
			t.Errorf("%d sources", n)
		}
		time.Sleep(time.Hour)
		fresh := a
		for range 1000 {
			f.add(a)
			a = a.Next()
		}
		for ; fresh != a; fresh = fresh.Next() {
			if f.count(fresh) != 1 {
				t.Errorf("%s made room, though others are forgiven", fresh)
			}
		}
	})
}
