package server

import (
	"bytes"
	"context"
	"errors"
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
		c.login("reader")
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
		c.login("nobody")
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
		c.login("slow")
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
		c.login("alice")
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
