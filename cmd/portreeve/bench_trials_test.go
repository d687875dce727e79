//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An arena is where the servers meet.
type arena struct {
	*testing.B
	home    string
	servers []*contestant
}

const (
	gib        = 1 << 30
	smallFiles = 500 // of 4 KiB
	bigFolder  = 100_000
)

// workloads are all that is measured.
func workloads() []trial {
	all := []trial{
		{name: "LIST of 100,000", run: listing("LIST"), measures: listMeasures()},
		{name: "MLSD of 100,000", run: listing("MLSD"), measures: listMeasures(), able: func(p *contestant) bool { return p.mlsd }},
		{name: "NOOP idle", run: roundTrips(0, 4000), measures: []measure{{name: "p50, µs", less: true, bar: .5, against: "pure-ftpd"}, {name: "p99, µs", less: true, bar: .5, against: "pure-ftpd"}}},
		{name: "NOOP beside 4 downloads", run: roundTrips(4, 1500), measures: []measure{{name: "p50, µs", less: true, bar: .5, against: "pure-ftpd"}, {name: "p99, µs", less: true, bar: .5, against: "pure-ftpd"}}},
		{name: "logins, 4 at once", run: logins, measures: []measure{{name: "logins/s", bar: 1}, {name: "server CPU, ms/login", less: true}}},
		{name: "idle sessions", rounds: 1, run: idleSessions, measures: []measure{{name: "KiB PSS/session", less: true, limit: 12}}},
	}
	for _, streams := range []int{1, 4} {
		all = append(all,
			large("RETR", streams, false), large("STOR", streams, false),
			large("RETR", streams, true), large("STOR", streams, true))
	}
	for _, sessions := range []int{1, 16} {
		bar := 1.0
		if sessions > 1 {
			bar = 1.2
		}
		for _, verb := range []string{"RETR", "STOR"} {
			all = append(all, trial{name: fmt.Sprintf("%s of 4 KiB files, %d sessions", verb, sessions),
				run: small(verb, sessions, false), measures: []measure{{name: "files/s", bar: bar}, {name: "server CPU, µs/file", less: true}}})
		}
	}
	all = append(all, trial{name: "TLS RETR of 4 KiB files", able: secured, run: small("RETR", 1, true),
		measures: []measure{{name: "files/s", bar: 1}, {name: "server CPU, µs/file", less: true}}})
	return append(all, ourTrials()...)
}

func secured(p *contestant) bool { return p.tls }

// benchHome makes the folder that every server serves, in memory if the system
// has a place for that, so that disks are out of the picture.
func benchHome(b *testing.B) string {
	b.Helper()
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm"
	}
	home, err := os.MkdirTemp(parent, "portreeve-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(home) })
	os.Chmod(home, 0o755)
	for _, dir := range []string{"up", "many", "small"} {
		os.Mkdir(filepath.Join(home, dir), 0o755)
	}
	os.Chmod(filepath.Join(home, "up"), 0o777)
	f, err := os.Create(filepath.Join(home, "gib"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, newRandom(1), gib); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(home, "gib"), gib); err != nil {
		b.Fatal(err)
	}
	quarter, err := os.Create(filepath.Join(home, "quarter"))
	if err != nil {
		b.Fatal(err)
	}
	defer quarter.Close()
	if _, err := io.Copy(quarter, io.NewSectionReader(f, 0, gib/4)); err != nil {
		b.Fatal(err)
	}
	for user, kib := range setRates {
		writeFile(b, filepath.Join(home, user), make([]byte, (kib<<10)*rateSeconds))
	}
	manyFiles(b, filepath.Join(home, "many"), bigFolder)
	for i := range smallFiles {
		writeFile(b, filepath.Join(home, "small", fmt.Sprint(i)), make([]byte, 4<<10))
	}
	return home
}

// login opens a session, or ends the benchmark.
func (a *arena) login(p *contestant, secure bool) *loader {
	a.Helper()
	c, err := p.login(secure)
	if err != nil {
		a.Fatal(err)
	}
	return c
}

// check has every server send and take a file, and compares.
func (a *arena) check() {
	a.Helper()
	f, err := os.Open(filepath.Join(a.home, "quarter"))
	if err != nil {
		a.Fatal(err)
	}
	defer f.Close()
	const size = 3<<20 + 17
	for _, p := range a.servers {
		for _, secure := range []bool{false, true} {
			if secure && !p.tls {
				continue
			}
			c := a.login(p, secure)
			stored := filepath.Join(a.home, "up", "check")
			if err := errors.Join(c.put("up/check", f, size), c.fetch("quarter", gib/4), c.quit()); err != nil {
				a.Fatalf("%s: %v", p.name, err)
			}
			a.same(p, stored, size)
			c = a.login(p, secure)
			got, err := os.Create(filepath.Join(a.home, "got"))
			if err != nil {
				a.Fatal(err)
			}
			if err := errors.Join(c.fetchAll("RETR up/check", got), got.Close(), c.quit()); err != nil {
				a.Fatalf("%s: %v", p.name, err)
			}
			a.same(p, got.Name(), size)
			os.Remove(stored)
		}
	}
}

// same compares a file with the beginning of what was to be moved.
func (a *arena) same(p *contestant, path string, size int) {
	a.Helper()
	got, want := readFile(a, path), make([]byte, size)
	f, err := os.Open(filepath.Join(a.home, "quarter"))
	if err == nil {
		_, err = io.ReadFull(f, want)
		f.Close()
	}
	if err != nil || !slices.Equal(got, want) {
		a.Fatalf("%s: %s has %d bytes that are not those that were sent (%v)", p.name, path, len(got), err)
	}
}

// spent runs a load and returns the time that it took, and the server's.
func (a *arena) spent(p *contestant, load func() error) (took, cpu float64) {
	a.Helper()
	before, err := p.seconds()
	if err != nil {
		a.Fatal(err)
	}
	start := time.Now()
	if err := load(); err != nil {
		a.Fatalf("%s: %v", p.name, err)
	}
	took = time.Since(start).Seconds()
	after, err := p.seconds()
	if err != nil {
		a.Fatal(err)
	}
	return took, after - before
}

// together runs n loads, each on a thread of its own.
func together(n int, load func(i int) error) error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			errs[i] = load(i)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// sessions opens so many.
func (a *arena) sessions(p *contestant, n int, secure bool) []*loader {
	a.Helper()
	all := make([]*loader, n)
	for i := range all {
		all[i] = a.login(p, secure)
	}
	return all
}

func quitAll(all []*loader) error {
	errs := make([]error, len(all))
	for i, c := range all {
		errs[i] = c.quit()
	}
	return errors.Join(errs...)
}

// large moves 1 GiB in so many streams.
func large(verb string, streams int, secure bool) trial {
	t := trial{name: fmt.Sprintf("%s of 1 GiB, %d streams", verb, streams),
		measures: []measure{{name: "GB/s", bar: .97}, {name: "server CPU, s/GiB", less: true, bar: 1}}}
	if secure {
		t.name = "TLS " + t.name
		t.able = secured
		t.measures[0].bar = 1
	}
	t.run = func(a *arena, p *contestant) row {
		name, size := "gib", int64(gib)
		if streams > 1 {
			name, size = "quarter", gib/int64(streams)
		}
		from, err := os.Open(filepath.Join(a.home, name))
		if err != nil {
			a.Fatal(err)
		}
		defer from.Close()
		all := a.sessions(p, streams, secure)
		took, cpu := a.spent(p, func() error {
			return together(streams, func(i int) error {
				if verb == "RETR" {
					return all[i].fetch(name, size)
				}
				return all[i].put(fmt.Sprintf("up/%d", i), from, size)
			})
		})
		if err := quitAll(all); err != nil {
			a.Fatalf("%s: %v", p.name, err)
		}
		for i := range streams {
			stored := filepath.Join(a.home, fmt.Sprintf("up/%d", i))
			if n := sizeOf(stored); verb == "STOR" && n != size {
				a.Fatalf("%s stored %d bytes of %d", p.name, n, size)
			}
			os.Remove(stored)
		}
		return row{gib / 1e9 / took, cpu}
	}
	return t
}

// small moves files of 4 KiB, each over a connection of its own.
func small(verb string, sessions int, secure bool) func(*arena, *contestant) row {
	return func(a *arena, p *contestant) row {
		each := smallFiles
		if sessions > 1 {
			each = 2000 / sessions
		}
		from, err := os.Open(filepath.Join(a.home, "small", "0"))
		if err != nil {
			a.Fatal(err)
		}
		defer from.Close()
		all := a.sessions(p, sessions, secure)
		took, cpu := a.spent(p, func() error {
			return together(sessions, func(s int) error {
				for i := range each {
					var err error
					if verb == "RETR" {
						err = all[s].fetch(fmt.Sprintf("small/%d", (s*each+i)%smallFiles), 4<<10)
					} else {
						err = all[s].put(fmt.Sprintf("up/%d-%d", s, i), from, 4<<10)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err := quitAll(all); err != nil {
			a.Fatalf("%s: %v", p.name, err)
		}
		stored, _ := filepath.Glob(filepath.Join(a.home, "up", "*"))
		if verb == "STOR" && len(stored) != sessions*each {
			a.Fatalf("%s stored %d files of %d", p.name, len(stored), sessions*each)
		}
		for _, path := range stored {
			os.Remove(path)
		}
		n := float64(sessions * each)
		return row{n / took, cpu / n * 1e6}
	}
}

func listMeasures() []measure {
	return []measure{{name: "ms", less: true, bar: 1 / .6}, {name: "first byte, ms", less: true}, {name: "memory grows by, MiB", less: true}}
}

// listing lists the large folder.
func listing(command string) func(*arena, *contestant) row {
	return func(a *arena, p *contestant) row {
		c := a.login(p, false)
		if err := c.say(250, "CWD many"); err != nil {
			a.Fatalf("%s: %v", p.name, err)
		}
		grown := growth(p.resident, 5*time.Millisecond)
		var lines lineCounter
		took, _ := a.spent(p, func() error {
			lines.start = time.Now()
			return c.fetchAll(command, &lines)
		})
		memory := grown()
		if err := c.quit(); err != nil || lines.n < bigFolder {
			a.Fatalf("%s: %s has %d lines: %v", p.name, command, lines.n, err)
		}
		return row{took * 1000, lines.first.Seconds() * 1000, float64(memory) / 1024}
	}
}

type lineCounter struct {
	n     int
	start time.Time
	first time.Duration // until something came
}

func (l *lineCounter) Write(p []byte) (int, error) {
	if l.first == 0 {
		l.first = time.Since(l.start)
	}
	l.n += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// roundTrips measures how long NOOP takes, while so many other sessions fetch a
// large file over and over.
func roundTrips(downloads, times int) func(*arena, *contestant) row {
	return func(a *arena, p *contestant) row {
		c := a.login(p, false)
		all := a.sessions(p, downloads, false)
		var over atomic.Bool
		ended := make(chan error, 1)
		go func() {
			ended <- together(downloads, func(i int) error {
				for !over.Load() {
					if err := all[i].fetch("gib", gib); err != nil {
						return err
					}
				}
				return nil
			})
		}()
		took := make([]float64, 0, times)
		err := together(1, func(int) error {
			for range times {
				if downloads > 0 { // not in step with what the others do
					time.Sleep(500 * time.Microsecond)
				}
				start := time.Now()
				if err := c.say(200, "NOOP"); err != nil {
					return err
				}
				took = append(took, float64(time.Since(start))/1e3)
			}
			return nil
		})
		over.Store(true)
		if err := errors.Join(err, <-ended, c.quit(), quitAll(all)); err != nil {
			a.Fatalf("%s: %v", p.name, err)
		}
		slices.Sort(took)
		return row{took[len(took)/2], took[len(took)*99/100]}
	}
}

// logins connects, logs in and quits for a second and a half.
func logins(a *arena, p *contestant) row {
	var count atomic.Int64
	took, cpu := a.spent(p, func() error {
		end := time.Now().Add(1500 * time.Millisecond)
		return together(4, func(int) error {
			for time.Now().Before(end) {
				c, err := p.dial(nil)
				if err == nil {
					err = errors.Join(c.say(331, "USER "+p.user), c.say(230, "PASS "+password), c.quit())
				}
				if err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		})
	})
	n := float64(count.Load())
	return row{n / took, cpu / n * 1e3}
}

// idleSessions is the memory of sessions that are logged in and do nothing; of
// a server that makes a process for each, some are enough to know.
func idleSessions(a *arena, p *contestant) row {
	n := 5000
	if p.forks {
		n = 300
	}
	all := []*loader{a.login(p, false)} // what the first login makes is not the sessions'
	before := p.pss()
	all = append(all, a.sessions(p, n, false)...)
	time.Sleep(5 * time.Second) // until they are idle, and not just logged in
	each := float64(p.pss()-before) / float64(n)
	for _, c := range all {
		c.Close()
	}
	return row{each}
}
