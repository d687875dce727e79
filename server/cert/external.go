package cert

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"portreeve/server/query"
)

// An external is a program behind a Unix socket that chooses certificates by the
// name that a client asks for, in the way of Pure-FTPd's pure-certd. Who asks for
// no name is not its business.
type external struct {
	socket  string
	program *query.Dialer

	mu    sync.Mutex // guards known
	known map[Pair]*entry
}

// What the program may cost a handshake, and how many certificates are kept.
const (
	externalTime = 5 * time.Second
	externalKept = 10_000
)

// choose asks for the certificate for a name; nil without an error is the one that
// the name would get without asking.
func (x *external) choose(ctx context.Context, name string) (*tls.Certificate, error) {
	if ctx == nil { // of a hello that is no handshake's
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, externalTime)
	defer cancel()
	answer, err := x.ask(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("asking %s for the certificate of %q: %w", x.socket, name, err)
	}
	switch answer["action"] {
	case "default":
		return nil, nil
	case "strict", "fallback":
		c, err := x.load(Pair{answer["cert_file"], answer["key_file"]})
		switch {
		case err == nil:
			return &c.tls, nil
		case answer["action"] == "fallback":
			return nil, nil
		}
		return nil, err
	}
	// "deny", which is also what Pure-FTPd takes an answer without an action for.
	return nil, fmt.Errorf("%s refuses %q: %w", x.socket, name, ErrNone)
}

// Protocol is what pure-certd speaks. A program that says nothing of use refuses.
func Protocol() query.Protocol {
	return query.Protocol{Variables: map[string]string{"sni_name": "CERTD_SNI_NAME"}, Prefix: "CERTD_", Subject: "sni_name", Refusal: "action:deny"}
}

func (x *external) ask(ctx context.Context, name string) (map[string]string, error) {
	conn, err := x.program.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w (is portreeve certd or pure-certd running?)", err)
	}
	defer conn.Close()
	answer, err := query.Ask(ctx, conn, []query.Line{{Key: "sni_name", Value: name}})
	for key, value := range answer {
		answer[key] = strings.TrimSpace(value)
	}
	return answer, err
}

// load returns what is in the files, from memory if they have not changed.
func (x *external) load(p Pair) (*certificate, error) {
	if !filepath.IsAbs(p.Cert) || p.Key != "" && !filepath.IsAbs(p.Key) {
		return nil, fmt.Errorf("%s names no absolute path of a certificate", x.socket)
	}
	now := stampOf(p)
	x.mu.Lock()
	e := x.known[p]
	x.mu.Unlock()
	if e != nil && e.stamp == now {
		return e.cert, nil
	}
	e = &entry{pair: p}
	if err := e.read(); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= externalKept {
		clear(x.known)
	}
	x.known[p] = e
	return e.cert, nil
}

// askable tells whether a name is one that the program is asked about: it may put
// it into a path or a command (Pure-FTPd asks about no others either).
func askable(name string) bool {
	return name != "" && len(name) <= 255 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}
