package history

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"portreeve/logparse"
)

var begin = time.Date(2026, time.March, 2, 10, 0, 0, 0, time.UTC)

func entryAt(i int, user, host, path string) logparse.Entry {
	return logparse.Entry{Time: begin.Add(time.Duration(i) * time.Minute), Direction: logparse.Upload, Status: logparse.Whole, User: user, Host: host, Path: path, Bytes: int64(i)}
}

func testDB(t testing.TB) DB {
	t.Helper()
	return At(filepath.Join(t.TempDir(), "sub", "history.db"))
}

// TestAgainstModel asks at random what a slice of all entries answers, too.
func TestAgainstModel(t *testing.T) {
	db := testDB(t)
	var all []logparse.Entry
	pick := func(list ...string) string { return list[rand.IntN(len(list))] }
	users, hosts, paths := []string{"ann", "bob", "x y\x1b", "ann2"}, []string{"192.0.2.1", "192.0.2.11", "2001:db8::1"}, []string{"/a", "/a/b", "/\xff", "/long" + strings.Repeat("x", 5000)}
	for range 20 {
		var batch []logparse.Entry
		for range rand.IntN(400) {
			e := entryAt(len(all)+len(batch), pick(users...), pick(hosts...), pick(paths...))
			switch rand.IntN(10) {
			case 0:
				e.Event, e.To = logparse.Rename, pick(paths...)
			case 1:
				e.Event = logparse.Delete
			}
			batch = append(batch, e)
		}
		if err := db.Write(batch); err != nil {
			t.Fatal(err)
		}
		all = append(all, batch...)
	}
	for range 200 {
		q := Query{Newest: rand.IntN(2) == 0}
		for _, of := range []struct {
			field *string
			list  []string
		}{{&q.User, users}, {&q.Host, hosts}, {&q.Path, paths}} {
			if rand.IntN(3) == 0 {
				*of.field = pick(of.list...)
			}
		}
		if rand.IntN(2) == 0 {
			q.Since = begin.Add(time.Duration(rand.IntN(len(all))) * time.Minute)
		}
		if rand.IntN(2) == 0 {
			q.Until = begin.Add(time.Duration(rand.IntN(len(all))) * time.Minute)
		}
		var want, got []int64
		for i := range all {
			e := &all[i]
			if q.means(e) && !e.Time.Before(q.Since) && (q.Until.IsZero() || e.Time.Before(q.Until)) {
				want = append(want, e.Bytes)
			}
		}
		if q.Newest {
			slices.Reverse(want)
		}
		for e, err := range db.All(q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Bytes)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v gives %d entries, want %d", q, len(got), len(want))
		}
	}
	sums, err := db.Users(time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]*Sum)
	for i := range all {
		if want[all[i].User] == nil {
			want[all[i].User] = &Sum{User: all[i].User}
		}
		want[all[i].User].add(&all[i])
	}
	for _, s := range sums {
		if s != *want[s.User] {
			t.Errorf("the sum is %+v, want %+v", s, *want[s.User])
		}
	}
	if len(sums) != len(want) {
		t.Errorf("%d users, want %d", len(sums), len(want))
	}
}

func TestPrune(t *testing.T) {
	db := testDB(t)
	var all []logparse.Entry
	for i := range 10_000 {
		all = append(all, entryAt(i, "ann", "192.0.2.1", "/"+strconv.Itoa(i)))
	}
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	prune := func(before time.Time, bytes int64) (all int64) {
		t.Helper()
		for more := true; more; {
			var gone int64
			var err error
			if gone, more, err = db.Prune(before, bytes); err != nil {
				t.Fatal(err)
			}
			all += gone
		}
		return all
	}
	if gone := prune(begin.Add(5000*time.Minute), 0); gone != 5000 {
		t.Fatal(gone)
	}
	status, err := db.Status()
	if err != nil || status.Entries != 5000 || !status.First.Equal(all[5000].Time) || !status.Last.Equal(all[9999].Time) {
		t.Fatalf("there are %+v, %v", status, err)
	}
	for range db.All(Query{Path: "/4999"}) {
		t.Error("a path of what is gone is found")
	}
	gone := prune(time.Time{}, status.Bytes/4)
	status, err = db.Status()
	if err != nil || gone == 0 || status.Entries != 5000-gone || status.Entries == 0 || !status.Last.Equal(all[9999].Time) {
		t.Fatal(gone, err, status)
	}
	// What is gone makes room: the file does not grow while as much comes.
	before := status.Bytes
	if err := db.Write(all[:1000]); err != nil {
		t.Fatal(err)
	}
	if status, _ := db.Status(); status.Bytes > before {
		t.Errorf("the file has %d bytes, and had %d", status.Bytes, before)
	}
	if sums, _ := db.Users(time.Time{}, time.Time{}); len(sums) != 1 || sums[0].Uploads != 11_000 {
		t.Errorf("sums of days are %+v", sums)
	}
}

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		r := Record(db, Options{Days: 1}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		entry := func(path string) logparse.Entry {
			return logparse.Entry{Time: time.Now(), User: "ann", Path: path, Status: logparse.Whole}
		}
		r.Record(entry("/a"))
		r.Record(logparse.Entry{Time: time.Now(), Event: logparse.Message, Text: "not kept"})
		<-time.After(2 * batchEvery)
		synctest.Wait()
		count := func() (n int64) {
			status, err := db.Status()
			if err != nil {
				t.Error(err)
			}
			return status.Entries
		}
		if n := count(); n != 1 {
			t.Errorf("there are %d entries after a second", n)
		}
		<-time.After(25 * time.Hour)
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("there are %d entries after a day", n)
		}
		r.Use(Options{})
		r.Record(entry("/off"))
		r.Use(Options{Days: 1})
		r.Record(entry("/last"))
		r.Close()
		if n := count(); n != 1 {
			t.Errorf("there are %d entries at the end", n)
		}
	})
}

// TestFull fills the queue while nothing is written, since the disk does not let it.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "sub"), nil, 0o600); err != nil { // where a folder should be
			t.Fatal(err)
		}
		var said strings.Builder
		r := Record(At(filepath.Join(dir, "sub", "history.db")), Options{Days: 1}, slog.New(slog.NewTextHandler(&said, nil)))
		const n = 3 * queued
		for range n {
			r.Record(logparse.Entry{Time: time.Now(), User: "ann", Path: "/a"})
		}
		<-time.After(time.Minute)
		r.Close()
		if lost := r.Lost(); lost < n-2*batch || lost > n || !strings.Contains(said.String(), "history cannot be written") {
			t.Errorf("%d of %d are lost, and it says %q", lost, n, said.String())
		}
	})
}

func TestDamagedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := testDB(t)
		if err := db.Write([]logparse.Entry{entryAt(0, "ann", "", "/a")}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(db.Path(), []byte(strings.Repeat("no database ", 4096)), 0o600); err != nil {
			t.Fatal(err)
		}
		r := Record(db, Options{Days: 1}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		r.Record(logparse.Entry{Time: time.Now(), User: "ann", Path: "/b"})
		<-time.After(3 * batchEvery)
		r.Close()
		if status, err := db.Status(); err != nil || status.Entries != 1 {
			t.Errorf("the new history is %+v, %v", status, err)
		}
		if old, _ := filepath.Glob(db.Path() + ".damaged-*"); len(old) != 1 {
			t.Errorf("the old one is %q", old)
		}
	})
}

// TestDamagedPages has each page of a file be nonsense, one after the other, and
// the file cut short: nothing ends the process, nothing hangs, and the recorder
// writes in the end.
func TestDamagedPages(t *testing.T) {
	db := testDB(t)
	var all []logparse.Entry
	for i := range 1500 {
		all = append(all, entryAt(i, "ann", "192.0.2.1", "/"+strconv.Itoa(i)))
	}
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	size, broken := os.Getpagesize(), 0
	for at := 0; at+size <= len(text); at += size {
		damaged := slices.Clone(text)
		for i := range size {
			damaged[at+i] = byte(i*31 + at)
		}
		if at%(3*size) == 0 {
			damaged = damaged[:at+size/2]
		}
		if err := os.WriteFile(db.Path(), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		for range db.All(Query{User: "ann"}) {
		}
		for range db.All(Query{Newest: true}) {
		}
		_, err := db.Status()
		_, err2 := db.Users(time.Time{}, time.Time{})
		_, _, err3 := db.Prune(begin.Add(time.Hour), 1)
		if err4 := db.Write(all[:1]); err != nil || err2 != nil || err3 != nil || err4 != nil {
			broken++
		}
	}
	if broken == 0 {
		t.Error("nothing was found to be damaged")
	}
	r := Record(db, Options{Days: 36500}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	r.Record(entryAt(0, "ann", "", "/b"))
	r.Close()
}

// TestDaysAreBounded has more days of users than are kept.
func TestDaysAreBounded(t *testing.T) {
	db := testDB(t)
	for i := range 50 {
		e := entryAt(i/2*24*60, "ann", "", "/a")
		if err := db.update(func(tx *bolt.Tx) error { return addDay(tx.Bucket(bucketDays), &e, 10) }); err != nil {
			t.Fatal(err)
		}
	}
	if sums, err := db.Users(time.Time{}, time.Time{}); err != nil || len(sums) != 1 || sums[0].Uploads != 20 {
		t.Errorf("of ten days there are %+v, %v", sums, err)
	}
}

// BenchmarkHistory asks a million entries for the first page of some queries.
func BenchmarkHistory(b *testing.B) {
	const n, together = 1_000_000, 50_000 // more than the recorder writes: the index is written less often
	db := testDB(b)
	began := time.Now()
	var batchOf []logparse.Entry
	for i := range n {
		batchOf = append(batchOf, entryAt(i, "user-"+strconv.Itoa(i%2000), "10.0."+strconv.Itoa(i%20)+"."+strconv.Itoa(i%250), "/srv/ftp/some/folder-"+strconv.Itoa(i%700)+"/file-"+strconv.Itoa(i%60_000)))
		if len(batchOf) == together {
			if err := db.Write(batchOf); err != nil {
				b.Fatal(err)
			}
			batchOf = batchOf[:0]
		}
	}
	status, err := db.Status()
	if err != nil {
		b.Fatal(err)
	}
	rate, each := n/time.Since(began).Seconds(), float64(status.Bytes)/n
	for _, test := range []struct {
		name string
		q    Query
	}{
		{"newest", Query{Newest: true}},
		{"user", Query{User: "user-7"}},
		{"path", Query{Path: "/srv/ftp/some/folder-77/file-77"}},
		{"host", Query{Host: "10.0.9.9", Newest: true}},
		{"folder", Query{Newest: true, Match: func(e *logparse.Entry) bool { return strings.HasPrefix(e.Path, "/srv/ftp/some/folder-7/") }}},
		{"network", Query{Newest: true, Match: func(e *logparse.Entry) bool { return strings.HasPrefix(e.Host, "10.0.9.") }}},
		{"nothing", Query{Newest: true, Match: func(*logparse.Entry) bool { return false }}},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.Page(test.q, "", 50); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(rate, "written/s")
			b.ReportMetric(each, "B/entry")
		})
	}
}
