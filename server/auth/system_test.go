package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/userdb"
)

// etc writes a folder of system files.
func etc(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// systemFiles are those of users who are fine and of some who are not.
func systemFiles(t testing.TB) map[string]string {
	hash, today := hashOf(t, secret), time.Now().Unix()/(24*60*60)
	var passwd, shadow strings.Builder
	for _, u := range []struct{ name, passwd, shadow string }{
		{"root", "x:0:0:root:/root:/bin/bash", hash + ":::::::"},
		{"alice", "x:1000:1001:Alice,,,:/home/alice:/bin/bash", fmt.Sprintf("%s:%d:0:99999:7:::", hash, today-100)},
		{"bare", hash + ":1000:1001::/home/bare:/bin/sh", ""},
		{"noshell", "x:1000:1001::/home/x:", hash + ":::::::"},
		{"ftponly", "x:1000:1001::/home/x/./pub:ftp", hash + ":::::::"},
		{"nologin", "x:1000:1001::/home/x:/usr/sbin/nologin", hash + ":::::::"},
		{"locked", "x:1000:1001::/home/x:/bin/sh", "!" + hash + ":::::::"},
		{"empty", "x:1000:1001::/home/x:/bin/sh", ":::::::"},
		{"open", ":1000:1001::/home/x:/bin/sh", ""},
		{"star", "*:1000:1001::/home/x:/bin/sh", ""},
		{"des", "x:1000:1001::/home/x:/bin/sh", "abJnggxhB/yWI:::::::"},
		{"ended", "x:1000:1001::/home/x:/bin/sh", fmt.Sprintf("%s::::::%d:", hash, today)},
		{"ending", "x:1000:1001::/home/x:/bin/sh", fmt.Sprintf("%s::::::%d:", hash, today+2)},
		{"never", "x:1000:1001::/home/x:/bin/sh", fmt.Sprintf("%s:::-1:::-1:", hash)},
		{"change", "x:1000:1001::/home/x:/bin/sh", hash + ":0::::::"},
		{"old", "x:1000:1001::/home/x:/bin/sh", fmt.Sprintf("%s:%d:0:30::::", hash, today-32)},
		{"fresh", "x:1000:1001::/home/x:/bin/sh", fmt.Sprintf("%s:%d:0:30::::", hash, today-29)},
		{"noshadow", "x:1000:1001::/home/x:/bin/sh", ""},
		{"shortshadow", "x:1000:1001::/home/x:/bin/sh", hash + "::"},
		{"oddshadow", "x:1000:1001::/home/x:/bin/sh", hash + "::::::soon:"},
		{"short", "x:1000:1001", hash + ":::::::"},
		{"odd", "x:many:1001::/home/x:/bin/sh", hash + ":::::::"},
		{"negative", "x:-1:1001::/home/x:/bin/sh", hash + ":::::::"},
		{"nohome", "x:1000:1001:::/bin/sh", hash + ":::::::"},
		{"climbs", "x:1000:1001::/home/../etc:/bin/sh", hash + ":::::::"},
	} {
		passwd.WriteString(u.name + ":" + u.passwd + "\n")
		if u.shadow != "" {
			shadow.WriteString(u.name + ":" + u.shadow + "\n")
		}
	}
	return map[string]string{
		"passwd": passwd.String(), "shadow": shadow.String(),
		"shells": "# /usr/sbin/nologin\n\n/bin/sh # the old one\n/bin/bash\n",
		"group":  "alice:x:1001:\naudio:x:29:bob,alice\nftp:x:130:alice\nodd:x:many:alice\nshort:x:9\nmalice:x:31:malice\n",
	}
}

func systemChain(t testing.TB, files map[string]string) *Chain {
	t.Helper()
	o := Options{Methods: []Method{{"unix", etc(t, files)}}, Cost: testCost()}
	return testChain(t, o)
}

func TestSystem(t *testing.T) {
	c := systemChain(t, systemFiles(t))
	got, err := c.Login(t.Context(), attempt("alice", secret))
	if err != nil || got.UID != 1000 || got.GID != 1001 || got.Home != "/home/alice" || got.Caged || got.Perms != userdb.AllPerms || !slices.Equal(got.Groups, []int{29, 130}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := c.Login(t.Context(), attempt("ftponly", secret)); err != nil || !got.Caged || got.Home != "/home/x/./pub" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, want := range map[string]error{
		"bare": nil, "noshell": nil, "ending": nil, "never": nil, "fresh": nil,
		"root": userdb.ErrMalformed, "nologin": ErrShell, "locked": userdb.ErrUnknownHash, "empty": userdb.ErrUnknownHash, "open": userdb.ErrUnknownHash,
		"star": userdb.ErrUnknownHash, "des": userdb.ErrUnknownHash, "ended": ErrExpired, "change": ErrPasswordExpired, "old": ErrPasswordExpired,
		"noshadow": userdb.ErrMalformed, "shortshadow": userdb.ErrMalformed, "oddshadow": userdb.ErrMalformed, "short": userdb.ErrMalformed,
		"odd": userdb.ErrMalformed, "negative": userdb.ErrMalformed, "nohome": userdb.ErrMalformed, "climbs": userdb.ErrMalformed,
	} {
		if got, err := c.Login(t.Context(), attempt(name, secret)); !errors.Is(err, want) || (want != nil) != errors.Is(err, ErrDenied) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for _, wrong := range []string{"", "x", "*", "!"} {
			before := c.load.checked.Load()
			if got, err := c.Login(t.Context(), attempt(name, wrong)); !errors.Is(err, ErrDenied) || got.Home != "" {
				t.Errorf("%s with %q: %+v, %v", name, wrong, got, err)
			}
			if n := c.load.checked.Load() - before; n != 1 {
				t.Errorf("%s with %q costs %d hashes", name, wrong, n)
			}
		}
	}
	for _, name := range []string{"ali", "alice:x", "", "nobody", "alic.*", "\nroot"} {
		if _, err := c.Login(t.Context(), attempt(name, secret)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	a := attempt("alice", "")
	a.Certified = true
	if _, err := c.Login(t.Context(), a); !errors.Is(err, ErrDenied) {
		t.Errorf("by a certificate: %v", err)
	}
}

// Without a list of shells there are two.
func TestSystemWithoutShells(t *testing.T) {
	files := systemFiles(t)
	delete(files, "shells")
	delete(files, "group")
	c := systemChain(t, files)
	if got, err := c.Login(t.Context(), attempt("noshell", secret)); err != nil || got.Groups == nil {
		t.Errorf("/bin/sh: %+v, %v", got, err)
	}
	if _, err := c.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrShell) {
		t.Errorf("/bin/bash: %v", err)
	}
}

// Files that cannot be read let nobody in, and pass nobody on.
func TestSystemUnreadable(t *testing.T) {
	for _, missing := range []string{"passwd", "shadow"} {
		files := systemFiles(t)
		delete(files, missing)
		c := systemChain(t, files)
		if got, err := c.Login(t.Context(), attempt("alice", secret)); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied) {
			t.Errorf("without %s: %+v, %v", missing, got, err)
		}
	}
}

func TestMasterPasswd(t *testing.T) {
	hash, now := hashOf(t, secret), time.Now().Unix()
	lines := fmt.Sprintf("# $FreeBSD$\nalice:%[1]s:1000:1001:staff:0:0:Alice:/home/alice:/bin/sh\nlater:%[1]s:1000:1001::%[2]d:%[2]d::/home/x:/bin/sh\n"+
		"old:%[1]s:1000:1001::%[3]d:0::/home/x:/bin/sh\nended:%[1]s:1000:1001::0:%[3]d::/home/x:/bin/sh\nodd:%[1]s:1000:1001::0:soon::/home/x:/bin/sh\n"+
		"short:%[1]s:1000:1001::/home/x:/bin/sh\nlocked:*LOCKED*%[1]s:1000:1001::0:0::/home/x:/bin/sh\n", hash, now+3600, now-1)
	c := systemChain(t, map[string]string{"master.passwd": lines, "passwd": "alice:*:1:1::/:/bin/sh\n"})
	for name, want := range map[string]error{"alice": nil, "later": nil, "old": ErrPasswordExpired, "ended": ErrExpired, "odd": userdb.ErrMalformed,
		"short": userdb.ErrMalformed, "locked": userdb.ErrUnknownHash, "nobody": ErrUnknown} {
		if got, err := c.Login(t.Context(), attempt(name, secret)); !errors.Is(err, want) || want == nil && got.Home == "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzSystem(f *testing.F) {
	f.Add("alice:x:1000:1001::/home/alice:/bin/sh", "alice:$5$a$b:19000:0:99999:7:::")
	f.Fuzz(func(t *testing.T, passwd, shadow string) {
		b := &system{dir: etc(t, map[string]string{"passwd": passwd, "shadow": shadow})}
		if u, err := b.find("alice"); err == nil && (u.UID <= 0 || u.GID <= 0 || !strings.HasPrefix(u.Home, "/")) {
			t.Errorf("%+v", u)
		}
	})
}
