package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"portreeve/config"
)

// network makes data connections. The real one is tcp; tests have one in memory.
type network interface {
	// listen opens a passive port of the range, at the address given.
	listen(addr netip.Addr, ports config.PortRange, congestion string) (net.Listener, error)
	// dial opens an active data connection.
	dial(ctx context.Context, local, remote netip.AddrPort, congestion string) (net.Conn, error)
}

// errNoPort: every port of the passive range is taken.
var errNoPort = errors.New("no passive port is free")

// tcp is the network. MPTCP stays off: it would hide the socket from sandboxes
// and keep sendfile from working as on plain TCP.
type tcp struct{}

// listen tries the ports from a random one on, so that nobody can tell the next
// (RFC 2577, section 8, on port stealing), and so that the kernel need not
// search a range that is nearly full.
func (tcp) listen(addr netip.Addr, ports config.PortRange, congestion string) (net.Listener, error) {
	size := ports.Size()
	start := rand.IntN(size)
	for i := range size {
		port := ports.First + uint16((start+i)%size)
		l, err := listenAt(addr, port, congestion)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("opening a passive port: %w", err)
		}
	}
	return nil, errNoPort
}

// dial connects from the address of the control connection, as RFC 1123,
// section 4.1.2.12, demands, and from the port that local names if that is
// permitted and free.
func (tcp) dial(ctx context.Context, local, remote netip.AddrPort, congestion string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(local), KeepAlive: -1}
	d.Control = func(_, _ string, c syscall.RawConn) error { return prepareSocket(c, congestion) }
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", remote.String())
	if local.Port() != 0 && (errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0))
		return d.DialContext(ctx, "tcp", remote.String())
	}
	return c, err
}

// prepareSocket lets several sessions connect from port 20 at a time.
func prepareSocket(c syscall.RawConn, congestion string) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
		setCongestion(int(fd), congestion)
	}); cerr != nil {
		return cerr
	}
	return err
}

// An opener is how the next data connection comes about: the client connects
// to us (PASV, EPSV) or we to it (PORT, EPRT). It is used once.
type opener interface {
	// ready returns the connection if it is there already, and nil if open must
	// wait for it. Most clients connect before they say what for.
	ready() *arrival
	open(context.Context) (net.Conn, error)
	// close gives up what was prepared. It may be called after open, and again.
	close()
}

// A passive opener waits for the client. Only the client's own address will do
// (RFC 2577, section 3, on stealing): others are closed unserved, and the right
// one is still awaited. With FXP any address will.
type passive struct {
	l         net.Listener
	client    netip.Addr
	anybody   bool
	calls     bool                        // CPSV: we are the client of its TLS
	told      netip.Addr                  // what 227 said; not valid after EPSV
	came      netip.Addr                  // who is served, perhaps behind a proxy
	strangers int                         // who were turned away
	headless  int                         // who came from a proxy and did not say for whom
	ends      func(net.Conn) (hop, error) // who is behind a proxy; nil if there is none
	log       *slog.Logger
	lifetime  *time.Timer // closes a listener that nobody uses
	shut      func()      // closes the listener, once
}

// maxStrangers ends the waiting when somebody floods the port.
const maxStrangers = 16

// newPassive waits at l, for so long, until a command uses it; closed is called
// when it no longer does.
func newPassive(l net.Listener, client netip.Addr, life time.Duration, closed func()) *passive {
	shut := sync.OnceFunc(func() {
		l.Close()
		closed()
	})
	return &passive{l: l, client: client, shut: shut, lifetime: time.AfterFunc(life, shut)}
}

func (p *passive) close() {
	p.lifetime.Stop()
	p.shut()
}

// A proxy's header may take its time, so ready does not look behind one.
func (p *passive) ready() *arrival {
	l, ok := p.l.(*port)
	ok = ok && p.ends == nil
	for ok && p.strangers < maxStrangers {
		a := l.take()
		if a == nil {
			return nil
		}
		if p.awaits(a.from) {
			p.close()
			return a
		}
		a.close()
		p.turnedAway(a.from)
	}
	return nil
}

// awaits tells whether a connection from there is the one that is waited for.
func (p *passive) awaits(from netip.Addr) bool { return p.anybody || from == p.client }

// serves tells whether a connection, perhaps through a proxy, is the one that is
// waited for. A proxy that is slow to say so is not waited for after ctx.
func (p *passive) serves(ctx context.Context, c net.Conn) bool {
	p.came = addrPort(c.RemoteAddr()).Addr()
	if p.ends == nil {
		return p.awaits(p.came)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	h, err := p.ends(c)
	if err != nil {
		p.headless++
		p.log.Debug("data connection from a proxy", "err", err)
		return false
	}
	p.came = h.from.Addr()
	return p.awaits(p.came)
}

// farEnd tells who is at the other end of a connection that o made, perhaps behind
// a proxy.
func farEnd(o opener, c net.Conn) netip.Addr {
	switch o := o.(type) {
	case *passive:
		if o.came.IsValid() { // it was waited for
			return o.came
		}
	case *established:
		return o.from
	}
	return addrPort(c.RemoteAddr()).Addr()
}

// turnedAway counts a connection that was not the client's, and was closed.
func (p *passive) turnedAway(from netip.Addr) {
	p.strangers++
	p.log.Warn("data connection from a stranger", "from", from, "port", addrPort(p.l.Addr()).Port())
}

func (p *passive) open(ctx context.Context) (net.Conn, error) {
	defer p.close()
	if !p.lifetime.Stop() {
		return nil, &noData{cause: causeLate}
	}
	stop := context.AfterFunc(ctx, p.shut)
	defer stop()
	for p.strangers < maxStrangers {
		c, err := p.l.Accept()
		switch {
		case err == nil:
		case errors.Is(context.Cause(ctx), errNoData):
			return nil, p.nobodyCame()
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		default:
			return nil, &noData{causeOther, err}
		}
		if p.serves(ctx, c) {
			return c, nil
		}
		c.Close()
		p.turnedAway(p.came)
	}
	return nil, p.nobodyCame()
}

// An active opener connects to the client.
type active struct {
	net           network
	local, remote netip.AddrPort
	congestion    string // "" is the system's
}

func (a *active) close()          {}
func (a *active) ready() *arrival { return nil }

func (a *active) open(ctx context.Context) (net.Conn, error) {
	c, err := a.net.dial(ctx, a.local, a.remote, a.congestion)
	if err != nil {
		if why := context.Cause(ctx); why != nil && !errors.Is(why, errNoData) {
			return nil, why
		}
		return nil, dialFailed(err)
	}
	return c, nil
}

// zoneOf returns the zone of a socket's address, which a link-local one needs.
func zoneOf(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.Zone
	}
	return ""
}

// zoned gives an address of the link its zone back.
func zoned(a netip.Addr, zone string) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(zone)
	}
	return a
}

// addrPort returns the address of a socket without its zone; an IPv4 one that came over IPv6 is
// IPv4. Anything that is no TCP address gives the zero value.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
