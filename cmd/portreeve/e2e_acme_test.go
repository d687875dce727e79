//go:build linux

package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portreeve/server/cert"
	"portreeve/server/cert/acmetest"
)

// TestACME has the daemon obtain its certificate from an authority, which it
// trusts as it would any on the net.
func TestACME(t *testing.T) {
	authority := acmetest.New(t, 90*24*time.Hour)
	trust := filepath.Join(t.TempDir(), "trust.pem")
	writeFile(t, trust, authority.TLSRoot)
	d := newSite(t, nil, "TLS 1", "ACME ftp.example.org files.example.org", "ACMEDirectory "+authority.Directory,
		"ACMEMail post@example.org", "ACMEHTTP "+authority.HTTP, "ACMETLS "+authority.TLS)
	d.wrap = []string{"env", "SSL_CERT_FILE=" + trust}
	d.start(t)
	var c cert.Info
	eventually(t, "a certificate is obtained", func() bool {
		st, err := d.status(t.Context())
		if err != nil || len(st.Certificates) != 1 {
			t.Fatalf("status: %+v, %v", st.Certificates, err)
		}
		c = st.Certificates[0]
		return c.Usable()
	})
	if want := filepath.Join(d.dir, "acme"); !c.ACME || !c.Default || len(c.ShownFor) != 2 || filepath.Dir(filepath.Dir(c.File)) != want {
		t.Errorf("it is described as %+v", c)
	}
	if left := time.Until(c.NextTry); left < 55*24*time.Hour || left > 65*24*time.Hour {
		t.Errorf("it is to be renewed in %v", left)
	}
	d.must(t, "cert", "show", "--config", d.conf)
	if said := d.must(t, "status"); !strings.Contains(said, "ftp.example.org, files.example.org, until ") || !strings.Contains(said, "; ACME is asked at ") {
		t.Errorf("status says\n%s", said)
	}
}
