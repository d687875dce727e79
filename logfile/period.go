package logfile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Form is a way to say when.
type Form struct {
	Example string
	Help    string

	parse func(text string, now time.Time) (Window, bool)
}

// Forms are the ways that [ParseSince] and [ParseUntil] understand. A form that
// means a stretch of time begins with it, or ends with it; any other means a
// moment.
var Forms = []Form{
	{"2026-11-01", "a day", layout("2006-01-02", 0, 0, 1)},
	{"2026-11", "a month", layout("2006-01", 0, 1, 0)},
	{"2026", "a year", layout("2006", 1, 0, 0)},
	{"2026-11-01 14:30", "a moment, also with seconds and with a T for the blank", moment},
	{"2026-11-01T14:30:00Z", "a moment as in RFC 3339, with its own zone", rfc3339},
	{"14:30", "that time today", clock},
	{"36h", "so long ago: also 15m, 7d, 2w, 1d12h; days and weeks are by the calendar", ago},
	{"today", "also yesterday, tomorrow, now", day},
	{"monday", "the last one, or today; also mon", weekday},
	{"last month", "also last or this: day, week (from Monday), month, year", calendar},
}

// ErrForm is the cause of errors about a time that is in none of [Forms].
var ErrForm = errors.New("no time that is understood")

// ParseSince returns the moment at which what text says begins, by the clocks of
// where now is.
func ParseSince(text string, now time.Time) (time.Time, error) {
	w, err := parseForm(text, now)
	return w.Since, err
}

// ParseUntil returns the moment at which what text says is over.
func ParseUntil(text string, now time.Time) (time.Time, error) {
	w, err := parseForm(text, now)
	return w.Until, err
}

func parseForm(text string, now time.Time) (Window, error) {
	plain := strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, f := range Forms {
		if w, ok := f.parse(plain, now); ok {
			return w, nil
		}
	}
	return Window{}, fmt.Errorf("%q is %w", text, ErrForm)
}

// at is the window that begins and ends at a moment.
func at(t time.Time) (Window, bool) { return Window{t, t}, true }

// date begins a day. Where the clocks skip its midnight, Go takes the hour before
// that, which is another day's.
func date(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if noon := time.Date(year, month, day, 12, 0, 0, 0, zone); t.Day() != noon.Day() {
		if _, end := t.ZoneBounds(); !end.IsZero() {
			return end
		}
	}
	return t
}

// span is so many years, months and days from the beginning of one.
func span(year int, month time.Month, day int, by [3]int, zone *time.Location) Window {
	return Window{date(year, month, day, zone), date(year+by[0], month+time.Month(by[1]), day+by[2], zone)}
}

func layout(form string, years, months, days int) func(string, time.Time) (Window, bool) {
	return func(text string, now time.Time) (Window, bool) {
		t, err := time.Parse(form, text)
		return span(t.Year(), t.Month(), t.Day(), [3]int{years, months, days}, now.Location()), err == nil
	}
}

func moment(text string, now time.Time) (Window, bool) {
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(form, strings.Replace(text, "t", " ", 1), now.Location()); err == nil {
			return at(t)
		}
	}
	return Window{}, false
}

func rfc3339(text string, _ time.Time) (Window, bool) {
	t, err := time.Parse(time.RFC3339, strings.ToUpper(text))
	return Window{t, t}, err == nil
}

func clock(text string, now time.Time) (Window, bool) {
	for _, form := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(form, text); err == nil {
			y, m, d := now.Date()
			return at(time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()))
		}
	}
	return Window{}, false
}

var (
	agoForm  = regexp.MustCompile(`^(?:[0-9]{1,6}[smhdw])+$`)
	agoParts = regexp.MustCompile(`([0-9]+)([smhdw])`)
)

func ago(text string, now time.Time) (Window, bool) {
	if !agoForm.MatchString(text) {
		return Window{}, false
	}
	var days, seconds int
	for _, part := range agoParts.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(part[1]) // of six digits
		switch part[2] {
		case "w":
			days += 7 * n
		case "d":
			days += n
		case "h":
			seconds += 3600 * n
		case "m":
			seconds += 60 * n
		case "s":
			seconds += n
		}
	}
	return at(now.AddDate(0, 0, -days).Add(-time.Duration(seconds) * time.Second))
}

func day(text string, now time.Time) (Window, bool) {
	y, m, d := now.Date()
	switch text {
	case "now":
		return at(now)
	case "yesterday":
		d--
	case "tomorrow":
		d++
	case "today":
	default:
		return Window{}, false
	}
	return span(y, m, d, [3]int{0, 0, 1}, now.Location()), true
}

func weekday(text string, now time.Time) (Window, bool) {
	for w := time.Sunday; w <= time.Saturday; w++ {
		name := strings.ToLower(w.String())
		if text == name || text == name[:3] {
			y, m, d := now.Date()
			return span(y, m, d-int(now.Weekday()-w+7)%7, [3]int{0, 0, 1}, now.Location()), true
		}
	}
	return Window{}, false
}

func calendar(text string, now time.Time) (Window, bool) {
	which, unit, _ := strings.Cut(text, " ")
	back := map[string]int{"last": 1, "this": 0}
	n, ok := back[which]
	if !ok {
		return Window{}, false
	}
	y, m, d := now.Date()
	switch zone := now.Location(); unit {
	case "day":
		return span(y, m, d-n, [3]int{0, 0, 1}, zone), true
	case "week":
		return span(y, m, d-int(now.Weekday()+6)%7-7*n, [3]int{0, 0, 7}, zone), true
	case "month":
		return span(y, m-time.Month(n), 1, [3]int{0, 1, 0}, zone), true
	case "year":
		return span(y-n, 1, 1, [3]int{1, 0, 0}, zone), true
	}
	return Window{}, false
}
