package auth

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"portreeve/userdb"
)

// A rule holds for the accounts of every back-end. It returns why an attempt that
// has proven whose it is, is refused nevertheless.
type rule struct {
	name  string
	check func(r *ruling) error
	once  bool // looked at when somebody logs in, and not again for as long as they stay
}

// A ruling is what rules look at.
type ruling struct {
	Attempt
	account Account
	minUID  int
	resolve func(host string) ([]netip.Addr, error) // nil: host names say nothing, for or against
}

// rules are in the order in which they are looked at.
var rules = []rule{
	{name: "MinUID", once: true, check: func(r *ruling) error {
		if r.account.UID <= 0 || r.account.GID <= 0 || r.account.UID < r.minUID && !r.account.Anonymous {
			return ErrUID
		}
		return nil
	}},
	{name: "TLS", check: func(r *ruling) error {
		if r.account.TLS != userdb.TLSOptional && !r.TLS {
			return ErrTLS
		}
		return nil
	}},
	{name: "hours", check: func(r *ruling) error {
		if !r.account.Hours.Contains(r.time()) {
			return ErrHours
		}
		return nil
	}},
	{name: "client addresses", check: func(r *ruling) error {
		return r.permits("client", r.From, r.account.AllowClient, r.account.DenyClient)
	}},
	{name: "local addresses", check: func(r *ruling) error {
		return r.permits("local", r.Local, r.account.AllowLocal, r.account.DenyLocal)
	}},
}

// admit applies the rules to a login.
func (c *Chain) admit(ctx context.Context, s *settings, a Attempt, account Account) error {
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	r := &ruling{a, account, s.MinUID, func(host string) ([]netip.Addr, error) { return c.resolve(ctx, host) }}
	for _, rule := range rules {
		if err := a.told(rule.name, rule.check(r)); err != nil {
			return denied(err)
		}
	}
	return nil
}

// Keeps applies those rules to somebody who is logged in and whose account has
// become another meanwhile. Host names say nothing here: to look them up may take
// long, and who was let in by one is known by an address.
func (c *Chain) Keeps(a Attempt, account Account) error {
	r := &ruling{Attempt: a.plain(), account: account}
	for _, rule := range rules {
		if rule.once {
			continue
		}
		if err := rule.check(r); err != nil {
			return denied(err)
		}
	}
	return account.Lapsed(a.time())
}

// Standing returns why nobody may use the account of a user at that time, nil if
// somebody may who has its password.
func Standing(u userdb.User, at time.Time) error {
	switch {
	case strings.HasPrefix(u.Password, "!"):
		return ErrLocked
	case u.Disabled:
		return ErrDisabled
	case expired(u.Expires, at):
		return ErrExpired
	}
	return nil
}

func expired(end, at time.Time) bool { return !end.IsZero() && !at.Before(end) }

// Lapsed returns why the time of an account is over, or not now; nil if it is not so.
func (a *Account) Lapsed(at time.Time) error {
	switch {
	case expired(a.Expires, at):
		return ErrExpired
	case !a.Hours.Contains(at):
		return ErrHours
	}
	return nil
}

// Until is when that is next to be looked at, zero if it never is.
func (a *Account) Until(now time.Time) time.Time {
	end := a.Hours.Until(now)
	if end.IsZero() || !a.Expires.IsZero() && a.Expires.Before(end) {
		return a.Expires
	}
	return end
}

// Terms are what of an account may change while somebody is logged in.
type Terms struct {
	userdb.Limits
	Expires time.Time
}

// Equal tells whether nothing has changed.
func (t *Terms) Equal(other *Terms) bool { return reflect.DeepEqual(t, other) }

// time is when the attempt is, by the clock that the hours of accounts go by.
func (a Attempt) time() time.Time {
	if a.At.IsZero() {
		return time.Now()
	}
	return a.At
}

// plain is the attempt with addresses as lists have them.
func (a Attempt) plain() Attempt {
	a.From, a.Local = a.From.Unmap().WithZone(""), a.Local.Unmap().WithZone("")
	return a
}

// resolveWait is how long all host names of an account may take to resolve.
const resolveWait = 5 * time.Second

// permits tells whether an address passes two lists: it must not be on the one
// that denies, and must be on the one that allows, if there is such a list. A
// name that does not resolve is taken to deny, and not to allow.
func (r *ruling) permits(what string, addr netip.Addr, allow, deny userdb.Patterns) error {
	if len(allow) == 0 && len(deny) == 0 {
		return nil
	}
	if !addr.IsValid() {
		return fmt.Errorf("%s %w: it is not known", what, ErrAddress)
	}
	if len(deny) > 0 {
		if on, err := r.listed(addr, deny, false); err != nil {
			return fmt.Errorf("%s %w: a name of its deny list does not resolve: %w", what, ErrAddress, err)
		} else if on {
			return fmt.Errorf("%s %w: %s is denied", what, ErrAddress, addr)
		}
	}
	if len(allow) > 0 {
		if on, err := r.listed(addr, allow, true); err != nil {
			return fmt.Errorf("%s %w: %s is not on the allow list, of which a name does not resolve: %w", what, ErrAddress, addr, err)
		} else if !on {
			return fmt.Errorf("%s %w: %s is not on the allow list", what, ErrAddress, addr)
		}
	}
	return nil
}

// listed reports whether a list has the address. If none has, the error is that
// of the first name that could not be looked up. Where names are not looked up,
// a list that has some is taken for unsure.
func (r *ruling) listed(addr netip.Addr, list userdb.Patterns, unsure bool) (bool, error) {
	if list.Contains(addr) {
		return true, nil
	}
	hosts := list.Hosts()
	if r.resolve == nil {
		return unsure && len(hosts) > 0, nil
	}
	var failed error
	for _, host := range hosts {
		addrs, err := r.resolve(host)
		failed = cmp.Or(failed, err)
		for _, a := range addrs {
			if a.Unmap().WithZone("") == addr {
				return true, nil
			}
		}
	}
	return false, failed
}

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// groupsOf returns the supplementary groups of a system user. A uid that the
// system does not know has none, as virtual users mostly do.
func groupsOf(uid int) []int {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil // fewer groups are fewer rights
	}
	var groups []int
	for _, id := range ids {
		if gid, err := strconv.Atoi(id); err == nil {
			groups = append(groups, gid)
		}
	}
	return groups
}

// groups remembers groupsOf for a moment: to ask is to read the system's files of
// users and groups, or their service. Sessions keep their groups for much longer.
type groups struct {
	mu    sync.Mutex // guards the field that follows
	known map[int]knownGroups
}

type knownGroups struct {
	ids   []int
	until time.Time
}

const (
	groupsFor = 10 * time.Second
	maxGroups = 1 << 12
)

func newGroups() *groups { return &groups{known: make(map[int]knownGroups)} }

func (g *groups) of(uid int) []int {
	now := time.Now()
	g.mu.Lock()
	known, ok := g.known[uid]
	g.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.ids
	}
	ids := groupsOf(uid) // without the lock: it may take long
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxGroups {
		makeRoom(g.known, func(k knownGroups) bool { return !now.Before(k.until) })
	}
	g.known[uid] = knownGroups{ids, now.Add(groupsFor)}
	return ids
}
