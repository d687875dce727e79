package stats

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
)

// A script makes entries for the tests of rules.
type script struct {
	c    *Collector
	zero time.Time // a Monday
}

func newScript() *script {
	return &script{NewCollector(Options{Zone: time.UTC}), time.Date(2026, time.March, 2, 10, 0, 0, 0, time.UTC)}
}

func (s *script) add(day int, after time.Duration, change func(*logparse.Entry)) {
	e := logparse.Entry{Time: s.zero.AddDate(0, 0, day).Add(after), Direction: logparse.Upload, Status: logparse.Whole, User: "ann", Host: "192.0.2.1", Path: "/f", Bytes: 1 << 20}
	if change != nil {
		change(&e)
	}
	s.c.Add(&e)
}

func bytesOf(n int64) func(*logparse.Entry) { return func(e *logparse.Entry) { e.Bytes = n } }

// daily has the user upload as much on each of some days.
func (s *script) daily(from, to int, n int64) {
	for day := from; day < to; day++ {
		s.add(day, 0, bytesOf(n))
	}
}

// ruleTests have for each rule what makes it speak, and what is a hair below.
var ruleTests = map[string]struct {
	says  string
	above func(*script)
	below func(*script)
}{
	"volume": {"ann moved 301.0 MiB on 2026-05-01; on no day of the 60 before was it more than 100.0 MiB",
		func(s *script) { s.daily(0, 60, 100<<20); s.add(60, 0, bytesOf(301<<20)) },
		func(s *script) { s.daily(0, 60, 100<<20); s.add(60, 0, bytesOf(300<<20)) }},
	"deviation": {"standard deviations above the mean of the four weeks before (100.0 MiB a day)",
		func(s *script) { s.daily(0, 56, 50<<20); s.uneven(); s.add(60, 0, bytesOf(131<<20)) },
		func(s *script) { s.daily(0, 56, 50<<20); s.uneven(); s.add(60, 0, bytesOf(129<<20)) }},
	"network": {"ann came from 198.51.100.0/24 for the first time, at 2026-03-22 10:00:00, after 20 entries from elsewhere",
		func(s *script) { s.daily(0, 20, 1); s.add(20, 0, func(e *logparse.Entry) { e.Host = "198.51.100.7" }) },
		func(s *script) { s.daily(0, 19, 1); s.add(20, 0, func(e *logparse.Entry) { e.Host = "198.51.100.7" }) }},
	"hour": {"ann was there on 2026-05-05 at 23:00, when there was nothing on any Tuesday of the eight weeks before",
		func(s *script) { s.daily(0, 64, 1); s.add(64, 13*time.Hour, nil) },
		func(s *script) { s.daily(0, 64, 1); s.add(64-56, 13*time.Hour, nil); s.add(64, 13*time.Hour, nil) }},
	"sweep": {"ann downloaded 501 files within ten minutes",
		func(s *script) { s.loads(501, 598*time.Second) },
		func(s *script) { s.have(1000, ""); s.loads(500, 598*time.Second); s.loads(500, 598*time.Second) }},
	"hosts": {"ann came from 4 networks within an hour",
		func(s *script) { s.from(4, 59*time.Minute) },
		func(s *script) { s.from(3, 59*time.Minute); s.from(3, 59*time.Minute) }},
	"failures": {"ann had 10 incomplete transfers one after the other",
		func(s *script) { s.cut(10) },
		func(s *script) { s.cut(9); s.add(1, 0, nil); s.cut(9) }},
	"deletes": {"ann deleted 100 files within ten minutes",
		func(s *script) { s.deletes(100, 599*time.Second) },
		func(s *script) { s.deletes(100, 602*time.Second) }},
	"awake": {"ann woke on 2026-08-30 after 181 days without anything",
		func(s *script) { s.add(0, 0, nil); s.add(181, 0, nil) },
		func(s *script) { s.add(0, 0, nil); s.add(180, 0, nil) }},
	"incomplete": {"of ann 8 transfers of 20 were incomplete on 2026-03-30 (40 of 100; before it were 4.1)",
		func(s *script) { s.mixed(28, 8) },
		func(s *script) { s.mixed(28, 7) }},
	"silent": {"ann delivered on 28 of 28 days, and nothing since 2026-03-29: 3 days are missing",
		func(s *script) { s.daily(0, 28, 1); s.add(30, 0, func(e *logparse.Entry) { e.User = "bob" }) },
		func(s *script) { s.daily(0, 28, 1); s.add(29, 0, func(e *logparse.Entry) { e.User = "bob" }) }},
	"emptied": {"ann deleted 101.0 MiB on 2026-03-03; what was uploaded by then, as far as the log goes back, was 201.0 MiB",
		func(s *script) { s.add(0, 0, bytesOf(201<<20)); s.remove(1, 101<<20) },
		func(s *script) { s.add(0, 0, bytesOf(203<<20)); s.remove(1, 101<<20) }},
}

// uneven gives the last four weeks days of 90 and 110 MiB.
func (s *script) uneven() {
	for day := 60 - 28; day < 60; day++ {
		add := int64(90 << 20)
		if day%2 == 0 {
			add = 110 << 20
		}
		if day < 56 {
			add -= 50 << 20
		}
		s.add(day, time.Minute, bytesOf(add))
	}
}

func (s *script) loads(n int, span time.Duration) {
	for i := range n {
		s.add(0, span*time.Duration(i)/time.Duration(n), func(e *logparse.Entry) { e.Direction, e.Path = logparse.Download, "/"+strconv.Itoa(i) })
	}
}

func (s *script) from(n int, span time.Duration) {
	for i := range n {
		s.add(0, span*time.Duration(i)/time.Duration(n), func(e *logparse.Entry) { e.Host = "10.0." + strconv.Itoa(i) + ".1" })
	}
}

func (s *script) cut(n int) {
	for i := range n {
		s.add(1, time.Duration(i)*time.Second, func(e *logparse.Entry) { e.Status = logparse.Cut })
	}
}

func (s *script) deletes(n int, span time.Duration) {
	for i := range n {
		s.add(0, span*time.Duration(i)/time.Duration(n-1), func(e *logparse.Entry) { e.Event, e.Bytes = logparse.Delete, 0 })
	}
}

func (s *script) remove(day int, n int64) {
	s.add(day, 0, func(e *logparse.Entry) { e.Event, e.Bytes = logparse.Delete, n })
}

// mixed has days of which one transfer of 25 is incomplete, and then 20 transfers
// on one day of which more are.
func (s *script) mixed(days, cut int) {
	for day := range days {
		for i := range 25 {
			s.add(day, time.Duration(i)*time.Second, func(e *logparse.Entry) {
				if i == 7 {
					e.Status = logparse.Cut
				}
			})
		}
	}
	for i := range 20 {
		s.add(days, time.Duration(i)*time.Second, func(e *logparse.Entry) {
			if i%2 == 0 && i/2 < cut {
				e.Status = logparse.Cut
			}
		})
	}
}

// TestRules holds each row of Rules to what makes it speak.
func TestRules(t *testing.T) {
	for _, rule := range Rules {
		test, ok := ruleTests[rule.Name]
		if !ok {
			t.Errorf("nothing tries the rule %s", rule.Name)
			continue
		}
		said := func(make func(*script), quiet ...string) (texts []string) {
			s := newScript()
			s.c.options.Quiet = quiet
			make(s)
			for _, f := range s.c.Report(nil).Unusual {
				if f.Rule == rule.Name {
					texts = append(texts, f.Text)
				}
			}
			return texts
		}
		if texts := said(test.above); len(texts) == 0 || !strings.Contains(texts[0], test.says) {
			t.Errorf("%s says %q, want %q", rule.Name, texts, test.says)
		}
		if texts := said(test.below); len(texts) != 0 {
			t.Errorf("%s says %q a hair below", rule.Name, texts)
		}
		if texts := said(test.above, rule.Name); len(texts) != 0 {
			t.Errorf("%s is quiet and says %q", rule.Name, texts)
		}
	}
}

func TestSilentOnWorkingDays(t *testing.T) {
	s := newScript()
	for day := range 33 { // up to a Friday
		if day%7 < 5 {
			s.add(day, 0, nil)
		}
	}
	other := func(e *logparse.Entry) { e.User = "bob" }
	s.add(34, 0, other)
	if found := s.c.Report(nil).Unusual; len(found) != 0 {
		t.Errorf("at the weekend it says %v", found)
	}
	s.add(36, 0, other)
	if found := s.c.Report(nil).Unusual; len(found) != 1 || !strings.HasSuffix(found[0].Text, "2 days are missing") {
		t.Errorf("on Tuesday it says %v", found)
	}
}

// TestSilentThoughThere wants to hear of a device that delivers nothing, though
// somebody looks for its files.
func TestSilentThoughThere(t *testing.T) {
	s := newScript()
	s.daily(0, 28, 1)
	for day := 28; day < 31; day++ {
		s.add(day, 0, func(e *logparse.Entry) { e.Direction = logparse.Download })
	}
	if found := s.c.Report(nil).Unusual; len(found) != 1 || found[0].Rule != "silent" {
		t.Errorf("it says %v", found)
	}
}

// TestNewNetworksOnce wants one word of a user, and not one of each network.
func TestNewNetworksOnce(t *testing.T) {
	s := newScript()
	s.daily(0, 20, 1)
	for i := range 3 {
		s.add(20+i, 0, func(e *logparse.Entry) { e.Host = "198.51." + strconv.Itoa(i) + ".7" })
	}
	found := s.c.Report(nil).Unusual
	if len(found) != 1 || !strings.HasPrefix(found[0].Text, "ann came from 198.51.2.0/24 for") || !strings.HasSuffix(found[0].Text, "; new that week: 2 more") {
		t.Errorf("it says %v", found)
	}
}

// TestAnonymousAreMany wants no word about how many networks they come from.
func TestAnonymousAreMany(t *testing.T) {
	for user, want := range map[string]int{"ftp": 0, "ann": 2} {
		s := newScript()
		for i := range 30 {
			s.add(0, time.Duration(i)*time.Minute, func(e *logparse.Entry) { e.User, e.Host = user, "10.0."+strconv.Itoa(i/5)+".1" })
		}
		rules := make(map[string]bool)
		for _, f := range s.c.Report(nil).Unusual {
			rules[f.Rule] = true
		}
		if len(rules) != want {
			t.Errorf("of %s the rules %v speak, want %d", user, rules, want)
		}
	}
}

func TestAtLeast(t *testing.T) {
	for _, test := range []struct{ k, n, a, b, want float64 }{
		{0, 20, 1, 1, 1}, {1, 1, 1, 1, 0.5}, {2, 2, 1, 1, 1.0 / 3}, {2, 2, 1, 3, 0.1}, {11, 20, 1, 1, 10.0 / 21},
		{5, 20, 1e6, 19e6, 0.0025739}, // as the binomial distribution, where much is known
	} {
		if got := atLeast(test.k, test.n, test.a, test.b); math.Abs(got-test.want) > 1e-4*test.want {
			t.Errorf("%v or more of %v after %v and %v: %v, want %v", test.k, test.n, test.a, test.b, got, test.want)
		}
	}
}

// TestForecastOfTheNew wants the growth of a user who has been there for ten days.
func TestForecastOfTheNew(t *testing.T) {
	s := newScript()
	s.c.options.Quota = func(user string) (Quota, bool) { return Quota{Used: 10 << 20, Limit: 30 << 20}, user == "ann" }
	s.add(0, 0, func(e *logparse.Entry) { e.User = "bob" })
	s.daily(20, 30, 1<<20)
	if got := s.c.Report(nil).Forecasts; len(got) != 1 || got[0].Growth != 1<<20 || got[0].Least != 20 {
		t.Errorf("ten days of a MiB and 20 left make %+v", got)
	}
}

// TestForgotten has more sessions than there is room for, and says so.
func TestForgotten(t *testing.T) {
	c := NewCollector(Options{Zone: time.UTC})
	for i := range maxLive + 10 {
		c.Add(&logparse.Entry{Time: time.Unix(1e9, 0), Status: logparse.Whole, User: "ann", Session: strconv.Itoa(i)})
		if i == maxLive-1 && c.Report(nil).Read.Forgotten != 0 {
			t.Error("something is forgotten while there is room")
		}
	}
	if n := c.Report(nil).Read.Forgotten; n < 10 {
		t.Errorf("%d are forgotten", n)
	}
}

func TestForecast(t *testing.T) {
	s := newScript()
	s.c.options.Quota = func(user string) (Quota, bool) { return Quota{Used: 72 << 20, Limit: 100 << 20}, user == "ann" }
	s.daily(0, 28, 1<<20)
	got := s.c.Report(nil).Forecasts
	if len(got) != 1 || got[0].User != "ann" || got[0].Growth != 1<<20 || got[0].Least != 28 || got[0].Most != 28 {
		t.Errorf("a MiB a day and 28 left make %+v", got)
	}
	s.add(28, 0, bytesOf(1<<30)) // one day that is far off changes nothing
	if got := s.c.Report(nil).Forecasts; len(got) != 1 || got[0].Growth != 1<<20 {
		t.Errorf("a GiB on one day makes %+v", got)
	}
	few := newScript()
	few.c.options.Quota = s.c.options.Quota
	few.daily(0, 6, 1<<20)
	if got := few.c.Report(nil).Forecasts; len(got) != 0 {
		t.Errorf("six days make %+v", got)
	}
}

func TestLogins(t *testing.T) {
	c := NewCollector(Options{Zone: time.UTC})
	at := time.Date(2026, time.March, 2, 10, 0, 0, 0, time.UTC)
	login := func(after time.Duration, host, user string, status logparse.Status) {
		c.Add(&logparse.Entry{Time: at.Add(after), Event: logparse.Login, Status: status, Host: host, User: user})
	}
	for i := range 4 {
		login(time.Duration(i)*time.Second, "192.0.2.9", "root", logparse.Failed)
	}
	for i := range 7 {
		login(time.Duration(i)*10*time.Second, "192.0.2.1", "admin", logparse.Failed)
	}
	login(2*time.Minute, "192.0.2.1", "ann", logparse.Whole)
	l := c.Report(nil).Logins
	if l.Good != 1 || l.Failed != 11 || len(l.Hosts) != 2 || l.Hosts[0] != (LoginRow{"192.0.2.1", 1, 7, 0, Stamp{at.Add(time.Minute)}}) || l.Users[0].Key != "admin" {
		t.Errorf("logins are %+v", l)
	}
	if len(l.Bursts) != 1 || l.Bursts[0].Host != "192.0.2.1" || l.Bursts[0].Count != 7 || !l.Bursts[0].From.Equal(at) {
		t.Errorf("bursts are %+v", l.Bursts)
	}
}

func TestRetries(t *testing.T) {
	s := newScript()
	cut := func(e *logparse.Entry) { e.Status, e.Bytes = logparse.Cut, 10 }
	s.add(0, 0, cut)
	s.add(0, time.Minute, cut)
	s.add(0, 2*time.Minute, nil)
	s.add(0, 3*time.Minute, nil)
	s.add(0, 10*time.Minute, cut)
	s.add(0, 21*time.Minute, nil)
	if got, want := s.c.Report(nil).Failures, (Failures{Count: 3, Wasted: 30, Retried: 2, Mended: 1}); got != want {
		t.Errorf("failures are %+v, want %+v", got, want)
	}
}

func TestSessions(t *testing.T) {
	c := NewCollector(Options{Zone: time.UTC})
	at := time.Date(2026, time.March, 2, 10, 0, 0, 0, time.UTC)
	for i := range 100 {
		id, begin := strconv.Itoa(i), at.Add(time.Duration(i)*time.Hour)
		c.Add(&logparse.Entry{Time: begin, Event: logparse.Login, Status: logparse.Whole, Session: id})
		c.Add(&logparse.Entry{Time: begin.Add(50 * time.Second), Took: 25 * time.Second, Bytes: 1000, Status: logparse.Whole, Session: id})
		c.Add(&logparse.Entry{Time: begin.Add(100 * time.Second), Event: logparse.Logout, Session: id})
	}
	got := c.Report(nil).Sessions
	if got.Count != 100 || got.Transfers != 1 || got.Bytes != 1000 || got.Idle != 0.75 || got.Lengths.Most != 100 || got.Lengths.P50 < 99 || got.Lengths.P50 > 100 {
		t.Errorf("sessions are %+v", got)
	}
}
