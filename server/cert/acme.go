package cert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// ACME is what is to be obtained from a certification authority, and how. Files
// that others obtain, such as certbot, need none of it.
//
// The library's autocert is not used, though it is simpler: it keeps to itself why
// a renewal failed, obtains within the handshake of a client, and makes a
// certificate for each name, where most FTP clients do not say which they want.
type ACME struct {
	Certificates [][]string // the names of each; none is no ACME
	Directory    string     // URL of the authority
	Mail         string     // where it writes to; may be empty
	Folder       string     // keeps account and certificates
	HTTP, TLS    []string   // where to listen while it asks, by HTTP-01 and TLS-ALPN-01
	Client       *http.Client
}

// A renewal is the plan for a certificate that is obtained by ACME.
type renewal struct {
	names    []string
	due      time.Time
	failures int
}

// home is the folder of what this authority gave: a certificate of another, such
// as one for trying, is not taken for its own.
func (a ACME) home() string {
	name := a.Directory
	if u, err := url.Parse(a.Directory); err == nil {
		name = u.Host + u.Path
	}
	return filepath.Join(a.Folder, strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-", r) {
			return r
		}
		return '-'
	}, strings.ToLower(name)))
}

// entries are the certificates to obtain, with those that are there already.
func (a ACME) entries(now time.Time) []*entry {
	var entries []*entry
	for _, names := range a.Certificates {
		e := &entry{pair: Pair{Cert: filepath.Join(a.home(), names[0]+".pem")}, renewal: &renewal{names: names}}
		if err := e.read(); errors.Is(err, fs.ErrNotExist) {
			e.err = errNotYet
		}
		e.plan(now)
		entries = append(entries, e)
	}
	return entries
}

var errNotYet = errors.New("not obtained yet")

// plan decides when the certificate is to be obtained: at once if there is none,
// or one for other names; else when a third of its life is left, or 30 days.
func (e *entry) plan(now time.Time) {
	e.renewal.due = now
	if e.cert == nil || slices.ContainsFunc(e.renewal.names, func(name string) bool { return !slices.Contains(e.cert.hosts(), name) }) {
		return
	}
	leaf := e.cert.leaf()
	e.renewal.due = leaf.NotAfter.Add(-min(30*day, lifetime(e.cert)/3))
}

func lifetime(c *certificate) time.Duration { return c.leaf().NotAfter.Sub(c.leaf().NotBefore) }

// renew obtains what is due, one certificate at a time, until ctx ends.
func (s *Store) renew(ctx context.Context) {
	for {
		e, a, due := s.nextRenewal()
		// The clock may be set, and the machine sleep: look again now and then.
		wait := time.Hour
		if e != nil {
			wait = min(wait, time.Until(due))
		}
		if wait <= 0 && ctx.Err() == nil {
			s.obtain(ctx, a, e)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// nextRenewal returns what is to be obtained first, and when.
func (s *Store) nextRenewal() (e *entry, a ACME, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.entries {
		if other.renewal != nil && (e == nil || other.renewal.due.Before(due)) {
			e, due = other, other.renewal.due
		}
	}
	return e, s.acme, due
}

// nudge makes renew look at the plans anew.
func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// patience is how long an authority has for one certificate.
const patience = 10 * time.Minute

// obtain gets a certificate and shows it; if that fails, it stays with the old one
// and plans when to try again.
func (s *Store) obtain(ctx context.Context, a ACME, e *entry) {
	names := strings.Join(e.renewal.names, " ")
	s.log.Info("obtaining a certificate", "names", names, "from", a.Directory)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	certText, keyText, err := a.obtain(limited, e.renewal.names)
	if err == nil {
		err = Save(e.pair, certText, keyText, true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = e.read()
	}
	now := time.Now()
	switch {
	case err == nil:
		e.renewal.failures = 0
		e.plan(now)
		// Whatever an authority gives, it is not asked again at once.
		e.renewal.due = latest(e.renewal.due, now.Add(max(time.Second, lifetime(e.cert)/3)))
		s.welcome(e)
		s.publish()
	case ctx.Err() != nil: // the server stops
	default:
		e.err = oneLine(err)
		e.renewal.failures++
		wait := backoff(e.renewal.failures, err)
		e.renewal.due = now.Add(wait)
		s.log.Error("obtaining a certificate failed", "names", names, "err", e.err, "again", wait)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// backoff is how long to wait after so many failures. Authorities count them:
// Let's Encrypt refuses a name after five in an hour.
func backoff(failures int, err error) time.Duration {
	wait := min(time.Minute<<min(2*(failures-1), 16), 6*time.Hour)
	if problem, ok := errors.AsType[*acme.Error](err); ok {
		if asked, limited := acme.RateLimit(problem); limited {
			wait = max(wait, asked, time.Hour)
		}
	}
	return wait
}

// oneLine makes an error of others fit for a log.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// check finds what no authority could give.
func (a ACME) check() error {
	var files []string
	for _, names := range a.Certificates {
		for _, name := range names {
			if strings.HasPrefix(name, "*") {
				return fmt.Errorf("ACME cannot obtain %s: wildcards need a record in the DNS, which is not in our hands", name)
			}
		}
		if slices.Contains(files, names[0]) {
			return fmt.Errorf("ACME has two certificates that begin with %s", names[0])
		}
		files = append(files, names[0])
	}
	if len(files) > 0 && len(a.HTTP)+len(a.TLS) == 0 {
		return errors.New("ACME needs ACMEHTTP or ACMETLS, where the authority asks whose the names are")
	}
	return nil
}

// makeHome makes the folder of what the authority gives, which is nobody else's.
// The one above it may be others' too, and stays as it is.
func (a ACME) makeHome() error {
	if err := os.MkdirAll(a.home(), 0o700); err != nil {
		return fmt.Errorf("making the folder for ACME: %w", err)
	}
	if err := os.Chmod(a.home(), 0o700); err != nil {
		return fmt.Errorf("closing the folder for ACME: %w", err)
	}
	return nil
}
