// Package acmetest is a certification authority for tests, which speaks ACME and
// asks on the loopback whose names are.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// An Authority is Pebble, the authority for tests by those who run Let's Encrypt,
// in this process.
type Authority struct {
	Directory string         // its URL
	Client    *http.Client   // trusts that URL
	TLSRoot   []byte         // what else must trust it, as PEM
	Roots     *x509.CertPool // signs its certificates
	HTTP, TLS string         // addresses at which it asks by HTTP-01 and by TLS-ALPN-01

	// Broken makes it fail whatever it is asked.
	Broken atomic.Bool
	// Requests counts what it was asked.
	Requests atomic.Int64
}

// New starts an authority whose certificates live so long. Every name is that of
// 127.0.0.1. It sets the environment, so tests that use it are not parallel.
func New(t testing.TB, life time.Duration) *Authority {
	t.Helper()
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP":      "1",
		"PEBBLE_AUTHZREUSE":      "0", // whose a name is, is asked for each certificate
		"PEBBLE_WFE_NONCEREJECT": "0",
	} {
		t.Setenv(name, value)
	}
	quiet := log.New(io.Discard, "", 0)
	dns := FreeAddr(t)
	names, err := challtestsrv.New(challtestsrv.Config{Log: quiet, DNSAddrs: []string{dns}})
	if err != nil {
		t.Fatal(err)
	}
	names.SetDefaultDNSIPv4("127.0.0.1")
	names.SetDefaultDNSIPv6("")
	names.Run()
	t.Cleanup(names.Shutdown)

	a := &Authority{HTTP: FreeAddr(t), TLS: FreeAddr(t), Roots: x509.NewCertPool()}
	store := db.NewMemoryStore()
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(life / time.Second)}})
	asker := va.New(quiet, port(t, a.HTTP), port(t, a.TLS), true, dns, store)
	front := wfe.New(quiet, store, asker, signer, nil, true, false, 1, 1)
	answer := front.Handler()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Requests.Add(1)
		if a.Broken.Load() {
			http.Error(w, "out of order", http.StatusForbidden)
			return
		}
		answer.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	a.Directory, a.Client = srv.URL+wfe.DirectoryPath, srv.Client()
	a.TLSRoot = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	root, err := x509.ParseCertificate(signer.GetRootCert(0).DER)
	if err != nil {
		t.Fatal(err)
	}
	a.Roots.AddCert(root)
	return a
}

// FreeAddr returns an address of the loopback at which nobody listens.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func port(t testing.TB, addr string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}
