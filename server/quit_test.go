package server

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// T190: a client that says QUIT and is gone at once still gets its file, and one
// that is gone without a word does not.
func TestTheEndDuringRETRT190(t *testing.T) {
	for said, want := range map[string]bool{"QUIT": true, "quit": true, "NOOP\r\nQUIT\r\nNOOP": true, "NOOP": false} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			content := strings.Repeat("0123456789abcdef", 1<<16)
			r.put("f", content)
			c := r.login()
			c.cmd(200, "TYPE I")
			data := c.passive()
			c.cmd(150, "RETR f")
			time.Sleep(time.Second) // virtual: the server listens to the control connection
			c.say("%s", said)
			synctest.Wait()
			c.conn.Close()
			synctest.Wait()
			got, err := io.ReadAll(data)
			if whole := err == nil && string(got) == content; whole != want {
				t.Errorf("after %q: %d bytes, %v", said, len(got), err)
			}
			data.Close()
			<-c.done
		})
	}
}

// T190: the same for uploads, over a file that is there.
func TestTheEndOfAnUploadT190(t *testing.T) {
	for said, want := range map[string]string{"QUIT": "new content", "NOOP": "old"} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.put("f", "old")
			c := r.login()
			c.cmd(200, "TYPE I")
			data := c.passive()
			c.cmd(150, "STOR f")
			io.WriteString(data, "new ")
			time.Sleep(time.Second) // virtual, as below
			c.say("%s", said)
			synctest.Wait()
			c.conn.Close()
			time.Sleep(2 * lingerTime)
			io.WriteString(data, "content")
			data.Close()
			<-c.done
			if got := r.get("f"); got != want {
				t.Errorf("after %q the file holds %q", said, got)
			}
		})
	}
}

// T190: a client that ends its own side after QUIT gets the file and the replies.
func TestHalfClosedAfterQUITT190(t *testing.T) {
	r := newRig(t)
	content := strings.Repeat("0123456789abcdef", 1<<20)
	r.put("f", content)
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "RETR f")
	c.cmd(211, "STAT") // is heard: the server listens
	c.say("QUIT")
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(data)
	if err != nil || string(got) != content {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	data.Close()
	c.want(226)
	c.want(221)
	if n, err := c.in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after 221: %d, %v", n, err)
	}
}

// T033: what a client sent before it ended its side is answered, transfers too.
func TestHalfClosedWithCommandsWaitingT033(t *testing.T) {
	r := newRig(t)
	r.put("f", "hello")
	c := r.greet()
	data := c.epsv()
	io.WriteString(c.conn, "NOOP\r\nRETR f\r\nSIZE f\r\nQUIT\r\n")
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(200)
	c.want(150)
	if got, err := io.ReadAll(data); string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	data.Close()
	c.want(226)
	c.want(213)
	c.want(221)
}
