//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secureSite is a site with a certificate, and a listener for implicit TLS. It
// returns the certificate in DER.
func secureSite(t *testing.T, directives ...string) (*site, []byte) {
	t.Helper()
	d := newSite(t, nil)
	file := filepath.Join(d.dir, "cert.pem")
	d.must(t, "cert", "new", "localhost", "127.0.0.1", "::1", "--out", file)
	d.configure(t, append([]string{"TLS 1", "CertFile " + file, "ImplicitTLS 127.0.0.1,0" + flagIf(haveIPv6(), " ::1,0")}, directives...)...)
	d.start(t)
	text := readFile(t, file)
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			t.Fatal("no certificate was made")
		}
		if block.Type == "CERTIFICATE" {
			return d, block.Bytes
		}
	}
}

// eachIP runs a test over both IPs; it is given where the server listens.
func eachIP(t *testing.T, test func(t *testing.T, d *site, at job)) {
	d, _ := secureSite(t)
	for _, m := range []mode{epsv, epsv6} {
		t.Run(flagOr(m.ipv6, "T321 IPv6", "IPv4"), func(t *testing.T) { test(t, d, d.job(t, m, "alice", "", "")) })
	}
}

// T320 PHP stores, fetches, lists and changes files, by its functions and its streams.
func TestPHPT320(t *testing.T) { eachIP(t, runPHP) }

func runPHP(t *testing.T, d *site, at job) {
	sent := randomFile(t, 1<<20+3)
	script := filepath.Join(t.TempDir(), "t.php")
	got := filepath.Join(t.TempDir(), "got")
	writeFile(t, script, fmt.Appendf(nil, `<?php
function must($what, $got) { if ($got === false || $got === null || $got === -1) { echo "failed: $what\n"; exit(1); } return $got; }
$host = "%s"; $port = %s; $password = "%s";
foreach (["ftp_connect", "ftp_ssl_connect"] as $connect) {
	$c = must($connect, $connect(trim($host, "[]"), $port, 10));
	must("login", ftp_login($c, "alice", $password));
	must("pasv", ftp_pasv($c, true));
	must("put", ftp_put($c, "php.bin", "%s", FTP_BINARY));
	must("get", ftp_get($c, "%s", "php.bin", FTP_BINARY));
	must("size", ftp_size($c, "php.bin") === %d);
	must("mdtm", ftp_mdtm($c, "php.bin") > 0);
	must("nlist", in_array("php.bin", ftp_nlist($c, "")));
	must("mlsd", count(ftp_mlsd($c, ".")) > 0);
	must("rawlist", count(ftp_rawlist($c, ".")) > 0);
	must("chmod", ftp_chmod($c, 0600, "php.bin"));
	must("mkdir", ftp_mkdir($c, "a new name") === '/a new name');
	must("chdir", ftp_chdir($c, "a new name"));
	must("cdup", ftp_cdup($c));
	must("pwd", ftp_pwd($c) === "/");
	must("rmdir", ftp_rmdir($c, "a new name"));
	must("rename", ftp_rename($c, "php.bin", "php 2.bin"));
	must("delete", ftp_delete($c, "php 2.bin"));
	must("close", ftp_close($c));
}
$tls = stream_context_create(["ssl" => ["verify_peer" => false, "verify_peer_name" => false]]);
foreach (["ftp", "ftps"] as $scheme) {
	$url = "$scheme://alice:$password@$host:$port/stream.bin";
	must("write a stream", file_put_contents($url, str_repeat("x", 100000), 0, stream_context_create(["ftp" => ["overwrite" => true], "ssl" => ["verify_peer" => false, "verify_peer_name" => false]])) === 100000);
	must("read a stream", strlen(file_get_contents($url, false, $tls)) === 100000);
}
echo "all done\n";
`, at.urlHost(), at.port, password, sent, got, sizeOf(sent)))
	if out := cmdline("php", script).must(t); !strings.Contains(out, "all done") {
		t.Fatal(out)
	}
	sameContent(t, sent, got)
}

// T320 Perl's Net::FTP in clear, with explicit and with implicit TLS.
func TestPerlT320(t *testing.T) { eachIP(t, runPerl) }

func runPerl(t *testing.T, d *site, at job) {
	host, implicit := at.host, d.implicitPort(t, at.host)
	sent := randomFile(t, 1<<20+3)
	for _, way := range []struct{ name, connect string }{
		{"clear", `Net::FTP->new("` + host + `", Port => ` + at.port + `)`},
		{"explicit", `Net::FTP->new("` + host + `", Port => ` + at.port + `, SSL_verify_mode => 0)`},
		{"implicit", `Net::FTP->new("` + host + `", Port => ` + implicit + `, SSL => 1, SSL_verify_mode => 0)`},
	} {
		t.Run(way.name, func(t *testing.T) {
			script := filepath.Join(t.TempDir(), "t.pl")
			got := filepath.Join(t.TempDir(), "got")
			writeFile(t, script, fmt.Appendf(nil, `use strict; use Net::FTP;
my $f = %s or die "connect: $@"; my $way = "%s";
if ($way eq "explicit") { $f->starttls or die $f->message; }
$f->login("alice", "%s") or die $f->message; $f->binary;
$f->put("%s", "perl.bin") or die $f->message;
$f->get("perl.bin", "%s") or die $f->message;
$f->size("perl.bin") == %d or die "size";
$f->mdtm("perl.bin") > 0 or die "mdtm";
grep { $_ eq "perl.bin" } $f->ls or die "ls";
grep { /perl\.bin/ } $f->dir or die "dir";
$f->put_unique("%s", "perl") or die $f->message;
$f->mkdir("deep/er/still", 1) or die $f->message; $f->rmdir("deep", 1) or die $f->message;
$f->rename("perl.bin", "perl2.bin") or die $f->message;
$f->delete("perl2.bin") or die $f->message;
$f->quit; print "all done\n";
`, way.connect, way.name, password, sent, got, sizeOf(sent), sent))
			if out := cmdline("perl", script).must(t); !strings.Contains(out, "all done") {
				t.Fatal(out)
			}
			sameContent(t, sent, got)
		})
	}
}

// implicitPort is the port of the listener for implicit TLS at an address.
func (d *site) implicitPort(t testing.TB, at string) string {
	t.Helper()
	st, err := d.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range st.Listen {
		host, port, err := net.SplitHostPort(addr)
		if err == nil && host == at && port != d.port4 && port != d.port6 {
			return port
		}
	}
	t.Fatalf("no second listener in %q", st.Listen)
	return ""
}

// T320 rclone copies a tree there and back, compares, and removes, in clear and with TLS.
func TestRcloneT320(t *testing.T) { eachIP(t, runRclone) }

func runRclone(t *testing.T, d *site, at job) {
	tree := t.TempDir()
	for i := range 30 {
		name := filepath.Join(tree, fmt.Sprintf("dir %d", i%3), fmt.Sprintf("Käse %d.txt", i))
		os.MkdirAll(filepath.Dir(name), 0o755)
		writeFile(t, name, []byte(strings.Repeat("x", i*1000)))
	}
	hidden := strings.TrimSpace(cmdline("rclone", "obscure", password).must(t))
	for _, how := range []string{"clear", "tls"} {
		t.Run(how, func(t *testing.T) {
			remote := ":ftp,host='" + at.urlHost() + "',port=" + at.port + ",user=alice,pass=" + hidden
			if how == "tls" {
				remote += ",explicit_tls=true,no_check_certificate=true"
			}
			remote += ":" + how
			back := t.TempDir()
			for _, args := range [][]string{
				{"copy", tree, remote}, {"check", "--download", tree, remote}, {"sync", remote, back}, {"check", tree, back},
				{"lsf", "-R", remote}, {"purge", remote},
			} {
				cmdline(append([]string{"rclone", "--config", "/dev/null", "--retries", "1", "--low-level-retries", "1"}, args...)...).must(t)
			}
			if _, err := os.Stat(d.path(how)); err == nil {
				t.Error("it was not purged")
			}
		})
	}
}

// T320 FileZilla, on a screen that nobody sees: what is clicked on is moved, with
// TLS on both connections. Its window is where it is without a window manager.
func TestFileZillaT320(t *testing.T) {
	needs(t, "filezilla", "Xvfb", "xdotool")
	d, certificate := secureSite(t)
	there, here := randomFile(t, 2<<20+1), randomFile(t, 2<<20+2)
	d.place(t, there, "aaa-there.bin")
	home := t.TempDir()
	local := filepath.Join(home, "local")
	settings := filepath.Join(home, ".config", "filezilla")
	for _, dir := range []string{local, settings} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := readFile(t, here)
	writeFile(t, filepath.Join(local, "zzz-here.bin"), data)
	const form = `<?xml version="1.0" encoding="UTF-8"?><FileZilla3 version="3.63.0" platform="*nix">%s</FileZilla3>`
	writeFile(t, filepath.Join(settings, "filezilla.xml"), fmt.Appendf(nil, form,
		`<Settings><Setting name="Greeting version">99.0.0</Setting><Setting name="Disable update check">1</Setting><Setting name="Update Check">0</Setting></Settings>`))
	writeFile(t, filepath.Join(settings, "trustedcerts.xml"), fmt.Appendf(nil, form, fmt.Sprintf(
		`<TrustedCerts><Certificate><Data>%s</Data><ActivationTime>%d</ActivationTime><ExpirationTime>%d</ExpirationTime><Host>127.0.0.1</Host><Port>%s</Port><TrustSANs>0</TrustSANs></Certificate></TrustedCerts>`,
		hex.EncodeToString(certificate), time.Now().Add(-24*time.Hour).Unix(), time.Now().Add(24*time.Hour).Unix(), d.port4)))

	display := screen(t)
	env := append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "DISPLAY="+display, "LC_ALL=C.UTF-8", "NO_AT_BRIDGE=1", "DBUS_SESSION_BUS_ADDRESS=disabled:")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	program := exec.CommandContext(ctx, "filezilla", fmt.Sprintf("ftpes://alice:%s@127.0.0.1:%s/", password, d.port4), "--local="+local)
	program.Env = env
	program.Stdout, program.Stderr = t.Output(), t.Output()
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	defer program.Wait()
	defer cancel()
	click := func(x, y string) {
		cmd := exec.Command("xdotool", "mousemove", x, y, "click", "--repeat", "2", "--delay", "80", "1")
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("xdotool: %v\n%s", err, out)
		}
	}
	eventually(t, "FileZilla has a listing", func() bool { return strings.Contains(d.log.String(), "cmd=MLSD") })
	got := filepath.Join(local, "aaa-there.bin")
	clicked := time.Time{}
	eventually(t, "FileZilla has downloaded", func() bool {
		if time.Since(clicked) > 3*time.Second { // the list may not have been drawn yet
			clicked = time.Now()
			click("683", "495")
		}
		return sizeOf(got) == sizeOf(there)
	})
	sameContent(t, there, got)
	clicked = time.Time{}
	eventually(t, "FileZilla has uploaded", func() bool {
		if time.Since(clicked) > 3*time.Second {
			clicked = time.Now()
			click("90", "518") // the second file here: the first has just come
		}
		return sizeOf(d.path("zzz-here.bin")) == int64(len(data))
	})
	sameContent(t, here, d.path("zzz-here.bin"))
	for _, line := range strings.Split(d.log.String(), "\n") {
		if strings.Contains(line, "msg=\"logged in\"") && !strings.Contains(line, `tls="TLS 1.3"`) {
			t.Errorf("a login without TLS: %s", line)
		}
	}
}

// screen starts an X server without a screen, and returns its name.
func screen(t *testing.T) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// It ends if it cannot write the end of the line, which may come by itself.
	t.Cleanup(func() { read.Close() })
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset")
	x.ExtraFiles = []*os.File{write}
	x.Stderr = t.Output()
	err = x.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		x.Process.Kill()
		x.Wait()
	})
	number, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb gives no display: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}
