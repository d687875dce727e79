package logparse

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// benchLog is a log of that many transfers by as many users, hosts and files as a
// busy server has.
func benchLog(f Format, n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var text []byte
	if f.Header != nil {
		text = append(text, f.Header(time.Unix(1795355722, 0))...)
	}
	at := time.Unix(1795355722, 0).UTC()
	for range n {
		at = at.Add(time.Duration(r.IntN(16)) * time.Second)
		e := Entry{Time: at, Took: time.Duration(r.IntN(9000)) * time.Millisecond, Host: fmt.Sprintf("10.%d.%d.7", r.IntN(20), r.IntN(250)),
			User: fmt.Sprintf("user%d", r.IntN(2000)), Path: fmt.Sprintf("/srv/ftp/home/dir%d/sub%d/some file %d.bin", r.IntN(50), r.IntN(20), r.IntN(60000)),
			Bytes: int64(r.ExpFloat64() * 1e6), Direction: Download, Status: Whole, Session: fmt.Sprintf("6b02f447.%x", r.IntN(5000)), PID: 1 + r.IntN(30000)}
		if r.IntN(3) == 0 {
			e.Direction = Upload
		}
		text = f.Append(text, e)
	}
	return text
}

const benchLines = 20000

// BenchmarkRead reads a log in each format.
func BenchmarkRead(b *testing.B) {
	for _, f := range Formats {
		b.Run(f.Name, func(b *testing.B) {
			text := benchLog(f, benchLines)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(bytes.NewReader(text), f)
				r.Zone, r.Latest = time.UTC, time.Unix(1795355722, 0).AddDate(0, 1, 0)
				var e Entry
				for r.Read(&e) == nil {
				}
				if r.Counts().Entries != benchLines {
					b.Fatalf("%+v", r.Counts())
				}
			}
			b.ReportMetric(float64(benchLines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkAppend writes one.
func BenchmarkAppend(b *testing.B) {
	for _, f := range Formats {
		b.Run(f.Name, func(b *testing.B) {
			e := Entry{Time: time.Unix(1795355722, 0).UTC(), Took: time.Second, Host: "10.0.0.1", User: "alice", Path: "/srv/ftp/home/some file.bin", Bytes: 1e6,
				Direction: Upload, Status: Whole, Session: "6b02f447.1b3"}
			var line []byte
			b.ReportAllocs()
			for b.Loop() {
				line = f.AppendEntry(line[:0], &e)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
