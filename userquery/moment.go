package userquery

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"portreeve/userdb"
)

// moments is an attribute that is a time, or not set. A day in an expression is
// meant as a whole: = is any moment of it, > is after it.
type moments struct {
	name string
	now  time.Time
	get  func(*userdb.Stored) time.Time
	ends bool // it is the first moment behind something: the end of a day is of that day
}

func (a moments) isSet(s *userdb.Stored) bool { return !a.get(s).IsZero() }

func (a moments) compare(op string, value token) (predicate, error) {
	equal, known := equality(op)
	if known && (value.is(none) || value.is("never")) {
		return func(s *userdb.Stored) bool { return a.isSet(s) != equal }, nil
	}
	order, ordered := orders[op]
	switch {
	case known:
		order = func(c int) bool { return (c == 0) == equal }
	case !ordered:
		return nil, noOperator(a.name, op, "a time", "= != < <= > >=")
	}
	want, err := parseSpan(value.text, a.now)
	if err != nil {
		return nil, err
	}
	if a.ends && !want.day {
		want.from, want.to = want.from.Add(-time.Second), want.to.Add(-time.Second)
	}
	return func(s *userdb.Stored) bool {
		t := a.get(s)
		if t.IsZero() {
			return op == "!="
		}
		if a.ends {
			t = t.Add(-time.Second)
		}
		return order(want.compare(t))
	}, nil
}

// A span is the time that a word of an expression means: a day, a minute, a second.
type span struct {
	from, to time.Time
	day      bool
}

// compare tells whether t is before, in or after the span.
func (s span) compare(t time.Time) int {
	switch {
	case t.Before(s.from):
		return -1
	case t.Before(s.to):
		return 0
	}
	return 1
}

// forms are the ways to write a moment, by the clock of this machine.
var forms = []struct {
	layout string
	length time.Duration
}{
	{time.RFC3339, time.Second},
	{time.DateTime, time.Second},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02 15:04", time.Minute},
	{"2006-01-02T15:04", time.Minute},
}

// parseSpan reads a day, a moment, today, or now with what is to be added to it.
func parseSpan(text string, now time.Time) (span, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return wholeDay(day), nil
	}
	for _, f := range forms {
		if t, err := time.ParseInLocation(f.layout, text, time.Local); err == nil {
			return span{from: t, to: t.Add(f.length)}, nil
		}
	}
	lower := strings.ToLower(text)
	if lower == "today" {
		return wholeDay(now.In(time.Local)), nil
	}
	if after, found := strings.CutPrefix(lower, "now"); found {
		d, err := parseShift(after)
		if err == nil {
			t := now.Add(d).Truncate(time.Second)
			return span{from: t, to: t.Add(time.Second)}, nil
		}
	}
	return span{}, fmt.Errorf(`%.40q is no time such as 2027-01-31, "2027-01-31 18:00", today or now-90d`, text)
}

func wholeDay(t time.Time) span {
	y, m, d := t.Date()
	return span{time.Date(y, m, d, 0, 0, 0, 0, time.Local), time.Date(y, m, d+1, 0, 0, 0, 0, time.Local), true}
}

// shifts are the units of what is added to now.
var shifts = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour,
}

// parseShift reads "", "-90d" or "+2h".
func parseShift(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	unit, known := shifts[text[len(text)-1]]
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	if err != nil || !known || text[0] != '+' && text[0] != '-' || n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
		return 0, fmt.Errorf("%q is nothing to add to a time", text)
	}
	return time.Duration(n) * unit, nil
}
