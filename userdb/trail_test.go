package userdb

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// oldHash and newHash are what nothing that shows the trail may have in it.
const (
	oldHash = "$6$aaaaaaaa$oldoldoldold"
	newHash = "$6$bbbbbbbb$newnewnewnew"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// history returns the trail as lines, the oldest first.
func history(t *testing.T, db DB, want Wanted) (lines []string) {
	t.Helper()
	list, err := db.History(want)
	must(t, err)
	for _, c := range slices.Backward(list) {
		for d := range c.Deltas() {
			line := fmt.Sprintf("%d %s %s %s:", c.Number, c.Author.Command, d.What, d.User)
			for _, a := range d.Attributes {
				line += fmt.Sprintf(" %s=%s>%s", a.Name, a.Before, a.After)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTrail(t *testing.T) {
	start := time.Now().Add(-time.Second)
	db := testDB(t).By(Author{UID: 5, Name: "ftp", Sudo: "ro\x1bot", Command: "test"})
	alice, bob := least("alice"), least("bob")
	alice.Password, alice.Perms, bob.Perms = oldHash, PermRead, PermRead
	must(t, db.Add(alice))
	must(t, db.Modify("alice", func(u *User) error { u.QuotaBytes = LimitOf(10 << 30); return nil }))
	must(t, db.Modify("alice", func(u *User) error { u.Password = newHash; u.Gecos = "Alice -x"; return nil }))
	must(t, db.Modify("alice", func(u *User) error { u.Gecos = "Alice -x"; return nil })) // as it is
	must(t, db.Touch("alice", netip.MustParseAddr("192.0.2.1"), time.Now()))
	must(t, db.AddUsage("alice", Usage{1, 2}))
	must(t, db.Renew("alice", newHash, oldHash+"better"))
	e := db.Edits()
	bob.Disabled = true
	putAll(t, e, bob)
	found, err := e.Read([]string{"alice"})
	must(t, err)
	e.Remove("alice", found[0])
	must(t, e.Commit(nil))
	if e.Number() != 4 {
		t.Errorf("the edits are change %d", e.Number())
	}
	must(t, db.Remove("bob"))

	got := history(t, db, Wanted{})
	alices := []string{
		"1 test added alice: password=>set uid=>1000 gid=>1000 home=>/srv/ftp caged=>yes perms=>read",
		"2 test changed alice: quota_bytes=unlimited>10G",
		"3 test changed alice: password=set>another gecos=>Alice -x",
		"4 test removed alice: password=set> uid=1000> gid=1000> gecos=Alice -x> home=/srv/ftp> caged=yes> perms=read> quota_bytes=10G>",
	}
	bobs := []string{
		"4 test added bob: uid=>1000 gid=>1000 home=>/srv/ftp caged=>yes disabled=>yes perms=>read",
		"5 test removed bob: uid=1000> gid=1000> home=/srv/ftp> caged=yes> disabled=yes> perms=read>",
	}
	want := slices.Concat(alices, bobs)
	if !slices.Equal(got, want) {
		t.Errorf("the trail is\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := history(t, db, Wanted{User: "bob"}); !slices.Equal(got, bobs) {
		t.Errorf("of bob it has %q", got)
	}
	if got := history(t, db, Wanted{User: "bob", Most: 1}); !slices.Equal(got, bobs[1:]) {
		t.Errorf("the latest of bob is %q", got)
	}
	if got := history(t, db, Wanted{Number: 2}); !slices.Equal(got, alices[1:2]) {
		t.Errorf("the second change is %q", got)
	}
	for _, nothing := range []Wanted{{Number: 99}, {User: "ali"}, {Number: 1<<64 - 1}} {
		if got := history(t, db, nothing); got != nil {
			t.Errorf("%+v is %q", nothing, got)
		}
	}
	list, err := db.History(Wanted{Number: 4})
	must(t, err)
	c := list[0]
	if c.Author != (Author{5, "ftp", "ro?ot", "test"}) || c.Added != 1 || c.Removed != 1 || c.Users() != 2 || !c.Whole || c.At.Before(start.Truncate(time.Second)) {
		t.Errorf("change 4 is %+v", c)
	}
}

// What the trail shows of any change has no hash in it.
func TestTrailShowsNoHash(t *testing.T) {
	db := testDB(t)
	u := least("alice")
	u.Password = oldHash
	must(t, db.Add(u))
	must(t, db.Modify("alice", func(u *User) error { u.Password = newHash; return nil }))
	must(t, db.Modify("alice", func(u *User) error { u.Password = ""; return nil }))
	must(t, db.Modify("alice", func(u *User) error { u.Password = "!" + oldHash; return nil }))
	e, c, err := db.Undo(0)
	must(t, err)
	said := fmt.Sprint(history(t, db, Wanted{}), slices.Collect(e.Deltas()), c.Author)
	must(t, e.Commit(nil))
	must(t, db.Remove("alice"))
	said += fmt.Sprint(history(t, db, Wanted{}))
	if strings.Contains(said, "$") || !strings.Contains(said, "password=set>none") || !strings.Contains(said, "password=none>set") {
		t.Errorf("shown is %s", said)
	}
}

func TestUndo(t *testing.T) {
	db := testDB(t)
	u := editable(1)
	u.Password, u.Gecos = oldHash, "one"
	must(t, db.Add(u))
	must(t, db.Touch(u.Name, netip.MustParseAddr("192.0.2.1"), time.Now()))
	must(t, db.SetUsage(u.Name, Usage{3, 4}, ""))
	first, err := db.Get(u.Name)
	must(t, err)
	last, err := db.Last(u.Name)
	must(t, err)
	undo := func(number uint64) error {
		t.Helper()
		e, _, err := db.Undo(number)
		if err != nil {
			return err
		}
		return e.Commit(nil)
	}
	is := func(what string, want User) {
		t.Helper()
		got, err := db.Get(u.Name)
		got.Changed, want.Changed = time.Time{}, time.Time{}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}

	must(t, db.Modify(u.Name, func(u *User) error { u.Password = newHash; return nil })) // 2
	must(t, db.Renew(u.Name, newHash, newHash+"2"))
	must(t, db.Renew(u.Name, newHash+"2", newHash+"3"))
	second, _ := db.Get(u.Name)
	must(t, undo(0)) // 3
	is("a password that was renewed meanwhile", first)
	must(t, undo(0)) // 4
	is("undone twice", second)
	must(t, db.Modify(u.Name, func(u *User) error { u.Gecos = "two"; return nil })) // 5
	must(t, undo(4))                                                                // 6
	first.Gecos = "two"
	is("an attribute of its own", first)

	must(t, db.Remove(u.Name)) // 7
	err = undo(5)
	if later, ok := errors.AsType[*LaterError](err); !ok || *later != (LaterError{u.Name, "", 7}) {
		t.Errorf("undoing a change of a user who is gone: %v", err)
	}
	must(t, undo(7)) // 8
	is("brought back", first)
	if usage, err := db.Tally(u.Name); err != nil || usage.Usage != (Usage{3, 4}) || !usage.Counted {
		t.Errorf("brought back with %+v, %v", usage, err)
	}
	if at, err := db.Last(u.Name); err != nil || at != last {
		t.Errorf("brought back with %+v, %v", at, err)
	}
	must(t, undo(0)) // 9
	if _, err := db.Get(u.Name); !errors.Is(err, ErrNoUser) {
		t.Errorf("removed again: %v", err)
	}
	must(t, undo(0)) // 10
	is("brought back again", first)

	err = undo(1)
	if later, ok := errors.AsType[*LaterError](err); !ok || later.By != 10 {
		t.Errorf("undoing the first change: %v", err)
	}
	must(t, undo(5)) // 11
	err = undo(5)
	if later, ok := errors.AsType[*LaterError](err); !ok || *later != (LaterError{u.Name, "gecos", 11}) ||
		err.Error() != "gecos of user user000001 was changed since, by change 11" {
		t.Errorf("undoing a change twice: %v", err)
	}
	if err := undo(99); !errors.Is(err, ErrNoChange) {
		t.Errorf("undoing nothing: %v", err)
	}
	if _, _, err := testDB(t, "a").Undo(2); !errors.Is(err, ErrNoChange) {
		t.Errorf("undoing nothing: %v", err)
	}
}

// The usage of a user whose files were being changed comes back as one to be counted.
func TestUndoWhileWriting(t *testing.T) {
	for name, write := range map[string]func(DB) error{
		"before": func(db DB) error { _, err := db.BeginWriting("daemon", []string{"a"}); return err },
		"after":  func(db DB) error { return nil },
	} {
		db := testDB(t, "a")
		must(t, db.SetUsage("a", Usage{3, 4}, ""))
		must(t, write(db))
		must(t, db.Remove("a"))
		if name == "after" {
			_, err := db.BeginWriting("daemon", []string{"a"})
			must(t, err)
		}
		e, _, err := db.Undo(0)
		must(t, err)
		must(t, e.Commit(nil))
		if tally, err := db.Tally("a"); err != nil || tally != (Tally{Usage: Usage{3, 4}, Left: true}) {
			t.Errorf("%s it was removed: %+v, %v", name, tally, err)
		}
	}
}

// What is undone must be what was shown.
func TestUndoConflict(t *testing.T) {
	db := testDB(t, "a")
	must(t, db.Modify("a", func(u *User) error { u.Gecos = "x"; return nil }))
	e, _, err := db.Undo(0)
	must(t, err)
	must(t, db.Modify("a", func(u *User) error { u.Disabled = true; return nil }))
	if err := e.Commit(nil); !errors.Is(err, ErrConflict) {
		t.Errorf("committed: %v", err)
	}
	if e.Number() != 0 {
		t.Errorf("as change %d", e.Number())
	}
}

// A change that another program made is in the way, though the trail has it not.
func TestUndoStranger(t *testing.T) {
	db := testDB(t, "a")
	must(t, db.Modify("a", func(u *User) error { u.Gecos = "x"; return nil }))
	must(t, db.update(func(tx *bolt.Tx) error {
		u := least("a")
		u.Gecos = "y"
		return tx.Bucket([]byte(bucketUsers)).Put([]byte("a"), encode(userLayout(), &u))
	}))
	_, _, err := db.Undo(0)
	if later, ok := errors.AsType[*LaterError](err); !ok || *later != (LaterError{"a", "gecos", 0}) {
		t.Errorf("undone: %v", err)
	}
}

// A user whose record cannot be read leaves a line when it is removed, and does not
// come back.
func TestTrailOfDamaged(t *testing.T) {
	db := testDB(t, "a", "b")
	must(t, db.update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketUsers)).Put([]byte("b"), []byte("1\npassword "+oldHash+"\nuid\n"))
	}))
	must(t, db.Remove("b"))
	if got := history(t, db, Wanted{User: "b", Most: 1}); !slices.Equal(got, []string{"3  removed b:"}) {
		t.Errorf("the trail has %q", got)
	}
	if _, _, err := db.Undo(0); err == nil || !strings.Contains(err.Error(), "could not be read") {
		t.Errorf("undone: %v", err)
	}
}

// Users and trail of earlier and later versions.
func TestTrailOfOtherVersions(t *testing.T) {
	db := testDB(t, "a")
	must(t, db.update(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketTrail, bucketTrailSize} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	}))
	if got := history(t, db, Wanted{}); got != nil {
		t.Errorf("without a trail there is %q", got)
	}
	if _, _, err := db.Undo(0); !errors.Is(err, ErrNoChange) {
		t.Errorf("undone: %v", err)
	}
	must(t, db.Modify("a", func(u *User) error { u.Gecos = "x"; return nil }))
	must(t, db.update(func(tx *bolt.Tx) error {
		trail := tx.Bucket([]byte(bucketTrail))
		for key, value := range map[string]string{
			string(trailKey(2)):                      "2\nsomething else\n",
			string(trailKey(3)):                      "1\nat 2030-01-01T00:00:00Z\nchanged 1\nkept 1\n",
			string(trailKey(3)) + "\x00\x00\x00\x00": "changed a\n+gecos y\n+secret swordfish\n",
		} {
			if err := trail.Put([]byte(key), []byte(value)); err != nil {
				return err
			}
		}
		return trail.SetSequence(3)
	}))
	list, err := db.History(Wanted{})
	must(t, err)
	if len(list) != 3 || list[1].Whole || !list[1].At.IsZero() {
		t.Errorf("the trail is %+v", list)
	}
	if got := history(t, db, Wanted{Number: 3}); !slices.Equal(got, []string{"3  changed a: gecos=>y secret=?>?"}) {
		t.Errorf("of a later version it has %q", got)
	}
	if _, _, err := db.Undo(3); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("undoing what a later version did: %v", err)
	}
	must(t, db.Modify("a", func(u *User) error { u.Gecos = "z"; return nil }))
}

// A large changeset is whole up to its bounds, and the oldest make room.
func TestTrailBounds(t *testing.T) {
	t.Parallel()
	db := testDB(t)
	add := func(from, n int) *Edits {
		e := db.Edits()
		putAll(t, e, many(from, from+n)...)
		return e
	}
	undoable := func(number uint64) error {
		_, _, err := db.Undo(number)
		return err
	}
	e := add(0, MaxChangesetUsers+1)
	if e.Undoable() {
		t.Error("more than the bounds can be undone")
	}
	must(t, e.Commit(nil))
	if err := undoable(1); !errors.Is(err, ErrNotKept) {
		t.Errorf("undone: %v", err)
	}
	if list, err := db.History(Wanted{}); err != nil || list[0].Added != MaxChangesetUsers+1 || list[0].Whole {
		t.Errorf("the trail is %+v, %v", list, err)
	}
	for i := range uint64(2) {
		e = add(100_000*int(i+1), MaxChangesetUsers-10)
		if !e.Undoable() {
			t.Error("what is within the bounds cannot be undone")
		}
		must(t, e.Commit(nil))
		must(t, undoable(2+i))
	}
	size := func() (size trailSize) {
		must(t, db.view(func(tx *bolt.Tx) error { size = readTrailSize(tx); return nil }))
		return size
	}
	for i := range 40 {
		must(t, db.Add(editable(1_000_000+i)))
		if s := size(); !s.within() {
			t.Fatalf("the trail has %+v", s)
		}
	}
	if err := undoable(1); !errors.Is(err, ErrNoChange) {
		t.Errorf("the first is there: %v", err)
	}
	if err := undoable(2); !errors.Is(err, ErrNotKept) {
		t.Errorf("the second has lost nothing: %v", err)
	}
	must(t, undoable(3))
	e, _, err := db.Undo(3)
	must(t, err)
	must(t, e.Commit(nil))
	if _, err := db.Get(editable(200_005).Name); !errors.Is(err, ErrNoUser) {
		t.Errorf("a user is still there: %v", err)
	}

	// What is said of the size is so.
	var counted trailSize
	must(t, db.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketTrail)).ForEach(func(key, value []byte) error {
			counted.bytes += int64(len(value))
			if counted.users++; len(key) > 8 {
				counted.users += int64(countDeltas(value)) - 1
			}
			return nil
		})
	}))
	if counted != size() {
		t.Errorf("the trail has %+v and says %+v", counted, size())
	}
}

// replay returns the values of all users' records as the trail has them, if it has
// all changes.
func replay(t *testing.T, db DB) map[string]map[string]string {
	t.Helper()
	all := make(map[string]map[string]string)
	list, err := db.History(Wanted{})
	must(t, err)
	for _, c := range slices.Backward(list) {
		for d := range c.raw() {
			if d.word == wordAdded {
				all[d.user] = make(map[string]string)
			}
			for key, value := range d.before {
				if was := all[d.user][key]; was != value {
					t.Fatalf("change %d: %s of %s is %q and was %q", c.Number, key, d.user, value, was)
				}
				delete(all[d.user], key)
			}
			maps.Copy(all[d.user], d.after)
			if d.word == wordRemoved {
				delete(all, d.user)
			}
		}
	}
	return all
}

// checkTrail compares what the trail says to what there is.
func checkTrail(t *testing.T, db DB) {
	t.Helper()
	present := make(map[string]map[string]string)
	for s, err := range db.Walk() {
		must(t, err)
		present[s.User.Name] = recordLines(s.record)
	}
	if said := replay(t, db); !reflect.DeepEqual(said, present) {
		t.Fatalf("the trail comes to %v, and there are %v", said, present)
	}
}

// A trail that comes of foreign bytes is read without harm.
func FuzzDeltas(f *testing.F) {
	f.Add([]byte("changed alice\n-quota_bytes 5\n+quota_bytes 6\nremoved bob\n-uid 7\n~bytes 5\n"))
	f.Add([]byte("-\n+\n~\nadded \n\n\nremoved x\n-password $1$x\n+"))
	f.Fuzz(func(t *testing.T, chunk []byte) {
		c := Changeset{chunks: [][]byte{chunk}}
		n, length := 0, 0
		for d := range c.Deltas() {
			for _, a := range d.Attributes {
				if a.Name == keyPassword && !slices.Contains([]string{"", "none", "set", "another"}, a.Before) {
					t.Errorf("shows a password: %q", a.Before)
				}
			}
			n++
		}
		for d := range c.raw() {
			length += len(d.text)
			if !mentions(chunk, d.user) {
				t.Errorf("%q is not found in %q", d.user, chunk)
			}
		}
		if length > len(chunk) || n > countDeltas(chunk)+1 {
			t.Errorf("%d deltas of %d bytes in %q", n, length, chunk)
		}
	})
}

// The lines of a delta are those that differ, whatever the records are.
func TestAppendLines(t *testing.T) {
	for _, tt := range []struct{ record, other, want string }{
		{"", "", ""}, {"1", "", ""}, {"1\n", "", ""}, {"1\nuid 5", "", ""},
		{"1\nuid 5\n", "", "-uid 5\n"},
		{"1\nuid 5\ngid 6\n", "1\nuid 55\ngid 6\n", "-uid 5\n"},
		{"1\nuid 5\nchanged x\n", "1\ngid 5\n", "-uid 5\n"},
		{"1\ngecos uid 5\n", "1\nuid 5\n", "-gecos uid 5\n"},
	} {
		if got := appendLines(nil, '-', []byte(tt.record), []byte(tt.other)); !bytes.Equal(got, []byte(tt.want)) {
			t.Errorf("of %q and %q: %q", tt.record, tt.other, got)
		}
	}
}

// What Fields names is what a record's key says, by which the trail shows it.
func TestFieldsAreKeys(t *testing.T) {
	for _, f := range Fields {
		known := slices.ContainsFunc(userLayout(), func(a attribute[User]) bool { return a.key == f.Name })
		if f.AliasOf == "" && !known {
			t.Errorf("no line of a record is called %s", f.Name)
		}
	}
}
