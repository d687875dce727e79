package cert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"portreeve/server/cert/acmetest"
)

// await waits until something was logged, and returns all that was.
func (l *logged) await(t *testing.T, what string) string {
	t.Helper()
	said := ""
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		if said += l.take(); strings.Contains(said, what) {
			return said
		}
	}
	t.Fatalf("it did not log %q but %s", what, said)
	return ""
}

// run has a store look after its certificates until the test ends.
func run(t *testing.T, s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		s.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// trusted makes sure that a client that trusts an authority gets a certificate for
// the name it asks for; "" asks for none, and expects host.
func trusted(t *testing.T, s *Store, a *acmetest.Authority, ask, host string) *x509.Certificate {
	t.Helper()
	leaf := handshake(t, s, &tls.Config{ServerName: ask})
	middle := x509.NewCertPool()
	for _, der := range s.shown.Load().candidates(ask)[0].tls.Certificate[1:] {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		middle.AddCert(x)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: a.Roots, Intermediates: middle}); err != nil {
		t.Errorf("a client that asks for %q and wants %s: %v", ask, host, err)
	}
	return leaf
}

// TestACME obtains a certificate by either way, shows it to clients that ask for
// its names and to those that ask for none, keeps it over a restart, and renews it
// while nobody connects.
func TestACME(t *testing.T) {
	for _, way := range []string{http01, tlsALPN01} {
		t.Run(way, func(t *testing.T) {
			authority := acmetest.New(t, 100*day)
			opts := Options{ACME: ACME{Certificates: [][]string{{"ftp.example.org", "files.example.org"}, {"b.example.net"}},
				Directory: authority.Directory, Client: authority.Client, Mail: "post@example.org", Folder: filepath.Join(t.TempDir(), "acme")}}
			if way == http01 {
				opts.ACME.HTTP = []string{authority.HTTP}
			} else {
				opts.ACME.TLS = []string{authority.TLS}
			}
			log := new(logged)
			s := New(slog.New(slog.NewTextHandler(log, nil)))
			if err := s.Configure(opts); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(&tls.ClientHelloInfo{}); !errors.Is(err, ErrNone) {
				t.Errorf("before anything was obtained: %v", err)
			}
			if i := s.Infos()[0]; !i.ACME || i.Usable() || i.Error == "" || !slices.Equal(i.Names, opts.ACME.Certificates[0]) {
				t.Errorf("it is described as %+v", i)
			}
			run(t, s)
			log.await(t, "names=b.example.net file=")
			first := trusted(t, s, authority, "", "ftp.example.org")
			trusted(t, s, authority, "FTP.example.org", "ftp.example.org")
			trusted(t, s, authority, "files.example.org", "files.example.org")
			trusted(t, s, authority, "b.example.net", "b.example.net")
			for _, i := range s.Infos() {
				if left := time.Until(i.NextTry); !i.Usable() || i.Error != "" || left < 69*day || left > 71*day {
					t.Errorf("it is described as %+v, and renewed in %v", i, left)
				}
			}
			refuses(t, authority.HTTP)
			refuses(t, authority.TLS)
			private(t, opts.ACME.Folder)

			// Another server with the same folder has no need to ask.
			before := authority.Requests.Load()
			again, _ := newStore(t)
			if err := again.Configure(opts); err != nil {
				t.Fatal(err)
			}
			if leaf := trusted(t, again, authority, "", "ftp.example.org"); !leaf.Equal(first) {
				t.Error("a restart shows another certificate")
			}
			if got := authority.Requests.Load(); got != before {
				t.Errorf("a restart asked the authority %d times", got-before)
			}

			// The time has come.
			hurry(s, func() {})
			log.await(t, `names="ftp.example.org files.example.org" file=`)
			failures(s) // what is logged is shown before the lock is given back
			if leaf := trusted(t, s, authority, "", "ftp.example.org"); leaf.Equal(first) {
				t.Error("it was not renewed")
			}
		})
	}
}

// hurry makes the first certificate due, after something was done to the store.
func hurry(s *Store, what func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what()
	s.entries[0].renewal.due = time.Now()
	s.nudge()
}

func failures(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[0].renewal.failures
}

// refuses makes sure that nobody listens at an address.
func refuses(t *testing.T, addr string) {
	t.Helper()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Errorf("somebody still listens at %s", addr)
	}
}

// private makes sure that others cannot read what is in a folder.
func private(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestACMEOtherWay goes on to HTTP-01 where TLS-ALPN-01 leads to somebody else.
func TestACMEOtherWay(t *testing.T) {
	authority := acmetest.New(t, 100*day)
	taken, err := net.Listen("tcp", authority.TLS)
	if err != nil {
		t.Fatal(err)
	}
	a := ACME{Directory: authority.Directory, Client: authority.Client, Folder: t.TempDir(), HTTP: []string{authority.HTTP}, TLS: []string{authority.TLS}}
	if _, _, err := a.obtain(t.Context(), []string{"ftp.example.org"}); err != nil {
		t.Error(err)
	}
	taken.Close()
	a.TLS = []string{acmetest.FreeAddr(t)} // where nobody asks
	if _, _, err := a.obtain(t.Context(), []string{"ftp.example.org"}); err != nil {
		t.Error(err)
	}
}

// TestACMEFails keeps what there is when a renewal fails, says why, and waits
// before it tries again.
func TestACMEFails(t *testing.T) {
	authority := acmetest.New(t, 100*day)
	opts := Options{ACME: ACME{Certificates: [][]string{{"ftp.example.org"}}, Directory: authority.Directory, Client: authority.Client,
		Folder: t.TempDir(), HTTP: []string{authority.HTTP}}}
	log := new(logged)
	s := New(slog.New(slog.NewTextHandler(log, nil)))
	if err := s.Configure(opts); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	log.await(t, "names=ftp.example.org file=")
	first := trusted(t, s, authority, "", "ftp.example.org")
	failure := func(spoil func(), want string) {
		t.Helper()
		hurry(s, spoil)
		said := log.await(t, "obtaining a certificate failed")
		if !strings.Contains(said, want) || !strings.Contains(said, "again=") || strings.Contains(said, `\n`) {
			t.Errorf("without %q it logged %s", want, said)
		}
		if leaf := trusted(t, s, authority, "", "ftp.example.org"); !leaf.Equal(first) {
			t.Error("it shows another certificate")
		}
		i := s.Infos()[0]
		if left := time.Until(i.NextTry); !i.Usable() || i.Error == "" || left < 30*time.Second || left > 6*time.Hour {
			t.Errorf("it is described as %+v", i)
		}
	}
	failure(func() { s.acme.HTTP = []string{acmetest.FreeAddr(t)} }, "showing that ftp.example.org is ours: ")
	taken, err := net.Listen("tcp", authority.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	failure(func() { s.acme.HTTP = []string{authority.HTTP} }, "address already in use")
	failure(func() { authority.Broken.Store(true) }, "registering with the authority: ")
	if got := failures(s); got != 3 {
		t.Errorf("%d failures are counted", got)
	}
	authority.Broken.Store(false)
	taken.Close()
	if err := s.Configure(opts); err != nil {
		t.Fatal(err)
	}
	hurry(s, func() {})
	log.await(t, "names=ftp.example.org file=")
	if i := s.Infos()[0]; i.Error != "" || failures(s) != 0 {
		t.Errorf("after it worked again it is described as %+v", i)
	}
}

// TestACMECheck refuses what cannot work.
func TestACMECheck(t *testing.T) {
	for _, tt := range []struct {
		acme ACME
		want string
	}{
		{ACME{}, ""},
		{ACME{Certificates: [][]string{{"a.test"}}, HTTP: []string{":80"}}, ""},
		{ACME{Certificates: [][]string{{"a.test"}}}, "ACME needs ACMEHTTP or ACMETLS"},
		{ACME{Certificates: [][]string{{"a.test", "*.b.test"}}, HTTP: []string{":80"}}, "cannot obtain *.b.test"},
		{ACME{Certificates: [][]string{{"a.test", "b.test"}, {"a.test"}}, TLS: []string{":443"}}, "two certificates that begin with a.test"},
	} {
		tt.acme.Folder = t.TempDir()
		err := New(slog.New(slog.DiscardHandler)).Configure(Options{ACME: tt.acme})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, not %q", tt.acme, err, tt.want)
		}
	}
}

// TestACMEPlan decides when to obtain.
func TestACMEPlan(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for _, tt := range []struct {
		what        string
		from, until time.Duration
		hosts       []string
		want        time.Duration
	}{
		{"90 days", 0, 90 * day, []string{"a.test", "b.test"}, 60 * day},
		{"a year", 0, 365 * day, []string{"b.test", "a.test"}, 335 * day},
		{"6 days", 0, 6 * day, []string{"a.test", "b.test"}, 4 * day},
		{"at its end", -80 * day, 10 * day, []string{"a.test", "b.test"}, -20 * day},
		{"for one name", 0, 90 * day, []string{"a.test"}, 0},
		{"for more names", 0, 90 * day, []string{"a.test", "b.test", "c.test"}, 60 * day},
	} {
		a := ACME{Certificates: [][]string{{"a.test", "b.test"}}, Folder: t.TempDir(), Directory: "https://ca.example/directory"}
		if err := a.makeHome(); err != nil {
			t.Fatal(err)
		}
		remake(t, Pair{Cert: filepath.Join(a.home(), "a.test.pem")}, now.Add(tt.from), now.Add(tt.until), tt.hosts...)
		if got := a.entries(now)[0].renewal.due.Sub(now); got != tt.want {
			t.Errorf("a certificate of %s is renewed after %v, not %v", tt.what, got, tt.want)
		}
	}
	// A faulty file is as good as none.
	a := ACME{Certificates: [][]string{{"a.test"}}, Folder: t.TempDir(), Directory: "https://ca.example/directory"}
	if err := errors.Join(a.makeHome(), os.WriteFile(filepath.Join(a.home(), "a.test.pem"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if e := a.entries(now)[0]; e.renewal.due != now || e.err == nil {
		t.Errorf("with a faulty file it is renewed at %v (%v)", e.renewal.due, e.err)
	}
	if want := filepath.Join(a.Folder, "ca.example-directory"); a.home() != want {
		t.Errorf("its folder is %s", a.home())
	}
}

func TestBackoff(t *testing.T) {
	for i, want := range []time.Duration{time.Minute, 4 * time.Minute, 16 * time.Minute, 64 * time.Minute, 256 * time.Minute, 6 * time.Hour, 6 * time.Hour} {
		if got := backoff(i+1, errors.New("x")); got != want {
			t.Errorf("after %d failures it waits %v", i+1, got)
		}
	}
	if got := backoff(1000, errors.New("x")); got != 6*time.Hour {
		t.Errorf("after many failures it waits %v", got)
	}
	limited := &acme.Error{ProblemType: "urn:ietf:params:acme:error:rateLimited", Header: http.Header{"Retry-After": {"36000"}}}
	if got := backoff(1, errors.Join(errors.New("x"), limited)); got < 9*time.Hour || got > 11*time.Hour {
		t.Errorf("when it is told to wait for ten hours it waits %v", got)
	}
}

// TestAnswersToStrangers gives away nothing to who finds the port by chance.
func TestAnswersToStrangers(t *testing.T) {
	addr := acmetest.FreeAddr(t)
	for _, kind := range []string{http01, tlsALPN01} {
		a, err := listenForChallenges(t.Context(), kind, []string{addr})
		if err != nil {
			t.Fatal(err)
		}
		if kind == http01 {
			res, err := http.Get("http://" + addr + "/.well-known/acme-challenge/x")
			if err != nil || res.StatusCode != http.StatusNotFound {
				t.Errorf("a stranger got %v (%v)", res, err)
			} else {
				res.Body.Close()
			}
		} else {
			for _, protos := range [][]string{nil, {acme.ALPNProto}, {"http/1.1"}} {
				if c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: "ftp.example.org", InsecureSkipVerify: true, NextProtos: protos}); err == nil {
					c.Close()
					t.Errorf("a stranger with %q got a handshake", protos)
				}
			}
		}
		if _, err := listenForChallenges(t.Context(), kind, []string{addr}); err == nil {
			t.Error("two listen at one address")
		}
		a.close()
		refuses(t, addr)
	}
}
