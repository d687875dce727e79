package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A proxy in front of the server hides who connects. The PROXY protocol, versions
// 1 and 2, tells: a header goes before everything else, also before TLS. Whoever
// may send one may claim any address, so proxies are listed (ProxyFrom); a listed
// one always sends it, on data connections too, and nobody else may.

// Bounds of a header.
const (
	proxyTimeout = 5 * time.Second // for all of it
	proxyLine    = 107             // bytes of version 1, its end included
	proxyMost    = 4096            // bytes behind the fixed part of version 2
)

// proxySignature begins version 2; nothing that speaks FTP, HTTP or TLS begins so.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// A hop is what a header tells: who connected, and to where. The zero hop is the
// proxy itself, which looks whether we live.
type hop struct{ from, to netip.AddrPort }

var errProxy = errors.New("no valid PROXY header")

// readProxy takes a header off a connection, and not a byte more.
func readProxy(c net.Conn) (hop, error) {
	c.SetReadDeadline(time.Now().Add(proxyTimeout))
	h, err := parseProxy(c)
	if err != nil {
		return hop{}, fmt.Errorf("%w: %w", errProxy, err)
	}
	c.SetReadDeadline(time.Time{})
	return h, nil
}

// parseProxy reads either version: the shortest header of version 1 is longer
// than the signature of version 2.
func parseProxy(r io.Reader) (hop, error) {
	begin := make([]byte, len(proxySignature), proxyLine)
	if _, err := io.ReadFull(r, begin); err != nil {
		return hop{}, err
	}
	if string(begin) == proxySignature {
		return parseProxy2(r)
	}
	if !bytes.HasPrefix(begin, []byte("PROXY ")) {
		return hop{}, errors.New("something else was sent")
	}
	line := begin
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == proxyLine {
			return hop{}, errors.New("line without end")
		}
		next := line[len(line) : len(line)+1]
		if _, err := io.ReadFull(r, next); err != nil {
			return hop{}, err
		}
		line = line[:len(line)+1]
	}
	return parseProxy1(string(line[:len(line)-2]))
}

// parseProxy1 reads "PROXY TCP4 from to port port".
func parseProxy1(line string) (hop, error) {
	words := strings.Split(line, " ")
	if len(words) > 1 && words[1] == "UNKNOWN" {
		return hop{}, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return hop{}, errors.New("not six words")
	}
	var h hop
	for i, to := range []*netip.AddrPort{&h.from, &h.to} {
		addr, err := netip.ParseAddr(words[2+i])
		if err != nil || addr.Zone() != "" || addr.Is4() != (words[1] == "TCP4") {
			return hop{}, fmt.Errorf("%q is no address of %s", words[2+i], words[1])
		}
		port, err := strconv.ParseUint(words[4+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != words[4+i] {
			return hop{}, fmt.Errorf("%q is no port", words[4+i])
		}
		*to = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return h, h.plausible()
}

// parseProxy2 reads what stands behind the signature: version and command,
// family and transport, and the length of the rest, which begins with the
// addresses. What follows them is skipped.
func parseProxy2(r io.Reader) (hop, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return hop{}, err
	}
	size := int(binary.BigEndian.Uint16(fixed[2:]))
	if size > proxyMost {
		return hop{}, fmt.Errorf("%d bytes are too many", size)
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return hop{}, err
	}
	switch command := fixed[0]; {
	case command>>4 != 2:
		return hop{}, fmt.Errorf("version %d", command>>4)
	case command&0xf == 0: // LOCAL
		return hop{}, nil
	case command&0xf != 1:
		return hop{}, fmt.Errorf("command %d", command&0xf)
	}
	switch family := fixed[1]; family {
	case 0: // unspecified
		return hop{}, nil
	case 0x11:
		return parseHop(rest, 4)
	case 0x21:
		return parseHop(rest, 16)
	default:
		return hop{}, fmt.Errorf("family and transport %#x are not TCP", family)
	}
}

// parseHop reads two addresses of so many bytes, then their ports.
func parseHop(b []byte, size int) (hop, error) {
	if len(b) < 2*size+4 {
		return hop{}, errors.New("addresses are cut off")
	}
	from, _ := netip.AddrFromSlice(b[:size])
	to, _ := netip.AddrFromSlice(b[size : 2*size])
	h := hop{
		netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(b[2*size:])),
		netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(b[2*size+2:])),
	}
	return h, h.plausible()
}

// plausible refuses what no connection has at its ends.
func (h hop) plausible() error {
	if !isUnicast(h.from.Addr()) || !isUnicast(h.to.Addr()) || h.from.Addr().Is4() != h.to.Addr().Is4() {
		return fmt.Errorf("nobody connects from %s to %s", h.from, h.to)
	}
	return nil
}

// ends returns who is at the far end of a connection and what it connected to,
// as a proxy says if there is one.
func (s *Server) ends(c net.Conn, cfg *Config) (hop, error) {
	h := hop{addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())}
	if !within(cfg.ProxyFrom, h.from.Addr()) {
		return h, nil
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-s.draining: // nobody waits for a header any more
			c.Close()
		case <-over:
		}
	}()
	behind, err := readProxy(c)
	if err != nil || behind == (hop{}) {
		return h, err
	}
	return behind, nil
}
