package auth

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/server/extauth"
	"portreeve/server/query"
	"portreeve/userdb"
)

// authd answers requests on a socket until the test ends, each by what answer
// makes of its lines.
func authd(t testing.TB, answer func(lines []string) string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "authd.sock")
	listenAuthd(t, socket, answer)
	return socket
}

func listenAuthd(t testing.TB, socket string, answer func(lines []string) string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
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
			go func() {
				defer conn.Close()
				var lines []string
				for in := bufio.NewScanner(conn); in.Scan(); {
					if lines = append(lines, in.Text()); in.Text() == "end" {
						_, _ = io.WriteString(conn, answer(lines))
						return
					}
				}
			}()
		}
	}()
}

const grant = "auth_ok:1\nuid:1000\ngid:1001\ndir:/srv/alice/./\nend\n"

// alone knows alice, and her password.
func alone(lines []string) string {
	switch {
	case lines[0] != "account:alice":
		return "auth_ok:0\nend\n"
	case lines[1] != "password:"+secret:
		return "auth_ok:-1\nend\n"
	}
	return grant
}

func externalChain(t *testing.T, socket string) *Chain {
	return testChain(t, Options{Methods: []Method{{"extauth", socket}}, Cost: testCost()})
}

func TestExternal(t *testing.T) {
	var asked atomic.Pointer[[]string]
	var reply atomic.Pointer[string]
	socket := authd(t, func(lines []string) string {
		asked.Store(&lines)
		return *reply.Load()
	})
	c := externalChain(t, socket)
	say := func(text string) { reply.Store(&text) }

	say("auth_ok:1\nuid:1000\ngid:1001\ndir:/srv/alice/./pub/\nthrottling_bandwidth_ul:7\nuser_quota_files:3\nratio_upload:1\nratio_download:9\nper_user_max:2\nend\n")
	a := attempt("alice", secret)
	a.Port, a.SNI, a.TLS = 2121, "FTP.Example.com", true
	got, err := c.Login(t.Context(), a)
	if err != nil || got.Name != "alice" || got.UID != 1000 || got.GID != 1001 || got.Home != "/srv/alice/./pub" || !got.Caged || got.Perms != userdb.AllPerms ||
		got.UploadRate != 7 || got.QuotaFiles != userdb.LimitOf(3) || got.UploadRatio != 1 || got.DownloadRatio != 9 || got.MaxSessions != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	want := []string{"account:alice", "password:" + secret, "localhost:192.0.2.1", "localport:2121", "peer:192.0.2.7", "sni_name:ftp.example.com", "encrypted:1", "end"}
	if !slices.Equal(*asked.Load(), want) {
		t.Errorf("asked %q", *asked.Load())
	}
	// What a client says as TLS begins is no line of its own, nor part of a path.
	for _, sni := range []string{"x\nencrypted:1", "../../etc", "a b", strings.Repeat("x", 300), "$(id)"} {
		a.SNI = sni
		if _, err := c.Login(t.Context(), a); err != nil || !slices.Contains(*asked.Load(), "sni_name:") || len(*asked.Load()) != len(want) {
			t.Errorf("%q: %v, asked %q", sni, err, *asked.Load())
		}
	}
	for _, r := range []struct {
		home  string
		caged bool
	}{{"/srv/alice", false}, {"/srv/alice/", false}, {"/srv/alice/./", true}, {"/srv/alice\nuser_quota_size:9", true}} {
		say("auth_ok:1\nuid:1000\ngid:1001\ndir:" + r.home + "\nend\n")
		if got, err := c.Login(t.Context(), a); err != nil || got.Caged != r.caged || got.Home != "/srv/alice" {
			t.Errorf("%q: %+v, %v", r.home, got, err)
		}
	}
	for _, bad := range []string{"", "auth_ok:1\nend\n", strings.TrimSuffix(grant, "end\n"), "auth_ok:1\nuid:0\ngid:0\ndir:/root\nend\n",
		"auth_ok:1\nuid:1\ngid:1\ndir:../x\nend\n", "auth_ok:1\nuid:1\ngid:1\ndir:/srv/../etc\nend\n", "auth_ok:1\nuid:1\ngid:1\ndir:x\nend\n",
		"auth_ok:1\nuid:1\ngid:1\ndir:/\x01\nend\n", "auth_ok:-1\nend\n"} {
		say(bad)
		before := c.load.checked.Load()
		got, err := c.Login(t.Context(), a)
		if !errors.Is(err, ErrDenied) || !errors.Is(err, ErrRefused) || got.Home != "" || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
		if n := c.load.checked.Load() - before; n != 1 {
			t.Errorf("%q costs %d hashes", bad, n)
		}
	}
}

// Whatever the back-ends, a refusal costs one hash of today's, and an answer that
// cannot be had refuses and counts as nobody's failure.
func TestExternalAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "authd.sock")
		var log bytes.Buffer
		o := Options{Methods: []Method{{"extauth", socket}, {"userdb", testDB(t).Path()}}, Cost: testCost(), Log: slog.New(slog.NewTextHandler(&log, nil))}
		c := testChain(t, o)
		defer c.Close()
		start := time.Now()
		for i, most := range []time.Duration{2 * time.Second, 0, 0} {
			at := time.Now()
			got, err := c.Login(t.Context(), attempt("alice", secret))
			if err == nil || errors.Is(err, ErrUnknown) || errors.Is(err, ErrDenied) || strings.Contains(err.Error(), secret) {
				t.Errorf("login %d: %+v, %v", i, got, err)
			}
			if d := time.Since(at); d > most {
				t.Errorf("login %d waits for %v", i, d)
			}
		}
		if c.Failures(client) != 0 {
			t.Error("it counts as the client's failure")
		}
		if d := time.Since(start); d < time.Second {
			t.Errorf("a program that starts anew is waited for %v", d)
		}
	})
}

// One that comes back is asked at once.
func TestExternalComesBack(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "authd.sock")
	c := externalChain(t, socket)
	done := make(chan error)
	go func() {
		_, err := c.Login(context.Background(), attempt("alice", secret))
		done <- err
	}()
	listenAuthd(t, socket, alone)
	if err := <-done; err != nil {
		t.Errorf("while it starts: %v", err)
	}
}

// A crowd is asked about some at a time, and nobody for longer than he waits.
func TestExternalCrowd(t *testing.T) {
	var now, most atomic.Int64
	full, free := make(chan struct{}), make(chan struct{})
	filled := sync.OnceFunc(func() { close(full) }) // it fills up again when some have gone
	socket := authd(t, func([]string) string {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == externalMost {
			filled()
		}
		<-free
		now.Add(-1)
		return grant
	})
	c := externalChain(t, socket)
	done := make(chan error)
	for i := range 3 * externalMost {
		go func() {
			_, err := c.Login(context.Background(), attempt(fmt.Sprint("user", i), secret))
			done <- err
		}()
	}
	<-full
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Login(gone, attempt("late", secret)); !errors.Is(err, ErrBusy) {
		t.Errorf("who does not wait: %v", err)
	}
	hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := c.Login(hurried, attempt("late", secret)); !errors.Is(err, ErrBusy) {
		t.Errorf("who waits a little: %v", err)
	}
	close(free)
	for range 3 * externalMost {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > externalMost {
		t.Errorf("%d questions at a time", most.Load())
	}
}

// The real end of the socket, with a program in a shell.
func TestExternalProgram(t *testing.T) {
	dir := t.TempDir()
	program, socket := filepath.Join(dir, "program"), filepath.Join(dir, "s")
	script := `#!/bin/sh
case $AUTHD_ACCOUNT:$AUTHD_PASSWORD in
alice:'` + secret + `') printf 'auth_ok:1\nuid:1000\ngid:1001\ndir:/srv/alice/./\n';;
alice:*) echo auth_ok:-1;;
*) echo auth_ok:0;;
esac
echo end
`
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- (&query.Server{Protocol: extauth.Protocol(), Program: program, TimeLimit: time.Minute, AtOnce: 4, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l)
	}()
	c := externalChain(t, socket)
	testBackend(t, c.settings.Load().hosts[""][0], attempt("alice", secret))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Who shows a certificate is not asked about: the program would see no password.
func TestExternalCertified(t *testing.T) {
	c := externalChain(t, authd(t, func([]string) string { return grant }))
	a := attempt("alice", "")
	a.Certified = true
	if got, err := c.Login(t.Context(), a); !errors.Is(err, ErrDenied) || got.Home != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
