//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// secure connects to the daemon and secures the control connection as a client
// does that asks for a name; "" asks for none.
func secure(t testing.TB, d *site, name string) (*ftpConn, *x509.Certificate) {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", d.port4))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &ftpConn{textproto.NewConn(conn), "127.0.0.1"}
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	if _, err := c.cmd(234, "AUTH TLS"); err != nil {
		t.Fatal(err)
	}
	protected := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := protected.Handshake(); err != nil {
		t.Fatalf("handshake: %v\n%s", err, d.log.tail(10))
	}
	return &ftpConn{textproto.NewConn(protected), "127.0.0.1"}, protected.ConnectionState().PeerCertificates[0]
}

// shown is the certificate that a client is shown, which then leaves.
func shown(t testing.TB, d *site, name string) *x509.Certificate {
	t.Helper()
	c, leaf := secure(t, d, name)
	c.Close()
	return leaf
}

// makeCert has the program make a certificate for a name, as the daemon's user.
func makeCert(t testing.TB, d *site, name string, more ...string) string {
	t.Helper()
	file := filepath.Join(d.dir, name+".pem")
	d.must(t, append([]string{"cert", "new", name, "--out", file}, more...)...)
	return file
}

// TestCertificates shows each client the certificate for the name it asks for
// (T273), and new ones a certificate that was replaced, by a reload, by SIGHUP or
// by itself, while the sessions of old live (T301).
func TestCertificates(t *testing.T) {
	t.Parallel()
	d := newSite(t, nil)
	a, b := makeCert(t, d, "a.example.org", "127.0.0.1"), makeCert(t, d, "b.example.org")
	d.configure(t, "TLS 1", "CertFile "+a, "CertFile "+b)
	d.start(t)
	t.Run("T273 by name", func(t *testing.T) {
		for name, want := range map[string]string{"a.example.org": "a.example.org", "b.example.org": "b.example.org", "B.Example.Org": "b.example.org",
			"nobody.example.org": "a.example.org", "": "a.example.org"} {
			if leaf := shown(t, d, name); leaf.Subject.CommonName != want {
				t.Errorf("who asks for %q is shown %s", name, leaf.Subject.CommonName)
			}
		}
	})
	t.Run("T301 replaced", func(t *testing.T) {
		old, now := secure(t, d, "")
		for how, tell := range map[string]func(){
			"reload":    func() { d.must(t, "reload") },
			"SIGHUP":    func() { d.signal(t, syscall.SIGHUP) },
			"by itself": func() {},
		} {
			makeCert(t, d, "a.example.org", "127.0.0.1", "--force")
			tell()
			last := now
			eventually(t, how+" shows the new certificate", func() bool {
				now = shown(t, d, "a.example.org")
				return !now.Equal(last)
			})
			if _, err := old.cmd(200, "NOOP"); err != nil {
				t.Errorf("%s: the session of before: %v", how, err)
			}
		}
		// A faulty file keeps what was there, also over a reload that is refused.
		writeFile(t, a, []byte("rubbish"))
		if out, err := d.run(t, "", "reload"); err == nil || !strings.Contains(out, "portreeve cert new --force --out "+a) {
			t.Errorf("a reload with a faulty certificate: %v\n%s", err, out)
		}
		if !shown(t, d, "").Equal(now) {
			t.Error("a faulty file changed what is shown")
		}
		if _, err := old.cmd(331, "USER alice"); err != nil {
			t.Error(err)
		}
	})
}

// TestCertificateOfCurl has curl trust what cert new made, and nothing else.
func TestCertificateOfCurl(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	d := newSite(t, nil)
	good, bad := makeCert(t, d, "127.0.0.1"), makeCert(t, d, "other.example.org")
	d.configure(t, "TLS 2", "CertFile "+good)
	d.start(t)
	want := randomFile(t, 100_000)
	d.place(t, want, "file")
	for _, tt := range []struct {
		trust string
		works bool
	}{{good, true}, {bad, false}} {
		got := filepath.Join(t.TempDir(), "got")
		j := d.job(t, epsv, "alice", "file", got)
		var said bytes.Buffer
		cmd := curlArgs(j, "--ssl-reqd", "--cacert", tt.trust, "-o", got, j.url()).start(t, &said)
		if err := waitFor(t, cmd); (err == nil) != tt.works {
			t.Errorf("curl that trusts %s: %v\n%s", tt.trust, err, said.String())
		}
		if tt.works {
			sameContent(t, want, got)
		} else if _, err := os.Stat(got); err == nil {
			t.Error("curl fetched from who it does not trust")
		}
	}
}

// TestExpiry tells of a certificate that is about to end where an administrator
// looks: in the log and in status.
func TestExpiry(t *testing.T) {
	t.Parallel()
	d := newSite(t, nil)
	file := makeCert(t, d, "a.example.org", "--days", "5")
	d.configure(t, "TLS 1", "CertFile "+file)
	d.start(t)
	if said := d.must(t, "status"); !strings.Contains(said, "a.example.org, until "+time.Now().AddDate(0, 0, 5).Format(time.DateOnly)+" (4 days left)") {
		t.Errorf("status says\n%s", said)
	}
	eventually(t, "the log warns", func() bool { return strings.Contains(d.log.String(), "certificate expires soon") })
}
