package userdb

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func editable(i int) User {
	u := New(fmt.Sprintf("user%06d", i))
	u.UID, u.GID, u.Home = 1000, 1000, "/srv/"+u.Name
	return u
}

// putAll puts users as a reader of a file would.
func putAll(t *testing.T, e *Edits, users ...User) {
	t.Helper()
	names := make([]string, len(users))
	for i := range users {
		names[i] = users[i].Name
	}
	found, err := e.Read(names)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range users {
		if err := e.Put(found[i], u); err != nil {
			t.Fatal(err)
		}
	}
}

func many(from, to int) (users []User) {
	for i := from; i < to; i++ {
		users = append(users, editable(i))
	}
	return users
}

// Both ways to write have the same outcome.
func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		users int
	}{{"one transaction", 100}, {"a new file", rebuildFrom}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := At(filepath.Join(t.TempDir(), "users.db"))
			stays, changes := editable(-5), editable(7)
			for _, u := range []User{stays, changes} {
				if err := db.Add(u); err != nil {
					t.Fatal(err)
				}
			}
			at := Login{time.Now().UTC().Truncate(time.Second), netip.MustParseAddr("192.0.2.1")}
			if err := db.Touch(stays.Name, at.From, at.At); err != nil {
				t.Fatal(err)
			}
			before, err := db.Revision()
			if err != nil {
				t.Fatal(err)
			}
			e := db.Edits()
			users := many(0, tt.users)
			users[7].Gecos = "changed"
			putAll(t, e, users...)
			putAll(t, e, stays) // as it is: nothing to write
			if e.Len() != tt.users {
				t.Errorf("%d users would be written, not %d", e.Len(), tt.users)
			}
			told := 0
			if err := e.Commit(func(n int) { told = n }); err != nil {
				t.Fatal(err)
			}
			if told != tt.users {
				t.Errorf("%d users were told to be written, not %d", told, tt.users)
			}
			n := 0
			for u, err := range db.All() {
				if err != nil {
					t.Fatal(err)
				}
				if u.Home != "/srv/"+u.Name || (u.Gecos == "changed") != (u.Name == changes.Name) {
					t.Fatalf("user %+v", u)
				}
				n++
			}
			if n != tt.users+1 {
				t.Errorf("there are %d users", n)
			}
			if after, err := db.Revision(); err != nil || after <= before {
				t.Errorf("revision %d follows %d, %v", after, before, err)
			}
			if last, err := db.Last(stays.Name); err != nil || last != at {
				t.Errorf("the last login is %v, %v", last, err)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(db.Path()), ".users-*")); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
			if info, err := os.Stat(db.Path()); err != nil || info.Mode() != 0o600 {
				t.Errorf("the file is %v, %v", info.Mode(), err)
			}
		})
	}
}

// If one user cannot be written none is.
func TestEditsConflict(t *testing.T) {
	for _, n := range []int{100, rebuildFrom} {
		for name, meddle := range map[string]func(DB) error{
			"added": func(db DB) error { return db.Add(editable(50)) },
			"changed": func(db DB) error {
				return db.Modify("user000003", func(u *User) error { u.Disabled = true; return nil })
			},
			"removed": func(db DB) error { return db.Remove("user000003") },
		} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				t.Parallel()
				db := At(filepath.Join(t.TempDir(), "users.db"))
				if err := db.Add(editable(3)); err != nil {
					t.Fatal(err)
				}
				e := db.Edits()
				users := many(0, n)
				users[3].Gecos = "changed"
				putAll(t, e, users...)
				if err := meddle(db); err != nil {
					t.Fatal(err)
				}
				if err := e.Commit(nil); !errors.Is(err, ErrConflict) {
					t.Errorf("the commit ends with %v", err)
				}
				if _, err := db.Get("user000001"); !errors.Is(err, ErrNoUser) {
					t.Errorf("another user is there: %v", err)
				}
			})
		}
	}
}

func TestEditsTwice(t *testing.T) {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	e := db.Edits()
	putAll(t, e, editable(1))
	putAll(t, e, editable(1))
	if err := e.Commit(nil); !errors.Is(err, ErrUserExists) {
		t.Errorf("a user put twice ends with %v", err)
	}
	if err := db.Edits().Put(Stored{}, New("nobody")); !errors.Is(err, ErrInvalid) {
		t.Errorf("a user without a home ends with %v", err)
	}
}

// What others write while the file is replaced is not lost, and they are not
// refused.
func TestEditsAmongWriters(t *testing.T) {
	t.Parallel()
	db := At(filepath.Join(t.TempDir(), "users.db"))
	const writers = 4
	for i := range writers {
		if err := db.Add(editable(-1 - i)); err != nil {
			t.Fatal(err)
		}
	}
	e := db.Edits()
	putAll(t, e, many(0, rebuildFrom)...)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	added := make([]int64, writers)
	for i := range writers {
		wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond) // the lock is not given in turn
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				if err := db.AddUsage(editable(-1-i).Name, Usage{Files: 1}); err != nil {
					t.Error(err)
					return
				}
				added[i]++
			}
		})
	}
	if err := e.Commit(nil); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	for i, n := range added {
		if got, err := db.Usage(editable(-1 - i).Name); err != nil || got.Files != n {
			t.Errorf("%d changes of usage became %d, %v", n, got.Files, err)
		}
	}
	if _, err := db.Get(editable(rebuildFrom - 1).Name); err != nil {
		t.Error(err)
	}
}

// Users that change again and again cannot keep an import out.
func TestEditsWhileUsersChange(t *testing.T) {
	t.Parallel()
	db := At(filepath.Join(t.TempDir(), "users.db"))
	if err := db.Add(editable(-1)); err != nil {
		t.Fatal(err)
	}
	e := db.Edits()
	putAll(t, e, many(0, rebuildFrom)...)
	changes := 0
	err := e.Commit(func(int) {
		changes++
		err := db.Modify(editable(-1).Name, func(u *User) error {
			u.Gecos = fmt.Sprint("change ", changes)
			return nil
		})
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := db.Get(editable(-1).Name); err != nil || u.Gecos != fmt.Sprint("change ", changes) {
		t.Errorf("the user is %q after %d changes, %v", u.Gecos, changes, err)
	}
}

// Users are removed with their usage, both ways, and who changed meanwhile is not.
func TestEditsRemove(t *testing.T) {
	for _, tt := range []struct {
		name  string
		users int
	}{{"one transaction", 100}, {"a new file", rebuildFrom}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := At(filepath.Join(t.TempDir(), "users.db"))
			goes, stays := editable(-5), editable(7)
			for _, u := range []User{goes, stays} {
				if err := db.Add(u); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.AddUsage(goes.Name, Usage{1, 2}); err != nil {
				t.Fatal(err)
			}
			names := []string{goes.Name, "nobody"}
			e := db.Edits()
			found, err := e.Read(names)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				e.Remove(name, found[i])
			}
			putAll(t, e, many(1000, 1000+tt.users)...)
			if e.Len() != tt.users+1 {
				t.Errorf("%d edits", e.Len())
			}
			again := db.Edits() // which comes too late
			if found, err = again.Read([]string{stays.Name}); err != nil {
				t.Fatal(err)
			}
			again.Remove(stays.Name, found[0])
			if err := e.Commit(nil); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Get(goes.Name); !errors.Is(err, ErrNoUser) {
				t.Errorf("%s is still there: %v", goes.Name, err)
			}
			tally, err := db.Tally(goes.Name)
			if err != nil || tally.Usage != (Usage{}) {
				t.Errorf("its usage is %v, %v", tally, err)
			}
			if err := db.Modify(stays.Name, func(u *User) error { u.Gecos = "changed"; return nil }); err != nil {
				t.Fatal(err)
			}
			if err := again.Commit(nil); !errors.Is(err, ErrConflict) {
				t.Errorf("who changed meanwhile is removed: %v", err)
			}
		})
	}
}

// What an import left that was ended goes with the next one, and what another one
// has under its hands stays.
func TestRebuildRemovesAbandoned(t *testing.T) {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	file := func(name string, age time.Duration) string {
		path := filepath.Join(filepath.Dir(db.Path()), name)
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	abandoned, fresh, others := file(".users-1.new", time.Hour), file(".users-2.new", 0), file("users-3.new", time.Hour)
	used := file(".users-4.new", time.Hour)
	f, err := os.Open(used)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := tryLock(f); err != nil {
		t.Fatal(err)
	}
	e := db.Edits()
	putAll(t, e, many(0, rebuildFrom)...)
	if err := e.Commit(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abandoned); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was abandoned stays: %v", err)
	}
	for _, path := range []string{fresh, others, used} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
