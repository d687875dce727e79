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
