package server

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// listening tells whether somebody accepts connections at that port.
func listening(port uint16) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.Close()
	}
	return err == nil
}

// pasv prepares a passive port over real sockets and returns it.
func (c *client) pasv() uint16 {
	c.t.Helper()
	var a, b, d, e, high, low uint16
	text := c.cmd(227, "PASV")
	if _, err := fmt.Sscanf(text[strings.Index(text, "("):], "(%d,%d,%d,%d,%d,%d)", &a, &b, &d, &e, &high, &low); err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
	return high<<8 | low
}

// What gives up a passive port closes it at once.
func TestPassivePortsAreClosed(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
		cmd  string
	}{
		{"T108 by the next PASV", 227, "PASV"},
		{"T108 by EPSV", 229, "EPSV"},
		{"T109 by PORT", 200, "PORT 127,0,0,1,200,1"},
		{"T109 by a PORT that is refused", 500, "PORT 192,0,2,1,200,1"},
		{"T110 by ABOR", 226, "ABOR"},
		{"T110 by REIN", 220, "REIN"},
		{"T034 by the end of the session", 221, "QUIT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.PassivePorts.First, c.PassivePorts.Last = 42000, 42999 })
			c := r.greet()
			port := c.pasv()
			c.cmd(tt.code, "%s", tt.cmd)
			if tt.code == 221 {
				io.ReadAll(c.in)
			}
			if listening(port) {
				t.Errorf("port %d is open after %s", port, tt.cmd)
			}
		})
	}
}

// fxpTarget is another server's data port, in the rig's network.
const fxpTarget = "203.0.113.5:5001"

func TestFXP(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		code int
		cmd  string
	}{
		{"T120 off", func(*Config) {}, 500, "PORT 203,0,113,5,19,137"},
		{"T128 on", func(c *Config) { c.UserFXP = true }, 200, "PORT 203,0,113,5,19,137"},
		{"T128 on for everybody", func(c *Config) { c.AnonFXP = true }, 200, "EPRT |1|203.0.113.5|5001|"},
		{"T128 a privileged port", func(c *Config) { c.UserFXP = true }, 504, "PORT 203,0,113,5,0,25"},
		{"T128 loopback", func(c *Config) { c.UserFXP = true }, 500, "PORT 127,0,0,1,19,137"},
		{"T128 our own address", func(c *Config) { c.UserFXP = true }, 500, "PORT 192,0,2,1,19,137"},
		{"T128 our own address, permitted", func(c *Config) { c.UserFXP, c.FXPDeny = true, nil }, 500, "PORT 127,0,0,1,19,137"},
		{"T128 another of our own, permitted", func(c *Config) { c.UserFXP, c.FXPDeny = true, nil }, 500, "PORT 127,0,0,2,19,137"},
		{"attack 35: a network behind us", func(c *Config) { c.UserFXP = true }, 500, "PORT 10,1,2,3,19,137"},
		{"attack 35: the link", func(c *Config) { c.UserFXP = true }, 500, "PORT 169,254,169,254,19,137"},
		{"attack 35: a network that is denied", func(c *Config) { c.UserFXP, c.FXPDeny = true, prefixes("203.0.113.0/24") }, 500, "PORT 203,0,113,5,19,137"},
		{"attack 35: a group of hosts", func(c *Config) { c.UserFXP, c.FXPDeny = true, nil }, 500, "PORT 224,0,0,1,19,137"},
		{"attack 35: all hosts", func(c *Config) { c.UserFXP, c.FXPDeny = true, nil }, 500, "PORT 255,255,255,255,19,137"},
		{"attack 35: this network", func(c *Config) { c.UserFXP, c.FXPDeny = true, nil }, 500, "PORT 0,1,2,3,19,137"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, tt.edit)
				r.put("f", "hello")
				l, err := r.net.listenAt(netip.MustParseAddrPort(fxpTarget))
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				c := r.login()
				c.cmd(200, "TYPE I")
				c.cmd(tt.code, "%s", tt.cmd)
				if tt.code != 200 {
					c.cmd(425, "RETR f")
					if n := len(r.net.dialed); n != 0 {
						t.Errorf("%d connections were tried", n)
					}
					return
				}
				c.say("RETR f")
				data, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				c.want(150)
				if got, _ := io.ReadAll(data); string(got) != "hello" {
					t.Errorf("the other server got %q", got)
				}
				c.want(226)
			})
		})
	}
}

// T128: with FXP the passive side takes another server's connection, for the
// sessions that may and no others.
func TestPassiveFXPT128(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.UserFXP, c.AnonymousRoot = true, "/srv/ftp" })
		r.put("f", "hello")
		other := netip.MustParseAddrPort("203.0.113.5:20")
		c := r.login()
		c.cmd(200, "TYPE I")
		c.passive().Close()
		c.cmd(229, "EPSV")
		data := c.connect(other)
		c.cmd(150, "RETR f")
		if got, _ := io.ReadAll(data); string(got) != "hello" {
			t.Errorf("the other server got %q", got)
		}
		c.want(226)

		anonymous := r.dial(netip.AddrPort{})
		anonymous.want(220)
		anonymous.cmd(331, "USER ftp")
		anonymous.cmd(230, "PASS secret")
		anonymous.cmd(229, "EPSV")
		anonymous.port = c.port
		stranger := anonymous.connect(other)
		anonymous.say("RETR f")
		if got, err := io.ReadAll(stranger); len(got) > 0 || err != nil {
			t.Errorf("the stranger got %q, %v", got, err)
		}
		anonymous.want(150)
		anonymous.want(425)
	})
}

// T303, attack 1: whoever tries addresses is refused each, and no packet leaves.
func TestBounceT303(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxCommandErrors = 1000 })
		c := r.login()
		for i := range 50 {
			c.cmd(500, "PORT 203,0,113,%d,200,1", i)
			c.cmd(500, "EPRT |1|203.0.113.%d|2000|", i)
			c.cmd(425, "LIST")
		}
		if n := len(r.net.dialed); n != 0 {
			t.Errorf("%d connections were tried", n)
		}
	})
}

// attack 1: who goes on trying is sent away.
func TestBounceIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		for i := range r.srv.Config().MaxCommandErrors {
			c.cmd(500, "PORT 203,0,113,%d,200,1", i)
		}
		c.want(421)
		c.gone()
	})
}

// attack 2: addresses that are written to look like others.
func TestAddressTricks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxCommandErrors = 1000 })
		c := r.login()
		for cmd, code := range map[string]int{
			"PORT 0198,051,100,07,200,1":                 200, // decimal, whatever it begins with
			"PORT 012,0,0,1,200,1":                       500,
			"PORT 0306,51,100,7,200,1":                   501,
			"PORT 0x0a,0,0,1,200,1":                      501,
			"PORT 198,51,100,7,-1,1":                     501,
			"PORT 198,51,100,7,200,99999999999999":       501,
			"PORT 198,51,100,7,200,1,1":                  501,
			"EPRT |1|0306.51.100.7|2000|":                501,
			"EPRT |1|198.51.100.7%lo|2000|":              501,
			"EPRT |1|3325256711|2000|":                   501,
			"EPRT |2|::ffff:203.0.113.5|2000|":           522,
			"EPRT |2|::ffff:198.51.100.7|2000|":          522,
			"EPRT |1|::ffff:198.51.100.7|2000|":          501,
			"EPRT |1|198.51.100.7|+2000|":                501,
			"EPRT |1|198.51.100.7|18446744073709553616|": 501,
		} {
			c.cmd(code, "%s", cmd)
		}
	})
}

// T122: a client whose IPv4 address came over an IPv6 socket is an IPv4 client.
func TestMappedClientT122(t *testing.T) {
	r := newRig(t)
	r.put("f", "hello")
	r.srv.network = tcp{}
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	r.serve(l)
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := r.on(conn)
	c.want(220)
	c.login("alice")
	if text := c.cmd(522, "EPRT |2|::ffff:127.0.0.1|2000|"); !strings.HasSuffix(text, "(1)") {
		t.Errorf("EPRT: %q", text)
	}
	c.cmd(200, "EPRT |1|127.0.0.1|2000|")
	c.cmd(229, "EPSV 1")
	if text := c.cmd(227, "PASV"); !strings.Contains(text, "(127,0,0,1,") {
		t.Errorf("PASV: %q", text)
	}
	c.cmd(200, "TYPE I")
	data := c.epsv()
	c.cmd(150, "RETR f")
	if got, _ := io.ReadAll(data); string(got) != "hello" {
		t.Errorf("RETR: %q", got)
	}
	c.want(226)
}
