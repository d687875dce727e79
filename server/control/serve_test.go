package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/server/session"
)

// TestRequestUnderWayFinishes stops the daemon in the middle of a request.
func TestRequestUnderWayFinishes(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	d := start(t, func(s *Server) {
		s.Reload = func(ctx context.Context) (Reloaded, error) {
			close(entered)
			<-leave
			return Reloaded{}, ctx.Err()
		}
	})
	c := d.client(t)
	if _, err := c.Status(t.Context()); err != nil { // leaves an idle connection, which must hold up nothing
		t.Fatal(err)
	}
	answer := make(chan error)
	go func() {
		_, err := c.Reload(t.Context())
		answer <- err
	}()
	<-entered
	d.stop()
	for { // the socket goes first
		if _, err := os.Lstat(d.socket); err != nil {
			break
		}
		runtime.Gosched()
	}
	close(leave)
	if err := <-answer; err != nil {
		t.Errorf("request under way: %v", err)
	}
	<-d.done
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("after the end: %v, want ErrNoDaemon", err)
	}
}

func TestServeReturnsWhatBreaksIt(t *testing.T) {
	l, err := Listen(filepath.Join(t.TempDir(), "s"), 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	err = (&Server{Sessions: session.New(session.Limits{})}).Serve(t.Context(), l)
	if err == nil || !strings.HasPrefix(err.Error(), "serve control socket: ") {
		t.Errorf("on a closed listener: %v", err)
	}
}

// pipes is a listener whose connections are net.Pipes, for virtual time. It
// cannot tell who the peer is.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// dialDaemon connects to a daemon in memory; stop ends it and waits for that.
func dialDaemon(t *testing.T) (conn net.Conn, stop func()) {
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- (&Server{Sessions: session.New(session.Limits{})}).Serve(ctx, l) }()
	return l.dial(), func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// say sends text and reports whether the other end still listens.
func say(c net.Conn, text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// TestSlowPeers are cut off; nobody holds a connection for nothing.
func TestSlowPeers(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(net.Conn)
		most time.Duration
	}{
		{"says nothing", func(net.Conn) {}, readTime},
		{"stops in the header", func(c net.Conn) { say(c, "GET /v1/status HTTP/1.1\r\nHost:") }, readTime},
		{"drips", func(c net.Conn) {
			for say(c, "G") {
				time.Sleep(time.Second)
			}
		}, readTime},
		{"never ends its header", func(c net.Conn) {
			say(c, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n")
			for say(c, "X: "+strings.Repeat("x", 1000)+"\r\n") {
			}
		}, 0},
		{"asks and stays", func(c net.Conn) {
			say(c, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
		}, keepTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, stop := dialDaemon(t)
				began := time.Now()
				var speaking sync.WaitGroup
				speaking.Go(func() { test.do(conn) })
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Errorf("cut off with %v", err)
				}
				if took := time.Since(began); took > test.most+2*time.Second || took < test.most/2 {
					t.Errorf("cut off after %v, want about %v", took, test.most)
				}
				conn.Close()
				speaking.Wait()
				stop()
			})
		})
	}
}

// TestPeerUnknown is refused whatever it asks.
func TestPeerUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, stop := dialDaemon(t)
		go say(conn, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusForbidden {
			t.Fatalf("answer %v, %v, want 403", resp, err)
		}
		resp.Body.Close()
		conn.Close()
		stop()
	})
}

// TestSilentPeerDoesNotHoldUpTheEnd stops while a peer has not asked yet.
func TestSilentPeerDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, stop := dialDaemon(t)
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		conn.Close()
	})
}

// TestStuckPeerDoesNotHoldUpTheEnd stops while a peer is in the middle of its
// request and says no more.
func TestStuckPeerDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, stop := dialDaemon(t)
		say(conn, "GET /v1/sta")
		began := time.Now()
		stop()
		if took := time.Since(began); took > closingTime+time.Second {
			t.Errorf("took %v", took)
		}
		conn.Close()
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &pipes{conns: make(chan net.Conn, 3), done: make(chan struct{})}
		for range 3 {
			inner.dial()
		}
		l := limit(inner, 2)
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		third := make(chan error)
		accept := func() {
			_, err := l.Accept()
			third <- err
		}
		go accept()
		synctest.Wait()
		select {
		case err := <-third:
			t.Errorf("accepted one too many: %v", err)
		default:
		}
		first.Close()
		first.Close() // frees one place, not two
		if err := <-third; err != nil {
			t.Error(err)
		}
		go accept()
		synctest.Wait()
		l.Close()
		if err := <-third; !errors.Is(err, net.ErrClosed) {
			t.Errorf("waiting for a place when closed: %v", err)
		}
	})
}

// answering is a socket on which every request gets the same bytes.
func answering(t *testing.T, answer string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				t.Error(err)
			}
			say(conn, answer)
			conn.Close()
		}
	}()
	return path
}

// TestStrangeDaemons are those that the client must survive with a plain error.
func TestStrangeDaemons(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
	sized := func(body string) string { return fmt.Sprintf(ok+"Content-Length: %d\r\n\r\n%s", len(body), body) }
	for name, answer := range map[string]string{
		"no HTTP":         "220 ready\r\n",
		"nothing":         "",
		"no list":         sized("{}\n"),
		"no JSON":         sized("[nonsense\n]\n"),
		"list of lists":   sized("[[]\n]\n"),
		"no end":          sized("[" + `{"id":1}` + "\n"),
		"empty":           sized(""),
		"cut":             ok + "Content-Length: 100\r\n\r\n[" + `{"id":1}` + "\n",
		"second has [":    sized("[" + `{"id":1}` + "\n[" + `{"id":2}` + "\n]\n"),
		"endless line":    ok + "\r\n[" + strings.Repeat("x", maxLine+10),
		"plain 500":       "HTTP/1.1 500 Oh\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmist",
		"error, no words": "HTTP/1.1 404 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
	} {
		c := &Client{Socket: answering(t, answer)}
		list, err := c.Sessions(t.Context(), Filter{})
		if err == nil || errors.Is(err, ErrNoDaemon) || errors.Is(err, session.ErrNoSession) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	c := &Client{Socket: answering(t, sized(`[ {"id": 1, "news": true} `+"\n"+`,{"user":"joe","id":2}`+"\n]\n"))}
	list, err := c.Sessions(t.Context(), Filter{})
	if err != nil || len(list) != 2 || list[1].User != "joe" {
		t.Errorf("a newer daemon's list: %+v, %v", list, err)
	}
}

func TestClientGivesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path) // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := (&Client{Socket: path}).Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a daemon that hangs: %v", err)
	}
}

func TestNoDaemon(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	leaveStale(t, dead)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "no", "folder"), filepath.Join(file, "x"), dead, file} {
		_, err := (&Client{Socket: path}).Status(t.Context())
		if !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want ErrNoDaemon with the path", path, err)
		}
	}
}

func TestVersionDiffers(t *testing.T) {
	d := start(t, nil)
	var told []string
	c := &Client{Socket: d.socket, Version: "1.3.0", Differs: func(v string) { told = append(told, v) }}
	defer c.Close()
	for range 2 {
		if _, err := c.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || told[0] != "1.2.3" {
		t.Errorf("told %v, want 1.2.3 once", told)
	}
	same := &Client{Socket: d.socket, Version: "1.2.3", Differs: func(v string) { t.Errorf("%s differs from itself", v) }}
	defer same.Close()
	if _, err := same.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
}
