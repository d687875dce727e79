package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// What a peer over TCP may cost, who may be anybody.
const (
	maxConns    = 32
	maxHeader   = 16 << 10
	readTime    = 5 * time.Second
	writeTime   = 30 * time.Second // more than scrapeTime
	keepTime    = 2 * time.Minute
	closingTime = time.Second
)

// Serve answers GET /metrics on l until ctx ends, and gives scrapes under way a moment
// then. It closes l.
func (e *Exporter) Serve(ctx context.Context, l net.Listener, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e)
	srv := &http.Server{
		Handler:           guarded(mux),
		ReadHeaderTimeout: readTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       keepTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closingTime)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(&bounded{Listener: l, places: make(chan struct{}, maxConns)})
	if !unhook() {
		<-stopped
		return nil
	}
	srv.Close()
	return fmt.Errorf("serving metrics: %w", err)
}

func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && rebound(r.Host, addr) {
			http.Error(w, "ask for this port by an address, or as localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// rebound tells whether a request to a port that is for this machine alone came by the
// name of somewhere else. Names can be made to lead here, for browsers to let the pages
// of whoever owns them read the answer.
func rebound(host string, local net.Addr) bool {
	at, err := netip.ParseAddrPort(local.String())
	if err != nil || !at.Addr().Unmap().IsLoopback() {
		return false
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err = netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil && host != "" && host != "localhost"
}

// bounded is a listener that closes what comes while there are too many connections:
// whoever scrapes comes again.
type bounded struct {
	net.Listener
	places chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.places <- struct{}{}:
			return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { <-b.places })}, nil
		default:
			conn.Close()
		}
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
