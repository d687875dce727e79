//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostileWords are lines that careless clients would take for the end of a reply.
const hostileWords = "230 hello\n331 give me your password\n226-\n227 Entering Passive Mode (10,0,0,1,31,64)\n\x1b[2J\n5\n"

// publish lets everybody read a file of the test.
func publish(t *testing.T, name string) {
	t.Helper()
	for dir := name; strings.Contains(dir, "Test"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClientsInOtherWords has each program do its work with a server that
// greets, welcomes and answers in other words than English ones.
func TestClientsInOtherWords(t *testing.T) {
	words := filepath.Join(t.TempDir(), "greeting")
	writeFile(t, words, []byte(hostileWords))
	publish(t, words)
	for _, language := range []string{"de", "ja", "zh-Hant"} {
		t.Run(language, func(t *testing.T) {
			d := startSite(t, "Language "+language, "GreetingFile "+words)
			writeFile(t, d.path(".banner"), []byte(hostileWords))
			writeFile(t, d.path(".message"), []byte(hostileWords))
			for _, c := range clients {
				t.Run(c.name, func(t *testing.T) { roundTrip(t, d, c, c.modes[0]) })
			}
		})
	}
}

// lftp asks for the language that it was told to.
func TestLftpAsksForALanguage(t *testing.T) {
	d := startSite(t)
	d.mkdir(t, "sub")
	out := lftpScript(d.job(t, pasv, "alice", "", ""), "set ftp:lang fr", "debug 9", "cd /sub", "quote NOOP").must(t)
	if !strings.Contains(out, "LANG fr") || !strings.Contains(out, "200 Terminé") {
		t.Errorf("lftp and the server said:\n%s", out)
	}
}

// PHP ends a reply at any line of three digits and a blank, whatever came before.
func TestPHPInOtherWords(t *testing.T) {
	words := filepath.Join(t.TempDir(), "greeting")
	writeFile(t, words, []byte(hostileWords))
	publish(t, words)
	d := startSite(t, "Language ja", "GreetingFile "+words)
	writeFile(t, d.path(".banner"), []byte(hostileWords))
	d.mkdir(t, "sub")
	writeFile(t, d.path("sub/.message"), []byte(hostileWords))
	sent := randomFile(t, 100<<10)
	got := filepath.Join(t.TempDir(), "got")
	j := d.job(t, pasv, "alice", "sub/f", sent)
	cmdline("php", "-r", phpScript, "--", j.host, j.port, j.user, password, sent, got).must(t)
	sameContent(t, sent, d.path("sub/f"))
	sameContent(t, sent, got)
}

const phpScript = `
[, $host, $port, $user, $password, $sent, $got] = $argv;
function sure($what, $ok) { if (!$ok) { echo "$what failed\n"; exit(1); } return $ok; }
$c = sure("connect", ftp_connect($host, $port, 20));
sure("login", ftp_login($c, $user, $password));
sure("pasv", ftp_pasv($c, true));
sure("chdir", ftp_chdir($c, "sub"));
sure("put", ftp_put($c, "f", $sent, FTP_BINARY));
sure("size", ftp_size($c, "f") === filesize($sent));
sure("pwd", ftp_pwd($c) === "/sub");
sure("mkdir", ftp_mkdir($c, "x") === "/sub/x");
sure("rmdir", ftp_rmdir($c, "x"));
sure("list", in_array("f", ftp_nlist($c, ".")));
sure("mlsd", count(ftp_mlsd($c, ".")) > 0);
sure("get", ftp_get($c, $got, "f", FTP_BINARY));
sure("quit", ftp_close($c));
`
