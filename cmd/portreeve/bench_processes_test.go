//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A processes is those of one server: its own control group (version 2) where
// one can be made, so that the time of every process counts, also of those that
// have ended; else the tree of processes that are alive.
type processes struct {
	dir  string // "" if there is none
	root int    // process
}

// newProcesses makes a control group, or a group without one.
func newProcesses(b *testing.B, name string) *processes {
	b.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		dir := fmt.Sprintf("%s/portreeve-bench-%d-%s", mount, os.Getpid(), name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		g := &processes{dir: dir}
		if _, err := g.seconds(); err != nil {
			os.Remove(dir)
			continue
		}
		b.Cleanup(func() {
			_ = os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0o644) // since Linux 5.14; what was started is killed anyway
			for range 100 {
				if os.Remove(dir) == nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		return g
	}
	return &processes{}
}

// start starts a server in the group, and ends it with the benchmark.
func (g *processes) start(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	defer g.place(b, cmd)()
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	g.root = cmd.Process.Pid
	b.Cleanup(func() {
		syscall.Kill(-g.root, syscall.SIGKILL)
		cmd.Wait()
	})
}

// place has a command begin in the group. What it returns is called once it has.
func (g *processes) place(t testing.TB, cmd *exec.Cmd) (placed func()) {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	if g.dir == "" {
		return func() {}
	}
	dir, err := os.Open(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return func() { dir.Close() }
}

// seconds is the processor time of all so far.
func (g *processes) seconds() (float64, error) {
	if g.dir == "" {
		sum := 0.0
		for _, pid := range g.alive() {
			sum += processSeconds(pid)
		}
		return sum, nil
	}
	stat, err := os.ReadFile(g.dir + "/cpu.stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(stat)) {
		if micros, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(micros), 64)
			return n / 1e6, err
		}
	}
	return 0, fmt.Errorf("%s has no usage_usec", g.dir)
}

// processSeconds is the processor time of a process and of its children that
// have ended and were waited for.
func processSeconds(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return float64(ticks) / 100
}

// alive are those that have not ended.
func (g *processes) alive() (pids []int) {
	if g.dir == "" {
		return descendants(g.root)
	}
	list, err := os.ReadFile(g.dir + "/cgroup.procs")
	if err != nil {
		return nil
	}
	for word := range strings.FieldsSeq(string(list)) {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func descendants(pid int) []int {
	all := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		list, _ := os.ReadFile(task)
		for word := range strings.FieldsSeq(string(list)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, descendants(child)...)
			}
		}
	}
	return all
}

// growth looks at a measure again after each pause, until end, which tells how far
// it was above what it is now at the most.
func growth(measure func() int64, pause time.Duration) (end func() int64) {
	first, over, most := measure(), make(chan struct{}), make(chan int64)
	go func() {
		peak := first
		for {
			peak = max(peak, measure())
			select {
			case <-over:
				most <- peak
				return
			case <-time.After(pause):
			}
		}
	}()
	return func() int64 {
		close(over)
		return <-most - first
	}
}

// pss is the memory of all in KiB, what they share counted once.
func (g *processes) pss() (sum int64) {
	for _, pid := range g.alive() {
		if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
			n, _ := kib(rollup, "Pss")
			sum += n
		}
	}
	return sum
}

// resident is the private part of what is in memory, in KiB, cheap to ask for.
func (g *processes) resident() (sum int64) {
	for _, pid := range g.alive() {
		var size, rss, shared int64
		if statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
			_, _ = fmt.Sscan(string(statm), &size, &rss, &shared)
			sum += (rss - shared) * int64(os.Getpagesize()) >> 10
		}
	}
	return sum
}
