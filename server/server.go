package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"portreeve/server/auth"
	"portreeve/server/ledger"
	"portreeve/server/rate"
	registry "portreeve/server/session"
	"portreeve/server/spool"
	"portreeve/server/vfs"
)

// A Server serves FTP. Set its fields, then call Configure once, and Serve for
// each listener.
type Server struct {
	Sessions *registry.Registry // the limiter: no connection is served without an entry
	Auth     *auth.Chain
	Log      *slog.Logger

	// Ledger counts what users' files amount to; nil is that there are no quotas.
	// Set it before Serve.
	Ledger *ledger.Ledger

	// Uploads is where uploads are noted for a program; nil is nowhere. Set it
	// before Serve.
	Uploads *spool.Journal

	// Recorder is told of everything that happens, beside the logs of AltLog; nil is
	// nobody. It must not block. Set it before Serve.
	Recorder Recorder

	// ActAsUsers makes the kernel judge file accesses by the user's ids, not
	// by the daemon's; that takes root. Set it before Serve.
	ActAsUsers bool

	// GetCertificate finds the certificate of a TLS handshake; control and data
	// connections of one session get the same. Nil, or an error, means that there
	// is none now: AUTH is then answered 431, and an implicit listener closes. Set
	// it before Serve.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	rehearses bool // nothing that anybody asks for is done
	pid       int

	config   atomic.Pointer[Config]
	terms    atomic.Pointer[tlsTerms]
	tickets  *tickets
	network  network // data connections; tcp but for tests
	passive  slots   // passive ports that wait
	noData   dataFailures
	counts   *counts
	outside  outside       // what ForcePassiveIP names
	draining chan struct{} // closed when the server stops
	jobs     jobs
	altLogs  transferLogs
	threads  chan struct{} // held by transfers that hold a thread for as long as they last
	brief    chan struct{} // held by those that do for a moment
	turns    atomic.Uint64 // waits for a line, of all sessions
	buffers  sync.Pool     // of *[smallest]byte
	roots    vfs.Roots     // of users who are logged in
	rates    rate.Tree
	disks    vfs.Disks // that are stored on
	bulks    sync.Pool // of *bulkBuffer

	loadAverage func() (float64, error) // of the last five minutes

	names      *clientNames
	handshakes handshakes
	watcher    *watcher

	// mu guards the fields that follow.
	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	live      sync.WaitGroup // sessions, and those turned away
}

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("server closed")

// New makes a server of cfg. It listens to nothing yet.
func New(cfg Config, sessions *registry.Registry, chain *auth.Chain, log *slog.Logger) *Server {
	s := &Server{Sessions: sessions, Auth: chain, Log: log, pid: os.Getpid(), network: tcp{}, loadAverage: loadAverage, tickets: newTickets(), names: newClientNames(), counts: newCounts(),
		draining: make(chan struct{}), threads: make(chan struct{}, bulkThreads), brief: make(chan struct{}, briefThreads),
		listeners: make(map[net.Listener]struct{}), sessions: make(map[*session]struct{})}
	s.watcher = newWatcher(log)
	s.bulks.New = func() any { return new(bulkBuffer) }
	s.buffers.New = func() any { return new([smallest]byte) }
	s.Configure(cfg)
	return s
}

// Configure puts a configuration in force for the sessions to come. Those that
// live keep theirs; limits on how many there may be hold at once.
func (s *Server) Configure(cfg Config) {
	if _, err := (greeting{file: cfg.GreetingFile, cookies: cfg.FortunesFile}).reply(); err != nil {
		s.Log.Warn("clients are greeted with facts only", "err", err)
	}
	s.config.Store(&cfg)
	s.setTerms(&cfg)
	s.rates.Configure(cfg.rates())
	s.counts.setTop(cfg.MetricsTopUsers)
	s.Sessions.SetLimits(registry.Limits{Max: cfg.MaxClients, PerHost: cfg.MaxClientsPerIP})
}

// Config returns the configuration in force.
func (s *Server) Config() Config { return *s.config.Load() }

// An implicitListener is one whose clients begin with TLS.
type implicitListener struct{ net.Listener }

// Listen opens the sockets that cfg names: all of them, or none.
func Listen(ctx context.Context, cfg Config) ([]net.Listener, error) {
	var open []net.Listener
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	for i, e := range slices.Concat(cfg.Bind, cfg.ImplicitTLS) {
		family := "tcp"
		switch {
		case cfg.IPv4Only:
			family = "tcp4"
		case cfg.IPv6Only:
			family = "tcp6"
		}
		l, err := lc.Listen(ctx, family, e.String())
		if err != nil {
			for _, l := range open {
				l.Close()
			}
			return nil, fmt.Errorf("listening at %s: %w", e, err)
		}
		if i >= len(cfg.Bind) {
			l = implicitListener{l}
		}
		open = append(open, l)
	}
	return open, nil
}

// Serve accepts connections from l until Shutdown, and closes l. It returns
// ErrClosed, or why nothing can be accepted any more.
func (s *Server) Serve(l net.Listener) error {
	if !s.track(l) {
		l.Close()
		return ErrClosed
	}
	defer l.Close()
	_, implicit := l.(implicitListener)
	var wait time.Duration
	for {
		conn, err := l.Accept()
		if err == nil {
			wait = 0
			s.start(conn, implicit)
			continue
		}
		select {
		case <-s.draining:
			return ErrClosed
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accepting connections: %w", err)
		}
		// Out of descriptors, or a client that left: the next one may do. Wait
		// longer each time, up to a second.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		s.Log.Error("accepting a connection", "err", err, "again", wait)
		select {
		case <-time.After(wait):
		case <-s.draining:
			return ErrClosed
		}
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.listeners[l] = struct{}{}
	}
	return !s.stopping
}

// start gives a connection its session, on a goroutine of its own.
func (s *Server) start(conn net.Conn, implicit bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		conn.Close()
		return
	}
	s.live.Go(func() { s.handle(conn, implicit) })
}

// handle is the life of one connection.
func (s *Server) handle(conn net.Conn, implicit bool) {
	defer conn.Close()
	ctx, c := s.open(conn, implicit)
	if c == nil {
		return
	}
	defer s.part(c)
	c.why = c.guarded(ctx)
	c.farewell()
}

// open gives a connection its session, nil if there is no place for it. It is not
// a part of handle, whose stack every idle session keeps.
func (s *Server) open(conn net.Conn, implicit bool) (context.Context, *session) {
	inlineUrgent(conn)
	cfg := s.config.Load()
	ends, err := s.ends(conn, cfg)
	if err != nil {
		s.Log.Warn("refused", "addr", addrPort(conn.RemoteAddr()).Addr(), "err", err, "hint", "ProxyFrom has that address")
		return nil, nil
	}
	peer, local := ends.from, ends.to
	c := s.newSession(conn, peer, local)
	c.implicit = implicit
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	c.entry, err = s.Sessions.Open(peer, local, c.dismiss)
	if err != nil {
		cancel(err)
		s.Log.Info("refused", "addr", peer.Addr(), "err", err)
		s.turnedAway(peer.Addr(), err)
		if !implicit { // nothing can be said there without a handshake, which is what it has no place for
			s.turnAway(conn, err)
		}
		return nil, nil
	}
	c.log = s.Log.With("session", c.entry.ID(), "addr", peer.Addr())
	c.log.Info("connected", "port", peer.Port(), "local", local)
	c.entered()
	if via := addrPort(conn.RemoteAddr()); via != peer {
		c.log.Debug("behind a proxy", "via", via)
	}
	if !cfg.DontResolve {
		s.name(c.entry, peer.Addr(), c.log)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c] = struct{}{}
	return ctx, c
}

// newSession is a session as every connection begins one.
func (s *Server) newSession(conn net.Conn, peer, local netip.AddrPort) *session {
	cfg, now := s.config.Load(), time.Now()
	return &session{srv: s, cfg: cfg, local: local, peer: peer, conn: conn, in: newLineReader(conn, cfg.MaxLineLength),
		born: now, came: now, heard: now, worked: now, ascii: true, level: min(zipLevel, cfg.Compression), facts: defaultFacts, idle: cfg.MaxIdleTime, charset: cfg.ClientCharset, lang: cfg.language()}
}

// part gives a session's place away.
func (s *Server) part(c *session) {
	s.mu.Lock()
	delete(s.sessions, c)
	s.mu.Unlock()
	c.entry.Close()
	c.cancel(nil)
}

// closingTime is how long sessions have that were told to end.
const closingTime = 15 * time.Second

// turnAway tells a connection that there is no place for it. The client has a
// moment to read that; nobody waits for it.
func (s *Server) turnAway(conn net.Conn, err error) {
	r := crowded(err)
	s.counts.reply(r.code)
	conn.SetWriteDeadline(time.Now().Add(lingerTime))
	_, _ = conn.Write(r.append(nil, func(p phrase) string { return p.in(s.config.Load().language().Say) })) // it goes either way
}

// crowded is the reply to a connection that there is no place for.
func crowded(err error) reply {
	r := say(421, "Too many connections")
	if l, ok := errors.AsType[*registry.LimitError](err); ok {
		switch {
		case errors.Is(l, registry.ErrFull):
			r = sayf(421, "%d users (the maximum) are already connected, try again later", l.Max)
		case errors.Is(l, registry.ErrHostFull):
			r = sayf(421, "Too many connections (%d) from this address", l.Max)
		}
	}
	return r
}

// farewell closes our side first and lets the client close its own, so that no
// reset overtakes the last reply.
func farewell(conn net.Conn, limit time.Duration) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		drain(conn, limit)
	}
}

// Shutdown stops accepting, tells idle sessions, and waits for those that move
// files until ctx ends; then it ends these too. It returns why ctx ended, or
// nil if nobody had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.stopping {
		s.stopping = true
		close(s.draining)
		for l := range s.listeners {
			l.Close()
		}
		for c := range s.sessions {
			c.wake()
		}
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.live.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.sessions {
		c.dismiss(errShutdown)
	}
	s.mu.Unlock()
	select {
	case <-done:
	case <-time.After(closingTime): // a session that is stuck in the disk is no reason to stay
	}
	return context.Cause(ctx)
}

// Draining tells whether Shutdown was called.
func (s *Server) Draining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}
