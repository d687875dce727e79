//go:build linux

package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestKernelCopies looks at the system calls of the daemon: what is moved in
// binary, without TLS, is copied by the kernel, out by sendfile and in by splice,
// with a rate as without one.
func TestKernelCopies(t *testing.T) {
	for name, directives := range map[string][]string{"unlimited": nil, "at a rate": {"UserBandwidth 8192"}} {
		t.Run(name, func(t *testing.T) { kernelCopies(t, directives...) })
	}
}

func kernelCopies(t *testing.T, directives ...string) {
	t.Parallel()
	needs(t, "strace")
	const size = 8 << 20
	trace := filepath.Join(t.TempDir(), "trace")
	d := newSite(t, nil, directives...)
	// With -D the daemon is our child and strace its attendant, so that signals
	// reach the daemon and a system that lets only parents trace does not mind.
	d.wrap = []string{"strace", "-D", "-f", "-q", "-o", trace, "-e", "trace=sendfile,splice", "-e", "signal=none"}
	d.start(t)
	sent := randomFile(t, size)
	d.place(t, sent, "down")
	c := dialFTP(t, d, "alice")
	if err := c.retrieve("down", io.Discard); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := c.store("up", f); err != nil {
		t.Fatal(err)
	}
	sameContent(t, sent, d.path("up"))
	d.signal(t, syscall.SIGTERM)
	d.ended(t)
	var calls string
	eventually(t, "strace has written its trace", func() bool {
		calls = string(readFile(t, trace))
		return strings.Contains(calls, "+++ exited with")
	})
	if n := copied(calls, "sendfile"); n != size {
		t.Errorf("a download of %d bytes sent %d by sendfile", size, n)
	}
	// Each byte of an upload is spliced twice: into a pipe, and out of it. What might
	// be a small file, the first 64 KiB, is not.
	if n := copied(calls, "splice"); n < 2*(size-64<<10) || n > 2*size {
		t.Errorf("an upload of %d bytes moved %d by splice", size, n)
	}
}

// copied adds up what a system call moved, by its results; one that another
// thread interrupted in the trace is on a line "<... splice resumed>".
func copied(trace, call string) int64 {
	var sum int64
	for _, match := range regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?`+call+`\b.* = (\d+)$`).FindAllStringSubmatch(trace, -1) {
		n, _ := strconv.ParseInt(match[1], 10, 64)
		sum += n
	}
	return sum
}
