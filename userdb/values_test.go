package userdb

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "alice", "Alice Smith", "алиса", "使用者", "a.b", "a-b_c@example.org", "joe+ftp",
		"é", strings.Repeat("x", 127), "0", "a'b", "50%"} {
		if err := ValidName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a:b", "a\x00b", "a\nb", "a\rb", "a\tb", "\x1b[31m", "a\x7f", "a\u0085b", "a/b", `a\b`,
		".", "..", "a..b", "../etc", "-rf", "--help", "#comment", " a", "a ", "\u00a0a", "a\u00a0b", "a\u202eb", "a\u200bb",
		"\ufeffa", "a\xffb", "\xc3", strings.Repeat("x", 128), strings.Repeat("密", 43)} {
		err := ValidName(name)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is taken for a name: %v", name, err)
			continue
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) || len(err.Error()) > 200 {
			t.Errorf("%q: the error is not a clean line: %q", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	u := full()
	if err := u.Validate(); err != nil {
		t.Fatal(err)
	}
	noID := int64(1<<32 - 1)
	for what, spoil := range map[string]func(*User){
		"no name":             func(u *User) { u.Name = "" },
		"root":                func(u *User) { u.UID = 0 },
		"root's group":        func(u *User) { u.GID = 0 },
		"negative uid":        func(u *User) { u.UID = -1 },
		"negative gid":        func(u *User) { u.GID = -1 },
		"uid -1 of 32 bits":   func(u *User) { u.UID = int(noID) },
		"no home":             func(u *User) { u.Home = "" },
		"relative home":       func(u *User) { u.Home = "srv/ftp" },
		"home that climbs":    func(u *User) { u.Home = "/srv/../etc" },
		"home with a slash":   func(u *User) { u.Home = "/srv/" },
		"home with a cage":    func(u *User) { u.Home = "/srv/./" },
		"home with colon":     func(u *User) { u.Home = "/srv:x" },
		"home with NUL":       func(u *User) { u.Home = "/srv\x00x" },
		"home with a line":    func(u *User) { u.Home = "/srv\nx" },
		"home not UTF-8":      func(u *User) { u.Home = "/srv\xff" },
		"home too long":       func(u *User) { u.Home = "/" + strings.Repeat("x", maxPath) },
		"gecos with colon":    func(u *User) { u.Gecos = "a:b" },
		"gecos with a line":   func(u *User) { u.Gecos = "a\nb" },
		"gecos with escape":   func(u *User) { u.Gecos = "a\x1bb" },
		"gecos with U+2028":   func(u *User) { u.Gecos = "a\u2028b" },
		"gecos not UTF-8":     func(u *User) { u.Gecos = "a\xff" },
		"gecos too long":      func(u *User) { u.Gecos = strings.Repeat("x", maxText+1) },
		"hash with colon":     func(u *User) { u.Password = "$1$a:b" },
		"hash with blank":     func(u *User) { u.Password = "a b" },
		"hash with a line":    func(u *User) { u.Password = "a\nb" },
		"hash too long":       func(u *User) { u.Password = strings.Repeat("x", maxText+1) },
		"negative rate":       func(u *User) { u.UploadRate = -1 },
		"negative ratio":      func(u *User) { u.DownloadRatio = -1 },
		"negative sessions":   func(u *User) { u.MaxSessions = -1 },
		"expires in year 1":   func(u *User) { u.Expires = time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC) },
		"expires in year 1e4": func(u *User) { u.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"unknown permission":  func(u *User) { u.Perms = 0x80 },
		"empty pattern":       func(u *User) { u.AllowClient = Patterns{{}} },
		"pattern of nonsense": func(u *User) { u.DenyLocal = Patterns{{Host: "a b"}} },
		"unmasked prefix":     func(u *User) { u.DenyLocal = Patterns{{Prefix: netip.MustParsePrefix("10.1.2.3/8")}} },
		"endless list":        func(u *User) { u.AllowLocal = slices.Repeat(list("::1"), maxPatterns+1) },
	} {
		u := full()
		spoil(&u)
		err := u.Validate()
		if !errors.Is(err, ErrInvalid) || strings.ContainsAny(err.Error(), "\n\x00\x1b") {
			t.Errorf("%s: error is %v", what, err)
		}
	}
}

func TestHours(t *testing.T) {
	for _, c := range []struct{ text, shown, in, out string }{
		{"0900-1800", "0900-1800", "09:00 12:30 18:00", "08:59 18:01 00:00 23:59"},
		{"900-1800", "0900-1800", "09:00", "08:59"},
		{"2200-0600", "2200-0600", "22:00 23:59 00:00 06:00", "06:01 12:00 21:59"},
		{"0000-0000", "0000-0000", "00:00", "00:01 23:59 12:00"}, // one minute, as Pure-FTPd has it
		{"0-0", "0000-0000", "00:00", "00:01"},
		{"0000-2359", "0000-2359", "00:00 12:00 23:59", ""},
		{"1200-1159", "1200-1159", "12:00 11:59 00:00", ""},
		{"", "", "00:00 12:00", ""},
	} {
		h, err := ParseHours(c.text)
		if err != nil || h.String() != c.shown {
			t.Errorf("ParseHours(%q) = %v, %v", c.text, h, err)
		}
		if again, err := ParseHours(h.String()); err != nil || again != h {
			t.Errorf("%q shows as %q, which is %v, %v", c.text, h, again, err)
		}
		for want, moments := range map[bool]string{true: c.in, false: c.out} {
			for _, m := range strings.Fields(moments) {
				// Seconds do not count: the last minute belongs to it whole.
				at, err := time.Parse("15:04:05", m+":59")
				if err != nil {
					t.Fatal(err)
				}
				if h.Contains(at) != want {
					t.Errorf("%q contains %s: %v", c.text, m, !want)
				}
			}
		}
	}
	for _, text := range []string{"-", "0900", "0900-", "-1800", "0900-2400", "0960-1000", "9:00-18:00", "0900-1800-2000",
		"09001-1800", "+900-1800", "0900 - 1800", "a-b", "99999-1"} {
		if h, err := ParseHours(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseHours(%q) = %v, %v", text, h, err)
		}
	}
}

// A list that was meant to name somebody and names nobody is a mistake.
func TestPatternsOfNothing(t *testing.T) {
	for _, text := range []string{" , ", ",", ",,", " "} {
		if l, err := ParsePatterns(text); err == nil {
			t.Errorf("ParsePatterns(%q) = %v", text, l)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ text, shown string }{
		{"192.0.2.1", "192.0.2.1"},
		{"10.1.2.3/8", "10.0.0.0/8"},
		{"192.0.2.1/32", "192.0.2.1"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"2001:DB8::1", "2001:db8::1"},
		{"2001:db8::1/32", "2001:db8::/32"},
		{"[::1]", "::1"},
		{"[2001:db8::]/32", "2001:db8::/32"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"FTP.Example.Org.", "ftp.example.org"},
		{"localhost", "localhost"},
		{"my_host.lan", "my_host.lan"},
		{"3com.com", "3com.com"},
		{"10.0.0.0/8, 192.0.2.1 host.lan", "10.0.0.0/8,192.0.2.1,host.lan"},
		{"", ""},
	} {
		l, err := ParsePatterns(c.text)
		if err != nil || l.String() != c.shown {
			t.Errorf("ParsePatterns(%q) = %v, %v; want %s", c.text, l, err, c.shown)
		}
		if err := l.validate(); err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
		if again, err := ParsePatterns(l.String()); err != nil || !slices.Equal(again, l) {
			t.Errorf("%q shows as %q, which is %v, %v", c.text, l, again, err)
		}
	}
	for _, text := range []string{"10.0.0", "10.0.0.256", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/", "/8", "1", "2001:db8::/129",
		"fe80::1%eth0", "::ffff:10.0.0.0/64", "::/0x", "a..b", ".a", "-a.b", "a-.b", "a b/c", "höst", "a:b", "host/8", "[::1",
		strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "aaa", "010.0.0.1", "[", "[]", "[::1]5", "::1]", "[[::1]]"} {
		if p, err := ParsePattern(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParsePattern(%q) = %v, %v", text, p, err)
		}
	}
}

func TestPatternsContain(t *testing.T) {
	l := list("10.0.0.0/8,2001:db8::/32,192.0.2.1,ftp.example.org")
	for addr, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.0": false, "192.0.2.1": true, "192.0.2.2": false,
		"::ffff:10.1.1.1": true, "::ffff:11.0.0.0": false, "2001:db8:ffff::": true, "2001:db9::": false,
		"2001:db8::1%eth0": true,
	} {
		if got := l.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Contains(%s) = %v", addr, got)
		}
	}
	if l.Contains(netip.Addr{}) {
		t.Error("contains the address that is none")
	}
	if hosts := l.Hosts(); !slices.Equal(hosts, []string{"ftp.example.org"}) {
		t.Errorf("Hosts = %v", hosts)
	}
}

func TestPerms(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  Perms
		shown string
	}{
		{"list,read", PermList | PermRead, "list,read"},
		{"read list", PermList | PermRead, "list,read"},
		{"all", AllPerms, "list,read,write,delete,rename,mkdir,chmod"},
		{"none", 0, "none"},
		{"none,write", PermWrite, "write"},
	} {
		p, err := ParsePerms(c.text)
		if err != nil || p != c.want || p.String() != c.shown {
			t.Errorf("ParsePerms(%q) = %v, %v", c.text, p, err)
		}
		if again, err := ParsePerms(p.String()); err != nil || again != p {
			t.Errorf("%q is shown as %q, which is %v, %v", c.text, p, again, err)
		}
	}
	for _, text := range []string{"", " ", ",", "fly", "list,fly", "List", "list;read"} {
		if p, err := ParsePerms(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParsePerms(%q) = %v, %v", text, p, err)
		}
	}
	if !AllPerms.Has(PermChmod|PermList) || (PermList | PermRead).Has(PermRead|PermWrite) || Perms(0).Has(PermList) {
		t.Error("Has is wrong")
	}
	if n := len(slices.Collect(AllPerms.Words())); n != len(permNames) {
		t.Errorf("all permissions are %d words, not %d", n, len(permNames))
	}
	for word := range AllPerms.Words() { // stops when told to
		if word != "list" {
			t.Errorf("first word is %s", word)
		}
		break
	}
}

func TestLimit(t *testing.T) {
	none, zero, ten := Limit{}, LimitOf(0), LimitOf(10)
	if !none.Allows(1<<62) || zero.Allows(1) || !zero.Allows(0) || !ten.Allows(10) || ten.Allows(11) {
		t.Error("Allows is wrong")
	}
	if none == zero {
		t.Error("no limit is the same as a limit of nothing")
	}
	if n, ok := LimitOf(-5).Value(); n != 0 || !ok {
		t.Error("a negative limit is not 0")
	}
	for l, want := range map[Limit]string{none: "unlimited", zero: "0", ten: "10"} {
		if l.String() != want {
			t.Errorf("%v is shown as %s", want, l)
		}
	}
}

func TestHoursUntil(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ hours, from, until string }{
		{"0900-1800", "2026-05-04 12:30:10", "2026-05-04 18:01:00"},
		{"0900-1800", "2026-05-04 18:00:59", "2026-05-04 18:01:00"},
		{"2200-0600", "2026-05-04 23:59:59", "2026-05-05 06:01:00"},
		{"2200-0600", "2026-05-04 00:00:00", "2026-05-04 06:01:00"},
		{"2200-2359", "2026-12-31 22:00:00", "2027-01-01 00:00:00"},
		{"1200-2359", "2026-05-04 12:00:00", "2026-05-05 00:00:00"},
		{"0000-0000", "2026-05-04 00:00:30", "2026-05-04 00:01:00"},
		{"0000-2359", "2026-05-04 12:00:00", ""},
		{"1200-1159", "2026-05-04 12:00:00", ""},
		{"", "2026-05-04 12:00:00", ""},
		{"0100-0215", "2026-03-29 01:30:00", "2026-03-29 03:00:00"}, // there is no 02:15 on that day
		{"2200-0600", "2026-03-28 23:00:00", "2026-03-29 06:01:00"},
		{"0100-0229", "2026-10-25 01:30:00", "2026-10-25 02:30:00"}, // the first of two
		{"2200-0600", "2026-10-24 23:00:00", "2026-10-25 06:01:00"},
	} {
		h, err := ParseHours(c.hours)
		if err != nil {
			t.Fatal(err)
		}
		from, err := time.ParseInLocation(time.DateTime, c.from, berlin)
		if err != nil {
			t.Fatal(err)
		}
		until, got := h.Until(from), ""
		if !until.IsZero() {
			got = until.Format(time.DateTime)
			if h.Contains(until) || !h.Contains(until.Add(-time.Second)) {
				t.Errorf("%s from %s: %s is no end", c.hours, c.from, got)
			}
		}
		if got != c.until {
			t.Errorf("%s from %s: until %q, not %q", c.hours, c.from, got, c.until)
		}
	}
}
