package server

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestListenOnOneFamily: a server listens where it is told, and on both families
// unless one is left out.
func TestListenOnOneFamily(t *testing.T) {
	for _, tc := range []struct {
		name   string
		edit   func(*Config)
		v4, v6 bool
	}{
		{"both", func(*Config) {}, true, true},
		{"IPV4Only", func(c *Config) { c.IPv4Only = true }, true, false},
		{"IPV6Only", func(c *Config) { c.IPv6Only = true }, false, true},
		{"Bind to one address", func(c *Config) { c.Bind[0].Addr = netip.MustParseAddr("127.0.0.1") }, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Bind = []Endpoint{{}} // any port
			tc.edit(&cfg)
			all, err := Listen(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer all[0].Close()
			_, port, _ := net.SplitHostPort(all[0].Addr().String())
			for host, want := range map[string]bool{"127.0.0.1": tc.v4, "::1": tc.v6} {
				if got := reaches(t, all[0], net.JoinHostPort(host, port)); got != want {
					t.Errorf("connecting to %s reaches the server: %v, want %v", host, got, want)
				}
			}
		})
	}
}

// reaches tells whether who connects to addr is accepted by l. Where l does not
// listen, somebody else may: the port of an address is anybody's.
func reaches(t *testing.T, l net.Listener, addr string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	// What has connected waits to be accepted, if it is l that it waits for.
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		return false
	}
	accepted.Close()
	return accepted.RemoteAddr().String() == conn.LocalAddr().String()
}
