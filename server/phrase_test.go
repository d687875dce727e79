package server

import (
	"strings"
	"testing"
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
