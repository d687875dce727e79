package userdb

import (
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pureFTPd returns the path of a program of the real Pure-FTPd, which these
// tests are about: without it they fail, and do not skip.
func pureFTPd(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name) // not in everybody's PATH
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%s is missing; `make test` installs it (Debian package pure-ftpd)", name)
	}
	return path
}

// A password that pure-pw hashed lets its user in here.
func TestFromPureFTPd(t *testing.T) {
	t.Parallel() // pure-pw hashes for as long as it takes to be slow
	file := filepath.Join(t.TempDir(), "pureftpd.passwd")
	cmd := exec.Command(pureFTPd(t, "pure-pw"), "useradd", "joe", "-f", file, "-u", "2001", "-g", "2001",
		"-d", "/srv/joe", "-C", "16")
	cmd.Stdin = strings.NewReader(words + "\n" + words + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pure-pw useradd: %v\n%s", err, out)
	}
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(string(line), ":")
	if len(fields) != 18 {
		t.Fatalf("pure-pw wrote %q", line)
	}
	hash := fields[1]
	if ok, err := Verify(hash, words, budgt); !ok || err != nil {
		t.Errorf("%s: %v, %v", hash, ok, err)
	}
	if !Weaker(hash, DefaultCost()) {
		t.Errorf("%s would not be made anew at login", hash)
	}
}

// A user of ours logs in to Pure-FTPd with the hash that is stored here.
func TestToPureFTPd(t *testing.T) {
	t.Parallel() // the daemon waits after a wrong password
	folder := t.TempDir()
	passwd, pdb := filepath.Join(folder, "pureftpd.passwd"), filepath.Join(folder, "pureftpd.pdb")
	var lines strings.Builder
	for name, cost := range map[string]Cost{"today": DefaultCost(), "small": {LogN: 10, R: 8, P: 1}} {
		hash, err := Hash(words, cost)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s:%s:2001:2001::%s/./::::::::::::\n", name, hash, folder)
	}
	if err := os.WriteFile(passwd, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(pureFTPd(t, "pure-pw"), "mkdb", pdb, "-f", passwd).CombinedOutput(); err != nil {
		t.Fatalf("pure-pw mkdb: %v\n%s", err, out)
	}
	server := pureFTPd(t, "pure-ftpd")
	if os.Geteuid() != 0 {
		// Only root can start it. What anybody can see is that pure-pw reads
		// the line as we mean it.
		out, err := exec.Command(pureFTPd(t, "pure-pw"), "show", "today", "-f", passwd).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "UID                : 2001") {
			t.Errorf("pure-pw show: %v\n%s", err, out)
		}
		return
	}
	addr := startPureFTPd(t, server, pdb)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range []struct {
		name, password string
		code           int
	}{
		{"today", words, 230}, {"today", words + "x", 530}, {"today", "", 530},
		{"small", words, 230}, {"small", "wrong", 530},
	} {
		wg.Go(func() {
			if err := login(addr, c.name, c.password, c.code); err != nil {
				t.Errorf("%s with %q: %v", c.name, c.password, err)
			}
		})
	}
}

// startPureFTPd runs the daemon until the test ends.
func startPureFTPd(t *testing.T, server, pdb string) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	host, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(server, "-l", "puredb:"+pdb, "-S", host+","+port, "-g", filepath.Join(filepath.Dir(pdb), "pid"),
		"-H", "-E", "-A", "-4", "-f", "none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Logf("pure-ftpd ended with %v", err)
		}
	})
	tries := 0
	for range time.Tick(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if tries++; tries == 2000 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("pure-ftpd does not listen: %v", err)
		}
	}
	return addr
}

func login(addr, name, password string, want int) error {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return err
	}
	for _, step := range []struct {
		line string
		code int
	}{{"USER " + name, 331}, {"PASS " + password, want}} {
		if err := c.PrintfLine("%s", step.line); err != nil {
			return err
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			return err
		}
	}
	return nil
}
