package history

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/logparse"
)

// TestFlood has a hundred thousand logins fail, from as many addresses, between two
// transfers: both are remembered, and how many failed.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100_000
		db := testDB(t)
		r := Record(db, Options{Days: 30, Bytes: 4 << 20}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		r.Record(logparse.Entry{Time: time.Now(), User: "ann", Path: "/first"})
		for i := range n {
			r.Record(logparse.Entry{Time: time.Now(), Event: logparse.Login, Status: logparse.Failed, User: fmt.Sprint("u", i), Host: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)})
			if i%10_000 == 0 {
				<-time.After(time.Second)
			}
		}
		r.Record(logparse.Entry{Time: time.Now(), User: "ann", Path: "/last"})
		<-time.After(2 * pruneEvery)
		r.Close()
		if r.Lost() != 0 {
			t.Errorf("%d are lost", r.Lost())
		}
		transfers, one, folded := 0, 0, 0
		for e, err := range db.All(Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Event == logparse.Transfer:
				transfers++
			case strings.HasSuffix(e.Reason, "more logins failed"):
				k := 0
				if _, err := fmt.Sscan(e.Reason, &k); err != nil {
					t.Error(err)
				}
				folded += k
			default:
				one++
			}
		}
		if transfers != 2 || one+folded != n || one < failureBurst || one > failureBurst+10 {
			t.Errorf("there are %d transfers, %d failed logins and %d more", transfers, one, folded)
		}
	})
}

// TestFailuresComeBack has the share be there again after a while, and a clock that
// is set back neither grant nor withhold for good.
func TestFailuresComeBack(t *testing.T) {
	var f failures
	now := begin
	admitted := func(n int) (ok int) {
		for range n {
			if f.admit(now) {
				ok++
			}
		}
		return ok
	}
	if n := admitted(3 * failureBurst); n != failureBurst {
		t.Errorf("%d are admitted at once", n)
	}
	now = now.Add(-24 * time.Hour)
	if n := admitted(10); n != 0 {
		t.Errorf("%d are admitted since the clock is set back", n)
	}
	now = now.Add(5 * failureEvery)
	if n := admitted(10); n != 5 {
		t.Errorf("%d are admitted later, want 5", n)
	}
	if _, ok := f.fold(now, false); !ok {
		t.Error("what was counted is not told")
	}
	f.admit(now)
	if _, ok := f.fold(now.Add(time.Second), false); ok {
		t.Error("it is told each second")
	}
	if _, ok := f.fold(now.Add(time.Second), true); !ok {
		t.Error("it is not told in the end")
	}
}
