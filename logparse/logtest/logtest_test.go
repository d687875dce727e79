package logtest

import (
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
)

// TestLog counts what is in a log as it is measured with, a fifth as long.
func TestLog(t *testing.T) {
	const lines = 200_000
	xferlog, _ := logparse.Find("xferlog")
	log := New(lines)
	var n, deletes, cut, dynamic, size int64
	hosts, users, files := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	var hours [24]int
	var line []byte
	var last time.Time
	for e := range log.Entries() {
		n++
		if e.Time.Before(last) {
			t.Fatalf("%v comes after %v", e.Time, last)
		}
		last = e.Time
		hours[e.Time.Hour()]++
		hosts[e.Host], users[e.User], files[e.Path] = true, true, true
		if e.Event == logparse.Delete {
			deletes++
		}
		if e.Status == logparse.Cut {
			cut++
		}
		line = xferlog.AppendEntry(line[:0], e)
		size += int64(len(line))
	}
	for name := range files {
		if !slices.Contains(static[:], strings.TrimPrefix(path.Ext(name), ".")) {
			dynamic++
		}
	}
	for _, c := range []struct {
		what             string
		got, least, most int64
	}{
		{"lines", n, lines, lines},
		{"deletes", deletes, lines * 19 / 1000, lines * 21 / 1000},
		{"broken transfers", cut, lines * 38 / 1000, lines * 41 / 1000},
		{"hosts", int64(len(hosts)), 4900, 5000},
		{"users", int64(len(users)), 2000, 2000},
		{"files", int64(len(files)), 50_000, 60_000},
		{"files that are not static", dynamic, 23_000, 29_000},
		{"bytes a thousand lines", size * 1000 / n, 122_250, 122_750},
		{"transfers at three in the morning, of those at three in the afternoon, in thousandths", int64(hours[3] * 1000 / hours[15]), 100, 200},
	} {
		if c.got < c.least || c.got > c.most {
			t.Errorf("%s: %d", c.what, c.got)
		}
	}
	if last.After(log.Start.AddDate(0, 0, log.Days)) || last.Before(log.Start.AddDate(0, 0, log.Days-1)) {
		t.Errorf("it ends on %v", last)
	}
}

// TestReader reads a log in each format: it is the same each time, and every line of
// it is read as what was written.
func TestReader(t *testing.T) {
	for _, odd := range []bool{false, true} {
		for _, f := range logparse.Formats {
			log := New(3000)
			log.Hosts, log.Users, log.Files = 500, 200, 3000
			log.Odd = odd
			text, err := io.ReadAll(log.Reader(f))
			if err != nil {
				t.Fatal(err)
			}
			again, _ := io.ReadAll(log.Reader(f))
			log.Seed = 2
			other, _ := io.ReadAll(log.Reader(f))
			if !bytes.Equal(text, again) || bytes.Equal(text, other) {
				t.Errorf("%s: the seed does not decide", f.Name)
			}
			log.Seed = 1
			var want, got int64
			for e := range log.Entries() {
				if e.Event == logparse.Transfer {
					want += e.Bytes
				}
			}
			r := logparse.NewReader(bytes.NewReader(text), f)
			r.Zone, r.Latest = time.UTC, log.Start.AddDate(0, 0, log.Days)
			for e, err := range r.All() {
				if err != nil {
					t.Fatalf("%s, odd names: %v: %v", f.Name, odd, err)
				}
				if e.Event == logparse.Transfer {
					got += e.Bytes
				}
			}
			if got != want {
				t.Errorf("%s: %d bytes are read of %d", f.Name, got, want)
			}
		}
	}
}

// BenchmarkReader tells how fast lines are made.
func BenchmarkReader(b *testing.B) {
	xferlog, _ := logparse.Find("xferlog")
	for b.Loop() {
		n, err := io.Copy(io.Discard, New(1_000_000).Reader(xferlog))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}
