package lang

import (
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct{ asked, got string }{
		{"en", "en"}, {"EN", "en"}, {"en-AU", "en"}, {"en-US", "en"},
		{"de", "de"}, {"DE-at", "de"}, {"de-CH", "de"},
		{"es-MX", "es"}, {"es-419", "es"}, {"fr-CA", "fr"}, {"ja-JP", "ja"},
		{"zh", "zh-Hans"}, {"zh-CN", "zh-Hans"}, {"zh-SG", "zh-Hans"}, {"zh-Hans", "zh-Hans"},
		{"zh-TW", "zh-Hant"}, {"zh-HK", "zh-Hant"}, {"zh-MO", "zh-Hant"}, {"ZH-HANT", "zh-Hant"}, {"zh-Hant-TW", "zh-Hant"},
		{"nl", ""}, {"it", ""}, {"ru", ""}, {"uk", ""}, {"ko", ""}, {"lb", ""}, {"br", ""}, {"und", ""}, {"", ""}, {"x", ""}, {"*", ""},
	} {
		l, ok := Find(c.asked)
		if ok != (c.got != "") || ok && l.Tag() != c.got {
			t.Errorf("%q finds %q, %v; want %q", c.asked, l.Tag(), ok, c.got)
		}
	}
}

func TestSay(t *testing.T) {
	var english *Language
	german, ok := Find("de")
	if !ok {
		t.Fatal("no German")
	}
	for _, c := range []struct {
		l        *Language
		in, want string
	}{
		{english, "Done", "Done"},
		{german, "Done", "Erledigt"},
		{german, "nobody says {{.This}} %d", "nobody says {{.This}} %d"},
	} {
		if got := c.l.Say(c.in); got != c.want {
			t.Errorf("%s: %q is %q, not %q", c.l.Tag(), c.in, got, c.want)
		}
	}
}

// Whatever a client calls a language, it is one of ours or none.
func FuzzFind(f *testing.F) {
	for _, tag := range []string{"en", "zh-Hant-TW", "de-1996", "i-klingon", "x-y", "en-u-nu-thai-t-de", "a-b-c-d-e-f-g-h"} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		if l, ok := Find(tag); ok && !slices.Contains(Tags(), l.Tag()) || !ok && l != nil {
			t.Errorf("%q finds %v, %v", tag, l, ok)
		}
	})
}
