package userdb

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// testDB returns a database that has users of those names.
func testDB(t testing.TB, names ...string) DB {
	db := At(filepath.Join(t.TempDir(), "users.db"))
	for _, name := range names {
		if err := db.Add(least(name)); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func names(t testing.TB, db DB) []string {
	var all []string
	for u, err := range db.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u.Name)
	}
	return all
}

func TestLifeOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		u := full()
		u.Created, u.Changed = time.Time{}, time.Time{}
		if err := db.Add(u); err != nil {
			t.Fatal(err)
		}
		born := time.Now().UTC()
		u.Created, u.Changed = born, born
		if got, err := db.Get(u.Name); err != nil || !reflect.DeepEqual(got, u) {
			t.Fatalf("got  %+v, %v\nwant %+v", got, err, u)
		}
		if err := db.Add(u); !errors.Is(err, ErrUserExists) {
			t.Errorf("added again: %v", err)
		}

		time.Sleep(time.Hour)
		if err := db.Modify(u.Name, func(u *User) error { u.Gecos = "Bob"; return nil }); err != nil {
			t.Fatal(err)
		}
		u.Gecos, u.Changed = "Bob", born.Add(time.Hour)
		if got, err := db.Get(u.Name); err != nil || !reflect.DeepEqual(got, u) {
			t.Fatalf("got  %+v, %v\nwant %+v", got, err, u)
		}

		if err := db.Remove(u.Name); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Get(u.Name); !errors.Is(err, ErrNoUser) {
			t.Errorf("removed, and Get gives %v", err)
		}
		if err := db.Remove(u.Name); !errors.Is(err, ErrNoUser) {
			t.Errorf("removed again: %v", err)
		}
		if err := db.Modify(u.Name, func(*User) error { return nil }); !errors.Is(err, ErrNoUser) {
			t.Errorf("modified when removed: %v", err)
		}
	})
}

func TestModify(t *testing.T) {
	db := testDB(t, "a", "b")
	before, _ := db.Get("a")
	boom := errors.New("boom")
	for what, edit := range map[string]func(*User) error{
		"an error":          func(u *User) error { u.Gecos = "x"; return boom },
		"an invalid value":  func(u *User) error { u.Home = "x"; return nil },
		"another name":      func(u *User) error { u.Name = "c"; return nil },
		"the name of other": func(u *User) error { u.Name = "b"; return nil },
	} {
		if err := db.Modify("a", edit); err == nil {
			t.Errorf("%s: no error", what)
		}
		if got, err := db.Get("a"); err != nil || !reflect.DeepEqual(got, before) {
			t.Errorf("%s: left %+v, %v", what, got, err)
		}
	}
	if err := db.Modify("a", func(u *User) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("the error of edit comes back as %v", err)
	}
	if got := names(t, db); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("users are %v", got)
	}
}

// What changes nothing is not written: no fsync, no new time of change.
func TestModifyUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t, "a")
		before, _ := db.Get("a")
		written, _ := db.Changed()
		revision, _ := db.Revision()
		time.Sleep(time.Hour)
		if err := db.Modify("a", func(u *User) error { u.Perms = AllPerms; return nil }); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Get("a"); err != nil || !reflect.DeepEqual(got, before) {
			t.Errorf("got %+v, %v", got, err)
		}
		if now, _ := db.Changed(); !now.Equal(written) {
			t.Error("the file was written")
		}
		if now, _ := db.Revision(); now != revision {
			t.Error("the revision grew")
		}
	})
}

func TestModifyPanic(t *testing.T) {
	db := testDB(t, "a")
	func() {
		defer func() {
			if r := recover(); r != "of the caller" {
				t.Errorf("recovered %v", r)
			}
		}()
		err := db.Modify("a", func(*User) error { panic("of the caller") })
		t.Errorf("it returned %v", err)
	}()
	// Neither the lock nor the user is lost.
	if err := db.Modify("a", func(u *User) error { u.Gecos = "x"; return nil }); err != nil {
		t.Error(err)
	}
}

func TestAddInvalid(t *testing.T) {
	db := testDB(t)
	u := least("a:b")
	if err := db.Add(u); !errors.Is(err, ErrInvalid) {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(db.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a refused user made a database")
	}
}

func TestNoDatabase(t *testing.T) {
	db := testDB(t)
	check := func(what string, err error, want ...error) {
		t.Helper()
		for _, w := range want {
			if errors.Is(err, w) {
				return
			}
		}
		t.Errorf("%s: %v", what, err)
	}
	ask := func(want ...error) {
		t.Helper()
		_, err := db.Get("a")
		check("Get", err, want...)
		_, err = db.Last("a")
		check("Last", err, want...)
		_, err = db.Usage("a")
		check("Usage", err, want...)
		check("Modify", db.Modify("a", func(*User) error { return nil }), want...)
		check("AddUsage", db.AddUsage("a", Usage{1, 1}), want...)
		check("Remove", db.Remove("a"), want...)
	}
	ask(ErrNoDatabase)
	_, err := db.Changed()
	check("Changed", err, ErrNoDatabase)
	_, err = db.Revision()
	check("Revision", err, ErrNoDatabase)
	check("Touch", db.Touch("a", netip.Addr{}, time.Now()), ErrNoDatabase)
	n := 0
	for _, err := range db.All() {
		check("All", err, ErrNoDatabase)
		n++
	}
	if n != 1 {
		t.Errorf("All yields %d times", n)
	}
	if _, err := os.Stat(db.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Error("asking made a database")
	}

	// A file that somebody touched is to be filled.
	if err := os.WriteFile(db.Path(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ask(ErrNoDatabase, ErrNoUser)
	if err := db.Add(least("a")); err != nil {
		t.Errorf("adding to an empty file: %v", err)
	}
	if got := names(t, db); !slices.Equal(got, []string{"a"}) {
		t.Errorf("users are %v", got)
	}
	ask(nil)
}

func TestCreate(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	folder := t.TempDir()
	if os.Geteuid() == 0 {
		if err := os.Chown(folder, 4711, 4712); err != nil {
			t.Fatal(err)
		}
	}
	db := At(filepath.Join(folder, "users.db"))
	var wg sync.WaitGroup
	for i := range 8 { // all at once, and no user of any is lost
		wg.Go(func() {
			if err := db.Add(least(fmt.Sprint("u", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := names(t, db); len(got) != 8 {
		t.Errorf("users are %v", got)
	}
	info, err := os.Stat(db.Path())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	if st := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && (st.Uid != 4711 || st.Gid != 4712) {
		t.Errorf("the owner is %d:%d, not the folder's", st.Uid, st.Gid)
	}
	if left, _ := filepath.Glob(folder + "/.*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	deep := At(filepath.Join(folder, "state", "portreeve", "users.db"))
	if err := deep.Add(least("a")); !errors.Is(err, ErrNoFolder) || errors.Is(err, ErrNoDatabase) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	if err := deep.WithFolder().Add(least("a")); err != nil {
		t.Errorf("in a folder that is to be made: %v", err)
	}
	if err := At("/dev/null/users.db").Add(least("a")); err == nil || errors.Is(err, ErrNoDatabase) {
		t.Errorf("where no file can be: %v", err)
	}
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // bbolt waits for the lock by the clock
		db := testDB(t, "a")
		held, err := bolt.Open(db.Path(), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := db.Get("a"); !errors.Is(err, ErrBusy) {
			t.Errorf("Get: %v", err)
		}
		if err := db.Modify("a", func(*User) error { return nil }); !errors.Is(err, ErrBusy) {
			t.Errorf("Modify: %v", err)
		}
		if took := time.Since(start); took < lockWait || took > 3*lockWait {
			t.Errorf("waited %v", took)
		}
		go func() {
			time.Sleep(lockWait / 2)
			held.Close()
		}()
		if _, err := db.Get("a"); err != nil {
			t.Errorf("Get, when the lock comes in time: %v", err)
		}
	})
}

func TestAll(t *testing.T) {
	db := testDB(t)
	const count = 2*walkUsers + 17
	want := make([]string, count)
	for i := range want {
		want[i] = fmt.Sprintf("user%05d", i)
	}
	shuffled := slices.Clone(want)
	rand.Shuffle(count, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if n, err := db.AddAll(users(shuffled...)); n != count || err != nil {
		t.Fatalf("AddAll = %d, %v", n, err)
	}
	if got := names(t, db); !slices.Equal(got, want) {
		t.Errorf("%d users, or not in order", len(got))
	}

	// Others write during the walk, and it comes to its end.
	i := 0
	seen := make(map[string]bool)
	for u, err := range db.All() {
		if err != nil {
			t.Fatal(err)
		}
		if seen[u.Name] {
			t.Fatalf("%s is seen twice", u.Name)
		}
		seen[u.Name] = true
		if i++; i%500 == 0 {
			if err := db.Remove(u.Name); err != nil {
				t.Fatal(err)
			}
			if err := db.Add(least(u.Name + "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s is not seen", name)
		}
	}
	for _, err := range db.All() { // may be left early
		if err != nil {
			t.Error(err)
		}
		break
	}
}

func users(names ...string) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		for _, name := range names {
			if !yield(least(name), nil) {
				return
			}
		}
	}
}

func TestAddAllStops(t *testing.T) {
	db := testDB(t, "user00003")
	if n, err := db.AddAll(users("user00001", "user00002", "user00003", "user00004")); n != 0 || !errors.Is(err, ErrUserExists) {
		t.Errorf("AddAll with a user that exists = %d, %v", n, err)
	}
	if got := names(t, db); !slices.Equal(got, []string{"user00003"}) {
		t.Errorf("a batch that failed left %v", got)
	}
	boom := errors.New("boom")
	n, err := db.AddAll(func(yield func(User, error) bool) {
		for i := range addBatch + 3 {
			if !yield(least(fmt.Sprint("x", i)), nil) {
				return
			}
		}
		yield(User{}, boom)
	})
	if n != addBatch || !errors.Is(err, boom) {
		t.Errorf("AddAll of a source that fails = %d, %v", n, err)
	}
	if got := len(names(t, db)); got != addBatch+1 {
		t.Errorf("%d users", got)
	}
	if n, err := db.AddAll(users()); n != 0 || err != nil {
		t.Errorf("AddAll of nobody = %d, %v", n, err)
	}
	if n, err := db.AddAll(users("twice", "twice")); n != 0 || !errors.Is(err, ErrUserExists) {
		t.Errorf("AddAll of one twice = %d, %v", n, err)
	}
}

// A record that cannot be read refuses its user, and no other.
func TestMalformedUser(t *testing.T) {
	db := testDB(t, "a", "b", "c")
	if err := db.update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketUsers)).Put([]byte("b"), []byte("1\nuid 1000\nquota_bytes"))
	}); err != nil {
		t.Fatal(err)
	}
	if u, err := db.Get("b"); !errors.Is(err, ErrMalformed) || u.UID != 0 {
		t.Errorf("Get = %+v, %v", u, err)
	}
	if err := db.Modify("b", func(*User) error { return nil }); !errors.Is(err, ErrMalformed) {
		t.Errorf("Modify: %v", err)
	}
	var good, bad []string
	for u, err := range db.All() {
		if err != nil {
			bad = append(bad, u.Name)
		} else {
			good = append(good, u.Name)
		}
	}
	if !slices.Equal(good, []string{"a", "c"}) || !slices.Equal(bad, []string{"b"}) {
		t.Errorf("good %v, bad %v", good, bad)
	}
	if err := db.Remove("b"); err != nil {
		t.Errorf("it cannot be removed: %v", err)
	}
}

func TestUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t, "a", "b")
		if last, err := db.Last("a"); err != nil || !last.At.IsZero() {
			t.Errorf("Last before any login = %+v, %v", last, err)
		}
		record, _ := db.Get("a")
		revision, _ := db.Revision()
		at := time.Now().Add(time.Hour)
		if err := db.Touch("a", netip.MustParseAddr("::ffff:192.0.2.1"), at); err != nil {
			t.Fatal(err)
		}
		want := Login{At: at.UTC(), From: netip.MustParseAddr("192.0.2.1")}
		if got, err := db.Last("a"); err != nil || got != want {
			t.Errorf("Last = %+v, %v; want %+v", got, err, want)
		}
		for range 3 {
			if err := db.AddUsage("a", Usage{Files: 2, Bytes: 1 << 40}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.AddUsage("a", Usage{Files: -1, Bytes: -1}); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Usage("a"); err != nil || got != (Usage{5, 3<<40 - 1}) {
			t.Errorf("Usage = %+v, %v", got, err)
		}
		if err := db.AddUsage("a", Usage{Files: -100, Bytes: -1 << 50}); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Usage("a"); err != nil || got != (Usage{}) {
			t.Errorf("Usage after more was freed than counted = %+v, %v", got, err)
		}
		if got, err := db.Last("a"); err != nil || got != want {
			t.Errorf("usage changed the last login to %+v, %v", got, err)
		}
		if got, _ := db.Get("a"); !reflect.DeepEqual(got, record) {
			t.Errorf("usage changed the record to %+v", got)
		}
		if now, _ := db.Revision(); now != revision {
			t.Error("usage counts as a change of a user")
		}

		// Users that are gone are passed over, and leave nothing behind.
		if err := db.TouchAll(maps.All(map[string]Login{"b": want, "nobody": want})); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Last("nobody"); !errors.Is(err, ErrNoUser) {
			t.Errorf("Last of nobody: %v", err)
		}
		if err := db.AddUsage("nobody", Usage{}); !errors.Is(err, ErrNoUser) {
			t.Errorf("AddUsage of nobody: %v", err)
		}
		if err := db.Remove("b"); err != nil {
			t.Fatal(err)
		}
		if err := db.Add(least("b")); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Last("b"); err != nil || got != (Login{}) {
			t.Errorf("a new user has the last login of an old one: %+v, %v", got, err)
		}
	})
}

func TestRevision(t *testing.T) {
	db := testDB(t, "a")
	last, err := db.Revision()
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func() error{
		"Add":    func() error { return db.Add(least("b")) },
		"Modify": func() error { return db.Modify("a", func(u *User) error { u.MaxSessions++; return nil }) },
		"Remove": func() error { return db.Remove("a") },
	} {
		if what == "Remove" {
			defer func() {
				if err := change(); err != nil {
					t.Error(err)
				}
				if now, _ := db.Revision(); now <= last {
					t.Errorf("the revision is %d after Remove, and was %d", now, last)
				}
			}()
			continue
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		now, err := db.Revision()
		if err != nil || now <= last {
			t.Errorf("the revision is %d after %s, and was %d; %v", now, what, last, err)
		}
		last = now
	}
}

// Operations at random give what the same on a map would.
func TestRandomOperations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	db := testDB(t, "first")
	model := map[string]User{}
	first, _ := db.Get("first")
	model["first"] = first
	logins := map[string]Login{}
	name := func() string { return fmt.Sprint("u", r.IntN(40)) }
	for range 1500 {
		n := name()
		_, known := model[n]
		switch r.IntN(8) {
		case 0, 1:
			u := least(n)
			u.Gecos = strings.Repeat("x", r.IntN(900)) // records move between pages
			err := db.Add(u)
			if known != errors.Is(err, ErrUserExists) || !known && err != nil {
				t.Fatalf("Add(%s), known %v: %v", n, known, err)
			}
			if !known {
				model[n], _ = db.Get(n)
			}
		case 2:
			err := db.Remove(n)
			if known == errors.Is(err, ErrNoUser) || known && err != nil {
				t.Fatalf("Remove(%s), known %v: %v", n, known, err)
			}
			delete(model, n)
			delete(logins, n)
		case 3, 4:
			sessions := r.IntN(5)
			err := db.Modify(n, func(u *User) error { u.MaxSessions = sessions; return nil })
			if known == errors.Is(err, ErrNoUser) || known && err != nil {
				t.Fatalf("Modify(%s), known %v: %v", n, known, err)
			}
			if known {
				u := model[n]
				u.MaxSessions = sessions
				got, _ := db.Get(n)
				u.Changed = got.Changed
				model[n] = u
			}
		case 5:
			l := Login{At: time.Unix(r.Int64N(1<<31), 0).UTC(), From: netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(255))})}
			if err := db.Touch(n, l.From, l.At); err != nil {
				t.Fatal(err)
			}
			if known {
				logins[n] = l
			}
		case 6:
			got, err := db.Get(n)
			if known != (err == nil) || known && !reflect.DeepEqual(got, model[n]) {
				t.Fatalf("Get(%s), known %v: %+v, %v; want %+v", n, known, got, err, model[n])
			}
		case 7:
			if got, err := db.Last(n); known && (err != nil || got != logins[n]) {
				t.Fatalf("Last(%s) = %+v, %v; want %+v", n, got, err, logins[n])
			}
		}
	}
	got := make(map[string]User)
	for u, err := range db.All() {
		if err != nil {
			t.Fatal(err)
		}
		got[u.Name] = u
	}
	if !reflect.DeepEqual(got, model) {
		t.Errorf("at the end %d users, not %d", len(got), len(model))
	}
}

// A damaged file gives errors, or what is still right in it. It does not end
// the process.
func TestDamagedFile(t *testing.T) {
	db := testDB(t)
	many := make([]string, 1500)
	for i := range many {
		many[i] = fmt.Sprintf("user%05d", i)
	}
	if _, err := db.AddAll(users(many...)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	damaged, whole := 0, 0
	for i := range 120 {
		data := slices.Clone(good)
		switch i % 4 {
		case 0: // cut short
			data = data[:r.IntN(len(data))]
		case 1: // a page of zeros
			clear(page(data, r.IntN(len(data)/4096)))
		case 2: // a page of noise
			p := page(data, r.IntN(len(data)/4096))
			for j := range p {
				p[j] = byte(r.Uint32())
			}
		case 3: // some bits
			for range 20 {
				data[r.IntN(len(data))] ^= 1 << r.IntN(8)
			}
		}
		bad := At(filepath.Join(t.TempDir(), "users.db"))
		if err := os.WriteFile(bad.Path(), data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			second(bad.Get(many[r.IntN(len(many))])),
			bad.Modify(many[r.IntN(len(many))], func(u *User) error { u.MaxSessions++; return nil }),
			bad.Touch(many[0], netip.Addr{}, time.Now()),
			walk(bad),
		} {
			switch {
			case err == nil:
				whole++
			case errors.Is(err, ErrBusy):
				t.Errorf("damage %d left the file locked", i)
			default:
				damaged++
			}
		}
	}
	if damaged == 0 || whole == 0 {
		t.Errorf("%d errors and %d successes: this test is not what it should be", damaged, whole)
	}
}

func page(data []byte, n int) []byte { return data[n*4096 : (n+1)*4096] }

func second[T any](_ T, err error) error { return err }

func walk(db DB) error {
	for _, err := range db.All() {
		if err != nil && !errors.Is(err, ErrMalformed) {
			return err
		}
	}
	return nil
}

func TestNotADatabase(t *testing.T) {
	db := testDB(t)
	if err := os.WriteFile(db.Path(), []byte(strings.Repeat("joe:$1$x:1:1::/x\n", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get("joe"); !errors.Is(err, ErrDamaged) {
		t.Errorf("Get: %v", err)
	}
	if err := db.Add(least("joe")); !errors.Is(err, ErrDamaged) {
		t.Errorf("Add: %v", err)
	}
	folder := At(t.TempDir())
	if _, err := folder.Get("joe"); err == nil || errors.Is(err, ErrNoUser) {
		t.Errorf("Get from a folder: %v", err)
	}
}
