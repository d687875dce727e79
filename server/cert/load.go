package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// A Pair names the file of a certificate and its chain, and that of its key; no
// Key means that all are in one.
type Pair struct{ Cert, Key string }

// keyFile is where the key is.
func (p Pair) keyFile() string {
	if p.Key != "" {
		return p.Key
	}
	return p.Cert
}

// String returns the pair as CertFile has it.
func (p Pair) String() string {
	if p.Key == "" {
		return p.Cert
	}
	return p.Cert + "," + p.Key
}

// A certificate is what was read from a pair of files. It does not change.
type certificate struct {
	tls    tls.Certificate // Leaf is set
	chain  []*x509.Certificate
	keyBit fs.FileMode // permissions of the key's file
}

// maxFile is the most that is read of a file: chains have a few kilobytes.
const maxFile = 1 << 20

// load reads a pair of files and makes sure that they belong together.
func load(p Pair) (*certificate, error) {
	certText, _, err := readFile(p.Cert)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	keyText, mode, err := readFile(p.keyFile())
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		if hasPassphrase(keyText) {
			return nil, fmt.Errorf("%s: the key has a passphrase, which a server cannot type", p)
		}
		return nil, fmt.Errorf("%s: %s", p, strings.TrimPrefix(err.Error(), "tls: "))
	}
	c := &certificate{tls: pair, keyBit: mode.Perm()}
	for i, der := range pair.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d of the chain: %w", p, i+1, err)
		}
		c.chain = append(c.chain, x)
	}
	return c, nil
}

func readFile(name string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than a certificate can be", name)
	}
	return data, info.Mode(), err
}

// hasPassphrase finds keys that are encrypted: as PKCS #8 (RFC 5958, section 3),
// or in the older way of OpenSSL.
func hasPassphrase(text []byte) bool {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return false
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
	}
}

func (c *certificate) leaf() *x509.Certificate { return c.chain[0] }

// hosts are the names by which clients may ask for the certificate, in lower
// case. The common name counts only where there is no other, as in certificates
// that are older than RFC 2818's successors.
func (c *certificate) hosts() []string {
	leaf := c.leaf()
	var hosts []string
	for _, name := range leaf.DNSNames {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	cn := strings.ToLower(leaf.Subject.CommonName)
	if len(hosts)+len(leaf.IPAddresses) == 0 && cn != "" && !strings.ContainsAny(cn, " /@:") {
		hosts = append(hosts, cn)
	}
	return hosts
}

// names are the hosts and the addresses that the certificate is good for.
func (c *certificate) names() []string {
	names := c.hosts()
	for _, ip := range c.leaf().IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// class orders the kinds of keys by what a handshake costs the server.
func (c *certificate) class() int {
	if c.leaf().PublicKeyAlgorithm == x509.RSA {
		return 1
	}
	return 0
}

// keyType says what kind of key it is.
func (c *certificate) keyType() string {
	switch key := c.leaf().PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.leaf().PublicKeyAlgorithm.String()
}

// fingerprint is the SHA-256 of the certificate, which clients show to those who
// are to decide whether they trust it.
func (c *certificate) fingerprint() string {
	sum := sha256.Sum256(c.leaf().Raw)
	return hex.EncodeToString(sum[:])
}

func (c *certificate) selfSigned() bool {
	leaf := c.leaf()
	return bytes.Equal(leaf.RawIssuer, leaf.RawSubject) && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}

// problems are what an administrator should mend, though the server can show the
// certificate: clients may refuse it, or the key may be known to others. That it
// has expired is told by reminders, too, and so not here.
func (c *certificate) problems(now time.Time) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	leaf := c.leaf()
	if now.Before(leaf.NotBefore) {
		add("it is not valid before %s", leaf.NotBefore.Format(time.DateTime))
	}
	if c.keyBit&0o004 != 0 {
		add("everybody can read the key (mode %04o)", uint32(c.keyBit))
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		add("it has no names but in its subject, where clients do not look")
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		add("it is not made for servers")
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		add("its key has %d bits, too few for clients of today", key.N.BitLen())
	}
	return append(list, c.chainProblems(now)...)
}

// chainProblems tells what is wrong behind the first certificate.
func (c *certificate) chainProblems(now time.Time) []string {
	var list []string
	for i, x := range c.chain {
		if i > 0 && !now.Before(x.NotAfter) {
			list = append(list, fmt.Sprintf("certificate %d of its chain, %s, expired on %s", i+1, title(x), x.NotAfter.Format(time.DateOnly)))
		}
		if i+1 < len(c.chain) && x.CheckSignatureFrom(c.chain[i+1]) != nil {
			list = append(list, fmt.Sprintf("certificate %d of its chain, %s, has not signed the one before it", i+2, title(c.chain[i+1])))
		}
	}
	if len(c.chain) == 1 && !c.selfSigned() {
		list = append(list, "its chain is missing: the certificate of "+issuer(c.leaf())+" should stand below it in the file")
	}
	return list
}

// title names the holder of a certificate, issuer who signed it.
func title(x *x509.Certificate) string {
	if x.Subject.CommonName != "" {
		return x.Subject.CommonName
	}
	return x.Subject.String()
}

func issuer(x *x509.Certificate) string {
	if x.Issuer.CommonName != "" {
		return x.Issuer.CommonName
	}
	return x.Issuer.String()
}
