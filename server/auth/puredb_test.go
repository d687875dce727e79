package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/userdb"
)

// pureFile has pure-pw make a file of users out of lines.
func pureFile(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pureftpd.pdb")
	writePure(t, path, lines...)
	return path
}

func writePure(t testing.TB, path string, lines ...string) {
	t.Helper()
	text := filepath.Join(t.TempDir(), "pureftpd.passwd")
	if err := os.WriteFile(text, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("pure-pw", "mkdb", path, "-f", text).CombinedOutput(); err != nil {
		t.Fatalf("pure-pw mkdb (Debian package pure-ftpd-common): %v\n%s", err, out)
	}
}

func pureOptions(path string) Options {
	return Options{Methods: []Method{{"puredb", path}}, Cost: testCost()}
}

func TestPureDB(t *testing.T) {
	hash := hashOf(t, secret)
	path := pureFile(t,
		"alice:"+hash+":1000:1001::/srv/alice/./pub:2048:1024:1:5:3:100:1000000::::10.0.0.0/8:",
		"free:"+hash+":1000:1001::/srv/free",
		"denied:"+hash+":1000:1001::/srv/x:::::::::::0.0.0.0/1:",
		"late:"+hash+":1000:1001::/srv/x::::::::::::noon",
		"root:"+hash+":0:0::/root",
		"locked:!"+hash+":1000:1001::/srv/x",
		"typo:"+hash+":1000:1001::/srv/x:fast",
		"alice:"+hashOf(t, "other")+":1000:1001::/srv/other",
	)
	c := testChain(t, pureOptions(path))
	got, err := c.Login(t.Context(), attempt("alice", secret))
	if err != nil || got.Home != "/srv/alice/./pub" || !got.Caged || got.UploadRate != 2048 || got.DownloadRate != 1024 ||
		got.UploadRatio != 1 || got.DownloadRatio != 5 || got.MaxSessions != 3 || got.QuotaFiles != userdb.LimitOf(100) ||
		got.QuotaBytes != userdb.LimitOf(1000000) || got.Perms != userdb.AllPerms || len(got.DenyClient) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := c.Login(t.Context(), attempt("free", secret)); err != nil || got.Caged || got.Home != "/srv/free" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, cause := range map[string]error{"late": userdb.ErrMalformed, "root": userdb.ErrMalformed,
		"locked": userdb.ErrUnknownHash, "typo": userdb.ErrMalformed} {
		for _, password := range []string{secret, "wrong", ""} {
			if got, err := c.Login(t.Context(), attempt(name, password)); !errors.Is(err, ErrDenied) || !errors.Is(err, cause) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
	if _, err := c.Login(t.Context(), attempt("denied", secret)); err != nil {
		t.Errorf("from an address that is not denied: %v", err)
	}
	elsewhere := attempt("denied", secret)
	elsewhere.From = netip.MustParseAddr("100.64.0.1")
	if _, err := c.Login(t.Context(), elsewhere); !errors.Is(err, ErrAddress) {
		t.Errorf("from one that is: %v", err)
	}
	if _, err := c.Login(t.Context(), attempt("alice", "other")); !errors.Is(err, ErrPassword) {
		t.Errorf("the second line of a name: %v", err)
	}
}

// A file that is replaced under the daemon counts at once, whichever kind it becomes.
func TestPureDBReplaced(t *testing.T) {
	db := testDB(t)
	o := pureOptions(db.Path())
	o.Remember = 0
	c := testChain(t, o)
	if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"second", "third"} {
		writePure(t, db.Path(), "alice:"+hashOf(t, password)+":1000:1001::/srv/alice")
		if _, err := c.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrPassword) {
			t.Errorf("the old password: %v", err)
		}
		if _, err := c.Login(t.Context(), attempt("alice", password)); err != nil {
			t.Errorf("the new password: %v", err)
		}
	}
	if err := os.WriteFile(db.Path(), []byte("PDB2 and no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Login(t.Context(), attempt("alice", "third")); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied) {
		t.Errorf("a damaged file: %+v, %v", got, err)
	}
	os.Remove(db.Path())
	if _, err := c.Login(t.Context(), attempt("alice", "third")); !errors.Is(err, ErrUnknown) {
		t.Errorf("no file: %v", err)
	}
}

// Thousands of users are found as fast as one: the file is read, not loaded.
func BenchmarkPureDB(b *testing.B) {
	var lines []string
	for i := range 100_000 {
		lines = append(lines, fmt.Sprintf("user%d:x:1000:1001::/srv/user%d", i, i))
	}
	backend, err := newUsers(shared{}, pureFile(b, lines...))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if u, err := backend.(*users).find("user77777"); err != nil || u.Home != "/srv/user77777" {
			b.Fatal(u, err)
		}
	}
}
