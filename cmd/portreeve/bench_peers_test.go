//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A trial measures something of one server.
type trial struct {
	name     string
	rounds   int                               // 0 is the usual number
	able     func(p *contestant) bool          // nil: every server is
	run      func(a *arena, p *contestant) row // what was measured, as many numbers as there are measures
	measures []measure
}

type row []float64

// A measure is a number of which more is better, or less. The bar is what its
// ratio to the best peer is to reach, above 1 being better; or, if it is a limit,
// what ours itself has to keep.
type measure struct {
	name    string
	less    bool
	bar     float64
	against string // beside this peer, not the best
	limit   float64
}

const usualRounds = 3

// BenchmarkPeers runs ours and the peers in turns and prints a table. A regular
// expression chooses trials: -bench 'Peers/RETR'.
//
// It does so in a network namespace of its own where it may make one: thousands
// of ports in TIME_WAIT that one server leaves would slow down the next.
func BenchmarkPeers(b *testing.B) {
	if !alone(b) {
		return
	}
	runtime.GOMAXPROCS(64) // more than threads that load a server, each of which waits in the kernel
	a := &arena{B: b, home: benchHome(b)}
	a.servers = contestants(b, a.home)
	a.check()
	var out report
	for _, t := range workloads() {
		b.Run(t.name, func(b *testing.B) {
			a.B = b
			out = append(out, t.compete(a)...)
			b.ReportMetric(0, "ns/op")
		})
	}
	a.B = b
	fmt.Println(out.table(a.servers))
	if path := os.Getenv("PORTREEVE_BENCH_JSON"); path != "" {
		data, err := json.MarshalIndent(out, "", "\t")
		if err != nil {
			b.Fatal(err)
		}
		writeFile(b, path, append(data, '\n'))
	}
}

// alone tells whether this process is to do the work: it has a network namespace
// of its own, or must do without. Otherwise another one has done it.
func alone(b *testing.B) bool {
	const marker = "PORTREEVE_BENCH_NETNS"
	if os.Getenv(marker) != "" {
		if err := raiseLoopback(); err != nil {
			b.Fatal("raising the loopback interface: ", err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread() // which the death signal is about
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		b.Logf("no network namespace of its own: %v", err)
		return true
	}
	if err := cmd.Wait(); err != nil {
		b.Error(err)
	}
	return false
}

// raiseLoopback does "ip link set lo up".
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var req struct { // ifreq
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], "lo")
	req.flags = unix.IFF_UP | unix.IFF_RUNNING
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}

// compete runs a trial with every server in turns.
func (t trial) compete(a *arena) report {
	asked, _ := strconv.Atoi(os.Getenv("PORTREEVE_BENCH_ROUNDS"))
	rounds := cmp.Or(t.rounds, asked, usualRounds)
	out := make(report, len(t.measures))
	for i, m := range t.measures {
		out[i] = &result{Trial: t.name, Measure: m.name, Less: m.less, Bar: m.bar, against: m.against, Limit: m.limit, Values: make(map[string][]float64)}
	}
	for round := range rounds {
		for i := range a.servers {
			p := a.servers[(i+round)%len(a.servers)]
			if t.able != nil && !t.able(p) {
				continue
			}
			values := t.run(a, p)
			for i := range out {
				out[i].Values[p.name] = append(out[i].Values[p.name], values[i])
			}
		}
	}
	for _, r := range out {
		r.judge(a.servers)
	}
	return out
}

// A report is the rows of the table, and the JSON.
type report []*result

type result struct {
	Trial, Measure string
	Less           bool                 // is better
	Bar            float64              `json:",omitempty"`
	Limit          float64              `json:",omitempty"`
	Values         map[string][]float64 // by server, round by round
	Best           string               `json:",omitempty"` // of the peers
	Ratio          float64              `json:",omitempty"` // ours to that one's, above 1 is better

	against string
}

// judge finds the best peer, and the median of the ratios to it within a round.
func (r *result) judge(servers []*contestant) {
	best := math.NaN()
	for _, p := range servers[1:] {
		m := median(r.Values[p.name])
		if p.site != nil { // ours as it was
			continue
		}
		if r.against != "" {
			r.Best = r.against
		} else if math.IsNaN(best) || r.Less && m < best || !r.Less && m > best {
			best, r.Best = m, p.name
		}
	}
	mine, its := r.Values[servers[0].name], r.Values[r.Best]
	if len(mine) == 0 || len(its) != len(mine) {
		r.Best = ""
		return
	}
	ratios := make([]float64, len(mine))
	for i := range mine {
		ratios[i] = mine[i] / its[i]
		if r.Less {
			ratios[i] = its[i] / mine[i]
		}
	}
	r.Ratio = median(ratios)
}

// table is the report as Markdown: medians, and how far the values of a server
// are apart, in percent of its median.
func (r report) table(servers []*contestant) string {
	var out strings.Builder
	out.WriteString("\n| ")
	for _, p := range servers {
		out.WriteString(" | " + p.name)
	}
	out.WriteString(" | beside the best peer | to reach |\n| ---" + strings.Repeat(" | ---:", len(servers)) + " | --- | --- |\n")
	for _, row := range r {
		fmt.Fprintf(&out, "| %s, %s", row.Trial, row.Measure)
		for _, p := range servers {
			v := row.Values[p.name]
			if len(v) == 0 {
				out.WriteString(" | –")
				continue
			}
			fmt.Fprintf(&out, " | %.3g ±%.0f%%", median(v), 50*(slices.Max(v)-slices.Min(v))/median(v))
		}
		beside := " | "
		if row.Best != "" {
			beside = fmt.Sprintf(" | %.2f × %s", row.Ratio, row.Best)
		}
		out.WriteString(beside + row.verdict(servers[0].name) + " |\n")
	}
	return out.String()
}

func (r *result) verdict(mine string) string {
	word := func(ok bool) string {
		if ok {
			return "reached"
		}
		return "**not reached**"
	}
	m := median(r.Values[mine])
	switch {
	case r.Limit > 0 && r.Less:
		return fmt.Sprintf(" | at most %.4g: %s", r.Limit, word(m <= r.Limit))
	case r.Limit > 0:
		return fmt.Sprintf(" | at least %.4g: %s", r.Limit, word(m >= r.Limit))
	case r.Bar > 0 && r.Best != "":
		return fmt.Sprintf(" | %.2f: %s", r.Bar, word(r.Ratio >= r.Bar))
	}
	return " | "
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
