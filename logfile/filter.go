package logfile

import (
	"net/netip"
	"slices"
	"strings"

	"portreeve/logparse"
)

// A Filter chooses entries. What is empty chooses all.
type Filter struct {
	Users      []string
	Clients    []Client
	Paths      []Glob
	Directions []Direction
	Outcomes   []logparse.Status
	Events     []logparse.Event
	Least      int64 // bytes moved, or deleted; with a bound, what is neither is not chosen
	Below      int64 // more than these; 0: no bound
	Window     Window
}

// Match tells whether an entry is chosen.
func (f *Filter) Match(e *logparse.Entry) bool {
	switch {
	case f.Window.Bounded() && !f.Window.Has(e.Time),
		len(f.Events) > 0 && !slices.Contains(f.Events, e.Event),
		len(f.Outcomes) > 0 && !slices.Contains(f.Outcomes, e.Status),
		len(f.Directions) > 0 && !slices.ContainsFunc(f.Directions, func(d Direction) bool { return d.Is(e) }),
		len(f.Users) > 0 && !slices.Contains(f.Users, e.User),
		(f.Least > 0 || f.Below > 0) && !f.sized(e),
		len(f.Clients) > 0 && !f.client(e.Host),
		len(f.Paths) > 0 && !slices.ContainsFunc(f.Paths, func(g Glob) bool { return g.Match(e.Path) || e.To != "" && g.Match(e.To) }):
		return false
	}
	return true
}

func (f *Filter) sized(e *logparse.Entry) bool {
	moves := e.Event == logparse.Transfer || e.Event == logparse.Delete
	return moves && e.Bytes >= f.Least && (f.Below == 0 || e.Bytes < f.Below)
}

func (f *Filter) client(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		addr = netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(f.Clients, func(c Client) bool { return c.is(host, addr) })
}

// A Direction is where a file goes, or that it goes away.
type Direction string

// The directions.
const (
	Up     Direction = "up"
	Down   Direction = "down"
	Delete Direction = "delete"
)

// Directions are all of them.
var Directions = []Direction{Up, Down, Delete}

// Is tells whether that is what happened.
func (d Direction) Is(e *logparse.Entry) bool {
	switch d {
	case Up:
		return e.Event == logparse.Transfer && e.Direction == logparse.Upload
	case Down:
		return e.Event == logparse.Transfer && e.Direction == logparse.Download
	case Delete:
		return e.Event == logparse.Delete
	}
	return false
}

// A Client is an address, a network, or the name of a host.
type Client struct {
	network netip.Prefix
	name    string // in lower case; with a dot before it, all in that domain
}

// ParseClient reads one: 192.0.2.1, 192.0.2.0/24, host.example.com,
// .example.com or *.example.com.
func ParseClient(text string) (Client, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return Client{}, err
		}
		if bits := p.Bits() - 96; p.Addr().Is4In6() && bits >= 0 {
			p = netip.PrefixFrom(p.Addr().Unmap(), bits)
		}
		return Client{network: p.Masked()}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return Client{network: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	return Client{name: strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(text), "*"), ".")}, nil
}

func (c Client) is(host string, addr netip.Addr) bool {
	if c.name == "" {
		return addr.IsValid() && c.network.Contains(addr)
	}
	host = strings.TrimSuffix(host, ".")
	if domain := strings.HasPrefix(c.name, "."); domain && len(host) > len(c.name) {
		host = host[len(host)-len(c.name):]
	}
	return strings.EqualFold(host, c.name)
}

// Empty tells that it chooses everything.
func (f *Filter) Empty() bool {
	return len(f.Users)+len(f.Clients)+len(f.Paths)+len(f.Directions)+len(f.Outcomes)+len(f.Events) == 0 &&
		f.Least == 0 && f.Below == 0 && !f.Window.Bounded()
}
