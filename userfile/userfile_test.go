package userfile

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/userdb"
)

const someHash = "$1$saltsalt$WPnp.ONEL9plHQUgBVqXA."

// anyUser returns a user with any attributes.
func anyUser(r *rand.Rand, i int) userdb.User {
	u := userdb.New(fmt.Sprintf("user%06d", i))
	u.Password = someHash
	u.UID, u.GID = 1+r.IntN(math.MaxInt32), 1+r.IntN(math.MaxInt32)
	u.Home = "/srv/" + u.Name
	often := func(set func()) {
		if r.IntN(2) == 0 {
			set()
		}
	}
	list := func(to *userdb.Patterns) func() {
		return func() {
			words := []string{"10.0.0.0/8", "192.0.2.7", "ftp.example.net", "2001:db8::/32", "::1"}
			*to, _ = userdb.ParsePatterns(strings.Join(words[:1+r.IntN(len(words))], ","))
		}
	}
	often(func() { u.Password = "" })
	often(func() { u.Gecos = `Señor "X", of this; town` })
	often(func() { u.Caged = false })
	often(func() { u.Disabled = true })
	often(func() { u.Expires = time.Unix(4e9+r.Int64N(1e9), 0).UTC() })
	often(func() { u.UploadRate = r.Int64() })
	often(func() { u.DownloadRate = r.Int64N(1<<30) << 10 })
	often(func() { u.UploadRatio, u.DownloadRatio = 1+r.IntN(9), 1+r.IntN(9) })
	often(func() { u.MaxSessions = r.IntN(math.MaxInt32) })
	often(func() { u.QuotaFiles = userdb.LimitOf(r.Int64N(3)) })
	often(func() { u.QuotaBytes = userdb.LimitOf(r.Int64()) })
	often(func() { u.Hours, _ = userdb.ParseHours("2200-0630") })
	often(func() { u.Perms = userdb.Perms(r.IntN(int(userdb.AllPerms) + 1)) })
	often(func() { u.TLS = userdb.TLSData })
	often(list(&u.AllowClient))
	often(list(&u.DenyClient))
	often(list(&u.AllowLocal))
	often(list(&u.DenyLocal))
	return u
}

func users(list []userdb.User) iter.Seq2[userdb.User, error] {
	return func(yield func(userdb.User, error) bool) {
		for _, u := range list {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// held returns what a format holds of a user, as it is read again.
func held(u userdb.User, format Format) userdb.User {
	if format == CSV || format == JSON {
		return u
	}
	if u.Password == "" || u.Password[0] != '$' {
		u.Password = ""
	}
	u.Caged = u.Caged || u.HasQuota()
	u.Expires, u.Perms, u.TLS = time.Time{}, userdb.AllPerms, userdb.TLSOptional
	for _, list := range []struct {
		of     *userdb.Patterns
		allows bool
	}{{&u.AllowClient, true}, {&u.AllowLocal, true}, {&u.DenyClient, false}, {&u.DenyLocal, false}} {
		six := func(p userdb.Pattern) bool { return p.Host == "" && p.Prefix.Addr().Is6() }
		left := slices.DeleteFunc(slices.Clone(*list.of), six)
		if *list.of = left; len(left) == 0 {
			*list.of = nil
		}
	}
	return u
}

// differences names the attributes in which two users differ.
func differences(a, b userdb.User) (names []string) {
	for _, f := range userdb.Fields.Changed(a, b) {
		names = append(names, f.Name)
	}
	if a.Password != b.Password {
		names = append(names, "password")
	}
	if a.Name != b.Name {
		names = append(names, "name")
	}
	return names
}

// Who is written and read again is the same, as far as the format holds it.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var list []userdb.User
	for i := range 1000 {
		list = append(list, anyUser(r, i))
	}
	for _, format := range Writable() {
		t.Run(string(format), func(t *testing.T) {
			var file bytes.Buffer
			lost := make(map[string][]string)
			err := Write(&file, format, users(list), func(name string, attributes []string) { lost[name] = attributes })
			if err != nil {
				t.Fatal(err)
			}
			if found, err := Detect(file.Bytes()); found != format || err != nil {
				t.Errorf("it is taken for %q, %v", found, err)
			}
			n := 0
			for e, err := range Read(bytes.NewReader(file.Bytes()), int64(file.Len()), format, Options{}) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Err != nil {
					t.Fatalf("line %d: %v", e.Line, e.Err)
				}
				want := held(list[n], format)
				got := userdb.New(e.Name)
				if err := e.Set(&got); err != nil {
					t.Fatalf("line %d: %v", e.Line, err)
				}
				if names := differences(got, want); len(names) > 0 {
					t.Fatalf("user %s becomes\n%+v, not\n%+v\nwhich differ in %v", e.Name, got, want, names)
				}
				if whole := len(differences(want, list[n])) == 0 || list[n].Password == ""; !whole && len(lost[e.Name]) == 0 && list[n].Caged {
					t.Errorf("user %s loses what is not named", e.Name)
				}
				n++
			}
			if n != len(list) {
				t.Errorf("%d of %d users are read", n, len(list))
			}
		})
	}
}

// A user that is there already keeps what a format cannot hold.
func TestSetKeeps(t *testing.T) {
	there := userdb.New("joe")
	there.Disabled, there.Perms, there.TLS = true, userdb.PermRead, userdb.TLSData
	there.Expires = time.Unix(4e9, 0).UTC()
	there.AllowClient, _ = userdb.ParsePatterns("2001:db8::/32")
	there.DenyClient, _ = userdb.ParsePatterns("192.0.2.7,2001:db8::7")
	for format, file := range map[Format]string{
		PureText: "joe:" + someHash + ":7:8:Joe:/srv/joe/./::::::::::0.0.0.0:192.0.2.7:\n",
		ProFTPD:  "joe:" + someHash + ":7:8:Joe:/srv/joe:/bin/sh\n",
		CSV:      "name,password,uid,gid,gecos,home,perms\njoe," + someHash + ",7,8,Joe,/srv/joe,\n",
		JSON:     `{"name":"joe","password":"` + someHash + `","uid":7,"gid":8,"gecos":"Joe","home":"/srv/joe"}`,
	} {
		want := there
		want.Password, want.UID, want.GID, want.Gecos, want.Home = someHash, 7, 8, "Joe", "/srv/joe"
		for e, err := range Read(bytes.NewReader([]byte(file)), int64(len(file)), format, Options{}) {
			if err != nil || e.Err != nil {
				t.Fatal(err, e.Err)
			}
			got := there
			if err := e.Set(&got); err != nil || len(differences(got, want)) > 0 {
				t.Errorf("%s: %+v, which differs in %v, %v", format, got, differences(got, want), err)
			}
		}
	}
}

// Addresses of IPv6 stay on the lists of somebody who is there already, since a line
// of pure-pw has no room for them; but all addresses stay all of them.
func TestWithIPv6(t *testing.T) {
	for _, tt := range []struct {
		said, had string
		allows    bool
		want      string
	}{
		{"10.0.0.0/8", "192.0.2.7,::1", true, "10.0.0.0/8,::1"}, {"10.0.0.0/8", "192.0.2.7,::1", false, "10.0.0.0/8,::1"},
		{"", "::1", true, ""}, {"", "::1", false, "::1"}, {"0.0.0.0", "::1", true, "::1"}, {"0.0.0.0", "::1", false, "0.0.0.0,::1"},
		{"0.0.0.0", "10.0.0.1", true, "0.0.0.0"}, {"", "10.0.0.1,host.example", false, ""},
	} {
		said, err1 := userdb.ParsePatterns(tt.said)
		had, err2 := userdb.ParsePatterns(tt.had)
		if got := withIPv6(said, had, tt.allows).String(); got != tt.want || err1 != nil || err2 != nil {
			t.Errorf("%q where %q was is %q, not %q", tt.said, tt.had, got, tt.want)
		}
	}
}
