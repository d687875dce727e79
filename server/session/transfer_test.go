package session

import (
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// download opens a session that is in the middle of RETR.
func download(t testing.TB, offset, size int64) *Entry {
	t.Helper()
	e := mustOpen(t, New(Limits{}), host(1))
	if err := e.Login("", "joe", 0); err != nil {
		t.Fatal(err)
	}
	e.Begin(Transfer{State: Downloading, Path: "/pub/iso", Offset: offset, Size: size})
	return e
}

func TestRates(t *testing.T) {
	const kib = 1024
	type rates struct{ in1s, in10s, average int64 }
	cases := []struct {
		name string
		run  func(e *Entry)
		want rates
	}{
		{"nothing yet", func(e *Entry) {}, rates{}},
		{"first chunk, at once: as of one tick", func(e *Entry) {
			e.Moved(25 * kib)
		}, rates{100 * kib, 100 * kib, 100 * kib}},
		{"half a second", func(e *Entry) {
			steady(e, 10*kib, 50*time.Millisecond, 10)
		}, rates{200 * kib, 200 * kib, 200 * kib}},
		{"steady for a minute", func(e *Entry) {
			steady(e, 10*kib, 50*time.Millisecond, 1200)
		}, rates{200 * kib, 200 * kib, 200 * kib}},
		{"slower since 5 s", func(e *Entry) {
			steady(e, 20*kib, 100*time.Millisecond, 150) // 200 K/s for 15 s
			steady(e, 10*kib, 100*time.Millisecond, 50)  // 100 K/s for 5 s
		}, rates{100 * kib, 150 * kib, 175 * kib}},
		{"stalled for 2 s", func(e *Entry) {
			steady(e, 20*kib, 100*time.Millisecond, 180)
			time.Sleep(2 * time.Second)
		}, rates{0, 160 * kib, 180 * kib}},
		{"stalled for long", func(e *Entry) {
			steady(e, 100*kib, 100*time.Millisecond, 10)
			time.Sleep(99 * time.Second)
		}, rates{0, 0, 10 * kib}},
		{"burst after a stall counts as now", func(e *Entry) {
			time.Sleep(30 * time.Second)
			e.Moved(300 * kib)
		}, rates{300 * kib, 30 * kib, 10 * kib}},
		{"one chunk each 4 s", func(e *Entry) {
			steady(e, 400*kib, 4*time.Second, 10)
			time.Sleep(time.Second) // the last chunks are 3, 7 and 11 s old
		}, rates{0, 80 * kib, 4000 * kib / 41}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := download(t, 0, -1)
				c.run(e)
				i := e.Info()
				if got := (rates{i.Rate1s, i.Rate10s, i.RateAvg}); got != c.want {
					t.Errorf("rates are %+v, want %+v", got, c.want)
				}
			})
		})
	}
}

// steady moves n bytes in the middle of each pause of the given length, so that
// none falls on the edge of a tick, where it would be in both windows that meet.
func steady(e *Entry, n int, pause time.Duration, times int) {
	for range times {
		time.Sleep(pause / 2)
		e.Moved(n)
		time.Sleep(pause / 2)
	}
}

// TestRatesAgainstHistory compares with the definition, from a full record of
// what was moved when: the bytes since the edge of the tick that was one window
// ago, over the time since then.
func TestRatesAgainstHistory(t *testing.T) {
	type event struct {
		at time.Duration
		n  int64
	}
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			e := download(t, 0, -1)
			start := time.Now()
			var past []event
			window := func(ticks int) int64 {
				now := time.Since(start)
				from := max(0, now/tick-time.Duration(ticks)) * tick
				var n int64
				for _, ev := range past {
					if ev.at >= from {
						n += ev.n
					}
				}
				return int64(float64(n) / max(now-from, tick).Seconds())
			}
			for range 300 {
				pause := time.Duration(rnd.ExpFloat64() * float64(300*time.Millisecond))
				if rnd.IntN(40) == 0 {
					pause *= 60
				}
				time.Sleep(pause)
				if n := rnd.IntN(1 << 20); rnd.IntN(4) > 0 {
					e.Moved(n)
					past = append(past, event{time.Since(start), int64(n)})
				}
				i := e.Info()
				if w1, w10 := window(4), window(40); i.Rate1s != w1 || i.Rate10s != w10 {
					t.Fatalf("seed %d after %v: %d and %d bytes a second, want %d and %d",
						seed, time.Since(start), i.Rate1s, i.Rate10s, w1, w10)
				}
			}
		})
	}
}

func TestLifeOfAnEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := New(Limits{})
		e := mustOpen(t, r, host(7))
		want := Info{ID: 1, Remote: host(7), Local: ftpd, Started: began, Since: began, Active: began, Size: -1}
		check := func(when string) {
			t.Helper()
			if got := e.Info(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", when, got, want)
			}
		}
		check("after accept")

		time.Sleep(time.Second)
		e.SetTLS("TLS 1.3")
		e.SetClient("lftp/4.9")
		e.SetHost("ftp.example.org")
		e.SetName("client.example.org")
		e.SetCommand("PASS ****")
		want.TLS, want.Client, want.Host, want.Name, want.Command, want.Active = "TLS 1.3", "lftp/4.9", "ftp.example.org", "client.example.org", "PASS ****", time.Now()
		time.Sleep(time.Second)
		if err := e.Login("", "joe", 1); err != nil {
			t.Fatal(err)
		}
		e.SetCwd("/pub")
		want.User, want.State, want.Since, want.Cwd = "joe", Idle, time.Now(), "/pub"
		check("after login")

		time.Sleep(time.Minute)
		e.Begin(Transfer{State: Uploading, Path: "/pub/a", Offset: 100, Size: 400})
		want.State, want.Since, want.Path, want.Offset, want.Size = Uploading, time.Now(), "/pub/a", 100, 400
		want.Uploads = 1
		check("as STOR begins")

		time.Sleep(time.Second)
		e.Moved(200)
		want.Moved, want.TotalUp, want.Rate1s, want.Rate10s, want.RateAvg = 200, 200, 200, 200, 200
		check("while it moves")
		if p := e.Info().Percent(); p != 75 {
			t.Errorf("percent of 300 in 400 is %d", p)
		}

		e.End(nil)
		e.End(nil) // counts once
		want = Info{ID: 1, Remote: want.Remote, Local: ftpd, Started: began, TLS: want.TLS, Client: want.Client, Host: want.Host, Name: want.Name,
			User: "joe", State: Idle, Since: time.Now(), Cwd: "/pub", Command: want.Command, Active: want.Active,
			Size: -1, TotalUp: 200, Uploads: 1, FilesUp: 1}
		check("after 226")

		e.Moved(5) // a late chunk belongs to nothing
		time.Sleep(time.Second)
		e.Begin(Transfer{State: Listing, Path: "/pub", Size: -1})
		e.Moved(1000)
		e.End(nil)
		want.Since = time.Now()
		check("after a listing, which counts in no sum")

		e.Begin(Transfer{State: Downloading, Path: "/pub/b", Size: 0})
		e.Moved(7)
		e.End(os.ErrDeadlineExceeded)
		want.Downloads, want.TotalDown = 1, 7
		check("after a broken download")

		time.Sleep(time.Second)
		e.Logout()
		want.User, want.State, want.Cwd, want.Since = "", Login, "", time.Now()
		check("after REIN")

		e.Begin(Transfer{State: Uploading})
		e.Moved(3)
		e.Close()
		sum := Totals{Peak: 1, Accepted: 1, Up: 203, Down: 7, FilesUp: 1}
		if got := r.Totals(); got != sum {
			t.Errorf("Totals = %+v, want %+v", got, sum)
		}
	})
}

// TestMovedTakesNoLock holds every lock there is; Moved must not care.
func TestMovedTakesNoLock(t *testing.T) {
	e := download(t, 0, -1)
	e.reg.mu.Lock()
	e.mu.Lock()
	e.Moved(10)
	e.mu.Unlock()
	e.reg.mu.Unlock()
	if got := e.Info().Moved; got != 10 {
		t.Errorf("moved %d, want 10", got)
	}
	if n := testing.AllocsPerRun(100, func() { e.Moved(1) }); n != 0 {
		t.Errorf("Moved allocates %v times", n)
	}
}

// TestReadersDoNotDisturb has writers and readers at work together: no reader
// sees a count go back or a rate above what could have been moved.
func TestReadersDoNotDisturb(t *testing.T) {
	r := New(Limits{})
	const writers, transfers, chunks, size = 8, 20, 500, 1000
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for n := range writers {
		e := mustOpen(t, r, host(n))
		writing.Go(func() {
			for range transfers {
				e.Begin(Transfer{State: Downloading, Path: "/f", Size: chunks * size})
				done := make(chan struct{})
				go func() { // the transfer goroutine
					defer close(done)
					for range chunks {
						e.Moved(size)
					}
				}()
				<-done
				e.SetCommand("NOOP")
				e.End(nil)
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			last := make(map[ID]int64)
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, i := range r.List() {
					if i.TotalDown < last[i.ID] {
						t.Errorf("total went back from %d to %d", last[i.ID], i.TotalDown)
					}
					last[i.ID] = i.TotalDown
					if i.Rate1s < 0 || i.Rate10s < 0 || i.Rate1s > 4*chunks*size {
						t.Errorf("rates %d and %d of a transfer of %d", i.Rate1s, i.Rate10s, chunks*size)
					}
				}
				r.Totals()
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	if got, want := r.Totals().Down, int64(writers*transfers*chunks*size); got != want {
		t.Errorf("moved %d in all, want %d", got, want)
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct {
		state               State
		offset, moved, size int64
		want                int
	}{
		{Downloading, 0, 0, 100, 0},
		{Downloading, 0, 424, 1000, 42},
		{Downloading, 0, 425, 1000, 43},
		{Downloading, 50, 25, 100, 75},
		{Downloading, 0, 150, 100, 100}, // it grew
		{Downloading, 0, 0, 0, 100},
		{Downloading, 0, 1 << 62, 1 << 62, 100},
		{Downloading, 1 << 62, 1 << 62, 1<<63 - 1, 100},
		{Uploading, 0, 10, -1, -1},
		{Idle, 0, 0, 100, -1},
	} {
		i := Info{State: c.state, Offset: c.offset, Moved: c.moved, Size: c.size}
		if got := i.Percent(); got != c.want {
			t.Errorf("%v, %d+%d of %d: %d percent, want %d", c.state, c.offset, c.moved, c.size, got, c.want)
		}
	}
}

func TestStates(t *testing.T) {
	for s := Login; s <= Uploading; s++ {
		back, err := ParseState(s.String())
		if err != nil || back != s {
			t.Errorf("%v reads back as %v, %v", s, back, err)
		}
		if s.Transfers() != (s >= Listing) {
			t.Errorf("%v transfers: %v", s, s.Transfers())
		}
	}
	if _, err := ParseState("Idle"); err == nil {
		t.Error("read a state that is none")
	}
	if got := State(9).String(); got != "State(9)" {
		t.Errorf("unknown state prints as %q", got)
	}
	for _, text := range []string{"", "0", "-1", "x", "1.5", " 1", "18446744073709551616"} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("ParseID(%q) = %v", text, id)
		}
	}
	if id, err := ParseID("18446744073709551615"); err != nil || id.String() != "18446744073709551615" {
		t.Errorf("largest id reads back as %v, %v", id, err)
	}
}
