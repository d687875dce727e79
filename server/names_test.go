package server

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestClientNames: the log and the list of sessions tell the name of an address
// that leads back to it.
func TestClientNames(t *testing.T) {
	for _, tc := range []struct {
		name  string
		names dns
		off   bool
		want  string
	}{
		{"both ways", dns{"198.51.100.7": "client.example.org.", "client.example.org": "198.51.100.7"}, false, "client.example.org"},
		{"DontResolve", dns{"198.51.100.7": "client.example.org.", "client.example.org": "198.51.100.7"}, true, ""},
		{"somebody else's", dns{"198.51.100.7": "bank.example.org.", "bank.example.org": "192.0.2.80"}, false, ""},
		{"one way", dns{"198.51.100.7": "client.example.org."}, false, ""},
		{"no name", dns{}, false, ""},
		{"no name of a host", dns{"198.51.100.7": "a b\n\x1b[2J", "a b\n\x1b[2J": "198.51.100.7"}, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, func(c *Config) { c.DontResolve = tc.off })
				r.srv.names.resolver = tc.names
				c := r.dial(clientAddr)
				c.want(220)
				synctest.Wait()
				c.login("alice")
				if got := r.srv.Sessions.List()[0].Name; got != tc.want {
					t.Errorf("the client is called %q", got)
				}
				if told := strings.Contains(r.logs.String(), "name="); told != (tc.want != "") {
					t.Errorf("the log says\n%s", r.logs)
				}
			})
		})
	}
}

// slowHosts answer when they are let, and count how many are asked at a time.
type slowHosts struct {
	wait        chan struct{}
	now, most   atomic.Int32
	asked, late atomic.Int32
}

func (h *slowHosts) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	h.asked.Add(1)
	if n := h.now.Add(1); n > h.most.Load() {
		h.most.Store(n)
	}
	defer h.now.Add(-1)
	select {
	case <-h.wait:
		return []string{"h" + strings.ReplaceAll(addr, ".", "-") + ".example.org"}, nil
	case <-ctx.Done():
		h.late.Add(1)
		return nil, ctx.Err()
	}
}

func (h *slowHosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	addr, err := netip.ParseAddr(strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(host, "h"), ".example.org"), "-", "."))
	return []netip.Addr{addr}, err
}

// TestNamesDelayNobody: a resolver that does not answer holds up no session, is
// asked a bounded number of questions, and about an address only once.
func TestNamesDelayNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxClients = 100 })
		slow := &slowHosts{wait: make(chan struct{})}
		r.srv.names.resolver = slow
		for i := range 40 {
			took := elapsed(func() {
				c := r.dial(netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:40000", 1+i/2)))
				c.want(220)
				c.cmd(200, "NOOP")
			})
			if took > 0 {
				t.Fatalf("a session waited for %v", took)
			}
		}
		synctest.Wait()
		if n := slow.asked.Load(); n != nameLookups || slow.most.Load() != nameLookups {
			t.Errorf("%d lookups, %d at a time", n, slow.most.Load())
		}
		close(slow.wait)
		synctest.Wait()
		named := 0
		for _, i := range r.srv.Sessions.List() {
			if i.Name != "" {
				named++
			}
		}
		if named != 2*nameLookups {
			t.Errorf("%d sessions have a name", named)
		}
		r.dial(netip.MustParseAddrPort("198.51.100.1:40001")).want(220)
		synctest.Wait()
		if n := slow.asked.Load(); n != nameLookups {
			t.Errorf("a name that is known is looked up again: %d", n)
		}
		time.Sleep(namesFor + time.Second) // virtual
		r.dial(netip.MustParseAddrPort("198.51.100.1:40002")).want(220)
		synctest.Wait()
		if n := slow.asked.Load(); n != nameLookups+1 {
			t.Errorf("an old name is not looked up again: %d", n)
		}
	})
}

// TestNamesHaveAnEnd: a resolver that never answers is left behind, and what is
// remembered is bounded.
func TestNamesHaveAnEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newClientNames()
		slow := &slowHosts{wait: make(chan struct{})}
		n.resolver = slow
		n.tell(netip.MustParseAddr("192.0.2.7"), func(string) { t.Error("it has a name") })
		time.Sleep(nameTime + time.Second) // virtual
		if slow.late.Load() != 1 || len(n.busy) != 0 {
			t.Errorf("%d left behind, %d under way", slow.late.Load(), len(n.busy))
		}
		n.resolver = dns{}
		for i := range 3 * maxNames {
			n.tell(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), func(string) {})
			synctest.Wait()
		}
		if len(n.known) > maxNames {
			t.Errorf("%d addresses are remembered", len(n.known))
		}
	})
}
