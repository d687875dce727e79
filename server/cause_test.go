package server

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// wantCause expects that a data connection failed once, for that reason, and that
// the log says so and what would help.
func (r *rig) wantCause(want cause) {
	r.t.Helper()
	word := causes[want].word
	if got := r.srv.DataFailures(); len(got) != 1 || got[word] != 1 {
		r.t.Errorf("causes %v, not one %s", got, word)
	}
	line := ""
	for l := range strings.Lines(r.logs.String()) {
		if strings.Contains(l, `level=WARN msg="no data connection"`) {
			line = l
		}
	}
	if !strings.Contains(line, "cause="+word) || !strings.Contains(line, causes[want].text) || !strings.Contains(line, causes[want].hint) {
		r.t.Errorf("the log says %q", line)
	}
}

// Why a data connection was never made is told by what came, or did not.
func TestCausesOfNoData(t *testing.T) {
	for want, tt := range map[cause]struct {
		edit func(*Config)
		play func(c *client)
	}{
		causePrivate: {func(c *Config) { c.PassiveIP = "192.168.1.5" }, func(c *client) {
			c.cmd(227, "PASV")
			c.cmd(150, "LIST")
			c.want(425)
		}},
		causeSilent: {func(*Config) {}, func(c *client) {
			c.cmd(229, "EPSV")
			c.cmd(150, "LIST")
			c.want(425)
		}},
		causeStranger: {func(*Config) {}, func(c *client) {
			c.passive().Close()
			c.cmd(229, "EPSV")
			c.connect(netip.MustParseAddrPort("203.0.113.5:20"))
			c.cmd(150, "LIST")
			c.want(425)
		}},
		causeLate: {func(c *Config) { c.ConnectTimeout = time.Second }, func(c *client) {
			c.cmd(229, "EPSV")
			time.Sleep(2 * time.Second) // virtual
			c.cmd(425, "LIST")
		}},
		causePortsTaken: {func(c *Config) { c.PassivePorts.Last = c.PassivePorts.First }, func(c *client) {
			c.rig.login().cmd(229, "EPSV")
			c.cmd(425, "EPSV")
		}},
		causeCrowded: {func(c *Config) { c.PassiveLimits.Each = 1 }, func(c *client) {
			c.rig.login().cmd(229, "EPSV")
			c.cmd(425, "PASV")
		}},
		causeOther: {func(*Config) {}, func(c *client) {
			c.cmd(200, "PORT 198,51,100,7,200,1")
			c.cmd(425, "LIST")
		}},
	} {
		t.Run(causes[want].word, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, tt.edit)
				tt.play(r.login())
				r.wantCause(want)
			})
		})
	}
}

// T123: a client that refuses its data connection.
func TestRefusedDataConnectionT123(t *testing.T) {
	r := newRig(t)
	c := r.greet()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c.cmd(200, "PORT 127,0,0,1,%d,%d", port>>8, port&0xff)
	c.cmd(425, "LIST")
	c.cmd(200, "NOOP")
	r.wantCause(causeRefused)
}

func TestDialFailed(t *testing.T) {
	for err, want := range map[error]cause{
		syscall.ECONNREFUSED:   causeRefused,
		syscall.ETIMEDOUT:      causeTimeout,
		os.ErrDeadlineExceeded: causeTimeout,
		syscall.EHOSTUNREACH:   causeUnreachable,
		syscall.ENETUNREACH:    causeUnreachable,
		syscall.EPERM:          causeForbidden,
		syscall.EMFILE:         causeOther,
	} {
		wrapped := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}
		if got := dialFailed(wrapped); got.cause != want {
			t.Errorf("%v: %s", err, causes[got.cause].word)
		}
	}
}

// Each cause has its words, and no two the same.
func TestCausesAreComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range causes {
		if c.word == "" || c.text == "" || seen[c.word] {
			t.Errorf("%+v", c)
		}
		seen[c.word] = true
		for word := range strings.FieldsSeq(c.hint) {
			if _, ok := Directives.Lookup(word); !ok && word[0] >= 'A' && word[0] <= 'Z' {
				t.Errorf("%s: there is no directive %s", c.word, word)
			}
		}
	}
}

// open is how many ports are.
func (m *memory) open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.listeners)
}

// T308, attack 5: who asks for ports and never comes leaves some for others.
func TestPassivePortsAreBoundedT308(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) {
			c.MaxClients, c.PassivePorts.Last = 1000, c.PassivePorts.First+999
			c.PassiveLimits = PassiveLimits{All: 300, Each: 100}
		})
		ask := func(from netip.Addr, n int) (got int, sessions []*client) {
			for range n {
				c := r.dial(netip.AddrPortFrom(from, 4000))
				c.want(220)
				c.login("alice")
				c.say("EPSV")
				code, text, err := c.read()
				if err != nil || code != 229 && code != 425 {
					t.Fatalf("EPSV: %q, %v", text, err)
				}
				if code == 229 {
					got++
				}
				sessions = append(sessions, c)
			}
			return got, sessions
		}
		var all []*client
		for i, want := range []int{100, 100, 100, 0} {
			got, sessions := ask(netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", i+1)), 125)
			if got != want {
				t.Errorf("address %d has %d ports, not %d", i, got, want)
			}
			all = append(all, sessions...)
		}
		if n := r.net.open(); n != 300 {
			t.Errorf("%d ports are open", n)
		}
		time.Sleep(r.srv.Config().ConnectTimeout + time.Second) // virtual
		synctest.Wait()
		if n := r.net.open(); n != 0 || r.srv.passive.all != 0 || len(r.srv.passive.by) != 0 {
			t.Errorf("%d ports are open, %d counted: %v", n, r.srv.passive.all, r.srv.passive.by)
		}
		all[499].cmd(229, "EPSV")
		for _, c := range all {
			c.conn.Close()
			<-c.done
		}
		if r.srv.passive.all != 0 {
			t.Errorf("%d ports are counted after all sessions", r.srv.passive.all)
		}
	})
}

// T113: however often a session asks, it has one port.
func TestManyPASVT113(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		for range 500 {
			c.cmd(227, "PASV")
			c.cmd(229, "EPSV")
			if n := r.net.open(); n != 1 {
				t.Fatalf("%d ports are open", n)
			}
		}
	})
}

// T114: a range of two ports serves two sessions, and the third when one has gone.
func TestFullRangeT114(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.PassivePorts.Last = c.PassivePorts.First + 1 })
		first, second, third := r.login(), r.login(), r.login()
		first.cmd(227, "PASV")
		second.cmd(229, "EPSV")
		third.cmd(425, "PASV")
		third.cmd(425, "EPSV")
		first.cmd(221, "QUIT")
		<-first.done
		third.cmd(227, "PASV")
	})
}
