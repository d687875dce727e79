//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnswerDoors gives pure-authd and pure-certd command lines that end at once,
// and compares with Debian's.
func TestAnswerDoors(t *testing.T) {
	doors, dir := linked(t), t.TempDir()
	for _, name := range []string{"pure-authd", "pure-certd"} {
		needs(t, name)
		if os.Geteuid() != 0 { // Debian's tells nobody but root anything
			continue
		}
		for _, line := range []string{
			"", "-h", "-X", "--help", "--sock", "-s", "-s x -h", "-r /bin/true", "-s " + dir + "/s", "-s " + dir + "/s -r true",
			"-s " + dir + "/none/../../none/s/ -r /bin/true -p " + dir + "/pid", "--run=rel --socket=x",
		} {
			if strings.Contains(line, "none") { // ours would make the folder
				line = strings.Replace(line, dir+"/none/../../none/s/", "/dev/null/s", 1)
			}
			run := func(program string) string {
				var out, complaints bytes.Buffer
				cmd := exec.Command(program, strings.Fields(line)...)
				cmd.Stdout, cmd.Stderr = &out, &complaints
				_ = cmd.Run() // its code is looked at
				said := complaints.String()
				if strings.Contains(line, "/dev/null") { // why is said otherwise
					said = fmt.Sprint(said != "")
				}
				return fmt.Sprintf("%d\n%s%s", cmd.ProcessState.ExitCode(), out.String(), strings.ReplaceAll(said, program+":", name+":"))
			}
			real, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := run(filepath.Join(doors, name)), run(real); got != want {
				t.Errorf("%s %s: %s\nthere: %s", name, line, got, want)
			}
		}
	}
}

// TestAnswerDoorsKeepFiles gives a socket the name of a file: nothing is lost.
func TestAnswerDoorsKeepFiles(t *testing.T) {
	doors, file := linked(t), filepath.Join(t.TempDir(), "precious")
	writeFile(t, file, []byte("kept"))
	for _, tt := range []struct {
		line string
		code int
	}{
		{"-s " + file + " -r /bin/true -p " + file + ".pid", exitAnswerOther},
		{"-s " + file + "2 -r /nonexistent/program -p " + file + ".pid", exitAnswerOther},
		{"-s " + file + "2 -r /bin/true -u no-such-user -p " + file + ".pid", exitAnswerArgument},
		{"-s " + file + "2 -r /bin/true -g no-such-group -p " + file + ".pid", exitAnswerArgument},
	} {
		cmd := exec.Command(filepath.Join(doors, "pure-certd"), strings.Fields(tt.line)...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != tt.code || len(out) == 0 {
			t.Errorf("%s: %d, %s", tt.line, code, out)
		}
	}
	if text, err := os.ReadFile(file); string(text) != "kept" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// certScript makes a program that chooses certificates, of which one is in a file
// and another in two.
func certScript(t *testing.T, d *site) string {
	t.Helper()
	one, two := makeCert(t, d, "one.test"), makeCert(t, d, "two.test", "--key", filepath.Join(d.dir, "two.key"))
	program := filepath.Join(d.dir, "choose")
	publish(t, filepath.Dir(program))
	script := fmt.Sprintf(`#!/bin/sh
case $CERTD_SNI_NAME in
one.test) echo action:strict; echo cert_file:%s;;
two.test) echo action:fallback; echo cert_file:%s; echo key_file:%s;;
gone.test) echo action:strict; echo cert_file:/nonexistent;;
back.test) echo action:fallback; echo cert_file:/nonexistent;;
own.test) echo action:default;;
denied.test) echo action:deny;;
odd.test) echo action:whatever;;
half.test) echo action:default; exit;;
silent.test) exit;;
esac
echo end
`, one, two, filepath.Join(d.dir, "two.key"))
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// certOf secures a connection by a name, and returns whose certificate is shown; ""
// if none is.
func certOf(t *testing.T, port, name string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	text := textproto.NewConn(conn)
	if _, _, err := text.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "AUTH TLS\r\n")
	if _, _, err := text.ReadResponse(234); err != nil {
		t.Fatal(err)
	}
	protected := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"ftp"}})
	if err := protected.Handshake(); err != nil {
		return ""
	}
	// With TLS 1.3 a refusal may come after what the client takes for the end.
	secured := textproto.NewConn(protected)
	fmt.Fprint(protected, "NOOP\r\n")
	if _, err := secured.ReadLine(); err != nil {
		return ""
	}
	return protected.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestExtCert has our daemon and Debian's pure-ftpd ask our certd, by both its names,
// and Debian's pure-certd: every client is shown what the program said.
func TestExtCert(t *testing.T) {
	needs(t, "pure-certd", "pure-ftpd")
	doors := linked(t)
	for what, certd := range map[string][]string{
		"pure-certd": {"pure-certd"}, "portreeve certd": {built.path(t), "certd"}, "its door": {filepath.Join(doors, "pure-certd")},
	} {
		if what == "pure-certd" && os.Geteuid() != 0 {
			continue // which runs for root alone
		}
		t.Run(what, func(t *testing.T) {
			d := newSite(t, nil)
			program, socket := certScript(t, d), filepath.Join(d.dir, "certd.sock")
			args := []string{"-s", socket, "-r", program, "-p", filepath.Join(d.dir, "certd.pid")}
			startAuthd(t, exec.Command(certd[0], append(certd[1:], args...)...), socket)
			own := makeCert(t, d, "own.test")
			d.configure(t, "TLS 1", "CertFile "+own, "ExtCert "+socket)
			d.start(t)
			ports := map[string]string{"our daemon": d.port4}
			if os.Geteuid() == 0 { // who alone can start it
				ports["pure-ftpd"] = startPureFTPd(t, "127.0.0.1", "-Y", "1", "-2", own, "-3", socket).port
			}
			for server, port := range ports {
				for name, want := range map[string]string{
					"one.test": "one.test", "two.test": "two.test", "back.test": "own.test", "own.test": "own.test", "": "own.test",
					"gone.test": "", "denied.test": "", "odd.test": "", "half.test": "", "silent.test": "", "nobody.test": "",
				} {
					if server == "pure-ftpd" && name == "back.test" {
						want = "" // 1.0.50 falls back to nothing
					}
					if got := certOf(t, port, name); got != want {
						t.Errorf("%s shows %q to %q, not %q", server, got, name, want)
					}
				}
			}
		})
	}
}
