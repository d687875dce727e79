package server

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"portreeve/userdb"
)

// writePublic makes a file that everybody may read.
func writePublic(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "public")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func aGreeting() greeting {
	return greeting{number: 3, most: 9, now: time.Date(2026, 1, 2, 14, 2, 0, 0, time.UTC), idle: 15 * time.Minute,
		local: netip.MustParseAddrPort("192.0.2.1:21"), peer: clientAddr}
}

func wire(t *testing.T, g greeting) string {
	t.Helper()
	r, err := g.reply()
	if err != nil {
		t.Fatal(err)
	}
	return string(r.append(nil, phrase.String))
}

func TestT002BannerFiles(t *testing.T) {
	long := strings.Repeat("ä", 400) // 800 bytes
	for _, c := range []struct{ file, want string }{
		{"230 hello\n221 bye\n", "220-230 hello\r\n220 221 bye\r\n"},
		{"one line, no end", "220 one line, no end\r\n"},
		{"a\r\n\r\nb\r\n\r\n", "220-a\r\n220-\r\n220 b\r\n"},
		{"\x1b]0;title\x07a\tb\x00c\u009bd\x7f\nend", "220-]0;titlea bcd\r\n220 end\r\n"},
		{"100%d %s\nend", "220-100%d %s\r\n220 end\r\n"},
		{"Latin-1: \xe4\xff\nend", "220-Latin-1: \xe4\xff\xff\r\n220 end\r\n"},
		{"lost: \ufffd\nend", "220-lost: \ufffd\r\n220 end\r\n"},
		{long + "\nend", "220-" + long[:510] + "\r\n220-" + long[510:] + "\r\n220 end\r\n"},
		{"x\n" + long, "220-x\r\n220-" + long[:510] + "\r\n220 " + long[510:] + "\r\n"},
		{strings.Repeat("x\n", 500), strings.Repeat("220-x\r\n", 99) + "220 x\r\n"},
		{"\n\n", "220-FTP server ready\r\n220-You are user number 3 of 9 allowed\r\n220-Local time is now 14:02, server port 21\r\n" +
			"220 You will be disconnected after 15 minutes of inactivity\r\n"},
	} {
		g := aGreeting()
		g.file = writePublic(t, c.file)
		got := wire(t, g)
		if got != c.want {
			t.Errorf("%.20q: greeted with %q, want %q", c.file, got, c.want)
		}
		// As PHP reads: a reply ends at any line that begins with three digits and a blank.
		end := regexp.MustCompile(`(?m)^[0-9]{3} .*\r\n`).FindStringIndex(got)
		if end == nil || end[1] != len(got) || len(got)-end[0] > 500 {
			t.Errorf("%.20q: a client would see the end of %q at %v", c.file, got, end)
		}
	}
}

// What a slip of the pen would publish, or what would hang, is not shown.
func TestGreetingFilesThatAreNotShown(t *testing.T) {
	dir := t.TempDir()
	secret, pipe := filepath.Join(dir, "secret"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{secret, pipe, dir, filepath.Join(dir, "missing")} {
		for _, g := range []greeting{{file: name}, {cookies: name}} {
			full := aGreeting()
			full.file, full.cookies = g.file, g.cookies
			r, err := full.reply()
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
			if got := string(r.append(nil, phrase.String)); !strings.HasPrefix(got, "220-FTP server ready\r\n") {
				t.Errorf("%s: greeted with %q", name, got)
			}
		}
	}
}

func TestFortunes(t *testing.T) {
	file := writePublic(t, "first\nof two lines\n%\nsecond\n%\r\n\n%\nthird\n%\n")
	want := map[string]bool{"220-first\r\n220 of two lines\r\n": false, "220 second\r\n": false, "220 third\r\n": false}
	for range 1000 {
		g := aGreeting()
		g.cookies = file
		got := wire(t, g)
		if _, ok := want[got]; !ok {
			t.Fatalf("greeted with %q", got)
		}
		want[got] = true
	}
	for cookie, seen := range want {
		if !seen {
			t.Errorf("%q was never picked", cookie)
		}
	}
	g := aGreeting()
	g.cookies, g.noAnonymous, g.ipv6 = writePublic(t, "cookie"), true, true
	if got := wire(t, g); got != "220-cookie\r\n220 This is a private system: no anonymous login\r\n" {
		t.Errorf("greeted with %q", got)
	}
}

// Whatever place is picked in a file of many cookies, a cookie comes of it.
func TestCookieAt(t *testing.T) {
	var text strings.Builder
	cookies := make(map[string]bool)
	for i := range 300 {
		cookie := fmt.Sprintf("%d %s.", i, strings.Repeat("x", i))
		cookies[cookie] = true
		text.WriteString(cookie + "\n%\n")
	}
	for i := range text.Len() {
		lines, err := cookieAt(strings.NewReader(text.String()), int64(i))
		if err != nil || len(lines) != 1 || !cookies[lines[0].format] {
			t.Fatalf("at %d: %v, %v", i, lines, err)
		}
	}
	endless := strings.Repeat(strings.Repeat("y", 99)+"\n", 1000)
	for _, at := range []int64{0, 1, 5000, 50_000, int64(len(endless)) - 1} {
		lines, err := cookieAt(strings.NewReader(endless), at)
		shown := 0
		for _, l := range lines {
			shown += len(l.format) + 1
		}
		if err != nil || shown == 0 || shown > maxCookie+1 {
			t.Errorf("at %d: %d bytes, %v", at, shown, err)
		}
	}
}

func TestTimed(t *testing.T) {
	for _, c := range []struct {
		bytes int64
		took  time.Duration
		want  string
	}{
		{0, time.Second, "226 x\r\n"},
		{5, 0, "226 x\r\n"},
		{1, time.Second, "226-x\r\n226 1.000 seconds (measured here), 1.00 bytes per second\r\n"},
		{2048, 2 * time.Second, "226-x\r\n226 2.000 seconds (measured here), 1.00 Kbytes per second\r\n"},
		{5 << 20, 2 * time.Second, "226-x\r\n226 2.000 seconds (measured here), 2.50 Mbytes per second\r\n"},
	} {
		if got := string(timed(say(226, "x"), c.bytes, c.took).append(nil, phrase.String)); got != c.want {
			t.Errorf("%d in %v: %q", c.bytes, c.took, got)
		}
	}
}

// A password that begins with "-" asks for short replies, and is one all the same.
func TestShortReplies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.UserBandwidth.Up = 1 << 20 })
		addUser(t, userdb.At(r.srv.Config().UserDB), "dash", "-secret", r.home)
		r.put(".banner", "hello\n")
		r.put(".message", "hello\n")
		for _, c := range []struct {
			name, password string
			lines          int
		}{{"alice", "secret", 3}, {"dash", "-secret", 1}} {
			client := r.dial(netip.AddrPort{})
			client.want(220)
			client.cmd(331, "USER %s", c.name)
			if got := client.cmd(230, "PASS %s", c.password); strings.Count(got, "230") != c.lines {
				t.Errorf("%s is told %q", c.name, got)
			}
			if got := client.cmd(250, "CWD"); strings.Contains(got, "hello") != (c.lines > 1) {
				t.Errorf("%s is told %q", c.name, got)
			}
			client.cmd(221, "QUIT")
			client.gone()
		}
	})
}

// Whatever a file holds, it makes a reply that clients read to its end and no further.
func FuzzNotice(f *testing.F) {
	f.Add([]byte("230 hello\n"))
	f.Add([]byte("\x1b[2J\r\r\n\xff\xfe\u0085"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := noticeOf(text)
		if len(lines) == 0 {
			return
		}
		got := string(proseOf(220, lines).append(nil, phrase.String))
		if !regexp.MustCompile(`^(220-[^\x00-\x1f\x7f]*\r\n){0,99}220 [^\x00-\x1f\x7f]*\r\n$`).MatchString(got) {
			t.Errorf("%q", got)
		}
	})
}

// Who may not download does not have the server read files aloud either: a link, or
// another name, would make a notice of any file.
func TestNoticesOfWhoMayNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Symlinks = true })
		r.put("secret", "the secret")
		r.put(".banner", "the rules")
		db := userdb.At(r.srv.Config().UserDB)
		addUser(t, db, "looker", "secret", r.home, func(u *userdb.User) { u.Perms = userdb.PermList })
		addUser(t, db, "dropper", "secret", r.home, func(u *userdb.User) { u.Perms = userdb.PermWrite })
		addUser(t, db, "mover", "secret", r.home, func(u *userdb.User) { u.Perms = userdb.PermRename })
		login := func(name string) (c *client, welcome string) {
			c = r.dial(netip.AddrPort{})
			c.want(220)
			return c, c.login(name)
		}
		if _, welcome := login("looker"); !strings.Contains(welcome, "the rules") {
			t.Errorf("%q", welcome)
		}
		dropper, _ := login("dropper")
		dropper.cmd(200, "SITE SYMLINK secret .message")
		mover, _ := login("mover")
		for _, c := range []*client{dropper, mover} {
			if text := c.cmd(250, "CWD /"); strings.Contains(text, "the secret") {
				t.Errorf("%q", text)
			}
		}
		if err := os.Remove(filepath.Join(r.home, ".message")); err != nil {
			t.Fatal(err)
		}
		mover.cmd(350, "RNFR secret")
		mover.cmd(250, "RNTO .message")
		if text := mover.cmd(250, "CWD /"); strings.Contains(text, "the secret") {
			t.Errorf("%q", text)
		}
	})
}
