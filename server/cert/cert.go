// Package cert loads, watches and obtains the certificates that the server shows.
//
// A Store has them from files, which it looks at again while it runs, so that a
// renewal by others needs no restart; and from a certification authority that
// speaks ACME (RFC 8555), which it asks itself. A handshake never waits for
// either: Get looks at what is in memory, unless a program is to choose.
//
// Which certificate a client is shown follows from the name it asks for in the
// handshake (SNI, RFC 6066, section 3), from the names in the certificates, and
// from what the client can check. Many FTP clients ask for no name: they, and
// those who ask for one that nobody has, are shown the first.
package cert

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portreeve/server/query"
)

// ErrNone is that there is no certificate to show, or none yet.
var ErrNone = errors.New("there is no certificate")

// Options are what an administrator decides about certificates. The zero Options
// are none.
type Options struct {
	Files []Pair // the first is shown to who asks for no name
	ACME  ACME   // come after the files

	External string // socket of a program that chooses by name; "" is none
}

// A Store has the certificates of a server. Make it by New, fill it by Configure,
// and have Run look after it.
type Store struct {
	log   *slog.Logger
	shown atomic.Pointer[shown] // what Get looks at; replaced whole
	wake  chan struct{}         // tells the renewals that there is another plan

	// mu guards the fields that follow, and the fields of the entries.
	mu       sync.Mutex
	acme     ACME
	external *external
	entries  []*entry
}

// An entry is a place where a certificate is, and what is known of it.
type entry struct {
	pair    Pair
	cert    *certificate // the last good one; nil: none yet
	stamp   stamp        // of the files, when they were read last
	seen    stamp        // of the files, when they were looked at last
	err     error        // why what is there now is not shown
	stage   int          // reminders of the certificate's end that were logged
	renewal *renewal     // of a certificate that is obtained by ACME; else nil
}

// New makes a store without certificates.
func New(log *slog.Logger) *Store {
	return &Store{log: log, wake: make(chan struct{}, 1)}
}

// Configure reads all certificates and shows them from then on. If one cannot be
// read or used nothing changes; the error tells every fault, a line each. One that
// is yet to be obtained is no fault.
func (s *Store) Configure(opts Options) error {
	use, err := s.Prepare(opts)
	if err == nil {
		use()
	}
	return err
}

// Prepare is the part of Configure that can fail; use is the rest.
func (s *Store) Prepare(opts Options) (use func(), err error) {
	var faults []error
	var entries []*entry
	for _, pair := range opts.Files {
		e := &entry{pair: pair}
		if err := e.read(); err != nil {
			faults = append(faults, &FileError{pair, err})
		}
		entries = append(entries, e)
	}
	if err := opts.ACME.check(); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	entries = append(entries, opts.ACME.entries(time.Now())...)
	return func() { s.use(entries, opts) }, nil
}

func (s *Store) use(entries []*entry, opts Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range entries {
		old := s.find(e.pair)
		switch {
		case old != nil && old.cert != nil && e.cert != nil && old.cert.fingerprint() == e.cert.fingerprint():
			e.stage = old.stage
		case e.cert != nil:
			s.welcome(e)
		}
		if old != nil && old.renewal != nil && e.renewal != nil && slices.Equal(old.renewal.names, e.renewal.names) {
			entries[i] = old.renewed(e)
		}
	}
	s.acme, s.entries, s.external = opts.ACME, entries, nil
	if opts.External != "" {
		s.external = &external{socket: opts.External, program: query.NewDialer(opts.External), known: make(map[Pair]*entry)}
	}
	s.publish()
	s.remind(time.Now())
	s.nudge()
}

// renewed is e for certificates that may just be being obtained: they stay what
// they were, with what is in the file now. What failed is tried again at once, in
// case that is what was mended, but who is asked too often is still known.
func (e *entry) renewed(now *entry) *entry {
	if now.err == nil {
		e.cert, e.err = now.cert, nil
	}
	e.stamp, e.seen, e.stage = now.stamp, now.seen, now.stage
	e.plan(time.Now())
	return e
}

func (s *Store) find(pair Pair) *entry {
	if i := slices.IndexFunc(s.entries, func(e *entry) bool { return e.pair == pair }); i >= 0 {
		return s.entries[i]
	}
	return nil
}

// welcome logs a certificate that is shown from now on, and what an administrator
// should mend about it.
func (s *Store) welcome(e *entry) {
	c := e.cert
	s.log.Info("certificate", "names", strings.Join(c.names(), " "), "file", e.pair.String(), "expires", c.leaf().NotAfter.Format(time.DateOnly))
	for _, p := range c.problems(time.Now()) {
		s.log.Warn("certificate: "+p, "file", e.pair.String())
	}
}

// publish puts what the entries have in front of Get.
func (s *Store) publish() {
	var all []*certificate
	for _, e := range s.entries {
		if e.cert != nil {
			all = append(all, e.cert)
		}
	}
	sh := arrange(all)
	sh.external = s.external
	s.shown.Store(sh)
}

// shown is every certificate by the names it is good for.
type shown struct {
	byName map[string][]*certificate // names and wildcards, in lower case
	first  []*certificate            // for whom no name finds one

	external *external // is asked before; nil: nobody is
}

func arrange(all []*certificate) *shown {
	sh := &shown{byName: make(map[string][]*certificate)}
	for _, c := range all {
		for _, name := range c.hosts() {
			sh.byName[name] = append(sh.byName[name], c)
		}
	}
	// A client that can check ECDSA is not shown RSA, which costs the server
	// twenty times as much, whatever the order of the files.
	for _, list := range sh.byName {
		slices.SortStableFunc(list, func(a, b *certificate) int { return cmp.Compare(a.class(), b.class()) })
	}
	if len(all) > 0 {
		sh.first = all[:1]
		if hosts := all[0].hosts(); len(hosts) > 0 {
			sh.first = sh.byName[hosts[0]]
		}
	}
	return sh
}

// candidates are the certificates for a name: those that have it, or a wildcard
// in place of its first label (RFC 9525, section 6.3), or the first.
func (sh *shown) candidates(name string) []*certificate {
	name = strings.ToLower(name)
	if list := sh.byName[name]; list != nil {
		return list
	}
	if _, domain, ok := strings.Cut(name, "."); ok {
		if list := sh.byName["*."+domain]; list != nil {
			return list
		}
	}
	return sh.first
}

// Get returns the certificate for a handshake. It is made for the field of that
// name in tls.Config.
func (s *Store) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	sh := s.shown.Load()
	if sh == nil || len(sh.first) == 0 {
		return nil, ErrNone
	}
	if sh.external != nil && askable(hello.ServerName) {
		c, err := sh.external.choose(hello.Context(), hello.ServerName)
		if c != nil || err != nil {
			return c, err
		}
	}
	list := sh.candidates(hello.ServerName)
	if len(list) == 1 {
		return &list[0].tls, nil
	}
	// Whether the client can check a certificate is asked without the name: that
	// has been looked at, and here and there is for the client to judge.
	ask := *hello
	ask.ServerName = ""
	now := time.Now()
	best, most := list[0], -1
	for _, c := range list {
		score := 0
		if ask.SupportsCertificate(&c.tls) == nil {
			score += 2
		}
		if leaf := c.leaf(); !now.Before(leaf.NotBefore) && now.Before(leaf.NotAfter) {
			score++
		}
		if score > most {
			best, most = c, score
		}
	}
	return &best.tls, nil
}

// Run looks after the certificates until ctx ends: it reads files again that have
// changed, obtains what is to be obtained, and tells when a certificate is about
// to end.
func (s *Store) Run(ctx context.Context) {
	var renewals sync.WaitGroup
	renewals.Go(func() { s.renew(ctx) })
	defer renewals.Wait()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.poll()
		}
	}
}

// A FileError is a certificate that cannot be shown, and where it should be.
type FileError struct {
	Pair Pair
	Err  error
}

func (e *FileError) Error() string { return e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }
