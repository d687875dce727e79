package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"portreeve/server"
	"portreeve/server/cert"
)

// certOptions is what a configuration says of certificates; none where there is
// no TLS, whose files nobody misses.
func certOptions(cfg server.Config) (cert.Options, error) {
	switch {
	case !cfg.UsesTLS():
		return cert.Options{}, nil
	case len(cfg.CertFile)+len(cfg.ACME) == 0:
		return cert.Options{}, usagef(`TLS needs a certificate, and there is no CertFile; "portreeve cert new" makes one`)
	}
	return cert.Options{Files: certPairs(cfg), ACME: acmeOptions(cfg), External: cfg.ExtCert}, nil
}

func acmeOptions(cfg server.Config) cert.ACME {
	a := cert.ACME{Certificates: cfg.ACME, Directory: cfg.ACMEDirectory, Mail: cfg.ACMEMail, Folder: cfg.ACMECache}
	if a.Folder == "" {
		a.Folder = filepath.Join(filepath.Dir(cfg.UserDB), "acme")
	}
	for _, e := range cfg.ACMEHTTP {
		a.HTTP = append(a.HTTP, e.String())
	}
	for _, e := range cfg.ACMETLS {
		a.TLS = append(a.TLS, e.String())
	}
	return a
}

// prepareCertificates reads the certificates that cfg names; use shows them.
func prepareCertificates(store *cert.Store, cfg server.Config) (use func(), err error) {
	opts, err := certOptions(cfg)
	if err != nil {
		return nil, err
	}
	use, err = store.Prepare(opts)
	return use, certError(err)
}

func certPairs(cfg server.Config) []cert.Pair {
	var pairs []cert.Pair
	for _, k := range cfg.CertFile {
		pairs = append(pairs, cert.Pair(k))
	}
	for _, h := range cfg.VirtualHosts {
		if h.Certificate.Cert != "" {
			pairs = append(pairs, cert.Pair(h.Certificate))
		}
	}
	return pairs
}

// certError gives each certificate that cannot be shown a line which says how to
// get one that can. The configuration is at fault.
func certError(err error) error {
	if err == nil {
		return nil
	}
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		faults = joined.Unwrap()
	}
	for i, fault := range faults {
		if f, ok := errors.AsType[*cert.FileError](fault); ok {
			made := "--out " + f.Pair.Cert
			if f.Pair.Key != "" {
				made += " --key " + f.Pair.Key
			}
			makes := "makes one"
			if _, err := os.Lstat(f.Pair.Cert); err == nil { // which is somebody's, and not to be replaced unasked
				made, makes = "--force "+made, "makes another"
			}
			faults[i] = fmt.Errorf("CertFile: %w; \"portreeve cert new %s\" %s", f, made, makes)
		}
	}
	return usagef("%w", errors.Join(faults...))
}

// certificateLine says of a certificate what there is room for in a line.
func certificateLine(c cert.Info, now time.Time) string {
	said := cmp.Or(strings.Join(c.Names, ", "), c.File)
	if c.Usable() {
		said += fmt.Sprintf(", until %s (%s)", c.NotAfter.Local().Format(time.DateOnly), daysLeft(c, now))
	}
	if c.Error != "" {
		said += "; " + c.Error
	}
	if !c.NextTry.IsZero() {
		said += "; ACME is asked at " + c.NextTry.Local().Format(time.DateTime)
	}
	return said
}

func daysLeft(c cert.Info, now time.Time) string {
	switch left := c.NotAfter.Sub(now); {
	case left <= 0:
		return "expired"
	case left < 48*time.Hour:
		return fmt.Sprintf("%d hours left", left/time.Hour)
	default:
		return fmt.Sprintf("%d days left", left/(24*time.Hour))
	}
}
