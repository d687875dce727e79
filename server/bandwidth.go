package server

import (
	"cmp"
	"fmt"
	"net/netip"
	"os/user"
	"strconv"
	"strings"

	"portreeve/config"
	"portreeve/server/rate"
	registry "portreeve/server/session"
)

// A Bandwidth is a rate up and down in bytes a second; 0 is no limit.
type Bandwidth struct{ Up, Down int64 }

// A GroupRate is the bandwidth of all users of a group together.
type GroupRate struct {
	Group string // as it was written: a name, or the number
	GID   int
	Bandwidth
}

// A NetworkRate is the bandwidth of all clients in a network together.
type NetworkRate struct {
	Network netip.Prefix
	Bandwidth
}

// rates are the limits that users have in common.
func (c *Config) rates() rate.Limits {
	l := rate.Limits{Server: rate.Limit(c.ServerBandwidth), Groups: make(map[int]rate.Limit), Networks: make(map[netip.Prefix]rate.Limit)}
	for _, g := range c.GroupBandwidth {
		l.Groups[g.GID] = rate.Limit(g.Bandwidth)
	}
	for _, n := range c.NetworkBandwidth {
		l.Networks[n.Network] = rate.Limit(n.Bandwidth)
	}
	return l
}

// checkRates reports a group or a network that is there twice: neither line would
// be the one to believe.
func (c *Config) checkRates() error {
	groups, networks := make(map[int]bool), make(map[netip.Prefix]bool)
	for _, g := range c.GroupBandwidth {
		if groups[g.GID] {
			return fmt.Errorf("GroupBandwidth: group %s is there twice", g.Group)
		}
		groups[g.GID] = true
	}
	for _, n := range c.NetworkBandwidth {
		if networks[n.Network] {
			return fmt.Errorf("NetworkBandwidth: %s is there twice", n.Network)
		}
		networks[n.Network] = true
	}
	return nil
}

// joinRates gives the session that has logged in its place among those who share
// bandwidth.
func (s *session) joinRates() {
	a := s.account
	all, each := s.ownRates()
	s.share = s.srv.rates.Join(rate.Holder{Users: s.usersOf(a), Name: a.Name, GID: a.GID,
		Addr: s.peer.Addr(), Many: a.Anonymous}, all, each)
}

// ownRates returns the limits of the account, for all its sessions together, and
// of this session. Anonymous is many people: what a user may have, each of them may.
func (s *session) ownRates() (all, each rate.Limit) {
	if s.account.Anonymous {
		own, users := s.cfg.AnonBandwidth, s.cfg.UserBandwidth
		return rate.Limit(s.cfg.AnonTotalBandwidth), rate.Limit{Up: cmp.Or(own.Up, users.Up), Down: cmp.Or(own.Down, users.Down)}
	}
	return rate.Limit{Up: cmp.Or(s.account.UploadRate, s.cfg.UserBandwidth.Up),
		Down: cmp.Or(s.account.DownloadRate, s.cfg.UserBandwidth.Down)}, rate.Limit{}
}

// drawing begins to draw on the bandwidth for a transfer. Listings have no limit,
// and jobs move nothing.
func (s *session) drawing(kind registry.State) *rate.Transfer {
	switch kind {
	case registry.Uploading:
		return s.share.Begin(rate.Up)
	case registry.Downloading:
		return s.share.Begin(rate.Down)
	}
	return nil
}

// How rates are written, which is Pure-FTPd's.

func bandwidth(p *Bandwidth) config.Value {
	return config.Of(p, "up [down]", parseBandwidth, showBandwidth)
}

func parseBandwidth(s string) (Bandwidth, error) {
	if s == "" {
		return Bandwidth{}, nil
	}
	up, down, err := two(s, 1)
	return Bandwidth{up << 10, down << 10}, err
}

func showBandwidth(b Bandwidth) string {
	if b == (Bandwidth{}) {
		return ""
	}
	text := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n>>10, 10)
	}
	return text(b.Up) + ":" + text(b.Down)
}

// rateRows is lines of a name and its bandwidth; semicolons part them where they
// are shown together.
func rateRows[T any](p *[]T, kind, example string, parse func(name string, b Bandwidth) (T, error), show func(T) (string, Bandwidth)) config.Value {
	return config.ListOf(p, kind+" up[:down]", func(s string) ([]T, error) {
		var rows []T
		for line := range strings.SplitSeq(s, ";") {
			name, rates, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
			if rates = strings.TrimSpace(rates); rates == "" {
				return nil, fmt.Errorf("%q is not a %s and its KB/s, such as %s", strings.TrimSpace(line), kind, example)
			}
			b, err := parseBandwidth(rates)
			if err != nil {
				return nil, err
			}
			row, err := parse(name, b)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
		return rows, nil
	}, func(rows []T) string {
		var lines []string
		for _, row := range rows {
			name, b := show(row)
			lines = append(lines, name+" "+showBandwidth(b))
		}
		return strings.Join(lines, "; ")
	})
}

func groupRates(p *[]GroupRate) config.Value {
	return rateRows(p, "group", "staff 500:2000", func(name string, b Bandwidth) (GroupRate, error) {
		gid, err := groupID(name)
		return GroupRate{name, gid, b}, err
	}, func(g GroupRate) (string, Bandwidth) { return g.Group, g.Bandwidth })
}

func networkRates(p *[]NetworkRate) config.Value {
	return rateRows(p, "network", "192.0.2.0/24 500:2000", func(name string, b Bandwidth) (NetworkRate, error) {
		var list []netip.Prefix
		err := config.Prefixes(&list, "").Set(name)
		if err == nil && len(list) != 1 {
			err = fmt.Errorf("%q is not one network", name)
		}
		if err != nil {
			return NetworkRate{}, err
		}
		return NetworkRate{list[0].Masked(), b}, nil
	}, func(n NetworkRate) (string, Bandwidth) { return n.Network.String(), n.Bandwidth })
}

// groupID finds a group of the system by its name; a number need not be of one.
func groupID(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil && n < 1<<32-1 {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a group of this system nor a number", name)
	}
	return strconv.Atoi(g.Gid)
}
