package logparse

import (
	"strings"
	"testing"
	"time"
)

// lines are what servers have written, and one of ours for each thing that only
// we write.
var lines = map[string][]string{
	"clf": {
		`127.0.0.1 - alice [22/Nov/2026:13:54:47 -0000] "PUT /srv/ftp/alice/with%20space.txt" 200 114`,
		`127.0.0.1 - alice [22/Nov/2026:13:54:47 +0000] "GET /srv/ftp/alice/%C3%A9t%C3%A9-na%C3%AFve.txt" 200 116`,
		`127.0.0.1 - bob smith [22/Nov/2026:13:55:08 -0330] "PUT /srv/ftp/latin1-%E9t%E9.txt" 200 109`,
		`::1 - x] "PUT /a" 200 5 [22 [22/Nov/2026:13:55:08 +0530] "GET /a/100%25_done%2520" 206 0`,
		`- - - [01/Jan/2026:00:00:00 +1400] "GET /" 200 9223372036854775807`,
	},
	"stats": {
		`1795355722 6b02f447.1b3 alice 127.0.0.1 U 109 0 /srv/ftp/alice/plain.txt`,
		`1795355722 6b02f447.1b3 alice 127.0.0.1 U 126 0 /srv/ftp/alice/two  spaces  and trailing `,
		`1795355727 6b02f447.1b3 bob smith localhost D 3801088 2 /srv/x b _ o r root ftp 0 * c`,
		`0 0.0 - - D 0 0 /`,
	},
	"w3c": {
		`2026-11-22 13:55:55 127.0.0.1 []created /srv/ftp/alice/plain.txt 226 alice 109`,
		`2026-11-22 13:56:13 ::1 []sent /srv/ftp/alice/a%20b.txt 226 bob smith 109`,
		`2026-11-22 13:56:13 - []sent /srv/ftp/alice/a%20b.txt 426 226 [] 5 7`,
	},
	"xferlog": {
		`Sun Nov 22 13:54:03 2026 0 127.0.0.1 109 /srv/ftp/alice/plain.txt b _ i r alice ftp 1 * c`,
		`Sun Nov 22 13:54:03 2026 3 ::1 114 /srv/ftp/alice/été.txt b _ o r bob smith ftp 1 * i`,
		`Sun Nov 01 13:54:03 2026 0 127.0.0.1 114 /srv/latin1-` + "\xe9" + `.txt a _ o a x@y ftp 0 * c`,
		`Sun Nov  1 13:54:03 2026 1 127.0.0.1 114 /srv/x b CT o g bob ftp 0 * c`,
		`Sun Nov 22 13:54:03 2026 0 127.0.0.1 109 /f b _ o r x b _ o r root ftp 0 * c ftp 1 * c`,
		`Sun Nov 22 13:54:03 2026 0 host.example 109 /f b _ d r bob sftp 1 id ent name c`,
		`Sun Nov 22 13:54:03 2026 0 host.example 109 /f b _ i r bob ftp 0 *`,
	},
}

// TestLines reads what servers have written and writes it again.
func TestLines(t *testing.T) {
	for _, f := range Formats {
		for _, line := range lines[f.Name] {
			e, err := f.Parse(line)
			if err != nil {
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
