package auth

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"strconv"
	"sync"
	"time"

	"portreeve/userdb"
)

// admit applies the rules that hold for an account of whichever back-end.
func (c *Chain) admit(ctx context.Context, s *settings, a Attempt, account Account) error {
	if account.UID <= 0 || account.GID <= 0 || account.UID < s.MinUID && !account.Anonymous {
		return denied(ErrUID)
	}
	if account.TLS != userdb.TLSOptional && !a.TLS {
		return denied(ErrTLS)
	}
	if !account.Hours.Contains(time.Now()) {
		return denied(ErrHours)
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	for _, side := range []struct {
		what        string
		addr        netip.Addr
		allow, deny userdb.Patterns
	}{
		{"client", a.From, account.AllowClient, account.DenyClient},
		{"local", a.Local, account.AllowLocal, account.DenyLocal},
	} {
		if err := c.permits(ctx, side.addr, side.allow, side.deny); err != nil {
			return denied(fmt.Errorf("%s %w", side.what, err))
		}
	}
	return nil
}

// resolveWait is how long all host names of an account may take to resolve.
const resolveWait = 5 * time.Second

// permits tells whether an address passes two lists: it must not be on the one
// that denies, and must be on the one that allows, if there is such a list. A
// name that does not resolve is taken to deny, and not to allow.
func (c *Chain) permits(ctx context.Context, addr netip.Addr, allow, deny userdb.Patterns) error {
	if len(allow) == 0 && len(deny) == 0 {
		return nil
	}
	if !addr.IsValid() {
		return fmt.Errorf("%w: it is not known", ErrAddress)
	}
	if len(deny) > 0 {
		if on, err := c.listed(ctx, addr, deny); err != nil {
			return fmt.Errorf("%w: a name of its deny list does not resolve: %w", ErrAddress, err)
		} else if on {
			return fmt.Errorf("%w: %s is denied", ErrAddress, addr)
		}
	}
	if len(allow) > 0 {
		if on, err := c.listed(ctx, addr, allow); err != nil {
			return fmt.Errorf("%w: %s is not on the allow list, of which a name does not resolve: %w", ErrAddress, addr, err)
		} else if !on {
			return fmt.Errorf("%w: %s is not on the allow list", ErrAddress, addr)
		}
	}
	return nil
}

// listed reports whether a list has the address. If none has, the error is that
// of the first name that could not be looked up.
func (c *Chain) listed(ctx context.Context, addr netip.Addr, list userdb.Patterns) (bool, error) {
	if list.Contains(addr) {
		return true, nil
	}
	var failed error
	for _, host := range list.Hosts() {
		addrs, err := c.resolve(ctx, host)
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
