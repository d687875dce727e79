//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portreeve/logparse"
)

// TestLogDiskFull fills the disk of a log and moves files as fast as that goes: all
// are stored, the log has what there was room for, and the daemon says what is missing.
func TestLogDiskFull(t *testing.T) {
	const sessions, each = 4, 500
	d := newSite(t, nil)
	small := filepath.Join(d.dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return // for who may not mount there is TestAltLogFull
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	log := filepath.Join(small, "log")
	d.configure(t, "AltLog json:"+log+" xferlog:"+log+".xferlog", "LogLevel info")
	d.start(t)
	var group sync.WaitGroup
	began := time.Now()
	for i := range sessions {
		c := dialFTP(t, d, "alice")
		group.Go(func() {
			for n := range each {
				if err := c.store(fmt.Sprintf("f%d-%d", i, n), strings.NewReader("12345")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	t.Logf("%.0f files a second", sessions*each/time.Since(began).Seconds())
	for i := range sessions {
		for n := range each {
			if got := string(readFile(t, d.path(fmt.Sprintf("f%d-%d", i, n)))); got != "12345" {
				t.Fatalf("file %d of session %d is %q", n, i, got)
			}
		}
	}
	format, _ := logparse.Find("json")
	logged, whole := 0, true
	for line := range strings.Lines(string(readFile(t, log))) {
		if e, err := format.Parse(strings.TrimSuffix(line, "\n")); err != nil {
			whole = false // the last one there was room for may be a part
		} else if e.Event == logparse.Transfer {
			logged++
		}
		if !whole && strings.HasSuffix(line, "\n") {
			t.Errorf("a line in the middle is %q", line)
		}
	}
	eventually(t, "all are logged or counted", func() bool {
		status, err := d.status(t.Context())
		return err == nil && int64(logged)+status.Lost["AltLog json:"+log] >= sessions*each
	})
	if logged == 0 || logged == sessions*each {
		t.Errorf("%d are logged", logged)
	}
	if out := d.must(t, "status"); !strings.Contains(out, "not logged") {
		t.Errorf("status says\n%s", out)
	}
	if n := strings.Count(d.log.String(), "no space left on device"); n < 1 || n > 2 { // once for each log
		t.Errorf("the daemon's log says so %d times", n)
	}
}

// TestLogToStderr is how a container has its log of transfers.
func TestLogToStderr(t *testing.T) {
	t.Parallel()
	d := newSite(t, nil, "AltLog json:-", "LogLevel error")
	d.start(t)
	c := dialFTP(t, d, "alice")
	if err := c.store("a b", strings.NewReader("12345")); err != nil {
		t.Fatal(err)
	}
	format, _ := logparse.Find("json")
	eventually(t, "the upload is told", func() bool {
		for line := range strings.Lines(d.log.String()) {
			if e, err := format.Parse(strings.TrimSuffix(line, "\n")); err == nil && e.Event == logparse.Transfer {
				return e.Path == d.path("a b") && e.Bytes == 5 && e.Status == logparse.Whole && e.PID == d.cmd.Process.Pid
			}
		}
		return false
	})
}
