package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/userdb"
)

// crowdedDB makes a database of 25 users and a long comment.
func crowdedDB(t *testing.T) userdb.DB {
	t.Helper()
	db := userdb.At(filepath.Join(t.TempDir(), "users.db"))
	_, err := db.AddAll(func(yield func(userdb.User, error) bool) {
		for i := range 25 {
			u := userdb.New(fmt.Sprintf("user%02d", i))
			u.UID, u.GID, u.Home, u.Password = 1001, 1001, "/srv/許功蓋", "$6$salt$secret"
			u.Gecos = strings.Repeat("許功蓋 and more, ", 5)
			if !yield(u, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// What is asked at a terminal is shown before, within its width; only a yes counts.
func TestBulkOnATerminal(t *testing.T) {
	for _, tt := range []struct {
		typed string
		code  int
		said  string
	}{{"y\n", exitDone, "25 users changed; portreeve pw undo 2 takes it back"}, {"\n", exitFailed, "nothing is changed"}, {"\x03", exitFailed, "interrupted; nothing was changed"}} {
		db := crowdedDB(t)
		tty := openTerminal(t, 80)
		cmd := tty.start(db.Path(), "pw", "usermod", "--where", "gid=1001", "--set", "gecos=none", "-N", "5G")
		tty.expect("Change 25 users? [y/N] ")
		if _, err := tty.master.WriteString(tt.typed); err != nil {
			t.Fatal(err)
		}
		shown, code := tty.rest(cmd)
		if code != tt.code || !strings.Contains(shown, tt.said) || !strings.Contains(shown, "and 5 more users; --json shows them all") {
			t.Errorf("%q: exit code %d, and the terminal shows %q", tt.typed, code, shown)
		}
		for line := range strings.Lines(shown) {
			if n := columns(strings.TrimRight(line, "\r\n")); n > 80 && !strings.Contains(line, "[y/N]") {
				t.Errorf("a line of %d columns: %q", n, line)
			}
		}
		u, err := db.Get("user07")
		if err != nil || (u.Gecos == "") != (tt.code == exitDone) || strings.Contains(shown, "$") {
			t.Errorf("%q: the user is %+v, %v", tt.typed, u, err)
		}
	}
}

// If one of the users who were shown is changed before the yes, nobody is.
func TestBulkConflict(t *testing.T) {
	db := crowdedDB(t)
	tty := openTerminal(t, 80)
	cmd := tty.start(db.Path(), "pw", "usermod", "--where", "gid=1001", "--disabled")
	tty.expect("Change 25 users? [y/N] ")
	if err := db.Modify("user24", func(u *userdb.User) error { u.MaxSessions = 1; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := tty.master.WriteString("yes\n"); err != nil {
		t.Fatal(err)
	}
	shown, code := tty.rest(cmd)
	if code != exitFailed || !strings.Contains(shown, "a user was changed meanwhile: user24; nothing is changed") {
		t.Errorf("exit code %d, and the terminal shows %q", code, shown)
	}
	for u, err := range db.All() {
		if err != nil || u.Disabled {
			t.Errorf("%s is disabled, %v", u.Name, err)
		}
	}
}
