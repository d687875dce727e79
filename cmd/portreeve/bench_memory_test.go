//go:build linux

package main

import (
	"fmt"
	"sync"
	"testing"
)

// BenchmarkIdleSessions measures what a session costs that is logged in and
// does nothing. It fails above 20 KiB.
func BenchmarkIdleSessions(b *testing.B) {
	const sessions, most, at = 5000, 20 << 10, 16
	d := startSite(b, "MaxClientsNumber 6000", "LogLevel warn")
	memory := func(name string) int64 {
		return procKiB(b, fmt.Sprintf("/proc/%d/smaps_rollup", d.cmd.Process.Pid), name) << 10
	}
	for b.Loop() {
		dialFTP(b, d, "alice") // what the first login makes is not the sessions'
		rss, pss := memory("Rss"), memory("Pss")
		var open sync.WaitGroup
		var mu sync.Mutex // guards all
		var all []*ftpConn
		for range at {
			open.Go(func() {
				for range sessions / at {
					c, err := loginFTP(d.port4, "alice")
					if err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					all = append(all, c)
					mu.Unlock()
				}
			})
		}
		open.Wait()
		n := int64(len(all))
		if b.Failed() || n == 0 {
			b.FailNow()
		}
		each := (memory("Pss") - pss) / n
		b.ReportMetric(float64(each), "PSS-B/session")
		b.ReportMetric(float64((memory("Rss")-rss)/n), "RSS-B/session")
		b.ReportMetric(0, "ns/op")
		if each > most {
			b.Errorf("an idle session takes %d bytes, more than %d", each, most)
		}
		for _, c := range all {
			c.Close()
		}
	}
}
