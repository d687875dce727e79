package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"portreeve/puredb"
	"portreeve/userdb"
)

// users is the back-end of virtual users: ours, or those of a file that pure-pw
// made, which is only read. Which of the two a file is, it says itself at each
// login, so that it may be replaced by the other kind under a daemon that runs.
type users struct {
	db      userdb.DB
	known   *userdb.Cache // of db
	hashing *hashing
	notes   *notes
}

func newUsers(with shared, path string) (Backend, error) {
	if path == "" {
		return nil, errors.New("it needs the path of a database")
	}
	db := userdb.At(path)
	return &users{db, userdb.NewCache(db), with.hashing, with.notes}, nil
}

// found is a user and where it was.
type found struct {
	userdb.User
	start string // folder within the home
	ours  bool   // in a database that can be written
}

// account is what the user's record grants.
func (u *found) account() Account {
	// A copy of the path, or the whole record would stay for as long as the session.
	home := strings.Clone(u.Home)
	if u.start != "" {
		home += "/." + u.start
	}
	return Account{Name: u.Name, UID: u.UID, GID: u.GID, Home: home, Caged: u.Caged, Limits: u.Limits, Expires: u.Expires}
}

func (b *users) find(name string) (found, error) {
	pure, err := puredb.Open(b.db.Path())
	switch {
	case errors.Is(err, puredb.ErrFormat), errors.Is(err, fs.ErrNotExist):
		u, err := b.known.Get(name)
		return found{User: u, ours: true}, err
	case err != nil:
		return found{}, err
	}
	defer pure.Close()
	fields, err := pure.Get(name)
	if err != nil {
		return found{}, err
	}
	u, start, err := puredb.ParseUser(name, fields)
	return found{User: u, start: start}, err
}

// Login finds the user and checks the password first; whatever else refuses
// comes after, when the client has shown that it knows the password.
func (b *users) Login(ctx context.Context, a Attempt) (Account, error) {
	u, err := b.find(a.Name)
	switch {
	case errors.Is(err, userdb.ErrNoUser), errors.Is(err, userdb.ErrNoDatabase):
		return Account{}, ErrUnknown
	case errors.Is(err, userdb.ErrMalformed):
		// u has no password: the time is spent, and nobody let in.
	case err != nil:
		return Account{}, fmt.Errorf("looking up a user in %s: %w", b.db.Path(), err)
	}
	ok, hashErr := b.proven(ctx, a, u.User)
	if err := verdict(err, ok, hashErr); err != nil {
		return Account{}, err
	}
	if err := a.told("account", Standing(u.User, a.time())); err != nil {
		return Account{}, denied(err)
	}
	account := u.account()
	if u.ours {
		account.DB = b.db
		account.granted = func() { b.granted(a, u.User) }
	}
	return account, nil
}

// proven tells whether the client is who it says: by its certificate, or by its
// password. A locked password locks the account, whatever else it has.
func (b *users) proven(ctx context.Context, a Attempt, u userdb.User) (bool, error) {
	if a.Ask != nil {
		return true, nil
	}
	if a.Certified {
		return !strings.HasPrefix(u.Password, "!"), nil
	}
	return b.hashing.check(ctx, a, u.Password)
}

// granted notes a login, and has a hash that is not of today's cost made anew,
// since this is when the password is known.
func (b *users) granted(a Attempt, u userdb.User) {
	b.notes.login(b.db, u.Name, userdb.Login{At: time.Now(), From: a.From})
	if !a.Certified && userdb.Weaker(u.Password, b.hashing.cost) {
		b.notes.rehash(b.db, b.hashing, u, a.Password)
	}
}
