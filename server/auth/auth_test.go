package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/userdb"
)

const secret = "correct horse"

var (
	client = netip.MustParseAddr("192.0.2.7")
	ours   = netip.MustParseAddr("192.0.2.1")
)

func testCost() userdb.Cost { return userdb.Cost{LogN: 4, R: 1, P: 1} }

// options are those of a chain that takes no time.
func options(db userdb.DB) Options {
	return Options{
		Methods:  []Method{{"userdb", db.Path()}},
		Cost:     testCost(),
		Remember: time.Minute,
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func testChain(t testing.TB, o Options) *Chain {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.groups = func(int) []int { return nil }
	return c
}

// testDB returns a database with a user whose password is secret. Others can be
// added by addUser.
func testDB(t testing.TB) userdb.DB {
	t.Helper()
	db := userdb.At(filepath.Join(t.TempDir(), "users.db"))
	addUser(t, db, "alice", func(*userdb.User) {})
	return db
}

func addUser(t testing.TB, db userdb.DB, name string, edit func(*userdb.User)) {
	t.Helper()
	u := userdb.New(name)
	u.UID, u.GID, u.Home = 1000, 1001, "/srv/ftp/"+name
	u.Password = hashOf(t, secret)
	edit(&u)
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := userdb.Hash(password, testCost())
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func attempt(name, password string) Attempt {
	return Attempt{Name: name, Password: password, From: client, Local: ours}
}

func TestLogin(t *testing.T) {
	db := testDB(t)
	addUser(t, db, "bob", func(u *userdb.User) {
		u.Caged, u.Perms, u.QuotaBytes, u.UploadRate = false, userdb.PermList, userdb.LimitOf(5), 7
	})
	c := testChain(t, options(db))
	got, err := c.Login(t.Context(), attempt("bob", secret))
	want := Account{Name: "bob", UID: 1000, GID: 1001, Home: "/srv/ftp/bob", DB: db,
		Limits: userdb.Limits{Perms: userdb.PermList, QuotaBytes: userdb.LimitOf(5), UploadRate: 7}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	for _, bad := range []Attempt{attempt("bob", "wrong"), attempt("bob", ""), attempt("nobody", secret), attempt("", secret), attempt("", ""),
		attempt("BOB", secret), attempt("bob ", secret), attempt("bob\x00", secret), attempt("bob", secret+"\x00"),
		attempt("bob", strings.Repeat("x", 4096)), attempt(strings.Repeat("x", 1<<20), secret)} {
		got, err := c.Login(t.Context(), bad)
		if err == nil || !reflect.DeepEqual(got, Account{}) {
			t.Errorf("%.40q with %.40q: %+v, %v", bad.Name, bad.Password, got, err)
		}
		if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrDenied) {
			t.Errorf("%.40q with %.40q: %v", bad.Name, bad.Password, err)
		}
	}
}

// However a login fails, it costs as many hashes of today's: the time tells
// nothing of the user. A hash of another kind costs its own on top.
func TestCostOfFailureT037(t *testing.T) {
	db := testDB(t)
	addUser(t, db, "disabled", func(u *userdb.User) { u.Disabled = true })
	addUser(t, db, "expired", func(u *userdb.User) { u.Expires = time.Now().Add(-time.Hour) })
	addUser(t, db, "elsewhere", func(u *userdb.User) { u.DenyClient = patterns(t, "0.0.0.0/0") })
	addUser(t, db, "locked", func(u *userdb.User) { u.Password = "!" + u.Password })
	addUser(t, db, "empty", func(u *userdb.User) { u.Password = "" })
	addUser(t, db, "junk", func(u *userdb.User) { u.Password = "$9$what" })
	addUser(t, db, "greedy", func(u *userdb.User) { u.Password = userdb.Dummy(userdb.Cost{LogN: 20, R: 8, P: 1}) })
	addUser(t, db, "sha", func(u *userdb.User) {
		u.Password = "$5$rounds=1000$YcI9Tkky5s3cFCLZ$DEO1E5M04GIaS2CWsH9eNXfJIk8QAsXcUD1o0eApEL0"
	})
	o := options(db)
	o.Remember = 0
	for _, c := range []struct {
		name, password string
		hashes         int64
		cause          error
	}{
		{"alice", "wrong", 1, ErrPassword},
		{"alice", "", 1, ErrPassword},
		{"nobody", secret, 1, ErrUnknown},
		{"", secret, 1, ErrUnknown},
		{"disabled", "wrong", 1, ErrPassword},
		{"disabled", secret, 1, ErrDisabled},
		{"expired", "wrong", 1, ErrPassword},
		{"expired", secret, 1, ErrExpired},
		{"elsewhere", "wrong", 1, ErrPassword},
		{"elsewhere", secret, 1, ErrAddress},
		{"locked", secret, 1, userdb.ErrUnknownHash},
		{"locked", "wrong", 1, userdb.ErrUnknownHash},
		{"empty", "", 1, userdb.ErrUnknownHash},
		{"empty", secret, 1, userdb.ErrUnknownHash},
		{"junk", secret, 1, userdb.ErrUnknownHash},
		{"greedy", secret, 1, userdb.ErrTooCostly},
		{"sha", "wrong", 2, ErrPassword},
		{"alice", strings.Repeat("x", 512), 0, ErrPassword},
		{"nobody", strings.Repeat("x", 512), 0, ErrPassword},
		{"alice", "x\x00", 0, ErrPassword},
		{"nobody", "x\x00", 0, ErrPassword},
	} {
		chain := testChain(t, o)
		_, err := chain.Login(t.Context(), attempt(c.name, c.password))
		if !errors.Is(err, c.cause) {
			t.Errorf("%s with %.20q: %v, not %v", c.name, c.password, err, c.cause)
		}
		if errors.Is(err, ErrUnknown) == errors.Is(err, ErrDenied) {
			t.Errorf("%s with %.20q is neither unknown nor denied, or both: %v", c.name, c.password, err)
		}
		if n := chain.load.checked.Load(); n != c.hashes {
			t.Errorf("%s with %.20q costs %d hashes, not %d", c.name, c.password, n, c.hashes)
		}
		if n := chain.Failures(client); n != 1 {
			t.Errorf("%s with %.20q counts as %d failures", c.name, c.password, n)
		}
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		addUser(t, db, "bob", func(u *userdb.User) { u.Expires = time.Now().Add(time.Hour) })
		c := testChain(t, options(db))
		if _, err := c.Login(t.Context(), attempt("bob", secret)); err != nil {
			t.Errorf("an hour before: %v", err)
		}
		time.Sleep(time.Hour)
		if _, err := c.Login(t.Context(), attempt("bob", secret)); !errors.Is(err, ErrExpired) {
			t.Errorf("at the moment: %v", err)
		}
		c.Close()
	})
}

func TestChainOrder(t *testing.T) {
	broken := errors.New("the server is down")
	backend := func(name, password string, err error) *memory {
		return &memory{users: map[string]string{name: password}, home: "/" + password, err: err}
	}
	for _, c := range []struct {
		what     string
		backends []Backend
		home     string
		want     error
	}{
		{"nobody is asked", nil, "", ErrUnknown},
		{"nobody knows", []Backend{backend("x", "1", nil), backend("y", "1", nil)}, "", ErrUnknown},
		{"the second knows", []Backend{backend("x", "1", nil), backend("bob", "1", nil)}, "/1", nil},
		{"the first refuses", []Backend{backend("bob", "2", nil), backend("bob", "1", nil)}, "", ErrDenied},
		{"the first grants", []Backend{backend("bob", "1", nil), backend("bob", "2", nil)}, "/1", nil},
		{"the first is broken", []Backend{backend("x", "1", broken), backend("bob", "1", nil)}, "", broken},
		{"the last is broken", []Backend{backend("bob", "1", nil), backend("bob", "1", broken)}, "/1", nil},
	} {
		chain := testChain(t, Options{Backends: c.backends, Cost: testCost()})
		got, err := chain.Login(t.Context(), attempt("bob", "1"))
		if !errors.Is(err, c.want) || got.Home != c.home {
			t.Errorf("%s: %+v, %v", c.what, got, err)
		}
		if errors.Is(err, broken) && chain.Failures(client) != 0 {
			t.Errorf("%s: it counts as the client's failure", c.what)
		}
	}
}

// Every error of a database that cannot be asked refuses.
func TestDatabaseFails(t *testing.T) {
	missing := userdb.At(filepath.Join(t.TempDir(), "users.db"))
	c := testChain(t, options(missing))
	if _, err := c.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrUnknown) {
		t.Errorf("no database: %v", err)
	}
	if n := c.load.checked.Load(); n != 1 {
		t.Errorf("no database: %d hashes", n)
	}
	folder := userdb.At(t.TempDir())
	c = testChain(t, options(folder))
	if a, err := c.Login(t.Context(), attempt("alice", secret)); err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied) {
		t.Errorf("a folder for a database: %+v, %v", a, err)
	}
}

func TestLoginContext(t *testing.T) {
	db := testDB(t)
	c := testChain(t, options(db))
	gone, cancel := context.WithCancelCause(t.Context())
	left := errors.New("the client left")
	cancel(left)
	for _, a := range []Attempt{attempt("alice", secret), attempt("alice", "wrong"), attempt("nobody", secret)} {
		if got, err := c.Login(gone, a); !errors.Is(err, ErrBusy) || !errors.Is(err, left) {
			t.Errorf("%s: %+v, %v", a.Name, got, err)
		}
	}
	if n := c.Failures(client); n != 0 {
		t.Errorf("%d failures", n)
	}
}

func TestOptions(t *testing.T) {
	db := testDB(t)
	for what, spoil := range map[string]func(*Options){
		"unknown method":     func(o *Options) { o.Methods = []Method{{"magic", ""}} },
		"no path":            func(o *Options) { o.Methods = []Method{{"userdb", ""}} },
		"too little memory":  func(o *Options) { o.Cost, o.Memory = userdb.DefaultCost(), 1<<20 },
		"impossible cost":    func(o *Options) { o.Cost = userdb.Cost{LogN: 99, R: 1, P: 1} },
		"cost of half a day": func(o *Options) { o.Cost = userdb.Cost{LogN: 22, R: 8, P: 8} },
	} {
		o := options(db)
		spoil(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !slices.Equal(Kinds(), []string{"anonymous", "extauth", "puredb", "unix", "userdb"}) {
		t.Errorf("Kinds = %v", Kinds())
	}
	o := DefaultOptions()
	if o.Cost != userdb.DefaultCost() || o.Memory != 256<<20 || o.Remember != time.Minute ||
		o.DelayStep != 3*time.Second || o.DelayMost != 10*time.Second {
		t.Errorf("defaults are %+v", o)
	}
}

// Other settings take effect at once, and forget nothing that was learnt.
func TestConfigure(t *testing.T) {
	db := testDB(t)
	o := options(db)
	c := testChain(t, o)
	if _, err := c.Login(t.Context(), attempt("alice", secret)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(t.Context(), attempt("alice", "wrong")); !errors.Is(err, ErrPassword) {
		t.Fatal(err)
	}
	before := c.load.checked.Load()
	o.MinUID, o.DelayStep, o.DelayMost = 1001, time.Second, time.Minute
	if err := c.Configure(o); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrUID) {
		t.Errorf("MinUID is not in force: %v", err)
	}
	if n := c.load.checked.Load(); n != before {
		t.Errorf("the good password was forgotten: %d hashes", n-before)
	}
	if d := c.Delay(client); d < 2*time.Second {
		t.Errorf("the failures were forgotten: %v", d)
	}
	if err := c.Configure(Options{Methods: []Method{{"magic", ""}}}); err == nil {
		t.Error("bad settings are taken")
	}
	if _, err := c.Login(t.Context(), attempt("alice", secret)); !errors.Is(err, ErrUID) {
		t.Errorf("bad settings changed something: %v", err)
	}
}

// memory is a back-end whose users are a map of passwords. It is the least that
// testBackend asks for.
type memory struct {
	users map[string]string
	home  string
	edit  func(*Account)
	err   error // what every login gives
}

func (m *memory) Login(ctx context.Context, a Attempt) (Account, error) {
	password, known := m.users[a.Name]
	switch {
	case ctx.Err() != nil:
		return Account{}, context.Cause(ctx)
	case m.err != nil:
		return Account{}, m.err
	case !known:
		return Account{}, ErrUnknown
	case a.Password != password:
		return Account{}, denied(ErrPassword)
	}
	account := Account{Name: a.Name, UID: 1000, GID: 1000, Home: m.home, Caged: true}
	if m.edit != nil {
		m.edit(&account)
	}
	return account, nil
}

// testBackend is what every back-end must pass. There is one account, which good opens.
func testBackend(t *testing.T, b Backend, good Attempt) {
	t.Helper()
	account, err := b.Login(t.Context(), good)
	if err != nil {
		t.Fatalf("the good attempt: %v", err)
	}
	if account.Name != good.Name || account.UID <= 0 || account.GID <= 0 || !strings.HasPrefix(account.Home, "/") {
		t.Errorf("the account is %+v", account)
	}
	with := func(name, password string) Attempt {
		a := good
		a.Name, a.Password = name, password
		return a
	}
	for _, c := range []struct {
		a    Attempt
		want error
	}{
		{with(good.Name, "wrong"), ErrDenied},
		{with(good.Name, ""), ErrDenied},
		{with(good.Name, good.Password+" "), ErrDenied},
		{with(good.Name, good.Password+good.Password), ErrDenied},
		{with("nobody", good.Password), ErrUnknown},
		{with("", good.Password), ErrUnknown},
		{with("", ""), ErrUnknown},
		{with(good.Name+"\x00", good.Password), ErrUnknown},
		{with(good.Name+"/", good.Password), ErrUnknown},
		{with("*", good.Password), ErrUnknown},
		{with("' OR '1'='1", good.Password), ErrUnknown},
		{with(strings.Repeat("x", 1<<16), good.Password), ErrUnknown},
		{with("\xff\xfe", good.Password), ErrUnknown},
	} {
		got, err := b.Login(t.Context(), c.a)
		if !errors.Is(err, c.want) || errors.Is(err, ErrDenied) == errors.Is(err, ErrUnknown) {
			t.Errorf("%.30q with %.30q: %v, not %v", c.a.Name, c.a.Password, err, c.want)
		}
		if !reflect.DeepEqual(got, Account{}) {
			t.Errorf("%.30q with %.30q: an account besides the error", c.a.Name, c.a.Password)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := b.Login(gone, with(good.Name, "wrong")); err == nil || !reflect.DeepEqual(got, Account{}) {
		t.Errorf("when the client is gone: %+v, %v", got, err)
	}
	// Many may ask at once, and each has its own answer.
	done := make(chan error)
	const many = 20
	for i := range many {
		go func() {
			a, want := good, error(nil)
			if i%2 == 1 {
				a, want = with(good.Name, fmt.Sprint(i)), ErrDenied
			}
			_, err := b.Login(context.Background(), a)
			if !errors.Is(err, want) {
				err = fmt.Errorf("attempt %d gives another answer: %w", i, err)
			} else {
				err = nil
			}
			done <- err
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestBackends(t *testing.T) {
	good := attempt("alice", secret)
	t.Run("memory", func(t *testing.T) {
		testBackend(t, &memory{users: map[string]string{"alice": secret}, home: "/"}, good)
	})
	tested := map[string]string{
		"userdb": testDB(t).Path(),
		"puredb": pureFile(t, "alice:"+hashOf(t, secret)+":1000:1001::/srv/alice/./"),

		"extauth": authd(t, alone),
		"unix":    etc(t, systemFiles(t)),
	}
	for kind, arg := range tested {
		t.Run(kind, func(t *testing.T) {
			c := testChain(t, Options{Methods: []Method{{kind, arg}}, Cost: testCost()})
			testBackend(t, c.settings.Load().hosts[""][0], good)
		})
	}
	for _, kind := range Kinds() {
		if _, ok := tested[kind]; !ok && kind != "anonymous" { // who knows no passwords, and has tests of its own
			t.Errorf("%s is not tested", kind)
		}
	}
}
