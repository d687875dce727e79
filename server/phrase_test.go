package server

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"portreeve/server/lang"
	"portreeve/userdb"
)

// What a reply tells is the same in every language, and its fixed parts are.
func TestPhrasesAreWordedLast(t *testing.T) {
	french := func(english string) string {
		return map[string]string{
			"%s is %d bytes, %s": "%[3]s: %[2]d %[1]s",
			"not %s":             "non %s",
			"End":                "Fin",
			"Title":              "Titre",
		}[english]
	}
	sure := reply{code: 211, text: phrasef("End"), lines: []phrase{phrasef("Title"), verbatim("SIZE %d"), verbatim("211 x")}}
	prose := sure
	prose.prose = true
	for _, c := range []struct {
		r             reply
		english, want string
	}{
		{say(200, "End"), "200 End\r\n", "200 Fin\r\n"},
		{fixed(227, "Mode (%d,%d)", 1, 2), "227 Mode (1,2)\r\n", "227 Mode (1,2)\r\n"},
		{sayf(200, "%s is %d bytes, %s", "100%", 5, phrasef("not %s", "End")), "200 100% is 5 bytes, not End\r\n", "200 non End: 5 100%\r\n"},
		{sure, "211-Title\r\n SIZE %d\r\n 211 x\r\n211 End\r\n", "211-Titre\r\n SIZE %d\r\n 211 x\r\n211 Fin\r\n"},
		{prose, "211-Title\r\n211-SIZE %d\r\n211-211 x\r\n211 End\r\n", "211-Titre\r\n211-SIZE %d\r\n211-211 x\r\n211 Fin\r\n"},
	} {
		if got := string(c.r.append(nil, phrase.String)); got != c.english {
			t.Errorf("English: %q, want %q", got, c.english)
		}
		if got := string(c.r.append(nil, func(p phrase) string { return p.in(french) })); got != c.want {
			t.Errorf("translated: %q, want %q", got, c.want)
		}
	}
	if got := sayf(200, "not %s", "x").text.String(); !strings.HasPrefix(got, "not ") {
		t.Errorf("the log has %q", got)
	}
}

// everyLanguage runs a test once in each.
func everyLanguage(t *testing.T, run func(t *testing.T, tag string)) {
	for _, tag := range lang.Tags() {
		t.Run(tag, func(t *testing.T) { bubble(t, func(t *testing.T) { run(t, tag) }) })
	}
}

// Attack 46: a browser can be made to say anything, and a NAT in between to open
// ports by what looks like PORT or 227. No refusal repeats what the client said,
// whatever the command and the language.
func TestRefusalsDoNotEchoAttack46(t *testing.T) {
	baits := []string{"PORT 10,0,0,1,31,64", "227 Entering Passive Mode (10,0,0,1,31,64)", "EPRT |1|10.0.0.1|8000|"}
	everyLanguage(t, func(t *testing.T, tag string) {
		r := newRig(t, func(c *Config) { c.Language, c.MaxCommandErrors = tag, 10_000 })
		verbs := []string{"XYZZY", "PORT", "SITE", "SITE XYZZY", "HELP", "OPTS", "OPTS MLST"}
		for i := range commands {
			verbs = append(verbs, commands[i].name)
		}
		verbs = append(verbs, notHere...)
		for _, login := range []bool{false, true} {
			c := r.dial(netip.AddrPort{})
			c.want(220)
			if login {
				c.login("alice")
			}
			for _, verb := range verbs {
				if slices.Contains([]string{"USER", "PASS", "REIN", "QUIT", "MKD"}, verb) {
					continue // MKD makes it, and tells what it made
				}
				for _, bait := range baits {
					c.say("%s %s", verb, bait)
					code, text, err := c.read()
					if err != nil {
						t.Fatalf("%s: %v", verb, err)
					}
					if strings.Contains(text, "10,0,0,1") || strings.Contains(text, "|1|10") {
						t.Errorf("%s is answered %d %q", verb, code, text)
					}
				}
			}
			c.conn.Close()
			<-c.done
		}
	})
}

// Attack 41: nobody is told what product or version this is.
func TestRepliesNameNoProductAttack41(t *testing.T) {
	everyLanguage(t, func(t *testing.T, tag string) {
		r := newRig(t, func(c *Config) { c.Language = tag })
		c := r.dial(netip.AddrPort{})
		said := c.want(220) + c.cmd(331, "USER alice") + c.cmd(230, "PASS secret")
		for _, line := range []string{"SYST", "STAT", "HELP", "SITE HELP", "FEAT", "CSID Name=x;", "CLNT x", "LANG", "NOOP", "REIN", "QUIT"} {
			c.say("%s", line)
			_, text, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			said += text
		}
		if m := regexp.MustCompile(`(?i)portreeve|golang|\b[0-9]+\.[0-9]+\.[0-9]+\b`).FindString(strings.ReplaceAll(said, "198.51.100.7", "")); m != "" {
			t.Errorf("%q is told in %q", m, said)
		}
	})
}

// What a client chose to be called is harmless in replies.
func TestRepliesAreHarmlessT313(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		name := "al\x1b[2Jice"
		addUser(t, userdb.At(r.srv.Config().UserDB), "bob", "secret", r.home)
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER %s", name)
		said := c.cmd(530, "PASS x\x1b[2J")
		c.login("bob")
		for _, line := range []string{"CWD \x1b[2J", "RETR \x07\x1b]0;x", "MKD a\x1bb", "CLNT \x1b[2J", "SITE \x1b[2J", "HELP \x1b[2J", "OPTS \x1b[2J", "STAT \x1b[2J"} {
			c.say("%s", line)
			_, text, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			said += text
		}
		for _, b := range []byte(said) {
			if b < ' ' && b != '\n' || b == 0x7f {
				t.Fatalf("a control character is in %q", said)
			}
		}
	})
}

// One who finds no place is told so in the server's language.
func TestTurnedAwayInTheServersLanguage(t *testing.T) {
	everyLanguage(t, func(t *testing.T, tag string) {
		r := newRig(t, func(c *Config) { c.Language, c.MaxClients = tag, 1 })
		first := r.dial(netip.AddrPort{})
		first.want(220)
		second := r.dial(netip.AddrPort{})
		l, _ := lang.Find(tag)
		want := "421 " + fmt.Sprintf(l.Say("%d users (the maximum) are already connected, try again later"), 1)
		if got := second.want(421); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Simple clients read no more than 510 bytes of a line. What programs read is
// whole all the same.
func TestLastLinesAreShort(t *testing.T) {
	long := "/" + strings.Repeat("日", 1000)
	for _, r := range []reply{sayf(250, "Current directory is %s", long), sayf(150, "Opening %s mode data connection for %s (%d bytes)", "BINARY", long, 5)} {
		if got := string(r.append(nil, phrase.String)); len(got) > 500 || !utf8.ValidString(got) || !strings.HasSuffix(got, "\r\n") {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
	for _, r := range []reply{sayf(257, "%s directory created", quoted(long)), fixed(213, "Modify=1; %s", long)} {
		if got := string(r.append(nil, phrase.String)); !strings.Contains(got, long) {
			t.Errorf("%q is cut", got)
		}
	}
}
