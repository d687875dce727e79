package server

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"portreeve/config"
)

func TestSameSubnet(t *testing.T) {
	given := func(text string) net.Addr {
		ip, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	interfaces := []net.Addr{given("192.0.2.5/24"), given("203.0.113.9/32"), given("2001:db8::1/64"), given("fe80::1/64"), &net.UnixAddr{}}
	for _, tt := range []struct {
		local, remote string
		want          bool
	}{
		{"192.0.2.5", "192.0.2.77", true},
		{"192.0.2.5", "192.0.3.77", false},
		{"192.0.2.6", "192.0.2.77", false}, // not ours
		{"203.0.113.9", "203.0.113.10", false},
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::2", false},
		{"2001:db8::1", "192.0.2.77", false},
		{"fe80::1%eth0", "fe80::2%eth0", true},
	} {
		if got := sameSubnet(interfaces, netip.MustParseAddr(tt.local), netip.MustParseAddr(tt.remote)); got != tt.want {
			t.Errorf("%s and %s: %v", tt.local, tt.remote, got)
		}
	}
}

// A congested network notes what data connections are to have.
type congested struct {
	network
	asked []string
}

func (n *congested) listen(addr netip.Addr, ports config.PortRange, congestion string) (net.Listener, error) {
	n.asked = append(n.asked, congestion)
	return n.network.listen(addr, ports, congestion)
}

func (n *congested) dial(ctx context.Context, local, remote netip.AddrPort, congestion string) (net.Conn, error) {
	n.asked = append(n.asked, congestion)
	return n.network.dial(ctx, local, remote, congestion)
}

// TestLocalCongestion: only data connections that stay near have it.
func TestLocalCongestion(t *testing.T) {
	here := netip.AddrPortFrom(serverAddr.Addr(), 40000)
	for name, tt := range map[string]struct {
		from netip.AddrPort
		edit func(*Config)
		want string
	}{
		"near":             {here, func(*Config) {}, "reno"},
		"far":              {clientAddr, func(*Config) {}, ""},
		"the system's own": {here, func(c *Config) { c.LocalCongestion = systemCongestion }, ""},
		"another":          {here, func(c *Config) { c.LocalCongestion = "cubic" }, "cubic"},
		"for anybody":      {here, func(c *Config) { c.UserFXP = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, tt.edit)
				n := &congested{network: r.net}
				r.srv.network = n
				c := r.dial(tt.from)
				c.want(220)
				c.login("alice")
				c.cmd(229, "EPSV")
				a := tt.from.Addr().As4()
				c.cmd(200, "PORT %d,%d,%d,%d,200,1", a[0], a[1], a[2], a[3])
				c.cmd(425, "LIST")
				want := []string{tt.want, tt.want}
				if name == "for anybody" { // but PORT named the client
					want[1] = "reno"
				}
				if !slices.Equal(n.asked, want) {
					t.Errorf("asked for %q, not %q", n.asked, want)
				}
			})
		})
	}
}
