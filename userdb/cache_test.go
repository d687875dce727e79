package userdb

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCache: what is in memory is what is in the file, after every kind of change.
func TestCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	db := At(path)
	c := NewCache(db)
	if _, err := c.Get("joe"); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("without a database: %v", err)
	}
	u := New("joe")
	u.UID, u.GID, u.Home, u.Password = 1001, 1001, "/home/joe", "!"
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	rest := func() { // as if the file had been left alone since, a second more each time
		t.Helper()
		now = now.Add(time.Second)
		at := now.Add(-time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	want := func(home string) {
		t.Helper()
		for range 3 {
			if u, err := c.Get("joe"); err != nil || u.Home != home {
				t.Errorf("home %q, %v; want %q", u.Home, err, home)
			}
		}
	}
	set := func(home string) {
		t.Helper()
		if err := db.Modify("joe", func(u *User) error { u.Home = home; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	want("/home/joe") // just written: not trusted yet
	rest()
	want("/home/joe")
	if len(c.users) != 1 {
		t.Errorf("%d users are in memory", len(c.users))
	}
	for _, home := range []string{"/1", "/2", "/3"} { // quickly, one after the other
		set(home)
		want(home)
	}
	rest()
	want("/3")
	if err := db.Remove("joe"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get("joe"); !errors.Is(err, ErrNoUser) {
		t.Errorf("a user who was removed: %v", err)
	}
	rest()
	for range 2 {
		if _, err := c.Get("joe"); !errors.Is(err, ErrNoUser) {
			t.Errorf("a user who was removed: %v", err)
		}
	}
}
