package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	ftpd   = netip.MustParseAddrPort("192.0.2.9:21")
	nobody = func(error) {}
)

// host returns a client at the n-th address of a test network.
func host(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), 40000)
}

func mustOpen(t testing.TB, r *Registry, remote netip.AddrPort) *Entry {
	t.Helper()
	e, err := r.Open(remote, ftpd, nobody)
	if err != nil {
		t.Fatalf("Open(%v): %v", remote, err)
	}
	return e
}

func TestLimits(t *testing.T) {
	r := New(Limits{Max: 3, PerHost: 2})
	a := mustOpen(t, r, host(1))
	mustOpen(t, r, host(1))
	_, err := r.Open(host(1), ftpd, nobody)
	if limit, ok := errors.AsType[*LimitError](err); !errors.Is(err, ErrHostFull) || !ok || limit.Max != 2 {
		t.Errorf("third of one address: %v, want ErrHostFull of 2", err)
	}
	mustOpen(t, r, host(2))
	_, err = r.Open(host(3), ftpd, nobody)
	if limit, ok := errors.AsType[*LimitError](err); !errors.Is(err, ErrFull) || !ok || limit.Max != 3 {
		t.Errorf("fourth in all: %v, want ErrFull of 3", err)
	}
	a.Close()
	a.Close() // must not count twice
	mustOpen(t, r, host(1))
	if _, err := r.Open(host(4), ftpd, nobody); !errors.Is(err, ErrFull) {
		t.Errorf("closing twice freed two places: %v", err)
	}
	r.SetLimits(Limits{Max: 1})
	if r.Len() != 3 {
		t.Errorf("a lower limit made %d of 3 leave", 3-r.Len())
	}
	r.SetLimits(Limits{})
	for range 50 {
		mustOpen(t, r, host(1))
	}
	want := Totals{Now: 53, Peak: 53, Accepted: 54, Refused: 3}
	if got := r.Totals(); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
	if got := r.Limits(); got != (Limits{}) {
		t.Errorf("Limits = %+v after SetLimits of none", got)
	}
}

func TestMappedAddressIsIPv4(t *testing.T) {
	r := New(Limits{PerHost: 1})
	e, err := r.Open(netip.MustParseAddrPort("[::ffff:198.51.100.7]:5"), netip.MustParseAddrPort("[::ffff:192.0.2.9]:21"), nobody)
	if err != nil {
		t.Fatal(err)
	}
	if i := e.Info(); i.Remote.String() != "198.51.100.7:5" || i.Local != ftpd {
		t.Errorf("shown as %v to %v, want plain IPv4", i.Remote, i.Local)
	}
	if _, err := r.Open(netip.MustParseAddrPort("198.51.100.7:6"), ftpd, nobody); !errors.Is(err, ErrHostFull) {
		t.Errorf("same host in its other form: %v, want ErrHostFull", err)
	}
}

func TestLogin(t *testing.T) {
	r := New(Limits{})
	a, b, c, d := mustOpen(t, r, host(1)), mustOpen(t, r, host(2)), mustOpen(t, r, host(3)), mustOpen(t, r, host(4))
	steps := []struct {
		name string
		do   func() error
		want error
		of   *Entry
		user string
	}{
		{"first", func() error { return a.Login("", "joe", 2) }, nil, a, "joe"},
		{"second", func() error { return b.Login("", "joe", 2) }, nil, b, "joe"},
		{"third is over", func() error { return c.Login("", "joe", 2) }, ErrUserFull, c, ""},
		{"again as oneself", func() error { return a.Login("", "joe", 2) }, nil, a, "joe"},
		{"change to another", func() error { return a.Login("", "ann", 1) }, nil, a, "ann"},
		{"which freed a place", func() error { return c.Login("", "joe", 2) }, nil, c, "joe"},
		{"change to a full one keeps the old", func() error { return c.Login("", "ann", 1) }, ErrUserFull, c, "joe"},
		{"REIN frees", func() error { a.Logout(); return c.Login("", "ann", 1) }, nil, c, "ann"},
		{"so does leaving", func() error { c.Close(); return a.Login("", "ann", 1) }, nil, a, "ann"},
		{"no limit", func() error { return b.Login("", "ann", 0) }, nil, b, "ann"},
		{"another of that name", func() error { return d.Login("other.db", "ann", 1) }, nil, d, "ann"},
		{"after leaving nothing counts", func() error { return c.Login("", "bob", 1) }, nil, c, ""},
		{"as the next one sees", func() error { return a.Login("", "bob", 1) }, nil, a, "bob"},
	}
	for _, step := range steps {
		err := step.do()
		if !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
		if got := step.of.Info().User; got != step.user {
			t.Errorf("%s: account is %q, want %q", step.name, got, step.user)
		}
	}
	if want := map[user]int{{"", "ann"}: 1, {"", "bob"}: 1, {"other.db", "ann"}: 1}; !maps.Equal(r.users, want) {
		t.Errorf("counts are %v, want %v", r.users, want)
	}
}

func TestErrorsSayTheNumber(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&LimitError{ErrFull, 50}, "too many sessions (limit 50)"},
		{&LimitError{ErrHostFull, 8}, "too many sessions from this address (limit 8)"},
		{&LimitError{ErrUserFull, 1}, "too many sessions of this user (limit 1)"},
		{Kicked{}, "ended by the operator"},
		{Kicked{"back at nine"}, "ended by the operator: back at nine"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("text is %q, want %q", got, c.want)
		}
	}
}

func TestKick(t *testing.T) {
	r := New(Limits{})
	ctx, leave := context.WithCancelCause(t.Context())
	e, err := r.Open(host(1), ftpd, leave)
	if err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, r, host(2))
	if r.Kick(999, Kicked{}) || ctx.Err() != nil {
		t.Error("a kick of nobody hit somebody")
	}
	if !r.Kick(e.ID(), Kicked{"lunch"}) {
		t.Fatal("no such session")
	}
	if k, ok := errors.AsType[Kicked](context.Cause(ctx)); !ok || k.Message != "lunch" {
		t.Errorf("cause is %v, want Kicked{lunch}", context.Cause(ctx))
	}
	if r.Len() != 2 {
		t.Error("a kick alone must not free the place: the session still runs")
	}
	e.Close()
	if r.Kick(e.ID(), Kicked{}) {
		t.Error("kicked a session that had left")
	}
	if next := mustOpen(t, r, host(1)); next.ID() <= other.ID() {
		t.Errorf("ID %v came after %v", next.ID(), other.ID())
	}
}

func TestAbort(t *testing.T) {
	r := New(Limits{})
	e := mustOpen(t, r, host(1))
	aborted := 0
	if r.Abort(e.ID()) || r.Abort(e.ID()+1) {
		t.Error("aborted where nothing moved")
	}
	e.Begin(Transfer{State: Uploading, Size: -1, Abort: func() { aborted++ }})
	if !r.Abort(e.ID()) || aborted != 1 {
		t.Errorf("transfer aborted %d times, want once", aborted)
	}
	e.End(errors.New("aborted"))
	if r.Abort(e.ID()) || aborted != 1 {
		t.Error("aborted a transfer that had ended")
	}
	e.Begin(Transfer{State: Listing})
	if r.Abort(e.ID()) {
		t.Error("claims to have aborted what cannot be")
	}
}

func TestListIsOrderedCopy(t *testing.T) {
	r := New(Limits{})
	var entries []*Entry
	for n := range 500 {
		entries = append(entries, mustOpen(t, r, host(n)))
	}
	for n := range 250 {
		entries[n*2].Close()
	}
	list := r.List()
	if len(list) != 250 {
		t.Fatalf("List has %d, want 250", len(list))
	}
	for n, i := range list {
		if i.ID != entries[n*2+1].ID() {
			t.Fatalf("row %d is session %v, want %v", n, i.ID, entries[n*2+1].ID())
		}
	}
	entries[1].SetCwd("/later")
	if list[0].Cwd != "" {
		t.Error("List is a view, not a copy")
	}
	if i, ok := r.Get(entries[1].ID()); !ok || i.Cwd != "/later" {
		t.Errorf("Get = %+v, %v", i, ok)
	}
	if _, ok := r.Get(entries[0].ID()); ok {
		t.Error("Get found a session that had left")
	}
}

// model is what the registry shall do, written without a thought for speed.
type model struct {
	limits Limits
	live   map[ID]*modelEntry
	sum    Totals
}

type modelEntry struct {
	entry    *Entry
	host     netip.Addr
	user     string
	xfer     *Transfer
	moved    int64
	up, down int64
}

func (m *model) count(fits func(*modelEntry) bool) (n int) {
	for _, e := range m.live {
		if fits(e) {
			n++
		}
	}
	return n
}

// TestModel does what comes at random to a registry and to a model of it.
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		m := &model{limits: Limits{Max: 20, PerHost: 6}, live: make(map[ID]*modelEntry)}
		r := New(m.limits)
		for range 2000 {
			m.step(t, r, rnd)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func (m *model) step(t *testing.T, r *Registry, rnd *rand.Rand) {
	var e *modelEntry
	if ids := slices.Sorted(maps.Keys(m.live)); len(ids) > 0 {
		e = m.live[ids[rnd.IntN(len(ids))]]
	}
	switch op := rnd.IntN(10); {
	case e == nil || op < 3:
		m.open(t, r, host(rnd.IntN(5)))
	case op < 5:
		user := fmt.Sprint("u", rnd.IntN(3))
		var want error
		if m.count(func(o *modelEntry) bool { return o != e && o.user == user }) >= 4 {
			want = ErrUserFull
		} else {
			e.user = user
		}
		if err := e.entry.Login("", user, 4); !errors.Is(err, want) {
			t.Errorf("Login(%s) = %v, want %v", user, err, want)
		}
	case op < 6:
		e.entry.Logout()
		e.user = ""
	case op < 7:
		if rnd.IntN(20) == 0 {
			m.limits.Max = 10 + rnd.IntN(15)
			r.SetLimits(m.limits)
		}
		m.leave(e)
	default:
		m.transfer(e, rnd)
	}
	m.check(t, r)
}

func (m *model) open(t *testing.T, r *Registry, from netip.AddrPort) {
	var want error
	if len(m.live) >= m.limits.Max {
		want = ErrFull
	} else if m.count(func(o *modelEntry) bool { return o.host == from.Addr() }) >= m.limits.PerHost {
		want = ErrHostFull
	}
	entry, err := r.Open(from, ftpd, nobody)
	if !errors.Is(err, want) {
		t.Errorf("Open(%v) = %v, want %v", from, err, want)
	}
	if err != nil {
		m.sum.Refused++
		return
	}
	m.sum.Accepted++
	m.live[entry.ID()] = &modelEntry{entry: entry, host: from.Addr()}
	m.sum.Peak = max(m.sum.Peak, len(m.live))
}

func (m *model) leave(e *modelEntry) {
	m.end(e, false)
	m.sum.Up += e.up
	m.sum.Down += e.down
	delete(m.live, e.entry.ID())
	e.entry.Close()
}

func (m *model) transfer(e *modelEntry, rnd *rand.Rand) {
	if e.xfer == nil {
		e.xfer = &Transfer{State: Listing + State(rnd.IntN(3)), Path: "/f", Size: -1}
		e.entry.Begin(*e.xfer)
		return
	}
	if n := rnd.IntN(1000); n > 200 {
		e.moved += int64(n)
		e.entry.Moved(n)
		return
	}
	if whole := rnd.IntN(2) == 0; whole {
		e.entry.End(nil)
		m.end(e, true)
	} else {
		e.entry.End(errors.New("cut"))
		m.end(e, false)
	}
}

func (m *model) end(e *modelEntry, whole bool) {
	switch {
	case e.xfer == nil:
		return
	case e.xfer.State == Uploading:
		e.up += e.moved
		if whole {
			m.sum.FilesUp++
		}
	case e.xfer.State == Downloading:
		e.down += e.moved
		if whole {
			m.sum.FilesDown++
		}
	}
	e.xfer, e.moved = nil, 0
}

func (m *model) check(t *testing.T, r *Registry) {
	t.Helper()
	want := m.sum
	want.Now = len(m.live)
	for _, i := range r.List() {
		e := m.live[i.ID]
		if e == nil {
			t.Errorf("List has session %v, which left", i.ID)
			continue
		}
		state, up, down := Login, e.up, e.down
		if e.user != "" {
			state = Idle
		}
		if e.xfer != nil {
			state = e.xfer.State
		}
		switch state {
		case Uploading:
			up += e.moved
		case Downloading:
			down += e.moved
		}
		if i.User != e.user || i.State != state || i.Moved != e.moved || i.TotalUp != up || i.TotalDown != down {
			t.Errorf("session %v is %+v, want user %q, %v, moved %d, %d up, %d down", i.ID, i, e.user, state, e.moved, up, down)
		}
		want.Up += up
		want.Down += down
	}
	if got := r.Totals(); got != want {
		t.Errorf("Totals = %+v, want %+v", got, want)
	}
	if r.Len() != len(m.live) {
		t.Errorf("Len = %d, want %d", r.Len(), len(m.live))
	}
}

// TestManyAtOnce opens and closes from 1,000 goroutines and watches from outside
// that no limit is ever passed and nothing is left behind.
func TestManyAtOnce(t *testing.T) {
	const most, perHost, perUser = 200, 30, 40
	r := New(Limits{Max: most, PerHost: perHost})
	var all, hosts, users gauge
	hosts.most, users.most, all.most = perHost, perUser, most
	var wg sync.WaitGroup
	var accepted, refused atomic.Int64
	for n := range 1000 {
		wg.Go(func() {
			from, user := host(n%10), fmt.Sprint("user", n%7)
			for range 20 {
				e, err := r.Open(from, ftpd, nobody)
				if err != nil {
					refused.Add(1)
					continue
				}
				accepted.Add(1)
				all.enter(t, "all")
				hosts.enter(t, from.Addr().String())
				if e.Login("", user, perUser) == nil {
					users.enter(t, user)
					runtime.Gosched()
					users.leave(user)
					e.Logout()
				}
				hosts.leave(from.Addr().String())
				all.leave("all")
				e.Close()
			}
		})
	}
	for range 20 {
		if n := len(r.List()); n > most {
			t.Errorf("List has %d, limit %d", n, most)
		}
	}
	wg.Wait()
	if r.Len() != 0 || len(r.hosts) != 0 || len(r.users) != 0 {
		t.Errorf("left behind: %d sessions, hosts %v, users %v", r.Len(), r.hosts, r.users)
	}
	got := r.Totals()
	if n := r.Turnover(); n != 2*got.Accepted {
		t.Errorf("%d sessions began, and began or ended %d times", got.Accepted, n)
	}
	if got.Accepted != accepted.Load() || got.Refused != refused.Load() || got.Now != 0 || got.Peak > most {
		t.Errorf("Totals = %+v, want %d accepted, %d refused, peak up to %d", got, accepted.Load(), refused.Load(), most)
	}
}

// TestLastPlace has many ask at once for the one place of an account.
func TestLastPlace(t *testing.T) {
	r := New(Limits{})
	for range 50 {
		var wg sync.WaitGroup
		var in atomic.Int32
		start := make(chan struct{})
		entries := make([]*Entry, 20)
		for n := range entries {
			entries[n] = mustOpen(t, r, host(n))
			wg.Go(func() {
				<-start
				if entries[n].Login("", "joe", 1) == nil {
					in.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if in.Load() != 1 {
			t.Fatalf("%d got the only place", in.Load())
		}
		for _, e := range entries {
			e.Close()
		}
	}
}

// A gauge counts who is inside and complains when they are too many. Leaving it
// comes before leaving the registry and entering after, so it never overstates.
type gauge struct {
	most int
	mu   sync.Mutex
	in   map[string]int
}

func (g *gauge) enter(t *testing.T, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in == nil {
		g.in = make(map[string]int)
	}
	if g.in[name]++; g.in[name] > g.most {
		t.Errorf("%d of %s at once, limit %d", g.in[name], name, g.most)
	}
}

func (g *gauge) leave(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in[name]--
}

// TestMemory holds an idle entry to its budget, the share of the maps included.
func TestMemory(t *testing.T) {
	const n, budget = 10_000, 600
	r := New(Limits{})
	entries := make([]*Entry, n)
	before := heap()
	for k := range entries {
		entries[k] = mustOpen(t, r, host(k))
		if err := entries[k].Login("", "joe", 0); err != nil {
			t.Fatal(err)
		}
		entries[k].Begin(Transfer{State: Downloading})
		entries[k].End(nil) // what a transfer took must be given back
	}
	each := (heap() - before) / n
	t.Logf("%d bytes an idle entry", each)
	if each > budget {
		t.Errorf("an idle entry takes %d bytes, budget %d", each, budget)
	}
	runtime.KeepAlive(r)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkList10000(b *testing.B) {
	r := New(Limits{})
	for n := range 10_000 {
		e := mustOpen(b, r, host(n))
		e.Begin(Transfer{State: Downloading, Size: 1 << 30})
		e.Moved(1 << 20)
	}
	for b.Loop() {
		if len(r.List()) != 10_000 {
			b.Fatal("somebody is missing")
		}
	}
}

func BenchmarkMoved(b *testing.B) {
	e := mustOpen(b, New(Limits{}), host(1))
	e.Begin(Transfer{State: Uploading, Size: -1})
	b.ReportAllocs()
	for b.Loop() {
		e.Moved(1 << 18)
	}
}

func BenchmarkOpenClose(b *testing.B) {
	r := New(Limits{Max: 10_000, PerHost: 10})
	b.ReportAllocs()
	for b.Loop() {
		mustOpen(b, r, host(1)).Close()
	}
}
