package userquery

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portreeve/config"
	"portreeve/userdb"
)

// at is when the expressions of the tests are read.
var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)

// alice has every attribute set.
func alice() *userdb.Stored {
	u := userdb.New("alice")
	set := map[string]string{
		"uid": "1001", "gid": "1002", "gecos": "Alice (née L.)", "home": "/srv/ftp/alice", "disabled": "yes",
		"expires": "2026-12-31", "perms": "list,read", "hours": "0900-1800", "max_sessions": "3",
		"allow_client": "10.0.0.0/8,::1", "deny_client": "10.1.1.1", "allow_local": "192.0.2.1", "deny_local": "192.0.2.2",
		"tls": "data", "download_rate": "2M", "upload_rate": "500", "quota_files": "1000", "quota_bytes": "10G",
		"upload_ratio": "1", "download_ratio": "5",
	}
	for name, text := range set {
		if err := userdb.Fields.Set(&u, name, text); err != nil {
			panic(err)
		}
	}
	u.Password = "$6$salt$hash"
	u.Created = time.Date(2026, 5, 6, 7, 8, 9, 0, time.Local)
	u.Changed = u.Created
	return &userdb.Stored{
		User:  u,
		Tally: userdb.Tally{Usage: userdb.Usage{Files: 950, Bytes: 5 << 30}, Counted: true},
		Last:  userdb.Login{At: at.AddDate(0, 0, -30), From: netip.MustParseAddr("192.0.2.7")},
	}
}

// bob has what a new user has.
func bob() *userdb.Stored {
	u := userdb.New("bob")
	u.UID, u.GID, u.Home = 1003, 1003, "/srv/bob"
	return &userdb.Stored{User: u}
}

func parse(t *testing.T, text string) *Query {
	t.Helper()
	q, err := Parse(text, at)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		text       string
		alice, bob bool
	}{
		{"quota>90%", true, false}, {"quota>95", false, false}, {"quota>=95%", true, false}, {"quota<=94.9%", false, false},
		{"quota=95%", true, false}, {"quota!=95%", false, true}, {"quota=none", false, true}, {"quota!=none", true, false}, {"quota", true, false},
		{"gid=1002", true, false}, {"GID=1002", true, false}, {"gid<1003", true, false}, {"gid!=1002", false, true}, {"gid == 1002", true, false},
		{"gid~10*", true, true}, {"gid~*2", true, false},
		{"quota-bytes=10G", true, false}, {"quota_bytes>=10240", true, false}, {"quota-bytes>10G", false, false}, {"quota-bytes<11g", true, false},
		{"quota-bytes=none", false, true}, {"quota-bytes=unlimited", false, true}, {"quota-bytes!=none", true, false}, {`quota-bytes=""`, false, true},
		{"quota-files=0", false, false}, {"quota-files!=0", true, true}, {"not quota-bytes>1G", false, true},
		{"max-sessions=3", true, false}, {"max-sessions<5", true, false}, {"max_sessions=0", false, true}, {"max_sessions", true, false},
		{"download-rate=2M", true, false}, {"upload-rate=500", true, false}, {"upload-ratio=none", false, true},
		{"disabled", true, false}, {"not disabled", false, true}, {"disabled=no", false, true}, {"disabled!=yes", false, true},
		{"locked", true, true}, {"expired", false, false}, {"caged", true, true},
		{"name=alice", true, false}, {"name~a*", true, false}, {"name~?ob", false, true}, {`name="and"`, false, false},
		{"home~/srv/ftp/*", true, false}, {"home~/srv*", true, true}, {"home=/srv/bob/", false, true},
		{`gecos="Alice (née L.)"`, true, false}, {`gecos='Alice (née L.)'`, true, false}, {"gecos~*née*", true, false}, {"gecos=none", false, true}, {"gecos", true, false}, {`gecos="\""`, false, false},
		{"perms=read,list", true, false}, {"perms=none", false, false}, {"perms=all", false, true}, {"perms~*write*", false, true},
		{"hours=0900-1800", true, false}, {"hours=none", false, true}, {"tls=data", true, false}, {"tls=none", false, true}, {"tls", true, false},
		{"allow-client=10.0.0.0/8,::1", true, false}, {"allow-client~*10.0.0.0/8*", true, false}, {"allow-client=none", false, true},
		{"files>900", true, false}, {"bytes>5000", true, false}, {"bytes=5G", true, false}, {"bytes=none", false, true}, {"files", true, false},
		{"password-kind=6", true, false}, {"password-kind=none", false, true},
		{"last-login<now-29d", true, false}, {"last-login<now-31d", false, false}, {"last-login=none", false, true}, {"last-login=never", false, true},
		{"last-login=2026-10-24", true, false}, {"last-login>2026-10-24", false, false}, {"last-login>=2026-10-24", true, false}, {"last-login!=2026-10-24", false, true},
		{`last-login="2026-10-24 12:00"`, true, false}, {"last-login<today", true, false}, {"last-from=192.0.2.7", true, false}, {"last-from", true, false},
		{"expires=2026-12-31", true, false}, {"expires<2027-01-01", true, false}, {"expires<=2026-12-31", true, false}, {"expires<2026-12-31", false, false},
		{"expires>2026-12-30", true, false}, {"expires>now", true, false}, {"expires<now+60d", true, false}, {"expires=never", false, true}, {"expires", true, false},
		{`expires="2027-01-01 00:00"`, true, false}, {`expires>"2026-12-31 23:58"`, true, false},
		{"created=2026-05-06", true, false}, {"created>2026-05-05T10:00", true, false},

		{"gid=1002 and disabled", true, false}, {"gid=1002 and not disabled", false, false}, {"gid=1003 or disabled", true, true},
		{"gid=1003 or disabled and name=bob", false, true}, {"(gid=1003 or disabled) and name=bob", false, true},
		{"(gid=1003 or disabled)and(name=alice)", true, false}, {"NOT (disabled OR caged=no)", false, true}, {"not not disabled", true, false},
		{"not disabled and gid=1003", false, true}, {"not gid=1002 and gid=1002", false, false},
		{"\tdisabled\nand\r\nname = alice", true, false},
	} {
		q := parse(t, tt.text)
		if a, b := q.Match(alice()), q.Match(bob()); a != tt.alice || b != tt.bob {
			t.Errorf("%s: %v of alice and %v of bob", tt.text, a, b)
		}
		if q.String() != tt.text {
			t.Errorf("%s is shown as %s", tt.text, q)
		}
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat("(", maxDepth+1) + "disabled" + strings.Repeat(")", maxDepth+1)
	for _, tt := range []struct{ text, want, hint string }{
		{"", "column 1: an attribute is missing before the end", "such as in quota>90% and gid=1001"},
		{"quotta>90%", `column 1: there is no attribute "quotta"`, "did you mean quota?"},
		{"gid=1 and quotabytes=1", `column 11: there is no attribute "quotabytes"`, "did you mean quota_bytes?"},
		{"née=1 and zzzzzzzz", `column 1: there is no attribute "née"`, "*"},
		{"gecos=née and zzzzzzzz", `column 15: there is no attribute "zzzzzzzz"`, "attributes are those of pw show, and name, quota, files, bytes, locked, expired, password_kind, last_login, last_from"},
		{"gid=", "column 5: a value is missing behind gid=", `"" is the empty text, none an attribute that is not set`},
		{"gid=(1)", "column 5: a value is missing behind gid=", "*"},
		{"gid=ten thousand", `column 5: no system group is called "ten"`, ""},
		{"gid=1 gid=2", `column 7: "gid" is one too many`, "comparisons are joined by and or or"},
		{"(gid=1", "column 7: the parenthesis of column 1 is still open before the end", "*"},
		{"gid=1)", `column 6: ")" is one too many`, "*"},
		{"gid=1 and", "column 10: an attribute is missing before the end", "*"},
		{"and gid=1", `column 1: an attribute is missing before "and"`, "*"},
		{"gid!1", `column 4: "!" is no operator`, "there are = != < <= > >= ~ and the words and, or, not"},
		{`gecos="x`, "column 7: the quotes are never closed", ""},
		{"home>x", "column 5: home is text, which > does not compare", "it has = != and ~, by which * stands for any text"},
		{"disabled<yes", "column 9: disabled is yes or no, which < does not compare", "it has = !="},
		{"disabled=maybe", `column 10: "maybe" is neither yes nor no`, ""},
		{"quota~9*", "column 6: quota is a percentage, which ~ does not compare", "*"},
		{"quota>lots", `column 7: "lots" is not a percentage such as 90%`, ""},
		{"quota>NaN", `column 7: "NaN" is not a percentage such as 90%`, ""},
		{"quota-bytes>none", `column 12: "none" is no number that > could compare quota_bytes to`, "= and != tell whether it is set"},
		{"quota-bytes>90%", `column 13: "90%" is not a size such as 512K, 10M or 2G`, ""},
		{"files>5x", `column 7: "5x" is not a whole number`, ""},
		{"files~5*", "column 6: files is a number, which ~ does not compare", "it has = != < <= > >="},
		{"expires~2*", "column 8: expires is a time, which ~ does not compare", "*"},
		{"expires<soon", `column 9: "soon" is no time such as 2027-01-31, "2027-01-31 18:00", today or now-90d`, ""},
		{"expires<now-90", `*`, ""}, {"expires<now-", `*`, ""}, {"expires<now90d", `*`, ""}, {"expires<now+99999999999d", `*`, ""},
		{"gid=\xff", "column 1: the expression is not UTF-8", ""},
		{deep, "column 52: more than 50 parentheses and nots are within one another", "*"},
		{strings.Repeat("not ", maxDepth+1) + "disabled", "*", ""},
		{strings.Repeat("x", maxLength+1), "column 4097: the expression is longer than 4096 bytes", ""},
	} {
		_, err := Parse(tt.text, at)
		fault, ok := errors.AsType[*Error](err)
		if !ok || tt.want != "*" && err.Error() != tt.want || tt.hint != "*" && fault.Hint != tt.hint {
			t.Errorf("%.60s: %v; %+v", tt.text, err, fault)
		}
	}
}

// Every attribute of the table can be asked for, by what it is shown as.
func TestEveryField(t *testing.T) {
	a, b := alice(), bob()
	b.User.Caged, a.User.Caged = false, true
	for _, f := range userdb.Fields {
		v := f.Bind(&a.User)
		if config.Variable(v) == nil {
			t.Errorf("%s is no variable that could be compared", f.Name)
		}
		if f.AliasOf != "" {
			continue
		}
		shown := v.String()
		if f.Group == "Kept by the database" {
			shown = a.User.Created.Format(time.RFC3339)
		}
		q := parse(t, fmt.Sprintf("%s=%q", f.LongFlag(), shown))
		if !q.Match(a) || q.Match(b) {
			t.Errorf("%s: %v of alice and %v of bob", q, q.Match(a), q.Match(b))
		}
		if q := parse(t, f.Name); !q.Match(a) {
			t.Errorf("%s is not set", q)
		}
	}
	for _, c := range Computed() {
		if parse(t, c.Name); c.Help == "" {
			t.Errorf("%s is not described", c.Name)
		}
	}
}

func TestAssign(t *testing.T) {
	for _, tt := range []struct{ text, shown, err string }{
		{"quota-bytes=+10G", "20G", ""}, {"quota-bytes=-10G", "0", ""}, {"quota_bytes=-1", "10239M", ""}, {"quota-bytes=5", "5M", ""},
		{"quota-bytes=none", "unlimited", ""}, {"quota-bytes=", "unlimited", ""}, {"quota-bytes=+0", "10G", ""},
		{"quota-bytes=-11G", "", "user alice: quota_bytes: 10G and -11G is less than nothing"},
		{"quota-bytes=+7E", "7516192778G", ""}, {"quota-files=+9223372036854775807", "", "user alice: quota_files: 1000 and +9223372036854775807 is more than a number can be"},
		{"quota-files=+500", "1500", ""}, {"max-sessions=+2", "5", ""}, {"max-sessions=-2", "1", ""},
		{"max-sessions=-3", "", "user alice: max_sessions: -3 from 3 leaves 0, which would be unlimited"},
		{"max-sessions=+3000000000", "", "*"}, {"upload-ratio=+1", "2", ""}, {"download-rate=-1M", "1M", ""},
		{"disabled=no", "no", ""}, {"gecos=", "", ""}, {"gecos=none", "", ""}, {`gecos="none"`, "none", ""}, {"gecos=-5 a", "-5 a", ""}, {`gecos="a b"`, "a b", ""},
		{"perms=none", "none", ""}, {"perms=all", "list,read,write,delete,rename,mkdir,chmod", ""}, {"home-caged=/srv/x/./", "/srv/x", ""},
		{"allow-client=none", "", ""}, {"allow-client=::1", "::1", ""}, {"expires=never", "never", ""}, {"expires=none", "never", ""}, {"hours=none", "", ""},
		{"uid=+5", "", "column 5: uid: nothing can be added to it or taken away"}, {"uid=none", "", "*"}, {"uid=0", "", "*"},
		{"quota-bytes", "", `column 1: "quota-bytes" is no attribute=value`}, {"quotabytes=5", "", `column 1: there is no attribute "quotabytes" to set`},
		{"name=x", "", "column 1: a user cannot be renamed"}, {"password=x", "", "column 1: a password is not set so"}, {"created=x", "", "column 1: created is kept by the database"},
		{"quota=5", "", "*"}, {"expires=+5d", "", "*"}, {"disabled=", "", "*"}, {"quota-bytes=+x", "", "*"}, {"upload-rate=+1Q", "", "*"},
	} {
		a, err := ParseAssignment(tt.text)
		u := alice().User
		if err == nil {
			err = a.Apply(&u)
		}
		switch {
		case tt.err == "*" && err != nil:
		case tt.err != "":
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: %v", tt.text, err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.text, err)
		default:
			if shown := a.field.Bind(&u).String(); shown != tt.shown {
				t.Errorf("%s: %s", tt.text, shown)
			}
		}
	}
	a, err := ParseAssignment("quota-bytes=+10G")
	if err != nil {
		t.Fatal(err)
	}
	u := bob().User
	if err := a.Apply(&u); err == nil || err.Error() != "user bob: quota_bytes: it is unlimited, so that +10G cannot be added" {
		t.Errorf("of bob: %v", err)
	}
}

// A query answers, and the opposite of what its negation answers.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"quota>90% and (gid=1001 or home~/srv/ftp/*) and not disabled", `gecos="a\"b" or expires<now-90d`, "((name~*a*b*))", "quota-bytes=none", "created>=2026-01-01",
	} {
		f.Add(text)
	}
	users := []*userdb.Stored{alice(), bob()}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text, at)
		if err != nil {
			fault, ok := errors.AsType[*Error](err)
			if !ok || fault.Column < 1 || fault.Column > len(text)+1 || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q: %q", text, err)
			}
			return
		}
		not, err := Parse("not ("+text+")", at)
		if err != nil {
			return // it is too long or too deep now
		}
		for _, u := range users {
			if q.Match(u) == not.Match(u) {
				t.Errorf("%q and its negation are both %v of %s", text, q.Match(u), u.User.Name)
			}
		}
	})
}

// No assignment makes a user who could not be stored.
func FuzzAssignment(f *testing.F) {
	for _, text := range []string{"quota-bytes=+10G", `gecos="a b"`, "perms=none", "expires=2027-01-31", "allow-client=::1,10.0.0.0/8"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAssignment(text)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		u := alice().User
		if a.Apply(&u) == nil && u.Validate() != nil {
			t.Errorf("%q makes %+v", text, u)
		}
	})
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"?", "", false}, {"?", "é", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false},
		{"*a", "baa", true}, {"**", "x", true}, {"a", "ab", false}, {"*ab*", "aab", true},
		{strings.Repeat("*a", 2000), strings.Repeat("a", 4000) + "b", false},
	} {
		if got := glob(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%.20s, %.20s: %v", tt.pattern, tt.text, got)
		}
	}
}
