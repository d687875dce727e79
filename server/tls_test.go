package server

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// An authority signs the certificates of tests, as many as are asked for.
type authority struct {
	pool *x509.CertPool
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// The years are those of virtual time and of real time.
var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

var testAuthority = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, NotBefore: notBefore,
		NotAfter: notAfter, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{pool, cert, key}
})

// issue makes a certificate of that common name, changed by edits.
func (a *authority) issue(name string, edits ...func(*x509.Certificate)) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: notBefore,
		NotAfter: notAfter, DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, edit := range edits {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

// file writes the authority's certificate to a file.
func (a *authority) file(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

const testHost = "ftp.example.org"

var testCertificate = sync.OnceValue(func() *tls.Certificate { return testAuthority().issue(testHost) })

func giveTestCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return testCertificate(), nil
}

// clientTLS is the configuration of a client that can resume.
func clientTLS(edits ...func(*tls.Config)) *tls.Config {
	c := &tls.Config{RootCAs: testAuthority().pool, ServerName: testHost, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

// handshake begins TLS on the control connection, to which the server has agreed.
func (c *client) handshake(cfg *tls.Config) error {
	c.tls = cfg
	conn := tls.Client(c.conn, cfg)
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.in, c.raw = conn, bufio.NewReader(conn), c.conn
	return nil
}

// secure says AUTH TLS and begins it.
func (c *client) secure(edits ...func(*tls.Config)) {
	c.t.Helper()
	c.cmd(234, "AUTH TLS")
	if err := c.handshake(clientTLS(edits...)); err != nil {
		c.t.Fatalf("handshake: %v\n%s", err, c.rig.logs)
	}
}

// abandon goes on in clear without a word, when the server has ended TLS.
func (c *client) abandon() {
	c.t.Helper()
	if n, err := c.conn.Read(make([]byte, 1)); n != 0 || err == nil {
		c.t.Fatalf("the server does not end TLS: %d bytes, %v", n, err)
	}
	c.conn, c.in = c.raw, bufio.NewReader(c.raw)
}

// unsecure ends TLS on the control connection, as both sides have agreed to.
func (c *client) unsecure() {
	c.t.Helper()
	conn := c.conn.(*tls.Conn)
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		c.t.Fatalf("the server does not end TLS: %d bytes, %v", n, err)
	}
	if err := conn.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	c.raw.SetDeadline(time.Time{})
	c.conn, c.in = c.raw, bufio.NewReader(c.raw)
}

// secureLogin is login behind TLS, with data protected.
func (r *rig) secureLogin(edits ...func(*tls.Config)) *client {
	r.t.Helper()
	c := r.dial(clientAddr)
	c.shield("alice", edits...)
	return c
}

// shield is what a new client says to be somebody behind TLS, with data protected.
func (c *client) shield(user string, edits ...func(*tls.Config)) {
	c.t.Helper()
	c.want(220)
	c.secure(edits...)
	c.login(user)
	c.cmd(200, "PBSZ 0")
	c.cmd(200, "PROT P")
	c.cmd(200, "TYPE I")
}

// tlsOptions reads "sni=x alpn=a,b max=1.2" into a client's configuration.
func tlsOptions(t testing.TB, text string) *tls.Config {
	return clientTLS(func(c *tls.Config) {
		for word := range strings.FieldsSeq(text) {
			key, value, _ := strings.Cut(word, "=")
			version := map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[value]
			switch key {
			case "alpn":
				c.NextProtos = strings.Split(value, ",")
			case "max":
				c.MaxVersion, c.MinVersion = version, min(version, tls.VersionTLS10)
			case "cert":
				c.Certificates = []tls.Certificate{*testAuthority().issue(value)}
			case "wants":
			default:
				t.Fatalf("no such option of TLS: %s", word)
			}
		}
	})
}
