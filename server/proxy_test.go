package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// header2 writes a header of version 2.
func header2(command, family byte, body string) string {
	b := append([]byte(proxySignature), 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

// Bodies of version 2: 203.0.113.5:5000 to 192.0.2.80:21, and the same in IPv6.
const (
	body4 = "\xcb\x00\x71\x05\xc0\x00\x02\x50\x13\x88\x00\x15"
	body6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x13\x88\x00\x15"
	bodyMapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x05" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x50\x13\x88\x00\x15"
)

func TestParseProxy(t *testing.T) {
	const four, six = "203.0.113.5:5000 192.0.2.80:21", "[2001:db8::5]:5000 [2001:db8::80]:21"
	for _, tt := range []struct{ header, want string }{ // want "": refused
		{"PROXY TCP4 203.0.113.5 192.0.2.80 5000 21\r\n", four},
		{"PROXY TCP6 2001:db8::5 2001:db8::80 5000 21\r\n", six},
		{"PROXY TCP6 ::ffff:203.0.113.5 ::ffff:192.0.2.80 5000 21\r\n", four},
		{"PROXY UNKNOWN\r\n", "local"},
		{"PROXY UNKNOWN ffff:f...f:ffff whatever\r\n", "local"},
		{header2(1, 0x11, body4), four},
		{header2(1, 0x11, body4+"\x01\x00\x03abc\x04\x00\x00"), four},
		{header2(1, 0x11, body4+strings.Repeat("x", proxyMost-len(body4))), four},
		{header2(1, 0x21, body6), six},
		{header2(1, 0x21, bodyMapped), four},
		{header2(0, 0x00, ""), "local"},
		{header2(0, 0x11, body4), "local"},
		{header2(1, 0x00, "whatever"), "local"},

		{"PROXY TCP4 203.0.113.5 192.0.2.80 5000\r\n", ""},
		{"PROXY TCP4 203.0.113.5 192.0.2.80 5000 21 22\r\n", ""},
		{"PROXY  TCP4 203.0.113.5 192.0.2.80 5000 21\r\n", ""},
		{"PROXY TCP4 203.0.113.5 192.0.2.80 5000 21\n\r\n", ""},
		{"PROXY TCP4 203.0.113.5 192.0.2.80 05000 21\r\n", ""},
		{"PROXY TCP4 203.0.113.5 192.0.2.80 65536 21\r\n", ""},
		{"PROXY TCP4 203.0.113.5 192.0.2.80 +5000 21\r\n", ""},
		{"PROXY TCP4 203.0.113.05 192.0.2.80 5000 21\r\n", ""},
		{"PROXY TCP4 0.0.0.0 192.0.2.80 5000 21\r\n", ""},
		{"PROXY TCP4 255.255.255.255 192.0.2.80 5000 21\r\n", ""},
		{"PROXY TCP4 2001:db8::5 2001:db8::80 5000 21\r\n", ""},
		{"PROXY TCP6 203.0.113.5 192.0.2.80 5000 21\r\n", ""},
		{"PROXY TCP6 ::ffff:203.0.113.5 2001:db8::80 5000 21\r\n", ""},
		{"PROXY TCP6 fe80::1%eth0 2001:db8::80 5000 21\r\n", ""},
		{"PROXY UDP4 203.0.113.5 192.0.2.80 5000 21\r\n", ""},
		{"proxy TCP4 203.0.113.5 192.0.2.80 5000 21\r\n", ""},
		{"PROXY " + strings.Repeat("x", 101) + "\r\n", ""},
		{"PROXY UNKNOWN" + strings.Repeat(" ", 93) + "\r\n", ""},
		{"USER alice\r\nPASS secret\r\n", ""},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00", ""},
		{"PROXY TCP4", ""},
		{proxySignature[:11], ""},
		{proxySignature + "\x21\x11", ""},
		{header2(1, 0x11, body4[:11]), ""},
		{header2(1, 0x11, body4)[:27], ""},
		{header2(1, 0x21, body4), ""},
		{header2(2, 0x11, body4), ""},
		{header2(1, 0x12, body4), ""}, // UDP
		{header2(1, 0x31, strings.Repeat("\x00", 216)), ""},
		{header2(1, 0x11, body4+strings.Repeat("x", proxyMost)), ""},
		{proxySignature + "\x31\x11\x00\x0c" + body4, ""},
		{proxySignature + "\x11\x11\x00\x0c" + body4, ""},
		{header2(1, 0x11, "\xe0\x00\x00\x01\xc0\x00\x02\x50\x13\x88\x00\x15"), ""},
	} {
		r := strings.NewReader(tt.header + "USER")
		if tt.want == "" {
			r = strings.NewReader(tt.header)
		}
		h, err := parseProxy(r)
		got := fmt.Sprint(h.from, " ", h.to)
		switch {
		case err != nil:
			got = ""
		case h == (hop{}):
			got = "local"
		}
		if got != tt.want {
			t.Errorf("%q: %q, %v, not %q", tt.header, got, err, tt.want)
		}
		if rest, _ := io.ReadAll(r); err == nil && string(rest) != "USER" {
			t.Errorf("%q: left is %q", tt.header, rest)
		}
	}
}

// Whatever is sent, what is taken as a header ends where a header ends, names two
// hosts of one family, and nothing is read beyond it.
func FuzzProxy(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 203.0.113.5 192.0.2.80 5000 21\r\nUSER", "PROXY UNKNOWN\r\n",
		header2(1, 0x11, body4), header2(1, 0x21, body6+"\x04\x00\x01x") + "USER", header2(0, 0, "")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := bytes.NewReader(sent)
		h, err := parseProxy(r)
		taken := sent[:len(sent)-r.Len()]
		if err != nil {
			if len(taken) > len(proxySignature)+4+proxyMost {
				t.Errorf("%d bytes were read of no header", len(taken))
			}
			return
		}
		if rest, ok := bytes.CutPrefix(taken, []byte(proxySignature)); ok {
			if want := 4 + int(binary.BigEndian.Uint16(rest[2:])); len(rest) != want {
				t.Errorf("%d bytes were read behind the signature, not %d", len(rest), want)
			}
		} else if !bytes.HasPrefix(taken, []byte("PROXY ")) || bytes.Index(taken, []byte("\r\n")) != len(taken)-2 || len(taken) > proxyLine {
			t.Errorf("%q is taken for a line", taken)
		}
		if h == (hop{}) {
			return
		}
		if !isUnicast(h.from.Addr()) || !isUnicast(h.to.Addr()) || h.from.Addr().Is4In6() || h.from.Addr().Is4() != h.to.Addr().Is4() {
			t.Errorf("from %s to %s", h.from, h.to)
		}
		if again, err := parseProxy1(fmt.Sprintf("PROXY TCP%s %s %s %d %d", map[bool]string{true: "4", false: "6"}[h.from.Addr().Is4()],
			h.from.Addr(), h.to.Addr(), h.from.Port(), h.to.Port())); err != nil || again != h {
			t.Errorf("%v is %v when written again, %v", h, again, err)
		}
	})
}

// behindProxy is a rig all of whose clients come through a proxy.
func behindProxy(t *testing.T, edits ...func(*Config)) *rig {
	return newRig(t, append(edits, func(c *Config) {
		c.ProxyFrom = []netip.Prefix{netip.PrefixFrom(clientAddr.Addr(), 32)}
	})...)
}

// hello begins a connection with a header and logs alice in.
func (c *client) hello(header string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, header); err != nil {
		c.t.Fatal(err)
	}
	c.want(220)
	c.login("alice")
	c.cmd(200, "TYPE I")
}

// attack 44: who is behind a proxy is who counts, for limits, logs and data
// connections, either through the proxy or not.
func TestBehindProxy(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.5 192.0.2.80 5000 21\r\n"
	bubble(t, func(t *testing.T) {
		r := behindProxy(t, func(c *Config) { c.MaxClientsPerIP = 1 })
		r.put("f", "hello")
		c := r.dial(netip.AddrPort{})
		c.hello(header)
		info := r.srv.Sessions.List()[0]
		if info.Remote.String() != "203.0.113.5:5000" || info.Local.String() != "192.0.2.80:21" {
			t.Errorf("the registry has %s at %s", info.Remote, info.Local)
		}
		if !strings.Contains(r.logs.String(), "addr=203.0.113.5") {
			t.Errorf("the log does not tell:\n%s", r.logs)
		}
		second := r.dial(netip.AddrPort{})
		go io.WriteString(second.conn, header)
		second.want(421)
		other := r.dial(netip.AddrPort{})
		other.hello(header2(1, 0x11, strings.Replace(body4, "\x05", "\x06", 1)))

		if text := c.cmd(227, "PASV"); !strings.Contains(text, "(192,0,2,80,") {
			t.Errorf("PASV: %q", text)
		}
		c.cmd(500, "PORT 198,51,100,7,200,1") // the proxy itself
		c.cmd(200, "PORT 203,0,113,5,200,1")

		for name, tt := range map[string]struct {
			from, header string
			good         bool
		}{
			"through the proxy":                       {clientAddr.String(), header, true},
			"directly":                                {"203.0.113.5:6000", "", true},
			"another client through the proxy":        {clientAddr.String(), "PROXY TCP4 203.0.113.6 192.0.2.80 6000 30000\r\n", false},
			"through the proxy, without a header":     {clientAddr.String(), "hello, I am nobody", false},
			"the proxy itself":                        {clientAddr.String(), "PROXY UNKNOWN\r\n", false},
			"a header of one that is not the proxy's": {"203.0.113.66:6000", header, false},
		} {
			c.passiveFrom(tt.from, tt.header, tt.good, name)
		}
		if !strings.Contains(r.logs.String(), `"data connection from a stranger" session=1 addr=203.0.113.5 user=alice from=203.0.113.6 `) {
			t.Errorf("the log does not tell who came through the proxy:\n%s", r.logs)
		}
	})
}

// passiveFrom downloads f over a connection from there that begins with a header.
func (c *client) passiveFrom(from, header string, good bool, name string) {
	c.t.Helper()
	c.passive().Close() // learns the port, and is itself no proxy that says for whom
	data := c.connect(netip.MustParseAddrPort(from))
	defer data.Close()
	go io.WriteString(data, header)
	c.cmd(150, "RETR f")
	got, _ := io.ReadAll(data)
	if good != (string(got) == "hello") {
		c.t.Errorf("%s: got %q", name, got)
	}
	want := 226
	if !good {
		want = 425
	}
	c.want(want)
}

// attack 44: a proxy that says nothing, or something else, is nobody.
func TestProxyWithoutHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := behindProxy(t)
		silent := r.dial(netip.AddrPort{})
		if took := elapsed(silent.gone); took != proxyTimeout {
			t.Errorf("silence took %v", took)
		}
		slow := r.dial(netip.AddrPort{})
		go func() {
			for _, b := range []byte("PROXY TCP4 203.0.113.5 ") {
				time.Sleep(time.Second) // virtual
				if _, err := slow.conn.Write([]byte{b}); err != nil {
					return
				}
			}
		}()
		if took := elapsed(slow.gone); took != proxyTimeout {
			t.Errorf("a dribble took %v", took)
		}
		time.Sleep(time.Minute)
		for _, text := range []string{"USER alice\r\nPASS secret\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
			c := r.dial(netip.AddrPort{})
			go io.WriteString(c.conn, text)
			c.gone()
		}
		if n := r.srv.Sessions.Len(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

// attack 44: a header of somebody who is no proxy is no command.
func TestProxyHeaderOfAnybody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(421, "PROXY TCP4 203.0.113.5 192.0.2.80 5000 21")
		c.gone()
		c = r.dial(netip.AddrPort{})
		c.want(220)
		go io.WriteString(c.conn, header2(1, 0x11, body4))
		for _, code := range []int{500, 500, 500, 221} { // the signature says QUIT
			c.want(code)
		}
		c.gone()
		if strings.Contains(r.logs.String(), "203.0.113.5\"") {
			t.Errorf("the log believes it:\n%s", r.logs)
		}
	})
}

// A server that stops does not wait for headers.
func TestShutdownBeforeHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := behindProxy(t)
		r.dial(netip.AddrPort{})
		time.Sleep(time.Second)
		if took := elapsed(func() { r.srv.Shutdown(t.Context()) }); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Over real sockets: not a byte behind the header is lost, on either connection.
func TestProxyOverSockets(t *testing.T) {
	r := newRig(t, func(c *Config) { c.ProxyFrom = prefixes("127.0.0.0/8") })
	content := strings.Repeat("0123456789abcdef", 1<<16)
	r.put("f", content)
	conn := r.real()
	io.WriteString(conn, header2(1, 0x11, body4)+"USER alice\r\nPASS secret\r\nTYPE I\r\n")
	c := r.on(conn)
	for _, code := range []int{220, 331, 230, 200} {
		c.want(code)
	}
	data := c.epsv()
	io.WriteString(data, "PROXY TCP4 203.0.113.5 192.0.2.80 6000 30000\r\n")
	c.cmd(150, "RETR f")
	if got, err := io.ReadAll(data); err != nil || string(got) != content {
		t.Errorf("RETR: %d bytes, %v", len(got), err)
	}
	data.Close()
	c.want(226)
	data = c.epsv()
	io.WriteString(data, "PROXY TCP4 203.0.113.5 192.0.2.80 6000 30000\r\n"+content)
	data.Close()
	c.cmd(150, "STOR g")
	c.want(226)
	if r.get("g") != content {
		t.Error("STOR changed the content")
	}
	c.pasv() // and one that says nothing is told apart
	lone, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.pasv()))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(lone, "not a header at all")
	c.say("RETR f")
	if got, _ := io.ReadAll(lone); len(got) > 0 {
		t.Errorf("without a header: %d bytes", len(got))
	}
	c.want(150)
	c.cmd(426, "ABOR")
	c.want(226)
}

// The address that TLSDataBinding prefer looks at is the one behind the proxy, and
// not the proxy's: who comes from the client's own need not resume anything.
func TestProtectedDataBehindProxy(t *testing.T) {
	r := newRig(t, withTLS, func(c *Config) { c.ProxyFrom = prefixes("127.0.0.0/8") })
	r.put("f", "hello")
	conn := r.real()
	io.WriteString(conn, "PROXY TCP4 203.0.113.5 192.0.2.80 5000 21\r\n")
	c := r.on(conn)
	c.shield("alice")
	c.tls = clientTLS() // which has no ticket
	data := c.epsv()
	io.WriteString(data, "PROXY TCP4 203.0.113.5 192.0.2.80 6000 30000\r\n")
	c.cmd(150, "RETR f")
	protected := c.protect(data)
	if got, err := io.ReadAll(protected); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	protected.Close()
	c.want(226)
}
