package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// T170: a disk that is full is 452, the session lives, and nothing is left of the
// file, or the part where files are written in place.
func TestDiskFullT170(t *testing.T) {
	if r := afterStart(syscall.ENOSPC); r.code != 452 {
		t.Errorf("no space is %d", r.code)
	}
	for _, atomic := range []bool{true, false} {
		r := newRig(t, func(c *Config) { c.NoTruncate = atomic })
		small := filepath.Join(r.home, "small")
		if err := os.Mkdir(small, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
			return // who may not mount has seen the reply above
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR small/f")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			data.Write([]byte(strings.Repeat("x", 4<<20))) // the server closes in the middle
			data.Close()
		}()
		c.want(452)
		<-sent
		c.cmd(200, "NOOP")
		left, err := os.ReadDir(small)
		if err != nil || atomic && len(left) > 0 {
			t.Errorf("left are %v, %v", left, err)
		}
		if !atomic {
			c.cmd(250, "DELE small/f")
		}
		data = c.epsv() // there is room again
		c.cmd(150, "STOR small/g")
		data.Write([]byte("fits"))
		data.Close()
		c.want(226)
	}
}
