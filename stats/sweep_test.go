package stats

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
)

// have names as many files under a directory, which somebody else uploads.
func (s *script) have(n int, folder string) {
	for i := range n {
		s.add(-1, time.Duration(i)*time.Second, func(e *logparse.Entry) { e.User, e.Path = "bob", folder+"/"+strconv.Itoa(i) })
	}
}

// take downloads some of them, a second after the other.
func (s *script) take(from, to int, folder string, after time.Duration) {
	for i := from; i < to; i++ {
		s.add(0, after+time.Duration(i-from)*time.Second, func(e *logparse.Entry) { e.Direction, e.Path = logparse.Download, folder+"/"+strconv.Itoa(i) })
	}
}

// TestHalfOfADirectory wants a word of who downloads most of a directory, and of
// nobody who has a hair less.
func TestHalfOfADirectory(t *testing.T) {
	for name, test := range map[string]struct {
		says string
		make func(*script)
	}{
		"more than half": {"ann downloaded 31 of the 60 files under /pub/x in the ten minutes from 2026-03-02 10:00:00 on",
			func(s *script) { s.have(60, "/pub/x"); s.have(10, "/pub/y"); s.take(0, 31, "/pub/x", 0) }},
		"half":             {"", func(s *script) { s.have(60, "/pub/x"); s.take(0, 30, "/pub/x", 0) }},
		"of the smallest":  {"26 of the 50 files under /pub/x ", func(s *script) { s.have(50, "/pub/x"); s.take(0, 26, "/pub/x", 0) }},
		"of one too small": {"", func(s *script) { s.have(49, "/pub/x"); s.take(0, 49, "/pub/x", 0) }},
		"one of them again and again": {"", func(s *script) {
			s.have(60, "/pub/x")
			for i := range 100 {
				s.take(0, 1, "/pub/x", time.Duration(i)*time.Second)
			}
		}},
		"in another ten minutes": {"", func(s *script) {
			s.have(60, "/pub/x")
			s.take(0, 20, "/pub/x", 0)
			s.take(20, 40, "/pub/x", 10*time.Minute)
		}},
		"all, over the hour": {"ann downloaded 50 of the 90 files under /pub/x in the ten minutes from 2026-03-02 11:00:00",
			func(s *script) { s.have(90, "/pub/x"); s.take(0, 90, "/pub/x", time.Hour-40*time.Second) }},
		"of folders in it": {"60 of the 100 files under /pub ", func(s *script) {
			s.have(50, "/pub/x")
			s.have(50, "/pub/y")
			s.take(0, 24, "/pub/x", 0)
			s.take(0, 36, "/pub/y", 0)
		}},
		"of everything": {"40 of the 60 files under / ", func(s *script) { s.have(60, ""); s.take(0, 40, "", 0) }},
		"that are named later": {"", func(s *script) {
			s.have(60, "/pub/x")
			s.take(0, 40, "/pub/x", 0)
			s.take(60, 90, "/pub/x", time.Hour)
		}},
		"so many that it is a sweep": {"ann downloaded 501 files within ten minutes",
			func(s *script) { s.take(0, 501, "/pub/x", 0) }},
	} {
		s := newScript()
		test.make(s)
		var texts []string
		for _, f := range s.c.Report(nil).Unusual {
			if f.Rule == "sweep" {
				texts = append(texts, f.Text)
			}
		}
		if want := test.says != ""; len(texts) > 1 || want != (len(texts) == 1) || want && !strings.Contains(texts[0], test.says) {
			t.Errorf("%s: it says %q, want %q", name, texts, test.says)
		}
	}
}

// halvesSlowly is what the rule has to say, from all entries at once.
func halvesSlowly(list []logparse.Entry) map[string]int64 {
	named := make(map[string]map[string]bool) // by directory
	took := make(map[string]map[string]bool)  // by user, directory and ten minutes
	add := func(m map[string]map[string]bool, key, file string) {
		if m[key] == nil {
			m[key] = make(map[string]bool)
		}
		m[key][file] = true
	}
	all := make(map[string]map[string]bool)
	for i := range list {
		e := &list[i]
		for _, end := range []int{1, strings.LastIndexByte(e.Path, '/')} {
			add(named, e.Path[:end], e.Path)
			if e.Direction == logparse.Download {
				add(took, fmt.Sprint(e.User, " ", e.Path[:end], " ", e.Time.Unix()/600), e.Path)
				add(all, fmt.Sprint(e.User, " ", e.Time.Unix()/600), e.Path)
			}
		}
	}
	out := make(map[string]int64)
	for key, files := range took {
		part := strings.Fields(key)
		n := int64(len(files))
		if total := int64(len(named[part[1]])); total >= 50 && 2*n > total && len(all[part[0]+" "+part[2]]) <= 500 {
			out[part[0]] = max(out[part[0]], n)
		}
	}
	return out
}

// TestHalvesOfParts holds the rule to what looking at everything finds, of logs that
// are cut anywhere and go on from states.
func TestHalvesOfParts(t *testing.T) {
	spoke, quiet := 0, 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 8))
		var list []logparse.Entry
		at := int64(1_770_000_000)
		for range 30 {
			user, folder := strconv.Itoa(r.IntN(4)), "/"+strconv.Itoa(r.IntN(6))
			span := 1 + r.Int64N(20)
			e := logparse.Entry{User: user, Host: "192.0.2.1", Status: logparse.Whole, Direction: logparse.Download}
			if r.IntN(3) == 0 {
				e.Direction = logparse.Upload
			}
			for range 10 + r.IntN(60) {
				e.Time, e.Path = time.Unix(at, 0), folder+"/"+strconv.Itoa(r.IntN(75))
				list = append(list, e)
				at += r.Int64N(span)
			}
			at += r.Int64N(1200)
		}
		want := halvesSlowly(list)
		cuts := []int{r.IntN(len(list)), r.IntN(len(list)), r.IntN(len(list))}
		slices.Sort(cuts)
		o := Options{Zone: time.UTC, Keys: 1000}
		sum, from := NewCollector(o), 0
		for _, cut := range append(cuts, len(list)) {
			part := NewCollector(o)
			for i := range list[from:cut] {
				part.Add(&list[from+i])
			}
			from = cut
			sum.merge(part)
			state := stateOf(t, sum, nil)
			var err error
			if sum, _, err = LoadState(o, state); err != nil {
				t.Fatal(err)
			}
			if again := stateOf(t, sum, nil); !bytes.Equal(again, state) {
				t.Error("a state that was loaded is written otherwise")
			}
		}
		got := make(map[string]int64)
		for _, f := range sum.Report(nil).Unusual {
			var n, total int64
			if _, err := fmt.Sscanf(f.Text, f.User+" downloaded %d of the %d files", &n, &total); err == nil {
				got[f.User] = n
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("log %d cut at %v: it says %v, want %v", seed, cuts, got, want)
		}
		spoke, quiet = spoke+len(want), quiet+4-len(want)
	}
	if spoke < 20 || quiet < 20 {
		t.Errorf("of %d users it speaks of %d, which tries little", spoke+quiet, spoke)
	}
}

// TestSweepBounds shows paths of many folders, and more directories than are kept.
func TestSweepBounds(t *testing.T) {
	c := NewCollector(Options{Zone: time.UTC})
	long := strings.Repeat("/", 3000) + strings.Repeat("/d", 3000) + strings.Repeat("x", folderLength)
	for i := range maxSwept {
		for j := range halfLeast + 1 {
			c.Add(&logparse.Entry{Time: time.Unix(1_770_000_000+int64(i), 0), Direction: logparse.Download, Status: logparse.Whole,
				User: strconv.Itoa(i % 100), Path: "/" + strconv.Itoa(i) + long[:i%2*len(long)] + "/" + strconv.Itoa(j)})
		}
		if i > 400 {
			long = "/a/b"
		}
	}
	c.Report(nil)
	s := &c.watch.sweeps
	if n := len(s.most); n > maxSwept || s.bytes > maxSweptBytes {
		t.Errorf("%d directories of %d bytes are kept", n, s.bytes)
	}
	for key := range s.most {
		if len(key.folder) > folderLength || strings.Count(key.folder, "/d") > folderDepth {
			t.Fatalf("kept is %q", key.folder)
		}
	}
	before := len(s.most)
	s = new(sweeps)
	for i := range uint32(2 * maxSwept) {
		s.note(swept{i, "/" + strconv.Itoa(int(i))}, extreme{30, 1})
	}
	if before == 0 || len(s.most) != maxSwept || s.note(swept{1 << 20, "/new"}, extreme{30, 1}) {
		t.Errorf("%d are kept, before it were %d", len(s.most), before)
	}
}
