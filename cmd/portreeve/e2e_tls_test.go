//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/server/session"
)

// A tlsClient is a real program that speaks TLS: what moves a file, both ways if
// it can, and whether its data connections resume the session of the control
// connection.
type tlsClient struct {
	name     string
	client   string // as status calls it
	commands func(e *tlsEnd) []command
	resumes  bool
}

// A tlsEnd is where to go, and with what.
type tlsEnd struct {
	at, implicit string // host and port
	put, got     string // local files
	remote       string
}

func curlTLS(more ...string) func(*tlsEnd) []command {
	return func(e *tlsEnd) []command {
		base := append([]string{"curl", "-sS", "--insecure", "-u", "alice:" + password}, more...)
		url, explicit := "ftp://"+e.at+"/"+e.remote, []string{"--ssl-reqd"}
		return []command{
			cmdline(append(append(base[:len(base):len(base)], explicit...), "-T", e.put, url)...),
			cmdline(append(append(base[:len(base):len(base)], explicit...), "-o", e.got, url)...),
			cmdline(append(base[:len(base):len(base)], "-o", e.got, "ftps://"+e.implicit+"/"+e.remote)...),
		}
	}
}

const ftplibTLS = `
import ftplib, ssl, sys
f = ftplib.FTP_TLS(context=ssl._create_unverified_context())
host, port = sys.argv[1].split(":")
f.connect(host, int(port))
f.login("alice", sys.argv[5])
f.prot_p()
f.storbinary("STOR " + sys.argv[4], open(sys.argv[2], "rb"))
f.retrbinary("RETR " + sys.argv[4], open(sys.argv[3], "wb").write)
assert sys.argv[4] in f.nlst()
f.ccc()
f.pwd()
f.quit()
`

var tlsClients = []tlsClient{
	{"curl", "unknown, begins as curl", curlTLS(), true},
	// With TLS 1.2 it takes no tickets, and no more is to be had from crypto/tls.
	{"curl with TLS 1.2", "unknown, begins as curl", curlTLS("--tls-max", "1.2"), false},
	{"curl without sessions", "unknown, begins as curl", curlTLS("--no-sessionid"), false},
	{"lftp", "lftp", func(e *tlsEnd) []command {
		return []command{cmdline("lftp", "-c", strings.Join([]string{"set ssl:verify-certificate no", "set ftp:ssl-force yes", "set ftp:ssl-protect-data yes",
			"set net:max-retries 1", "open -u alice," + password + " ftp://" + e.at, "put " + e.put + " -o " + e.remote, "get " + e.remote + " -o " + e.got, "ls"}, "; "))}
	}, true},
	{"wget", "unknown, begins as wget", func(e *tlsEnd) []command {
		args := []string{"wget", "-q", "--tries=1", "--no-check-certificate", "--user=alice", "--password=" + password, "-O", e.got}
		return []command{
			cmdline("curl", "-sS", "-u", "alice:"+password, "-T", e.put, "ftp://"+e.at+"/"+e.remote),
			cmdline(append(args[:len(args):len(args)], "ftps://"+e.at+"/"+e.remote)...),
			cmdline(append(args[:len(args):len(args)], "--ftps-implicit", "ftps://"+e.implicit+"/"+e.remote)...),
		}
	}, true},
	{"ftplib", "unknown, begins as Python's ftplib, Java's commons-net", func(e *tlsEnd) []command {
		return []command{cmdline("python3", "-c", ftplibTLS, e.at, e.put, e.got, e.remote, password)}
	}, false},
}

// TestTLSClients has real clients fetch and send behind TLS, as the server comes
// and where the data connection must resume the session: who cannot is then
// refused, and status has said so before.
func TestTLSClients(t *testing.T) {
	t.Parallel()
	needs(t, "curl", "lftp", "wget", "python3")
	for _, binding := range []string{"prefer", "user", "strict"} {
		t.Run(binding, func(t *testing.T) {
			d := newSite(t, nil)
			cert := makeCert(t, d, "localhost", "127.0.0.1")
			d.configure(t, "TLS 1", "CertFile "+cert, "ImplicitTLS 127.0.0.1,0", "TLSDataBinding "+binding, "AllowCCC yes")
			d.start(t)
			status, err := d.status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			content := make([]byte, 1<<20)
			rand.Read(content)
			for _, c := range tlsClients {
				t.Run(c.name, func(t *testing.T) {
					dir := t.TempDir()
					end := &tlsEnd{at: net.JoinHostPort("127.0.0.1", d.port4), implicit: status.Listen[len(status.Listen)-1],
						put: filepath.Join(dir, "put"), got: filepath.Join(dir, "got"), remote: strings.ReplaceAll(c.name, " ", "-")}
					if err := os.WriteFile(end.put, content, 0o644); err != nil {
						t.Fatal(err)
					}
					d.runTLS(t, c, end, content, binding == "prefer" || c.resumes)
				})
			}
		})
	}
}

// runTLS runs a client's commands, which must all work, or not all.
func (d *site) runTLS(t *testing.T, c tlsClient, end *tlsEnd, content []byte, works bool) {
	t.Helper()
	before := d.software(t)[c.client]
	failed := 0
	for _, command := range c.commands(end) {
		os.Remove(end.got)
		out, err := command.run(t)
		got, _ := os.ReadFile(end.got)
		if err != nil {
			failed++
		}
		if works && (err != nil || len(got) > 0 && !bytes.Equal(got, content)) {
			t.Errorf("%q: %v, %d bytes\n%s\n%s", command.args, err, len(got), out, d.log.tail(20))
		}
	}
	if !works && failed == 0 {
		t.Errorf("it works, though its data connections resume nothing")
	}
	after := d.software(t)[c.client]
	switch bound, unbound := after.SameSession-before.SameSession, after.Unbound-before.Unbound; {
	case c.resumes && (bound == 0 || unbound > 0), !c.resumes && (bound > 0 || unbound == 0):
		t.Errorf("%d data connections resumed the session, %d none", bound, unbound)
	}
}

// software is what status says of clients, by their names up to the version.
func (d *site) software(t *testing.T) map[string]session.Software {
	t.Helper()
	status, err := d.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]session.Software)
	for _, s := range status.TLSData {
		name, _, _ := strings.Cut(s.Client, "/")
		all[name] = s
	}
	text := d.must(t, "status")
	for _, s := range status.TLSData {
		if line := fmt.Sprintf("TLS data       %s: %d connections resumed their session", s.Client, s.SameSession); !strings.Contains(text, line) {
			t.Errorf("status does not say %q:\n%s", line, text)
		}
	}
	return all
}

// TestOpenSSL speaks by hand: versions, protocols, and what the log and who say.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	needs(t, "openssl")
	d := newSite(t, nil)
	cert := makeCert(t, d, "localhost")
	d.configure(t, "TLS 1", "CertFile "+cert)
	d.start(t)
	at := net.JoinHostPort("127.0.0.1", d.port4)
	for options, want := range map[string]string{
		"-tls1_2":                         "New, TLSv1.2",
		"-tls1_3":                         "New, TLSv1.3",
		"-tls1_3 -alpn ftp":               "ALPN protocol: ftp",
		"-tls1_1 -cipher ALL:@SECLEVEL=0": "",
		"-alpn http/1.1":                  "",
	} {
		c := cmdline(append([]string{"openssl", "s_client", "-connect", at, "-starttls", "ftp", "-ign_eof"}, strings.Fields(options)...)...)
		c.input = "USER alice\r\nPASS " + password + "\r\nQUIT\r\n"
		out, err := c.run(t)
		if got := strings.Contains(out, "230 "); got != (want != "") || got && (err != nil || !strings.Contains(out, want)) {
			t.Errorf("%s: %v\n%s", options, err, out)
		}
	}
	for _, want := range []string{`tls="TLS 1.2"`, `tls="TLS 1.3"`, "cipher=TLS_AES_", "certificate=none"} {
		eventually(t, "the log says "+want, func() bool { return strings.Contains(d.log.String(), want) })
	}
}
