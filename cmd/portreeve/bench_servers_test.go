//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A contestant is an FTP server that serves a folder: ours, or another one to
// compare it with.
type contestant struct {
	*processes
	name       string
	port, user string
	forks      bool // a process for each session
	mlsd       bool
	tls        bool
	cert       string
	site       *site // ours
}

// A peer is a server that others make, from a Debian package.
type peer struct {
	contestant
	program string
	command func(b *testing.B, d duel) []string
}

// A duel is what a peer is told.
type duel struct {
	dir, home, port string
	cert            string   // certificate and key in one file
	root            string   // where the packages are unpacked
	env             []string // that makes them run there
}

// peersDir is where the packages of the peers are unpacked, "" if nowhere. None
// of them is installed: they exclude each other.
func peersDir() string { return os.Getenv("PORTREEVE_PEERS") }

// contestants starts every server that is there, each on a port of loopback,
// for the same folder.
func contestants(b *testing.B, home string) []*contestant {
	b.Helper()
	dir := b.TempDir()
	for d := dir; strings.Contains(d, "Benchmark"); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	cert := filepath.Join(dir, "cert.pem")
	selfSigned(b, cert)
	all := []*contestant{ours(b, "portreeve", "", home, cert)}
	if before := os.Getenv("PORTREEVE_BENCH_BEFORE"); before != "" { // a change is measured in one run
		all = append(all, ours(b, "before", before, home, cert))
	}
	root := peersDir()
	if os.Getuid() != 0 || root == "" {
		b.Log("the other servers need root, and PORTREEVE_PEERS to say where they are (make bench-peers): measuring ours alone")
		return all
	}
	libraries, _ := filepath.Glob(filepath.Join(root, "*lib/*-linux-gnu"))
	more, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	env := append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(append(libraries, more...), ":"),
		"PYTHONPATH="+filepath.Join(root, "usr/lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE=1")
	for _, p := range []peer{
		{contestant{name: "pure-ftpd", user: "alice", forks: true, mlsd: true, tls: true}, filepath.Join(root, "usr/sbin/pure-ftpd"), pureFTPd},
		{contestant{name: "vsftpd", user: "anonymous", forks: true, tls: true}, filepath.Join(root, "usr/sbin/vsftpd"), vsftpd},
		{contestant{name: "proftpd", user: "alice", forks: true, mlsd: true, tls: true}, filepath.Join(root, "usr/sbin/proftpd"), proFTPD},
		{contestant{name: "pyftpdlib", user: "alice", mlsd: true, tls: true}, "/usr/bin/python3", pyftpdlib},
	} {
		if ok, err := regexp.MatchString(os.Getenv("PORTREEVE_BENCH_SERVERS"), p.name); err != nil || !ok {
			continue
		}
		if _, err := os.Stat(p.program); err != nil {
			b.Logf("%s is missing: %v", p.name, err)
			continue
		}
		c := &p.contestant
		c.port, c.processes = freePort(b), newProcesses(b, p.name)
		cmd := exec.Command(p.program, p.command(b, duel{dir, home, c.port, cert, root, env})...)
		cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stderr, os.Stderr
		c.start(b, cmd)
		c.awaited(b)
		all = append(all, c)
	}
	return all
}

// awaited returns once the server accepts connections.
func (p *contestant) awaited(b *testing.B) {
	b.Helper()
	eventually(b, p.name+" listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+p.port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// selfSigned makes a certificate that every server presents, and its key behind it.
func selfSigned(b *testing.B, path string) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	writeFile(b, path, append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...))
	os.Chmod(path, 0o600)
}

func ours(b *testing.B, name, binary, home, cert string, directives ...string) *contestant {
	b.Helper()
	c := &contestant{name: name, cert: cert, user: "bench", mlsd: true, tls: true, processes: newProcesses(b, name)}
	c.site = newSite(b, nil, append([]string{"LogLevel warn", "MaxClientsNumber 20000", "TLS 1", "CertFile " + cert}, directives...)...)
	c.site.home, c.site.processes, c.site.binary = home, c.processes, binary
	c.site.addUser(b, "bench")
	for name, kib := range setRates { // of uploads and downloads
		c.site.addUser(b, name, "-t", fmt.Sprint(kib), "-T", fmt.Sprint(kib))
	}
	c.site.addUser(b, limitedUser, "-n", "1000000000", "-N", "1000000")
	c.site.start(b)
	c.port, c.root = c.site.port4, c.site.cmd.Process.Pid
	return c
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// md5crypt is password as "$1$": as good as no hash, so that hashing is out of
// the picture.
const md5crypt = "$1$portreev$/2VYK9NUbQPGcfIQhuVe41"

func pureFTPd(b *testing.B, d duel) []string {
	b.Helper()
	users, db := filepath.Join(d.dir, "pure.passwd"), filepath.Join(d.dir, "pure.pdb")
	writeFile(b, users, fmt.Appendf(nil, "alice:%s:%d:%d::%s/./::::::::::::\n", md5crypt, ftpUID, ftpUID, d.home))
	mkdb := exec.Command(filepath.Join(d.root, "usr/bin/pure-pw"), "mkdb", db, "-f", users)
	mkdb.Env = d.env
	if out, err := mkdb.CombinedOutput(); err != nil {
		b.Fatalf("pure-pw: %v\n%s", err, out)
	}
	return []string{"-S", "127.0.0.1," + d.port, "-l", "puredb:" + db, "-E", "-H", "-f", "none", "-Y", "1", "-2", d.cert,
		"-c", "12000", "-C", "12000", "-L", "1000000:5", "-g", filepath.Join(d.dir, "pure.pid")}
}

// vsftpd knows no users but the system's; anonymous may do everything here.
func vsftpd(b *testing.B, d duel) []string {
	b.Helper()
	empty := filepath.Join(d.dir, "empty")
	os.Mkdir(empty, 0o755)
	conf := filepath.Join(d.dir, "vsftpd.conf")
	writeFile(b, conf, fmt.Appendf(nil, `listen=YES
listen_address=127.0.0.1
listen_port=%s
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_root=%s
anon_upload_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
ftp_username=daemon
chown_uploads=NO
secure_chroot_dir=%s
seccomp_sandbox=NO
xferlog_enable=NO
use_localtime=NO
max_clients=0
max_per_ip=0
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=NO
force_anon_data_ssl=NO
require_ssl_reuse=NO
ssl_ciphers=HIGH
rsa_cert_file=%s
`, d.port, d.home, empty, d.cert))
	return []string{conf}
}

// proFTPD is given a file of authorities: without one it reads those of the
// system, for every session.
func proFTPD(b *testing.B, d duel) []string {
	b.Helper()
	users := filepath.Join(d.dir, "proftpd.passwd")
	writeFile(b, users, fmt.Appendf(nil, "alice:%s:%d:%d::%s:/bin/false\n", md5crypt, ftpUID, ftpUID, d.home))
	os.Chmod(users, 0o600)
	conf := filepath.Join(d.dir, "proftpd.conf")
	writeFile(b, conf, fmt.Appendf(nil, `ModulePath %[5]s
LoadModule mod_tls.c
ServerType standalone
DefaultAddress 127.0.0.1
Port %[1]s
User nobody
Group nogroup
AuthOrder mod_auth_file.c
AuthUserFile %[2]s
RequireValidShell off
DefaultRoot ~
UseIPv6 off
UseReverseDNS off
WtmpLog off
TransferLog none
SystemLog none
DelayEngine off
AllowOverwrite on
AllowStoreRestart on
ScoreboardFile %[3]s/proftpd.score
PidFile %[3]s/proftpd.pid
MaxInstances 10000
TimesGMT on
TLSEngine on
TLSLog none
TLSRequired off
TLSECCertificateFile %[4]s
TLSECCertificateKeyFile %[4]s
TLSCACertificateFile %[4]s
TLSOptions NoSessionReuseRequired
`, d.port, users, d.dir, d.cert, filepath.Join(d.root, "usr/lib/proftpd")))
	return []string{"-n", "-q", "-c", conf}
}

// pyftpdlib is a library; this is the least of a server.
func pyftpdlib(b *testing.B, d duel) []string {
	b.Helper()
	script := filepath.Join(d.dir, "server.py")
	writeFile(b, script, fmt.Appendf(nil, `import logging, os
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer
logging.basicConfig(level=logging.CRITICAL)
authorizer = DummyAuthorizer()
authorizer.add_user("alice", %q, %q, perm="elradfmwMT")
handler = TLS_FTPHandler
handler.certfile = %q
handler.authorizer = authorizer
handler.log_prefix = ""
handler.use_gmt_times = True
server = FTPServer(("127.0.0.1", %s), handler)
server.max_cons = server.max_cons_per_ip = 0
server.serve_forever()
`, password, d.home, d.cert, d.port))
	return []string{script}
}
