package stats

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
)

// logText is a log of so many lines.
func logText(t testing.TB, lines int64, odd bool) []byte {
	t.Helper()
	format, _ := logparse.Find("json")
	log := logtest.New(lines)
	log.Odd = odd
	text, err := io.ReadAll(log.Reader(format))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// piecesOf cuts a text at line ends, about where told.
func piecesOf(text []byte, at ...int) []Piece {
	var pieces []Piece
	from := 0
	for _, cut := range append(at, len(text)) {
		if end := bytes.IndexByte(text[min(max(cut-1, from), len(text)):], '\n'); end >= 0 && cut < len(text) {
			cut = max(cut-1, from) + end + 1
		} else {
			cut = len(text)
		}
		part := text[from:cut]
		pieces = append(pieces, Piece{Name: "log", Size: int64(len(part)), Goes: from > 0,
			Open: func() (Lines, error) {
				r := logparse.NewReader(bytes.NewReader(part), logparse.Format{})
				r.Zone = time.UTC
				return noFile{r}, nil
			}})
		from = cut
	}
	return pieces
}

// noFile are lines that need no closing.
type noFile struct{ *logparse.Reader }

func (noFile) Close() error { return nil }

func collect(t testing.TB, o Options, workers int, pieces ...Piece) *Collector {
	t.Helper()
	c := NewCollector(o)
	err := c.Read(context.Background(), pieces, Reading{Workers: workers, Bad: func(err error) { t.Error(err) }, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shown is a report as JSON, without what differs between two that are the same.
func shown(t testing.TB, r *Report) string {
	t.Helper()
	r.Made, r.Read.Took = Stamp{}, 0
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// everything asks for every dimension, and for some crossed.
func everything() Options {
	o := Options{Zone: time.UTC, Top: 20}
	for _, d := range Dimensions {
		o.By = append(o.By, []Dimension{d})
	}
	user, _ := FindDimension("user")
	day, _ := FindDimension("day")
	direction, _ := FindDimension("direction")
	o.By = append(o.By, []Dimension{user, day}, []Dimension{day, direction})
	return o
}

func TestPiecesMakeTheWhole(t *testing.T) {
	text := logText(t, 20_000, true)
	whole := shown(t, collect(t, everything(), 1, piecesOf(text)...).Report(nil))
	for range 20 {
		cuts := make([]int, 1+rand.IntN(6))
		for i := range cuts {
			cuts[i] = rand.IntN(len(text))
		}
		slices.Sort(cuts)
		workers := 1 + rand.IntN(len(cuts)+2)
		if got := shown(t, collect(t, everything(), workers, piecesOf(text, cuts...)...).Report(nil)); got != whole {
			t.Fatalf("cut at %d, with %d workers, the report is another:\n%s", cuts, workers, firstDifference(whole, got))
		}
	}
}

func firstDifference(a, b string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			from := max(0, i-200)
			return "want " + a[from:min(i+200, len(a))] + "\n got " + b[from:min(i+200, len(b))]
		}
	}
	return "one is longer"
}

func TestStateGoesOn(t *testing.T) {
	text := logText(t, 20_000, true)
	whole := shown(t, collect(t, everything(), 1, piecesOf(text)...).Report(nil))
	for range 10 {
		pieces := piecesOf(text, rand.IntN(len(text)))
		c := collect(t, everything(), 1, pieces[0])
		state := stateOf(t, c, []byte("extra"))
		c, extra, err := LoadState(everything(), bytes.Clone(state))
		if err != nil || string(extra) != "extra" {
			t.Fatal(err, extra)
		}
		if again := stateOf(t, c, extra); !bytes.Equal(again, state) {
			t.Error("a state that was loaded is written otherwise")
		}
		if err := c.Read(context.Background(), pieces[1:], Reading{}); err != nil {
			t.Fatal(err)
		}
		if got := shown(t, c.Report(nil)); got != whole {
			t.Fatalf("going on from a state, the report is another:\n%s", firstDifference(whole, got))
		}
	}
	state := stateOf(t, collect(t, everything(), 1, piecesOf(text)...), nil)
	for range 200 {
		damaged := bytes.Clone(state)
		damaged[rand.IntN(len(damaged))] ^= byte(1 + rand.IntN(255))
		if _, _, err := LoadState(everything(), damaged); err == nil {
			t.Error("a damaged state is taken")
		}
		if _, _, err := LoadState(everything(), state[:rand.IntN(len(state))]); err == nil {
			t.Error("a part of a state is taken")
		}
	}
	other := everything()
	other.Depth = 7
	if _, _, err := LoadState(other, stateOf(t, collect(t, everything(), 1), nil)); err != ErrOther {
		t.Errorf("a state of other options is taken: %v", err)
	}
}

func FuzzLoadState(f *testing.F) {
	text := logText(f, 300, true)
	o := everything()
	for _, c := range []*Collector{collect(f, o, 1, piecesOf(text)...), collect(f, o, 1)} {
		state := stateOf(f, c, nil)
		f.Add(state[len(stateMagic) : len(state)-sumLength])
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		c, _, err := loadState(o, state)
		if err == nil {
			c.Report(nil)
			stateOf(t, c, nil)
		}
	})
}

func stateOf(t testing.TB, c *Collector, extra []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteState(&b, extra); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCapFoldsTheSmall has more users than are kept: sums hold, and those that
// matter are right but for what is said to be missing.
func TestCapFoldsTheSmall(t *testing.T) {
	c := NewCollector(Options{Zone: time.UTC, Keys: 300, Top: 300})
	count := make(map[string]int64)
	var total int64
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		name := "rare-" + strconv.Itoa(random.IntN(50_000))
		if random.IntN(3) == 0 {
			name = "often-" + strconv.Itoa(random.IntN(20))
		}
		if i > 150_000 && random.IntN(10) == 0 {
			name = "late"
		}
		count[name]++
		total++
		c.Add(&logparse.Entry{Time: time.Unix(int64(i), 0), Direction: logparse.Upload, Status: logparse.Whole, User: name, Host: name, Path: "/" + name, Bytes: 1})
	}
	for _, name := range []string{"user", "host", "file"} {
		table := c.Report(nil).Table(name)
		sum := int64(0)
		seen := make(map[string]bool)
		for _, row := range table.Rows {
			sum += row.Count()
			key := row.Key
			if name == "file" {
				key = key[1:]
			}
			seen[key] = true
			if row.Count() > count[key] || row.Count()+row.Missing < count[key] {
				t.Errorf("%s %s has %d, at most %d missing, and there were %d", name, key, row.Count(), row.Missing, count[key])
			}
		}
		if table.Other == nil || sum+table.Other.Count() != total {
			t.Errorf("of %d entries %s has %d, and others are %+v", total, name, sum, table.Other)
		}
		for i := range 20 {
			if !seen["often-"+strconv.Itoa(i)] {
				t.Errorf("%s often-%d is not among the best", name, i)
			}
		}
		if !seen["late"] {
			t.Errorf("%s that came late is not among the best", name)
		}
		if table.Folded == 0 || len(table.Rows) > 300 {
			t.Errorf("%s: %d rows, %d folded", name, len(table.Rows), table.Folded)
		}
	}
}

func TestCrowd(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		n, length := 1+random.IntN(400), int64(1+random.IntN(20_000))
		type span struct{ end, took int64 }
		spans := make([]span, n)
		for i := range spans {
			spans[i] = span{1_000_000 + random.Int64N(length), random.Int64N(300)}
		}
		slices.SortFunc(spans, func(a, b span) int { return int(a.end - b.end) })
		at := make(map[int64]int64)
		for _, s := range spans {
			for second := s.end - s.took; second <= s.end; second++ {
				at[second]++
			}
		}
		most, sum := int64(0), int64(0)
		for n := range maps.Values(at) {
			most, sum = max(most, n), sum+n
		}
		cut := random.IntN(n + 1)
		var first, second crowd
		for i, s := range spans {
			if i < cut {
				first.add(s.end, s.took)
			} else {
				second.add(s.end, s.took)
			}
		}
		first.merge(&second)
		first.finish()
		points, _ := first.points(100)
		got, gotMost := int64(0), int64(0)
		for _, p := range points {
			got, gotMost = got+p.sum, max(gotMost, p.most)
		}
		if got != sum {
			t.Errorf("%d seconds of transfers, want %d", got, sum)
		}
		// Where a second is in both parts the most is of one of them.
		if first.most > most || gotMost != first.most || cut == 0 && first.most != most {
			t.Errorf("at most %d at once, and %d in the curve; want %d", first.most, gotMost, most)
		}
	}
}

func TestSketch(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var a, b sketch
	var values []float64
	for range 20_000 {
		v := random.ExpFloat64() * 1e6
		values = append(values, v)
		if random.IntN(2) == 0 {
			a.add(v)
		} else {
			b.add(v)
		}
	}
	a.merge(&b)
	slices.Sort(values)
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99, 1} {
		want := values[max(int(q*float64(len(values)))-1, 0)]
		if got := a.quantile(q); got < want*0.99 || got > want*1.01 {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
}

// TestRateOf takes no rate from what was over in a moment.
func TestRateOf(t *testing.T) {
	for _, test := range []struct {
		took   time.Duration
		rate   float64
		status logparse.Status
		want   float64
	}{
		{4 * time.Second, 0, logparse.Whole, 0},
		{5 * time.Second, 0, logparse.Whole, 200},
		{5 * time.Second, 0, logparse.Cut, 0},
		{1500 * time.Millisecond, 0, logparse.Whole, 1000 / 1.5},
		{49 * time.Millisecond, 7e6, logparse.Whole, 0},
		{time.Second, 990, logparse.Whole, 990},
		{0, 1234, logparse.Unknown, 1234},
	} {
		e := logparse.Entry{Took: test.took, Rate: test.rate, Status: test.status, Bytes: 1000}
		if got, ok := rateOf(&e); got != test.want || ok != (test.want > 0) {
			t.Errorf("%+v has the rate %g, %v", test, got, ok)
		}
	}
}

// BenchmarkCollect reads a log of the usual size with all reports on.
func BenchmarkCollect(b *testing.B) {
	format, _ := logparse.Find("xferlog")
	text, err := io.ReadAll(logtest.New(1_000_000).Reader(format))
	if err != nil {
		b.Fatal(err)
	}
	for _, workers := range []int{1, 2} {
		b.Run(strconv.Itoa(workers), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			pieces := piecesOf(text, len(text)/2)
			for b.Loop() {
				collect(b, Options{Zone: time.UTC}, workers, pieces...)
			}
		})
	}
	c := collect(b, Options{Zone: time.UTC}, 1, piecesOf(text)...)
	b.Run("report", func(b *testing.B) {
		for b.Loop() {
			c.Report(nil)
		}
	})
	state := stateOf(b, c, nil)
	b.Run("save", func(b *testing.B) {
		b.SetBytes(int64(len(state)))
		for b.Loop() {
			if err := c.WriteState(io.Discard, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := LoadState(Options{Zone: time.UTC}, state); err != nil {
				b.Fatal(err)
			}
		}
	})
}
