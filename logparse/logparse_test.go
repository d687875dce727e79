package logparse

import (
	"strings"
	"testing"
	"time"
)

// lines are what servers write beyond the samples, and one of ours for each thing
// that only we write. Each is written again as it is.
var lines = map[string][]string{
	"clf": {
		`127.0.0.1 - alice [22/Nov/2026:13:54:47 +0000] "GET /srv/ftp/alice/%C3%A9t%C3%A9-na%C3%AFve.txt" 200 116`,
		`127.0.0.1 - bob smith [22/Nov/2026:13:55:08 -0330] "PUT /srv/ftp/latin1-%E9t%E9.txt" 200 109`,
		`::1 - x] "PUT /a" 200 5 [22 [22/Nov/2026:13:55:08 +0530] "GET /a/100%25_done%2520" 206 0`,
		`- - - [01/Jan/2026:00:00:00 +1400] "GET /" 200 9223372036854775807`,
		`h - u [29/Feb/2028:00:00:00 +0000] "DELETE /a%20b" 200 5`,
		`h - u [22/Nov/2026:13:55:08 +0530] "GET /a" 404 0`,
	},
	"stats": {
		`1795355722 6b02f447.1b3 alice 127.0.0.1 U 126 0 /srv/ftp/alice/two  spaces  and trailing `,
		`1795355727 6b02f447.1b3 bob smith localhost D 3801088 2 /srv/x b _ o r root ftp 0 * c`,
		`0 0.0 - - D 0 0 /`,
		`0 0.0  U  0 U 0 0 /`,
	},
	"w3c": {
		`2026-11-22 13:56:13 ::1 []sent /srv/ftp/alice/a%20b.txt 226 bob smith 109`,
		`2026-11-22 13:56:13 - []sent /srv/ftp/alice/a%20b.txt 426 226 [] 5 7`,
		`2026-11-22 13:56:13 h []created / 550 u 0`,
	},
	"xferlog": {
		`Sun Nov 22 13:54:03 2026 3 ::1 114 /srv/ftp/alice/été.txt b _ o r bob smith ftp 1 * i`,
		`Sun Nov  1 13:54:03 2026 1 127.0.0.1 114 /srv/x b CT o g bob ftp 0 * c`,
		`Sun Nov 1 13:54:03 2026 1 127.0.0.1 114 /srv/x b CUT o g bob ftp 0 * c`, // a day that is not padded
		`Sat Nov 01 13:54:03 2026 1 127.0.0.1 114 /srv/x a U o g bob ftp 0 * c`,  // of another day of the week
		`Sat Jan 01 00:00:00 123456 1 127.0.0.1 114 /srv/x a U o g bob ftp 0 * c`,
		`Sun Nov 22 13:54:03 2026 0 h 109 /f b _ o r x b _ o r root ftp 0 * c ftp 1 * c`,
		`Sun Nov 22 13:54:03 2026 0 h 109 /f b _ d r bob sftp 1 id ent name c`,
		`Sun Nov 22 13:54:03 2026 0 h 109 /f b _ i r bob ftp 0 *`,           // without a status
		`Sun Nov 22 13:54:03 2026 0 h 109 /f b _ i r bob of-ours 0 * i`,     // of a service that is not known
		`Sun Nov 22 13:54:03 2026 0 h 109 /a b "c b _ i r bob ftp 0 * i`,    // from a server that leaves blanks
		"Sun Nov 22 13:54:03 2026 0 h 109 /a\tb\x00c b _ i r bob ftp 0 * i", // and control characters
		`Sun Nov 22 13:54:03 2026 0 ::ffff:10.0.0.1 109 - b _ i r - ftp 0 * i`,
	},
	"xferlog-glftpd": {
		`Sun Nov  1 13:54:03 2026 1 127.0.0.1 114 /site/a?file?here.rar b _ i r bob STAFF 0 *`,
		`Sun Nov  1 13:54:03 2026 1 127.0.0.1 114 /site/x b _ o a   STAFF 0 *`,
	},
	"xferlog-pure-ftpd": {`Sun Nov 22 13:54:03 2026 0 h 109 /f b _ i r bob smith ftp 0 * i`},
	"xferlog-vsftpd":    {`Sun Nov 22 13:54:03 2026 0 h 109 /é b _ i r bob ftp 0 * i`},
	"vsftpd": {
		`Sun Nov 22 13:53:36 2026 [pid 1] [a] OK LOGIN: Client "h"] FAIL LOGIN: Client "::1"`,
		`Sun Nov 22 13:53:36 2026 [pid 1] [a] OK UPLOAD: Client "h", "/x", 5 bytes", 3 bytes, 1.00Kbyte/sec`,
		`Sun Nov 22 13:53:36 2026 [pid 1] [a] OK UPLOAD: Client "h", 3 bytes, 1.00Kbyte/sec`,
		`Sun Nov 22 13:53:36 2026 [pid 1] [a] OK UPLOAD: Client "h", "/été", 0.00Kbyte/sec`,
		`Sun Nov 22 13:53:36 2026 [pid 1] DEBUG: Client "h", "Connection terminated without SSL shutdown."`,
		`Sun Nov 22 13:53:36 2026 [pid 1] [a] OK CHMOD: Client "h", "/a -"`,
	},
	"extendedlog": {
		`h UNKNOWN x [y [22/Nov/2026:13:53:14 +0000] "STOR a [22/Nov/2026:13:53:14 +0000] "b" 226 5" 226 7`,
		`h me you [22/Nov/2026:13:53:14 -0500] "SITE CHMOD 644 a b" 200 -`,
		`h UNKNOWN u [22/Nov/2026:13:53:14 -0500] "EPSV " 200 -`,
		`h UNKNOWN u [22/Nov/2026:13:53:14 -0500] "" - -`,
		`h UNKNOWN u [22/Nov/2026:13:53:14 -0500] "STOR x" - -`,
		`h UNKNOWN u [22/Nov/2026:13:53:14 -0500] "PASS x" 230 -`,
	},
	"syslog": {
		`Nov  2 13:54:00 ftp.example pure-ftpd[9]: (alice@h) [INFO] Logout.`,
		`Nov 02 13:54:00 ftp.example pure-ftpd[9]: (alice@h) [INFO] Timeout - try typing a little faster next time`,
		`Nov 22 13:54:00.123456 ftp.example pure-ftpd[9]: (alice@h) [INFO] Logout.`,
		`2026-11-22T13:54:00.123456+01:00 ftp.example pure-ftpd: (bob@example.com@h) [INFO] Logout.`,
		`2026-11-22T13:54:00+01:00 ftp.example pure-ftpd: (alice@h) [INFO] Logout.`,
		`2026-11-22T13:54:00+0000 ftp.example pure-ftpd: (alice@h) [INFO] Logout.`,
		`2026-11-22T13:54:00.000001-0330 ftp.example pure-ftpd: (alice@h) [INFO] Logout.`,
		`Sun 2026-11-22 13:54:00 UTC ftp.example pure-ftpd: (alice@h) [INFO] Logout.`,
		`1795355640.000123 ftp.example pure-ftpd: (alice@h) [INFO] Logout.`,
		`Nov 22 13:54:00 pure-ftpd: (a@h) [NOTICE] /x: STOR cut short  (5 bytes, 1.00KB/sec): connection reset by peer`,
		`Nov 22 13:54:00 pure-ftpd: (a@h) [NOTICE] /x: STOR cut short  (5 bytes, 1.00KB/sec): y uploaded  (7 bytes, 1.00KB/sec)`,
		`Nov 22 13:54:00 pure-ftpd: (a@h) [NOTICE] Deleted /x uploaded  (7 bytes, 1.00KB/sec)`,
		`Nov 22 13:54:00 pure-ftpd: (?@h) [INFO] Anonymous user logged in the virtual FTP: 10.0.0.1`,
		`Nov 22 13:54:00 pure-ftpd: (?@h) [ERROR] Too many authentication failures`,
		`Nov 22 13:54:00 pure-ftpd: (a@h) [ERROR] Could not delete x: y: Permission denied`,
		`Nov 22 13:54:00 pure-ftpd: (a@h) [INFO] New connection from elsewhere`,
		`Nov 22 13:54:00 pure-ftpd: nothing of a session`,
		`Nov 22 13:54:00 vsftpd[5]: pam_listfile(lab:auth): Refused user mallory for service lab`,
	},
	"json": {
		`{"time":"2026-11-22T13:54:03.123Z","event":"upload","status":"doubtful","session":"6b02f447.1b3","host":"::1","user":"alice","path":"/srv/été","reason":"the client left without a word","tls":"TLSv1.3","cipher":"TLS_AES_128_GCM_SHA256","client":"FileZilla 3.66.5","bytes":1048576,"seconds":0.5,"rate":2097152,"offset":4096,"size":1052672}`,
		`{"time":"2026-11-22T13:54:03Z","event":"rename","status":"complete","path":"/a\u001b\"\\","to":"/latin1-\ufffd","to_base64":"L2xhdGluMS3p","mode":"anonymous"}`,
		`{"time":"2026-11-22T13:54:03Z","event":"message","text":"\u0085\u2028","level":"warning"}`,
		`{"time":"2026-11-22T13:54:03Z","event":"transfer","flags":"CT","group":"STAFF","bytes":0,"ascii":true,"mode":"guest","auth":1}`,
	},
}

// TestLines reads what servers have written and writes it again.
func TestLines(t *testing.T) {
	for _, f := range Formats {
		for _, line := range lines[f.Name] {
			p := Parser{Zone: time.UTC, Latest: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
			var e Entry
			if err := p.Parse(&f, line, &e); err != nil {
				t.Errorf("%s: %v\n%s", f.Name, err, line)
				continue
			}
			if got := string(f.Append(nil, e)); got != line+"\n" {
				t.Errorf("%s: the line becomes another:\n%s\n%s%+v", f.Name, line, got, e)
			}
		}
	}
}

func TestParse(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 54, 3, 0, time.Local)
	utc := time.Date(2026, 11, 22, 13, 54, 3, 0, time.UTC)
	for _, tt := range []struct {
		format, line string
		want         Entry
	}{
		{"clf", `1.2.3.4 - bob smith [22/Nov/2026:13:54:03 +0000] "PUT /a%20b" 206 5`,
			Entry{Time: utc, Host: "1.2.3.4", User: "bob smith", Path: "/a b", Bytes: 5, Direction: Upload, Status: Cut}},
		{"stats", `1795355643 6b02f447.1b3 a h U 1 2 1.2.3.4 D 5 3 /a b`, // the user of such a name loses
			Entry{Time: utc, User: "a", Host: "h", Path: "", Bytes: 5}},
		{"stats", `1795355643 6b02f447.1b3 bob smith 1.2.3.4 D 5 3 /a b`,
			Entry{Time: utc, Took: 3 * time.Second, User: "bob smith", Host: "1.2.3.4", Path: "/a b", Bytes: 5, Direction: Download, Session: "6b02f447.1b3"}},
		{"w3c", `2026-11-22 13:54:03 - []sent /a 226 bob smith 5`,
			Entry{Time: utc, User: "bob smith", Path: "/a", Bytes: 5, Direction: Download, Status: Whole}},
		{"xferlog", `Sun Nov 22 13:54:03 2026 2 h 5 /f b _ o r x b _ o r root ftp 0 * c ftp 1 * i`,
			Entry{Time: at, Took: 2 * time.Second, Host: "h", User: "x b _ o r root ftp 0 * c", Path: "/f", Bytes: 5, Direction: Download, Status: Cut,
				Xfer: Xfer{Mode: 'r', Auth: '1'}, Style: Style{Format: "xferlog", Ambiguous: true}}},
	} {
		f, _ := Find(tt.format)
		got, err := f.Parse(tt.line)
		if tt.want.Path == "" {
			if err == nil && got.User == "a" && got.Host == "h" {
				t.Errorf("%s is read as %+v", tt.line, got)
			}
			continue
		}
		if err != nil || !got.Time.Equal(tt.want.Time) {
			t.Errorf("%s: %v, %v", tt.line, got.Time, err)
		}
		got.Time = tt.want.Time
		if tt.want.Style == (Style{}) {
			got.Style = Style{}
		}
		if got != tt.want {
			t.Errorf("%s is read as\n%+v, not\n%+v", tt.line, got, tt.want)
		}
	}
}

// TestRefused has lines that look like a format's and are not.
func TestRefused(t *testing.T) {
	for format, bad := range map[string][]string{
		"clf": {"", `h - u [22/Nov/2026:13:54:03 +0000] "PUT /a" 201 5`, `h - u [22/Nov/2026:13:54:03 +0000] "PUT /a b" 200 5`,
			`h - u [31/Feb/2026:13:54:03 +0000] "PUT /a" 200 5`, `h - u [22/Nov/2026:13:54:03 +0000] "PUT /%61" 200 5`,
			`h - u [22/Nov/2026:13:54:03 +0000] "PUT /a" 200 -5`, `h - u [22/Nov/2026:13:54:03 +0000] "PUT /a" 200 05`,
			"h - u\n [22/Nov/2026:13:54:03 +0000] \"PUT /a\" 200 5"},
		"stats":   {"", "1 2.3", "1 2 u h U 5 0 /a", "1 2.3 u h U 5 0 a", "1 2.3 u h X 5 0 /a", "99999999999999 2.3 u h U 5 0 /a"},
		"w3c":     {"", "#Version: 1.0", "2026-11-22 13:54:03 h []sent /a 226 5", "2026-11-22 13:54:03 h []gone /a 226 u 5"},
		"xferlog": {"", "Mon Nov 31 13:54:03 2026 0 h 5 /f b _ o r u ftp 1 * c", "Sun Nov 22 13:54:03 2026 0 h 5 /a b b _ x r u ftp 1 * c", "Sun Nov 22 13:54:03 2026 0 h -5 /f b _ o r u ftp 1 * c"},
	} {
		f, ok := Find(format)
		if !ok {
			t.Fatalf("there is no %s", format)
		}
		for _, line := range bad {
			if e, err := f.Parse(line); err == nil {
				t.Errorf("%s: %q is read as %+v", format, line, e)
			}
		}
	}
}

// TestAppend writes what is hostile: no field becomes two, and no line another.
func TestAppend(t *testing.T) {
	e := Entry{Time: time.Date(2026, 11, 2, 13, 54, 3, 600e6, time.UTC), Took: 1500 * time.Millisecond, Host: "h x", User: "bob\nsmith U 1",
		Path: "/a b\r\n\"[c", Bytes: 5, Direction: Upload, Status: Cut, Session: "1.x"}
	for format, want := range map[string]string{
		"clf":     `h_x - bob_smith U 1 [02/Nov/2026:13:54:03 +0000] "PUT /a%20b%0D%0A%22%5Bc" 206 5`,
		"stats":   `1793627643 0.0 bob_smith_U_1 h_x U 5 2 /a b__"[c`,
		"w3c":     `2026-11-02 13:54:03 h_x []created /a%20b%0D%0A%22%5Bc 426 bob_smith U 1 5`,
		"xferlog": `Mon Nov 02 13:54:03 2026 2 h_x 5 /a_b__"[c b _ i r bob_smith_U_1 ftp 0 * i`,
	} {
		f, _ := Find(format)
		if got := string(f.Append(nil, e)); got != want+"\n" {
			t.Errorf("%s:\n%s not\n%s", format, got, want)
		}
	}
	if got := headW3C(e.Time); !strings.HasPrefix(got, "#Software: ") || strings.Count(got, "\n") != 4 {
		t.Errorf("the header is %q", got)
	}
}

// TestFormats guards the table: each row has a name of its own and says something,
// and what it has no lines for it does not write.
func TestFormats(t *testing.T) {
	for i, f := range Formats {
		if got, ok := Find(f.Name); !ok || got.Help != f.Help || Names()[i] != f.Name {
			t.Errorf("%s is not found, or another", f.Name)
		}
		if f.Help == "" || f.Events == 0 || len(lines[f.Name]) == 0 && !strings.HasPrefix(f.Name, "xferlog-") {
			t.Errorf("%s has no help, no events or no lines to be tried with", f.Name)
		}
		for _, event := range allEvents {
			e := Entry{Time: time.Unix(1795355722, 0).UTC(), Event: event, Status: Failed, Path: "/x", To: "/y", Host: "h", User: "u"}
			if line := f.Append(nil, e); (len(line) > 0) != f.Events.Has(event) {
				t.Errorf("%s writes event %d as %q", f.Name, event, line)
			}
		}
	}
	if _, ok := Find("nothing"); ok {
		t.Error("what is not there is found")
	}
}

// TestForged has names that a client chose to look like the log of somebody else.
func TestForged(t *testing.T) {
	for _, tt := range []struct{ format, line, user, path string }{
		{"xferlog", `Sun Nov 22 13:54:03 2026 0 h 5 /f b _ o r x b _ o r root ftp 0 * c ftp 0 * c`, "x b _ o r root ftp 0 * c", "/f"},
		{"stats", `1795355722 6b02f447.1b3 alice h U 5 0 /x root h D 7 0 /y`, "alice", "/x root h D 7 0 /y"},
		{"vsftpd", `Sun Nov 22 13:53:36 2026 [pid 1] [alice] OK UPLOAD: Client "h", "/x] FAIL LOGIN: Client "1.2.3.4"", 6 bytes, 25.59Kbyte/sec`, "alice", `/x] FAIL LOGIN: Client "1.2.3.4"`},
		{"extendedlog", `h UNKNOWN alice [22/Nov/2026:13:53:14 +0000] "STOR root [22/Nov/2026:13:53:14 +0000] "DELE x" 226 7`, "alice", `root [22/Nov/2026:13:53:14 +0000] "DELE x`},
		{"syslog", `Nov 22 13:54:00 pure-ftpd: (alice@h) [NOTICE] /x (root@1.2.3.4) [WARNING] Authentication failed for user [root] uploaded  (6 bytes, 1.00KB/sec)`, "alice", "/x (root@1.2.3.4) [WARNING] Authentication failed for user [root]"},
	} {
		f, _ := Find(tt.format)
		if e, err := f.Parse(tt.line); err != nil || e.User != tt.user || e.Path != tt.path || e.Event != Transfer {
			t.Errorf("%s: %s is read as %+v, %v", tt.format, tt.line, e, err)
		}
	}
}
