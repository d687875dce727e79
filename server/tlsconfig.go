package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"portreeve/config"
)

// A Binding is what a protected data connection must prove: that it comes from
// the client of its control connection, whose TLS session it resumes.
type Binding int

// The bindings, from the least to the most.
const (
	BindOff    Binding = iota // nothing
	BindPrefer                // nothing, if it comes from the client's own address
	BindUser                  // that it is a session of this user from this address
	BindStrict                // that it is this one
)

var bindingNames = [...]string{"off", "prefer", "user", "strict"}

func (b Binding) String() string { return bindingNames[b] }

func binding(p *Binding) config.Value {
	return config.Of(p, "off|prefer|user|strict", func(s string) (Binding, error) {
		for b, name := range bindingNames {
			if s == name {
				return Binding(b), nil
			}
		}
		return 0, fmt.Errorf("%q is none of off, prefer, user, strict", s)
	}, Binding.String)
}

// ciphers is a list that is read to be checked, and kept as it was written.
func ciphers(p *string) config.Value {
	return config.Of(p, "list", func(s string) (string, error) {
		_, err := parseCiphers(s)
		return s, err
	}, func(s string) string { return s })
}

// validateTLS is Validate for the directives of TLS.
func (c *Config) validateTLS() error {
	demand := c.clientCertificates()
	switch {
	case len(c.ImplicitTLS) > 0 && c.TLS == 0:
		return errors.New("ImplicitTLS needs TLS 1 or more")
	case demand != tls.NoClientCert && c.TLSClientCA == "":
		return errors.New("TLSClientCert needs TLSClientCA: nobody else says which certificates are good")
	case demand == tls.NoClientCert && c.TLSClientUser != "no":
		return errors.New("TLSClientUser needs TLSClientCert")
	}
	return nil
}

// clientCertificates is what the configuration demands of clients.
func (c *Config) clientCertificates() tls.ClientAuthType {
	if choice, err := parseCiphers(c.CipherSuite); err == nil && choice.demands {
		return tls.RequireAndVerifyClientCert
	}
	switch c.TLSClientCert {
	case "required":
		return tls.RequireAndVerifyClientCert
	case "optional":
		return tls.VerifyClientCertIfGiven
	}
	return tls.NoClientCert
}

// baseTLS makes what all handshakes of a configuration have in common; each
// connection has a clone of it. Compression, renegotiation and early data are
// not in crypto/tls's server at all.
func baseTLS(c *Config) (*tls.Config, error) {
	choice, err := parseCiphers(c.CipherSuite)
	if err != nil {
		return nil, fmt.Errorf("TLSCipherSuite: %w", err)
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: choice.ids, ClientAuth: c.clientCertificates()}
	if c.TLSMinVersion == "1.3" || len(choice.ids) == 0 {
		base.MinVersion, base.CipherSuites = tls.VersionTLS13, nil
	}
	if base.ClientAuth == tls.NoClientCert {
		return base, nil
	}
	pem, err := os.ReadFile(c.TLSClientCA)
	if err != nil {
		return nil, fmt.Errorf("reading TLSClientCA: %w", err)
	}
	base.ClientCAs = x509.NewCertPool()
	if !base.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("TLSClientCA: there is no certificate in %s", c.TLSClientCA)
	}
	return base, nil
}

// CheckTLS reports what keeps a configuration from making TLS connections, as
// far as files are concerned that Validate does not read.
func CheckTLS(c Config) error {
	if c.TLS == 0 {
		return nil
	}
	_, err := baseTLS(&c)
	return err
}
