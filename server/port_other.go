//go:build !linux

package server

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// A port is one that take knows how to ask; here there is none.
type port struct{ net.Listener }

func (p *port) take() *arrival { return nil }

// An arrival is a data connection that the runtime does not know yet.
type arrival struct{ from netip.Addr }

// setCongestion is for Linux, where each socket may have its own.
func setCongestion(int, string) {}

func (a *arrival) close()                  {}
func (a *arrival) conn() (net.Conn, error) { return nil, net.ErrClosed }
func (a *arrival) send([]byte) int         { return 0 }
func (a *arrival) clean() bool             { return false }

func (a *arrival) receive([]byte, time.Duration, time.Duration) (int, bool, error) {
	return 0, false, nil
}

func listenAt(addr netip.Addr, number uint16, _ string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // a transfer has its own time-out
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", netip.AddrPortFrom(addr, number).String())
}
