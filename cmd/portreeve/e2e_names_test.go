//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// TestEncodings has lftp speak Big5 and UTF-8 with a server whose disk is in GBK.
func TestEncodings(t *testing.T) {
	d := startSite(t, "FileSystemCharset GBK", "ClientCharset cp950")
	gbk := func(name string) string {
		t.Helper()
		text, err := simplifiedchinese.GBK.NewEncoder().String(name)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, more := range map[string][]string{
		"Big5":  {"set ftp:use-feat no", "set ftp:charset big5"}, // with FEAT it says LANG, and goes on in UTF-8
		"UTF-8": {"set ftp:charset big5"},
	} {
		t.Run(name, func(t *testing.T) {
			sent := randomFile(t, 10000)
			got := filepath.Join(t.TempDir(), "回.bin")
			j := d.job(t, pasv, "alice", "", "")
			c := lftpScript(j,
				"put "+quote(sent)+" -o 許功蓋.bin", // each of these ends with a backslash in Big5
				"mkdir 中文", "mv 許功蓋.bin 中文/功.bin", "cd 中文", "cls -1", "get 功.bin -o "+quote(got),
				"cd ..", "cls -1 中文", "cls -1")
			c.args[len(c.args)-1] = strings.Join(more, "; ") + "; " + c.args[len(c.args)-1]
			out := c.must(t)
			sameContent(t, sent, got)
			sameContent(t, sent, d.path(gbk("中文/功.bin")))
			if want := "功.bin\n中文/功.bin\n中文/\n"; out != want {
				t.Errorf("lftp lists %q, want %q", out, want)
			}
			cleaned := lftpScript(j, "rm -r 中文")
			cleaned.args[len(cleaned.args)-1] = strings.Join(more, "; ") + "; " + cleaned.args[len(cleaned.args)-1]
			cleaned.must(t)
			if left, err := os.ReadDir(d.home); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// TestVirtualHostsT102T273 reaches hosts by SNI and by HOST: their users, their greeting
// and their certificates.
func TestVirtualHostsT102T273(t *testing.T) {
	d := newSite(t, nil)
	in := func(name string) string { return filepath.Join(d.dir, name) }
	for _, name := range []string{"a.example.org", "b.example.org"} {
		d.must(t, "cert", "new", name, "--out", in(name+".pem"))
	}
	db := in("b.db")
	hash, err := cheapHash()
	if err != nil {
		t.Fatal(err)
	}
	home := in("home-b")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(home, "file-of-b"), []byte("b"))
	writeFile(t, d.path("file-of-a"), []byte("a"))
	writeFile(t, in("hello"), []byte("This is B\n"))
	d.must(t, "pw", "useradd", "bob", "--db", db, "--password-hash", hash, "-u", "12001", "-g", "12001", "-d", home)
	d.configure(t, "TLS 1", "CertFile "+in("a.example.org.pem"),
		"VirtualHost b.example.org users="+db+" certificate="+in("b.example.org.pem")+" greeting="+in("hello"),
		"VirtualHost localhost users="+db)
	d.start(t)

	curl := func(host, user string) (string, error) {
		return cmdline("curl", "-sS", "-v", "-l", "--ssl-reqd", "--cacert", in(host+".pem"), "--resolve", host+":"+d.port4+":127.0.0.1",
			"-u", user+":"+password, "ftp://"+host+":"+d.port4+"/").run(t)
	}
	for _, tt := range []struct{ host, user, file string }{
		{"a.example.org", "alice", "file-of-a"}, {"b.example.org", "bob", "file-of-b"},
	} {
		if out, err := curl(tt.host, tt.user); err != nil || !slices.Contains(strings.Split(out, "\n"), tt.file) {
			t.Errorf("%s at %s: %v\n%s", tt.user, tt.host, err, out)
		}
	}
	for host, user := range map[string]string{"a.example.org": "bob", "b.example.org": "alice"} {
		if out, err := curl(host, user); err == nil || !strings.Contains(out, "530") {
			t.Errorf("%s at %s is let in: %v\n%s", user, host, err, out)
		}
	}
	// lftp says HOST with what was typed.
	j := d.job(t, pasv, "bob", "", "")
	j.host = "localhost"
	if out := lftpScript(j, "cls -1").must(t); out != "file-of-b\n" {
		t.Errorf("lftp lists %q", out)
	}
	j.host, j.user = "127.0.0.1", "alice"
	if out := lftpScript(j, "cls -1").must(t); out != "file-of-a\n" {
		t.Errorf("at the address lftp lists %q", out)
	}
	c, err := loginFTP(d.port4, "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.cmd(220, "REIN"); err != nil {
		t.Fatal(err)
	}
	if text, err := c.cmd(220, "HOST B.example.org"); err != nil || text != "This is B" {
		t.Errorf("the greeting is %q, %v", text, err)
	}
	if list := d.who(t); len(list) != 1 || list[0].Host != "b.example.org" {
		t.Errorf("who shows %+v", list)
	}
}

// TestAnonymousT050 has programs fetch and store as nobody in particular. The daemon
// is not root's, who would need a system user ftp.
func TestAnonymousT050(t *testing.T) {
	var cred *syscall.Credential
	if os.Getuid() == 0 {
		cred = &syscall.Credential{Uid: 12345, Gid: 12345}
	}
	d := newSite(t, cred)
	root := filepath.Join(d.dir, "pub")
	for path, mode := range map[string]os.FileMode{root: 0o755, filepath.Join(root, "in"): 0o777} {
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
		if cred != nil {
			if err := os.Chown(path, int(cred.Uid), int(cred.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	sent := randomFile(t, 5000)
	d.configure(t, "AnonymousRoot "+root)
	d.start(t)
	at := "ftp://127.0.0.1:" + d.port4 + "/"
	cmdline("curl", "-sS", "-T", sent, at+"in/new").must(t)
	sameContent(t, sent, filepath.Join(root, "in", "new"))
	if out, err := cmdline("curl", "-sS", "-T", sent, at+"in/new").run(t); err == nil {
		t.Errorf("what is there is stored over: %s", out)
	}
	for _, get := range []command{
		cmdline("curl", "-sS", "-o", "got", at+"in/new"),
		cmdline("wget", "--no-config", "-nv", "-O", "got", at+"in/new"),
		cmdline("lftp", "--norc", "-c", "set ftp:ssl-allow no; set net:max-retries 1; get "+at+"in/new -o got"),
	} {
		got := filepath.Join(t.TempDir(), "got")
		for i, arg := range get.args {
			get.args[i] = strings.ReplaceAll(arg, "got", got)
		}
		get.must(t)
		sameContent(t, sent, got)
	}
	if out, err := cmdline("curl", "-sS", "-Q", "DELE in/new", at).run(t); err == nil {
		t.Errorf("anonymous deletes: %s", out)
	}
	eventually(t, "the log tells what anonymous said", func() bool { return strings.Contains(d.log.String(), "mail=ftp@example.com") })
}

// TestAnonymousIsTheSystemUser has a daemon of root's find the user ftp, in a
// namespace whose list of users has one, and touch files as that user. Who is not
// root sees that anonymous can be off.
func TestAnonymousIsTheSystemUser(t *testing.T) {
	d := newSite(t, nil)
	at := "ftp://127.0.0.1:"
	if os.Getuid() != 0 {
		d.configure(t, "NoAnonymous yes")
		d.start(t)
		if out, err := cmdline("curl", "-sS", at+d.port4+"/").run(t); err == nil || !strings.Contains(out, "530") {
			t.Errorf("anonymous where it is off: %v\n%s", err, out)
		}
		return
	}
	const uid = 20114
	root := filepath.Join(d.dir, "srv")
	for path, mode := range map[string]os.FileMode{root: 0o755, filepath.Join(root, "in"): 0o777, filepath.Join(root, "closed"): 0o700} {
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	users := filepath.Join(d.dir, "passwd")
	writeFile(t, users, fmt.Appendf(readFile(t, "/etc/passwd"), "ftp:x:%d:%[1]d::%s:/bin/false\n", uid, root))
	d.configure(t, "MinUID 30000")
	d.wrap = []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/passwd && exec "$@"`, users}
	d.start(t)
	sent := randomFile(t, 5000)
	at += d.port4 + "/"
	cmdline("curl", "-sS", "-T", sent, at+"in/new").must(t)
	sameContent(t, sent, filepath.Join(root, "in", "new"))
	wantOwner(t, filepath.Join(root, "in", "new"), uid)
	for _, refused := range []command{cmdline("curl", "-sS", "-T", sent, at+"new"), cmdline("curl", "-sS", at+"closed/")} {
		if out, err := refused.run(t); err == nil {
			t.Errorf("%q works: %s", refused.args, out)
		}
	}
	if out := cmdline("curl", "-sS", at+"in/").must(t); !strings.Contains(out, " ftp        ftp ") {
		t.Errorf("the listing is %q", out)
	}
}
