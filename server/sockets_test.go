package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// real serves a rig on a socket of the loopback, for what only a kernel does.
func (r *rig) real() net.Conn {
	r.t.Helper()
	r.srv.network = tcp{}
	if cfg := r.srv.Config(); cfg.PassivePorts.Size() == memoryPorts { // others on this machine have ports too
		cfg.PassivePorts.Last += 10_000
		r.srv.Configure(cfg)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.serve(l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// serve serves l until the test ends.
func (r *rig) serve(l net.Listener) {
	served := make(chan error, 1)
	go func() { served <- r.srv.Serve(l) }()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 0)
		defer cancel()
		r.srv.Shutdown(ctx)
		if err := <-served; !errors.Is(err, ErrClosed) {
			r.t.Errorf("Serve: %v", err)
		}
	})
}

// stop ends the server as soon as its sessions are over.
func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		r.t.Fatal(err)
	}
}

// greet logs alice in over a real socket.
func (r *rig) greet() *client {
	r.t.Helper()
	c := r.on(r.real())
	c.want(220)
	c.login("alice")
	c.cmd(200, "TYPE I")
	return c
}

// epsv prepares and connects a data connection over real sockets.
func (c *client) epsv() *net.TCPConn {
	c.t.Helper()
	text := c.cmd(229, "EPSV")
	var port int
	if _, err := fmt.Sscanf(text[strings.Index(text, "(")+1:], "|||%d|", &port); err != nil {
		c.t.Fatal(err)
	}
	data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { data.Close() })
	return data.(*net.TCPConn)
}

// A client that resets its control connection under the reply to a command that
// moves data: the transfer must not outlive what it uses.
func TestControlResetUnderReply(t *testing.T) {
	r := newRig(t)
	for i := range 200 {
		r.put(fmt.Sprintf("file%03d", i), "x")
	}
	for _, cmd := range []string{"LIST", "MLSD", "RETR file000", "STOR new"} {
		for range 10 {
			c := r.greet()
			data := c.epsv()
			c.say("%s", cmd)
			c.conn.(*net.TCPConn).SetLinger(0)
			c.conn.Close()
			data.Close()
		}
	}
	r.stop()
	if logs := r.logs.String(); strings.Contains(logs, "panic") {
		t.Errorf("the log tells of a fault:\n%s", logs)
	}
}

// T181, T174: ABOR that the server has not read yet when the data ends.
func TestABORBeforeTheEndT181T174(t *testing.T) {
	for range 5 {
		r := newRig(t)
		r.put("f", "the old content")
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR f")
		io.WriteString(data, "half")
		c.say("ABOR")
		data.Close()
		c.want(426)
		c.want(226)
		if got := r.get("f"); got != "the old content" {
			t.Fatalf("the file holds %q", got)
		}
	}
}

// A client that is killed right after 150 leaves the old file as it was.
func TestKilledAtOnce(t *testing.T) {
	for range 10 {
		r := newRig(t)
		r.put("f", "the old content")
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR f")
		io.WriteString(data, "half")
		c.conn.Close()
		data.Close()
		r.stop()
		if got := r.get("f"); got != "the old content" {
			t.Fatalf("the file holds %q", got)
		}
	}
}

// A client that resets the data connection of a download that fits the buffers
// of the kernel did not get it, and one that says something there gets it whole.
func TestEndOfDownloadT286(t *testing.T) {
	r := newRig(t)
	content := strings.Repeat("x", 300_000)
	r.put("f", content)
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "RETR f")
	io.WriteString(data, "?")
	if got, err := io.ReadAll(data); err != nil || string(got) != content {
		t.Errorf("after a stray byte: %d bytes, %v", len(got), err)
	}
	data.Close()
	c.want(226)

	r.put("small", "x")
	data = c.epsv()
	c.cmd(150, "RETR small")
	data.SetLinger(0)
	data.Close()
	if code, text, err := c.read(); err != nil || code != 426 && code != 226 {
		t.Errorf("after a reset: %q, %v", text, err)
	}
	// One that keeps its side open has its reply soon nevertheless.
	c.epsv()
	c.cmd(150, "RETR small")
	start := time.Now()
	c.want(226)
	if took := time.Since(start); took >= lingerTime {
		t.Errorf("226 took %v", took)
	}
}

// A session that is told to end while its client reads nothing ends soon.
func TestKickOfOneThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		c.say("NOOP") // and nobody reads the reply
		time.Sleep(time.Second)
		id := r.srv.Sessions.List()[0].ID
		if took := elapsed(func() {
			r.srv.Sessions.Kick(id, errors.New("enough"))
			<-c.done
		}); took > 3*lingerTime {
			t.Errorf("it took %v", took)
		}
	})
}

// Cameras close both connections as soon as they have sent a picture, and never
// look for a reply: the picture is kept. Where it would replace another, that
// client may as well have been killed in the middle, and the other may be kept.
func TestClientThatLeavesAtOnce(t *testing.T) {
	for _, old := range []string{"", "the old picture"} {
		r := newRig(t)
		if old != "" {
			r.put("picture", old)
		}
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR picture")
		picture := strings.Repeat("pixels", 100_000)
		if _, err := io.WriteString(data, picture); err != nil {
			t.Fatal(err)
		}
		data.Close()
		c.conn.Close()
		r.stop()
		if got := r.get("picture"); got != picture && (old == "" || got != old) {
			t.Errorf("over %q: the picture has %d bytes", old, len(got))
		}
	}
}

// Where parts of files do harm, a client that leaves at once leaves nothing.
func TestKeepUnconfirmedNo(t *testing.T) {
	r := newRig(t, func(c *Config) { c.KeepUnconfirmed = false })
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "STOR part")
	io.WriteString(data, "half")
	c.conn.Close()
	data.Close()
	r.stop()
	if r.exists("part") {
		t.Errorf("the part is there:\n%s", r.logs)
	}
	if strings.Contains(r.logs.String(), "msg=uploaded") {
		t.Errorf("the log has an upload:\n%s", r.logs)
	}
}

// T144, T054, T116: an early end of the client, a goodbye without a reset, and
// passive ports that nobody can guess.
func TestRealSocketsT144T054T116(t *testing.T) {
	r := newRig(t, func(c *Config) { c.PassivePorts.First, c.PassivePorts.Last = 42000, 42999 })
	content := strings.Repeat("0123456789abcdef", 4<<20)
	r.put("f", content)
	c := r.greet()
	var ports []int
	open := func() net.Conn {
		data := c.epsv()
		ports = append(ports, data.RemoteAddr().(*net.TCPAddr).Port)
		return data
	}
	data := open()
	c.cmd(150, "RETR f")
	if _, err := io.ReadFull(data, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	data.Close()
	c.want(426)
	c.cmd(200, "NOOP")

	data = open()
	c.cmd(150, "RETR f")
	got, err := io.ReadAll(data)
	if err != nil || !bytes.Equal(got, []byte(content)) {
		t.Fatalf("RETR: %d bytes, %v", len(got), err)
	}
	c.want(226)

	data = open()
	c.cmd(150, "STOR g")
	if _, err := io.WriteString(data, content); err != nil {
		t.Fatal(err)
	}
	data.Close()
	c.want(226)
	if r.get("g") != content {
		t.Error("STOR changed the content")
	}
	for range 20 {
		open().Close()
	}
	rising := 0
	for i := 1; i < len(ports); i++ {
		if ports[i] < 42000 || ports[i] > 42999 {
			t.Errorf("port %d is not in the range", ports[i])
		}
		if ports[i] == ports[i-1]+1 {
			rising++
		}
	}
	if rising > 5 {
		t.Errorf("passive ports can be guessed: %v", ports)
	}
	// More is on its way to the server when it says goodbye: no reset may eat that.
	io.WriteString(c.conn, "QUIT\r\nNOOP\r\nNOOP\r\n")
	c.want(221)
	if n, err := c.in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after 221: %d, %v", n, err)
	}
}
