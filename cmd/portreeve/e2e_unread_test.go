package main

import (
	"bufio"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNobodyReadsTheLog has who reads the log of the daemon, and its log of
// transfers, go away: the daemon serves on, and does not end with SIGPIPE.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	d := newSite(t, nil)
	d.configure(t, "AltLog json:stderr")
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := d.program(t, "serve", "--config", d.conf)
	cmd.Stderr = to
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	listening := regexp.MustCompile(`listening.*addr=(127\.0\.0\.1:\d+)`)
	addr := ""
	for in := bufio.NewScanner(from); addr == "" && in.Scan(); {
		if m := listening.FindStringSubmatch(in.Text()); m != nil {
			addr = m[1]
		}
	}
	from.Close()
	for i := range 3 {
		conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		in := bufio.NewReader(conn)
		for _, say := range []string{"", "USER nobody-here\r\n", "QUIT\r\n"} {
			if _, err := conn.Write([]byte(say)); err != nil {
				t.Fatal(err)
			}
			line := "-"
			for len(line) < 4 || line[3] != ' ' {
				if line, err = in.ReadString('\n'); err != nil {
					t.Fatalf("connection %d, %q: %v", i, strings.TrimSpace(say), err)
				}
			}
		}
		conn.Close()
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
}
