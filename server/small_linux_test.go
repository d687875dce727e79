package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"portreeve/config"
)

// TestSmallFiles moves what is moved at once, and what only began so.
func TestSmallFiles(t *testing.T) {
	r := newRig(t)
	c := r.greet()
	for _, size := range []int{0, 1, 4 << 10, smallest - 1, smallest, smallest + 1, 3 * smallest} {
		content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		name := fmt.Sprint("f", size)
		data := c.epsv()
		c.cmd(150, "STOR %s", name)
		if _, err := io.WriteString(data, content); err != nil {
			t.Fatal(err)
		}
		data.Close()
		c.want(226)
		if got := r.get(name); got != content {
			t.Errorf("STOR of %d bytes stored %d", size, len(got))
		}
		data = c.epsv()
		c.cmd(150, "RETR %s", name)
		got, err := io.ReadAll(data)
		if err != nil || string(got) != content {
			t.Errorf("RETR of %d bytes: %d, %v", size, len(got), err)
		}
		data.Close()
		c.want(226)
		if size > 1 {
			c.cmd(350, "REST %d", size/2)
			data = c.epsv()
			c.cmd(150, "RETR %s", name)
			if got, err := io.ReadAll(data); err != nil || string(got) != content[size/2:] {
				t.Errorf("RETR of the half of %d bytes: %d, %v", size, len(got), err)
			}
			data.Close()
			c.want(226)
		}
	}
	c.cmd(221, "QUIT")
	info := r.srv.Sessions.Totals()
	if info.FilesUp != 7 || info.FilesDown != 12 || info.Up != 6*smallest+4<<10+1 {
		t.Errorf("the registry counts %+v", info)
	}
}

// TestSmallUploadInPieces: data that comes late, or is more than is tried at once.
func TestSmallUploadInPieces(t *testing.T) {
	r := newRig(t)
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "STOR f")
	for i := range 3 {
		for range 100 { // until the server has found that it must wait
			if i > 0 && len(r.srv.brief) == 0 {
				break
			}
			c.cmd(211, "STAT")
		}
		if _, err := io.WriteString(data, "piece\n"); err != nil {
			t.Fatal(err)
		}
	}
	data.Close()
	c.want(226)
	if got := r.get("f"); got != "piece\npiece\npiece\n" {
		t.Errorf("stored %q", got)
	}
}

// TestSmallDownloadUnread: a client that reads late, with hardly any room, gets
// everything, and so does one that has sent something where nobody reads.
func TestSmallDownloadUnread(t *testing.T) {
	content := string(bytes.Repeat([]byte("x"), smallest))
	r := newRig(t)
	r.put("f", content)
	c := r.greet()
	for _, tc := range []struct {
		what    string
		prepare func(*net.TCPConn) error
	}{
		{"little room", func(d *net.TCPConn) error { return d.SetReadBuffer(1024) }},
		{"data the wrong way", func(d *net.TCPConn) error { _, err := d.Write([]byte("?")); return err }},
	} {
		data := c.epsv()
		if err := tc.prepare(data); err != nil {
			t.Fatal(err)
		}
		c.cmd(150, "RETR f")
		got, err := io.ReadAll(data)
		if err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, %v", tc.what, len(got), err)
		}
		data.Close()
		c.want(226)
	}
}

// TestPassivePortInUse: the next one is tried, also where the kernel only tells
// at listen; a range that is full is 425, and free again once a port is closed.
func TestPassivePortInUse(t *testing.T) {
	r := newRig(t, func(c *Config) { c.PassivePorts = config.PortRange{First: 31830, Last: 31832} })
	r.put("f", "x")
	var held []*client
	for range 3 {
		c := r.greet()
		c.cmd(229, "EPSV")
		held = append(held, c)
	}
	late := r.greet()
	late.cmd(425, "EPSV")
	held[1].cmd(221, "QUIT")
	held[1].gone()
	for range 20 { // each leaves a port in TIME_WAIT
		data := late.epsv()
		late.cmd(150, "RETR f")
		if got, err := io.ReadAll(data); err != nil || string(got) != "x" {
			t.Errorf("RETR: %q, %v", got, err)
		}
		data.Close()
		late.want(226)
	}
}

// TestSmallUploadReset: a client that resets its data connection has not sent all
// of its file, wherever the server is when it hears of that.
func TestSmallUploadReset(t *testing.T) {
	r := newRig(t, func(c *Config) { c.NoTruncate = true })
	c := r.greet()
	for i := range 50 {
		r.put("f", "old")
		data := c.epsv()
		if err := data.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // everything is there before the server looks
			if _, err := io.WriteString(data, "the beginning"); err != nil {
				t.Fatal(err)
			}
			data.Close()
		}
		c.cmd(150, "STOR f")
		if i%2 == 1 {
			if _, err := io.WriteString(data, "the beginning"); err != nil {
				t.Fatal(err)
			}
			data.Close()
		}
		c.want(426)
		if got := r.get("f"); got != "old" {
			t.Fatalf("%d: the file is %q now", i, got)
		}
	}
}

// TestSmallUploadInDrops: a client that sends a byte at a time holds its session
// up for a moment, and not for as long as it likes.
func TestSmallUploadInDrops(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[1])
	drops := time.NewTicker(brief)
	defer drops.Stop()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-drops.C:
				_, _ = unix.Write(ends[1], []byte{'x'}) // no room is no harm
			case <-stop:
				return
			}
		}
	}()
	a := &arrival{fd: ends[0]}
	defer a.close()
	begun := time.Now()
	n, ended, err := a.receive(make([]byte, smallest), time.Minute, attention)
	if n == smallest || ended || err != nil {
		t.Errorf("%d bytes, ended %v, %v", n, ended, err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("that took %v", took)
	}
	close(stop)
	<-stopped
}
