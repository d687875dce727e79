package logfile

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func zoneOf(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestPeriod(t *testing.T) {
	paris := zoneOf(t, "Europe/Paris")
	beirut := zoneOf(t, "Asia/Beirut")                   // where midnight is skipped in spring
	now := time.Date(2026, 11, 23, 10, 30, 20, 0, paris) // a Monday
	const form = "2006-01-02 15:04:05 -0700"
	for _, tt := range []struct {
		text         string
		now          time.Time
		since, until string
	}{
		{"today", now, "2026-11-23 00:00:00 +0100", "2026-11-24 00:00:00 +0100"},
		{"yesterday", now, "2026-11-22 00:00:00 +0100", "2026-11-23 00:00:00 +0100"},
		{"tomorrow", now, "2026-11-24 00:00:00 +0100", "2026-11-25 00:00:00 +0100"},
		{"now", now, "2026-11-23 10:30:20 +0100", ""},
		{"7d", now, "2026-11-16 10:30:20 +0100", ""},
		{"36h", now, "2026-11-21 22:30:20 +0100", ""},
		{"2w", now, "2026-11-09 10:30:20 +0100", ""},
		{"1d12h", now, "2026-11-21 22:30:20 +0100", ""},
		{"90s", now, "2026-11-23 10:28:50 +0100", ""},
		{"30d", now, "2026-10-24 10:30:20 +0200", ""}, // the clock stays, not the hours
		{"720h", now, "2026-10-24 11:30:20 +0200", ""},
		{"monday", now, "2026-11-23 00:00:00 +0100", "2026-11-24 00:00:00 +0100"},
		{"Tue", now, "2026-11-17 00:00:00 +0100", "2026-11-18 00:00:00 +0100"},
		{"sunday", now, "2026-11-22 00:00:00 +0100", "2026-11-23 00:00:00 +0100"},
		{"last month", now, "2026-10-01 00:00:00 +0200", "2026-11-01 00:00:00 +0100"},
		{"this  Month", now, "2026-11-01 00:00:00 +0100", "2026-12-01 00:00:00 +0100"},
		{"last week", now, "2026-11-16 00:00:00 +0100", "2026-11-23 00:00:00 +0100"},
		{"last year", now, "2025-01-01 00:00:00 +0100", "2026-01-01 00:00:00 +0100"},
		{"last day", now, "2026-11-22 00:00:00 +0100", "2026-11-23 00:00:00 +0100"},
		{"last month", time.Date(2026, 3, 31, 5, 0, 0, 0, paris), "2026-02-01 00:00:00 +0100", "2026-03-01 00:00:00 +0100"},
		{"2026-11-01", now, "2026-11-01 00:00:00 +0100", "2026-11-02 00:00:00 +0100"},
		{"2026-10-25", now, "2026-10-25 00:00:00 +0200", "2026-10-26 00:00:00 +0100"}, // has 25 hours
		{"2026-10", now, "2026-10-01 00:00:00 +0200", "2026-11-01 00:00:00 +0100"},
		{"2026", now, "2026-01-01 00:00:00 +0100", "2027-01-01 00:00:00 +0100"},
		{"2026-11-01 14:30", now, "2026-11-01 14:30:00 +0100", ""},
		{"2026-11-01T14:30:05", now, "2026-11-01 14:30:05 +0100", ""},
		{"2026-11-01t14:30:05-07:00", now, "2026-11-01 14:30:05 -0700", ""},
		{"14:30", now, "2026-11-23 14:30:00 +0100", ""},
		{"2026-03-29", time.Date(2026, 4, 1, 0, 0, 0, 0, beirut), "2026-03-29 01:00:00 +0300", "2026-03-30 00:00:00 +0300"},
		{"2026-03-28", time.Date(2026, 4, 1, 0, 0, 0, 0, beirut), "2026-03-28 00:00:00 +0200", "2026-03-29 01:00:00 +0300"},
	} {
		since, err := ParseSince(tt.text, tt.now)
		if err != nil || since.Format(form) != tt.since {
			t.Errorf("since %s is %v, %v, not %s", tt.text, since, err, tt.since)
		}
		if tt.until == "" {
			tt.until = tt.since
		}
		if until, err := ParseUntil(tt.text, tt.now); err != nil || until.Format(form) != tt.until {
			t.Errorf("until %s is %v, %v, not %s", tt.text, until, err, tt.until)
		}
	}
	for _, text := range []string{"", "0", "soon", "7x", "d", "7", "-7d", "2026-13-01", "2026-02-30", "25:00", "last", "last fortnight", "next week",
		"1234567d", "2026-11-01 14", "mo", "20261101"} {
		if w, err := ParseSince(text, now); !errors.Is(err, ErrForm) {
			t.Errorf("%q is %v, %v", text, w, err)
		}
	}
}

// TestForms has every example mean what its own row reads.
func TestForms(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 30, 20, 0, time.UTC)
	for i, f := range Forms {
		for j, other := range Forms {
			if _, ok := other.parse(strings.ToLower(f.Example), now); ok != (i == j) {
				t.Errorf("%q: row %d says %v", f.Example, j, ok)
			}
		}
	}
}

func FuzzPeriod(f *testing.F) {
	for _, form := range Forms {
		f.Add(form.Example, int64(1795430000))
	}
	f.Add("999999w999999d999999h", int64(-1<<40))
	zone, err := time.LoadLocation("America/St_Johns")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		now := time.Unix(unix%(1<<36), 0).In(zone)
		since, err := ParseSince(text, now)
		until, same := ParseUntil(text, now)
		if (err == nil) != (same == nil) {
			t.Fatalf("%q: %v, %v", text, err, same)
		}
		if err == nil && until.Before(since) {
			t.Fatalf("%q begins at %v and ends at %v", text, since, until)
		}
		if len(text) > 2 && err == nil {
			if again, err := ParseSince(" "+strings.ToUpper(text)+"\t", now); err != nil || !again.Equal(since) {
				t.Fatalf("%q in capitals is %v, %v", text, again, err)
			}
		}
	})
}
