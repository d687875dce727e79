package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// passiveAddr is the address that clients are told in 227. Those of our own
// networks reach us where they did already; others reach what stands before us.
func (s *session) passiveAddr(ctx context.Context) (netip.Addr, error) {
	if s.cfg.PassiveIP == "" || within(s.cfg.LocalNetworks, s.peer.Addr()) {
		return s.local.Addr(), nil
	}
	if a, err := netip.ParseAddr(s.cfg.PassiveIP); err == nil && a.Is4() {
		return a, nil
	}
	return s.srv.outside.find(ctx, s.cfg.PassiveIP, s.srv.Log)
}

// How long the address of a name is trusted, how long it is not asked for again
// after a failure, how long a session waits for it, and how long anybody does.
const (
	nameKept    = time.Minute
	nameRetry   = 10 * time.Second
	namePatient = 2 * time.Second
	nameTimeout = 15 * time.Second
)

// An outside is the name of ForcePassiveIP and the address it has. Names of
// dynamic addresses change without notice, and their servers fail: what was
// found last serves until something else is.
type outside struct {
	lookup func(ctx context.Context, name string) ([]netip.Addr, error) // nil: the system's

	// mu guards the fields that follow.
	mu    sync.Mutex
	name  string
	addr  netip.Addr    // not valid until one was found
	until time.Time     // when to look again
	busy  chan struct{} // closed when the lookup under way has ended; nil if there is none
}

var errNoAddress = errors.New("the name of ForcePassiveIP has no address yet")

// find returns the address of a name. It waits for the resolver, but not long.
func (o *outside) find(ctx context.Context, name string, log *slog.Logger) (netip.Addr, error) {
	busy := o.refresh(name, log)
	if busy != nil {
		patience := time.NewTimer(namePatient)
		defer patience.Stop()
		select {
		case <-busy:
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.name != name || !o.addr.IsValid() {
		return netip.Addr{}, errNoAddress
	}
	return o.addr, nil
}

// refresh sees to it that the name is being looked up if that is due, once for
// all who ask. It returns what to wait for, nil if there is nothing.
func (o *outside) refresh(name string, log *slog.Logger) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.name != name: // another name since the last reload; the old lookup finds itself forgotten
		o.name, o.addr, o.busy = name, netip.Addr{}, nil
	case o.busy != nil:
		return o.busy
	case time.Now().Before(o.until):
		return nil
	}
	busy := make(chan struct{})
	o.busy = busy
	go o.ask(name, busy, log)
	return busy
}

// ask looks the name up and keeps what it is told.
func (o *outside) ask(name string, busy chan struct{}, log *slog.Logger) {
	defer close(busy)
	ctx, cancel := context.WithTimeout(context.Background(), nameTimeout)
	defer cancel()
	lookup := o.lookup
	if lookup == nil {
		lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
		}
	}
	found, err := lookup(ctx, name)
	for i, a := range found {
		found[i] = a.Unmap()
	}
	found = slices.DeleteFunc(found, func(a netip.Addr) bool { return !a.Is4() || !isUnicast(a) })
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s has no IPv4 address", name)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy != busy {
		return
	}
	o.busy = nil
	if err != nil {
		o.until = time.Now().Add(nameRetry)
		log.Warn("looking up ForcePassiveIP", "err", err, "using", o.addr)
		return
	}
	o.until = time.Now().Add(nameKept)
	if slices.Contains(found, o.addr) { // of several, the same again
		return
	}
	o.addr = found[0]
	log.Info("ForcePassiveIP is looked up", "name", name, "addr", o.addr)
}
