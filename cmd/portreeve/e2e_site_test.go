//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"portreeve/server/control"
	"portreeve/server/session"
	"portreeve/userdb"
)

// The end-to-end tests run the program as it is installed, a static build
// without the race detector, and talk to it as users and administrators do.

const (
	password = "sesame-1"
	slowRate = 1 << 20 // bytes a second of user slow, either way
	ftpUID   = 12001   // of the users, where the daemon may choose
)

// A site is a running daemon with two users, alice and slow, who share a home.
type site struct {
	dir, home    string
	conf         string
	port4, port6 string
	uid          int // of the users' files
	cred         *syscall.Credential
	binary       string     // instead of the one that is built
	wrap         []string   // a program that runs the daemon
	processes    *processes // of processes that the daemon is to begin in
	log          *logBuffer
	cmd          *exec.Cmd
	exited       chan struct{} // closed when it has ended
	err          error         // what Wait said; to be read after exited
}

// startSite starts a server, with further directives, and ends it with the test.
func startSite(t testing.TB, directives ...string) *site {
	t.Helper()
	return startSiteAs(t, nil, directives...)
}

// startSiteAs starts a server as somebody else; nil is whoever we are.
func startSiteAs(t testing.TB, cred *syscall.Credential, directives ...string) *site {
	t.Helper()
	d := newSite(t, cred, directives...)
	d.start(t)
	return d
}

// newSite makes everything but the running daemon.
func newSite(t testing.TB, cred *syscall.Credential, directives ...string) *site {
	t.Helper()
	d := &site{dir: t.TempDir(), uid: os.Getuid(), cred: cred}
	d.home, d.conf = filepath.Join(d.dir, "home"), filepath.Join(d.dir, "portreeve.conf")
	owner, mayChoose := d.uid, d.uid == 0 && cred == nil
	switch {
	case cred != nil:
		d.uid = int(cred.Uid)
		owner = d.uid
	case mayChoose:
		d.uid = ftpUID
	}
	for dir := d.dir; strings.Contains(dir, "Test") || strings.Contains(dir, "Benchmark"); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755) // users are not root
	}
	os.Mkdir(d.home, 0o755)
	for path, uid := range map[string]int{d.dir: owner, d.home: d.uid} {
		if err := os.Chown(path, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	d.configure(t, directives...)
	d.addUser(t, "alice")
	d.addUser(t, "slow", "-t", fmt.Sprint(slowRate>>10), "-T", fmt.Sprint(slowRate>>10))
	return d
}

// configure writes the configuration file; a running server must be told.
func (d *site) configure(t testing.TB, directives ...string) {
	t.Helper()
	bind6 := "" // on the same line, so that faults are on the same lines everywhere
	if haveIPv6() {
		bind6 = "Bind ::1,0"
	}
	lines := append([]string{
		"Bind 127.0.0.1,0",
		bind6,
		"UserDB " + filepath.Join(d.dir, "users.db"),
		"ControlSocket " + d.socket(),
		"PasswordCost 10 8 1", // the tests are not about how slow a hash is
		"LogLevel debug",
		"MaxClientsNumber 500",
		"DisplayDotFiles yes",
		"ShutdownGrace 5",
	}, directives...)
	writeFile(t, d.conf, []byte(strings.Join(lines, "\n")+"\n"))
}

// haveIPv6 tells whether the loopback has IPv6. Where it has not, tests of IPv6
// fail, and those alone.
var haveIPv6 = sync.OnceValue(func() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
})

func (d *site) socket() string { return filepath.Join(d.dir, "s") }

// addUser adds a user with a hash as cheap as PasswordCost says, or logging in
// would be most of what the tests do.
func (d *site) addUser(t testing.TB, name string, more ...string) {
	t.Helper()
	hash, err := cheapHash()
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(d.uid)
	d.must(t, append([]string{"pw", "useradd", name, "--password-hash", hash, "-u", id, "-g", id, "-d", d.home}, more...)...)
}

var cheapHash = sync.OnceValues(func() (string, error) {
	return userdb.Hash(password, userdb.Cost{LogN: 10, R: 8, P: 1})
})

// start starts the program and waits until it serves.
func (d *site) start(t testing.TB) {
	t.Helper()
	d.log, d.exited = new(logBuffer), make(chan struct{})
	d.cmd = d.program(t, "serve", "--config", d.conf)
	if d.wrap != nil {
		needs(t, d.wrap[0])
		d.cmd.Path, _ = exec.LookPath(d.wrap[0])
		d.cmd.Args = append(slices.Clone(d.wrap), d.cmd.Args...)
	}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if d.processes != nil {
		defer d.processes.place(t, d.cmd)()
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, exited, log := d.cmd, d.exited, d.log
	go func() {
		d.err = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("the daemon's log ends:\n%s", log.tail(60))
		}
	})
	eventually(t, "the daemon listens", func() bool {
		status, err := d.status(t.Context())
		select {
		case <-exited:
			t.Fatalf("the daemon ended: %v\n%s", d.err, log.tail(60))
		default:
		}
		for _, addr := range slices.Backward(status.Listen) { // those of implicit TLS are the last
			switch host, port, _ := net.SplitHostPort(addr); host {
			case "127.0.0.1":
				d.port4 = port
			case "::1":
				d.port6 = port
			}
		}
		return err == nil && d.port4 != "" && (d.port6 != "" || !haveIPv6())
	})
}

// program is a command of ours, run as the daemon is.
func (d *site) program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(cmp.Or(d.binary, built.path(t)), args...)
	cmd.Dir = d.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir,
		"PORTREEVE_DB=" + filepath.Join(d.dir, "users.db"), "PORTREEVE_SOCKET=" + d.socket()}
	if d.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.cred}
	}
	return cmd
}

// run runs a command of ours to its end.
func (d *site) run(t testing.TB, input string, args ...string) (string, error) {
	t.Helper()
	cmd := d.program(t, args...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := waitFor(t, cmd)
	return out.String(), err
}

// must runs a command of ours that has to work.
func (d *site) must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := d.run(t, "", args...)
	if err != nil {
		t.Fatalf("portreeve %q: %v\n%s", args, err, out)
	}
	return out
}

// api asks the daemon without a program of ours in between.
func (d *site) api() *control.Client { return &control.Client{Socket: d.socket()} }

func (d *site) status(ctx context.Context) (control.Status, error) {
	c := d.api()
	defer c.Close()
	return c.Status(ctx)
}

// who asks the program who is connected.
func (d *site) who(t testing.TB, args ...string) []session.Info {
	t.Helper()
	var list []session.Info
	out := d.must(t, append([]string{"who", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("who --json: %v\n%s", err, out)
	}
	return list
}

// moved returns how many bytes of a path have been transferred so far, or -1
// if nobody transfers it.
func (d *site) moved(path string) int64 {
	c := d.api()
	defer c.Close()
	list, _ := c.Sessions(context.Background(), control.Filter{})
	for _, s := range list {
		if s.Path == path && s.State.Transfers() {
			return s.Moved
		}
	}
	return -1
}

func (d *site) signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// job is what a client is to do at this server.
func (d *site) job(t testing.TB, m mode, user, remote, local string) job {
	t.Helper()
	if m.ipv6 && d.port6 == "" {
		t.Fatal("there is no IPv6 on the loopback of this machine, which this test needs (sysctl net.ipv6.conf.lo.disable_ipv6=0)")
	}
	j := job{mode: m, host: "127.0.0.1", port: d.port4, user: user, remote: remote, local: local}
	if m.ipv6 {
		j.host, j.port = "::1", d.port6
	}
	if m.tls == implicit {
		j.port = d.implicitPort(t, j.host)
	}
	return j
}

// path is where a file of the users is.
func (d *site) path(name string) string { return filepath.Join(d.home, name) }

// mkdir makes a folder in the users' home that they may write to.
func (d *site) mkdir(t testing.TB, name string) {
	t.Helper()
	if err := errors.Join(os.Mkdir(d.path(name), 0o755), os.Chown(d.path(name), d.uid, -1)); err != nil {
		t.Fatal(err)
	}
}

// place copies a file into the users' home.
func (d *site) place(t testing.TB, from, name string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(d.path(name))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chown(d.uid, -1), out.Close()); err != nil {
		t.Fatal(err)
	}
}

var (
	sessionOf = regexp.MustCompile(`\bsession=(\d+)\b`)
	commandOf = regexp.MustCompile(`\bmsg=command .*\bcmd="?([A-Z]+)`)
)

// commands counts how often a command came, according to the log, in sessions
// that also had something to do with what about names.
func (d *site) commands(verb, about string) int {
	concerned, count := make(map[string]bool), make(map[string]int)
	for line := range strings.Lines(d.log.String()) {
		session, command := sessionOf.FindStringSubmatch(line), commandOf.FindStringSubmatch(line)
		if session == nil {
			continue
		}
		if strings.Contains(line, about) {
			concerned[session[1]] = true
		}
		if command != nil && command[1] == verb {
			count[session[1]]++
		}
	}
	sum := 0
	for session := range concerned {
		sum += count[session]
	}
	return sum
}

// wantCommand fails if no client that had to do with about has sent a command.
func (d *site) wantCommand(t testing.TB, verb, about string) {
	t.Helper()
	eventually(t, "the log shows "+verb+" of a client of "+about, func() bool { return d.commands(verb, about) > 0 })
}

// A logBuffer takes what a process prints, while others read it.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Len()
}

func (l *logBuffer) since(mark int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf.Bytes()[mark:])
}

func (l *logBuffer) String() string { return l.since(0) }

func (l *logBuffer) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
