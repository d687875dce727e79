//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	benchRounds = 5
	benchSmall  = 500 // files of 4 KiB
	gib         = float64(1<<30) / 1e9
)

// A trial measures one thing of one server, in units of which more is better
// or, for milliseconds, less.
type trial struct {
	name string
	less bool    // is better
	gb   float64 // moved, if the server's processor time for each GB is of interest
	run  func(b *testing.B, p contestant) float64
}

// cpu is the trial of the processor time that one takes.
func (t trial) cpu() trial { return trial{name: "… server CPU, s/GB", less: true} }

// BenchmarkServers measures ours and every other server that is installed, in
// turns, and prints a table: medians, and ratios to Pure-FTPd within a round.
// Files are in memory where the system has a place for that, so that disks are
// out of the picture.
func BenchmarkServers(b *testing.B) {
	home := benchHome(b)
	servers := contestants(b, home)
	trials := []trial{
		{"RETR 1 GiB, GB/s", false, gib, func(b *testing.B, p contestant) float64 { return p.download(b, "gib") }},
		{"STOR 1 GiB, GB/s", false, gib, func(b *testing.B, p contestant) float64 {
			return p.upload(b, filepath.Join(home, "gib"), filepath.Join(home, "up", "stored"))
		}},
		{"RETR of 4 KiB files, files/s", false, 0, func(b *testing.B, p contestant) float64 { return p.smallFiles(b) }},
		{"LIST of 100,000, ms", true, 0, func(b *testing.B, p contestant) float64 { return p.list(b, "LIST") }},
		{"MLSD of 100,000, ms", true, 0, func(b *testing.B, p contestant) float64 { return p.list(b, "MLSD") }},
	}
	b.ResetTimer()
	for b.Loop() {
		var out strings.Builder
		fmt.Fprintf(&out, "\nMedians of %d rounds, servers in turns; in brackets how many times better than Pure-FTPd, median of the rounds.\n\n|", benchRounds)
		for _, p := range servers {
			out.WriteString(" | " + p.name)
		}
		out.WriteString(" |\n| ---" + strings.Repeat(" | ---:", len(servers)) + " |\n")
		for _, t := range trials {
			values, cpu := t.rounds(b, servers)
			t.report(&out, servers, values)
			if t.gb > 0 {
				t.cpu().report(&out, servers, cpu)
			}
			b.ReportMetric(median(values["portreeve"]), strings.NewReplacer(" ", "-", ",", "").Replace(t.name))
		}
		fmt.Println(out.String())
	}
	b.ReportMetric(0, "ns/op")
}

// benchHome makes the folder that every server serves.
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
	if _, err := io.CopyN(f, newRandom(1), 1<<30); err != nil {
		b.Fatal(err)
	}
	manyFiles(b, filepath.Join(home, "many"), 100_000)
	for i := range benchSmall {
		writeFile(b, filepath.Join(home, "small", fmt.Sprint(i)), make([]byte, 4<<10))
	}
	return home
}

// download fetches a file and returns GB a second.
func (p contestant) download(b *testing.B, name string) float64 {
	b.Helper()
	c := p.login(b)
	defer c.Close()
	start, n := time.Now(), int64(0)
	err := c.transfer("RETR "+name, func(conn *net.TCPConn) (err error) {
		n, err = discard(conn)
		return err
	})
	if err != nil || n != 1<<30 {
		b.Fatalf("%s: RETR of %d bytes: %v", p.name, n, err)
	}
	return float64(n) / time.Since(start).Seconds() / 1e9
}

// upload sends a file and returns GB a second.
func (p contestant) upload(b *testing.B, from, stored string) float64 {
	b.Helper()
	f, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	c := p.login(b)
	defer c.Close()
	start := time.Now()
	if err := c.store("up/"+filepath.Base(stored), f); err != nil {
		b.Fatalf("%s: STOR: %v", p.name, err)
	}
	took := time.Since(start)
	if n := sizeOf(stored); n != 1<<30 {
		b.Fatalf("%s stored %d bytes", p.name, n)
	}
	os.Remove(stored)
	return float64(1<<30) / took.Seconds() / 1e9
}

// smallFiles fetches small files in one session and returns how many a second.
func (p contestant) smallFiles(b *testing.B) float64 {
	b.Helper()
	c := p.login(b)
	defer c.Close()
	start := time.Now()
	for i := range benchSmall {
		if err := c.retrieve(fmt.Sprintf("small/%d", i), io.Discard); err != nil {
			b.Fatalf("%s: %v", p.name, err)
		}
	}
	return benchSmall / time.Since(start).Seconds()
}

// list lists the large folder and returns milliseconds, or NaN if the server
// cannot.
func (p contestant) list(b *testing.B, command string) float64 {
	b.Helper()
	if command == "MLSD" && !p.mlsd {
		return math.NaN()
	}
	c := p.login(b)
	defer c.Close()
	if _, err := c.cmd(250, "CWD many"); err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	var lines lineCounter
	start := time.Now()
	if err := c.retrieveList(command, &lines); err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	took := time.Since(start)
	if lines < 100_000 {
		b.Fatalf("%s: %s has %d lines", p.name, command, lines)
	}
	return took.Seconds() * 1000
}

type lineCounter int

func (n *lineCounter) Write(p []byte) (int, error) {
	*n += lineCounter(strings.Count(string(p), "\n"))
	return len(p), nil
}

// discard reads to the end without copying, so that the client costs little.
func discard(conn *net.TCPConn) (n int64, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<20)
	for {
		var got int
		var fault error
		err := raw.Read(func(fd uintptr) bool {
			got, _, fault = syscall.Recvfrom(int(fd), buf, syscall.MSG_TRUNC)
			return fault != syscall.EAGAIN
		})
		if err = cmp.Or(err, fault); err != nil || got == 0 {
			return n, err
		}
		n += int64(got)
	}
}

// rounds runs a trial with every server in turns. It returns what was measured
// by the name of the server, and the processor time for each GB.
func (t trial) rounds(b *testing.B, servers []contestant) (values, cpu map[string][]float64) {
	b.Helper()
	values, cpu = make(map[string][]float64), make(map[string][]float64)
	for round := range benchRounds {
		for i := range servers {
			p := servers[(i+round)%len(servers)]
			before := p.cpu(b)
			values[p.name] = append(values[p.name], t.run(b, p))
			eventually(b, p.name+" has ended the session", p.idle)
			cpu[p.name] = append(cpu[p.name], (p.cpu(b)-before)/t.gb)
		}
	}
	return values, cpu
}

// report writes a row of the table.
func (t trial) report(out *strings.Builder, servers []contestant, values map[string][]float64) {
	out.WriteString("| " + t.name)
	base := values["pure-ftpd"]
	for _, p := range servers {
		mine := values[p.name]
		if math.IsNaN(median(mine)) {
			out.WriteString(" | –")
			continue
		}
		fmt.Fprintf(out, " | %.3g", median(mine))
		if base == nil || p.name == "pure-ftpd" {
			continue
		}
		ratios := make([]float64, len(mine))
		for i := range mine {
			ratios[i] = mine[i] / base[i]
			if t.less {
				ratios[i] = base[i] / mine[i]
			}
		}
		fmt.Fprintf(out, " (%.2f)", median(ratios))
	}
	out.WriteString(" |\n")
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
