package stats

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"portreeve/logparse"
)

// randomSessions are entries of sessions that begin and end, some after hours.
func randomSessions(r *rand.Rand) []logparse.Entry {
	var list []logparse.Entry
	begin := time.Unix(1_770_000_000, 0)
	for i := range 60 {
		at := begin.Add(time.Duration(r.IntN(40_000)) * time.Second)
		e := logparse.Entry{Time: at, Event: logparse.Connect, Session: strconv.Itoa(i)}
		list = append(list, e)
		for range r.IntN(6) {
			at = at.Add(time.Duration(r.IntN(9000)) * time.Second)
			e.Time, e.Event, e.Bytes, e.Took = at, logparse.Transfer, r.Int64N(1000), time.Duration(r.IntN(1000))*time.Millisecond
			list = append(list, e)
		}
		if r.IntN(5) > 0 {
			e.Time, e.Event, e.Bytes, e.Took = at.Add(time.Duration(r.IntN(9000))*time.Second), logparse.Logout, 0, 0
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b logparse.Entry) int { return a.Time.Compare(b.Time) })
	return list
}

// slowSessions sums sessions up that are kept to the end.
func slowSessions(list []logparse.Entry) tally {
	all := make(map[string]*live)
	for i := range list {
		e, at := &list[i], list[i].Time.UnixMilli()
		one := all[e.Session]
		if one == nil {
			one = &live{first: at}
			all[e.Session] = one
		}
		one.last = at
		if e.Event == logparse.Transfer {
			one.transfers++
			one.bytes += e.Bytes
			one.busy += e.Took.Milliseconds()
		}
	}
	var sum tally
	for _, one := range all {
		sum.add(one)
	}
	return sum
}

// text is what a tally has to tell.
func (t *tally) text() string {
	return fmt.Sprint(t.count, t.transfers, t.bytes, t.busy, t.length, t.longest, t.lengths.quantile(0.5), t.lengths.quantile(0.9))
}

func (s *sessions) sum() tally {
	var sum tally
	sum.merge(&s.over)
	for _, one := range s.live {
		sum.add(one)
	}
	return sum
}

// TestSessionsOfParts wants the same of a log that was cut anywhere, and of one that
// goes on from a state.
func TestSessionsOfParts(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		list := randomSessions(r)
		want := slowSessions(list)
		cuts := []int{r.IntN(len(list)), r.IntN(len(list)), r.IntN(len(list))}
		slices.Sort(cuts)
		var sum, state sessions
		from := 0
		for _, cut := range append(cuts, len(list)) {
			var part sessions
			for i := range list[from:cut] {
				part.add(&list[from+i])
				state.add(&list[from+i])
			}
			from = cut
			sum.merge(&part)
			e := new(encoder)
			state.write(e)
			d := decoder{rest: e.buf}
			state = sessions{}
			if state.load(&d); d.err != nil || len(d.rest) > 0 {
				t.Fatalf("log %d: the state has %d bytes too many and %v", seed, len(d.rest), d.err)
			}
		}
		if got := sum.sum(); got.text() != want.text() {
			t.Fatalf("log %d cut at %v: sessions are %s, want %s", seed, cuts, got.text(), want.text())
		}
		if got := state.sum(); got.text() != want.text() {
			t.Fatalf("log %d from states at %v: sessions are %s, want %s", seed, cuts, got.text(), want.text())
		}
	}
}

// TestSessionBounds shows sessions that nothing ends.
func TestSessionBounds(t *testing.T) {
	var s sessions
	for i := range 5 * maxLive {
		s.add(&logparse.Entry{Time: time.Unix(1_770_000_000+int64(i)/10, 0), Session: strconv.Itoa(i)})
	}
	if sum := s.sum(); len(s.live) > maxLive || sum.count != 5*maxLive {
		t.Errorf("%d sessions are live, and %d are counted", len(s.live), sum.count)
	}
}

// TestSessionNamedAgain wants two of a name that is used again.
func TestSessionNamedAgain(t *testing.T) {
	var s sessions
	for _, day := range []int64{0, 5} {
		for minute := range int64(2) {
			s.add(&logparse.Entry{Time: time.Unix(1_770_000_000+day*86400+minute*60, 0), Session: "7"})
		}
	}
	if sum := s.sum(); sum.count != 2 || sum.length != 120_000 {
		t.Errorf("there are %d sessions of %d milliseconds", sum.count, sum.length)
	}
}
