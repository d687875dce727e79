package stats_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
	"portreeve/stats"
)

// TestMisread sums up the logs that other programs get wrong.
func TestMisread(t *testing.T) {
	for _, m := range logtest.Misreads() {
		t.Run(m.Name, func(t *testing.T) {
			for _, text := range []string{m.Log, strings.TrimSuffix(m.Log, "\n")} {
				report := reportOf(t, []byte(text), time.UTC, 1)
				want := make(map[string]*tally)
				for _, line := range m.Lines {
					one := truthOf(line)
					account := "real"
					if line.Anonymous {
						account = "anonymous"
					}
					for _, key := range []string{"user " + line.User, "host " + line.Host, "file " + line.Path, "account " + account,
						"direction " + map[byte]string{'i': "upload", 'o': "download", 'd': "delete"}[line.Direction]} {
						if want[key] == nil {
							want[key] = new(tally)
						}
						want[key].add(&one)
					}
				}
				holdTo(t, report, want)
				if n := int64(len(m.Lines)); report.Read.Lines != n || report.Read.Entries != n || report.Read.Bad+report.Read.TooLong != 0 {
					t.Errorf("it read %+v of %d lines", report.Read, n)
				}
				if first, last := m.Lines[0].Year, m.Lines[len(m.Lines)-1].Year; report.From.Year() != first || report.To.Year() != last {
					t.Errorf("it is from %v to %v", report.From, report.To)
				}
			}
		})
	}
}

// truthOf is what a line amounts to, but for its time.
func truthOf(line logtest.Truth) tally {
	switch line.Direction {
	case 'i':
		return tally{up: 1, in: line.Bytes}
	case 'o':
		return tally{down: 1, out: line.Bytes}
	}
	return tally{deleted: 1}
}

// holdTo compares the tables of which there is something wanted, without times.
func holdTo(t *testing.T, report *stats.Report, want map[string]*tally) {
	t.Helper()
	tables := make(map[string]bool)
	for key := range want {
		dimension, _, _ := strings.Cut(key, " ")
		tables[dimension] = true
	}
	for dimension := range tables {
		table := report.Table(dimension)
		if table == nil {
			t.Errorf("there is nothing by %s", dimension)
			continue
		}
		for _, row := range table.Rows {
			key := dimension + " " + row.Key
			got := tallyOf(row.Sum)
			got.seconds, got.last = 0, 0
			if want[key] == nil || got != *want[key] {
				t.Errorf("%s is %+v,\nnot %+v", key, got, want[key])
			}
			delete(want, key)
		}
	}
	for key := range want {
		t.Errorf("%s is missing", key)
	}
}

// TestDamaged damages every tenth line of a log so that it cannot be read. What is
// left amounts to what it did, and every line is counted.
func TestDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	whole := textOf(t, logtest.New(20_000), "xferlog")
	var damaged, left []byte
	var bad, tooLong int64
	for line := range bytes.Lines(whole) {
		if r.IntN(10) > 0 {
			damaged, left = append(damaged, line...), append(left, line...)
			continue
		}
		switch at := r.IntN(24); r.IntN(5) { // within the date
		case 0:
			line = append([]byte{0, 0, 0}, line...)
		case 1:
			line = append(bytes.Clone(line[:at]), '\n')
		case 2:
			line = bytes.Clone(line)
			line[0] ^= 0x20
		case 3:
			line = append(bytes.Clone(line[at+1:len(line)-1]), line...) // two writers at once
		case 4:
			line = append(bytes.Repeat([]byte{'x'}, logparse.MaxLine+1), line...)
			tooLong++
			bad--
		}
		if len(line) > 1 { // empty ones are nothing
			bad++
		} else {
			line = nil
		}
		damaged = append(damaged, line...)
	}
	c := stats.NewCollector(stats.Options{Zone: time.UTC, Top: -1, By: [][]stats.Dimension{dimensions(t, "user", "day"), dimensions(t, "hour", "direction")}})
	told := int64(0)
	err := c.Read(context.Background(), []stats.Piece{{Name: "log", Open: func() (stats.Lines, error) { return linesOf(damaged, time.UTC), nil }}},
		stats.Reading{Limit: 1 << 30, Bad: func(err error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	report := c.Report(nil)
	lines := int64(bytes.Count(damaged, []byte("\n")))
	if got := report.Read; got.Lines != lines || got.Bad != bad || got.TooLong != tooLong || got.Entries+got.Bad+got.TooLong != lines || told != bad+tooLong {
		t.Errorf("of %d lines, %d bad and %d too long, it read %+v and told of %d", lines, bad, tooLong, got, told)
	}
	plain := newPlainReport(time.UTC)
	plain.read(t, bytes.NewReader(left))
	plain.compare(t, report)
	if t.Failed() {
		t.Logf("%d bytes are left of %d", len(left), len(whole))
	}
}
