package cert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// SelfSigned makes a key and a certificate for names, wildcards and addresses
// that is signed with itself, as PEM. Clients cannot tell whose it is, but can
// remember its fingerprint, or be given it to trust.
func SelfSigned(hosts []string, from, until time.Time) (certText, keyText []byte, err error) {
	if len(hosts) == 0 {
		return nil, nil, errors.New("a certificate needs a name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial.SetBit(serial, 126, 1), // never zero, never negative, always as long
		Subject:               pkix.Name{CommonName: commonName(hosts)},
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, // and no authority: who has the key can be this server and nobody else
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate: %w", err)
	}
	keyText, err = encodeKey(key)
	return encodeChain([][]byte{der}), keyText, err
}

// commonName is the first name that fits: X.520 allows 64 characters.
func commonName(hosts []string) string {
	if i := slices.IndexFunc(hosts, func(h string) bool { return len(h) <= 64 }); i >= 0 {
		return hosts[i]
	}
	return ""
}

func encodeChain(chain [][]byte) []byte {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Save writes a certificate and its key to their files, which only their owner
// can read, and each of which is there whole or not at all. What is there already
// is replaced only if replace says so; else the error is fs.ErrExist.
func Save(p Pair, certText, keyText []byte, replace bool) error {
	files := []struct {
		name string
		text []byte
	}{{p.Key, keyText}, {p.Cert, certText}}
	if p.Key == "" {
		files = files[1:]
		files[0].text = slices.Concat(keyText, certText)
	}
	if !replace { // said before a key is written whose certificate cannot be
		for _, f := range files {
			if _, err := os.Lstat(f.name); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("writing %s: %w", f.name, fs.ErrExist)
			}
		}
	}
	for _, f := range files {
		if err := writeFile(f.name, f.text, replace); err != nil {
			return fmt.Errorf("writing %s: %w", f.name, err)
		}
	}
	return nil
}

func writeFile(name string, text []byte, replace bool) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".portreeve-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(tmp.Name(), name)
	}
	return os.Link(tmp.Name(), name) // unlike renaming, this replaces nothing
}
