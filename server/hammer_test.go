package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fifty sessions behind TLS move files, change their minds, are kicked and leave,
// while certificates and configuration change, and then the server stops in the
// middle of it. Whatever was acknowledged is whole, and nothing is left behind.
func TestHammer(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), openFiles()
	r := newRig(t, withTLS, func(c *Config) { c.AllowCCC, c.MaxClients, c.MaxClientsPerIP = true, 0, 0 })
	r.srv.network = tcp{}
	r.logs.Grow(64 << 20)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = r.srv.Serve(l) })
	h := &hammer{rig: r, at: l.Addr().String(), content: bytes.Repeat([]byte("0123456789abcdef"), 3<<15)}
	r.put("big", string(h.content))
	certs := [...]*tls.Certificate{testCertificate(), testAuthority().issue(testHost)}
	var turn atomic.Int64
	r.srv.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certs[turn.Load()%2], nil }

	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			for n := 0; !h.over.Load(); n++ {
				h.session(i, n)
			}
		})
	}
	clients.Go(func() {
		for !h.over.Load() {
			turn.Add(1)
			r.srv.Configure(r.srv.Config())
			list := r.srv.Sessions.List()
			if len(list) > 0 {
				id := list[rand.IntN(len(list))].ID
				if rand.IntN(2) == 0 {
					r.srv.Sessions.Kick(id, errors.New("enough"))
				} else {
					_ = r.srv.Sessions.Abort(id)
				}
			}
			pause(t.Context(), 50*time.Millisecond)
		}
	})
	if testing.Short() {
		pause(t.Context(), 200*time.Millisecond)
	} else {
		pause(t.Context(), 2*time.Second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if took := elapsed(func() { r.srv.Shutdown(ctx) }); took > 10*time.Second {
		t.Errorf("to stop took %v", took)
	}
	h.over.Store(true)
	clients.Wait()
	serving.Wait()
	t.Logf("%d sessions, %d uploads, %d downloads, %d cut", h.sessions.Load(), h.stored.Load(), h.fetched.Load(), h.cut.Load())
	h.acknowledged.Range(func(name, size any) bool {
		if got, err := os.ReadFile(filepath.Join(r.home, name.(string))); err != nil || !bytes.Equal(got, h.content[:size.(int)]) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), size, err)
		}
		return true
	})
	if n := r.srv.Sessions.Len(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	r.srv.tickets.settled(t, 0)
	settle(t, goroutines, files)
	for _, bad := range []string{"panic", "level=ERROR"} {
		if strings.Contains(r.logs.String(), bad) {
			t.Errorf("the log has %s", bad)
		}
	}
}

// settle waits for what closes in the background.
func settle(t *testing.T, goroutines, files int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && (runtime.NumGoroutine() > goroutines+3 || openFiles() > files+3); {
		runtime.Gosched()
	}
	if g, f := runtime.NumGoroutine(), openFiles(); g > goroutines+3 || f > files+3 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines and %d files became %d and %d\n%s", goroutines, files, g, f, buf[:runtime.Stack(buf, true)])
	}
}

type hammer struct {
	*rig
	at                             string
	content                        []byte
	over                           atomic.Bool
	acknowledged                   sync.Map // of names and sizes
	sessions, stored, fetched, cut atomic.Int64
}

// session is one that ends when anything goes wrong: much does, on purpose.
func (h *hammer) session(i, n int) {
	conn, err := net.Dial("tcp", h.at)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{rig: h.rig, conn: conn, in: bufio.NewReader(conn)}
	if !c.tells(220, "") || !c.tells(234, "AUTH TLS") {
		return
	}
	version := uint16(tls.VersionTLS12 + n%2)
	if c.handshake(clientTLS(func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })) != nil {
		return
	}
	for _, line := range []string{"331 USER alice", "230 PASS secret", "200 PBSZ 0", "200 PROT P", "200 TYPE I"} {
		code := 0
		fmt.Sscan(line[:3], &code)
		if !c.tells(code, line[4:]) {
			return
		}
	}
	h.sessions.Add(1)
	for k := range 5 {
		if !h.transfer(c, fmt.Sprintf("f-%d-%d-%d", i, n, k)) {
			return
		}
	}
	c.tells(221, "QUIT")
}

func (c *client) tells(code int, line string) bool {
	if line != "" {
		if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
			return false
		}
	}
	got, _, err := c.read()
	return err == nil && got == code
}

// transfer moves one file, or a part of it; false if the session is over.
func (h *hammer) transfer(c *client, name string) bool {
	if _, err := io.WriteString(c.conn, "EPSV\r\n"); err != nil {
		return false
	}
	code, text, err := c.read()
	if err != nil || code != 229 {
		return false
	}
	raw, err := net.Dial("tcp", "127.0.0.1:"+strings.Split(text, "|")[3])
	if err != nil {
		return false
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	data := tls.Client(raw, c.tls)
	switch rand.IntN(4) {
	case 0:
		return h.abort(c, data, name)
	case 1:
		return h.fetch(c, data)
	}
	return h.store(c, data, name)
}

func (h *hammer) abort(c *client, data *tls.Conn, name string) bool {
	verb, size := "RETR big", rand.Int64N(int64(len(h.content)))
	if rand.IntN(2) == 0 {
		verb = "STOR " + name
	}
	if !c.tells(150, verb) {
		return false
	}
	h.cut.Add(1)
	if verb == "RETR big" {
		_, _ = io.CopyN(io.Discard, data, size)
	} else {
		_, _ = data.Write(h.content[:size])
	}
	if _, err := io.WriteString(c.conn, "ABOR\r\n"); err != nil {
		return false
	}
	data.NetConn().Close()
	return c.sync()
}

func (h *hammer) fetch(c *client, data *tls.Conn) bool {
	if !c.tells(150, "RETR big") {
		return false
	}
	got, err := io.ReadAll(data)
	data.Close()
	code, _, gone := c.read()
	if err == nil && gone == nil && code == 226 {
		h.fetched.Add(1)
		if !bytes.Equal(got, h.content) {
			h.t.Errorf("fetched %d bytes", len(got))
		}
	}
	return gone == nil
}

func (h *hammer) store(c *client, data *tls.Conn, name string) bool {
	if !c.tells(150, "STOR "+name) {
		return false
	}
	size := rand.IntN(len(h.content))
	_, err := data.Write(h.content[:size])
	if err == nil {
		err = data.Close()
	}
	code, _, gone := c.read()
	if gone == nil && code == 226 {
		if err != nil {
			h.t.Errorf("acknowledged after %v", err)
		}
		h.stored.Add(1)
		h.acknowledged.Store(name, size)
	}
	return gone == nil
}

// sync takes what is left of replies.
func (c *client) sync() bool {
	if _, err := io.WriteString(c.conn, "NOOP\r\n"); err != nil {
		return false
	}
	for {
		code, _, err := c.read()
		if err != nil || code == 200 {
			return err == nil
		}
	}
}
