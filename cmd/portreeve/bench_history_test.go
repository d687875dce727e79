//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHistoryCost has a session store small files, as fast as it can and 500 a
// second, in turns with and without history, and tells what history costs: the time
// of a file, and the processor's of the daemon.
func BenchmarkHistoryCost(b *testing.B) {
	const files, rounds = 4000, 3
	text := strings.Repeat("x", 4096)
	for _, pace := range []time.Duration{0, 2 * time.Millisecond} {
		b.Run(fmt.Sprintf("every %v", pace), func(b *testing.B) {
			var took, used [2][]float64 // microseconds a file
			for range rounds {
				for with, days := range []string{"0", "90"} {
					d := newSite(b, nil)
					d.configure(b, "LoginDelay 0", "LogLevel info", "HistoryDays "+days)
					d.start(b)
					c := dialFTP(b, d, "alice")
					due := time.NewTicker(max(pace, time.Millisecond))
					began := time.Now()
					for n := range files {
						if pace > 0 {
							<-due.C
						}
						if err := c.store(fmt.Sprint(n), strings.NewReader(text)); err != nil {
							b.Fatal(err)
						}
					}
					took[with] = append(took[with], float64(time.Since(began).Microseconds())/files)
					due.Stop()
					if _, err := c.cmd(221, "QUIT"); err != nil {
						b.Fatal(err)
					}
					if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
						b.Fatal(err)
					}
					d.ended(b)
					state := d.cmd.ProcessState
					used[with] = append(used[with], float64((state.UserTime()+state.SystemTime()).Microseconds())/files)
				}
			}
			median := func(list []float64) float64 { slices.Sort(list); return list[len(list)/2] }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(took[0]), "us/file")
			b.ReportMetric(median(took[1]), "us/file+history")
			b.ReportMetric(median(used[0]), "cpu-us/file")
			b.ReportMetric(median(used[1]), "cpu-us/file+history")
		})
	}
}
