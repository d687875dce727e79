package auth

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/userdb"
)

func last(t *testing.T, db userdb.DB, name string) userdb.Login {
	t.Helper()
	l, err := db.Last(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLastLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		c := testChain(t, options(db))
		login := func(password string) {
			t.Helper()
			if _, err := c.Login(t.Context(), attempt("alice", password)); (err == nil) != (password == secret) {
				t.Error(err)
			}
			synctest.Wait() // for what is written beside it
		}
		start := time.Now().UTC()
		login("wrong")
		if got := last(t, db, "alice"); !got.At.IsZero() {
			t.Errorf("a failed login is noted: %+v", got)
		}
		login(secret)
		want := userdb.Login{At: start, From: client}
		if got := last(t, db, "alice"); got != want {
			t.Errorf("noted %+v, not %+v", got, want)
		}
		time.Sleep(noteEvery - time.Second)
		login(secret)
		if got := last(t, db, "alice"); got != want {
			t.Errorf("within the minute %+v is noted", got)
		}
		time.Sleep(time.Second)
		login(secret)
		want.At = start.Add(noteEvery)
		if got := last(t, db, "alice"); got != want {
			t.Errorf("after the minute %+v is noted, not %+v", got, want)
		}
		u, err := db.Get("alice")
		if err != nil || !u.Changed.Equal(start) {
			t.Errorf("a login changed the record at %v, %v", u.Changed, err)
		}
		c.Close()
	})
}

// A refusal by the chain, after the back-end has granted, is no login.
func TestLastLoginRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		o := options(db)
		o.MinUID = 5000
		c := testChain(t, o)
		if _, err := c.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrUID) {
			t.Error(err)
		}
		c.Close()
		if got := last(t, db, "alice"); !got.At.IsZero() {
			t.Errorf("noted %+v", got)
		}
	})
}

// Many logins are a write a second, and not one each.
func TestLoginsAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		name := func(i int) string { return fmt.Sprint("u", i) }
		for i := range 30 {
			addUser(t, db, name(i), func(*userdb.User) {})
		}
		c := testChain(t, options(db))
		start := time.Now().UTC()
		if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if last(t, db, "alice").At.IsZero() {
			t.Error("the first is not written at once")
		}
		for i := range 30 {
			if _, err := c.Login(t.Context(), attempt(name(i), secret)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i := range 30 {
			if !last(t, db, name(i)).At.IsZero() {
				t.Fatalf("%s was written at once", name(i))
			}
		}
		time.Sleep(writeEvery)
		synctest.Wait()
		for i := range 30 {
			if got := last(t, db, name(i)); got.At != start {
				t.Errorf("%s was last seen at %v", name(i), got.At)
			}
		}
		c.Close()
	})
}

func TestCloseWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		addUser(t, db, "bob", func(*userdb.User) {})
		c := testChain(t, options(db))
		start := time.Now()
		for _, name := range []string{"alice", "bob"} {
			if _, err := c.Login(t.Context(), attempt(name, secret)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		c.Close()
		if last(t, db, "bob").At.IsZero() {
			t.Error("what waited was not written")
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
		c.Close() // does no harm
	})
}

// A locked database holds up what is noted, and not the login that was granted.
func TestLockedDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		n := newNotes()
		var log bytes.Buffer
		n.logTo(slog.New(slog.NewTextHandler(&log, nil)))
		locked, unlock := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		go func() {
			done <- db.Modify("alice", func(*userdb.User) error { close(locked); <-unlock; return nil })
		}()
		<-locked
		start := time.Now()
		n.login(db, "alice", userdb.Login{At: start, From: client})
		if took := time.Since(start); took > 0 {
			t.Errorf("noting took %v", took)
		}
		time.Sleep(time.Second)
		close(unlock)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		n.close()
		if got := last(t, db, "alice"); got.At != start.UTC() {
			t.Errorf("noted %+v", got)
		}

		// One that cannot be written at all is only told to the log.
		n = newNotes()
		n.logTo(slog.New(slog.NewTextHandler(&log, nil)))
		n.login(userdb.At("/dev/null/users.db"), "alice", userdb.Login{At: start})
		n.close()
		if !strings.Contains(log.String(), "noting last logins") {
			t.Errorf("the log has %q", log.String())
		}
	})
}

func TestNotesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := userdb.At("/dev/null/users.db")
		n := newNotes()
		n.wrote = time.Now() // so that nothing is written yet
		n.logTo(slog.New(slog.DiscardHandler))
		for i := range 2 * maxNotes {
			n.login(db, fmt.Sprint(i), userdb.Login{At: time.Now()})
		}
		if len(n.logins) > maxNotes || len(n.noted) > maxNotes {
			t.Errorf("%d logins wait, %d are known", len(n.logins), len(n.noted))
		}
		n.close()
		n.login(db, "x", userdb.Login{At: time.Now()})
		if len(n.logins) != 0 {
			t.Error("one was noted after the end")
		}
	})
}

// A hash that is not as strong as new ones is made anew by the next good login,
// and the login after that still need not wait.
func TestRehash(t *testing.T) {
	for what, hash := range map[string]string{
		"sha256crypt":  "$5$rounds=1000$YcI9Tkky5s3cFCLZ$DEO1E5M04GIaS2CWsH9eNXfJIk8QAsXcUD1o0eApEL0",
		"md5crypt":     "$1$hU16aZ/R$kBacLffraFr9TnpnnH7zB1",
		"bcrypt":       "$2b$05$6asCSdjsl7ySNMuefmM2Uughg8IsaWz/qaXN9/KnYxvPK8fXZwOKa",
		"argon2id":     "$argon2id$v=19$m=64,t=1,p=1$OUUcUtIwoASMQfhXIB23YQ$lRLn/nDkNGe39LQb3B0LMoCwYyWNp/vWM9u4PuokkOo",
		"cheap scrypt": hashOf(t, secret),
	} {
		synctest.Test(t, func(t *testing.T) {
			db := testDB(t)
			setPassword(t, db, "alice", hash)
			o := options(db)
			o.Cost = userdb.Cost{LogN: 6, R: 1, P: 1}
			c := testChain(t, o)
			if _, err := c.Login(t.Context(), attempt("alice", "wrong")); err == nil {
				t.Fatal("a wrong password is good")
			}
			synctest.Wait()
			if u, _ := db.Get("alice"); u.Password != hash {
				t.Fatalf("%s: a wrong password made a hash", what)
			}
			if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			time.Sleep(time.Second) // the database may be in use by what else is noted
			synctest.Wait()
			u, err := db.Get("alice")
			if err != nil || userdb.Weaker(u.Password, o.Cost) {
				t.Fatalf("%s is now %s, %v", what, u.Password, err)
			}
			if ok, err := userdb.Verify(u.Password, secret, o.Cost.Memory()); !ok || err != nil {
				t.Errorf("%s: the new hash is not of the password: %v, %v", what, ok, err)
			}
			before := c.load.checked.Load()
			if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
				t.Fatal(err)
			}
			if n := c.load.checked.Load() - before; n != 0 {
				t.Errorf("%s: the next login hashes %d times", what, n)
			}
			c.Close()
		})
	}
}

// A password that was changed while its old hash was made anew stays changed.
func TestRehashYieldsToPasswd(t *testing.T) {
	db := testDB(t)
	c := testChain(t, options(db))
	old, _ := db.Get("alice")
	changed := hashOf(t, "other")
	setPassword(t, db, "alice", changed)
	h := c.settings.Load().hashing
	if err := c.notes.renew(key{db, "alice"}, h, old.Password, secret); !errors.Is(err, userdb.ErrChanged) {
		t.Errorf("error is %v", err)
	}
	if u, _ := db.Get("alice"); u.Password != changed {
		t.Errorf("the password is %s", u.Password)
	}
	if h.remembered.has(h.remembered.digest("alice", changed, secret)) {
		t.Error("the old password is good for the new hash")
	}
}

// Not more than some hashes are made anew at a time, and none after the end.
func TestRehashIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		o := options(db)
		c := testChain(t, o)
		h := c.settings.Load().hashing
		h.slots.TryAcquire(o.Memory + DefaultMemory) // all, so that the work waits
		for i := range 20 {
			c.notes.rehash(db, h, userdb.User{Name: fmt.Sprint(i % 10)}, secret)
		}
		c.notes.mu.Lock()
		if n := len(c.notes.renewing); n != maxRenewing {
			t.Errorf("%d are made anew at a time", n)
		}
		c.notes.mu.Unlock()
		c.Close() // does not wait for memory
		c.notes.rehash(db, h, userdb.User{Name: "x"}, secret)
		if n := len(c.notes.renewing); n != 0 {
			t.Errorf("%d are made anew after the end", n)
		}
	})
}
