package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A logged is a log that a test can read.
type logged struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns what was logged since the last time.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func newStore(t *testing.T, pairs ...Pair) (*Store, *logged) {
	t.Helper()
	log := new(logged)
	s := New(slog.New(slog.NewTextHandler(log, nil)))
	if err := s.Configure(Options{Files: pairs}); err != nil {
		t.Fatal(err)
	}
	return s, log
}

// made writes a self-signed certificate to a file of a new folder.
func made(t *testing.T, from, until time.Time, hosts ...string) Pair {
	t.Helper()
	p := Pair{Cert: filepath.Join(t.TempDir(), "cert.pem")}
	remake(t, p, from, until, hosts...)
	return p
}

func remake(t *testing.T, p Pair, from, until time.Time, hosts ...string) {
	t.Helper()
	certText, keyText, err := SelfSigned(hosts, from, until)
	if err == nil {
		err = Save(p, certText, keyText, true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// valid is a certificate that is good now.
func valid(t *testing.T, hosts ...string) Pair {
	t.Helper()
	return made(t, time.Now().Add(-time.Hour), time.Now().Add(100*day), hosts...)
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// validRSA is a certificate of a key that is costlier to make and to use.
func validRSA(t *testing.T, host string) Pair {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * day)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	p := Pair{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := Save(p, encodeChain([][]byte{der}), keyText, false); err != nil {
		t.Fatal(err)
	}
	return p
}

// handshake returns the first name of the certificate that a client is shown.
func handshake(t *testing.T, s *Store, client *tls.Config) *x509.Certificate {
	t.Helper()
	ours, theirs := net.Pipe()
	client = client.Clone()
	client.InsecureSkipVerify = true
	srv := tls.Server(ours, &tls.Config{GetCertificate: s.Get, MinVersion: tls.VersionTLS12})
	done := make(chan error, 1)
	go func() { done <- srv.Handshake() }()
	c := tls.Client(theirs, client)
	defer ours.Close()
	defer theirs.Close()
	if err := c.Handshake(); err != nil {
		t.Fatalf("handshake: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatalf("handshake: %v", err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

// TestT273ServerName shows each client the certificate with the name it asks for.
func TestT273ServerName(t *testing.T) {
	s, _ := newStore(t, valid(t, "ftp.example.org", "192.0.2.1"), valid(t, "*.example.net", "Example.NET"), valid(t, "b.example.net"))
	for name, want := range map[string]string{
		"":                "ftp.example.org",
		"ftp.example.org": "ftp.example.org",
		"FTP.example.ORG": "ftp.example.org",
		"nobody.test":     "ftp.example.org",
		"localhost":       "ftp.example.org",
		"a.example.net":   "*.example.net",
		"A.EXAMPLE.NET":   "*.example.net",
		"example.net":     "*.example.net",
		"b.example.net":   "b.example.net",
		"x.a.example.net": "ftp.example.org", // a wildcard is one label
	} {
		if got := handshake(t, s, &tls.Config{ServerName: name}).Subject.CommonName; got != want {
			t.Errorf("who asks for %q is shown %s, not %s", name, got, want)
		}
	}
}

// TestTwoKinds has RSA and ECDSA for one name: each client is shown what it can
// check, also those who ask for no name.
func TestTwoKinds(t *testing.T) {
	s, _ := newStore(t, validRSA(t, "ftp.example.org"), valid(t, "ftp.example.org"))
	onlyRSA := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	onlyECDSA := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	for _, tt := range []struct {
		what   string
		client *tls.Config
		want   x509.PublicKeyAlgorithm
	}{
		{"a client of today", &tls.Config{ServerName: "ftp.example.org"}, x509.ECDSA},
		{"one that knows RSA", &tls.Config{ServerName: "ftp.example.org", MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, x509.RSA},
		{"one that knows ECDSA", &tls.Config{ServerName: "ftp.example.org", MaxVersion: tls.VersionTLS12, CipherSuites: onlyECDSA}, x509.ECDSA},
		{"one that knows RSA and names nobody", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, x509.RSA},
		{"one that asks for a stranger", &tls.Config{ServerName: "nobody.test"}, x509.ECDSA},
	} {
		if got := handshake(t, s, tt.client).PublicKeyAlgorithm; got != tt.want {
			t.Errorf("%s is shown %v, not %v", tt.what, got, tt.want)
		}
	}
	infos := s.Infos()
	if !infos[0].Default || !infos[1].Default || len(infos[0].ShownFor) != 1 || len(infos[1].ShownFor) != 1 {
		t.Errorf("they are described as %+v", infos)
	}
}

// TestOutOfTime prefers a certificate that is good now to one of the same name
// that no longer is, or not yet.
func TestOutOfTime(t *testing.T) {
	now := time.Now()
	old := made(t, now.Add(-90*day), now.Add(-day), "ftp.example.org")
	next := made(t, now.Add(day), now.Add(90*day), "ftp.example.org")
	s, log := newStore(t, old, next)
	handshake(t, s, &tls.Config{}) // either, but one
	if said := log.take(); !strings.Contains(said, "has expired") || !strings.Contains(said, "it is not valid before") {
		t.Errorf("it logged %s", said)
	}
	good := valid(t, "ftp.example.org")
	s, _ = newStore(t, old, next, good)
	if got := handshake(t, s, &tls.Config{}).NotAfter; got.Sub(now) > 101*day || got.Sub(now) < 99*day {
		t.Errorf("it shows the one until %v", got)
	}
}

func TestNone(t *testing.T) {
	s, _ := newStore(t)
	if _, err := s.Get(&tls.ClientHelloInfo{}); !errors.Is(err, ErrNone) {
		t.Errorf("without certificates: %v", err)
	}
	if _, err := New(nil).Get(&tls.ClientHelloInfo{ServerName: "x"}); !errors.Is(err, ErrNone) {
		t.Errorf("before Configure: %v", err)
	}
	s, _ = newStore(t, valid(t, "a.test"), valid(t, "a.test"))
	if c, err := s.Get(&tls.ClientHelloInfo{}); err != nil || c == nil {
		t.Errorf("asked without a handshake: %v", err) // as a server does that wants to know whether there is one
	}
}

// TestFaults refuses what cannot be shown, with the file and the reason, and
// changes nothing.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, blocks ...*pem.Block) string {
		var text []byte
		for _, b := range blocks {
			text = append(text, pem.EncodeToMemory(b)...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, other := valid(t, "good.test"), valid(t, "other.test")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyBlock := &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	s, _ := newStore(t, good)
	for _, tt := range []struct {
		pair Pair
		want string
	}{
		{Pair{Cert: filepath.Join(dir, "missing")}, "missing: no such file"},
		{Pair{Cert: dir}, "is a directory"},
		{Pair{good.Cert, filepath.Join(dir, "missing")}, "reading the key: "},
		{Pair{good.Cert, other.Cert}, "private key does not match public key"},
		{Pair{Cert: file("empty")}, "empty: failed to find any PEM data"},
		{Pair{Cert: file("key", keyBlock)}, "did find a private key"},
		{Pair{Cert: file("nonsense", &pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2, 3}})}, "nonsense: "},
		{Pair{good.Cert, file("locked", &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})}, "has a passphrase"},
		{Pair{good.Cert, file("dek", &pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte{1}})}, "has a passphrase"},
	} {
		err := s.Configure(Options{Files: []Pair{other, tt.pair}})
		if f, ok := errors.AsType[*FileError](err); !ok || f.Pair != tt.pair || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, without %q", tt.pair, err, tt.want)
		}
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Configure(Options{Files: []Pair{{Cert: large}, {Cert: filepath.Join(dir, "missing")}}}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two faults: %v", err)
	}
	if got := handshake(t, s, &tls.Config{}).Subject.CommonName; got != "good.test" {
		t.Errorf("after the faults it shows %s", got)
	}
}

// TestWarnings tells what an administrator should mend.
func TestWarnings(t *testing.T) {
	p := valid(t, "ftp.example.org")
	if err := os.Chmod(p.Cert, 0o644); err != nil {
		t.Fatal(err)
	}
	s, log := newStore(t, p)
	if said := log.take(); !strings.Contains(said, "everybody can read the key (mode 0644)") {
		t.Errorf("it logged %s", said)
	}
	if err := s.Configure(Options{Files: []Pair{p}}); err != nil {
		t.Fatal(err)
	}
	if said := log.take(); said != "" {
		t.Errorf("reading the same again logged %s", said)
	}
}

// TestT301Reload shows a certificate that was replaced to new connections.
func TestT301Reload(t *testing.T) {
	p := valid(t, "old.test")
	s, log := newStore(t, p)
	remake(t, p, time.Now(), time.Now().Add(100*day), "new.test")
	if err := s.Configure(Options{Files: []Pair{p}}); err != nil {
		t.Fatal(err)
	}
	if got := handshake(t, s, &tls.Config{}).Subject.CommonName; got != "new.test" {
		t.Errorf("it shows %s", got)
	}
	if said := log.take(); !strings.Contains(said, "names=new.test") {
		t.Errorf("it logged %s", said)
	}
}

// TestWatch lets time pass while files change: a good one is shown within
// seconds, a faulty one never, and that is logged once.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := made(t, time.Now(), time.Now().Add(100*day), "old.test")
		s, log := newStore(t, p)
		go s.Run(t.Context())
		shows := func(want string) {
			t.Helper()
			if got := handshake(t, s, &tls.Config{}).Subject.CommonName; got != want {
				t.Errorf("it shows %s, not %s", got, want)
			}
		}
		changed := time.Now()
		replace := func(what func()) {
			t.Helper()
			log.take()
			what()
			// The clock of files is not the virtual one.
			changed = changed.Add(time.Hour)
			if err := os.Chtimes(p.Cert, changed, changed); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			time.Sleep(3 * pollTime)
			synctest.Wait()
		}
		replace(func() { remake(t, p, time.Now(), time.Now().Add(100*day), "new.test") })
		shows("new.test")
		replace(func() { os.WriteFile(p.Cert, []byte("half a certif"), 0o600) })
		shows("new.test")
		time.Sleep(time.Hour)
		if said := log.take(); strings.Count(said, "level=ERROR") != 1 || !strings.Contains(said, "the old one is kept") {
			t.Errorf("of a faulty file it logged %s", said)
		}
		if info := s.Infos()[0]; info.Error == "" || info.Names[0] != "new.test" {
			t.Errorf("it is described as %+v", info)
		}
		replace(func() { os.Remove(p.Cert) })
		shows("new.test")
		if said := log.take(); strings.Count(said, "no such file") != 1 {
			t.Errorf("of a missing file it logged %s", said)
		}
		replace(func() { remake(t, p, time.Now(), time.Now().Add(100*day), "newest.test") })
		shows("newest.test")
		if info := s.Infos()[0]; info.Error != "" {
			t.Errorf("it is described as %+v", info)
		}
		time.Sleep(time.Hour)
		if said := log.take(); strings.Count(said, "\n") != 1 {
			t.Errorf("it logged %s", said)
		}
	})
}

// TestReminders lets a certificate come to its end.
func TestReminders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := made(t, time.Now(), time.Now().Add(40*day), "ftp.example.org")
		s, log := newStore(t, p)
		log.take()
		for _, tt := range []struct {
			after time.Duration
			want  string
		}{
			{9 * day, ""}, {day + time.Minute, "level=WARN msg=\"certificate expires soon\""}, {20 * day, ""}, {3 * day, "days=6"},
			{5 * day, ""}, {day, "expires within a day"}, {day, "has expired"}, {90 * day, ""},
		} {
			time.Sleep(tt.after)
			s.poll()
			said := log.take()
			if (said == "") != (tt.want == "") || !strings.Contains(said, tt.want) || strings.Count(said, "\n") > 1 {
				t.Errorf("after %v it logged %q, not %q", tt.after, said, tt.want)
			}
		}
		// Another certificate begins anew.
		remake(t, p, time.Now(), time.Now().Add(5*day), "ftp.example.org")
		if err := s.Configure(Options{Files: []Pair{p}}); err != nil {
			t.Fatal(err)
		}
		if said := log.take(); !strings.Contains(said, "expires soon") {
			t.Errorf("of a certificate for five days it logged %q", said)
		}
	})
}

func TestInspect(t *testing.T) {
	now := time.Now()
	first, wild := valid(t, "ftp.example.org", "192.0.2.1", "2001:db8::1"), made(t, now.Add(-2*day), now.Add(-day), "*.example.org", "ftp.example.org")
	missing := Pair{Cert: filepath.Join(t.TempDir(), "x.pem")}
	infos := Inspect(Options{Files: []Pair{first, wild, missing}})
	i := infos[0]
	if !i.Usable() || !i.Default || !i.SelfSigned || i.KeyType != "ECDSA P-256" || i.Issuer != "ftp.example.org" || len(i.Fingerprint) != 64 || len(i.Problems) != 0 ||
		!slices.Equal(i.Names, []string{"ftp.example.org", "192.0.2.1", "2001:db8::1"}) || !slices.Equal(i.ShownFor, []string{"ftp.example.org"}) {
		t.Errorf("the first is %+v", i)
	}
	if i := infos[1]; i.Default || !slices.Equal(i.ShownFor, []string{"*.example.org"}) || !slices.Equal(i.Problems, []string{"it has expired"}) {
		t.Errorf("the second is %+v", i)
	}
	if i := infos[2]; i.Usable() || !strings.Contains(i.Error, "no such file") {
		t.Errorf("the third is %+v", i)
	}
}

// TestChains finds what is wrong behind the first certificate of a file.
func TestChains(t *testing.T) {
	root, rootKey := authority(t, "Root", nil, nil)
	middle, middleKey := authority(t, "Middle", root, rootKey)
	stranger, _ := authority(t, "Stranger", nil, nil)
	for _, tt := range []struct {
		what  string
		chain [][]byte
		want  string
	}{
		{"whole", [][]byte{middle.Raw}, ""},
		{"with its root", [][]byte{middle.Raw, root.Raw}, ""},
		{"alone", nil, "its chain is missing: the certificate of Middle"},
		{"of others", [][]byte{stranger.Raw}, "Stranger, has not signed"},
		{"in the wrong order", [][]byte{root.Raw, middle.Raw}, "Root, has not signed"},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(9), DNSNames: []string{"ftp.example.org"}, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(day)}
		leaf, err := x509.CreateCertificate(rand.Reader, template, middle, key.Public(), middleKey)
		if err != nil {
			t.Fatal(err)
		}
		keyText, err := encodeKey(key)
		if err != nil {
			t.Fatal(err)
		}
		p := Pair{Cert: filepath.Join(t.TempDir(), "cert.pem")}
		if err := Save(p, encodeChain(append([][]byte{leaf}, tt.chain...)), keyText, false); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(Inspect(Options{Files: []Pair{p}})[0].Problems, "; ")
		if (said == "") != (tt.want == "") || !strings.Contains(said, tt.want) {
			t.Errorf("a chain %s: %q, not %q", tt.what, said, tt.want)
		}
	}
}

// authority makes a certificate that may sign others; no parent is itself.
func authority(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(100 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return x, key
}

// TestSave keeps what is there, unless it is told not to, and lets nobody else
// read what it writes.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	certText, keyText, err := SelfSigned([]string{"ftp.example.org", "::1"}, time.Now(), time.Now().Add(day))
	if err != nil {
		t.Fatal(err)
	}
	one := Pair{Cert: filepath.Join(dir, "one.pem")}
	two := Pair{Cert: filepath.Join(dir, "two.crt"), Key: filepath.Join(dir, "two.key")}
	for _, p := range []Pair{one, two} {
		if err := Save(p, certText, keyText, false); err != nil {
			t.Fatal(err)
		}
		if err := Save(p, certText, keyText, false); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%v a second time: %v", p, err)
		}
		if err := Save(p, certText, keyText, true); err != nil {
			t.Errorf("%v replaced: %v", p, err)
		}
		if i := Inspect(Options{Files: []Pair{p}})[0]; !i.Usable() || len(i.Problems) > 0 {
			t.Errorf("%v: %+v", p, i)
		}
	}
	half := Pair{Cert: two.Cert, Key: filepath.Join(dir, "half.key")}
	if err := Save(half, certText, keyText, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a new key beside an old certificate: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", e.Name(), info.Mode(), err)
		}
	}
	if len(entries) != 3 {
		t.Errorf("there are %d files: %v", len(entries), entries)
	}
	if err := Save(Pair{Cert: filepath.Join(dir, "no", "x")}, certText, keyText, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v", err)
	}
	if _, _, err := SelfSigned(nil, time.Now(), time.Now()); err == nil {
		t.Error("a certificate for nobody is made")
	}
}
