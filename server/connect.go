package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	registry "portreeve/server/session"
)

// The commands that prepare a data connection: PASV, EPSV, PORT and EPRT. Each
// replaces what was prepared before, even if it is itself refused.

// passiveMode and activeMode tell whether clients may connect to us for data, and
// whether we connect to them.
func passiveMode(c *Config) bool { return !c.NATMode }
func activeMode(c *Config) bool  { return c.ActiveMode }

// cmdPASV opens a port for an IPv4 client (RFC 959, section 4.1.2).
func (s *session) cmdPASV(ctx context.Context, _ string) (reply, error) {
	s.drop()
	switch {
	case s.epsvAll:
		return say(501, "EPSV ALL was said"), nil
	case !s.local.Addr().Is4():
		return say(425, "PASV is for IPv4, use EPSV"), nil
	}
	addr, err := s.passiveAddr(ctx)
	if err != nil {
		return reply{}, &failure{say(425, "The server does not know its address"), err}
	}
	port, err := s.listen(addr)
	if err != nil {
		return reply{}, err
	}
	a := addr.As4()
	return fixed(227, "Entering Passive Mode (%d,%d,%d,%d,%d,%d)", a[0], a[1], a[2], a[3], port>>8, port&0xff), nil
}

// bound is our own end of the control connection, where data connections have
// theirs. Behind a proxy that is not what the client connected to.
func (s *session) bound() netip.AddrPort {
	at := s.conn.LocalAddr()
	ap := addrPort(at)
	return netip.AddrPortFrom(zoned(ap.Addr(), zoneOf(at)), ap.Port())
}

// listen opens a passive port at the address of the control connection; the
// client is told another, perhaps.
func (s *session) listen(told netip.Addr) (uint16, error) {
	if !s.srv.passive.take(s.peer.Addr(), s.cfg.PassiveLimits) {
		return 0, s.noPort(&noData{cause: causeCrowded})
	}
	s.moves = true
	give := func() { s.srv.passive.give(s.peer.Addr()) }
	congestion := ""
	anybody := s.fxp() // the other server comes from where it likes
	if !anybody {
		congestion = s.congestion()
	}
	l, err := s.srv.network.listen(s.bound().Addr(), s.cfg.PassivePorts, congestion)
	if err != nil {
		give()
		e := &noData{causeNoSocket, err}
		if errors.Is(err, errNoPort) {
			e = &noData{cause: causePortsTaken}
		}
		return 0, s.noPort(e)
	}
	p := newPassive(l, s.peer.Addr(), s.cfg.ConnectTimeout, give)
	p.told, p.log = told, s.log
	if len(s.cfg.ProxyFrom) > 0 {
		p.ends = func(c net.Conn) (hop, error) { return s.srv.ends(c, s.cfg) }
	}
	p.anybody = anybody
	s.data = p
	return addrPort(l.Addr()).Port(), nil
}

func (s *session) noPort(e *noData) error {
	s.explain(e)
	return &failure{say(425, "No passive port is free"), e}
}

// cmdEPSV opens a port whatever the family (RFC 2428, section 3).
func (s *session) cmdEPSV(_ context.Context, arg string) (reply, error) {
	if s.featEPSV() == "" {
		return say(500, "Use PASV"), nil
	}
	family := familyOf(s.local.Addr())
	switch strings.ToUpper(arg) {
	case "ALL":
		s.epsvAll = true
		return say(200, "From now on EPSV alone"), nil
	case "", family:
	default:
		s.drop()
		if _, err := digits(arg); err != nil {
			return say(501, "EPSV takes 1, 2 or ALL"), nil
		}
		return sayf(522, "Network protocol not supported, use (%s)", family), nil
	}
	s.drop()
	port, err := s.listen(netip.Addr{})
	if err != nil {
		return reply{}, err
	}
	return fixed(229, "Entering Extended Passive Mode (|||%d|)", port), nil
}

// featEPSV is the line of FEAT. Some old clients, and the boxes before them, say
// EPSV to IPv4 servers and do not understand the answer.
func (s *session) featEPSV() string {
	if s.cfg.BrokenClients && s.local.Addr().Is4() {
		return ""
	}
	return "EPSV"
}

// familyOf returns the number that RFC 2428 gives to the address's family.
func familyOf(a netip.Addr) string {
	if a.Is4() {
		return "1"
	}
	return "2"
}

// cmdPORT takes the address to connect to (RFC 959, section 4.1.2).
func (s *session) cmdPORT(_ context.Context, arg string) (reply, error) {
	s.drop()
	if s.epsvAll {
		return say(501, "EPSV ALL was said"), nil
	}
	to, err := parsePORT(arg)
	if err != nil {
		return say(501, "PORT takes h1,h2,h3,h4,p1,p2"), nil
	}
	return s.connectTo(to, "PORT")
}

// parsePORT reads six numbers up to 255.
func parsePORT(arg string) (netip.AddrPort, error) {
	fields := strings.Split(arg, ",")
	if len(fields) != 6 {
		return netip.AddrPort{}, fmt.Errorf("%d fields, not 6", len(fields))
	}
	var b [6]byte
	for i, f := range fields {
		n, err := digits(f)
		if err != nil || f == "" || n > 255 {
			return netip.AddrPort{}, fmt.Errorf("field %q is no byte", f)
		}
		b[i] = byte(n)
	}
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(b[4])<<8|uint16(b[5]))
	return to, plausible(to)
}

// cmdEPRT takes the address to connect to, of either family (RFC 2428, section 2).
func (s *session) cmdEPRT(_ context.Context, arg string) (reply, error) {
	s.drop()
	if s.epsvAll {
		return say(501, "EPSV ALL was said"), nil
	}
	family, to, err := parseEPRT(arg)
	mine := familyOf(s.local.Addr())
	switch {
	case errors.Is(err, errFamily), err == nil && family != mine:
		return sayf(522, "Network protocol not supported, use (%s)", mine), nil
	case err != nil:
		return say(501, "EPRT takes |family|address|port|"), nil
	}
	return s.connectTo(to, "EPRT")
}

// errFamily is a network protocol that nobody here speaks.
var errFamily = errors.New("unknown network protocol")

// parseEPRT reads |family|address|port|, parted by any printable character.
func parseEPRT(arg string) (family string, to netip.AddrPort, err error) {
	if len(arg) < 2 || arg[0] < 33 || arg[0] > 126 || arg[len(arg)-1] != arg[0] {
		return "", to, errors.New("no delimiters")
	}
	fields := strings.Split(arg, arg[:1])
	if len(fields) != 5 {
		return "", to, fmt.Errorf("%d fields, not 3", len(fields)-2)
	}
	family = fields[1]
	if n, err := strconv.Atoi(family); err != nil || n < 0 {
		return "", to, fmt.Errorf("%q is no network protocol", family)
	}
	if family != "1" && family != "2" {
		return family, to, errFamily
	}
	addr, err := netip.ParseAddr(fields[2])
	if err != nil || addr.Zone() != "" || addr.Is4() != (family == "1") {
		return family, to, fmt.Errorf("%q is no address of family %s", fields[2], family)
	}
	port, err := digits(fields[3])
	if err != nil || fields[3] == "" || port > 65535 {
		return family, to, fmt.Errorf("%q is no port", fields[3])
	}
	to = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	return family, to, plausible(to)
}

// plausible refuses what cannot be anybody's address or port.
func plausible(to netip.AddrPort) error {
	if to.Port() == 0 || to.Addr().IsUnspecified() {
		return fmt.Errorf("nobody can be at %s", to)
	}
	return nil
}

// connectTo prepares an active connection, to the client itself unless FXP is
// allowed, and to no privileged port: nobody is attacked through us (RFC 2577,
// section 3).
func (s *session) connectTo(to netip.AddrPort, verb string) (reply, error) {
	foreign := to.Addr() != s.peer.Addr()
	if foreign {
		if why := s.withheldFromFXP(to.Addr()); why != "" {
			s.log.Warn("data connection to a stranger refused", "cmd", verb, "to", to, "why", why)
			return say(500, "Only to your own address"), nil
		}
	}
	if to.Port() < 1024 {
		return say(504, "Only to ports from 1024 on"), nil
	}
	if foreign {
		s.log.Info("data connection for FXP", "cmd", verb, "to", to)
	}
	// RFC 959, section 3.2: our side is the port before the control port's.
	here := s.bound()
	a := &active{net: s.srv.network, local: netip.AddrPortFrom(here.Addr(), here.Port()-1),
		remote: netip.AddrPortFrom(zoned(to.Addr(), zoneOf(s.conn.LocalAddr())), to.Port())}
	if !foreign {
		a.congestion = s.congestion()
	}
	s.data = a
	return sayf(200, "%s command successful", verb), nil
}

// cmdESTA and cmdESTP make the data connection that was prepared, and tell where
// it comes from or leads to, before anything goes over it: so a client learns
// whether addresses are translated between them, which is Pure-FTPd's idea.

func (s *session) cmdESTA(ctx context.Context, _ string) (reply, error) {
	if _, ok := s.data.(*active); !ok {
		return say(520, "PORT or EPRT first"), nil
	}
	return s.meet(ctx, "ESTA", "Connected from", net.Conn.LocalAddr)
}

func (s *session) cmdESTP(ctx context.Context, _ string) (reply, error) {
	if _, ok := s.data.(*passive); !ok {
		return say(520, "PASV or EPSV first"), nil
	}
	return s.meet(ctx, "ESTP", "Connected to", net.Conn.RemoteAddr)
}

// meet waits for the data connection beside the session, as a transfer does.
func (s *session) meet(ctx context.Context, verb, text string, end func(net.Conn) net.Addr) (reply, error) {
	o, limit := s.data, s.cfg.ConnectTimeout
	s.data = nil
	t := &transfer{verb: verb, kind: registry.Working, size: -1}
	t.work = func(f *flow) (reply, error) {
		conn, err := t.connect(f.ctx, o, limit)
		if err != nil {
			return reply{}, err
		}
		t.made = &established{conn, callsTLS(o), farEnd(o, conn)}
		at := addrPort(end(conn))
		return fixed(225, "%s (|%s|%s|%d|)", text, familyOf(at.Addr()), at.Addr(), at.Port()), nil
	}
	go t.toil(s.launch(ctx, t), s, func() {})
	return reply{}, nil
}

// An established opener has its connection.
type established struct {
	net.Conn
	calls bool       // as that of a passive opener
	from  netip.Addr // its farEnd
}

func (e *established) ready() *arrival                        { return nil }
func (e *established) open(context.Context) (net.Conn, error) { return e.Conn, nil }
func (e *established) close()                                 { e.Close() }
