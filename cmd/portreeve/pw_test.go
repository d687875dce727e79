package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portreeve/server"
	"portreeve/userdb"
)

// pw runs a command of pw in this process and returns what it printed.
func pw(t *testing.T, db, input string, args ...string) (out, complaints string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	e := &env{in: strings.NewReader(input), out: &stdout, err: &stderr, getenv: func(string) string { return "" }}
	code = run(t.Context(), e, append([]string{"pw", "--db", db}, args...))
	return stdout.String(), stderr.String(), code
}

// TestDefaultCost ties the two places that say what a new hash costs.
func TestDefaultCost(t *testing.T) {
	if got, want := userdb.Cost(server.DefaultConfig().PasswordCost), userdb.DefaultCost(); got != want {
		t.Errorf("the directive says %v by default, the database %v", got, want)
	}
}

func TestUseraddStoresWhatWasTyped(t *testing.T) {
	db := filepath.Join(t.TempDir(), "users.db")
	out, complaints, code := pw(t, db, "Grüße 檔案\nGrüße 檔案\n", "useradd", "alice", "-u", "1001", "-g", "1002", "-d", "/", "--cost", "11:8:2")
	if code != exitDone || out != "user alice added\n" || complaints != "" {
		t.Fatalf("exit code %d, %q, %q", code, out, complaints)
	}
	u, err := userdb.At(db).Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := userdb.Verify(u.Password, "Grüße 檔案", 1<<30); !ok || err != nil {
		t.Errorf("the password does not verify: %v", err)
	}
	if cost := (userdb.Cost{LogN: 11, R: 8, P: 2}); userdb.Weaker(u.Password, cost) {
		t.Errorf("%s is weaker than %v", u.Password, cost)
	}
	if u.UID != 1001 || u.GID != 1002 || !u.Caged || u.Perms != userdb.AllPerms {
		t.Errorf("stored %+v", u)
	}
}

func TestShowLastLoginAndUsage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	db := userdb.At(path)
	u := userdb.New("alice")
	u.UID, u.GID, u.Home, u.QuotaBytes = 1001, 1001, "/", userdb.LimitOf(10<<20)
	u.Gecos = "\u202egnol" // turns the text around on a terminal
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
	if err := db.Touch("alice", netip.MustParseAddr("2001:db8::1"), time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if err := db.AddUsage("alice", userdb.Usage{Files: 3, Bytes: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	out, _, code := pw(t, path, "", "show", "alice")
	for _, want := range []string{
		"\npassword         none; nobody can log in\n", " from 2001:db8::1\n", "\nfiles            3\n",
		"\nbytes            5.0 MiB, 50 % of the quota\n", "\ngecos            ?gnol\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("exit code %d, no %q in\n%s", code, want, out)
		}
	}
	out, _, _ = pw(t, path, "", "show", "alice", "--json")
	for _, want := range []string{`"at": "2026-05-06T07:08:09Z"`, `"from": "2001:db8::1"`, `"files": 3`, `"bytes": 5242880`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

// TestListStreams lists more users than one batch of the database has, to a
// reader that goes away.
func TestListStreams(t *testing.T) {
	const many = 3000
	path := filepath.Join(t.TempDir(), "users.db")
	_, err := userdb.At(path).AddAll(func(yield func(userdb.User, error) bool) {
		for i := range many {
			u := userdb.New(fmt.Sprintf("user%04d", i))
			u.UID, u.GID, u.Home = 1001, 1001, "/home/"+u.Name
			if !yield(u, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"list", "--json"}} {
		out, complaints, code := pw(t, path, "", args...)
		if n := strings.Count(out, "\n"); code != exitDone || n != many || complaints != "" {
			t.Errorf("%v: exit code %d, %d lines, %q", args, code, n, complaints)
		}
		if !strings.Contains(out, "user2999") {
			t.Errorf("%v: the last user is missing", args)
		}
	}
}

// A folder is made for a database that nobody named, and for no other.
func TestDatabaseFolder(t *testing.T) {
	named := filepath.Join(t.TempDir(), "no", "such", "users.db")
	e := &env{getenv: func(name string) string {
		return map[string]string{"PORTREEVE_DB": named, "XDG_STATE_HOME": "/state"}[name]
	}}
	if got := e.database(e.defaultDB()); got != userdb.At(named) {
		t.Errorf("the database of the environment is %+v", got)
	}
	e.getenv = func(name string) string { return map[string]string{"XDG_STATE_HOME": "/state"}[name] }
	if got := e.database(e.defaultDB()); got != userdb.At(e.defaultDB()).WithFolder() {
		t.Errorf("the database that nobody named is %+v", got)
	}
	_, complaints, code := pw(t, named, "", "useradd", "alice", "-u", "1001", "-g", "1002", "-d", "/", "--password-hash", "$6$saltsalt$hash")
	want := "portreeve: creating the user database: no such folder: " + filepath.Dir(named) + "\n"
	if code != exitFailed || !strings.HasPrefix(complaints, want) {
		t.Errorf("exit code %d, %q", code, complaints)
	}
}
