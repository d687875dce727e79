//go:build linux

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The loopback has many addresses: servers at two of them are not where the
// client is, as FXP needs it, and no third party is touched.

// An fxpServer is one side of a transfer from server to server.
type fxpServer struct{ host, port, home string }

func (s fxpServer) url(name string) string {
	return fmt.Sprintf("ftp://alice:%s@%s/%s", password, net.JoinHostPort(s.host, s.port), name)
}

// startFXP starts a server of ours at an address of its own.
func startFXP(t *testing.T, host string, directives ...string) fxpServer {
	d := startSite(t, append([]string{"Bind " + host + ",0"}, directives...)...)
	status, err := d.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range status.Listen {
		if ap, err := netip.ParseAddrPort(addr); err == nil && ap.Addr().String() == host {
			return fxpServer{host, fmt.Sprint(ap.Port()), d.home}
		}
	}
	t.Fatalf("nobody listens at %s: %v", host, status.Listen)
	return fxpServer{}
}

// startPureFTPd starts Debian's server, which permits FXP, at an address of its own.
func startPureFTPd(t *testing.T, host string, more ...string) fxpServer {
	s, _ := wrapPureFTPd(t, nil, host, append([]string{"-f", "none"}, more...)...)
	return s
}

// wrapPureFTPd has another program start it, and returns its process id, too.
func wrapPureFTPd(t *testing.T, wrap []string, host string, more ...string) (fxpServer, int) {
	needs(t, "pure-ftpd", "pure-pw")
	dir := t.TempDir()
	s := fxpServer{host: host, home: filepath.Join(dir, "home")}
	for d := dir; strings.Contains(d, "Test"); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	if err := os.Mkdir(s.home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(s.home, ftpUID, ftpUID); err != nil {
		t.Fatal(err)
	}
	passwd, db := filepath.Join(dir, "passwd"), filepath.Join(dir, "users.pdb")
	command{args: []string{"pure-pw", "useradd", "alice", "-u", fmt.Sprint(ftpUID), "-g", fmt.Sprint(ftpUID), "-d", s.home, "-f", passwd, "-F", db, "-m"},
		input: password + "\n" + password + "\n"}.must(t)
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	args := slices.Concat(wrap, []string{"pure-ftpd", "-S", host + "," + s.port, "-l", "puredb:" + db, "-W", "-H", "-E",
		"-g", filepath.Join(dir, "pid")}, more)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, "pure-ftpd listens", func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort(s.host, s.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return s, cmd.Process.Pid
}

// fxp has lftp tell two servers to send a file to each other. It must not pass
// through lftp, which would do so on its own where FXP fails.
func fxp(t *testing.T, from, to fxpServer, name string, settings ...string) (string, error) {
	script := append([]string{
		"set net:max-retries 1", "set net:timeout 20", "set net:persist-retries 0", "set cmd:fail-exit yes",
		"set ftp:use-fxp true", "set ftp:fxp-force true", "set ftp:ssl-allow no",
	}, settings...)
	script = append(script, fmt.Sprintf("get %s -o %s", from.url(name), to.url(name)))
	return cmdline("lftp", "--norc", "-c", strings.Join(script, "; ")).run(t)
}

// certificate makes one for any server, key and all in one file.
func certificate(t *testing.T) string {
	pair := filepath.Join(t.TempDir(), "pair.pem")
	cmd := exec.Command(built.path(t), "cert", "new", "127.0.0.1", "--out", pair)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return pair
}

// protected are lftp's settings for FXP behind TLS.
var protected = []string{"set ftp:ssl-allow true", "set ftp:ssl-force true", "set ftp:ssl-protect-data true", "set ftp:ssl-protect-fxp true", "set ssl:verify-certificate false"}

// T302: the same behind TLS, where one of the servers is the client of it.
func TestProtectedFXPT302(t *testing.T) {
	t.Parallel()
	cert := certificate(t)
	allow := []string{"AllowUserFXP yes", "FXPDeny 192.0.2.0/24", "TLS 2", "CertFile " + cert}
	a, b := startFXP(t, "127.0.0.2", allow...), startFXP(t, "127.0.0.3", allow...)
	tryFXP(t, "ours", a, b, protected...)
	if os.Getuid() == 0 {
		p := startPureFTPd(t, "127.0.0.4", "-Y", "2", "-2", cert)
		tryFXP(t, "to Pure-FTPd", a, p, protected...)
		tryFXP(t, "from Pure-FTPd", p, a, protected...)
	}
}

// tryFXP has a file go from one to the other, either of them connecting.
func tryFXP(t *testing.T, name string, from, to fxpServer, settings ...string) {
	for _, passive := range []string{"yes", "no"} {
		t.Run(name+", passive source "+passive, func(t *testing.T) {
			file := randomFile(t, 3<<20+17)
			sent := filepath.Join(from.home, "f")
			writeFile(t, sent, readFile(t, file))
			defer os.Remove(sent)
			defer os.Remove(filepath.Join(to.home, "f"))
			if out, err := fxp(t, from, to, "f", append(settings, "set ftp:fxp-passive-source "+passive)...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sameContent(t, sent, filepath.Join(to.home, "f"))
		})
	}
}

// T128, T316: files go from server to server, either of them connecting, to and
// from another's server too.
func TestFXPT128(t *testing.T) {
	t.Parallel()
	allow := []string{"AllowUserFXP yes", "FXPDeny 192.0.2.0/24"}
	a, b := startFXP(t, "127.0.0.2", allow...), startFXP(t, "127.0.0.3", allow...)
	tryFXP(t, "ours", a, b)
	if os.Getuid() == 0 { // what Pure-FTPd wants to be
		p := startPureFTPd(t, "127.0.0.4")
		tryFXP(t, "to Pure-FTPd", a, p)
		tryFXP(t, "from Pure-FTPd", p, a)
	}
}
