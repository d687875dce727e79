package cert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// answers listens for the questions of an authority while an order is under way,
// and at no other time: a port that nobody needs is open to nobody.
type answers struct {
	kind  string
	stop  []func()
	ended sync.WaitGroup

	// mu guards the fields that follow.
	mu    sync.Mutex
	paths map[string]string           // of HTTP-01, and what is there
	certs map[string]*tls.Certificate // of TLS-ALPN-01, by name
}

// What a stranger may cost who finds the port.
const (
	askTime = 10 * time.Second
	maxAsks = 64 // at a time
)

func listenForChallenges(ctx context.Context, kind string, addrs []string) (*answers, error) {
	a := &answers{kind: kind, paths: make(map[string]string), certs: make(map[string]*tls.Certificate)}
	for _, addr := range addrs {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err != nil {
			a.close()
			return nil, fmt.Errorf("listening at %s: %w", addr, err)
		}
		if kind == http01 {
			a.serveHTTP(l)
		} else {
			a.serveTLS(l)
		}
	}
	return a, nil
}

// close stops listening and waits for who is being answered.
func (a *answers) close() {
	for _, stop := range a.stop {
		stop()
	}
	a.ended.Wait()
}

// add makes the answer to a challenge.
func (a *answers) add(client *acme.Client, name, token string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kind == http01 {
		text, err := client.HTTP01ChallengeResponse(token)
		a.paths[client.HTTP01ChallengePath(token)] = text
		return err
	}
	c, err := client.TLSALPN01ChallengeCert(token, name)
	a.certs[name] = &c
	return err
}

func (a *answers) serveHTTP(l net.Listener) {
	srv := &http.Server{
		ReadTimeout: askTime, WriteTimeout: askTime, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // strangers' faults
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			text, ok := a.paths[r.URL.Path]
			a.mu.Unlock()
			if !ok || r.Method != http.MethodGet {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(w, text) // who went away asks again
		}),
	}
	srv.SetKeepAlivesEnabled(false)
	a.stop = append(a.stop, func() { srv.Close() })
	a.ended.Go(func() { _ = srv.Serve(l) }) // it ends when it is closed
}

func (a *answers) serveTLS(l net.Listener) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, GetCertificate: a.certificate}
	places := make(chan struct{}, maxAsks)
	a.stop = append(a.stop, func() { l.Close() })
	a.ended.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // out of descriptors: the authority asks several times
				time.Sleep(100 * time.Millisecond)
				continue
			}
			select {
			case places <- struct{}{}:
			default:
				conn.Close()
				continue
			}
			a.ended.Go(func() {
				defer func() { <-places }()
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(askTime))
				// The handshake is the answer, and nothing comes behind it
				// (RFC 8737, section 3).
				if c := tls.Server(conn, cfg); c.Handshake() == nil {
					c.Close()
				}
			})
		}
	})
}

func (a *answers) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.certs[strings.ToLower(hello.ServerName)]
	if c == nil || !slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
		return nil, ErrNone
	}
	return c, nil
}
