package server

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// FXP: a client has two servers send files to each other, by telling each the
// data port of the other (RFC 959, section 5.2). That is also how one attacks
// others through a server (RFC 2577, section 3), so it is off until allowed, and
// then reaches no address that only this server can.

// fxp tells whether the user may have data connections with others than its
// own client.
func (s *session) fxp() bool {
	return s.account != nil && (s.cfg.AnonFXP || s.cfg.UserFXP && !s.account.Anonymous)
}

// withheldFromFXP is why FXP does not reach an address; "" if it does.
func (s *session) withheldFromFXP(to netip.Addr) string {
	switch {
	case !s.fxp():
		return "FXP is not allowed (AllowUserFXP)"
	case !isUnicast(to):
		return "no host has that address"
	case within(s.cfg.FXPDeny, to):
		return "FXPDeny has that address"
	case s.isOurs(to):
		return "that is this server"
	}
	return ""
}

// isUnicast tells whether one host can have that address, anywhere.
func isUnicast(a netip.Addr) bool {
	if a.Is4() { // 0.0.0.0/8 is this network, 240.0.0.0/4 nobody's (RFC 6890)
		b := a.As4()
		return b[0] != 0 && b[0] < 224
	}
	return a.Is6() && !a.IsMulticast() && !a.IsUnspecified()
}

// isOurs tells whether an address is one of this host's. All of the loopback is,
// except for who is on this host, and reaches that anyway.
func (s *session) isOurs(to netip.Addr) bool {
	if to == s.local.Addr() || to.IsLoopback() && !s.peer.Addr().IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		return ok && addr.Unmap() == to
	})
}

// Between two servers that protect their data one must be the client of TLS:
// neither CPSV nor SSCN is in a standard, and clients know either.

// securesFXP tells whether anybody may have servers send to each other so.
func securesFXP(c *Config) bool { return usesTLS(c) && (c.UserFXP || c.AnonFXP) }

// callsTLS tells whether CPSV prepared a data connection.
func callsTLS(o opener) bool {
	switch o := o.(type) {
	case *passive:
		return o.calls
	case *established:
		return o.calls
	}
	return false
}

// cmdCPSV is PASV for a data connection of whose TLS we are the client.
func (s *session) cmdCPSV(ctx context.Context, arg string) (reply, error) {
	switch {
	case !s.fxp():
		return say(502, "FXP is not allowed here"), nil
	case !s.protects():
		return say(503, "PROT P first"), nil
	}
	r, err := s.cmdPASV(ctx, arg)
	if p, ok := s.data.(*passive); ok {
		p.calls = true
	}
	return r, err
}

// cmdSSCN tells or sets whether we are the client of TLS on all data connections
// to come.
func (s *session) cmdSSCN(_ context.Context, arg string) (reply, error) {
	switch {
	case !s.fxp():
		return say(502, "FXP is not allowed here"), nil
	case !s.protects():
		return say(503, "PROT P first"), nil
	}
	switch strings.ToUpper(arg) {
	case "":
	case "ON":
		s.tls.caller = true
	case "OFF":
		s.tls.caller = false
	default:
		return say(501, "SSCN takes ON or OFF"), nil
	}
	if s.tls.caller {
		return fixed(200, "SSCN:CLIENT METHOD"), nil
	}
	return fixed(200, "SSCN:SERVER METHOD"), nil
}

// within tells whether a network of the list has the address. The zero Prefix
// stands for all private networks.
func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(n netip.Prefix) bool {
		return n.Contains(a) || !n.IsValid() && isPrivate(a)
	})
}

// isPrivate tells whether nobody outside can reach an address.
func isPrivate(a netip.Addr) bool { return within(privateNetworks(), a) }

// prefixes makes a list of networks of what is written as such.
func prefixes(words ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, w := range words {
		list = append(list, netip.MustParsePrefix(w))
	}
	return list
}

// privateNetworks nobody reaches from outside: those of a host, of a link, and of
// a house (RFC 1918, 3879, 4193, 6598, 6890); and those of IPv6 behind which any
// address of IPv4 can be (RFC 3056, 4291, 6052, 8215).
func privateNetworks() []netip.Prefix {
	return prefixes("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10",
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
}

// private is a list of networks that has just those.
func private() []netip.Prefix { return make([]netip.Prefix, 1) }
