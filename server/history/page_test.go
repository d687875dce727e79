package history

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"portreeve/logparse"
)

// pages walks all pages of a query, and returns the bytes of their entries.
func pages(t *testing.T, db DB, q Query, limit int) (all []int64, n int) {
	t.Helper()
	format, _ := logparse.Find("json")
	var p logparse.Parser
	for cursor := ""; ; n++ {
		page, err := db.Page(q, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Lines) > limit {
			t.Fatalf("a page of %d has %d", limit, len(page.Lines))
		}
		for _, line := range page.Lines {
			var e logparse.Entry
			if err := p.Parse(&format, line, &e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e.Bytes)
		}
		if cursor = page.Next; cursor == "" {
			return all, n + 1
		}
	}
}

// TestPages has pages of every size together be what All gives.
func TestPages(t *testing.T) {
	db := testDB(t)
	var all []logparse.Entry
	for i := range 3000 {
		all = append(all, entryAt(i, "u"+strconv.Itoa(i%3), "192.0.2."+strconv.Itoa(i%7), "/"+strconv.Itoa(i%50)))
	}
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		q := Query{Newest: rand.IntN(2) == 0}
		if rand.IntN(2) == 0 {
			q.User = "u1"
		}
		if rand.IntN(3) == 0 {
			q.Path = "/7"
		}
		if rand.IntN(3) == 0 {
			q.Since, q.Until = begin.Add(500*time.Minute), begin.Add(2500*time.Minute)
		}
		var want []int64
		for e, err := range db.All(q) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, e.Bytes)
		}
		limit := 1 + rand.IntN(700)
		if len(want)/limit > 300 {
			limit = 100
		}
		if got, _ := pages(t, db, q, limit); !slices.Equal(got, want) {
			t.Fatalf("%+v by %d gives %d entries, want %d", q, limit, len(got), len(want))
		}
	}
	for _, cursor := range []string{"x", "00", "zz00000000000000000000000", "000000000000000000000000000"} {
		if _, err := db.Page(Query{}, cursor, 1); err != ErrCursor {
			t.Errorf("the cursor %q gives %v", cursor, err)
		}
	}
	// A cursor of another query leads nowhere outside of this.
	for _, cursor := range []string{"000000000000000000000000", "7fffffffffffffffffffffff"} {
		for _, newest := range []bool{true, false} {
			q := Query{Newest: newest, Since: begin.Add(10 * time.Minute), Until: begin.Add(20 * time.Minute)}
			page, err := db.Page(q, cursor, 100)
			if n := len(page.Lines); err != nil || n != 0 && n != 10 {
				t.Errorf("a foreign cursor finds %d, %v", n, err)
			}
		}
	}
}

// TestPagesLookAtSome has a query that chooses one of many answer in steps.
func TestPagesLookAtSome(t *testing.T) {
	db := testDB(t)
	var all []logparse.Entry
	for i := range 2*lookMost + 100 {
		all = append(all, entryAt(i, "ann", "192.0.2.1", "/a"))
	}
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	got, n := pages(t, db, Query{Newest: true, Match: func(e *logparse.Entry) bool { return e.Bytes == 5 }}, 10)
	if !slices.Equal(got, []int64{5}) || n != 3 {
		t.Errorf("%d pages have %v", n, got)
	}
}

func TestTop(t *testing.T) {
	db := testDB(t)
	all := []logparse.Entry{
		{Time: begin, Direction: logparse.Upload, Status: logparse.Whole, User: "ann", Host: "192.0.2.1", Path: "/a", Bytes: 10},
		{Time: begin, Direction: logparse.Download, Status: logparse.Cut, User: "bob", Host: "192.0.2.1", Path: "/b", Bytes: 7},
		{Time: begin, Event: logparse.Login, User: "bob", Host: "192.0.2.9"},
		{Time: begin.Add(time.Hour), Event: logparse.Delete, User: "bob", Host: "192.0.2.2", Path: "/a"},
	}
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	top := func(q Query, by By, look, most int) ([]Sum, bool) {
		t.Helper()
		sums, cut, err := db.top(q, by, look, most)
		if err != nil {
			t.Fatal(err)
		}
		return sums, cut
	}
	paths, cut := top(Query{}, ByPath, topLook, topKeys)
	if want := []Sum{{Path: "/a", Uploads: 1, Deletes: 1, In: 10}, {Path: "/b", Downloads: 1, Incomplete: 1, Out: 7}}; cut || !slices.Equal(paths, want) {
		t.Errorf("paths are %+v", paths)
	}
	addrs, _ := top(Query{Until: begin.Add(time.Minute)}, ByAddr, topLook, topKeys)
	if want := []Sum{{Addr: "192.0.2.1", Uploads: 1, Downloads: 1, Incomplete: 1, In: 10, Out: 7}}; !slices.Equal(addrs, want) {
		t.Errorf("addresses are %+v", addrs)
	}
	if sums, cut := top(Query{}, ByPath, 1, topKeys); !cut || len(sums) != 1 {
		t.Errorf("of one entry there are %+v, %v", sums, cut)
	}
	// However many names there are, a few are kept, and those that moved most are.
	var many []logparse.Entry
	for i := range 1000 {
		many = append(many, entryAt(i, "ann", "", "/x"+strconv.Itoa(i)))
	}
	if err := db.Write(many); err != nil {
		t.Fatal(err)
	}
	if sums, cut := top(Query{}, ByPath, topLook, 20); !cut || len(sums) > 20 || sums[0].Path != "/x999" {
		t.Errorf("of many there are %d, %v", len(sums), cut)
	}
}
