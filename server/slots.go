package server

import (
	"net/netip"
	"sync"
)

// slots counts the passive ports that wait for their clients, in all and for each
// client's network, so that one that asks for ports and never comes leaves some
// for others.
type slots struct {
	mu  sync.Mutex
	all int
	by  map[netip.Prefix]int
}

// PassiveLimits is how many passive ports may wait, in all and for one address;
// 0 is no limit.
type PassiveLimits struct{ All, Each int }

// take reserves one, if there is one.
func (s *slots) take(client netip.Addr, most PassiveLimits) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := origin(client)
	if most.All > 0 && s.all >= most.All || most.Each > 0 && s.by[key] >= most.Each {
		return false
	}
	if s.by == nil {
		s.by = make(map[netip.Prefix]int)
	}
	s.all++
	s.by[key]++
	return true
}

// waiting returns how many are reserved.
func (s *slots) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *slots) give(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := origin(client)
	s.all--
	if s.by[key]--; s.by[key] <= 0 {
		delete(s.by, key)
	}
}

// origin is what one client can come from: an IPv4 address, or the 64 bits of
// an IPv6 one that are its own to choose.
func origin(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	n, _ := a.Prefix(min(a.BitLen(), 64)) // an address that is not known counts as one
	return n
}
