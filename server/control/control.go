// Package control is the daemon's local API, both ends of it: HTTP and JSON over
// a Unix socket, which curl can speak as well as our own commands.
//
//	GET    /v1/status               what the daemon is and how it fares
//	GET    /v1/sessions             who is connected; user, addr and state choose
//	GET    /v1/sessions/{id}        one of them
//	DELETE /v1/sessions/{id}        end it; message is told to the client
//	DELETE /v1/sessions?user=       end all that user, addr and state choose
//	POST   /v1/sessions/{id}/abort  end its transfer, keep the session
//	POST   /v1/reload               read the configuration again
//	GET    /v1/history              what happened; user, path, addr, since and more choose
//	GET    /v1/history/top          who, or what, moved most
//	GET    /metrics                 what it counts, as Prometheus reads it
//
// An error is {"error": "..."} with a fitting status. Every answer carries the
// daemon's version in the Portreeve-Version header.
//
// The handler of an endpoint and the method of Client that asks it stand side by
// side: sessions.go, daemon.go, history.go. Who may ask is in peer.go, how the socket comes
// to be in listen.go.
package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"portreeve/server/history"
	"portreeve/server/session"
)

// versionHeader is set in every answer, so that a client can warn of a daemon
// that was not restarted after an upgrade.
const versionHeader = "Portreeve-Version"

// What a peer may cost. A request is small and an answer goes to a local
// process, so whoever is slower than this is stuck or ill-meant.
const (
	maxBody     = 16 << 10
	maxHeader   = 16 << 10
	maxConns    = 256
	readTime    = 5 * time.Second
	writeTime   = time.Minute // a reload may take a while, too
	keepTime    = 2 * time.Minute
	closingTime = 5 * time.Second
)

// A Server answers for one daemon. Fields are set before Serve and left alone.
type Server struct {
	Sessions *session.Registry
	// Status is asked for the part of Status that this package cannot know.
	Status func() Status
	// Reload reads the configuration again, or changes nothing and returns an
	// error that names every complaint, joined.
	Reload func(context.Context) (Reloaded, error)
	// History returns what happened, for those who ask; nil: nobody remembers.
	History func() history.DB
	Metrics http.Handler // answers GET /metrics; nil: nobody does
	Access  Access
	Version string       // of the program
	Log     *slog.Logger // nil discards

	summing sync.Mutex // one sums up history at a time
}

// routes is the API. A handler writes its answer, or returns an error and has
// written nothing. Whatever is not GET needs the permission to change.
func (s *Server) routes() map[string]func(http.ResponseWriter, *http.Request) error {
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/status":               s.getStatus,
		"GET /v1/sessions":             s.getSessions,
		"GET /v1/sessions/{id}":        s.getSession,
		"DELETE /v1/sessions":          s.deleteSessions,
		"DELETE /v1/sessions/{id}":     s.deleteSession,
		"POST /v1/sessions/{id}/abort": s.postAbort,
		"POST /v1/reload":              s.postReload,
		"GET /v1/history":              s.getHistory,
		"GET /v1/history/top":          s.getHistoryTop,
		"GET /metrics":                 s.getMetrics,
	}
}

// Serve answers on l until ctx ends, then lets requests under way finish, for a
// few seconds, and returns nil. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	log := cmp.Or(s.Log, slog.New(slog.DiscardHandler))
	// Requests outlive ctx, since those under way are to finish.
	base := context.WithoutCancel(ctx)
	srv := &http.Server{
		Handler:           s.handler(log),
		ConnContext:       withPeer,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: readTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       keepTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// Shutdown gives connections that have asked nothing yet five seconds to do so,
	// and an http.Transport often leaves one such behind; they are closed instead.
	var fresh sync.Map
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			fresh.Store(c, nil)
		} else {
			fresh.Delete(c)
		}
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		l.Close()
		fresh.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		grace, cancel := context.WithTimeout(base, closingTime)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(limit(l, maxConns))
	if !unhook() { // ctx has ended, and with it the listening
		<-stopped
		return nil
	}
	srv.Close()
	return fmt.Errorf("serve control socket: %w", err)
}

// handler checks the peer, then the request, then the route: a stranger learns
// nothing of what there is.
func (s *Server) handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range s.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				writeError(w, err)
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(versionHeader, s.Version)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		peer, known := r.Context().Value(peerKey{}).(Peer)
		if err := s.permit(r, peer, known); err != nil {
			log.Warn("control request refused", "method", r.Method, "path", r.URL.Path, "peer", peer, "err", err)
			writeError(w, err)
			return
		}
		if !reads(r) {
			log.Info("control request", "method", r.Method, "path", r.URL.RequestURI(), "peer", peer)
		}
		if h, pattern := mux.Handler(r); pattern == "" {
			writeError(w, noRoute(h, r))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		mux.ServeHTTP(w, r)
	})
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func (s *Server) permit(r *http.Request, peer Peer, known bool) error {
	switch {
	case !known:
		return fail(http.StatusForbidden, "who asks cannot be told")
	case reads(r) && !s.Access.mayRead(peer):
		return fail(http.StatusForbidden, "uid %d may not read here", peer.UID)
	case !reads(r) && !s.Access.mayChange(peer):
		return fail(http.StatusForbidden, "uid %d may not change anything here", peer.UID)
	case fromBrowser(r):
		return fail(http.StatusForbidden, "browsers are not served")
	}
	return nil
}

// fromBrowser finds out requests that a web page made. A browser cannot reach a
// Unix socket, but some forward one to a TCP port, and then every page that the
// administrator opens can: with his rights, as the peer is the forwarder. Pages
// cannot keep the browser from sending these headers, nor choose Host, which
// with a forwarded port or a rebound name is not one of ours.
func fromBrowser(r *http.Request) bool {
	for _, name := range []string{"Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	switch r.Host {
	case "", clientHost, "localhost":
		return false
	}
	return true
}

// noRoute puts what ServeMux would say in plain text into our form.
func noRoute(h http.Handler, r *http.Request) error {
	w := &codeWriter{header: make(http.Header)}
	h.ServeHTTP(w, r)
	if w.code == http.StatusMethodNotAllowed {
		err := fail(w.code, "%s is not for %s", r.Method, r.URL.Path)
		err.allow = w.header.Get("Allow")
		return err
	}
	return fail(http.StatusNotFound, "there is no %s", r.URL.Path)
}

// A codeWriter keeps the status of an answer and drops the rest.
type codeWriter struct {
	header http.Header
	code   int
}

func (w *codeWriter) Header() http.Header         { return w.header }
func (w *codeWriter) WriteHeader(code int)        { w.code = code }
func (w *codeWriter) Write(p []byte) (int, error) { return len(p), nil }

// A failure is an error with its status.
type failure struct {
	status     int
	text       string
	complaints []string // of a configuration that was refused
	allow      string   // methods, with 405
}

func (f *failure) Error() string { return f.text }

func fail(status int, format string, args ...any) *failure {
	return &failure{status: status, text: fmt.Sprintf(format, args...)}
}

// errorBody is what an error looks like on the wire.
type errorBody struct {
	Error      string   `json:"error"`
	Complaints []string `json:"complaints,omitempty"`
}

func writeError(w http.ResponseWriter, err error) {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = fail(http.StatusInternalServerError, "%v", err)
	}
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	writeJSON(w, f.status, errorBody{f.text, f.complaints})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a peer that went away is no matter of ours
}

// readJSON reads a body that may be left out, into a pointer to a struct.
func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return fail(http.StatusRequestEntityTooLarge, "body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return fail(http.StatusBadRequest, "body is not the JSON asked for: %v", err)
	}
	return nil
}

// query returns the request's parameters, each given once, and refuses all but
// the named: a slip of the pen in a filter must not choose everybody.
func query(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "query cannot be read: %v", err)
	}
	for name, given := range values {
		if !slices.Contains(names, name) {
			return nil, fail(http.StatusBadRequest, "there is no parameter %q (there is %s)", name, strings.Join(names, ", "))
		}
		if len(given) != 1 {
			return nil, fail(http.StatusBadRequest, "parameter %q is given %d times", name, len(given))
		}
	}
	return values, nil
}

// limit bounds how many connections are open at a time; further ones wait in the
// kernel's queue.
func limit(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, places: make(chan struct{}, n), done: make(chan struct{})}
}

type limited struct {
	net.Listener
	places chan struct{}
	done   chan struct{}
	once   sync.Once
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// SyscallConn lets peerOf ask the socket inside.
func (c *limitedConn) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", c.Conn)
	}
	return sc.SyscallConn()
}
