//go:build linux

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSyslog hears the daemon as the system's log does: under which facility,
// with what before the words, and with a process id where LogPID says so.
func TestSyslog(t *testing.T) {
	t.Parallel()
	for _, pid := range []string{"no", "yes"} {
		t.Run("LogPID "+pid, func(t *testing.T) {
			t.Parallel()
			d := newSite(t, nil)
			path := filepath.Join(d.dir, "log")
			heard, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { heard.Close() })
			d.configure(t, "SyslogFacility local3", "SyslogSocket "+path, "LogPID "+pid)
			d.start(t)
			if err := dialFTP(t, d, "alice").store("a b", strings.NewReader("12345")); err != nil {
				t.Fatal(err)
			}
			who := "pure-ftpd"
			if pid == "yes" {
				who = fmt.Sprintf("pure-ftpd[%d]", d.cmd.Process.Pid)
			}
			// local3 is 19, a notice 5 (RFC 5424, section 6.2.1). Pure-FTPd doubles the slash after the root.
			want := regexp.MustCompile(`^<157>\w{3} [ \d]\d \d\d:\d\d:\d\d ` + regexp.QuoteMeta(who) +
				`: \(alice@127\.0\.0\.1\) \[NOTICE\] ` + regexp.QuoteMeta(d.home+"//a b") + ` uploaded  \(5 bytes, [\d.]+KB/sec\)$`)
			heard.SetReadDeadline(time.Now().Add(patience))
			for buf := make([]byte, 64<<10); ; {
				n, err := heard.Read(buf)
				if err != nil {
					t.Fatalf("no line like %s: %v", want, err)
				}
				if want.Match(buf[:n]) {
					return
				}
				t.Logf("heard %q", buf[:n])
			}
		})
	}
}
