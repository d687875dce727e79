package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/config"
	"portreeve/server/auth"
	"portreeve/server/ledger"
	"portreeve/server/rate"
	registry "portreeve/server/session"
	"portreeve/userdb"
)

// A rig is a server in memory: no sockets, and time that passes at once where
// everybody waits, if it runs in a synctest bubble.
type rig struct {
	t    testing.TB
	srv  *Server
	net  *memory
	home string // of user "alice", password "secret"
	logs *logBuffer

	implicit bool // clients come to a port for TLS
}

// Addresses of the server and of its clients.
var (
	serverAddr = netip.MustParseAddrPort("192.0.2.1:21")
	clientAddr = netip.MustParseAddrPort("198.51.100.7:40000")
)

// memoryPorts is how many passive ports a rig in memory has.
const memoryPorts = 10

// stepMax is the most that a transfer moves before it looks around.
const stepMax = rate.StepMax

// newRig makes a server whose configuration was changed by each edit.
func newRig(t testing.TB, edits ...func(*Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.UserDB = filepath.Join(dir, "users.db")
	cfg.PassivePorts = config.PortRange{First: 30000, Last: 30000 + memoryPorts - 1}
	for _, edit := range edits {
		edit(&cfg)
	}
	db := userdb.At(cfg.UserDB)
	addUser(t, db, "alice", "secret", home)
	logs := new(logBuffer)
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	here := ways(&cfg, nil, home)
	hosts := make(map[string]auth.Ways)
	for _, h := range cfg.VirtualHosts {
		hosts[h.Name] = ways(&cfg, &h, home)
	}
	chain, err := auth.New(auth.Options{Methods: here.Methods, Backends: here.Backends, Hosts: hosts, Cost: cheapCost, MinUID: cfg.MinUID,
		DelayStep: cfg.LoginDelay, DelayMost: cfg.MaxLoginDelay, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.Close)
	r := &rig{t: t, net: newMemory(), home: home, logs: logs}
	r.srv = New(cfg, registry.New(registry.Limits{}), chain, log)
	r.srv.network = r.net
	r.srv.names.resolver = dns{}
	r.srv.GetCertificate = giveTestCertificate
	r.srv.Ledger = ledger.New(log)
	t.Cleanup(r.srv.Ledger.Close)
	return r
}

// ways are how to log in to a virtual host, nil for the server itself. There
// anonymous sees a home, whatever the configuration says.
func ways(cfg *Config, h *VirtualHost, home string) (w auth.Ways) {
	for _, m := range cfg.HostLogins(h) {
		w.Methods = append(w.Methods, auth.Method(m))
	}
	if root, ok := cfg.HostAnonymous(h); ok && root != "" {
		if root == cfg.AnonymousRoot {
			root = home
		}
		w.Backends = []auth.Backend{&auth.Anonymous{Root: root, ByAddress: cfg.HostAddressRoots(h), Lookup: func(string) (*user.User, error) {
			return &user.User{Username: "ftp", Uid: "1000", Gid: "1000"}, nil
		}}}
	}
	return w
}

// dns has the addresses that have a name in tests, and the names that lead back.
type dns map[string]string

func (d dns) LookupAddr(_ context.Context, addr string) ([]string, error) {
	if name, ok := d[addr]; ok {
		return []string{name}, nil
	}
	return nil, errors.New("no such host")
}

func (d dns) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(d[host]); err == nil {
		return []netip.Addr{addr}, nil
	}
	return nil, errors.New("no such host")
}

// cheapCost makes hashing too cheap to notice.
var cheapCost = userdb.Cost{LogN: 10, R: 1, P: 1}

func addUser(t testing.TB, db userdb.DB, name, password, home string, edits ...func(*userdb.User)) {
	t.Helper()
	u := userdb.New(name)
	u.UID, u.GID, u.Home = 1000, 1000, home
	hash, err := userdb.Hash(password, cheapCost)
	if err != nil {
		t.Fatal(err)
	}
	u.Password = hash
	for _, edit := range edits {
		edit(&u)
	}
	if err := db.Add(u); err != nil {
		t.Fatal(err)
	}
}

// A logBuffer is a log that is read while sessions still write to it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// tail is the end of it, as much as one wants to read when a test has failed.
func (l *logBuffer) tail() string {
	all := l.String()
	return all[max(0, len(all)-8<<10):]
}

func (l *logBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

// Grow makes room, so that the log does not count as memory that a test uses up.
func (l *logBuffer) Grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Grow(n)
}

// A client is one control connection to a rig.
type client struct {
	t    testing.TB
	rig  *rig
	conn net.Conn
	in   *bufio.Reader
	port uint16        // of the last PASV or EPSV
	tls  *tls.Config   // of its TLS, nil in clear
	raw  net.Conn      // under TLS
	done chan struct{} // the session is over, if dial made it
}

// dial connects a client to the server; from is its address, or clientAddr.
func (r *rig) dial(from netip.AddrPort) *client {
	r.t.Helper()
	if !from.IsValid() {
		from = clientAddr
	}
	near, far := net.Pipe()
	return r.pipe(near, &addressed{Conn: far, local: serverAddr, remote: from})
}

// pipe has the server handle one end of a connection, and returns a client at the
// other.
func (r *rig) pipe(near, far net.Conn) *client {
	c := r.on(near)
	r.srv.live.Go(func() {
		defer close(c.done)
		r.srv.handle(far, r.implicit)
	})
	r.t.Cleanup(func() { near.Close() })
	return c
}

// login is dial and what alice says first.
func (r *rig) login() *client {
	r.t.Helper()
	c := r.dial(netip.AddrPort{})
	c.want(220)
	c.login("alice")
	return c
}

// on is a client that has a connection to the server.
func (r *rig) on(conn net.Conn) *client {
	return &client{t: r.t, rig: r, conn: conn, in: bufio.NewReader(conn), done: make(chan struct{})}
}

// login says who the client is, by the password that all users of tests have, and
// returns the welcome.
func (c *client) login(user string) string {
	c.t.Helper()
	c.cmd(331, "USER %s", user)
	return c.cmd(230, "PASS secret")
}

// say sends one line.
func (c *client) say(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, format+"\r\n", args...); err != nil {
		c.t.Fatalf("sending %q: %v", fmt.Sprintf(format, args...), err)
	}
}

// read returns one reply, its lines joined by "\n".
func (c *client) read() (code int, text string, err error) {
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return 0, strings.Join(lines, "\n"), err
		}
		if !strings.HasSuffix(line, "\r\n") {
			return 0, "", fmt.Errorf("line %q does not end with CRLF", line)
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if len(lines) == 1 {
			if code, err = strconv.Atoi(line[:3]); err != nil {
				return 0, "", fmt.Errorf("line %q has no code", line)
			}
		}
		if len(line) > 3 && line[3] == ' ' && strings.HasPrefix(line, strconv.Itoa(code)) {
			return code, strings.Join(lines, "\n"), nil
		}
	}
}

// want reads a reply, which must have the code, and returns its text.
func (c *client) want(code int) string {
	c.t.Helper()
	got, text, err := c.read()
	if err != nil {
		c.t.Fatalf("want %d, got %q and %v\n%s", code, text, err, c.rig.logs.tail())
	}
	if got != code {
		c.t.Fatalf("want %d, got %q\n%s", code, text, c.rig.logs.tail())
	}
	return text
}

// cmd is say and want.
func (c *client) cmd(code int, format string, args ...any) string {
	c.t.Helper()
	c.say(format, args...)
	return c.want(code)
}

// gone expects the end of the connection.
func (c *client) gone() {
	c.t.Helper()
	if code, text, err := c.read(); err == nil {
		c.t.Fatalf("want the end, got %d %q", code, text)
	}
}

// passive prepares a data connection and connects it.
func (c *client) passive() net.Conn {
	c.t.Helper()
	text := c.cmd(229, "EPSV")
	fields := strings.Split(text, "|")
	port, err := strconv.ParseUint(fields[3], 10, 16)
	if err != nil {
		c.t.Fatalf("no port in %q", text)
	}
	c.port = uint16(port)
	return c.connect(clientAddr)
}

func (c *client) connect(from netip.AddrPort) net.Conn {
	c.t.Helper()
	conn, err := c.rig.net.connect(from, netip.AddrPortFrom(serverAddr.Addr(), c.port))
	if err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// retr runs a command that sends data and returns that, with the last code.
func (c *client) retr(format string, args ...any) (data string, code int) {
	c.t.Helper()
	return c.download(c.passive(), format, args...)
}

// download is retr over a data connection of any kind.
func (c *client) download(conn net.Conn, format string, args ...any) (data string, code int) {
	c.t.Helper()
	c.cmd(150, format, args...)
	all, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatalf("reading data: %v", err)
	}
	conn.Close()
	return string(all), c.code()
}

// stor runs a command that takes data and returns its last code.
func (c *client) stor(data, format string, args ...any) (code int) {
	c.t.Helper()
	return c.upload(c.passive(), data, format, args...)
}

// upload is stor over a data connection of any kind. That the server does not want
// all of the data is for the code to tell.
func (c *client) upload(conn net.Conn, data, format string, args ...any) (code int) {
	c.t.Helper()
	c.cmd(150, format, args...)
	_, _ = io.WriteString(conn, data)
	conn.Close()
	return c.code()
}

// code reads a reply of which only that counts.
func (c *client) code() int {
	c.t.Helper()
	code, _, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

// put makes a file in alice's home, get reads one.
func (r *rig) put(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.home, name), []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) get(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.home, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// exists tells whether a file of alice's is there.
func (r *rig) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(r.home, name))
	return err == nil
}

// memory is a network of pipes.
type memory struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*pipeListener
	dialed    []netip.AddrPort // where active connections came from
}

func newMemory() *memory { return &memory{listeners: make(map[netip.AddrPort]*pipeListener)} }

func (m *memory) listen(addr netip.Addr, ports config.PortRange, _ string) (net.Listener, error) {
	for i := range ports.Size() {
		if l, err := m.listenAt(netip.AddrPortFrom(addr, ports.First+uint16(i))); err == nil {
			return l, nil
		}
	}
	return nil, errNoPort
}

func (m *memory) listenAt(at netip.AddrPort) (*pipeListener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listeners[at] != nil {
		return nil, errors.New("port is taken")
	}
	l := &pipeListener{net: m, at: at, conns: make(chan net.Conn, 32), closed: make(chan struct{})}
	m.listeners[at] = l
	return l, nil
}

func (m *memory) connect(from, to netip.AddrPort) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[to]
	m.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("nobody listens at %s", to)
	}
	near, far := net.Pipe()
	select {
	case l.conns <- &addressed{Conn: far, local: to, remote: from}:
		return near, nil
	case <-l.closed:
		return nil, fmt.Errorf("nobody listens at %s any more", to)
	}
}

func (m *memory) dial(_ context.Context, local, remote netip.AddrPort, _ string) (net.Conn, error) {
	m.mu.Lock()
	m.dialed = append(m.dialed, local)
	m.mu.Unlock()
	c, err := m.connect(local, remote)
	if err != nil {
		return nil, err
	}
	return &addressed{Conn: c, local: local, remote: remote}, nil
}

type pipeListener struct {
	net    *memory
	at     netip.AddrPort
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.net.mu.Lock()
		delete(l.net.listeners, l.at)
		l.net.mu.Unlock()
		for len(l.conns) > 0 { // a kernel resets what nobody accepted
			(<-l.conns).Close()
		}
	})
	return nil
}

// addressed is a pipe with the addresses of a socket.
type addressed struct {
	net.Conn
	local, remote netip.AddrPort
}

func (a *addressed) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(a.local) }
func (a *addressed) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(a.remote) }

// bubble runs a test in virtual time. What its sessions set going has time to end
// behind them, since time stops with the test.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // the last of all
		test(t)
	})
}

// elapsed tells how much virtual time passes in do.
func elapsed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// setQuota limits alice to so many files and bytes; "-" is no limit.
func (r *rig) setQuota(limits []string) {
	r.t.Helper()
	err := userdb.At(r.srv.Config().UserDB).Modify("alice", func(u *userdb.User) error {
		for i, to := range []*userdb.Limit{&u.QuotaFiles, &u.QuotaBytes} {
			*to = userdb.Limit{}
			if n, err := strconv.ParseInt(limits[i], 10, 64); err == nil {
				*to = userdb.LimitOf(n)
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}
