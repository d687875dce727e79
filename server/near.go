package server

import (
	"net"
	"net/netip"
)

// Clients that are near: on this machine, or in a subnet that it is in itself.
// Many systems have congestion control that paces what is sent (BBR), which helps
// over the internet, and costs a third of the speed where nothing is in the way.

// systemCongestion is the word for whatever the system does.
const systemCongestion = "system"

// congestion is the congestion control that this session's data connections get,
// "" for the system's. The interfaces are looked at once, and only for who moves
// something.
func (s *session) congestion() string {
	if s.cfg.LocalCongestion == systemCongestion {
		return ""
	}
	if !s.placed {
		s.placed, s.near = true, isNear(s.conn)
	}
	if !s.near {
		return ""
	}
	return s.cfg.LocalCongestion
}

// isNear tells whether the ends of a connection are near each other.
func isNear(conn net.Conn) bool {
	local, remote := addrPort(conn.LocalAddr()).Addr(), addrPort(conn.RemoteAddr()).Addr()
	if remote.IsLoopback() || remote == local {
		return true
	}
	interfaces, err := net.InterfaceAddrs()
	return err == nil && sameSubnet(interfaces, local, remote)
}

// sameSubnet tells whether remote is in the subnet that local was given with.
func sameSubnet(interfaces []net.Addr, local, remote netip.Addr) bool {
	for _, a := range interfaces {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		own, ok := netip.AddrFromSlice(n.IP)
		bits, _ := n.Mask.Size()
		if !ok || own.Unmap() != local.WithZone("") {
			continue
		}
		if subnet, err := own.Unmap().Prefix(bits); err == nil && subnet.Contains(remote.WithZone("")) {
			return true
		}
	}
	return false
}
