package server

import (
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A piece is some bytes of what a client sends, urgent or not.
type piece struct {
	bytes  string
	urgent bool
}

// write sends pieces over a real socket, each by itself.
func (c *client) write(pieces ...piece) {
	c.t.Helper()
	raw, err := c.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range pieces {
		flags := 0
		if p.urgent {
			flags = syscall.MSG_OOB
		}
		raw.Write(func(fd uintptr) bool {
			err = syscall.Sendto(int(fd), []byte(p.bytes), flags, nil)
			return true
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// What clients send to abort, with Telnet's synch and without, over real sockets:
// each is 426 for the transfer and 226 for ABOR, whichever way the file goes.
func TestAbortOverSockets(t *testing.T) {
	for _, tt := range []struct {
		name string
		sent []piece
	}{
		{"T180 T181 plain, as curl and FileZilla do", []piece{{"ABOR\r\n", false}}},
		{"T182 as lftp does", []piece{{"\xff\xf4\xff", false}, {"\xf2", true}, {"ABOR\r\n", false}}},
		{"T183 as Python's ftplib does", []piece{{"ABOR\r\n", true}}},
		{"T184 as BSD's ftp does", []piece{{"\xff\xf4", false}, {"\xff", true}, {"\xf2ABOR\r\n", false}}},
		{"attack 37: all of it urgent", []piece{{"\xff", true}, {"\xf4", true}, {"\xff", true}, {"\xf2", true}, {"ABOR\r\n", true}}},
		{"attack 37: urgent in the middle of the word", []piece{{"AB", true}, {"OR\r\n", false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.put("f", strings.Repeat("x", 64<<20))
			c := r.greet()
			data := c.epsv()
			c.cmd(150, "RETR f")
			c.write(tt.sent...)
			c.want(426)
			c.want(226)
			c.cmd(200, "NOOP")
			data.Close()

			data = c.epsv()
			c.cmd(150, "STOR g")
			io.WriteString(data, "half")
			c.write(tt.sent...)
			c.want(426)
			c.want(226)
			c.cmd(200, "NOOP")
			if r.exists("g") {
				t.Error("the aborted upload is there")
			}
		})
	}
}

// T185: ABOR after the last byte comes too late, whether the client has closed
// its side or not.
func TestLateABORT185(t *testing.T) {
	for _, closes := range []bool{true, false} {
		r := newRig(t)
		content := strings.Repeat("x", 300_000)
		r.put("f", content)
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "RETR f")
		if got, err := io.ReadAll(data); err != nil || string(got) != content {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if closes {
			data.Close()
		}
		c.say("ABOR")
		c.want(226)
		c.want(226)
		c.cmd(200, "NOOP")
	}
}

// T168: an upload whose data connection is reset: what came stays where files are
// written in place, and the old file where they are not.
func TestResetUploadT168(t *testing.T) {
	for _, atomic := range []bool{false, true} {
		r := newRig(t, func(c *Config) { c.NoTruncate = atomic })
		r.put("f", "the old content")
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR f")
		part := strings.Repeat("y", 100_000)
		io.WriteString(data, part)
		for r.srv.Sessions.List()[0].Moved < int64(len(part)) { // a reset drops what was not read
			c.cmd(211, "STAT")
		}
		data.SetLinger(0)
		data.Close()
		c.want(426)
		want := "213 100000"
		if atomic {
			want = "213 15"
		}
		if text := c.cmd(213, "SIZE f"); text != want {
			t.Errorf("NoTruncate %v: %q", atomic, text)
		}
	}
}

// A file that grows while it is sent is sent as it was when the transfer began.
func TestGrowingFile(t *testing.T) {
	for _, kind := range []string{"I", "A"} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			content := strings.Repeat("x", 3*stepMax)
			r.put("f", content)
			c := r.login()
			c.cmd(200, "TYPE %s", kind)
			data := c.passive()
			c.cmd(150, "RETR f")
			if _, err := io.ReadFull(data, make([]byte, 1024)); err != nil {
				t.Fatal(err)
			}
			r.put("f", content+strings.Repeat("y", stepMax))
			got, err := io.ReadAll(data)
			if n := len(got) + 1024; err != nil || n < 3*stepMax || kind == "I" && n != 3*stepMax {
				t.Errorf("TYPE %s: %d bytes, %v", kind, n, err)
			}
			data.Close()
			c.want(226)
		})
	}
}

// T145, attack 7: a client that reads a byte now and then is not stalled, one that
// stops is, over a real socket, whose kernel has taken much more.
func TestStalledDownloadT145(t *testing.T) {
	r := newRig(t, func(c *Config) { c.StallTimeout = time.Second })
	r.put("f", strings.Repeat("x", 64<<20))
	c := r.greet()
	data := c.epsv()
	defer data.Close()
	c.cmd(150, "RETR f")
	start := time.Now()
	c.want(426)
	if took := time.Since(start); took < 900*time.Millisecond || took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	c.cmd(200, "NOOP")
}

// A lossy connection keeps one read from what has come, as Linux does at an
// urgent byte if a signal waits.
type lossy struct {
	net.Conn
	lose  atomic.Bool
	woken chan struct{}
}

func (l *lossy) SetReadDeadline(t time.Time) error {
	if t.Equal(past) {
		select {
		case l.woken <- struct{}{}:
		default:
		}
	}
	return l.Conn.SetReadDeadline(t)
}

func (l *lossy) Read(p []byte) (int, error) {
	if l.lose.Swap(false) {
		<-l.woken
		return 0, os.ErrDeadlineExceeded
	}
	return l.Conn.Read(p)
}

// An ABOR that a read has missed is found soon.
func TestMissedABOR(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", strings.Repeat("x", stepMax))
		near, far := net.Pipe()
		l := &lossy{Conn: far, woken: make(chan struct{}, 1)}
		c := r.pipe(near, &addressed{Conn: l, local: serverAddr, remote: clientAddr})
		c.want(220)
		c.login("alice")
		c.cmd(200, "TYPE I")
		c.passive()
		synctest.Wait() // the session has begun to read what comes next
		l.lose.Store(true)
		c.cmd(150, "RETR f")
		go c.say("ABOR")
		if took := elapsed(func() { c.want(426) }); took > 2*relook {
			t.Errorf("it took %v", took)
		}
		c.want(226)
		near.Close()
		<-c.done
	})
}

// A tardy connection has read what the client says, and whoever asked for that
// does not get on, as where processors are scarce.
type tardy struct {
	net.Conn
	late atomic.Bool
}

func (c *tardy) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.late.Load() {
		time.Sleep(attention)
	}
	return n, err
}

// What the client said before its data ended counts, also where it is read and
// nobody has looked at it when that end comes.
func TestSaidBeforeTheEnd(t *testing.T) {
	for verb, aborted := range map[string]bool{"ABOR": true, "QUIT": false} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.put("f", "the old content")
			near, far := net.Pipe()
			slow := &tardy{Conn: far}
			c := r.pipe(near, &addressed{Conn: slow, local: serverAddr, remote: clientAddr})
			c.want(220)
			c.login("alice")
			data := c.passive()
			c.cmd(150, "STOR f")
			io.WriteString(data, "new")
			time.Sleep(2 * attention) // now the session listens
			slow.late.Store(true)
			c.say("%s", verb)
			data.Close()
			want := "new"
			if aborted {
				want = "the old content"
				c.want(426)
			}
			c.want(226)
			if got := r.get("f"); got != want {
				t.Errorf("%s: the file holds %q", verb, got)
			}
			c.conn.Close()
			<-c.done
		})
	}
}
