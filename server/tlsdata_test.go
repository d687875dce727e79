package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	registry "portreeve/server/session"
	"portreeve/userdb"
)

// withTLS is a configuration that offers it.
func withTLS(c *Config) { c.TLS = 1 }

// shielded logs a user in behind TLS over a real socket, with data protected.
func (r *rig) shielded(user string, edits ...func(*tls.Config)) *client {
	r.t.Helper()
	c := r.on(r.real())
	c.shield(user, edits...)
	return c
}

// protect lays the client's TLS over a data connection of its own.
func (c *client) protect(data net.Conn) *tls.Conn {
	c.t.Helper()
	conn := tls.Client(data, c.tls)
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("protecting a data connection: %v\n%s", err, c.rig.logs)
	}
	return conn
}

// versions runs a test with both versions of TLS.
func versions(t *testing.T, test func(t *testing.T, version func(*tls.Config))) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			test(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v })
		})
	}
}

// T285, T286: a download ends with TLS's own end, and its reply does not wait for
// the client's.
func TestEndOfProtectedDownloadT285T286(t *testing.T) {
	versions(t, func(t *testing.T, version func(*tls.Config)) {
		r := newRig(t, withTLS)
		content := strings.Repeat("0123456789abcdef", 1<<16)
		r.put("f", content)
		c := r.shielded("alice", version)
		under := &trunk{Conn: c.epsv(), stall: time.Minute}
		c.cmd(150, "RETR f")
		got, err := io.ReadAll(c.protect(under))
		if err != nil || string(got) != content || under.ended {
			t.Errorf("%d bytes, %v; TCP ended first: %v", len(got), err, under.ended)
		}
		if took := elapsed(func() { c.want(226) }); took > 2*time.Second {
			t.Errorf("226 took %v", took)
		}
		if _, err := under.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after the end of TLS: %v", err)
		}
	})
}

// T288: a client that never reads, and closes as soon as it has written all,
// loses nothing: no ticket waits for it on a data connection.
func TestUploadOfOneThatNeverReadsT288(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	for _, kind := range []struct {
		name   string
		resume bool
		abrupt bool
	}{{"resumed", true, false}, {"in full", false, false}, {"resumed, abrupt", true, true}, {"in full, abrupt", false, true}} {
		t.Run(kind.name, func(t *testing.T) {
			versions(t, func(t *testing.T, version func(*tls.Config)) {
				r := newRig(t, withTLS, func(c *Config) { c.StrictTLSEOF = !kind.abrupt })
				c := r.shielded("alice", version)
				if !kind.resume {
					c.tls = clientTLS(version)
				}
				for range 3 {
					raw := c.epsv()
					c.cmd(150, "STOR f")
					conn := c.protect(&recordReader{Conn: raw}) // which leaves a ticket unread
					if conn.ConnectionState().DidResume != kind.resume {
						t.Fatal("it is resumed, or not, against the test's will")
					}
					if _, err := conn.Write(content); err != nil {
						t.Fatal(err)
					}
					if kind.abrupt {
						raw.Close()
					} else {
						conn.Close()
					}
					c.want(226)
					if got := r.get("f"); got != string(content) {
						t.Errorf("%d of %d bytes arrived", len(got), len(content))
					}
					if !kind.resume {
						c.tls = clientTLS(version)
					}
				}
			})
		})
	}
}

// T287: whoever ends the TCP connection of an upload in the middle of a record,
// or after one, has not ended TLS.
func TestTruncatedUploadT287(t *testing.T) {
	r := newRig(t, withTLS)
	r.put("f", "the old content")
	c := r.shielded("alice")
	for _, half := range []bool{false, true} {
		raw := c.epsv()
		c.cmd(150, "STOR f")
		conn := c.protect(raw)
		io.WriteString(conn, "the new content, or a part of it")
		if half {
			raw.Write([]byte{23, 3, 3, 0, 99, 1, 2, 3})
		}
		raw.Close()
		c.want(426)
		if got := r.get("f"); got != "the old content" {
			t.Errorf("the file holds %q", got)
		}
	}
}

// boundCase is a data connection that resumes the session of somebody.
type boundCase struct {
	whose string                            // "own", "same user", "other user", "gone", "nobody"
	codes map[Binding]int                   // the last reply to a download
	count func(registry.Software) (n int64) // where it is counted if it is taken
}

// T289, and A03 and A04: what a data connection must resume to be taken, by
// TLSDataBinding. Who steals a passive port from the client's own address, as one
// may behind the same NAT, has no ticket of its session.
func TestDataBindingT289(t *testing.T) {
	cases := []boundCase{
		{"own", map[Binding]int{BindOff: 226, BindPrefer: 226, BindUser: 226, BindStrict: 226}, func(s registry.Software) int64 { return s.SameSession }},
		{"same user", map[Binding]int{BindOff: 226, BindPrefer: 226, BindUser: 226, BindStrict: 522}, func(s registry.Software) int64 { return s.SameUser }},
		{"other user", map[Binding]int{BindOff: 226, BindPrefer: 226, BindUser: 522, BindStrict: 522}, func(s registry.Software) int64 { return s.Unbound }},
		{"gone", map[Binding]int{BindOff: 226, BindPrefer: 226, BindUser: 522, BindStrict: 522}, func(s registry.Software) int64 { return s.Unbound }},
		{"nobody", map[Binding]int{BindOff: 226, BindPrefer: 226, BindUser: 522, BindStrict: 522}, func(s registry.Software) int64 { return s.Unbound }},
	}
	versions(t, func(t *testing.T, version func(*tls.Config)) {
		for binding := BindOff; binding <= BindStrict; binding++ {
			t.Run(binding.String(), func(t *testing.T) {
				r := newRig(t, withTLS, func(c *Config) { c.TLSDataBinding = binding })
				addUser(t, userdb.At(r.srv.Config().UserDB), "bob", "secret", r.home)
				r.put("f", "hello")
				c := r.shielded("alice", version)
				c.cmd(200, "CLNT tester")
				for _, bc := range cases {
					r.bind(c, bc, binding, version)
				}
			})
		}
	})
}

func (r *rig) bind(c *client, bc boundCase, binding Binding, version func(*tls.Config)) {
	t := r.t
	t.Helper()
	own := c.tls
	defer func() { c.tls = own }()
	var before registry.Software
	for _, s := range r.srv.Sessions.Software() {
		before = s
	}
	switch bc.whose {
	case "same user":
		c.tls = r.shielded("alice", version).tls
	case "other user":
		c.tls = r.shielded("bob", version).tls
	case "gone":
		other := r.shielded("alice", version)
		c.tls = other.tls
		other.cmd(221, "QUIT")
		other.conn.Close()
		r.srv.tickets.settled(t, 3) // of alice twice, and of bob
	case "nobody":
		c.tls = clientTLS(version)
	}
	data := c.epsv()
	c.cmd(150, "RETR f")
	conn := c.protect(data)
	got, _ := io.ReadAll(conn)
	conn.Close()
	code, text, err := c.read()
	if err != nil || code != bc.codes[binding] {
		t.Errorf("%s's session: %q, %v, not %d", bc.whose, text, err, bc.codes[binding])
	}
	if (string(got) == "hello") != (code == 226) || code != 226 && len(got) > 0 {
		t.Errorf("%s's session: got %q", bc.whose, got)
	}
	all := r.srv.Sessions.Software()
	if len(all) != 1 || all[0].Client != "tester" {
		t.Fatalf("%s's session: counted as %+v", bc.whose, all)
	}
	if code == 226 && bc.count(all[0]) != bc.count(before)+1 {
		t.Errorf("%s's session: counted as %+v after %+v", bc.whose, all[0], before)
	}
}

// settled waits until so many tokens live: a session that has ended gives its own
// up a moment later.
func (k *tickets) settled(t testing.TB, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		k.mu.Lock()
		live := len(k.live)
		k.mu.Unlock()
		if live <= n {
			return
		}
	}
	t.Errorf("sessions that ended still have their tokens")
}

// A03, A04: who connects from another address is not served, with TLS or without,
// and the client is still awaited. Where FXP lets other servers connect, who none
// are, it takes a binding to keep strangers out.
func TestPortTheftFromAnotherAddress(t *testing.T) {
	for _, fxp := range []bool{false, true} {
		t.Run(fmt.Sprintf("FXP %v", fxp), func(t *testing.T) {
			r := newRig(t, withTLS, func(c *Config) {
				if c.UserFXP = fxp; fxp {
					c.TLSDataBinding = BindUser
				}
			})
			c := r.shielded("alice")
			text := c.cmd(229, "EPSV")
			port := strings.Split(text, "|")[3]
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			thief, err := d.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer thief.Close()
			if fxp {
				c.cmd(150, "STOR f")
				conn := tls.Client(thief, clientTLS())
				if err := conn.Handshake(); err == nil {
					io.WriteString(conn, "forged")
					conn.Close()
				}
				c.want(522)
			} else {
				data, err := net.Dial("tcp", "127.0.0.1:"+port)
				if err != nil {
					t.Fatal(err)
				}
				c.cmd(150, "STOR f")
				thief.SetDeadline(time.Now().Add(10 * time.Second))
				if n, err := thief.Read(make([]byte, 1)); n > 0 || err == nil {
					t.Error("the thief is served")
				}
				conn := c.protect(data)
				io.WriteString(conn, "true")
				conn.Close()
				c.want(226)
			}
			if fxp == r.exists("f") {
				t.Errorf("the file is there: %v", !fxp)
			}
		})
	}
}

// T291: a session that has moved a thousand files holds no more than at first.
func TestThousandProtectedTransfersT291(t *testing.T) {
	r := newRig(t, withTLS)
	r.put("f", "hello")
	c := r.shielded("alice")
	c.conn.SetDeadline(time.Now().Add(2 * time.Minute)) // it is much
	transfer := func() {
		data := c.epsv()
		c.cmd(150, "RETR f")
		conn := c.protect(data)
		if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
		conn.Close()
		c.want(226)
	}
	transfer()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	for range 1000 {
		transfer()
	}
	settle(t, goroutines, files)
}

// T290: ABOR behind TLS that the server has not read yet when the data ends.
func TestProtectedABORBeforeTheEndT290(t *testing.T) {
	for range 20 {
		r := newRig(t, withTLS)
		r.put("f", "the old content")
		c := r.shielded("alice")
		data := c.epsv()
		c.cmd(150, "STOR f")
		conn := c.protect(data)
		io.WriteString(conn, "half")
		c.say("ABOR")
		conn.Close()
		c.want(426)
		c.want(226)
		if got := r.get("f"); got != "the old content" {
			t.Fatalf("the file holds %q", got)
		}
	}
}

// A protected client that is killed in the middle leaves the old file, and one
// that says QUIT has its new one.
func TestProtectedClientThatLeaves(t *testing.T) {
	for _, quits := range []bool{false, true} {
		r := newRig(t, withTLS)
		r.put("f", "the old content")
		c := r.shielded("alice")
		data := c.epsv()
		c.cmd(150, "STOR f")
		conn := c.protect(data)
		io.WriteString(conn, "new")
		if quits {
			c.say("QUIT")
		}
		c.raw.Close()
		conn.Close()
		r.srv.tickets.settled(t, 0)
		want := "the old content"
		if quits {
			want = "new"
		}
		if got := r.get("f"); got != want {
			t.Errorf("QUIT %v: the file holds %q\n%s", quits, got, r.logs)
		}
	}
}

// T277: we are the server of TLS also where we connect, with the certificate of
// the control connection.
func TestActiveModeT277(t *testing.T) {
	r := newRig(t, withTLS)
	r.put("f", "hello")
	c := r.shielded("alice")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	c.cmd(200, "EPRT |1|127.0.0.1|%d|", port)
	c.cmd(150, "RETR f")
	data, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := c.protect(data)
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	conn.Close()
	c.want(226)
	ours := c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	if !conn.ConnectionState().PeerCertificates[0].Equal(ours) {
		t.Error("the certificates differ")
	}
}

// T293: what follows the client's end of TLS in the same packet is read in clear.
func TestCCCInOnePacketT293(t *testing.T) {
	versions(t, func(t *testing.T, version func(*tls.Config)) {
		r := newRig(t, withTLS, func(c *Config) { c.AllowCCC = true })
		conn := &hoarder{Conn: r.real()}
		c := r.on(conn)
		c.want(220)
		c.secure(version)
		c.login("alice")
		c.cmd(200, "CCC")
		if n, err := c.conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("the server does not end TLS: %d, %v", n, err)
		}
		conn.hoard = true
		c.conn.(*tls.Conn).CloseWrite()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		conn.Conn.Write(append(conn.kept, "PWD\r\n"...))
		c.conn, c.in = conn.Conn, bufio.NewReader(conn.Conn)
		c.want(257)
		c.cmd(200, "NOOP")
	})
}

// A hoarder keeps what is written, if it is told to.
type hoarder struct {
	net.Conn
	hoard bool
	kept  []byte
}

func (h *hoarder) Write(p []byte) (int, error) {
	if h.hoard {
		h.kept = append(h.kept, p...)
		return len(p), nil
	}
	return h.Conn.Write(p)
}

// A06: no more than so many handshakes of one address are under way, and others
// are not kept out by them.
func TestHandshakesAreBoundedA06(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withTLS, func(c *Config) { c.MaxClients = 1000 })
		var all []*client
		for range handshakesPerHost {
			c := r.dial(clientAddr)
			c.want(220)
			c.cmd(234, "AUTH TLS")
			all = append(all, c)
		}
		c := r.dial(clientAddr)
		c.want(220)
		c.cmd(234, "AUTH TLS")
		c.gone()
		other := r.dial(netip.MustParseAddrPort("198.51.100.8:40000"))
		other.want(220)
		other.secure()
		other.cmd(200, "NOOP")
		time.Sleep(handshakeTime) // virtual
		for _, c := range all {
			c.gone()
			<-c.done
		}
		c = r.dial(clientAddr)
		c.want(220)
		c.secure()
		c.cmd(200, "NOOP")
	})
}

// A06: a client of IPv6 has many addresses to come from.
func TestHandshakesAreBoundedByNetwork(t *testing.T) {
	var h handshakes
	begin := func(from string, i int) bool {
		_, ok := h.enter(netip.MustParseAddr(fmt.Sprint(from, i)))
		return ok
	}
	for i := range handshakesPerHost {
		if !begin("2001:db8::", i) {
			t.Fatalf("handshake %d is refused", i)
		}
	}
	if begin("2001:db8::", handshakesPerHost) {
		t.Error("another address of the same network begins one more")
	}
	if !begin("2001:db8:0:1::", 1) {
		t.Error("another network may not begin one")
	}
}

// T034: a client that resets its connection leaves nothing behind.
func TestResetT034(t *testing.T) {
	for _, protected := range []bool{false, true} {
		r := newRig(t, withTLS)
		var c *client
		if protected {
			c = r.shielded("alice")
		} else {
			c = r.greet()
			c.raw = c.conn
		}
		text := c.cmd(229, "EPSV")
		port := strings.Split(text, "|")[3]
		c.raw.(*net.TCPConn).SetLinger(0)
		c.raw.Close()
		end := time.Now().Add(10 * time.Second)
		for r.srv.Sessions.Len() > 0 && time.Now().Before(end) {
			runtime.Gosched()
		}
		if n := r.srv.Sessions.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if data, err := net.Dial("tcp", "127.0.0.1:"+port); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the passive port is still open: %v", err)
			data.Close()
		}
		r.srv.tickets.settled(t, 0)
	}
}

// Who showed a certificate on the control connection shows the same one on data
// connections, or resumes the session.
func TestDataNeedsTheSameCertificate(t *testing.T) {
	mine, other := testAuthority().issue("alice"), testAuthority().issue("bob")
	with := func(certs ...*tls.Certificate) func(*tls.Config) {
		return func(c *tls.Config) {
			for _, cert := range certs {
				c.Certificates = append(c.Certificates, *cert)
			}
		}
	}
	versions(t, func(t *testing.T, version func(*tls.Config)) {
		for _, demand := range []string{"optional", "required"} {
			r := newRig(t, withTLS, func(c *Config) { c.TLSClientCert, c.TLSClientCA = demand, testAuthority().file(t) })
			r.put("f", "hello")
			c := r.shielded("alice", version, with(mine))
			for _, try := range []struct {
				what string
				cfg  *tls.Config
				code int
			}{
				{"resumed", c.tls, 226}, {"the same", clientTLS(version, with(mine)), 226},
				{"another", clientTLS(version, with(other)), 522}, {"none", clientTLS(version), 522},
			} {
				data := c.epsv()
				c.cmd(150, "RETR f")
				conn := tls.Client(data, try.cfg)
				got, _ := io.ReadAll(conn)
				conn.Close()
				if code, text, err := c.read(); err != nil || code != try.code || (string(got) == "hello") != (code == 226) {
					t.Errorf("%s, certificate: %s: %q, %v, and the data %q", demand, try.what, text, err, got)
				}
			}
		}
	})
}

// A client that never stops asking for the state of things, at the end of an upload
// behind TLS, does not keep that end off.
func TestProtectedFloodAtTheEnd(t *testing.T) {
	r := newRig(t, withTLS)
	c := r.shielded("alice")
	data := c.epsv()
	c.cmd(150, "STOR f")
	conn := c.protect(data)
	go func() {
		flood := strings.Repeat("STAT\r\n", 500)
		for {
			if _, err := io.WriteString(c.conn, flood); err != nil {
				return
			}
		}
	}()
	io.WriteString(conn, "all of it")
	conn.Close()
	c.raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	code := 0
	for code != 226 {
		var err error
		if code, _, err = c.read(); err != nil {
			t.Fatalf("the upload does not end: %v", err)
		}
	}
	c.raw.Close()
}

// What TLS itself has to say is said also when the last reply is long ago: here why
// it ends, elsewhere that the keys of a client that asked for new ones are changed.
func TestTLSSpeaksAfterALongTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withTLS)
		c := r.secureLogin()
		time.Sleep(2 * replyTimeout) // virtual
		c.raw.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...))
		if _, err := c.conn.Read(make([]byte, 1)); err == nil || err.Error() != "remote error: tls: bad record MAC" {
			t.Errorf("the client is told %v", err)
		}
		<-c.done
	})
}
