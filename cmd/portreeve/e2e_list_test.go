//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestLargeFolder lists 100,000 entries. They pass through the daemon, which
// must not hold them: its memory at the peak hardly grows. It grows some more,
// and no further with larger folders, where the client asks for an order.
func TestLargeFolder(t *testing.T) {
	t.Parallel()
	const entries = 100_000
	d := startSite(t)
	d.mkdir(t, "many")
	manyFiles(t, d.path("many"), entries)
	c := dialFTP(t, d, "alice")
	if _, err := c.cmd(250, "CWD many"); err != nil {
		t.Fatal(err)
	}
	before := peakMemory(t, d.cmd.Process.Pid)
	for _, list := range []string{"MLSD", "LIST", "NLST", "LIST entry*", "LIST -R", "LIST -r", "LIST -lt"} {
		mayGrow := int64(8 << 20)
		if list == "LIST -r" || list == "LIST -lt" {
			mayGrow *= 2
		}
		var out bytes.Buffer
		if err := c.retrieveList(list, &out); err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		if n := len(regexp.MustCompile(`(?m)entry-\d{6}\r$`).FindAll(out.Bytes(), -1)); n != entries {
			t.Errorf("%s has %d entries, not %d", list, n, entries)
		}
		after := peakMemory(t, d.cmd.Process.Pid)
		t.Logf("%s: peak memory %d KiB before, %d KiB after", list, before>>10, after>>10)
		if after-before > mayGrow {
			t.Errorf("%s took %d KiB more memory", list, (after-before)>>10)
		}
	}
}

func manyFiles(t testing.TB, dir string, n int) {
	t.Helper()
	for i := range n {
		f, err := os.Create(fmt.Sprintf("%s/entry-%06d", dir, i))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// peakMemory returns the most memory that a process has had so far.
func peakMemory(t testing.TB, pid int) int64 {
	t.Helper()
	return procKiB(t, fmt.Sprintf("/proc/%d/status", pid), "VmHWM") << 10
}

// procKiB reads "name: 123 kB" from a file of /proc.
func procKiB(t testing.TB, path, name string) int64 {
	t.Helper()
	n, err := kib(readFile(t, path), name)
	if err != nil {
		t.Fatalf("%s of %s: %v", name, path, err)
	}
	return n
}

func kib(data []byte, name string) (int64, error) {
	match := regexp.MustCompile(`(?m)^` + name + `:\s*(\d+) kB$`).FindSubmatch(data)
	if match == nil {
		return 0, errors.New("it is not there")
	}
	return strconv.ParseInt(string(match[1]), 10, 64)
}
