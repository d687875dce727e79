package server

import (
	"crypto/tls"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"portreeve/userdb"
)

func TestVirtualHostDirective(t *testing.T) {
	for _, text := range []string{
		"ftp.example.org",
		"ftp.example.org users=/srv/b.db certificate=/c.pem,/k.pem greeting=/g anonymous=/a",
		`a users=no anonymous=no; b certificate=/c.pem greeting="/a b;c"`,
	} {
		var hosts []VirtualHost
		if err := virtualHosts(&hosts).Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := virtualHosts(&hosts).String(); got != text {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
	for text, want := range map[string]string{
		"ftp.example.org:21":             "not the name of a host",
		"192.0.2.1":                      "not the name of a host",
		"-a":                             "not the name of a host",
		"users=/b":                       "not the name of a host",
		"a user=/b":                      `has no "user"; did you mean users?`,
		"a colour=/b":                    "it has users, certificate",
		"a users":                        "users needs a path",
		"a users=":                       "users needs a path",
		"a users=/b users=/c":            "users is there twice",
		`a users="/b`:                    "a quote is not closed",
		"a certificate=/b,/c,/d":         "is not one or two paths",
		"a certificate=/b,":              "is not one or two paths",
		"a greeting=/\x01":               "control characters",
		"a.example.org;A.Example.org.  ": "a.example.org is there twice",
	} {
		cfg := DefaultConfig()
		err := Directives.Set(&cfg, "VirtualHost", text)
		if err == nil {
			err = cfg.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzVirtualHost(f *testing.F) {
	f.Add("ftp.example.org users=/srv/b.db certificate=/c.pem,/k.pem greeting=\"/a b;\" anonymous=no; b")
	f.Add("a;;b \"c\"")
	f.Fuzz(func(t *testing.T, text string) {
		hosts, err := parseVirtualHosts(text)
		if err != nil {
			return
		}
		again, err := parseVirtualHosts(showVirtualHosts(hosts))
		if err != nil || !reflect.DeepEqual(hosts, again) {
			t.Fatalf("%q is %+v; what that shows is %+v, %v", text, hosts, again, err)
		}
	})
}

// vhostRig is a server with the hosts a.example.org and b.example.org, the second
// with everything of its own: alice's password is "other" there.
func vhostRig(t *testing.T, edits ...func(*Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"home", "anon"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"greeting": "Welcome to B\nYes, B\n", "home/file-of-b": "", "anon/file-of-all": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	db := userdb.At(filepath.Join(dir, "b.db"))
	addUser(t, db, "alice", "other", filepath.Join(dir, "home"))
	r := newRig(t, append(edits, func(c *Config) {
		c.TLS = 1
		c.VirtualHosts = []VirtualHost{{Name: "a.example.org"},
			{Name: "b.example.org", Users: db.Path(), Greeting: filepath.Join(dir, "greeting"), Anonymous: filepath.Join(dir, "anon")}}
	})...)
	certs := map[string]*tls.Certificate{"b.example.org": testAuthority().issue("b.example.org")}
	r.srv.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if cert := certs[hello.ServerName]; cert != nil {
			return cert, nil
		}
		return testCertificate(), nil
	}
	return r
}

func TestVirtualHosts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := vhostRig(t)
		r.put("file-of-a", "")
		c := r.dial(netip.AddrPort{})
		c.want(220)
		if text := c.cmd(220, "HOST b.example.org"); text != "220-Welcome to B\n220 Yes, B" {
			t.Errorf("b greets with %q", text)
		}
		if i := r.srv.Sessions.List()[0]; i.Host != "b.example.org" {
			t.Errorf("the registry has %q", i.Host)
		}
		c.cmd(331, "USER alice")
		c.cmd(530, "PASS secret")
		c.cmd(331, "USER alice")
		c.cmd(230, "PASS other")
		if names, _ := c.retr("NLST"); names != "file-of-b\r\n" {
			t.Errorf("b has %q", names)
		}
		c.cmd(220, "REIN")
		c.login("alice")
		if names, _ := c.retr("NLST"); names != "file-of-a\r\n" {
			t.Errorf("the server has %q", names)
		}
		c.cmd(220, "REIN")
		if i := r.srv.Sessions.List()[0]; i.Host != "" {
			t.Errorf("after REIN the registry has %q", i.Host)
		}
		c.cmd(331, "USER anonymous")
		c.cmd(530, "PASS x")
		c.cmd(220, "HOST b.example.org")
		c.cmd(331, "USER anonymous")
		c.cmd(230, "PASS x")
		if names, _ := c.retr("NLST"); names != "file-of-all\r\n" {
			t.Errorf("anonymous sees %q in b", names)
		}
	})
}

// Who has the same name in another database is somebody else, whose sessions do
// not count; who is of the same database at another host is the same.
func TestUsersOfHostsApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := vhostRig(t, func(c *Config) { c.PerUserLimits.User = 1 })
		at := func(host, password string, code int) {
			t.Helper()
			c := r.dial(netip.AddrPort{})
			c.want(220)
			if host != "" {
				c.cmd(220, "HOST %s", host)
			}
			c.cmd(331, "USER alice")
			c.cmd(code, "PASS %s", password)
		}
		at("", "secret", 230)
		at("b.example.org", "other", 230)
		at("a.example.org", "secret", 421)
		at("b.example.org", "other", 421)
		at("b.example.org", "secret", 530)
		for _, line := range []string{`"logged in" session=2 addr=198.51.100.7 user=alice host=b.example.org`, `"login failed" session=5 addr=198.51.100.7 user=alice host=b.example.org`} {
			if !strings.Contains(r.logs.String(), line) {
				t.Errorf("the log has no %s:\n%s", line, r.logs)
			}
		}
	})
}

// TestT273 asks for hosts by SNI: that chooses certificate and host, and HOST may
// not say otherwise.
func TestT273SNIChoosesTheHost(t *testing.T) {
	sni := func(name string) func(*tls.Config) {
		return func(c *tls.Config) {
			c.ServerName, c.InsecureSkipVerify = name, name == "" || strings.HasPrefix(name, "c.")
		}
	}
	shown := func(c *client) string {
		return c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	for _, tt := range []struct {
		name            string
		before, asked   string // HOST before, and the SNI
		certificate     string
		password        string // of alice where the client is
		accepts, denies string // HOST then
	}{
		{"T273 the SNI of b", "", "b.example.org", "b.example.org", "other", "b.example.org", "a.example.org"},
		{"T273 an SNI that nobody has", "", "c.example.org", testHost, "secret", "", "c.example.org"},
		{"T273 no SNI", "", "", testHost, "secret", "a.example.org", ""},
		{"T273 HOST before AUTH, and no SNI", "b.example.org", "", "b.example.org", "other", "a.example.org", ""},
		{"T273 the SNI is not what HOST said before", "a.example.org", "b.example.org", "b.example.org", "other", "B.example.org.", "a.example.org"},
		{"T273 an address is not the SNI", "", "b.example.org", "b.example.org", "other", "", "192.0.2.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := vhostRig(t).dial(netip.AddrPort{})
				c.want(220)
				if tt.before != "" {
					c.cmd(220, "HOST %s", tt.before)
				}
				c.secure(sni(tt.asked))
				if got := shown(c); got != tt.certificate {
					t.Errorf("the certificate is that of %s", got)
				}
				if tt.denies != "" {
					c.cmd(504, "HOST %s", tt.denies)
				}
				c.cmd(331, "USER alice")
				c.cmd(230, "PASS %s", tt.password)
				if tt.accepts != "" {
					c.cmd(220, "REIN")
					c.abandon()
					c.secure(sni(tt.asked))
					c.cmd(220, "HOST %s", tt.accepts)
				}
			})
		})
	}
}
