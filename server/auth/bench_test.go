package auth

import (
	"testing"
	"time"

	"portreeve/userdb"
)

// BenchmarkLogin is a login whose password was found good lately: the way of
// each of a client's connections but the first.
func BenchmarkLogin(b *testing.B) {
	o := options(testDB(b))
	o.Remember = time.Hour
	c := testChain(b, o)
	for b.Loop() {
		if _, err := c.Login(b.Context(), attempt("alice", secret)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstLogin pays for the hash, at the cost that new ones have.
func BenchmarkFirstLogin(b *testing.B) {
	db := testDB(b)
	addUser(b, db, "bob", func(u *userdb.User) {
		hash, err := userdb.Hash(secret, userdb.DefaultCost())
		if err != nil {
			b.Fatal(err)
		}
		u.Password = hash
	})
	o := options(db)
	o.Cost, o.Remember = userdb.DefaultCost(), 0
	c := testChain(b, o)
	for b.Loop() {
		if _, err := c.Login(b.Context(), attempt("bob", secret)); err != nil {
			b.Fatal(err)
		}
	}
}
