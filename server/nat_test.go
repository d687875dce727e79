package server

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A resolver answers lookups as a test wants it to.
type resolver struct {
	addrs []string
	err   error
	takes time.Duration
	asked int
}

func (r *resolver) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	r.asked++
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var found []netip.Addr
	for _, a := range r.addrs {
		found = append(found, netip.MustParseAddr(a))
	}
	return found, r.err
}

func named(r *resolver) func(*rig) {
	return func(rig *rig) { rig.srv.outside.lookup = r.lookup }
}

// T115: a name is looked up again, but not for each client, and serves on while
// nobody answers.
func TestForcePassiveIPByNameT115(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dns := &resolver{addrs: []string{"203.0.113.9"}}
		r := newRig(t, func(c *Config) { c.PassiveIP = "ftp.example.org" })
		named(dns)(r)
		c := r.login()
		tell := func(want string) {
			t.Helper()
			if text := c.cmd(227, "PASV"); !strings.Contains(text, "("+want+",") {
				t.Errorf("%q, not %s", text, want)
			}
		}
		tell("203,0,113,9")
		dns.addrs = []string{"203.0.113.10"}
		tell("203,0,113,9") // is still trusted
		if dns.asked != 1 {
			t.Errorf("asked %d times", dns.asked)
		}
		time.Sleep(nameKept) // virtual, as all that follows
		tell("203,0,113,10")

		dns.addrs = []string{"203.0.113.11", "203.0.113.10"}
		time.Sleep(nameKept)
		tell("203,0,113,10") // one of several, the same again

		dns.err = errors.New("server misbehaving")
		time.Sleep(nameKept)
		tell("203,0,113,10")
		before := dns.asked
		tell("203,0,113,10")
		if dns.asked != before {
			t.Error("asked again at once after a failure")
		}
		if !strings.Contains(r.logs.String(), `level=WARN msg="looking up ForcePassiveIP" err="server misbehaving" using=203.0.113.10`) {
			t.Errorf("the log does not tell:\n%s", r.logs)
		}

		dns.err, dns.takes = nil, time.Hour
		time.Sleep(nameRetry)
		if took := elapsed(func() { tell("203,0,113,10") }); took != namePatient {
			t.Errorf("a resolver that is silent took %v", took)
		}
		time.Sleep(time.Minute) // for the lookup to end
	})
}

// T115: without any address there is no 227, and no port is left open.
func TestForcePassiveIPUnknownT115(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, dns := range []*resolver{{err: errors.New("no such host")}, {addrs: []string{"2001:db8::1"}}, {addrs: []string{"0.0.0.0"}}, {takes: time.Hour}} {
			r := newRig(t, func(c *Config) { c.PassiveIP = "ftp.example.org" })
			named(dns)(r)
			c := r.login()
			c.cmd(425, "PASV")
			c.cmd(229, "EPSV")
			if n := r.net.open(); n != 1 {
				t.Errorf("%d ports are open", n)
			}
			c.cmd(226, "ABOR")
			c.conn.Close()
			<-c.done
		}
		time.Sleep(time.Minute)
	})
}

// A reload that names another host does not tell the old one's address.
func TestForcePassiveIPRenamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dns := &resolver{addrs: []string{"203.0.113.9"}}
		o := outside{lookup: dns.lookup}
		log := newRig(t).srv.Log
		if a, err := o.find(t.Context(), "old", log); err != nil || a.String() != "203.0.113.9" {
			t.Fatal(a, err)
		}
		dns.err = errors.New("no such host")
		if a, err := o.find(t.Context(), "new", log); err == nil {
			t.Errorf("the new name has the old address %s", a)
		}
	})
}

// Behind some networks of IPv6 is any address of IPv4, also one that is private.
func TestPrivateNetworks(t *testing.T) {
	for addr, want := range map[string]bool{
		"::1": true, "fe80::1": true, "fd00::1": true, "fec0::1": true, "::10.0.0.1": true,
		"64:ff9b::a00:1": true, "64:ff9b:1::a00:1": true, "2002:a00:1::": true, "100.64.0.1": true,
		"2001:db8::1": false, "64:ff9b:2::1": false, "203.0.113.5": false,
	} {
		if isPrivate(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s is private: %v", addr, !want)
		}
	}
}

// Clients of our own networks are told the address that they came to.
func TestLocalNetworks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct{ networks, client, want string }{
			{"private", "192.168.7.7", "192,0,2,1"},
			{"private", "127.0.0.1", "192,0,2,1"},
			{"private", "198.51.100.7", "203,0,113,9"},
			{"198.51.100.0/24", "198.51.100.7", "192,0,2,1"},
			{"198.51.100.0/24", "192.168.7.7", "203,0,113,9"},
			{"", "192.168.7.7", "203,0,113,9"},
		} {
			r := newRig(t, func(c *Config) {
				for name, value := range map[string]string{"ForcePassiveIP": "203.0.113.9", "LocalNetworks": tt.networks} {
					if err := Directives.Set(c, name, value); err != nil {
						t.Fatal(err)
					}
				}
			})
			c := r.dial(netip.AddrPortFrom(netip.MustParseAddr(tt.client), 4000))
			c.want(220)
			c.login("alice")
			if text := c.cmd(227, "PASV"); !strings.Contains(text, "("+tt.want+",") {
				t.Errorf("%s, of %q: %q", tt.client, tt.networks, text)
			}
			c.conn.Close()
			<-c.done
		}
	})
}

// A mode that is off is in no list.
func TestModesAreNotListed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for directive, gone := range map[string][]string{"NATmode": {"PASV", "EPSV"}, "ActiveMode": {"PORT", "EPRT"}} {
			r := newRig(t, func(c *Config) {
				c.NATMode, c.ActiveMode = directive == "NATmode", directive != "ActiveMode"
			})
			c := r.login()
			for _, list := range []string{"FEAT", "HELP"} {
				c.say("%s", list)
				_, text, err := c.read()
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range gone {
					if strings.Contains(text, name) {
						t.Errorf("%s of a server with %s has %s", list, directive, name)
					}
				}
			}
			c.conn.Close()
			<-c.done
		}
	})
}
