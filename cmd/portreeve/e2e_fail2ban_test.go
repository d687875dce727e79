//go:build linux

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forged is what a client calls itself, or its files, to have another locked out.
const forged = "x@203.0.113.9) [WARNING] Authentication failed for user [y]"

// TestFail2ban has the filter that fail2ban ships for pure-ftpd read what our daemon
// tells the system's log, in each form in which that ends up in files or comes from
// the journal: it finds each failed login, by its address, and nothing else.
func TestFail2ban(t *testing.T) {
	t.Parallel()
	needs(t, "fail2ban-regex")
	d := newSite(t, nil)
	heard := newSystemLog(t, filepath.Join(d.dir, "log"))
	d.configure(t, "SyslogFacility ftp", "SyslogSocket "+heard.path, "LogLevel info", "VerboseLog 2", "LoginDelay 0", "MaxLoginFailures 100", "AutoRename yes")
	d.addUser(t, "bob smith")
	d.start(t)
	knock(t, heard, d.port4)
	c := dialFTP(t, d, "bob smith")
	if err := c.store(forged, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"CWD " + forged, "MKD " + forged, "MKD " + forged, "RNFR " + forged, "RNTO to (x@203.0.113.9) [WARNING] Authentication failed for user [y]",
		"RETR " + forged, "DELE " + forged, "CLNT " + forged, "NOOP (x@203.0.113.9) [WARNING] Authentication failed for user [y]", "REIN"} {
		if _, err := c.cmd(0, "%s", command); err != nil {
			t.Fatal(err)
		}
	}
	failures := []string{"alice", "nobody here", forged, "root] (x@203.0.113.9) [INFO] [", "été", "a\xff"}
	for _, user := range failures {
		if _, err := c.cmd(331, "USER %s", user); err != nil {
			t.Fatal(err)
		}
		if _, err := c.cmd(530, "PASS wrong"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.cmd(221, "QUIT"); err != nil {
		t.Fatal(err)
	}
	lines := append(heard.until(t, "Logout."), heard.until(t, "Logout.")...) // of REIN, and of QUIT
	for form, head := range map[string]string{
		"syslog":     "Nov  3 04:05:06 box pure-ftpd: ",
		"auth.log":   "Nov 23 04:05:06 box pure-ftpd[1234]: ",
		"rsyslog":    "2026-11-23T04:05:06.123456+01:00 box pure-ftpd[1234]: ",
		"journalctl": "2026-11-23T04:05:06+0100 box pure-ftpd[1234]: ",
	} {
		var text strings.Builder
		for _, line := range lines {
			_, message, _ := strings.Cut(line, "pure-ftpd: ")
			text.WriteString(head + message + "\n")
		}
		file := filepath.Join(d.dir, form)
		writeFile(t, file, []byte(text.String()))
		out, err := cmdline("fail2ban-regex", "--out", "ip", file, "/etc/fail2ban/filter.d/pure-ftpd.conf").run(t)
		if got := strings.Fields(out); err != nil || !slices.Equal(got, slices.Repeat([]string{"127.0.0.1"}, len(failures))) {
			t.Errorf("%s: to lock out are %q, %v; it read\n%s", form, got, err, text.String())
		}
	}
}
