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

// randomLogins are logins of a few hosts, in times that make bursts now and then.
func randomLogins(r *rand.Rand) []logparse.Entry {
	var list []logparse.Entry
	at := time.Unix(1_770_000_000, 0)
	for range 60 + r.IntN(60) {
		host, pace := strconv.Itoa(r.IntN(3)), []int64{3, 14, 25, 70}[r.IntN(4)]
		for range 1 + r.IntN(9) {
			e := logparse.Entry{Time: at, Event: logparse.Login, Host: host, Status: logparse.Failed}
			if r.IntN(10) == 0 {
				e.Status = logparse.Whole
			}
			list = append(list, e)
			at = at.Add(time.Duration(r.Int64N(pace)) * time.Second)
		}
	}
	return list
}

// burstsSlowly finds bursts by looking at all failures of each host.
func burstsSlowly(list []logparse.Entry) []burst {
	var out []burst
	for host := range 3 {
		var times []int64
		for i := range list {
			if list[i].Host == strconv.Itoa(host) && list[i].Status == logparse.Failed {
				times = append(times, list[i].Time.Unix())
			}
		}
		for i := 0; i < len(times); i++ {
			if i+burstLeast > len(times) || times[i+burstLeast-1]-times[i] >= burstSpan {
				continue
			}
			b := burst{host: strconv.Itoa(host), from: times[i], to: times[i], count: 1}
			for i+1 < len(times) && times[i+1]-times[i] < burstSpan {
				i++
				b.to = times[i]
				b.count++
			}
			out = append(out, b)
		}
	}
	return out
}

func burstsText(list []burst) string {
	slices.SortFunc(list, func(a, b burst) int { return longer(&a, &b) })
	return fmt.Sprint(list)
}

func (l *logins) text() string {
	var list []burst
	for _, b := range l.bursts {
		list = append(list, *b)
	}
	return burstsText(list)
}

// TestBursts holds bursts to what looking at everything finds, however a log is cut
// and whether it goes on from a state.
func TestBursts(t *testing.T) {
	found := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 4))
		list := randomLogins(r)
		whole := burstsSlowly(list)
		found += len(whole)
		want := burstsText(whole)
		for _, cuts := range [][]int{nil, {r.IntN(len(list))}, {r.IntN(len(list)), r.IntN(len(list)), r.IntN(len(list)), r.IntN(len(list))}} {
			slices.Sort(cuts)
			if len(cuts) > 1 && r.IntN(2) == 0 {
				cuts = []int{cuts[0], min(cuts[0]+1, len(list)), min(cuts[0]+3, len(list))}
			}
			sum, from := newLogins(), 0
			for _, cut := range append(slices.Clone(cuts), len(list)) {
				part := newLogins()
				for i := range list[from:cut] {
					part.add(&list[from+i], list[from+i].Time.Unix())
				}
				from = cut
				sum.merge(&part)
			}
			if got := sum.text(); got != want {
				t.Fatalf("log %d cut at %v: bursts are\n%s, want\n%s", seed, cuts, got, want)
			}
		}
		sum, cut := newLogins(), r.IntN(len(list))
		for i := range list {
			if i == cut {
				e := new(encoder)
				sum.write(e)
				d := decoder{rest: e.buf}
				sum = newLogins()
				if sum.load(&d); d.err != nil || len(d.rest) > 0 {
					t.Fatalf("log %d: the state has %d bytes too many and %v", seed, len(d.rest), d.err)
				}
			}
			sum.add(&list[i], list[i].Time.Unix())
		}
		if got := sum.text(); got != want {
			t.Fatalf("log %d with a state after %d: bursts are\n%s, want\n%s", seed, cut, got, want)
		}
	}
	if found < 400 {
		t.Errorf("%d bursts try little", found)
	}
}

// TestLoginBounds shows more hosts and bursts than are kept.
func TestLoginBounds(t *testing.T) {
	l := newLogins()
	e := logparse.Entry{Event: logparse.Login, Status: logparse.Failed}
	for i := range 3 * maxRuns {
		e.Host = strconv.Itoa(i)
		for range burstLeast {
			l.add(&e, 1_770_000_000)
		}
	}
	e.Host = "the longest"
	for range 50 {
		l.add(&e, 1_770_000_500)
	}
	if len(l.lately) > maxRuns || len(l.heads) > maxRuns || len(l.bursts) > 2*maxBursts || l.lost == 0 || l.more == 0 {
		t.Errorf("%d hosts, %d heads, %d bursts, %d lost, %d more", len(l.lately), len(l.heads), len(l.bursts), l.lost, l.more)
	}
	slices.SortFunc(l.bursts, longer)
	if b := l.bursts[0]; b.host != "the longest" || b.count != 50 {
		t.Errorf("the longest burst is %+v", *b)
	}
}

// TestUnknownNames tells names that nobody has from those whose password was wrong,
// also from a log that was read in parts and from a state.
func TestUnknownNames(t *testing.T) {
	at := time.Unix(1_770_000_000, 0)
	var list []logparse.Entry
	for i, try := range []struct{ user, reason string }{
		{"root", unknownUser}, {"root", unknownUser}, {"ann", "wrong-password"}, {"admin", unknownUser}, {"ann", ""}, {"bob", ""}, {"bob", unknownUser},
	} {
		list = append(list, logparse.Entry{Time: at.Add(time.Duration(i) * time.Hour), Event: logparse.Login, Status: logparse.Failed, Host: "192.0.2.9", User: try.user, Reason: try.reason})
	}
	list = append(list, logparse.Entry{Time: at, Event: logparse.Login, Status: logparse.Whole, Host: "192.0.2.9", User: "ann", Reason: unknownUser}) // who got in exists
	text := func(rows []LoginRow) (out string) {
		for _, r := range rows {
			out += fmt.Sprintf("%s %d %d %d, ", r.Key, r.Good, r.Failed, r.Unknown)
		}
		return out
	}
	for cut := range len(list) {
		o := Options{Zone: time.UTC}
		c, later := NewCollector(o), NewCollector(o)
		for i := range list {
			if i < cut {
				c.Add(&list[i])
			} else {
				later.Add(&list[i])
			}
		}
		c.merge(later)
		e := new(encoder)
		c.logins.write(e)
		c.logins = newLogins()
		c.logins.load(&decoder{rest: e.buf})
		l := c.Report(nil).Logins
		if l.Good != 1 || l.Failed != 7 || l.Unknown != 4 || text(l.Names) != "root 0 2 2, admin 0 1 1, bob 0 1 1, " || text(l.Users) != "ann 1 2 0, bob 0 1 1, " || text(l.Hosts) != "192.0.2.9 1 7 4, " {
			t.Fatalf("cut at %d: %+v", cut, l)
		}
	}
}
