package cert

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// An external is a program behind a Unix socket that chooses certificates by the
// name that a client asks for, in the way of Pure-FTPd's pure-certd. Who asks for
// no name is not its business.
type external struct {
	socket string

	mu    sync.Mutex // guards known
	known map[Pair]*entry
}

// What the program may cost a handshake, and how many certificates are kept.
const (
	externalTime  = 5 * time.Second
	externalLines = 16 << 10
	externalKept  = 10_000
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

// ask sends the question, and returns the lines up to "end" by what stands before
// their colon.
func (x *external) ask(ctx context.Context, name string) (map[string]string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", x.socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(conn, "sni_name:%s\nend\n", name); err != nil {
		return nil, err
	}
	answer := make(map[string]string)
	lines := bufio.NewScanner(io.LimitReader(conn, externalLines))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "end" {
			return answer, nil
		}
		if key, value, ok := strings.Cut(line, ":"); ok {
			answer[key] = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, errors.New(`the answer has no "end"`)
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
