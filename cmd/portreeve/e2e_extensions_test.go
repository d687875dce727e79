//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Clients use what FEAT tells them of: these do, of what goes beyond the standard.

// then is a time in the past, which a file has that a client is to store with it.
var then = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// dated writes a file of that time.
func dated(t *testing.T, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "f")
	writeFile(t, path, content)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	return path
}

// isThen checks that a stored file has that time.
func (d *site) isThen(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(d.home, name))
	if err != nil {
		t.Fatal(err)
	}
	if !info.ModTime().Equal(then) {
		t.Errorf("%s is of %v", name, info.ModTime())
	}
}

// Times travel with files: MFMT, both forms of SITE UTIME and MDTM's by lftp, MFF
// by ncftp.
func TestClientsSetTimesT243T250(t *testing.T) {
	d := startSite(t, "MDTMWrite yes")
	j := job{mode: pasv, host: "127.0.0.1", port: d.port4, user: "alice", local: dated(t, []byte("content"))}
	for name, settings := range map[string]string{
		"MFMT":    "",
		"UTIME A": "set ftp:use-feat no; set ftp:use-site-utime2 yes; ",
		"UTIME B": "set ftp:use-feat no; set ftp:use-site-utime2 no; set ftp:use-site-utime yes; ",
		"MDTM":    "set ftp:use-feat no; set ftp:use-site-utime2 no; set ftp:use-site-utime no; set ftp:use-mdtm-overloaded yes; ",
	} {
		t.Run("lftp/"+name, func(t *testing.T) {
			file := strings.ReplaceAll(name, " ", "_")
			lftpScript(j, settings+"put "+quote(j.local)+" -o "+file).must(t)
			d.isThen(t, file)
		})
	}
	t.Run("ncftp", func(t *testing.T) {
		j.remote = "ncftp"
		ncftp.put(j).must(t)
		d.isThen(t, "ncftp")
	})
}

// lftp compresses where it is told to and MODE Z is offered.
func TestClientsCompressT150(t *testing.T) {
	d := startSite(t, "CompressionLevel 9")
	content := bytes.Repeat([]byte("a line of text\n"), 100_000)
	j := job{mode: pasv, host: "127.0.0.1", port: d.port4, user: "alice", local: dated(t, content)}
	back := filepath.Join(t.TempDir(), "back")
	out := lftpScript(j, "set ftp:use-mode-z yes; set ftp:mode-z-level 9", "put "+quote(j.local)+" -o f", "cls -l f", "get f -o "+quote(back)).must(t)
	if !strings.Contains(out, fmt.Sprint(len(content))) {
		t.Errorf("the listing: %s", out)
	}
	for _, path := range []string{filepath.Join(d.home, "f"), back} {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for line := range strings.Lines(d.log.tail(1000)) {
		if strings.Contains(line, "cmd=STOR") && strings.Contains(line, "uploaded") && strings.Contains(line, fmt.Sprintf("bytes=%d ", len(content))) {
			t.Errorf("it was not compressed: %s", line)
		}
	}
	if !strings.Contains(d.log.tail(1000), "MODE Z") {
		t.Error("nobody said MODE Z")
	}
}

// curl says what it is told to, and shows the answers.
func TestClientsHashAndCopyT254(t *testing.T) {
	d := startSite(t, "AllowServerCopy yes", "AllowSymlinks yes")
	content := []byte("what is in it")
	j := job{mode: pasv, host: "127.0.0.1", port: d.port4, user: "alice", local: dated(t, content), remote: "f"}
	curl.put(j).must(t)
	out := cmdline("curl", "-sv", "-u", j.user+":"+password, "-Q", "HASH f", "-Q", `XSHA256 "f"`, "-Q", "SITE COPY f g",
		"-Q", "SITE CPFR f", "-Q", "SITE CPTO h", "-Q", "COMB all f g h", "-Q", "SITE SYMLINK /f l", "ftp://127.0.0.1:"+d.port4+"/").must(t)
	sum := sha256.Sum256(content)
	for _, want := range []string{fmt.Sprintf("213 SHA-256 0-%d %x f", len(content), sum), fmt.Sprintf("250 %X", sum)} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	for name, want := range map[string][]byte{"g": content, "h": content, "l": content, "all": bytes.Repeat(content, 3)} {
		if got, err := os.ReadFile(filepath.Join(d.home, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
