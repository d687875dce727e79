package auth

import (
	"errors"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"portreeve/userdb"
)

// knows is a system with one user.
func knows(u user.User) func(string) (*user.User, error) {
	return func(name string) (*user.User, error) {
		if name != u.Username {
			return nil, user.UnknownUserError(name)
		}
		return &u, nil
	}
}

func TestAnonymous(t *testing.T) {
	home, root := t.TempDir(), t.TempDir()
	ftp := user.User{Username: "ftp", Uid: "114", Gid: "65534", HomeDir: home}
	b := &Anonymous{Lookup: knows(ftp)}
	c := testChain(t, Options{Backends: []Backend{b}, Cost: testCost(), MinUID: 1000})
	for _, name := range []string{"anonymous", "ftp", "FTP", "Anonymous"} {
		for _, password := range []string{"", "me@example.org", "-", "a\x00b\r\n", strings.Repeat("x", 5000)} {
			a, err := c.Login(t.Context(), attempt(name, password))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if a.Name != "ftp" || a.UID != 114 || a.GID != 65534 || a.Groups == nil || len(a.Groups) > 0 || a.Home != home ||
				!a.Caged || !a.Anonymous || a.Perms != userdb.PermList|userdb.PermRead {
				t.Errorf("%s gets %+v", name, a)
			}
		}
	}
	if c.Failures(client) != 0 {
		t.Error("anonymous logins count as failures")
	}
	for _, name := range []string{"alice", "anonymous ", "ftp2", ""} {
		if _, err := c.Login(t.Context(), attempt(name, "x")); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	b.Root = root
	if a, err := c.Login(t.Context(), attempt("ftp", "")); err != nil || a.Home != root {
		t.Errorf("with a root of its own: %+v, %v", a, err)
	}
	b.ByAddress = t.TempDir()
	for name, target := range map[string]string{"192.0.2.1": t.TempDir(), "2001:db8::1": t.TempDir(), "192.0.2.3": "/nosuch"} {
		if err := os.Symlink(target, filepath.Join(b.ByAddress, name)); err != nil {
			t.Fatal(err)
		}
	}
	for local, want := range map[string]string{"192.0.2.1": b.ByAddress + "/192.0.2.1", "::ffff:192.0.2.1": b.ByAddress + "/192.0.2.1",
		"2001:db8:0::1": b.ByAddress + "/2001:db8::1", "192.0.2.2": root, "192.0.2.3": root} {
		at := attempt("ftp", "")
		at.Local = netip.MustParseAddr(local)
		if a, err := c.Login(t.Context(), at); err != nil || a.Home != want {
			t.Errorf("at %s: %+v, %v", local, a, err)
		}
	}
	ftp.Username = "_ftp"
	b.Lookup = knows(ftp)
	if _, err := c.Login(t.Context(), attempt("ftp", "")); err != nil {
		t.Errorf("as _ftp: %v", err)
	}
}

// TestAnonymousIsOff has all that may be missing: then nobody is let in.
func TestAnonymousIsOff(t *testing.T) {
	home := t.TempDir()
	file := home + "/file"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		user user.User
		root string
	}{
		"no user":        {user.User{Username: "nobody", Uid: "1", Gid: "1", HomeDir: home}, ""},
		"root's uid":     {user.User{Username: "ftp", Uid: "0", Gid: "1", HomeDir: home}, home},
		"root's gid":     {user.User{Username: "ftp", Uid: "1", Gid: "0", HomeDir: home}, home},
		"a uid below 0":  {user.User{Username: "ftp", Uid: "-1", Gid: "1", HomeDir: home}, home},
		"no uid":         {user.User{Username: "ftp", Uid: "S-1-5", Gid: "1", HomeDir: home}, home},
		"no home":        {user.User{Username: "ftp", Uid: "1", Gid: "1", HomeDir: home + "/gone"}, ""},
		"home /":         {user.User{Username: "ftp", Uid: "1", Gid: "1", HomeDir: "/"}, ""},
		"home //":        {user.User{Username: "ftp", Uid: "1", Gid: "1", HomeDir: "//."}, ""},
		"empty home":     {user.User{Username: "ftp", Uid: "1", Gid: "1"}, ""},
		"home is a file": {user.User{Username: "ftp", Uid: "1", Gid: "1", HomeDir: file}, ""},
		"root is gone":   {user.User{Username: "ftp", Uid: "1", Gid: "1", HomeDir: home}, home + "/gone"},
	} {
		b := &Anonymous{Root: tt.root, Lookup: knows(tt.user)}
		if a, err := b.Login(t.Context(), attempt("ftp", "")); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
		if b.Check() == nil {
			t.Errorf("%s: nothing is missing", what)
		}
	}
	b := &Anonymous{Root: home, Lookup: knows(user.User{})}
	a, err := b.Login(t.Context(), attempt("ftp", ""))
	if os.Geteuid() == 0 && !errors.Is(err, ErrUnknown) || os.Geteuid() != 0 && (err != nil || a.UID != os.Geteuid()) {
		t.Errorf("without a user, as %s: %+v, %v", strconv.Itoa(os.Geteuid()), a, err)
	}
}

// TestHosts logs in to virtual hosts, whose users are not each other's.
func TestHosts(t *testing.T) {
	here := &memory{users: map[string]string{"alice": secret}, home: "/here"}
	there := &memory{users: map[string]string{"alice": "other"}, home: "/there"}
	c := testChain(t, Options{Backends: []Backend{here}, Cost: testCost(),
		Hosts: map[string]Ways{"there": {Backends: []Backend{there}}, "empty": {}}})
	for _, tt := range []struct {
		host, password, home string
		err                  error
	}{
		{"", secret, "/here", nil},
		{"", "other", "", ErrDenied},
		{"there", "other", "/there", nil},
		{"there", secret, "", ErrDenied},
		{"empty", secret, "", ErrUnknown},
	} {
		a := attempt("alice", tt.password)
		a.Host = tt.host
		if got, err := c.Login(t.Context(), a); !errors.Is(err, tt.err) || got.Home != tt.home {
			t.Errorf("%q, %q: %+v, %v", tt.host, tt.password, got, err)
		}
	}
	if n := c.Failures(client); n != 3 {
		t.Errorf("%d failures are counted", n)
	}
	a := attempt("alice", secret)
	a.Host = "gone"
	if _, err := c.Login(t.Context(), a); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied) {
		t.Errorf("a host that is gone: %v", err)
	}
	bad := Options{Cost: testCost(), Hosts: map[string]Ways{"there": {Methods: []Method{{"magic", ""}}}}}
	if err := c.Configure(bad); err == nil || !strings.Contains(err.Error(), "virtual host there") {
		t.Errorf("a host with a method that there is not: %v", err)
	}
}
