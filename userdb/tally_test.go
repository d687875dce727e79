package userdb

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

func TestTally(t *testing.T) {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	if got, err := db.Tally("alice"); err != nil || got != (Tally{}) {
		t.Errorf("without a database: %+v, %v", got, err)
	}
	if names, err := db.Unfinished("w"); err != nil || len(names) != 0 {
		t.Errorf("without a database: %q, %v", names, err)
	}
	if _, err := db.BeginWriting("w", []string{"guest"}); err != nil { // makes it
		t.Fatal(err)
	}
	u := New("alice")
	u.UID, u.GID, u.Home = 1000, 1000, "/"
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
	revision, err := db.Revision()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetUsage("alice", Usage{3, 30}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := db.BeginWriting("w", []string{"alice"}); err != nil || got["alice"] != (Tally{Usage: Usage{3, 30}, Counted: true, Writer: "w"}) {
		t.Errorf("BeginWriting: %+v, %v", got, err)
	}
	for _, writer := range []string{"w", "other"} {
		names, err := db.Unfinished(writer)
		if want := map[string]int{"w": 0, "other": 2}[writer]; err != nil || len(names) != want {
			t.Errorf("unfinished besides %s: %q, %v", writer, names, err)
		}
	}
	got, err := db.AddUsages("w", map[string]Change{"alice": {Usage{-5, 12}, true}, "guest": {Usage: Usage{1, 2}}})
	if err != nil || got["alice"] != (Tally{Usage: Usage{0, 42}, Counted: true}) || got["guest"] != (Tally{Usage: Usage{1, 2}, Writer: "w"}) {
		t.Errorf("AddUsages: %+v, %v", got, err)
	}
	if usage, err := db.Usage("alice"); err != nil || usage != (Usage{0, 42}) {
		t.Errorf("Usage: %+v, %v", usage, err)
	}
	// Another writer does not take a name back, and a count takes them all.
	if got, err = db.AddUsages("other", map[string]Change{"guest": {Done: true}}); err != nil || got["guest"].Writer != "w" {
		t.Errorf("a foreign writer: %+v, %v", got, err)
	}
	if err := db.SetUsage("guest", Usage{9, 9}, "other"); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Tally("guest"); err != nil || got != (Tally{Usage: Usage{9, 9}, Counted: true}) {
		t.Errorf("counted: %+v, %v", got, err)
	}
	if err := db.Uncount([]string{"nobody", "guest"}); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Tally("guest"); err != nil || got != (Tally{Usage: Usage{9, 9}, Left: true}) {
		t.Errorf("uncounted: %+v, %v", got, err)
	}
	if err := db.SetUsage("guest", Usage{9, 9}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Tally("guest"); err != nil || got != (Tally{Usage: Usage{9, 9}, Counted: true}) {
		t.Errorf("counted again: %+v, %v", got, err)
	}
	if now, err := db.Revision(); err != nil || now != revision {
		t.Errorf("the revision went from %d to %d, %v", revision, now, err)
	}
	if err := db.Remove("alice"); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Tally("alice"); err != nil || got != (Tally{}) {
		t.Errorf("removed: %+v, %v", got, err)
	}
}

func TestUsageStaysANumber(t *testing.T) {
	u := Usage{math.MaxInt64 - 1, 5}
	u.add(Usage{10, -10})
	if u != (Usage{math.MaxInt64 - 1, 0}) {
		t.Errorf("%+v", u)
	}
}

// A record that cannot be read is an error, until it is begun anew.
func TestMalformedTally(t *testing.T) {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	if err := db.SetUsage("guest", Usage{1, 1}, ""); err != nil {
		t.Fatal(err)
	}
	err := db.update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketGuests)).Put([]byte("guest"), []byte("1\nbytes many\n"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Tally("guest"); !errors.Is(err, ErrMalformed) {
		t.Errorf("a malformed record: %v", err)
	}
	if all, err := db.Tallies(); err != nil || all["guest"] != (Tally{}) {
		t.Errorf("Tallies: %+v, %v", all, err)
	}
	if err := db.SetUsage("guest", Usage{2, 2}, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Tally("guest"); err != nil || got != (Tally{Usage: Usage{2, 2}, Counted: true}) {
		t.Errorf("begun anew: %+v, %v", got, err)
	}
}

// What others say is believed of those of whom nothing is known here.
func TestLearnUsages(t *testing.T) {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	for _, name := range []string{"known", "new"} {
		u := New(name)
		u.UID, u.GID, u.Home = 1001, 1001, "/srv"
		if err := db.Add(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.SetUsage("known", Usage{1, 1}, ""); err != nil {
		t.Fatal(err)
	}
	said := map[string]Usage{"known": {9, 9}, "new": {2, 20}, "nobody": {3, 3}}
	if err := db.LearnUsages(said); err != nil {
		t.Fatal(err)
	}
	all, err := db.Tallies()
	want := map[string]Tally{"known": {Usage: Usage{1, 1}, Counted: true}, "new": {Usage: Usage{2, 20}, Counted: true}}
	if err != nil || !maps.Equal(all, want) {
		t.Errorf("%+v, %v", all, err)
	}
}
