package userdb

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// looked is what a watch finds, a word each: a name, with "!" if the user is gone
// and "?" if it cannot be read.
func looked(t *testing.T, w *Watch, fresh, all []string) string {
	t.Helper()
	found, err := w.Look(fresh, func() []string { return all })
	if err != nil {
		t.Fatal(err)
	}
	return looksLike(found)
}

func looksLike(found iter.Seq2[User, error]) string {
	var names []string
	for u, err := range found {
		switch {
		case errors.Is(err, ErrNoUser):
			u.Name += "!"
		case err != nil:
			u.Name += "?"
		}
		names = append(names, u.Name)
	}
	return strings.Join(names, " ")
}

func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	db := At(path)
	w := NewWatch(db)
	if _, err := w.Look([]string{"ann"}, nil); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("without a database: %v", err)
	}
	for _, name := range []string{"ann", "bob"} {
		u := New(name)
		u.UID, u.GID, u.Home = 1001, 1001, "/home/"+name
		if err := db.Add(u); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"ann", "bob"}
	change := func(name string, edit func(*User)) {
		t.Helper()
		if err := db.Modify(name, func(u *User) error { edit(u); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, want string, fresh ...string) {
		t.Helper()
		if got := looked(t, w, fresh, all); got != want {
			t.Errorf("%s: found %q, not %q", what, got, want)
		}
	}
	want("the first look", "ann bob", "ann")
	want("nothing happened", "")
	want("somebody is new", "bob", "bob")
	change("ann", func(u *User) { u.Gecos = "Ann" })
	want("a change", "ann bob")
	want("nothing happened", "")
	if err := db.Touch("ann", netip.MustParseAddr("::1"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := db.AddUsage("ann", Usage{1, 1}); err != nil {
		t.Fatal(err)
	}
	want("usage alone", "")

	// Two changes within one tick of the file system's clock: the second changes no
	// time of the file.
	change("ann", func(u *User) { u.Gecos = "1" })
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	want("a change", "ann bob")
	change("ann", func(u *User) { u.Gecos = "2" })
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	want("a change at the same time", "ann bob")

	if err := db.Remove("bob"); err != nil {
		t.Fatal(err)
	}
	want("one is gone", "ann bob!")

	other := filepath.Join(t.TempDir(), "other.db")
	u := New("bob")
	u.UID, u.GID, u.Home = 1001, 1001, "/home/bob"
	if err := At(other).Add(u); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	want("another database", "ann! bob")
}

// A look that fails is made good by the next one.
func TestWatchTriesAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	db := At(path)
	u := New("ann")
	u.UID, u.GID, u.Home = 1001, 1001, "/home/ann"
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
	w, all := NewWatch(db), []string{"ann"}
	looked(t, w, nil, all)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Look(nil, func() []string { return all }); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("without its file: %v", err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("garbage", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Look(nil, func() []string { return all }); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged file: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if got := looked(t, w, nil, all); got != "ann" {
		t.Errorf("the file is back: found %q", got)
	}
}

// Ten thousand users are one short transaction.
func TestWatchOfMany(t *testing.T) {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	var names []string
	if _, err := db.AddAll(func(yield func(User, error) bool) {
		for i := range 10_000 {
			u := New(fmt.Sprintf("u%05d", i))
			u.UID, u.GID, u.Home = 1001, 1001, "/home/u"
			names = append(names, u.Name)
			if !yield(u, nil) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	w := NewWatch(db)
	start := time.Now()
	found, err := w.Look(nil, func() []string { return names })
	if err != nil {
		t.Fatal(err)
	}
	read := time.Since(start)
	if got := strings.Fields(looksLike(found)); !slices.Equal(got, names) {
		t.Errorf("%d users were found", len(got))
	}
	t.Logf("read in %v, with their records understood in %v", read, time.Since(start))
}
