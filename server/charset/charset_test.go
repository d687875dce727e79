package charset

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{
		"UTF-8": "UTF-8", "utf8": "UTF-8", "Utf_8": "UTF-8",
		"Big5": "Big5", "BIG5": "Big5", "big-5": "Big5", "CP950": "Big5", "ms950": "Big5", "Big5-HKSCS": "Big5",
		"GBK": "GBK", "cp936": "GBK", "GB2312": "GBK", "EUC-CN": "GBK", "GB18030": "GB18030", "hz": "HZ-GB-2312",
		"CP932": "Shift_JIS", "SJIS": "Shift_JIS", "Windows-31J": "Shift_JIS", "eucJP": "EUC-JP", "ISO-2022-JP": "ISO-2022-JP",
		"CP949": "EUC-KR", "UHC": "EUC-KR", "euc-kr": "EUC-KR",
		// The index of HTML takes these for others.
		"ISO-8859-1": "ISO-8859-1", "ISO8859-1": "ISO-8859-1", "iso8859_1": "ISO-8859-1", "latin1": "ISO-8859-1", "latin-1": "ISO-8859-1",
		"ISO-8859-9": "ISO-8859-9", "latin5": "ISO-8859-9", "ascii": "US-ASCII", "ANSI_X3.4-1968": "US-ASCII",
		"ISO-8859-15": "ISO-8859-15", "latin9": "ISO-8859-15",
		"CP1251": "windows-1251", "Windows-1252": "windows-1252", "cp1258": "windows-1258",
		"cp437": "IBM437", "850": "IBM850", "IBM866": "IBM866", "KOI8-R": "KOI8-R", "koi8u": "KOI8-U",
		"TIS-620": "windows-874", "MacRoman": "macintosh", "x-mac-cyrillic": "x-mac-cyrillic", " Big5 ": "Big5",
	} {
		if c, err := Lookup(name); err != nil || c.Name() != want {
			t.Errorf("%q is %s, %v; want %s", name, c.Name(), err, want)
		}
	}
	for name, want := range map[string]error{
		"": ErrUnknown, "klingon": ErrUnknown, "EUC-TW": ErrUnknown, "VISCII": ErrUnknown, "UTF-7": ErrUnknown,
		"ISO-2022-KR": ErrUnknown, "replacement": ErrUnknown, "x-user-defined": ErrUnknown,
		"UTF-16": ErrNotASCII, "UTF-16LE": ErrNotASCII, "IBM037": ErrNotASCII, "IBM1047": ErrNotASCII,
	} {
		if c, err := Lookup(name); !errors.Is(err, want) {
			t.Errorf("%q is %s, %v; want %v", name, c.Name(), err, want)
		}
	}
}

// each calls f for every encoding there is.
func each(t testing.TB, f func(c *Charset)) {
	t.Helper()
	names := Names()
	if len(names) < 45 || !slices.Contains(names, "US-ASCII") {
		t.Fatalf("there are only %d encodings: %q", len(names), names)
	}
	for _, name := range names {
		c, err := Lookup(name)
		if err != nil || c.Name() != name {
			t.Fatalf("%s is %s, %v", name, c.Name(), err)
		}
		f(c)
	}
}

// TestEveryCharacter converts each character that an encoding has, alone.
func TestEveryCharacter(t *testing.T) {
	each(t, func(c *Charset) {
		held := 0
		for r := rune(0); r <= 0x2ffff; r++ {
			if !utf8.ValidRune(r) || r > 0xffff && r%16 != 0 {
				continue
			}
			name, ok := c.Encode(string(r))
			if !ok {
				continue
			}
			held++
			if back, ok := c.Decode(name); !ok || back != string(r) {
				t.Fatalf("%s: %q is %q, and that %q, %v", c.Name(), r, name, back, ok)
			}
			if !c.Shifts() && r != '/' && strings.Contains(name, "/") {
				t.Errorf("%s has a slash in %q", c.Name(), r)
			}
		}
		if held < 128 {
			t.Errorf("%s has %d characters", c.Name(), held)
		}
	})
}

func TestConvert(t *testing.T) {
	for _, tt := range []struct{ charset, bytes, text string }{
		{"Big5", "\xb3\\\xa5\\\xbb\\", "許功蓋"}, // each ends with a backslash
		{"Big5", "\xb3\\\xa5\\\xbb\\/a.txt", "許功蓋/a.txt"},
		{"GBK", "\xd6\xd0\xce\xc4.txt", "中文.txt"},
		{"GBK", "\x81\\", "乗"},
		{"GB18030", "\x81\x30\x81\x30", "\u0080"},
		{"Shift_JIS", "\x95\\\x8e\xa6", "表示"},
		{"EUC-KR", "\xc7\xd1\xb1\xdb", "한글"},
		{"ISO-2022-JP", "\x1b$BF|K\\8l\x1b(B.txt", "日本語.txt"},
		{"HZ-GB-2312", "~{VPND~}", "中文"},
		{"windows-1251", "\xff\xff", "яя"},
		{"ISO-8859-1", "\xe4\x80", "ä\u0080"},
		{"windows-1252", "\x80", "€"},
		{"US-ASCII", "abc", "abc"},
		{"UTF-8", "\xff\xfe", "\xff\xfe"},
	} {
		c, err := Lookup(tt.charset)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Decode(tt.bytes); !ok || got != tt.text {
			t.Errorf("%s: %q is %q, %v; want %q", tt.charset, tt.bytes, got, ok, tt.text)
		}
		if got, ok := c.Encode(tt.text); !ok || got != tt.bytes {
			t.Errorf("%s: %q becomes %q, %v; want %q", tt.charset, tt.text, got, ok, tt.bytes)
		}
	}
}

// TestRefused has what decoders and encoders let pass, and would not give back.
func TestRefused(t *testing.T) {
	for charset, list := range map[string][]string{
		"Big5":         {"\xb3", "\xff\xff", "a\x80b"},
		"GBK":          {"\xd6", "\x80\xff"},
		"US-ASCII":     {"\xe4"},
		"windows-1252": {"\x81"},
		"ISO-2022-JP":  {"\x1b(Jabc", "\x1b$B\x1b(B", "\x1b", "\xe4"}, // a second way to write what has one
		"HZ-GB-2312":   {"~{", "~\n"},
	} {
		c, err := Lookup(charset)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range list {
			if text, ok := c.Decode(name); ok {
				t.Errorf("%s: %q was taken for %q", charset, name, text)
			}
		}
	}
	big5, _ := Lookup("big5")
	for _, text := range []string{"ä", "日本語ไทย", "\xff", "a\ufffd", "😀"} {
		if name, ok := big5.Encode(text); ok {
			t.Errorf("Big5: %q became %q", text, name)
		}
	}
}

func TestApproximate(t *testing.T) {
	for charset, want := range map[string]string{
		"Big5": "\xb3\\ ? ?x", "US-ASCII": "? ? ?x", "ISO-8859-1": "? \xe4 ?x", "UTF-8": "許 ä \xffx", "ISO-2022-JP": "\x1b$B5v\x1b(B ? ?x",
	} {
		c, err := Lookup(charset)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Approximate("許 ä \xffx"); got != want {
			t.Errorf("%s: %q, want %q", charset, got, want)
		}
	}
}

func FuzzCharset(f *testing.F) {
	for _, s := range []string{"", "a/b", "許功蓋", "\xb3\\\xa5\\/\xbb\\", "\x1b$BF|K\\8l\x1b(B", "~{VPND~}~~", "\x81\x30\x81\x30", "\xff\xff"} {
		f.Add(s)
	}
	var all []*Charset
	each(f, func(c *Charset) { all = append(all, c) })
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 8192 { // the longest line of a client
			return
		}
		for _, c := range all {
			if text, ok := c.Decode(s); ok {
				back, ok := c.Encode(text)
				if !ok || back != s {
					t.Fatalf("%s: %q is %q, and that %q, %v", c.Name(), s, text, back, ok)
				}
				if c != nil && !utf8.ValidString(text) {
					t.Fatalf("%s: %q is %q, no UTF-8", c.Name(), s, text)
				}
				// What parts a path must be the same on both sides.
				if !c.Shifts() && strings.Count(s, "/") != strings.Count(text, "/") {
					t.Fatalf("%s: %q is %q, with other slashes", c.Name(), s, text)
				}
			}
			if name, ok := c.Encode(s); ok {
				if back, ok := c.Decode(name); !ok || back != s {
					t.Fatalf("%s: %q is %q, and that %q, %v", c.Name(), s, name, back, ok)
				}
			}
			c.Approximate(s)
		}
	})
}
