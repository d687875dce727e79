package config

import (
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A valueTest sets a Value to each good text, which must be shown as told and
// mean the same when it is read again, and to each bad one, which must change
// nothing.
type valueTest struct {
	name string
	bind func() Value // over a new variable
	good map[string]string
	bad  map[string]string // what must be in the error
}

func over[T any](bind func(*T) Value) func() Value {
	return func() Value { return bind(new(T)) }
}

func valueTests() []valueTest {
	wd, _ := os.Getwd()
	return []valueTest{
		{"Text", over(func(p *string) Value { return Text(p, "text") }),
			map[string]string{"": "", "a b": "a b", "檔案": "檔案", " x ": " x "},
			map[string]string{"a\nb": "control characters", "\x1b[2J": "control characters", "\x7f": "control characters"}},
		{"Path", over(Path),
			map[string]string{"": "", "/a": "/a", "/a//b/../c/": "/a/c", "a": filepath.Join(wd, "a"), "/with a blank": "/with a blank"},
			map[string]string{"/a\x00": "no line break or NUL", "/a\nb": "no line break or NUL"}},
		{"Choice", over(func(p *string) Value { return Choice(p, "text", "json") }),
			map[string]string{"text": "text", "JSON": "json"},
			map[string]string{"": "none of text, json", "xml": `"xml" is none of text, json`}},
		{"YesNo", over(YesNo),
			map[string]string{"yes": "yes", "ON": "yes", "True": "yes", "1": "yes", "no": "no", "off": "no", "FALSE": "no", "0": "no"},
			map[string]string{"": "neither yes nor no", "y": "neither yes nor no", "2": "neither yes nor no"}},
		{"Level", over(func(p *int) Value { return Level(p, 2) }),
			map[string]string{"0": "0", "1": "1", "2": "2", "no": "0", "yes": "1", "On": "1"},
			map[string]string{"3": "neither yes, no nor a number up to 2", "-1": "neither", "": "neither", "loud": "neither"}},
		{"Count of int", over(func(p *int) Value { return Count(p, -1, 10) }),
			map[string]string{"-1": "-1", "0": "0", "10": "10", " 7 ": "7", "+3": "3", "007": "7"},
			map[string]string{"11": "11 is not from -1 to 10", "-2": "-2 is not from", "": "not a whole number", "1.5": "not a whole number",
				"99999999999999999999": "not a whole number", "0x1": "not a whole number"}},
		{"Count without an end", over(func(p *int64) Value { return Count(p, 1, math.MaxInt64) }),
			map[string]string{"9223372036854775807": "9223372036854775807"},
			map[string]string{"0": "0 is less than 1"}},
		{"Percent", over(Percent),
			map[string]string{"0": "0", "95": "95", "100": "100", "90%": "90"},
			map[string]string{"101": "101 is not from 0 to 100", "-1": "-1 is not from", "": "not a whole number", "%": "not a whole number", "9%%": "not a whole number"}},
		{"Octal", over(func(p *fs.FileMode) Value { return Octal(p, 0o777) }),
			map[string]string{"0": "0000", "660": "0660", "0660": "0660", "777": "0777"},
			map[string]string{"1000": "not an octal mode up to 777", "8": "not an octal mode", "-1": "not an octal mode", "": "not an octal mode", "rw": "not an octal mode"}},
		{"Masks", over(func(p *[2]fs.FileMode) Value { return Masks(&p[0], &p[1]) }),
			map[string]string{"133:022": "133:022", "133 022": "133:022", "77": "077:077", "0:0": "000:000", "077 : 027": "077:027"},
			map[string]string{"133:": "not an octal mode", ":022": "not an octal mode", "999": "not an octal mode", "1000": "up to 777", "1:2:3": "not an octal mode", "1 2 3": "not an octal mode"}},
		{"Counts", over(func(p *[2]int) Value { return Counts(&p[0], &p[1], "entries depth", " ", 1) }),
			map[string]string{"10000 8": "10000 8", "10000:8": "10000 8"},
			map[string]string{"10000": `"10000" is one value, entries depth are two`, "0 5": "0 is less than 1", "5 0": "0 is less than 1", "1 2 3": "not a whole number", "": "not a whole number"}},
		{"Pair with a second", over(func(p *[2]int) Value {
			return Pair(&p[0], &p[1], "a b", ":", strconv.Atoi, strconv.Itoa, func(a int) int { return a * 2 })
		}),
			map[string]string{"2": "2:4", "2:3": "2:3"},
			map[string]string{"x": "invalid syntax"}},
		{"Ports", over(func(p *PortRange) Value { return Ports(p, 1024) }),
			map[string]string{"30000 30100": "30000 30100", "30000:30100": "30000 30100", "1024 65535": "1024 65535", "5000 5000": "5000 5000"},
			map[string]string{"30000": "is not two ports", "1023 2000": "1023 is not from 1024 to 65535", "2000 65536": "65536 is not from",
				"3000 2000": "port 3000 is after port 2000", "a b": "not a whole number", "": "is not two ports"}},
		{"Size in bytes", over(func(p *int64) Value { return Size(p, 1) }),
			map[string]string{"0": "0", "1": "1", "1023": "1023", "1024": "1K", "10M": "10M", "10m": "10M", "10MB": "10M", "10MiB": "10M", "10 mib": "10M", "1536K": "1536K", "5B": "5", "2G": "2G", "1T": "1T", "1P": "1P", "7E": "7E"},
			map[string]string{"": "not a size", "-1": "not a size", "1.5M": "not a size", "M": "not a size", "1X": "not a size", "1IB": "not a size",
				"1MK": "not a size", "8E": "8E is too large", "9223372036854775808": "not a size"}},
		{"Size in MB", over(func(p *int64) Value { return Size(p, 1<<20) }),
			map[string]string{"1": "1M", "1024": "1G", "100B": "100B", "1K": "1K", "3": "3M", "0": "0"},
			map[string]string{"9007199254740992": "too large"}},
		{"Span", over(func(p *time.Duration) Value { return Span(p, time.Minute, time.Second, 24*time.Hour) }),
			map[string]string{"15": "15m", "90s": "1m30s", "90m": "1h30m", "24h": "24h", "1h0m30s": "1h0m30s", "1.5h": "1h30m", "1s": "1s", "10m": "10m", "1500ms": "1.5s"},
			map[string]string{"": "not a time such as", "soon": "not a time such as", "0": "0 is not from 1s to 24h", "-5": "not from 1s to 24h", "25h": "25h is not from",
				"100000":               "not from 1s to 24h",
				"153722868":            "not from 1s to 24h", // as nanoseconds it would pass the end of an int64, and come back as half an hour
				"99999999999999999999": "not a time"}},
		{"Addr", over(Addr),
			map[string]string{"": "", "192.0.2.1": "192.0.2.1", "2001:DB8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1"},
			map[string]string{"localhost": "not an IP address", "192.0.2": "not an IP address", "192.0.2.0/24": "not an IP address", "fe80::1%eth0": "not an IP address"}},
		{"Prefixes", over(func(p *[]netip.Prefix) Value { return Prefixes(p, "") }),
			map[string]string{"": "", "192.0.2.1": "192.0.2.1", "192.0.2.9/24, 2001:DB8::/32": "192.0.2.0/24,2001:db8::/32", "::ffff:192.0.2.1": "192.0.2.1", "[::1] 10.0.0.0/8": "::1,10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0"},
			map[string]string{"private": "neither a network", "192.0.2.0/33": "neither a network", "10.0.0.0/8 x": `"x" is neither`, "fe80::1%eth0": "neither a network", "::ffff:192.0.2.0/120": "neither a network"}},
		{"Prefixes with a word", over(func(p *[]netip.Prefix) Value { return Prefixes(p, "private") }),
			map[string]string{"private": "private", "192.0.2.1 Private": "192.0.2.1,private"},
			map[string]string{"public": "neither a network"}},
		{"Words", over(func(p *[]string) Value { return Words(p, "words") }),
			map[string]string{"": "", "a": "a", "a,b": "a,b", "a b": "a,b", " a,, b\t,c ": "a,b,c", " , ": ""},
			nil},
		{"Of", over(func(p *netip.Prefix) Value { return Of(p, "prefix", netip.ParsePrefix, netip.Prefix.String) }),
			map[string]string{"10.0.0.0/8": "10.0.0.0/8"},
			map[string]string{"10": "ParsePrefix"}},
	}
}

func TestValues(t *testing.T) {
	for _, tt := range valueTests() {
		t.Run(tt.name, func(t *testing.T) {
			if tt.bind().Type() == "" {
				t.Error("the manual has no word for its argument")
			}
			for text, want := range tt.good {
				v := tt.bind()
				if err := v.Set(text); err != nil {
					t.Errorf("Set(%q): %v", text, err)
					continue
				}
				if v.String() != want {
					t.Errorf("Set(%q) shows %q, not %q", text, v.String(), want)
				}
				again := tt.bind()
				if err := again.Set(v.String()); err != nil {
					t.Errorf("Set(%q) shows %q, which is refused: %v", text, v.String(), err)
				} else if again.String() != v.String() {
					t.Errorf("Set(%q) shows %q, which shows %q", text, v.String(), again.String())
				}
			}
			for text, want := range tt.bad {
				v := tt.bind()
				before := v.String()
				err := v.Set(text)
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Set(%q): %v, not %q", text, err, want)
				}
				if v.String() != before {
					t.Errorf("Set(%q) was refused but changed %q to %q", text, before, v.String())
				}
			}
		})
	}
}

func TestValuesSetTheVariable(t *testing.T) {
	var (
		mode  fs.FileMode
		a, b  fs.FileMode
		size  int64
		idle  time.Duration
		ports PortRange
		addr  netip.Addr
	)
	for _, s := range []struct {
		v    Value
		text string
	}{
		{Octal(&mode, 0o777), "640"}, {Masks(&a, &b), "77:27"}, {Size(&size, 1<<10), "3"}, {Span(&idle, time.Minute, 0, time.Hour), "2"},
		{Ports(&ports, 1), "20:21"}, {Addr(&addr), "::1"},
	} {
		if err := s.v.Set(s.text); err != nil {
			t.Fatal(err)
		}
	}
	if mode != 0o640 || a != 0o77 || b != 0o27 || size != 3<<10 || idle != 2*time.Minute || addr != netip.IPv6Loopback() {
		t.Error(mode, a, b, size, idle, addr)
	}
	if ports != (PortRange{20, 21}) || ports.Size() != 2 {
		t.Errorf("ports %v, %d of them", ports, ports.Size())
	}
}

func TestLevelCounts(t *testing.T) {
	n := 2
	v := Level(&n, 2)
	for i, step := range []struct {
		text string
		want int
	}{{"yes", 1}, {"yes", 2}, {"yes", 2}, {"no", 0}, {"on", 1}, {"2", 2}, {"0", 0}} {
		if err := v.Set(step.text); err != nil || n != step.want {
			t.Errorf("step %d, %s: level %d, %v; want %d", i, step.text, n, err, step.want)
		}
	}
}

func TestListDoesNotShareItsDefault(t *testing.T) {
	backing := []string{"a", "b", "c"}
	words := backing[:1]
	v := Words(&words, "words")
	v.(lister).extend()
	if err := v.Set("x"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(words, []string{"a", "x"}) {
		t.Errorf("words are %v", words)
	}
	if backing[1] != "b" {
		t.Error("growing the list wrote into the array of its default")
	}
}

func TestBoolFlags(t *testing.T) {
	var on bool
	var n int
	for _, v := range []Value{YesNo(&on), Level(&n, 2)} {
		if b, ok := v.(interface{ IsBoolFlag() bool }); !ok || !b.IsBoolFlag() {
			t.Errorf("%T needs a value as a flag", v)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"0", "1K", "10MiB", "7E", "8E", "1023", "-1", "5B", " 3 G"} {
		f.Add(s, int64(1))
		f.Add(s, int64(1<<20))
	}
	f.Fuzz(func(t *testing.T, s string, plain int64) {
		if plain != 1 && plain != 1<<10 && plain != 1<<20 {
			return
		}
		n, err := ParseSize(s, plain)
		if err != nil {
			return
		}
		shown := ShowSize(n, plain)
		if again, err := ParseSize(shown, plain); err != nil || again != n {
			t.Errorf("ParseSize(%q, %d) = %d, shown as %q, which is %d, %v", s, plain, n, shown, again, err)
		}
	})
}

func ExampleShowSize() {
	fmt.Println(ShowSize(10<<20, 1), ShowSize(1536, 1), ShowSize(1537, 1), ShowSize(1537, 1<<10))
	// Output: 10M 1536 1537 1537B
}

func ExampleShowSpan() {
	fmt.Println(ShowSpan(15*time.Minute), ShowSpan(24*time.Hour), ShowSpan(90*time.Second), ShowSpan(0))
	// Output: 15m 24h 1m30s 0s
}

func TestIsHostName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]bool{
		"ftp.example.org": true, "localhost": true, "a_b.test": true, "1.test": true, "xn--bcher-kva.example": true, long + ".test": true,
		"": false, ".": false, "a..b": false, "a.": false, ".a": false, "-a.test": false, "a-.test": false, "a b": false, "A.test": false,
		"*.test": false, "b\u00fccher.test": false, "a/b": false, long + "a.test": false, strings.Repeat(long+".", 4) + "test": false,
	} {
		if got := IsHostName(name); got != want {
			t.Errorf("IsHostName(%q) is %v", name, got)
		}
	}
}
