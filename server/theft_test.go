package server

import (
	"crypto/tls"
	"io"
	"testing"
)

// A03, A04: a thief of passive ports who is refused has no ticket from it either,
// by which the next connection would pass for the client's.
func TestThiefGetsNoTicket(t *testing.T) {
	versions(t, func(t *testing.T, version func(*tls.Config)) {
		for _, binding := range []Binding{BindUser, BindStrict} {
			r := newRig(t, withTLS, func(c *Config) { c.TLSDataBinding = binding })
			r.put("f", "secret")
			c := r.shielded("alice", version)
			thief := clientTLS(version)
			for range 3 {
				data := c.epsv()
				c.cmd(150, "RETR f")
				conn := tls.Client(data, thief)
				if got, _ := io.ReadAll(conn); len(got) > 0 {
					t.Fatalf("%v: the thief got %q", binding, got)
				}
				conn.Close()
				c.want(522)
			}
		}
	})
}

// Users of one name at two virtual hosts are two users, also where one session of
// a user does for another.
func TestBoundUserOfAnotherHost(t *testing.T) {
	r := vhostRig(t, func(c *Config) { c.TLSDataBinding = BindUser })
	r.put("f", "secret")
	c := r.shielded("alice") // of the server itself
	other := r.on(r.real())
	other.want(220)
	other.secure(func(c *tls.Config) { c.ServerName = "b.example.org" })
	other.cmd(331, "USER alice")
	other.cmd(230, "PASS other")
	for _, tt := range []struct {
		whose *client
		code  int
	}{{other, 522}, {c, 226}} {
		data := c.epsv()
		c.cmd(150, "RETR f")
		stolen := tls.Client(data, tt.whose.tls)
		got, _ := io.ReadAll(stolen)
		stolen.Close()
		if c.want(tt.code); tt.code != 226 && len(got) > 0 {
			t.Errorf("alice of another host got %q", got)
		}
	}
}
