package auth

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/userdb"
)

func patterns(t testing.TB, text string) userdb.Patterns {
	t.Helper()
	l, err := userdb.ParsePatterns(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// oneAccount is a chain with one account, changed by edit.
func oneAccount(t testing.TB, edit func(*Account)) *Chain {
	return testChain(t, Options{Cost: testCost(),
		Backends: []Backend{&memory{users: map[string]string{"alice": secret}, home: "/", edit: edit}}})
}

func TestAddresses(t *testing.T) {
	down := errors.New("no answer")
	names := map[string][]netip.Addr{
		"office.example": {netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("192.0.2.7")},
		"six.example":    {netip.MustParseAddr("2001:db8::7")},
		"other.example":  {netip.MustParseAddr("203.0.113.1")},
		"mapped.example": {netip.MustParseAddr("::ffff:192.0.2.7")},
	}
	for _, c := range []struct {
		allow, deny, addr string
		want              bool
	}{
		{"", "", "192.0.2.7", true},
		{"", "", "", true},
		{"192.0.2.0/24", "", "192.0.2.7", true},
		{"192.0.2.0/24", "", "::ffff:192.0.2.7", true},
		{"192.0.2.0/24", "", "192.0.3.7", false},
		{"192.0.2.0/24", "", "2001:db8::7", false},
		{"192.0.2.0/24", "", "", false},
		{"", "192.0.2.0/24", "192.0.2.7", false},
		{"", "192.0.2.0/24", "::ffff:192.0.2.7", false},
		{"", "192.0.2.0/24", "192.0.3.7", true},
		{"", "192.0.2.0/24", "2001:db8::7", true},
		{"", "192.0.2.0/24", "", false},
		{"192.0.2.0/24", "192.0.2.7", "192.0.2.7", false},
		{"192.0.2.0/24", "192.0.2.7", "192.0.2.8", true},
		{"192.0.2.0/24", "192.0.2.7", "10.0.0.1", false},
		{"192.0.2.7", "0.0.0.0/0", "192.0.2.7", false},
		{"2001:db8::/32", "", "2001:db8::7", true},
		{"2001:db8::/32", "", "2001:db9::7", false},
		{"", "2001:db8::/32", "2001:db8::7", false},
		{"0.0.0.0/0", "", "2001:db8::7", false},
		{"office.example", "", "192.0.2.7", true},
		{"mapped.example", "", "192.0.2.7", true},
		{"other.example", "", "192.0.2.7", false},
		{"other.example,office.example", "", "192.0.2.7", true},
		{"six.example", "", "2001:db8::7", true},
		{"", "office.example", "192.0.2.7", false},
		{"", "other.example", "192.0.2.7", true},
		{"down.example", "", "192.0.2.7", false},
		{"down.example,office.example", "", "192.0.2.7", true},
		{"down.example,192.0.2.7", "", "192.0.2.7", true},
		{"", "down.example", "192.0.2.7", false},
		{"", "down.example,other.example", "192.0.2.7", false},
		{"192.0.2.7", "down.example", "192.0.2.7", false},
	} {
		addr := netip.Addr{}
		if c.addr != "" {
			addr = netip.MustParseAddr(c.addr)
		}
		for _, side := range []string{"client", "local"} {
			chain := oneAccount(t, func(a *Account) {
				if side == "client" {
					a.AllowClient, a.DenyClient = patterns(t, c.allow), patterns(t, c.deny)
				} else {
					a.AllowLocal, a.DenyLocal = patterns(t, c.allow), patterns(t, c.deny)
				}
			})
			chain.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
				if addrs, ok := names[host]; ok {
					return addrs, nil
				}
				return nil, down
			}
			a := attempt("alice", secret)
			if side == "client" {
				a.From, a.Local = addr, netip.Addr{}
			} else {
				a.From, a.Local = netip.Addr{}, addr
			}
			_, err := chain.Login(t.Context(), a)
			if c.want != (err == nil) || err != nil && (!errors.Is(err, ErrAddress) || !errors.Is(err, ErrDenied)) {
				t.Errorf("%s %q, allow %q, deny %q: %v", side, c.addr, c.allow, c.deny, err)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error of more than a line: %q", err)
			}
		}
	}
}

// A name server that does not answer holds up a login for so long, and no more.
func TestSlowResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := oneAccount(t, func(a *Account) { a.DenyClient = patterns(t, "a.example,b.example,c.example") })
		chain.resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now()
		if _, err := chain.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrAddress) {
			t.Errorf("let in: %v", err)
		}
		if took := time.Since(start); took != resolveWait {
			t.Errorf("took %v", took)
		}
	})
}

// Names are looked up only for those who know the password.
func TestResolverIsNotAskedForStrangers(t *testing.T) {
	chain := oneAccount(t, func(a *Account) { a.DenyClient = patterns(t, "a.example") })
	chain.resolve = func(context.Context, string) ([]netip.Addr, error) {
		t.Error("asked")
		return nil, nil
	}
	if _, err := chain.Login(t.Context(), attempt("alice", "wrong")); !errors.Is(err, ErrPassword) {
		t.Error(err)
	}
}

func TestHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now() // some minute of the day, and the test goes on from there
		shift := func(d time.Duration) string { return now.Add(d).Format("1504") }
		for _, c := range []struct {
			from, to time.Duration
			want     bool
		}{
			{0, 0, true},
			{-time.Hour, time.Hour, true},
			{-time.Hour, 0, true},
			{0, time.Hour, true},
			{time.Minute, time.Hour, false},
			{-time.Hour, -time.Minute, false},
		} {
			hours, err := userdb.ParseHours(shift(c.from) + "-" + shift(c.to))
			if err != nil {
				t.Fatal(err)
			}
			chain := oneAccount(t, func(a *Account) { a.Hours = hours })
			_, err = chain.Login(t.Context(), attempt("alice", secret))
			if c.want != (err == nil) || err != nil && !errors.Is(err, ErrHours) {
				t.Errorf("%v at %s: %v", hours, now.Format("15:04"), err)
			}
		}
		hours, _ := userdb.ParseHours(shift(0) + "-" + shift(0))
		chain := oneAccount(t, func(a *Account) { a.Hours = hours })
		time.Sleep(time.Minute)
		if _, err := chain.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrHours) {
			t.Errorf("a minute later: %v", err)
		}
	})
}

func TestUID(t *testing.T) {
	for _, c := range []struct {
		uid, gid, least int
		want            bool
	}{
		{1000, 1000, 0, true}, {1000, 1000, 1000, true}, {999, 1000, 1000, false},
		{0, 1000, 0, false}, {1000, 0, 0, false}, {-1, 1000, 0, false}, {1, 1, 0, true},
	} {
		chain := oneAccount(t, func(a *Account) { a.UID, a.GID = c.uid, c.gid })
		o := chain.settings.Load().Options
		o.MinUID = c.least
		if err := chain.Configure(o); err != nil {
			t.Fatal(err)
		}
		_, err := chain.Login(t.Context(), attempt("alice", secret))
		if c.want != (err == nil) || err != nil && !errors.Is(err, ErrUID) {
			t.Errorf("uid %d, gid %d, least %d: %v", c.uid, c.gid, c.least, err)
		}
	}
}

func TestGroups(t *testing.T) {
	chain := oneAccount(t, nil)
	asked := 0
	chain.groups = func(uid int) []int { asked = uid; return []int{5, 6} }
	a, err := chain.Login(t.Context(), attempt("alice", secret))
	if err != nil || !slices.Equal(a.Groups, []int{5, 6}) || asked != 1000 {
		t.Errorf("groups %v of uid %d, %v", a.Groups, asked, err)
	}
	chain.groups = func(int) []int { t.Error("asked for one who is refused"); return nil }
	if _, err := chain.Login(t.Context(), attempt("alice", "wrong")); !errors.Is(err, ErrPassword) {
		t.Error(err)
	}

	chain = oneAccount(t, func(a *Account) { a.Groups = []int{7} })
	chain.groups = func(int) []int { t.Error("asked, though the back-end knows"); return nil }
	if a, err := chain.Login(t.Context(), attempt("alice", secret)); err != nil || !slices.Equal(a.Groups, []int{7}) {
		t.Errorf("groups %v, %v", a.Groups, err)
	}
}

func TestGroupsOfSystemUser(t *testing.T) {
	daemon, err := user.Lookup("daemon") // whoever runs the tests need not be known to the system
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(daemon.Uid)
	gid, _ := strconv.Atoi(daemon.Gid)
	if groups := groupsOf(uid); !slices.Contains(groups, gid) {
		t.Errorf("groups of uid %d are %v, without its own %d", uid, groups, gid)
	}
	if groups := groupsOf(1<<31 - 5); len(groups) != 0 {
		t.Errorf("a uid that nobody has is in %v", groups)
	}
	// Only root can take on groups, so only then are they looked up.
	c, err := New(Options{Cost: testCost(), Backends: []Backend{&memory{users: map[string]string{"alice": secret}, home: "/",
		edit: func(a *Account) { a.UID = max(uid, 1) }}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := c.Login(t.Context(), attempt("alice", secret))
	if err != nil || os.Geteuid() != 0 && a.Groups != nil || os.Geteuid() == 0 && len(a.Groups) == 0 {
		t.Errorf("groups %v, %v", a.Groups, err)
	}
}

// TestDemandOfTLS: the password is asked for first, so that the reason tells only
// who has it.
func TestDemandOfTLS(t *testing.T) {
	for _, c := range []struct {
		demand userdb.TLS
		tls    bool
		want   error
	}{
		{userdb.TLSOptional, false, nil}, {userdb.TLSLogin, false, ErrTLS}, {userdb.TLSData, false, ErrTLS},
		{userdb.TLSLogin, true, nil}, {userdb.TLSData, true, nil},
	} {
		chain := new(Chain)
		err := chain.admit(t.Context(), &settings{}, Attempt{TLS: c.tls}, Account{UID: 1, GID: 1, Limits: userdb.Limits{TLS: c.demand}})
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("demand %v, TLS %v: %v", c.demand, c.tls, err)
		}
	}
}
