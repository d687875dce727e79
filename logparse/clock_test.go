package logparse

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func place(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestZones reads a time without a zone where the clocks are changed.
func TestZones(t *testing.T) {
	for _, tt := range []struct{ zone, clocks, utc string }{
		{"UTC", "Sun Nov 22 13:54:03 2026", "2026-11-22T13:54:03Z"},
		{"Asia/Kolkata", "Sun Nov 22 13:54:03 2026", "2026-11-22T08:24:03Z"},
		{"Europe/Paris", "Sun Oct 25 01:59:59 2026", "2026-10-24T23:59:59Z"},
		{"Europe/Paris", "Sun Oct 25 02:30:00 2026", "2026-10-25T00:30:00Z"}, // comes twice
		{"Europe/Paris", "Sun Oct 25 03:00:00 2026", "2026-10-25T02:00:00Z"},
		{"Europe/Paris", "Sun Mar 29 02:30:00 2026", "2026-03-29T01:30:00Z"}, // never comes
		{"Europe/Paris", "Sun Mar 29 03:00:00 2026", "2026-03-29T01:00:00Z"},
		{"America/St_Johns", "Sun Nov 01 01:30:00 2026", "2026-11-01T04:00:00Z"},
		{"Australia/Lord_Howe", "Sun Apr 05 01:45:00 2026", "2026-04-04T14:45:00Z"},
	} {
		line := tt.clocks + " 0 h 5 /f b _ o r u ftp 0 * c"
		p := Parser{Zone: place(t, tt.zone)}
		f, _ := Find("xferlog")
		var e Entry
		if err := p.Parse(&f, line, &e); err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := e.Time.UTC().Format(time.RFC3339); got != tt.utc {
			t.Errorf("%s in %s is %s, not %s", tt.clocks, tt.zone, got, tt.utc)
		}
		if got := string(f.Append(nil, e)); got != line+"\n" {
			t.Errorf("%s in %s becomes %s", line, tt.zone, got)
		}
	}
}

// TestAutumn reads a line a minute through the night in which an hour comes twice,
// and one through the night in which one is left out.
func TestAutumn(t *testing.T) {
	zone := place(t, "Europe/Paris")
	for _, from := range []time.Time{time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC), time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC)} {
		var text strings.Builder
		f, _ := Find("xferlog")
		for m := range 12 * 60 {
			text.Write(f.Append(nil, Entry{Time: from.Add(time.Duration(m) * time.Minute).In(zone), Path: "/", Host: "h", User: "u"}))
		}
		r := NewReader(strings.NewReader(text.String()), f)
		r.Zone = zone
		at := from
		for e, err := range r.All() {
			if err != nil || !e.Time.Equal(at) {
				t.Fatalf("%v is read as %v, %v", at, e.Time.UTC(), err)
			}
			at = at.Add(time.Minute)
		}
	}
}

// TestYear finds the year of times that have none.
func TestYear(t *testing.T) {
	f, _ := Find("syslog")
	for _, tt := range []struct{ latest, stamp, want string }{
		{"2026-11-23", "Nov 22 13:54:00", "2026-11-22"},
		{"2026-11-23", "Nov 23 13:54:00", "2026-11-23"},
		{"2026-11-23", "Nov 25 13:54:00", "2025-11-25"},
		{"2026-01-01", "Dec 31 23:59:59", "2025-12-31"},
		{"2025-12-31", "Jan  1 00:00:01", "2026-01-01"}, // its clock is ahead
		{"2026-11-23", "Feb 29 13:54:00", "2024-02-29"},
		{"1904-02-01", "Feb 29 13:54:00", "1896-02-29"},
	} {
		latest, err := time.Parse(time.DateOnly, tt.latest)
		if err != nil {
			t.Fatal(err)
		}
		p := Parser{Zone: time.UTC, Latest: latest.Add(23 * time.Hour)}
		var e Entry
		if err := p.Parse(&f, tt.stamp+" pure-ftpd: (a@h) [INFO] Logout.", &e); err != nil || e.Time.Format(time.DateOnly) != tt.want {
			t.Errorf("%s is %v, %v, not of %s", tt.stamp, e.Time, err, tt.want)
		}
	}
	p := Parser{Zone: time.UTC}
	var e Entry
	if err := p.Parse(&f, "Feb 30 13:54:00 pure-ftpd: (a@h) [INFO] Logout.", &e); err == nil {
		t.Errorf("a day that there is not is %v", e.Time)
	}
}

// TestCtimes compares every way to read a time with the library's, on every day of
// some years.
func TestCtimes(t *testing.T) {
	p := Parser{Zone: time.UTC}
	f, _ := Find("xferlog")
	for at := time.Date(2023, 12, 25, 0, 0, 0, 0, time.UTC); at.Year() < 2029; at = at.Add(7*time.Hour + 11*time.Minute + 13*time.Second) {
		for _, layout := range []string{zeroTime, blankTime, bareTime} {
			line := fmt.Sprintf("%s 0 h 5 /f b _ o r u ftp 0 * c", at.Format(layout))
			var e Entry
			if err := p.Parse(&f, line, &e); err != nil || !e.Time.Equal(at) || e.Style.Weekday != "" {
				t.Fatalf("%s is read as %v, %v", line, e.Time, err)
			}
			if again := string(f.Append(nil, e)); again != line+"\n" {
				t.Fatalf("%s becomes %s", line, again)
			}
		}
	}
}

func TestTwice(t *testing.T) {
	for _, tt := range []struct {
		zone, first, last string // of the times that come again, at UTC
	}{
		{"Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:59:59Z"},
		{"America/St_Johns", "2026-11-01T03:30:00Z", "2026-11-01T05:29:59Z"},
		{"Australia/Lord_Howe", "2026-04-04T14:30:00Z", "2026-04-04T15:29:59Z"},
	} {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := time.Parse(time.RFC3339, tt.first)
		last, _ := time.Parse(time.RFC3339, tt.last)
		for at := first.Add(-40 * 24 * time.Hour); at.Before(last.Add(200 * 24 * time.Hour)); at = at.Add(15 * time.Minute) {
			if want := !at.Before(first) && !at.After(last); Twice(at.In(zone)) != want {
				t.Errorf("%s: %v is shown twice: %t", tt.zone, at.In(zone), !want)
			}
		}
		if Twice(first) {
			t.Error("UTC shows a time twice")
		}
	}
}

// TestAfter reads a part of a log that begins when clocks show the hour again.
func TestAfter(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	xferlog, _ := Find("xferlog")
	const line = "Sun Oct 25 02:10:00 2026 1 127.0.0.1 1 /a b _ o r alice ftp 0 * c"
	for _, tt := range []struct{ before, want string }{
		{"2026-10-24T23:00:00Z", "2026-10-25T00:10:00Z"},
		{"2026-10-25T00:11:00Z", "2026-10-25T00:10:00Z"},
		{"2026-10-25T00:59:00Z", "2026-10-25T01:10:00Z"},
		{"2026-10-25T01:09:00Z", "2026-10-25T01:10:00Z"},
	} {
		before, _ := time.Parse(time.RFC3339, tt.before)
		p := Parser{Zone: zone}
		p.After(before)
		var e Entry
		if err := p.Parse(&xferlog, line, &e); err != nil {
			t.Fatal(err)
		}
		if got := e.Time.UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("after %s it is at %s", tt.before, got)
		}
	}
}
