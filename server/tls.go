package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"portreeve/logparse"
	"portreeve/server/auth"
)

// TLS of the control connection (RFC 4217). The raw connection stays the
// session's conn, since others wake and hurry it; what the session reads and
// writes goes through wire, which is the one or the other.

const (
	handshakeTime     = 15 * time.Second
	handshakesPerHost = 64              // under way at a time
	closeTime         = 5 * time.Second // for a client to end TLS when it goes back to clear
)

// A secured is what a session has that speaks TLS, or did before CCC. It belongs
// to the session; a transfer takes of it what does not change.
type secured struct {
	conn    *tls.Conn
	records *recordReader // under conn
	token   token         // what this session's tickets carry
	cert    *tls.Certificate
	state   tls.ConnectionState // after the handshake
	alpn    []string            // what the client offered
	host    string              // said by HOST before

	implied   bool // of a listener that speaks nothing else
	cleared   bool // CCC: the control connection is in clear again
	sized     bool // PBSZ was said
	private   bool // PROT P
	caller    bool // SSCN ON: we are the client of TLS on data connections
	certified bool // logged in by certificate
	refused   int  // data connections in a row that came to no TLS
}

// wire is what the session's lines go over.
func (s *session) wire() net.Conn {
	if s.encrypted() {
		return s.tls.conn
	}
	return s.conn
}

// encrypted tells whether the control connection is.
func (s *session) encrypted() bool { return s.tls != nil && !s.tls.cleared }

// A patient is under the TLS of a control connection, which also writes while it is
// only read from: clients may ask for new keys at any time (RFC 8446, section
// 4.6.3). Each write then has its own time, and not what the last reply left of it.
type patient struct {
	net.Conn
	leaving *atomic.Bool // of the session
	made    bool         // the handshake, which has a time of its own, is over
}

func (p *patient) Write(b []byte) (int, error) {
	if p.made {
		p.SetWriteDeadline(writeBy(p.leaving))
	}
	return p.Conn.Write(b)
}

// errHandshake is why a session ends whose TLS never came about. Nothing is said
// to the client: in clear it would be garbage, and there is no other way.
var errHandshake = errors.New("TLS handshake failed")

// noHandshake hides why from those who would say goodbye by it.
func noHandshake(why error) error { return fmt.Errorf("%w: %s", errHandshake, why.Error()) }

// secure makes the control connection speak TLS. What the client sent before is
// gone, be it in a buffer, where somebody between may have put it, or said: the
// session is as new (RFC 4217, section 4.2).
func (s *session) secure(ctx context.Context, t *secured) (err error) {
	defer func() { s.srv.counts.handshake(controlChannel, t.state.Version) }()
	leave, ok := s.srv.handshakes.enter(s.peer.Addr())
	if !ok {
		s.deaf = true
		return fmt.Errorf("%w: too many from this address at once", errHandshake)
	}
	defer leave()
	s.logout()
	s.queue, s.waits = nil, 0
	t.host = s.hostName()
	cfg, err := s.srv.controlTLS(t)
	if err != nil {
		s.deaf = true
		return noHandshake(err)
	}
	under := &patient{Conn: s.conn, leaving: &s.leaving}
	if !t.implied { // there is a way back to clear
		t.records = &recordReader{Conn: s.conn}
		under.Conn = t.records
	}
	t.conn = tls.Server(under, cfg)
	limit := time.Now().Add(handshakeTime)
	if end := s.deadline(); end.Before(limit) {
		limit = end
	}
	s.conn.SetDeadline(limit)
	if err = s.called(ctx); err == nil { // a wake before this would have been undone
		err = t.conn.Handshake()
	}
	if err != nil {
		s.deaf = true
		return noHandshake(err)
	}
	t.state = t.conn.ConnectionState()
	s.tls, under.made = t, true
	s.in.reset(t.conn, nil)
	s.srv.tickets.enter(t.token, s.peer.Addr())
	s.entry.SetTLS(tls.VersionName(t.state.Version))
	if sni := s.sni(); sni != "" { // it chooses as HOST does, and outdoes one before
		s.enterHost(s.cfg.host(sni))
	}
	s.shielded()
	s.log.Info("TLS", "version", tls.VersionName(t.state.Version), "cipher", tls.CipherSuiteName(t.state.CipherSuite),
		"sni", t.state.ServerName, "alpn", t.state.NegotiatedProtocol)
	return nil
}

// controlTLS is the configuration of one control connection. It resumes nothing:
// a ticket is for data connections, and a client proves anew who it is.
func (s *Server) controlTLS(t *secured) (*tls.Config, error) {
	terms := s.terms.Load()
	if terms.err != nil {
		return nil, terms.err
	}
	cfg := terms.base.Clone()
	rand.Read(t.token[:])
	// A client without a list is as welcome as one whose list has "ftp"; any
	// other was led here by somebody else, and speaks another protocol.
	// FileZilla's own is not chosen, since it changes what PROT and PBSZ mean.
	cfg.NextProtos = []string{"ftp"}
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (cert *tls.Certificate, err error) {
		t.alpn = hello.SupportedProtos
		if hello.ServerName == "" && t.host != "" { // a client without SNI said it before (RFC 7151, section 3.2)
			asked := *hello
			asked.ServerName = t.host
			hello = &asked
		}
		t.cert, err = s.certificate(hello)
		return t.cert, err
	}
	cfg.WrapSession = s.tickets.wrap(t.token)
	cfg.UnwrapSession = func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil }
	return cfg, nil
}

// errNoCertificate is why no TLS can be had.
var errNoCertificate = errors.New("there is no certificate")

func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.GetCertificate == nil {
		return nil, errNoCertificate
	}
	cert, err := s.GetCertificate(hello)
	if err == nil && cert == nil {
		err = errNoCertificate
	}
	return cert, err
}

// canSecure tells whether a handshake would find what it needs of ours.
func (s *Server) canSecure() error {
	if err := s.terms.Load().err; err != nil {
		return err
	}
	_, err := s.certificate(&tls.ClientHelloInfo{
		CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256},
		SupportedVersions: []uint16{tls.VersionTLS13},
		SupportedCurves:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512,
			tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512, tls.Ed25519},
	})
	return err
}

// tlsTerms are what a configuration comes to; one is in force for all handshakes
// to come.
type tlsTerms struct {
	base *tls.Config
	err  error
}

// setTerms puts a configuration's TLS in force.
func (s *Server) setTerms(cfg *Config) {
	terms := new(tlsTerms)
	if cfg.TLS == 0 {
		terms.err = errors.New("TLS is off")
	} else if terms.base, terms.err = baseTLS(cfg); terms.err != nil {
		s.Log.Error("TLS is not possible", "err", terms.err)
	}
	s.terms.Store(terms)
}

// clear ends TLS on the control connection, and goes on without: each side says
// that its TLS ends (RFC 4217, sections 12.3 and 13). What the client sent before
// its end is dropped. Some do not say it, and go on in clear at once.
func (s *session) clear(ctx context.Context) error {
	t := s.tls
	_ = t.conn.CloseWrite() // if it cannot be written, nothing can be
	limit := time.Now().Add(closeTime)
	if end := s.deadline(); end.Before(limit) {
		limit = end
	}
	s.conn.SetReadDeadline(limit)
	if err := s.called(ctx); err != nil {
		return err
	}
	t.records.ending = true
	_, err := io.Copy(io.Discard, t.conn)
	if err == nil || errors.Is(err, errNotTLS) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.called(ctx)
	}
	s.in.reset(s.conn, t.records.stray)
	t.cleared = true
	s.entry.SetTLS("")
	return err
}

// strip takes TLS off for good, as if AUTH had never been said.
func (s *session) strip(ctx context.Context) (err error) {
	if s.encrypted() {
		err = s.clear(ctx)
	}
	s.srv.tickets.leave(s.tls.token)
	s.tls = nil
	return err
}

// endTLS says that nothing more comes, so that the client can tell our end from
// one that somebody on the way made.
func (s *session) endTLS() {
	if s.encrypted() {
		_ = s.tls.conn.CloseWrite()
	}
}

// names are who the client's certificate says it is, in the manner that the
// configuration trusts. It has been verified.
func (t *secured) names(kind string) []string {
	if len(t.state.PeerCertificates) == 0 {
		return nil
	}
	cert := t.state.PeerCertificates[0]
	switch kind {
	case "cn":
		return []string{cert.Subject.CommonName}
	case "email":
		return cert.EmailAddresses
	case "dns":
		return cert.DNSNames
	}
	return nil
}

// certified logs the user in whom the client's certificate names, if the
// configuration trusts it to (232: RFC 2228, section 5.1). The reply is zero if it
// does not, and then a password is asked for.
func (s *session) certified(ctx context.Context) (reply, error) {
	if !s.encrypted() || !slices.Contains(s.tls.names(s.cfg.TLSClientUser), s.name) {
		return reply{}, nil
	}
	s.means(deed{event: logparse.Login, user: s.name})
	account, err := s.authenticate(ctx, auth.Attempt{Certified: true})
	if err != nil {
		s.log.Info("no login by certificate", "user", s.name, "err", err)
		return reply{}, nil
	}
	if r, err := s.admit(&account); err != nil || r.code != 0 {
		return r, err
	}
	s.tls.certified = true
	s.greetUser()
	s.log = s.log.With("user", s.name, "", place{s.fs.Host()})
	return sayf(232, "Logged in by certificate"), nil
}

// leaf is the client's certificate, nil if it has none.
func (t *secured) leaf() *x509.Certificate {
	if len(t.state.PeerCertificates) == 0 {
		return nil
	}
	return t.state.PeerCertificates[0]
}

// describe is the log's account of a session's TLS.
func (t *secured) describe() []any {
	who := "none"
	if leaf := t.leaf(); leaf != nil {
		who = leaf.Subject.String()
	}
	return []any{"tls", tls.VersionName(t.state.Version), "cipher", tls.CipherSuiteName(t.state.CipherSuite), "certificate", who}
}

// status is a line of STAT.
func (t *secured) status() phrase {
	control, data := phrasef("control connection in clear"), phrasef("data in clear")
	if !t.cleared {
		control = phrasef("control connection protected by %s, %s", tls.VersionName(t.state.Version), tls.CipherSuiteName(t.state.CipherSuite))
	}
	if t.private {
		data = phrasef("data protected")
	}
	return phrasef("%s, %s", control, data)
}

// greetUser notes who has logged in, and how.
func (s *session) greetUser(attrs ...any) {
	attrs = append(s.whom(s.account.Name), attrs...)
	if s.tls != nil {
		s.srv.tickets.own(s.tls.token, s.account.Name, s.hostName())
		attrs = append(attrs, s.tls.describe()...)
	}
	if name := s.entry.Name(); name != "" {
		attrs = append(attrs, "name", name)
	}
	s.log.Info("logged in", attrs...)
}

// unfit tells when a client has failed to protect its data connection too often
// in a row: each attempt costs us more than it.
func (s *session) unfit(err error) error {
	switch {
	case s.tls == nil:
	case !errors.Is(err, errDataTLS) && !errors.Is(err, errUnbound):
		s.tls.refused = 0
	default:
		if s.tls.refused++; s.tls.refused >= s.cfg.MaxCommandErrors {
			return errTooManyErrors
		}
	}
	return nil
}
