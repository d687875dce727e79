package logparse

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// samples are the logs in testdata, each written by the server it is named for.
var samples = []struct {
	file, format string
	entries      int
	bytes        int64    // in all entries
	users        []string // of them, in the order in which they first appear
}{
	{"proftpd-extendedlog-default.log", "extendedlog", 20, 3900087, []string{"", "alice", "bob smith", "x b _ o r root ftp 0 * c"}},
	{"proftpd-extendedlog-ident.log", "extendedlog", 10, 332, []string{"", "alice"}},
	{"proftpd-extendedlog-sftp.log", "extendedlog", 20, 18, []string{"", "alice"}},
	{"proftpd-xferlog.log", "xferlog", 22, 34251211, []string{"alice", "bob smith", "x b _ o r root ftp 0 * c", "some one@example.com", "a@b c d", "émile"}},
	{"pureftpd-clf.log", "clf", 23, 351707, []string{"alice", "bob smith", "ftp"}},
	{"pureftpd-stats.log", "stats", 17, 4152719, []string{"alice", "bob smith"}},
	{"pureftpd-syslog.log", "syslog", 22, 550775, []string{"", "alice", "bob smith", "ftp", "quota"}},
	{"pureftpd-journal-short-unix.log", "syslog", 25, 550787, []string{"", "alice", "bob smith", "ftp", "quota", "ann"}},
	{"pureftpd-journal-short-iso-precise.log", "syslog", 25, 550787, []string{"", "alice", "bob smith", "ftp", "quota", "ann"}},
	{"pureftpd-journal-short-precise.log", "syslog", 25, 550787, []string{"", "alice", "bob smith", "ftp", "quota", "ann"}},
	{"pureftpd-journal-short-iso.log", "syslog", 25, 550787, []string{"", "alice", "bob smith", "ftp", "quota", "ann"}},
	{"pureftpd-w3c.log", "w3c", 11, 351004, []string{"alice", "bob smith", "ftp"}},
	{"pureftpd-xferlog.log", "xferlog", 22, 4153039, []string{"alice", "bob smith", "ftp"}},
	{"vsftpd-native.log", "vsftpd", 22, 3950082, []string{"", "alice", "mallory", "no body", "ftp"}},
	{"vsftpd-protocol.log", "vsftpd", 19, 109, []string{"", "alice", "x b _ o r root ftp 0 * c"}},
	{"vsftpd-syslog.log", "syslog", 10, 934, []string{"alice", ""}},
	{"vsftpd-xferlog.log", "xferlog", 22, 33901339, []string{"alice", "some_one@example.com", "?"}},
	{"proftpd-extendedlog-names.log", "extendedlog", 110, 50179, []string{"", "alice"}},
	{"proftpd-xferlog-names.log", "xferlog", 31, 50179, []string{"alice"}},
	{"pureftpd-clf-names.log", "clf", 30, 50173, []string{"alice"}},
	{"pureftpd-stats-names.log", "stats", 30, 50173, []string{"alice"}},
	{"pureftpd-syslog-names.log", "syslog", 215, 100346, []string{"", "alice", `root] OK LOGIN: Client "1.2.3.4"`, "x] [y", "no@body", "bob smith"}},
	{"pureftpd-w3c-names.log", "w3c", 30, 50173, []string{"alice"}},
	{"pureftpd-xferlog-names.log", "xferlog", 60, 100346, []string{"alice", "bob smith"}},
	{"vsftpd-native-names.log", "vsftpd", 53, 50173, []string{"", "daemon"}},
	{"vsftpd-xferlog-names.log", "xferlog", 33, 50173, []string{`some_"one"_@x`}},
	{"wuftpd-xferlog.log", "xferlog", 20, 4444912, []string{"alice", "guest1", "bob smith", "some_one@example.com", "x_b___o_r_root_ftp_0_*_c"}},
}

// unread are the files that are not read, and why.
var unread = map[string]string{
	"proftpd-extendedlog-awstats.log": "an administrator's own format of ProFTPD",
	"proftpd-extendedlog-rich.log":    "an administrator's own format of ProFTPD",
	"proftpd-systemlog.log":           "messages of ProFTPD about itself, and no transfers",
}

// TestSamples reads what servers have written, finds out which format it is, and
// writes it again, byte for byte.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.log")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, s := range samples {
		listed[s.file] = true
	}
	for _, f := range files {
		if name := filepath.Base(f); listed[name] == (unread[name] != "") {
			t.Errorf("%s is neither read nor is it said why not, or both", name)
		}
	}
	for _, s := range samples {
		t.Run(s.file, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + s.file)
			if err != nil {
				t.Fatal(err)
			}
			var moved int64
			var users []string
			r := NewReader(bytes.NewReader(text), Format{})
			r.Name, r.Zone, r.Latest = s.file, time.UTC, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
			var again []byte
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "#") {
					again = append(again, line...)
				}
			}
			seen := make(map[string]bool)
			for e, err := range r.All() {
				if err != nil {
					t.Error(err)
					continue
				}
				moved += e.Bytes
				if !seen[e.User] {
					seen[e.User] = true
					users = append(users, e.User)
				}
				again = r.Format.AppendEntry(again, e)
			}
			if r.Format.Name != s.format {
				t.Errorf("it is taken for %s", r.Format.Name)
			}
			if c := r.Counts(); c.Entries != int64(s.entries) || c.Bad+c.TooLong != 0 || r.Offset() != int64(len(text)) {
				t.Errorf("it has %+v, %d bytes", c, r.Offset())
			}
			if moved != s.bytes || strings.Join(users, "|") != strings.Join(s.users, "|") {
				t.Errorf("%d bytes by %q", moved, users)
			}
			for i, line := range strings.SplitAfter(string(text), "\n") {
				if got, rest, _ := bytes.Cut(again, []byte("\n")); len(line) > 0 {
					if string(got)+"\n" != line {
						t.Errorf("line %d becomes another:\n%s%s", i+1, line, got)
					}
					again = rest
				}
			}
		})
	}
}
