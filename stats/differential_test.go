package stats_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
	"portreeve/stats"
)

// A slow reader of xferlog, which shares nothing with ours: it takes a line apart at
// its blanks, from both ends, and has a map for everything.

// A tally is what a key amounts to.
type tally struct {
	up, down, deleted, incomplete, in, out, seconds, last int64
}

// A plainReport is what a log amounts to, by dimension and key.
type plainReport struct {
	zone    *time.Location
	offsets []int // of the zone, the largest first
	before  int64 // the second of the line before
	total   tally
	by      map[string]map[string]*tally
	change  map[int64]int // of the number of transfers at once, by second
}

func newPlainReport(zone *time.Location) *plainReport {
	r := &plainReport{zone: zone, by: make(map[string]map[string]*tally), change: make(map[int64]int)}
	for month := range time.Month(12) {
		_, offset := time.Date(2026, month, 1, 0, 0, 0, 0, zone).Zone()
		r.offsets = append(r.offsets, offset)
	}
	slices.Sort(r.offsets)
	slices.Reverse(r.offsets)
	r.offsets = slices.Compact(r.offsets)
	return r
}

func (r *plainReport) read(t *testing.T, log io.Reader) {
	t.Helper()
	text, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if err := r.line(strings.Split(strings.TrimSuffix(line, "\n"), " ")); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
}

// line counts a line of 18 words, or more if the user has some.
func (r *plainReport) line(words []string) error {
	n := len(words)
	if n < 18 {
		return fmt.Errorf("there are only %d words", n)
	}
	at, wall, err := r.time(strings.Join(words[:5], " "))
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(words[5], 10, 64)
	size, err2 := strconv.ParseInt(words[7], 10, 64)
	if err := cmp.Or(err, err2); err != nil {
		return err
	}
	host, file, direction, status := words[6], words[8], words[11], words[n-1]
	user, service := strings.Join(words[13:n-4], " "), words[n-4]
	one := tally{last: at.Unix()}
	switch direction {
	case "i":
		one.up, one.in, one.seconds = 1, size, seconds
	case "o":
		one.down, one.out, one.seconds = 1, size, seconds
	case "d":
		one.deleted = 1
	}
	if status == "i" && direction != "d" {
		one.incomplete = 1
	}
	if direction != "d" {
		r.change[at.Unix()-seconds]++
		r.change[at.Unix()+1]--
	}
	r.total.add(&one)
	year, week := wall.ISOWeek()
	for _, key := range []struct{ dimension, key string }{
		{"user", user}, {"host", host}, {"network", networkOf(host)},
		{"file", file}, {"directory", directoryOf(file)}, {"extension", strings.ToLower(path.Ext(file))},
		{"hour", wall.Format("15")}, {"day", wall.Format("2006-01-02")}, {"month", wall.Format("2006-01")}, {"monthday", wall.Format("02")},
		{"weekday", strconv.Itoa((int(wall.Weekday())+6)%7+1) + wall.Format(" Monday")}, {"week", fmt.Sprintf("%d-W%02d", year, week)},
		{"direction", map[string]string{"i": "upload", "o": "download", "d": "delete"}[direction]},
		{"outcome", map[string]string{"c": "complete", "i": "incomplete"}[status]}, {"protocol", service},
		{"user,day", user + "\n" + wall.Format("2006-01-02")}, {"hour,direction", wall.Format("15") + "\n" + map[string]string{"i": "upload", "o": "download", "d": "delete"}[direction]},
	} {
		keys := r.by[key.dimension]
		if keys == nil {
			keys = make(map[string]*tally)
			r.by[key.dimension] = keys
		}
		if keys[key.key] == nil {
			keys[key.key] = new(tally)
		}
		keys[key.key].add(&one)
	}
	return nil
}

func (t *tally) add(o *tally) {
	t.up += o.up
	t.down += o.down
	t.deleted += o.deleted
	t.incomplete += o.incomplete
	t.in += o.in
	t.out += o.out
	t.seconds += o.seconds
	t.last = max(t.last, o.last)
}

// time finds when clocks of the zone show a time, by trying all offsets that it ever
// has. If they do so twice it is the first, unless lines run backwards.
func (r *plainReport) time(shown string) (at, wall time.Time, err error) {
	const layout = "Mon Jan _2 15:04:05 2006"
	wall, err = time.Parse(layout, shown)
	if err != nil {
		return at, wall, err
	}
	for _, offset := range r.offsets {
		t := wall.Add(time.Duration(-offset) * time.Second).In(r.zone)
		if _, is := t.Zone(); is == offset && (at.IsZero() || at.Unix() < r.before-120) {
			at = t
		}
	}
	if at.IsZero() {
		return at, wall, fmt.Errorf("no clock shows %s", shown)
	}
	r.before = at.Unix()
	return at, wall, nil
}

func networkOf(host string) string {
	if address := net.ParseIP(host); address.To4() == nil {
		return (&net.IPNet{IP: address.Mask(net.CIDRMask(64, 128)), Mask: net.CIDRMask(64, 128)}).String()
	}
	return host[:strings.LastIndexByte(host, '.')] + ".0/24"
}

func directoryOf(file string) string {
	parts := strings.Split(file, "/")
	return strings.Join(parts[:min(4, len(parts)-1)], "/")
}

// most is how many transfers there were at once.
func (r *plainReport) most() (most int) {
	n := 0
	for _, second := range slices.Sorted(maps.Keys(r.change)) {
		n += r.change[second]
		most = max(most, n)
	}
	return most
}

// compare holds a report to it.
func (r *plainReport) compare(t *testing.T, report *stats.Report) {
	t.Helper()
	if got := tallyOf(report.Total); got != r.total {
		t.Errorf("in all it is %+v,\nnot %+v", got, r.total)
	}
	for dimension, keys := range r.by {
		table := report.Table(dimension)
		if table == nil {
			t.Errorf("there is nothing by %s", dimension)
			continue
		}
		if len(table.Rows) != len(keys) || table.Other != nil || table.Folded != 0 {
			t.Errorf("by %s there are %d rows of %d, and %+v", dimension, len(table.Rows), len(keys), table.Other)
		}
		for _, row := range table.Rows {
			key := row.Key
			if strings.Contains(dimension, ",") {
				key += "\n" + row.Also
			}
			if want := keys[key]; want == nil || tallyOf(row.Sum) != *want {
				t.Errorf("by %s, %q is %+v,\nnot %+v", dimension, key, tallyOf(row.Sum), want)
			}
		}
	}
	if got := report.Concurrency.Most; got != int64(r.most()) {
		t.Errorf("%d transfers were at once, not %d", got, r.most())
	}
	var heat tally
	for _, day := range report.Heat {
		for _, hour := range day {
			sum := tallyOf(hour)
			heat.add(&sum)
		}
	}
	if heat != r.total {
		t.Errorf("by weekday and hour it is %+v", heat)
	}
}

func tallyOf(s stats.Sum) tally {
	t := tally{s.Up, s.Down, s.Deleted, s.Incomplete, s.In, s.Out, int64(s.Seconds), 0}
	if !s.Last.IsZero() {
		t.last = s.Last.Unix()
	}
	return t
}

// reportOf reads a log with ours, in pieces of equal length.
func reportOf(t *testing.T, text []byte, zone *time.Location, pieces int) *stats.Report {
	t.Helper()
	options := stats.Options{Zone: zone, Top: -1, By: [][]stats.Dimension{dimensions(t, "user", "day"), dimensions(t, "hour", "direction")}}
	c := stats.NewCollector(options)
	var parts []stats.Piece
	for i := range pieces {
		from, to := lineAt(text, len(text)*i/pieces), lineAt(text, len(text)*(i+1)/pieces)
		parts = append(parts, stats.Piece{Name: "log", Goes: i > 0, Size: int64(to - from), Open: func() (stats.Lines, error) {
			before := linesOf(text[:from], zone)
			for range before.All() { // in which pass of an hour that comes twice it begins
			}
			lines := linesOf(text[from:to], zone)
			lines.After(before.Before())
			return lines, nil
		}})
	}
	err := c.Read(context.Background(), parts, stats.Reading{Workers: pieces, Limit: 3, Bad: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return c.Report(nil)
}

// A textLog is a log in memory.
type textLog struct{ *logparse.Reader }

func (textLog) Close() error { return nil }

func linesOf(text []byte, zone *time.Location) textLog {
	r := logparse.NewReader(bytes.NewReader(text), logparse.Format{})
	r.Zone = zone
	return textLog{r}
}

// lineAt is where the next line begins.
func lineAt(text []byte, at int) int {
	if at == 0 || at >= len(text) {
		return min(at, len(text))
	}
	return at + bytes.IndexByte(text[at:], '\n') + 1
}

func dimensions(t *testing.T, names ...string) (list []stats.Dimension) {
	t.Helper()
	for _, name := range names {
		d, ok := stats.FindDimension(name)
		if !ok {
			t.Fatal("no dimension ", name)
		}
		list = append(list, d)
	}
	return list
}

func textOf(t *testing.T, log logtest.Log, format string) []byte {
	t.Helper()
	f, ok := logparse.Find(format)
	if !ok {
		t.Fatal("no format ", format)
	}
	text, err := io.ReadAll(log.Reader(f))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDifferential reads a log of 100,000 lines, some by users with odd names, with
// ours and with the slow reader.
func TestDifferential(t *testing.T) {
	log := logtest.New(100_000)
	log.Odd = true
	text := textOf(t, log, "xferlog-proftpd")
	plain := newPlainReport(time.UTC)
	plain.read(t, bytes.NewReader(text))
	for _, pieces := range []int{1, 3} {
		report := reportOf(t, text, time.UTC, pieces)
		plain.compare(t, report)
		if report.Read.Entries != log.Lines || report.Read.Lines != log.Lines || report.Read.Bytes != int64(len(text)) || report.Read.Bad+report.Read.TooLong != 0 {
			t.Errorf("it read %+v", report.Read)
		}
	}
}

// TestAwk has awk sum up the same.
func TestAwk(t *testing.T) {
	text := textOf(t, logtest.New(100_000), "xferlog")
	report := reportOf(t, text, time.UTC, 1)
	sum := report.Total
	for _, awk := range []string{"gawk", "mawk"} {
		for _, one := range []struct{ program, want string }{
			{`{n[$12]++; b[$12] += $8} END {printf "%d %d %d %.0f %.0f\n", n["i"], n["o"], n["d"], b["i"], b["o"]}`,
				fmt.Sprintln(sum.Up, sum.Down, sum.Deleted, sum.In, sum.Out)},
			{`$12 != "d" {s += $6} $12 != "d" && $NF == "i" {n++} END {printf "%d %d\n", s, n}`, fmt.Sprintln(int64(sum.Seconds), sum.Incomplete)},
			{`{u[$14]; h[$7]; f[$9]} END {print length(u), length(h), length(f)}`, fmt.Sprintln(report.Users, report.Hosts, report.Files)},
			{`$12 != "d" {b[$14] += $8} END {for (u in b) if (b[u] > m) {m = b[u]; who = u}; printf "%s %.0f\n", who, m}`,
				fmt.Sprintln(report.Table("user").Rows[0].Key, report.Table("user").Rows[0].Bytes())},
			{`{n[substr($4, 1, 2)]++} END {for (h = 0; h < 24; h++) printf "%d ", n[sprintf("%02d", h)]; print ""}`, counts(report.Table("hour"))},
		} {
			cmd := exec.Command(awk, one.program)
			cmd.Stdin = bytes.NewReader(text)
			got, err := cmd.CombinedOutput()
			if err != nil || string(got) != one.want {
				t.Errorf("%s '%s' says %snot %s%v", awk, one.program, got, one.want, err)
			}
		}
	}
}

func counts(table *stats.Table) (line string) {
	for _, row := range table.Rows {
		line += fmt.Sprint(row.Count(), " ")
	}
	return line + "\n"
}

// TestChangeOfClocks reads logs of the days around both changes, by clocks of zones
// that are whole hours, halves and quarters from UTC; one changes by half an hour.
func TestChangeOfClocks(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Kolkata"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes(zone, 2026) {
			t.Run(fmt.Sprint(name, change.Month()), func(t *testing.T) {
				log := logtest.New(12_000)
				log.Start, log.Days = change.Add(-36*time.Hour), 3
				text := textOf(t, log, "xferlog")
				plain := newPlainReport(zone)
				plain.read(t, bytes.NewReader(text))
				for _, pieces := range []int{1, 40} {
					plain.compare(t, reportOf(t, text, zone, pieces))
				}
				read := logparse.NewReader(bytes.NewReader(text), logparse.Format{})
				read.Zone = zone
				var got logparse.Entry
				for e := range log.Entries() {
					if err := read.Read(&got); err != nil || got.Time.Unix() != e.Time.Unix() {
						t.Fatalf("what was at %v is read as at %v: %v", e.Time, got.Time, err)
					}
				}
			})
		}
	}
}

// changes are the moments of a year at which clocks are changed; if they never are,
// one at which they are not.
func changes(zone *time.Location, year int) (all []time.Time) {
	for at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() == year; at = at.Add(30 * time.Minute) {
		_, before := at.Add(-time.Second).In(zone).Zone()
		if _, after := at.In(zone).Zone(); before != after {
			all = append(all, at.In(zone))
		}
	}
	if len(all) == 0 {
		all = []time.Time{time.Date(year, 3, 29, 1, 0, 0, 0, time.UTC).In(zone)}
	}
	return all
}
