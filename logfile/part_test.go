package logfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
)

// A told is what is compared of an entry.
type told struct {
	time int64
	path string
}

func tell(e *logparse.Entry) told { return told{e.Time.UnixNano(), strings.Clone(e.Path)} }

// disordered makes a log whose lines run backwards by up to two minutes, with some
// that cannot be read, and headers of W3C that change the fields.
func disordered(dice *rand.Rand, f logparse.Format, start time.Time, lines int, step time.Duration) string {
	var text []byte
	if f.Header != nil {
		text = append(text, f.Header(start)...)
	}
	other := false
	at := start
	for i := range lines {
		at = at.Add(time.Duration(dice.Int64N(int64(2 * step))))
		e := logparse.Entry{Time: at.Add(-time.Duration(dice.IntN(120)) * time.Second).Truncate(time.Second), Event: logparse.Transfer,
			Direction: logparse.Download, Status: logparse.Whole, Bytes: int64(i), Host: "192.0.2.1", User: "ann", Path: fmt.Sprintf("/%d", i),
			Took: 2 * time.Second, Session: "6a1b.7"}
		switch {
		case dice.IntN(40) == 0:
			text = append(text, strings.Repeat("what is this? ", dice.IntN(9))...)
			text = append(text, '\n')
		case f.Header != nil && dice.IntN(500) == 0:
			if other = !other; other {
				text = append(text, "#Fields: date time cs-uri-stem c-ip sc-bytes\n"...)
			} else {
				text = append(text, f.Header(at)...)
			}
		}
		if other {
			text = fmt.Appendf(text, "%s %s 192.0.2.1 %d\n", e.Time.UTC().Format("2006-01-02 15:04:05"), e.Path, i)
			continue
		}
		text = f.AppendEntry(text, &e)
	}
	return string(text)
}

// TestWithin has what is found by looking here and there be what reading it all and
// leaving out the rest gives: in every format, over changes of clocks, with lines
// that are out of order or no lines.
func TestWithin(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	searched := 0
	for _, change := range []struct {
		zone string
		at   time.Time
	}{
		{"UTC", time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)},
		{"Europe/Paris", time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},       // back
		{"America/New_York", time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC)},     // forth
		{"Australia/Lord_Howe", time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC)}, // half an hour
	} {
		zone := zoneOf(t, change.zone)
		for _, f := range logparse.Formats {
			t.Run(change.zone+"/"+f.Name, func(t *testing.T) {
				for _, days := range []int{1, 7} {
					const lines = 1500
					span := time.Duration(days) * 24 * time.Hour
					start := change.at.Add(-span / 2).In(zone)
					text := disordered(dice, f, start, lines, span/lines)
					path := write(t, filepath.Join(t.TempDir(), "log"), []byte(text))
					files, err := Find([]string{path}, Options{Zone: zone, Format: f})
					if err != nil {
						t.Fatal(err)
					}
					searched += within(t, dice, files[0], start, span)
					segments(t, files[0])
				}
			})
		}
	}
	if searched < 400 {
		t.Errorf("only %d times not all was read", searched)
	}
}

// all reads parts one after the other.
func all(t *testing.T, f *File, parts ...Part) (entries []told, bad int64) {
	t.Helper()
	for _, p := range parts {
		in, err := f.OpenPart(p)
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range in.All() {
			if err == nil {
				entries = append(entries, tell(e))
			} else if _, line := errors.AsType[*logparse.LineError](err); !line {
				t.Fatal(err)
			}
		}
		bad += in.Counts().Bad
		in.Close()
	}
	return entries, bad
}

func within(t *testing.T, dice *rand.Rand, f *File, start time.Time, span time.Duration) (searched int) {
	t.Helper()
	entries, _ := all(t, f, Part{})
	if len(entries) < 1000 {
		t.Fatalf("only %d entries", len(entries))
	}
	for range 8 {
		var w Window
		w.Since = start.Add(time.Duration(dice.Int64N(int64(span))))
		w.Until = w.Since.Add(time.Duration(dice.Int64N(int64(span)/4)) + time.Second)
		if which := dice.IntN(6); which == 0 {
			w.Since = time.Time{}
		} else if which == 1 {
			w.Until = time.Time{}
		}
		want := slices.DeleteFunc(slices.Clone(entries), func(e told) bool { return !w.Has(time.Unix(0, e.time)) })
		var got []told
		for e, err := range Scan([]*File{f}, w) {
			if err == nil {
				got = append(got, tell(e))
			}
		}
		p, err := f.Within(w)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Whole() {
			searched++
		}
		if !slices.Equal(got, want) {
			t.Fatalf("from %v to %v there are %d entries, not %d: part %+v", w.Since, w.Until, len(got), len(want), p)
		}
	}
	return searched
}

// segments has many readers read what one reads.
func segments(t *testing.T, f *File) {
	t.Helper()
	want, bad := all(t, f, Part{})
	for _, n := range []int{1, 2, 7} {
		parts, err := f.segments(Part{}, n, 10)
		if err != nil {
			t.Fatal(err)
		}
		got, gotBad := all(t, f, parts...)
		if len(parts) != n || !slices.Equal(got, want) || bad != gotBad {
			t.Fatalf("in %d parts, of %d asked for, there are %d entries and %d bad lines, not %d and %d", len(parts), n, len(got), gotBad, len(want), bad)
		}
	}
}

// TestOutOfOrder reads the whole of a file that is not in order.
func TestOutOfOrder(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var text strings.Builder
	for _, day := range []int{3, 1, 2} {
		for i := range 1000 {
			text.WriteString(line(start.AddDate(0, 0, day).Add(time.Duration(i)*time.Minute), fmt.Sprint(day)))
		}
	}
	files, _ := Find([]string{write(t, filepath.Join(t.TempDir(), "log"), []byte(text.String()))}, Options{Zone: time.UTC})
	w := Window{Since: start.AddDate(0, 0, 3)}
	if p, err := files[0].Within(w); err != nil || !p.Whole() {
		t.Errorf("part %+v, %v", p, err)
	}
	if paths, _ := scanned(files, w); len(paths) != 1000 {
		t.Errorf("%d entries", len(paths))
	}
}

// TestLineThatNeverEnds has a file without an end of line be read whole.
func TestLineThatNeverEnds(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	text := line(start, "first") + strings.Repeat("x", 2<<20) + "\n" + line(start.Add(time.Hour), "last")
	files, _ := Find([]string{write(t, filepath.Join(t.TempDir(), "log"), []byte(text))}, Options{Zone: time.UTC})
	paths, errs := scanned(files, Window{Since: start.Add(time.Minute)})
	if !slices.Equal(paths, []string{"/last"}) || len(errs) > 1 {
		t.Errorf("%v, %v", paths, errs)
	}
	parts, err := files[0].segments(Part{}, 5, 10)
	if got, _ := all(t, files[0], parts...); err != nil || len(got) != 2 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}
