//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkHold holds 10,000 sessions while four more move files, for a minute, or
// as long as PORTREEVE_BENCH_HOLD says; it fails if one is lost, or not answered
// in time. Every session says NOOP once in a while.
func BenchmarkHold(b *testing.B) {
	span, err := time.ParseDuration(cmp.Or(os.Getenv("PORTREEVE_BENCH_HOLD"), "1m"))
	if err != nil {
		b.Fatal(err)
	}
	home := b.TempDir()
	a := &arena{B: b, home: home}
	cert := filepath.Join(home, "cert.pem")
	selfSigned(b, cert)
	p := ours(b, "portreeve", "", home, cert)
	if err := errors.Join(os.Mkdir(filepath.Join(home, "up"), 0o777), os.Chmod(filepath.Join(home, "up"), 0o777)); err != nil {
		b.Fatal(err)
	}
	const size = 64 << 20
	writeFile(b, filepath.Join(home, "file"), make([]byte, size))
	from, err := os.Open(filepath.Join(home, "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	for b.Loop() {
		before := p.pss()
		all := a.sessions(p, mostSessions(b, 10_000), false)
		b.ReportMetric(float64(len(all)), "sessions")
		b.ReportMetric(float64(p.pss()-before)/float64(len(all)), "KiB/session")
		var moved, slowest atomic.Int64
		end := time.Now().Add(span)
		err := together(5, func(i int) error {
			if i == 4 {
				return stroll(all, end, &slowest)
			}
			c, err := p.login(false)
			for n := 0; err == nil && time.Now().Before(end); n++ {
				if i%2 == 0 {
					err = c.fetch("file", size)
				} else {
					err = c.put(fmt.Sprint("up/", i), from, size)
				}
				moved.Add(size)
			}
			return errors.Join(err, c.quit())
		})
		if err := errors.Join(err, quitAll(all)); err != nil {
			b.Error(err)
		}
		b.ReportMetric(float64(moved.Load())/1e9, "GB-moved")
		b.ReportMetric(float64(slowest.Load())/1e6, "slowest-ms")
		b.ReportMetric(0, "ns/op")
	}
}

// stroll has one session after the other say something, for so long, and every one
// at least once.
func stroll(all []*loader, end time.Time, slowest *atomic.Int64) error {
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		for i, c := range all {
			start := time.Now()
			if err := c.say(200, "NOOP"); err != nil {
				return fmt.Errorf("session %d of %d: %w", i, len(all), err)
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(start))))
			if round > 0 && !time.Now().Before(end) {
				break
			}
		}
	}
	return nil
}
