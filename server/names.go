package server

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"portreeve/config"
	registry "portreeve/server/session"
)

// Names of clients, which the log and those who look at sessions are told. They
// are looked up beside the sessions, none of which waits for one.

// A nameResolver is what of *net.Resolver that takes.
type nameResolver interface {
	LookupAddr(ctx context.Context, addr string) (names []string, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// clientNames remembers names, and that there are none.
type clientNames struct {
	resolver nameResolver
	busy     chan struct{} // held by each lookup

	mu    sync.Mutex // guards the field that follows, and what it leads to
	known map[netip.Addr]*clientName
}

// A clientName is what one address is called.
type clientName struct {
	name    string    // "" is none
	until   time.Time // zero while it is looked up
	waiting []func(name string)
}

const (
	nameLookups = 16 // at a time; those beyond are not made
	nameTime    = 5 * time.Second
	namesFor    = 10 * time.Minute
	maxNames    = 1 << 12
)

func newClientNames() *clientNames {
	return &clientNames{resolver: net.DefaultResolver, busy: make(chan struct{}, nameLookups),
		known: make(map[netip.Addr]*clientName)}
}

// tell has each told what addr is called, now or in a while, if it has a name.
func (n *clientNames) tell(addr netip.Addr, each func(name string)) {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	k := n.known[addr]
	switch {
	case k != nil && k.until.IsZero():
		k.waiting = append(k.waiting, each)
		return
	case k != nil && now.Before(k.until):
		if k.name != "" {
			each(k.name)
		}
		return
	}
	if k == nil && len(n.known) >= maxNames && !n.forgetLocked(now) {
		return
	}
	select {
	case n.busy <- struct{}{}:
	default:
		return
	}
	k = &clientName{waiting: []func(string){each}}
	n.known[addr] = k
	go n.find(addr, k)
}

// forgetLocked makes room, and tells whether it could.
func (n *clientNames) forgetLocked(now time.Time) bool {
	for addr, k := range n.known {
		if !k.until.IsZero() && (now.After(k.until) || len(n.known) > maxNames*3/4) {
			delete(n.known, addr)
		}
	}
	return len(n.known) < maxNames
}

func (n *clientNames) find(addr netip.Addr, k *clientName) {
	name := n.lookUp(addr)
	<-n.busy
	n.mu.Lock()
	defer n.mu.Unlock()
	k.name, k.until = name, time.Now().Add(namesFor)
	if name != "" {
		for _, each := range k.waiting {
			each(name)
		}
	}
	k.waiting = nil
}

// lookUp returns the name of an address that leads back to it, "" if there is
// none: whoever has an address may give it any name.
func (n *clientNames) lookUp(addr netip.Addr) string {
	ctx, cancel := context.WithTimeout(context.Background(), nameTime)
	defer cancel()
	names, err := n.resolver.LookupAddr(ctx, addr.WithZone("").String())
	if err != nil {
		return ""
	}
	for _, name := range names[:min(len(names), 4)] {
		name = strings.TrimSuffix(name, ".")
		if !config.IsHostName(name) {
			continue
		}
		back, err := n.resolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			continue
		}
		for _, b := range back {
			if b.Unmap().WithZone("") == addr.WithZone("") {
				return name
			}
		}
	}
	return ""
}

// name has a session's entry told what the client is called.
func (s *Server) name(entry *registry.Entry, addr netip.Addr, log *slog.Logger) {
	s.names.tell(addr.Unmap(), func(name string) {
		entry.SetName(name)
		log.Debug("client resolved", "name", name)
	})
}
