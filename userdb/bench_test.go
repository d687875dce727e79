package userdb

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// million is how many users the benchmarks work among.
const million = 1_000_000

// millionDB makes the database of the benchmarks once for them all.
var millionDB = sync.OnceValues(func() (DB, error) {
	db := At(filepath.Join(benchFolder, "users.db"))
	_, err := db.AddAll(millionUsers())
	return db, err
})

// benchFolder is made and removed by TestMain.
var benchFolder string

func millionName(i int) string { return fmt.Sprintf("user%07d", i) }

// millionUsers yields users of an ordinary size.
func millionUsers() iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		u := full()
		u.Password = Dummy(DefaultCost())
		u.Limits = Limits{Perms: AllPerms, QuotaBytes: LimitOf(10 << 30), UploadRate: 1 << 20}
		for i := range million {
			u.Name = millionName(i)
			u.Home = "/srv/ftp/" + u.Name
			if !yield(u, nil) {
				return
			}
		}
	}
}

func among(b *testing.B) DB {
	b.Helper()
	db, err := millionDB()
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	return db
}

func BenchmarkGet(b *testing.B) {
	db := among(b)
	for b.Loop() {
		if _, err := db.Get(millionName(rand.IntN(million))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkModify(b *testing.B) {
	db := among(b)
	for b.Loop() {
		if err := db.Modify(millionName(rand.IntN(million)), func(u *User) error { u.MaxSessions++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddRemove(b *testing.B) {
	db := among(b)
	for b.Loop() {
		u := least(fmt.Sprintf("new%07d", rand.IntN(million)))
		if err := db.Add(u); err != nil {
			b.Fatal(err)
		}
		if err := db.Remove(u.Name); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTouch(b *testing.B) {
	db := among(b)
	for i := 0; b.Loop(); i++ {
		if err := db.Touch(millionName(rand.IntN(million)), full().AllowClient[2].Prefix.Addr(), full().Created.AddDate(0, 0, i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAll walks over all users; heap-MB is the most memory that live
// objects and garbage took during it.
func BenchmarkAll(b *testing.B) {
	db := among(b)
	var most uint64
	for b.Loop() {
		n := 0
		for u, err := range db.All() {
			if err != nil || u.UID == 0 {
				b.Fatal(err)
			}
			if n++; n%50_000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		if n < million {
			b.Fatalf("%d users", n)
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "heap-MB")
}

func BenchmarkAddAll(b *testing.B) {
	for b.Loop() {
		db := At(filepath.Join(b.TempDir(), "users.db"))
		if _, err := db.AddAll(millionUsers()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	u := full()
	u.Limits = Limits{Perms: AllPerms}
	layout := userLayout()
	record := encode(layout, &u)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(layout, "user", record); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is one password at the cost that new hashes have.
func BenchmarkVerify(b *testing.B) {
	hash := Dummy(DefaultCost())
	for b.Loop() {
		if _, err := Verify(hash, horse, budgt); err != nil {
			b.Fatal(err)
		}
	}
}
