package history

import (
	"strconv"
	"testing"
	"time"

	"portreeve/logparse"
)

// TestRemove removes what a query chooses, and leaves the rest and what leads to it.
func TestRemove(t *testing.T) {
	db := testDB(t)
	var all []logparse.Entry
	for i := range 5000 {
		all = append(all, entryAt(i, "u"+strconv.Itoa(i%2), "192.0.2.1", "/"+strconv.Itoa(i%10)))
	}
	if err := db.Write(all); err != nil {
		t.Fatal(err)
	}
	remove := func(q Query, want, left int64) {
		t.Helper()
		steps := 0
		gone, err := db.Remove(q, func(int64) { steps++ })
		if err != nil || gone != want || steps == 0 {
			t.Errorf("%+v removes %d in %d steps, %v; want %d", q, gone, steps, err, want)
		}
		if s, err := db.Status(); err != nil || s.Entries != left {
			t.Errorf("there are %d left, %v; want %d", s.Entries, err, left)
		}
		found := int64(0)
		for range db.All(Query{}) {
			found++
		}
		if found != left {
			t.Errorf("%d are found, want %d", found, left)
		}
		for range db.All(q) {
			t.Fatalf("%+v finds what is gone", q)
		}
	}
	remove(Query{Path: "/3"}, 500, 4500)
	remove(Query{Until: begin.Add(1000 * time.Minute)}, 900, 3600)
	remove(Query{Match: func(e *logparse.Entry) bool { return e.Bytes%7 == 0 }, User: "u1"}, 229, 3371)
	if sums, _ := db.Users(time.Time{}, time.Time{}); len(sums) != 2 {
		t.Errorf("sums are %+v", sums)
	}
	remove(Query{User: "u1"}, 1371, 2000)
	if sums, _ := db.Users(time.Time{}, time.Time{}); len(sums) != 1 || sums[0].User != "u0" {
		t.Errorf("without u1 sums are %+v", sums)
	}
}
