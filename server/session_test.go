package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"portreeve/server/auth"
	"portreeve/userdb"
)

// T016, T017: lines without end are bounded, and do not end the session at once.
func TestLongLinesT016T017(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.dial(netip.AddrPort{})
		c.want(220)
		go io.WriteString(c.conn, strings.Repeat("a", 20_000)+"\r\nNOOP\r\n")
		c.want(500)
		c.want(200)
		go io.WriteString(c.conn, strings.Repeat("b", 100_000))
		c.want(421)
		c.gone()
	})
}

// The reader's buffer never holds more than a line may be long.
func TestLineReaderIsBounded(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		io.WriteString(near, strings.Repeat("x", 9000)+"\n")
		near.Close()
	}()
	l := newLineReader(far, 1024)
	if _, _, err := l.read(); !errors.Is(err, errLineLong) {
		t.Fatalf("read: %v", err)
	}
	if len(l.buf) > 1026 {
		t.Errorf("the buffer has %d bytes", len(l.buf))
	}
}

// T192: what waits for the end of a transfer is bounded.
func TestQueueIsBoundedT192(t *testing.T) {
	for name, flood := range map[string]string{
		"lines": strings.Repeat("NOOP\r\n", queueLines+10),
		"bytes": strings.Repeat("SIZE "+strings.Repeat("x", 4000)+"\r\n", 20),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.put("f", "hello")
				c := r.login()
				c.passive()
				c.cmd(150, "RETR f")
				time.Sleep(time.Second)
				go io.WriteString(c.conn, flood)
				c.want(426)
				c.want(421)
				c.gone()
			})
		})
	}
}

// T003, T004, T055: sessions in all, of one address, of one user.
func TestSessionLimitsT003T004T055(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxClients, c.MaxClientsPerIP, c.PerUserLimits.User = 3, 2, 1 })
		a := r.login()
		b := r.dial(netip.AddrPort{})
		b.want(220)
		full := r.dial(netip.AddrPort{})
		if text := full.want(421); !strings.Contains(text, "(2) from this address") {
			t.Errorf("third from one address: %q", text)
		}
		full.gone()
		b.cmd(331, "USER alice")
		if text := b.cmd(421, "PASS secret"); !strings.Contains(text, "(1) of this user") {
			t.Errorf("second of one user: %q", text)
		}
		b.gone()
		<-b.done
		others := []*client{r.dial(netip.MustParseAddrPort("198.51.100.8:1")), r.dial(netip.MustParseAddrPort("198.51.100.9:1"))}
		for _, c := range others {
			c.want(220)
		}
		full = r.dial(netip.MustParseAddrPort("198.51.100.10:1"))
		full.want(421)
		full.gone()
		a.cmd(221, "QUIT")
		<-a.done
		r.dial(netip.AddrPort{}).want(220)
	})
}

// T053: a home that is not there.
func TestHomeIsMissingT053(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		addUser(t, userdb.At(r.srv.Config().UserDB), "bob", "secret", r.home+"/nosuch")
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER bob")
		if text := c.cmd(421, "PASS secret"); strings.Contains(text, r.home) {
			t.Errorf("the client learns a path of the host: %q", text)
		}
		c.gone()
	})
}

// T074: a user who may only read, and one who may do nothing.
func TestPermissionsT074(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", "hello")
		db := userdb.At(r.srv.Config().UserDB)
		readOnly := func(u *userdb.User) { u.Perms = userdb.PermList | userdb.PermRead }
		addUser(t, db, "reader", "secret", r.home, readOnly)
		addUser(t, db, "nobody", "secret", r.home, func(u *userdb.User) { u.Perms = 0 })
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER reader")
		c.cmd(230, "PASS secret")
		c.passive()
		for _, cmd := range []string{"STOR g", "STOR f", "APPE f", "STOU", "MKD d", "RMD d", "DELE f", "RNFR f",
			"SITE CHMOD 600 f", "MFMT 20200102030405 f", "SITE UTIME 20200102030405 f"} {
			c.cmd(550, "%s", cmd)
		}
		if text := c.cmd(250, "MLST f"); !strings.Contains(text, "perm=r;") {
			t.Errorf("MLST: %q", text)
		}
		if data, code := c.retr("RETR f"); data != "hello" || code != 226 {
			t.Errorf("RETR: %q, %d", data, code)
		}
		c.cmd(220, "REIN")
		c.cmd(331, "USER nobody")
		c.cmd(230, "PASS secret")
		c.passive()
		for _, cmd := range []string{"RETR f", "LIST", "NLST", "MLSD", "STOR g"} {
			c.cmd(550, "%s", cmd)
		}
		if r.get("f") != "hello" || r.exists("g") {
			t.Error("a file was touched")
		}
	})
}

// T052: who may not log in is told what a wrong password is told.
func TestRefusalsLookAlikeT052(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.LoginDelay = 0 })
		db := userdb.At(r.srv.Config().UserDB)
		addUser(t, db, "disabled", "secret", r.home, func(u *userdb.User) { u.Disabled = true })
		addUser(t, db, "expired", "secret", r.home, func(u *userdb.User) { u.Expires = time.Now().Add(-time.Hour) })
		addUser(t, db, "locked", "secret", r.home, func(u *userdb.User) { u.Password = "!" + u.Password })
		for _, name := range []string{"alice", "nosuch", "disabled", "expired", "locked"} {
			password := "secret"
			if name == "alice" {
				password = "wrong"
			}
			c := r.dial(netip.AddrPort{})
			c.want(220)
			user := c.cmd(331, "USER %s", name)
			pass := c.cmd(530, "PASS %s", password)
			if user != "331 Password required" || pass != "530 Login incorrect" {
				t.Errorf("%s: %q, %q", name, user, pass)
			}
			c.conn.Close()
		}
	})
}

// A login that nobody can judge is refused, and not held against the client.
func TestUsersAreUnreadable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		db := r.srv.Config().UserDB
		if err := os.WriteFile(db, bytes.Repeat([]byte("garbage"), 10000), 0o600); err != nil {
			t.Fatal(err)
		}
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER alice")
		if took := elapsed(func() { c.cmd(421, "PASS secret") }); took >= r.srv.Config().LoginDelay {
			t.Errorf("it took %v", took)
		}
		c.gone()
		if !strings.Contains(r.logs.String(), "level=ERROR msg=\"checking a login\"") {
			t.Errorf("the log does not tell:\n%s", r.logs)
		}
	})
}

// A login that has no time left is refused, right as its password is, and not held
// against the client.
func TestLoginOutOfTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		cfg := r.srv.Config()
		for _, c := range []struct {
			left time.Duration
			in   bool
		}{{time.Minute, true}, {-time.Second, false}} {
			s := &session{srv: r.srv, cfg: &cfg, name: "alice", born: time.Now().Add(c.left - cfg.LoginTimeout)}
			account, err := s.authenticate(t.Context(), auth.Attempt{Password: "secret"})
			if (err == nil) != c.in || c.in != (account.Name == "alice") {
				t.Errorf("%v left: %q, %v", c.left, account.Name, err)
			}
			if errors.Is(err, auth.ErrDenied) || errors.Is(err, auth.ErrUnknown) {
				t.Errorf("%v left: counted as a failure: %v", c.left, err)
			}
		}
	})
}

// A password is in no log, however verbose, and neither is the forgery of one.
func TestLogsHoldNoSecretT313(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.VerboseLog, c.LoginDelay = 2, 0 })
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER alice")
		c.cmd(530, "PASS hunter2")
		c.cmd(202, "ACCT hunter2")
		c.cmd(331, "USER alice\x1b[31m\nlevel=ERROR")
		c.want(500) // the second line
		c.cmd(530, "pass hunter2")
		c.conn.Close()
		<-c.done
		logs := r.logs.String()
		if strings.Contains(logs, "hunter2") {
			t.Errorf("the log has the password:\n%s", logs)
		}
		if strings.Contains(logs, "\x1b") || strings.Contains(logs, "\nlevel=ERROR") {
			t.Errorf("the log was forged:\n%s", logs)
		}
		for _, i := range r.srv.Sessions.List() {
			if strings.Contains(i.Command, "hunter2") {
				t.Errorf("the registry has the password: %q", i.Command)
			}
		}
	})
}

// The registry follows what a session does.
func TestRegistryFollows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", strings.Repeat("x", 100))
		mkdir(t, r, "sub")
		c := r.login()
		c.cmd(200, "CLNT tester 1.0\x07")
		c.cmd(250, "CWD sub")
		c.cmd(200, "TYPE I")
		info := r.srv.Sessions.List()[0]
		if info.State.String() != "idle" || info.User != "alice" || info.Cwd != "/sub" || info.Client != "tester 1.0?" ||
			info.Remote != clientAddr || info.Local != serverAddr || info.Command != "TYPE I" {
			t.Errorf("idle: %+v", info)
		}
		data := c.passive()
		c.cmd(350, "REST 10")
		c.cmd(150, "RETR /f")
		buf := make([]byte, 40)
		if _, err := io.ReadFull(data, buf); err != nil {
			t.Fatal(err)
		}
		info = r.srv.Sessions.List()[0]
		if info.State.String() != "downloading" || info.Path != "/f" || info.Size != 100 || info.Offset != 10 {
			t.Errorf("downloading: %+v", info)
		}
		io.ReadAll(data)
		c.want(226)
		info = r.srv.Sessions.List()[0]
		if info.State.String() != "idle" || info.TotalDown != 90 || info.FilesDown != 1 {
			t.Errorf("after: %+v", info)
		}
	})
}

// T149: a rate is kept, within a hundredth, and ABOR is still answered at once.
func TestThrottleT149(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", strings.Repeat("x", 1<<20))
		addUser(t, userdb.At(r.srv.Config().UserDB), "slow", "secret", r.home, func(u *userdb.User) {
			u.UploadRate, u.DownloadRate = 50<<10, 100<<10
		})
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER slow")
		c.cmd(230, "PASS secret")
		c.cmd(200, "TYPE I")
		near := func(got, want time.Duration) bool { return got > want*99/100 && got < want*101/100 }
		if took := elapsed(func() { c.retr("RETR f") }); !near(took, 1<<20/(100<<10)*time.Second+240*time.Millisecond) {
			t.Errorf("1 MiB at 100 KiB/s took %v", took)
		}
		if took := elapsed(func() { c.stor(strings.Repeat("y", 500<<10), "STOR g") }); !near(took, 10*time.Second) {
			t.Errorf("500 KiB at 50 KiB/s took %v", took)
		}
		data := c.passive()
		go io.Copy(io.Discard, data)
		c.cmd(150, "RETR f")
		time.Sleep(3 * time.Second)
		if took := elapsed(func() { c.cmd(426, "ABOR"); c.want(226) }); took > time.Second {
			t.Errorf("ABOR took %v", took)
		}
	})
}

// T118: an active connection comes from our address and the port before ours.
func TestActiveT118(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", "hello")
		c := r.login()
		c.cmd(200, "TYPE I")
		l, err := r.net.listenAt(netip.MustParseAddrPort("198.51.100.7:51201"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, cmd := range []string{"PORT 198,51,100,7,200,1", "EPRT |1|198.51.100.7|51201|"} {
			c.cmd(200, "%s", cmd)
			c.say("RETR f")
			data, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.want(150)
			if got, _ := io.ReadAll(data); string(got) != "hello" {
				t.Errorf("%s: %q", cmd, got)
			}
			c.want(226)
		}
		for _, from := range r.net.dialed {
			if from != netip.AddrPortFrom(serverAddr.Addr(), 20) {
				t.Errorf("the connection came from %s", from)
			}
		}
	})
}

// T106: the same over IPv6.
func TestIPv6T106(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		old := serverAddr
		serverAddr = netip.MustParseAddrPort("[2001:db8::1]:21")
		defer func() { serverAddr = old }()
		c := r.dial(netip.MustParseAddrPort("[2001:db8::7]:4000"))
		c.want(220)
		c.cmd(331, "USER alice")
		c.cmd(230, "PASS secret")
		c.cmd(229, "EPSV")
		if text := c.cmd(522, "EPSV 1"); !strings.HasSuffix(text, "(2)") {
			t.Errorf("EPSV 1: %q", text)
		}
		c.cmd(425, "PASV")
		c.cmd(500, "PORT 198,51,100,7,200,1")
		c.cmd(200, "EPRT |2|2001:db8::7|4001|")
		c.cmd(522, "EPRT |1|198.51.100.7|4001|")
	})
}

// T146: a file that becomes shorter while it is sent.
func TestShrinkingFileT146(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", strings.Repeat("x", 3*stepMax))
		c := r.login()
		c.cmd(200, "TYPE I")
		data := c.passive()
		c.cmd(150, "RETR f")
		if _, err := io.ReadFull(data, make([]byte, 1024)); err != nil {
			t.Fatal(err)
		}
		r.put("f", "short")
		io.Copy(io.Discard, data)
		c.want(451)
		c.cmd(200, "NOOP")
	})
}

// T175: two uploads of one name: the last to end stays, whole.
func TestUploadsOfOneNameT175(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		a, b := r.login(), r.login()
		da, db := a.passive(), b.passive()
		a.cmd(150, "STOR f")
		b.cmd(150, "STOR f")
		for range 10 {
			io.WriteString(da, "aaaa")
			io.WriteString(db, "bbbb")
		}
		db.Close()
		b.want(226)
		da.Close()
		a.want(226)
		if got := r.get("f"); got != strings.Repeat("aaaa", 10) {
			t.Errorf("the file is %q", got)
		}
	})
}

// A server that stops ends idle sessions at once and returns.
func TestShutdownWithManySessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var all []*client
		for i := range 50 {
			c := r.dial(netip.AddrPortFrom(clientAddr.Addr(), uint16(1000+i)))
			c.want(220)
			all = append(all, c)
		}
		var wg sync.WaitGroup
		for _, c := range all {
			wg.Go(func() { c.read() })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		wg.Wait()
		if n := r.srv.Sessions.Len(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// real serves a rig on a socket of the loopback, for what only a kernel does.
func (r *rig) real() net.Conn {
	r.t.Helper()
	r.srv.network = tcp{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.serve(l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// serve serves l until the test ends.
func (r *rig) serve(l net.Listener) {
	served := make(chan error, 1)
	go func() { served <- r.srv.Serve(l) }()
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 0)
		defer cancel()
		r.srv.Shutdown(ctx)
		if err := <-served; !errors.Is(err, ErrClosed) {
			r.t.Errorf("Serve: %v", err)
		}
	})
}

// greet logs alice in over a real socket.
func (r *rig) greet() *client {
	r.t.Helper()
	conn := r.real()
	c := &client{t: r.t, rig: r, conn: conn, in: bufio.NewReader(conn)}
	c.want(220)
	c.cmd(331, "USER alice")
	c.cmd(230, "PASS secret")
	c.cmd(200, "TYPE I")
	return c
}

// epsv prepares and connects a data connection over real sockets.
func (c *client) epsv() *net.TCPConn {
	c.t.Helper()
	text := c.cmd(229, "EPSV")
	var port int
	if _, err := fmt.Sscanf(text[strings.Index(text, "(")+1:], "|||%d|", &port); err != nil {
		c.t.Fatal(err)
	}
	data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { data.Close() })
	return data.(*net.TCPConn)
}

// A client that resets its control connection under the reply to a command that
// moves data: the transfer must not outlive what it uses.
func TestControlResetUnderReply(t *testing.T) {
	r := newRig(t)
	for i := range 200 {
		r.put(fmt.Sprintf("file%03d", i), "x")
	}
	for _, cmd := range []string{"LIST", "MLSD", "RETR file000", "STOR new"} {
		for range 10 {
			c := r.greet()
			data := c.epsv()
			c.say("%s", cmd)
			c.conn.(*net.TCPConn).SetLinger(0)
			c.conn.Close()
			data.Close()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if logs := r.logs.String(); strings.Contains(logs, "panic") {
		t.Errorf("the log tells of a fault:\n%s", logs)
	}
}

// T181, T174: ABOR that the server has not read yet when the data ends.
func TestABORBeforeTheEndT181T174(t *testing.T) {
	for range 5 {
		r := newRig(t)
		r.put("f", "the old content")
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR f")
		io.WriteString(data, "half")
		c.say("ABOR")
		data.Close()
		c.want(426)
		c.want(226)
		if got := r.get("f"); got != "the old content" {
			t.Fatalf("the file holds %q", got)
		}
	}
}

// A client that is killed right after 150 leaves the old file as it was.
func TestKilledAtOnce(t *testing.T) {
	for range 10 {
		r := newRig(t)
		r.put("f", "the old content")
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR f")
		io.WriteString(data, "half")
		c.conn.Close()
		data.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r.srv.Shutdown(ctx)
		cancel()
		if got := r.get("f"); got != "the old content" {
			t.Fatalf("the file holds %q", got)
		}
	}
}

// A client that resets the data connection of a download that fits the buffers
// of the kernel did not get it, and one that says something there gets it whole.
func TestEndOfDownloadT286(t *testing.T) {
	r := newRig(t)
	content := strings.Repeat("x", 300_000)
	r.put("f", content)
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "RETR f")
	io.WriteString(data, "?")
	if got, err := io.ReadAll(data); err != nil || string(got) != content {
		t.Errorf("after a stray byte: %d bytes, %v", len(got), err)
	}
	data.Close()
	c.want(226)

	r.put("small", "x")
	data = c.epsv()
	c.cmd(150, "RETR small")
	data.SetLinger(0)
	data.Close()
	if code, text, err := c.read(); err != nil || code != 426 && code != 226 {
		t.Errorf("after a reset: %q, %v", text, err)
	}
	// One that keeps its side open has its reply soon nevertheless.
	c.epsv()
	c.cmd(150, "RETR small")
	start := time.Now()
	c.want(226)
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("226 took %v", took)
	}
}

// A session that is told to end while its client reads nothing ends soon.
func TestKickOfOneThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		c.say("NOOP") // and nobody reads the reply
		time.Sleep(time.Second)
		id := r.srv.Sessions.List()[0].ID
		if took := elapsed(func() {
			r.srv.Sessions.Kick(id, errors.New("enough"))
			<-c.done
		}); took > 3*lingerTime {
			t.Errorf("it took %v", took)
		}
	})
}

// Cameras close both connections as soon as they have sent a picture, and never
// look for a reply: the picture is kept. Where it would replace another, that
// client may as well have been killed in the middle, and the other may be kept.
func TestClientThatLeavesAtOnce(t *testing.T) {
	for _, old := range []string{"", "the old picture"} {
		r := newRig(t)
		if old != "" {
			r.put("picture", old)
		}
		c := r.greet()
		data := c.epsv()
		c.cmd(150, "STOR picture")
		picture := strings.Repeat("pixels", 100_000)
		if _, err := io.WriteString(data, picture); err != nil {
			t.Fatal(err)
		}
		data.Close()
		c.conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := r.srv.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := r.get("picture"); got != picture && (old == "" || got != old) {
			t.Errorf("over %q: the picture has %d bytes", old, len(got))
		}
	}
}

// Where parts of files do harm, a client that leaves at once leaves nothing.
func TestKeepUnconfirmedNo(t *testing.T) {
	r := newRig(t, func(c *Config) { c.KeepUnconfirmed = false })
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "STOR part")
	io.WriteString(data, "half")
	c.conn.Close()
	data.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if r.exists("part") {
		t.Errorf("the part is there:\n%s", r.logs)
	}
	if strings.Contains(r.logs.String(), "msg=uploaded") {
		t.Errorf("the log has an upload:\n%s", r.logs)
	}
}

// T144, T054, T116: an early end of the client, a goodbye without a reset, and
// passive ports that nobody can guess.
func TestRealSocketsT144T054T116(t *testing.T) {
	r := newRig(t, func(c *Config) { c.PassivePorts.First, c.PassivePorts.Last = 42000, 42999 })
	content := strings.Repeat("0123456789abcdef", 4<<20)
	r.put("f", content)
	c := r.greet()
	var ports []int
	open := func() net.Conn {
		data := c.epsv()
		ports = append(ports, data.RemoteAddr().(*net.TCPAddr).Port)
		return data
	}
	data := open()
	c.cmd(150, "RETR f")
	if _, err := io.ReadFull(data, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	data.Close()
	c.want(426)
	c.cmd(200, "NOOP")

	data = open()
	c.cmd(150, "RETR f")
	got, err := io.ReadAll(data)
	if err != nil || !bytes.Equal(got, []byte(content)) {
		t.Fatalf("RETR: %d bytes, %v", len(got), err)
	}
	c.want(226)

	data = open()
	c.cmd(150, "STOR g")
	if _, err := io.WriteString(data, content); err != nil {
		t.Fatal(err)
	}
	data.Close()
	c.want(226)
	if r.get("g") != content {
		t.Error("STOR changed the content")
	}
	for range 20 {
		open().Close()
	}
	rising := 0
	for i := 1; i < len(ports); i++ {
		if ports[i] < 42000 || ports[i] > 42999 {
			t.Errorf("port %d is not in the range", ports[i])
		}
		if ports[i] == ports[i-1]+1 {
			rising++
		}
	}
	if rising > 5 {
		t.Errorf("passive ports can be guessed: %v", ports)
	}
	// More is on its way to the server when it says goodbye: no reset may eat that.
	io.WriteString(c.conn, "QUIT\r\nNOOP\r\nNOOP\r\n")
	c.want(221)
	if n, err := c.in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after 221: %d, %v", n, err)
	}
}
