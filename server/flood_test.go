package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// T305, attack 31: sessions from one address share their punishment, and others
// are not punished.
func TestGuessingTogetherT305(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.LoginDelay, c.MaxLoginDelay = 3*time.Second, 10*time.Second })
		guess := func(from string) time.Duration {
			c := r.dial(netip.MustParseAddrPort(from))
			c.want(220)
			c.cmd(331, "USER alice")
			return elapsed(func() { c.cmd(530, "PASS wrong") })
		}
		for i, want := range []time.Duration{3 * time.Second, 6 * time.Second, 9 * time.Second, 10 * time.Second} {
			if took := guess(fmt.Sprintf("198.51.100.7:%d", 4000+i)); took.Round(time.Second/10) != want {
				t.Errorf("session %d waited %v, not %v", i, took, want)
			}
		}
		if took := guess("198.51.100.8:4000"); took.Round(time.Second/10) != 3*time.Second {
			t.Errorf("another address waited %v", took)
		}
		c := r.dial(netip.MustParseAddrPort("198.51.100.9:4000"))
		c.want(220)
		c.cmd(331, "USER alice")
		if took := elapsed(func() { c.cmd(230, "PASS secret") }); took > time.Second/10 {
			t.Errorf("a good login waited %v", took)
		}
	})
}

// T307, attack 6: connections beyond the limit are turned away, and those within
// it cost little, before and after login.
func TestManyIdleSessionsT307(t *testing.T) {
	const most, all, each = 1500, 2000, 40 << 10 // bytes, with what the test needs for its end
	r := newRig(t, func(c *Config) { c.MaxClients = most })
	r.logs.Grow(4 << 20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	in := 0
	for i := range all {
		c := r.dial(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(100 + i/250), byte(i % 250)}), 4000))
		code, text, err := c.read()
		switch {
		case err != nil:
			t.Fatal(err)
		case code == 220:
			in++
			if i%2 == 0 {
				c.login("alice")
			}
		case code != 421:
			t.Fatalf("greeted by %q", text)
		default:
			c.gone()
		}
	}
	if in != most {
		t.Errorf("%d sessions, not %d", in, most)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapInuse+after.StackInuse) - int64(before.HeapInuse+before.StackInuse)
	if per := used / most; per > each {
		t.Errorf("a session takes %d KiB", per>>10)
	}
}

// Attack 10: 100,000 commands at a go are answered one after the other, and a
// client that does not read its replies holds up itself alone: after a minute it
// is gone.
func TestCommandFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 100_000
		r := newRig(t)
		c := r.login()
		go io.Copy(c.conn, strings.NewReader(strings.Repeat("NOOP\r\n", many)))
		for range many {
			c.want(200)
		}

		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		go io.Copy(c.conn, strings.NewReader(strings.Repeat("NOOP\r\n", many)))
		if took := elapsed(func() { <-c.done }); took < replyTimeout || took > replyTimeout+2*lingerTime {
			t.Errorf("it was sent away after %v", took)
		}
		runtime.ReadMemStats(&after)
		if used := int64(after.HeapInuse) - int64(before.HeapInuse); used > 8<<20 {
			t.Errorf("the flood took %d MiB", used>>20)
		}
	})
}

// Attack 11: a reply that the client does not read is waited for as long, and is
// not in memory twice.
func TestUnreadReply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 1000 {
			r.put(fmt.Sprintf("a file with a long name, number %04d", i), "")
		}
		c := r.login()
		c.say("STAT .")
		if took := elapsed(func() { <-c.done }); took < replyTimeout || took > replyTimeout+2*lingerTime {
			t.Errorf("it was sent away after %v", took)
		}
	})
}

// T127, attacks 3 and 4: strangers at a passive port, however many up to the
// bound, from the client's own address or another, take nothing and put nothing.
func TestStrangersAtThePortT127(t *testing.T) {
	for _, tt := range []struct {
		strangers int
		code      int
	}{{1, 226}, {maxStrangers - 1, 226}, {maxStrangers, 425}} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			c := r.login()
			c.cmd(200, "TYPE I")
			c.passive().Close()
			c.cmd(229, "EPSV")
			for i := range tt.strangers {
				stranger := c.connect(netip.AddrPortFrom(netip.MustParseAddr("203.0.113.5"), uint16(2000+i)))
				go io.WriteString(stranger, "forged")
				defer stranger.Close()
			}
			data := c.connect(clientAddr)
			c.say("STOR f")
			code, text, err := c.read()
			if err != nil || code != 150 && (tt.code != 425 || code != 425) {
				t.Fatalf("STOR: %q, %v", text, err)
			}
			if tt.code == 226 {
				io.WriteString(data, "mine")
				data.Close()
			}
			if code == 150 {
				c.want(tt.code)
			}
			if tt.code == 226 && r.get("f") != "mine" || tt.code != 226 && r.exists("f") {
				t.Errorf("%d strangers: the file is wrong", tt.strangers)
			}
			if strings.Contains(r.logs.String(), "forged") {
				t.Error("a stranger was heard")
			}
		})
	}
}

// T127: a second connection from the client's own address, which somebody behind
// the same translation may have too, is closed unserved.
func TestSecondConnectionT127(t *testing.T) {
	r := newRig(t)
	r.put("f", "hello")
	c := r.greet()
	first := c.epsv()
	port := first.RemoteAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	c.cmd(150, "RETR f")
	if got, err := io.ReadAll(first); string(got) != "hello" {
		t.Errorf("the first got %q, %v", got, err)
	}
	first.Close()
	c.want(226)
	if listening(port) {
		t.Error("the port is open after its use")
	}
}

// A fault of ours on the goroutine that reads while a file moves ends that session.
func TestFaultOfTheReader(t *testing.T) {
	conn, _ := net.Pipe()
	s := &session{conn: conn, in: newLineReader(nil, 100)}
	lines := make(chan line)
	s.read(lines)
	if l := <-lines; !errors.Is(l.err, errFault) || !errors.Is(s.broken(l), errFault) || !s.deaf {
		t.Errorf("the line is %+v", l)
	}
}
