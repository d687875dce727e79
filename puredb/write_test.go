package puredb

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/userdb"
)

func pairs(users [][2]string) iter.Seq2[[2]string, error] {
	return func(yield func([2]string, error) bool) {
		for _, u := range users {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// What Write writes is what pure-pw writes, to the byte.
func TestWriteAsPurePw(t *testing.T) {
	pw, err := exec.LookPath("pure-pw")
	if err != nil {
		t.Fatal("pure-pw is missing; `make test` installs it (Debian package pure-ftpd)")
	}
	for _, n := range []int{0, 1, 2, 300, 3000} {
		var users [][2]string
		var text strings.Builder
		for i := range n {
			u := [2]string{fmt.Sprintf("user%d", i*i%2999), fmt.Sprintf("$1$x$%d:%d:1::/home/%[1]d/./::", i, i+1)}
			users = append(users, u)
			text.WriteString(u[0] + ":" + u[1] + "\n")
		}
		folder := t.TempDir()
		passwd, pdb := filepath.Join(folder, "passwd"), filepath.Join(folder, "pdb")
		if err := os.WriteFile(passwd, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(pw, "mkdb", pdb, "-f", passwd).CombinedOutput(); err != nil {
			t.Fatalf("pure-pw mkdb: %v\n%s", err, out)
		}
		want, err := os.ReadFile(pdb)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Write(&got, pairs(users)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("of %d users: %d bytes that are not the %d of pure-pw", n, got.Len(), len(want))
		}
	}
}

// anyUser returns a user with attributes that a line can hold, each set or not.
func anyUser(r *rand.Rand) userdb.User {
	u := userdb.New(fmt.Sprintf("user%d", r.IntN(1e6)))
	u.Password = "$1$salt$" + strings.Repeat("x", 22)
	u.UID, u.GID = 1+r.IntN(math.MaxInt32), 1+r.IntN(math.MaxInt32)
	u.Home = "/srv/" + u.Name
	often := func(set func()) {
		if r.IntN(2) == 0 {
			set()
		}
	}
	list := func(to *userdb.Patterns) func() {
		return func() {
			for range 1 + r.IntN(3) {
				text := fmt.Sprintf("10.%d.%d.0/%d", r.IntN(256), r.IntN(256), 1+r.IntN(32))
				if r.IntN(4) == 0 {
					text = fmt.Sprintf("host%d.example", r.IntN(100))
				}
				p, err := userdb.ParsePattern(text)
				if err != nil {
					panic(err)
				}
				*to = append(*to, p)
			}
		}
	}
	often(func() { u.Gecos = "Señor X, of this town" })
	often(func() { u.Home = "/" })
	often(func() { u.UploadRate = r.Int64() })
	often(func() { u.DownloadRate = r.Int64() })
	often(func() { u.UploadRatio = r.IntN(math.MaxInt32) })
	often(func() { u.DownloadRatio = r.IntN(math.MaxInt32) })
	often(func() { u.MaxSessions = r.IntN(math.MaxInt32) })
	often(func() { u.QuotaFiles = userdb.LimitOf(r.Int64N(3)) })
	often(func() { u.QuotaBytes = userdb.LimitOf(r.Int64()) })
	often(func() {
		u.Hours, _ = userdb.ParseHours(fmt.Sprintf("%02d%02d-%02d%02d", r.IntN(24), r.IntN(60), r.IntN(24), r.IntN(60)))
	})
	often(list(&u.AllowClient))
	often(list(&u.DenyClient))
	often(list(&u.AllowLocal))
	often(list(&u.DenyLocal))
	u.Caged = u.HasQuota() || r.IntN(2) == 0
	return u
}

func TestFormatUser(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		u := anyUser(r)
		fields, lost := FormatUser(&u, time.Now())
		if len(lost) > 0 {
			t.Fatalf("%+v loses %v", u, lost)
		}
		again, start, err := ParseUser(u.Name, fields)
		if err != nil || start != "" || !reflect.DeepEqual(again, u) {
			t.Fatalf("%+v\nis written %s\nand read %+v, %q, %v", u, fields, again, start, err)
		}
	}
}

// What a line cannot hold never lets more people in.
func TestFormatUserFailsClosed(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name        string
		edit        func(*userdb.User)
		field       int
		want, loses string
	}{
		{"disabled", func(u *userdb.User) { u.Disabled = true }, 0, "!$1$x", ""},
		{"expired", func(u *userdb.User) { u.Expires = now }, 0, "!$1$x", "expires"},
		{"to expire", func(u *userdb.User) { u.Expires = now.Add(1) }, 0, "$1$x", "expires"},
		{"no password", func(u *userdb.User) { u.Password = "" }, 0, "*", ""},
		{"read only", func(u *userdb.User) { u.Perms = userdb.PermRead }, 0, "$1$x", "perms"},
		{"demands TLS", func(u *userdb.User) { u.TLS = userdb.TLSData }, 0, "$1$x", "tls"},
		{"only IPv6", func(u *userdb.User) { u.AllowClient, _ = userdb.ParsePatterns("2001:db8::/32") }, 14, "0.0.0.0", "allow_client"},
		{"also IPv6", func(u *userdb.User) { u.AllowClient, _ = userdb.ParsePatterns("::1,10.0.0.1") }, 14, "10.0.0.1", "allow_client"},
		{"not IPv6", func(u *userdb.User) { u.DenyLocal, _ = userdb.ParsePatterns("::1") }, 13, "", "deny_local"},
		{"all of IPv4", func(u *userdb.User) { u.AllowLocal, _ = userdb.ParsePatterns("0.0.0.0/0") }, 12, "0.0.0.0/1,128.0.0.0/1", ""},
	} {
		u := userdb.New("joe")
		u.UID, u.GID, u.Home, u.Password = 1, 1, "/srv", "$1$x"
		tt.edit(&u)
		fields, lost := FormatUser(&u, now)
		parts := strings.Split(fields, ":")
		if len(parts) != maxParts || parts[tt.field] != tt.want || !slices.Equal(lost, strings.Fields(tt.loses)) {
			t.Errorf("%s: %s, without %v", tt.name, fields, lost)
		}
	}
}
