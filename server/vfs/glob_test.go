package vfs

import (
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"*b", "abc", false},
		{"a*c", "abxc", true},
		{"a**c", "ac", true},
		{"*.txt", ".txt", true},
		{"*.t?t", "a.txt", true},
		{"?", "", false},
		{"?", "é", true},
		{"??", "é", false},
		{"?", "\xff", true},
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[a-c]x", "bx", true},
		{"[!a-c]", "d", true},
		{"[^a-c]", "b", false},
		{"[]a]", "]", true},
		{"[!]a]", "]", false},
		{"[a-]", "-", true},
		{"[-a]", "-", true},
		{"[à-ü]", "é", true},
		{"[a", "[a", true},
		{"[a", "a", false},
		{"[", "[", true},
		{"[]", "[]", true},
		{"x[!", "x[!", true},
		{`a\*`, `a\b`, true},
		{"*a*b*c*", "xxaxxbxxcxx", true},
		{"*a*b*c*", "xxaxxcxxbxx", false},
		{"*[0-9].log", "error.log.1.log", true},
	} {
		if got := Match(tc.pattern, tc.name); got != tc.want {
			t.Errorf("Match(%q, %q) = %t", tc.pattern, tc.name, got)
		}
	}
	for name, want := range map[string]bool{"a": false, "*": true, "a?": true, "[": true, "]": false, "": false} {
		if IsPattern(name) != want {
			t.Errorf("IsPattern(%q) = %t", name, !want)
		}
	}
}

// TestMatchIsNotExponential would not end if each star were tried anew.
func TestMatchIsNotExponential(t *testing.T) {
	if Match(strings.Repeat("a*", 120)+"b", strings.Repeat("a", 250)) {
		t.Error("matched")
	}
}

// TestMatchOpenBrackets: brackets that nothing closes are themselves, and cost no more
// than other letters. A pattern of them is some hours' work otherwise.
func TestMatchOpenBrackets(t *testing.T) {
	open := strings.Repeat("[", 1000)
	over := make(chan bool, 1)
	go func() { over <- Match("*"+open+strings.Repeat("x", 1e6), open+open) }()
	select {
	case got := <-over:
		if got {
			t.Error("it matches")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it takes more than ten seconds")
	}
	if !Match("*[[]a[", "a[a[") || Match("[]", "]") || !Match("[]", "[]") || !Match("[]][", "][") {
		t.Error("brackets are not what they are")
	}
}

// FuzzMatch holds Match against package path where the two grammars agree:
// in UTF-8, without backslashes, slashes and "[!".
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{"*", "a"}, {"a*b?c", "aXXbYc"}, {"[a-c]*", "bx"}, {"[^a]", "b"}, {"**a*", "bab"}, {"[\xff]", "\xff"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := Match(pattern, name)
		if strings.ContainsAny(pattern+name, `\/`) || strings.Contains(pattern, "[!") ||
			!utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		// What is malformed to path.Match, such as a bracket expression that
		// begins with ']' or '-', means itself to a shell.
		want, err := path.Match(pattern, name)
		if err == nil && got != want {
			t.Errorf("Match(%q, %q) = %t, path.Match says %t", pattern, name, got, want)
		}
	})
}
