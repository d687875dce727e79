package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"portreeve/server/session"
)

var whoNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// whoSession is a session that began so many seconds ago.
func whoSession(id session.ID, remote string, seconds int) session.Info {
	return session.Info{
		ID: id, Remote: netip.MustParseAddrPort(remote), Local: netip.MustParseAddrPort("192.0.2.9:21"),
		Started: whoNow.Add(-time.Duration(seconds) * time.Second), State: session.Idle, User: "joe", Size: -1,
	}
}

// ordinary sessions are those for which every format was compared with what
// pure-ftpwho 1.0.50 makes of the same.
func ordinary() []session.Info {
	stranger := whoSession(6726, "198.51.100.1:1001", 7)
	stranger.State, stranger.User = session.Login, ""
	idle := whoSession(6727, "198.51.100.2:1002", 3725)
	down := whoSession(6728, "198.51.100.3:1003", 427)
	down.State, down.Path, down.Size, down.Moved, down.RateAvg = session.Downloading, "/pub/big.iso", 1e9, 424e6, 10600000
	resumed := whoSession(6729, "[2001:db8::7]:1004", 90061)
	resumed.User, resumed.Local = "ann", netip.MustParseAddrPort("192.0.2.9:2121")
	resumed.State, resumed.Path, resumed.Offset = session.Downloading, "/resumed", 1<<20
	resumed.Size, resumed.Moved, resumed.RateAvg = 10<<20, 4<<20, 41943
	up := whoSession(6730, "198.51.100.5:1005", 59)
	up.User, up.State, up.Path, up.Moved, up.RateAvg = "ann", session.Uploading, "/in/a b.txt", 5120, 512
	appended := whoSession(6731, "198.51.100.6:1006", 60)
	appended.User, appended.State, appended.Path = "ftp", session.Uploading, `/in/back\slash|bar`
	appended.Offset, appended.Size, appended.Moved, appended.RateAvg = 1000, 1e7, 2999000, 29990
	empty := whoSession(6732, "198.51.100.7:1007", 359999)
	empty.State, empty.Path, empty.Size = session.Downloading, "/empty", 0
	return []session.Info{stranger, idle, down, resumed, up, appended, empty}
}

// awkward sessions are too long, too old, too large or ill-meant.
func awkward() []session.Info {
	long := whoSession(1234567, "[2001:db8:1111:2222:3333:4444:5555:6666]:1004", 1000*3600)
	long.User = "a-very-long-account@example.org"
	long.Local = netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:7777]:65535")
	long.State, long.Path = session.Downloading, "/"+strings.Repeat("deep/", 12)+"at-the-end.tar.gz"
	long.Size, long.Moved, long.RateAvg = 8e18, 5e18, 5<<40
	evil := whoSession(2, "198.51.100.6:1006", 60)
	evil.User = "<b>\"joe\" & 'ann'|\\\x1b[31m"
	evil.State, evil.Path = session.Uploading, "/tab\tnl\nesc\x1b]0;title\a del\x7f c1\u009b2J sep\u2028 rtl\u202e\xff]]>"
	evil.Moved, evil.RateAvg = 1<<20, 1023
	wide := whoSession(3, "198.51.100.7:1007", -5) // the clocks differ
	wide.User, wide.State, wide.Path = "müller", session.Uploading, "/音楽/"+strings.Repeat("長い", 20)+".flac"
	wide.Moved, wide.RateAvg = 1<<41, 1<<30
	list := whoSession(4, "[fe80::1%eth0]:1005", 1)
	list.State, list.Path = session.Listing, "/pub"
	return []session.Info{long, evil, wide, list}
}

var whoFormats = map[string]whoFormat{
	"table": whoTable, "verbose": whoVerboseTable, "shell": whoShell, "xml": whoXML, "plist": whoPlist,
	"page": whoPage, "part": whoPart, "cgi": whoCGI, "cgipage": whoCGIPage,
}

func render(format whoFormat, infos []session.Info, names map[netip.Addr]string) string {
	var b bytes.Buffer
	format(&b, whoRows(infos, names, whoNow))
	return b.String()
}

// TestWhoGolden compares with the files in testdata/who; UPDATE_GOLDEN=1 writes them.
func TestWhoGolden(t *testing.T) {
	names := map[netip.Addr]string{
		netip.MustParseAddr("198.51.100.7"): "a-host-whose-name-is-too-long.for-the-cell.example.org",
		netip.MustParseAddr("198.51.100.6"): "evil\x1b[2J\"<host>",
	}
	for set, text := range map[string]func(whoFormat) string{
		"ordinary": func(f whoFormat) string { return render(f, ordinary(), nil) },
		"awkward":  func(f whoFormat) string { return render(f, awkward(), names) },
		"nobody":   func(f whoFormat) string { return render(f, nil, nil) },
	} {
		for name, format := range whoFormats {
			path := filepath.Join("testdata", "who", set+"."+name)
			got := text(format)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is\n%s\nwant\n%s", path, got, want)
			}
			checkWho(t, name, got)
		}
	}
}

// checkWho holds what is true of a format whatever names there are.
func checkWho(t *testing.T, name, text string) {
	t.Helper()
	for _, c := range strings.ReplaceAll(text, "\r\n", "\n") {
		if unicode.IsControl(c) && c != '\n' && (c != '\t' || name != "plist") {
			t.Errorf("%s: control character %q in %q", name, c, text)
			return
		}
	}
	switch name {
	case "table", "verbose":
		lines := strings.Split(strings.Trim(text, "\n"), "\n")
		for _, line := range lines {
			if columns(line) != columns(lines[0]) {
				t.Errorf("%s: frame is %d wide and this %d: %s", name, columns(lines[0]), columns(line), line)
			}
		}
	case "xml", "plist":
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v in\n%s", name, err, text)
				break
			}
		}
	}
}

// TestWhoXMLKeepsNames reads back what was written.
func TestWhoXMLKeepsNames(t *testing.T) {
	infos := awkward()
	infos[0].User = `"quoted" & <tagged> 'n so`
	infos[0].Path = "/音楽/ü&amp;"
	var doc struct {
		Client []struct {
			PID       string `xml:"pid,attr"`
			Account   string `xml:"account,attr"`
			File      string `xml:"file,attr"`
			State     string `xml:"state,attr"`
			Bandwidth int64  `xml:"bandwidth,attr"`
		} `xml:"client"`
	}
	if err := xml.Unmarshal([]byte(render(whoXML, infos, nil)), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Client) != len(infos) {
		t.Fatalf("%d clients, want %d", len(doc.Client), len(infos))
	}
	if c := doc.Client[0]; c.Account != infos[0].User || c.File != infos[0].Path || c.PID != "1234567" ||
		c.State != " DL " || c.Bandwidth != 5<<40 {
		t.Errorf("read back %+v", c)
	}
}

// TestWhoShellFields splits lines as a script does.
func TestWhoShellFields(t *testing.T) {
	infos := append(ordinary(), awkward()...)
	lines := strings.Split(strings.TrimSuffix(render(whoShell, infos, nil), "\n"), "\n")
	if len(lines) != len(infos) {
		t.Fatalf("%d lines, want %d", len(lines), len(infos))
	}
	for n, line := range lines {
		var fields []string
		field, escaped := "", false
		for _, c := range line {
			switch {
			case escaped:
				field, escaped = field+string(c), false
			case c == '\\':
				escaped = true
			case c == '|':
				fields, field = append(fields, field), ""
			default:
				field += string(c)
			}
		}
		if fields = append(fields, field); len(fields) != 12 {
			t.Errorf("%d fields, want 12: %s", len(fields), line)
			continue
		}
		if want := infos[n].User; want != "" && fields[1] != withoutControls(want, '_') {
			t.Errorf("account is %q, want %q", fields[1], want)
		}
	}
}

func TestSpeed(t *testing.T) {
	for rate, want := range map[int64]string{
		0: "   0b/s", 1: "   1b/s", 1023: "1023b/s", 1024: "   1K/s", 250 << 10: " 250K/s", 1<<20 - 1: "1023K/s",
		1 << 20: "   1M/s", 1 << 30: "   1G/s", 5 << 40: "5120G/s",
	} {
		if got := speed(rate); got != want {
			t.Errorf("speed(%d) = %q, want %q", rate, got, want)
		}
	}
}

func TestHeadAndTail(t *testing.T) {
	for _, test := range []struct {
		text       string
		width      int
		head, tail string
	}{
		{"", 5, "", ""},
		{"abcde", 5, "abcde", "abcde"},
		{"abcdef", 5, "abcde", "...ef"},
		{"長い名前", 8, "長い名前", "長い名前"},
		{"長い名前", 7, "長い名", "...名前"},
		{"長い名前", 6, "長い名", "...前"},
	} {
		if h, tl := head(test.text, test.width), tail(test.text, test.width); h != test.head || tl != test.tail {
			t.Errorf("%q cut to %d: %q and %q, want %q and %q", test.text, test.width, h, tl, test.head, test.tail)
		}
	}
}

// FuzzWho has clients choose names.
func FuzzWho(f *testing.F) {
	f.Add("joe", "/pub/file", "host.example.org")
	f.Add("\x1b[2J", "a\nb|c\\d\"<&>", "\u202e")
	f.Fuzz(func(t *testing.T, user, path, host string) {
		infos := ordinary()
		for n := range infos {
			infos[n].User, infos[n].Path = user, path
		}
		names := map[netip.Addr]string{infos[0].Remote.Addr(): host, infos[3].Remote.Addr(): host}
		for name, format := range whoFormats {
			checkWho(t, name, render(format, infos, names))
		}
	})
}

func BenchmarkWho10000(b *testing.B) {
	var infos []session.Info
	for range 10_000 / 5 {
		infos = append(infos, ordinary()[:5]...)
	}
	for name, format := range whoFormats {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				format(new(bytes.Buffer), whoRows(infos, nil, whoNow))
			}
		})
	}
}
