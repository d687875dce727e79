//go:build linux

package main

import (
	"fmt"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkSessions measures what a session costs that is logged in and does
// nothing, with 5,000 of them, and how long who takes to show 10,000, or as many
// as the system allows. It fails above 12 KiB a session and above 100 ms.
func BenchmarkSessions(b *testing.B) {
	const few = 5_000
	many := mostSessions(b, 10_000)
	d := startSite(b, "MaxClientsNumber 20000", "LogLevel warn")
	memory := func(name string) int64 {
		return procKiB(b, fmt.Sprintf("/proc/%d/smaps_rollup", d.cmd.Process.Pid), name) << 10
	}
	for b.Loop() {
		open := []*ftpConn{dialFTP(b, d, "alice")} // what the first login makes is not the sessions'
		rss, pss := memory("Rss"), memory("Pss")
		open = append(open, manyLogins(b, d, few)...)
		time.Sleep(5 * time.Second) // until they are idle, and not just logged in
		each := (memory("Pss") - pss) / few
		b.ReportMetric(float64(each), "PSS-B/session")
		b.ReportMetric(float64((memory("Rss")-rss)/few), "RSS-B/session")
		if each > 12<<10 {
			b.Errorf("an idle session takes %d bytes", each)
		}
		open = append(open, manyLogins(b, d, many-few-1)...)
		fastest := time.Hour
		for range 5 {
			who := d.program(b, "who", "-n")
			who.Stdout = io.Discard
			start := time.Now()
			if err := who.Run(); err != nil {
				b.Fatal(err)
			}
			fastest = min(fastest, time.Since(start))
		}
		b.ReportMetric(float64(len(open)), "sessions")
		b.ReportMetric(fastest.Seconds()*1000, "who-ms")
		b.ReportMetric(0, "ns/op")
		if fastest > 100*time.Millisecond {
			b.Errorf("who took %v for %d sessions", fastest, len(open))
		}
		for _, c := range open {
			c.Close()
		}
	}
}

// mostSessions is n, or how many the system lets the daemon have, which opens a
// file for each.
func mostSessions(b *testing.B, n int) int {
	b.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	return int(min(uint64(n), limit.Max-200))
}

// manyLogins opens so many sessions, some at a time.
func manyLogins(b *testing.B, d *site, n int) []*ftpConn {
	b.Helper()
	const at = 16
	var wait sync.WaitGroup
	all := make([]*ftpConn, n)
	for w := range at {
		wait.Go(func() {
			for i := w; i < n; i += at {
				var err error
				if all[i], err = loginFTP(d.port4, "alice"); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return all
}
