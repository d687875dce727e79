package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	registry "portreeve/server/session"
)

// TLS of data connections. We are the server of it whoever connected (RFC 4217,
// section 7), unless a command said otherwise. A data connection that resumes the
// session of its control connection comes from who opened that: only there are
// tickets to be had, and each says in itself whose it is.

// Why a data connection came to no TLS.
var (
	errDataTLS   = errors.New("TLS failed on the data connection")
	errUnbound   = errors.New("data connection did not resume the TLS session")
	errTruncated = errors.New("upload ended without TLS's own end")
)

// A shield is what protects one data connection: what the transfer must know of
// the session, whose fields it may not read.
type shield struct {
	srv      *Server
	token    token
	cert     *tls.Certificate
	leaf     *x509.Certificate // the client's, nil if it has none
	peer     netip.Addr
	binding  Binding
	client   bool   // we are the client of it: CPSV, SSCN
	fxp      bool   // it may lead to another server
	software string // the client, as it calls itself

	from  netip.Addr     // who is at the other end; the transfer's to set
	found registry.Bound // whose session the client asks to resume
}

// shield returns what the next data connection needs, nil if it is to be in clear.
func (s *session) shield(o opener) *shield {
	if !s.protects() {
		return nil
	}
	return &shield{srv: s.srv, token: s.tls.token, cert: s.tls.cert, leaf: s.tls.leaf(), peer: s.peer.Addr(),
		binding: s.cfg.TLSDataBinding, client: s.tls.caller || callsTLS(o), fxp: s.fxp(), software: s.software()}
}

// A protected is a data connection behind TLS.
type protected struct {
	*tls.Conn
	trunk *trunk
}

// protect does the handshake on raw, which stays the caller's to close.
func (h *shield) protect(raw net.Conn, stall time.Duration) (*protected, error) {
	terms := h.srv.terms.Load()
	if terms.err != nil {
		return nil, fmt.Errorf("%w: %w", errDataTLS, terms.err)
	}
	if h.client && h.binding >= BindUser { // another server has no ticket of ours
		return nil, errUnbound
	}
	p := newProtected(raw, h.config(terms.base), h.client)
	raw.SetDeadline(time.Now().Add(handshakeTime))
	err := p.Handshake()
	state := p.ConnectionState() // of version 0 if there is none
	h.srv.counts.handshake(dataChannel, state.Version)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDataTLS, err)
	}
	raw.SetDeadline(time.Time{})
	p.trunk.stall = stall
	return p, h.admit(state)
}

// newProtected lays TLS over a data connection. Records of full size from the
// first on: nobody waits for the first bytes of a file.
func newProtected(raw net.Conn, cfg *tls.Config, client bool) *protected {
	cfg.DynamicRecordSizingDisabled = true
	t := &trunk{Conn: raw, stall: handshakeTime}
	if client {
		return &protected{tls.Client(t, cfg), t}
	}
	return &protected{tls.Server(t, cfg), t}
}

// config is the configuration of one data connection. It takes tickets and gives
// none in TLS 1.3: a client that only sends never reads one, and when it then
// closes, its kernel answers the unread ticket by a reset, which overtakes what is
// still on the way. crypto/tls has no switch for that, so that issuing is turned
// off in this copy once the handshake has got past looking at tickets. A ticket
// of TLS 1.2 is a part of the handshake and does no such harm; but it is given
// before anybody knows whether the other end is the client, so that it shows no
// more than the one which came: a thief who is refused must not be let in by it
// the next time.
func (h *shield) config(base *tls.Config) *tls.Config {
	if h.client { // of another server, which the control connections know, not we
		return &tls.Config{MinVersion: base.MinVersion, CipherSuites: base.CipherSuites, InsecureSkipVerify: true, //nolint:gosec // the client vouches for it
			Certificates: []tls.Certificate{*h.cert}}
	}
	cfg := base.Clone()
	cfg.NextProtos = []string{"ftp-data", "ftp"}
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
			cfg.SessionTicketsDisabled = true
		}
		return h.cert, nil
	}
	var shown token // nobody's, until a ticket says otherwise
	cfg.WrapSession = func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		return h.srv.tickets.wrap(shown)(cs, state)
	}
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		state, whose := h.srv.tickets.open(ticket, cs)
		switch {
		case state == nil:
			return nil, nil
		case whose == h.token:
			h.found = registry.BoundSession
		case h.binding != BindStrict && h.srv.tickets.same(whose, h.token):
			h.found = registry.BoundUser
		default:
			return nil, nil
		}
		shown, cfg.SessionTicketsDisabled = whose, true
		return state, nil
	}
	return cfg
}

// admit decides whether the other end is the client's.
func (h *shield) admit(state tls.ConnectionState) error {
	if h.client {
		return nil
	}
	bound := registry.Unbound
	if state.DidResume {
		bound = h.found
	} else if h.leaf != nil && (len(state.PeerCertificates) == 0 || !h.leaf.Equal(state.PeerCertificates[0])) {
		return fmt.Errorf("%w: its certificate is not that of the control connection", errUnbound)
	}
	h.srv.Sessions.CountBound(h.software, bound)
	least := registry.Unbound
	switch h.binding {
	case BindPrefer:
		if h.from != h.peer && !h.fxp {
			least = registry.BoundUser
		}
	case BindUser:
		least = registry.BoundUser
	case BindStrict:
		least = registry.BoundSession
	}
	if bound < least {
		return errUnbound
	}
	return nil
}

// A trunk is the connection under a data connection's TLS. A write that has run
// out of time would break TLS for good, so that its patience is here: a client
// may be as slow as it likes, as long as it takes something.
//
// While a thread of its own moves bulk data through it, direct is that thread's
// way to the socket, and a trunk is more than one record wide: what TLS writes is
// gathered in out until somebody calls flush, and what it reads was read ahead.
type trunk struct {
	net.Conn
	stall time.Duration
	ended bool // TCP ended, and TLS had not

	direct io.ReadWriter // nil: Conn
	out    []byte        // gathered; nil: nothing is
	ahead  []byte        // read, and not yet taken
	room   []byte        // for that, nil: nothing is read ahead
}

func (t *trunk) Read(p []byte) (n int, err error) {
	if len(t.ahead) == 0 {
		switch {
		case t.direct == nil:
			n, err = t.Conn.Read(p)
		case t.room == nil:
			n, err = t.direct.Read(p)
		default:
			n, err = t.direct.Read(t.room)
			t.ahead, n = t.room[:n], 0
		}
		if errors.Is(err, io.EOF) {
			t.ended = true
		}
		if err != nil {
			return n, err
		}
	}
	if n == 0 {
		n = copy(p, t.ahead)
		t.ahead = t.ahead[n:]
	}
	return n, err
}

func (t *trunk) Write(p []byte) (n int, err error) {
	switch {
	case t.out == nil:
		return t.write(p)
	case len(t.out)+len(p) > cap(t.out):
		if err := t.flush(); err != nil {
			return 0, err
		}
		if len(p) > cap(t.out) {
			return t.write(p)
		}
	}
	t.out = append(t.out, p...)
	return len(p), nil
}

// flush writes what was gathered.
func (t *trunk) flush() error {
	if len(t.out) == 0 {
		return nil
	}
	_, err := t.write(t.out)
	t.out = t.out[:0]
	return err
}

func (t *trunk) write(p []byte) (n int, err error) {
	if t.direct != nil {
		return t.direct.Write(p)
	}
	lively := time.Now()
	for {
		t.SetWriteDeadline(time.Now().Add(min(tick, t.stall)))
		k, err := t.Conn.Write(p[n:])
		if n += k; k > 0 {
			lively = time.Now()
		}
		switch {
		case err == nil, !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case time.Since(lively) >= t.stall:
			return n, errStalled
		}
	}
}

// finish says that nothing more comes from our side.
func (p *protected) finish() error {
	p.trunk.stall = min(p.trunk.stall, closeTime)
	return p.CloseWrite()
}

// whole tells whether a protected upload has its end from the client, and not
// from somebody on the way who ended TCP. It is answered with ours, which some
// clients wait for.
func (f *flow) whole() error {
	if f.tls == nil {
		return nil
	}
	_ = f.tls.finish() // who has left does not read it
	switch {
	case !f.tls.trunk.ended:
		return nil
	case f.strict:
		return errTruncated
	}
	f.unsigned = true
	return nil
}
