package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/server/control"
	"portreeve/server/session"
)

// An api is a daemon's control socket with some sessions behind it.
type api struct {
	control.Server
	socket string

	mu     sync.Mutex
	kicked map[session.ID]string
	gone   map[session.ID]bool // aborted
}

// startAPI runs one until the test ends; set may change the server first.
func startAPI(t *testing.T, set func(*control.Server)) *api {
	t.Helper()
	a := &api{socket: filepath.Join(t.TempDir(), "s"), kicked: make(map[session.ID]string), gone: make(map[session.ID]bool)}
	a.Sessions, a.Version = session.New(session.Limits{Max: 50}), version()
	if set != nil {
		set(&a.Server)
	}
	l, err := control.Listen(a.socket, 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}

// open adds a session that is moving something if state says so.
func (a *api) open(t *testing.T, remote, user string, state session.State) session.ID {
	t.Helper()
	var e *session.Entry
	e, err := a.Sessions.Open(netip.MustParseAddrPort(remote), netip.MustParseAddrPort("192.0.2.9:21"), func(reason error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.kicked[e.ID()] = reason.Error()
	})
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		if err := e.Login("", user, 0); err != nil {
			t.Fatal(err)
		}
	}
	if state.Transfers() {
		e.Begin(session.Transfer{State: state, Path: "/pub/f", Size: 4096, Abort: func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.gone[e.ID()] = true
		}})
		e.Moved(1024)
	}
	return e.ID()
}

func (a *api) three(t *testing.T) {
	a.open(t, "198.51.100.1:1001", "", session.Login)
	a.open(t, "198.51.100.2:1002", "ann", session.Idle)
	a.open(t, "203.0.113.3:1003", "joe", session.Downloading)
}

// portreeve runs a command line and returns its exit code and what it printed.
func (a *api) portreeve(t *testing.T, line ...string) (code int, out, errs string) {
	t.Helper()
	return runLine(t.Context(), map[string]string{"PORTREEVE_SOCKET": a.socket}, line...)
}

func runLine(ctx context.Context, vars map[string]string, line ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = run(ctx, &env{
		in: strings.NewReader(""), out: &stdout, err: &stderr,
		getenv: func(name string) string { return vars[name] },
	}, line)
	return code, stdout.String(), stderr.String()
}

func TestWhoCommand(t *testing.T) {
	a := startAPI(t, nil)
	a.three(t)
	for _, test := range []struct {
		line string
		want string // of each line its beginning
	}{
		{"who -n -s", "1|?|0|IDLE||198.51.100.1|\n2|ann|0|IDLE||198.51.100.2|\n3|joe|0| DL |/pub/f|203.0.113.3|192.0.2.9|21|1|4|25|"},
		{"who -Hs --user joe", "3|"},
		{"who -ns --addr 198.51.100.0/24", "1|\n2|"},
		{"who -ns --addr 203.0.113.3", "3|"},
		{"who -ns --state idle", "2|"},
		{"who -ns --state login,downloading", "1|\n3|"},
		{"who -ns --state login --state idle", "1|\n2|"},
		{"who -ns --user joe --state idle", ""},
		{"who -x -s -n --user ann", "2|"},
		{"who -s -x -n --user ann", "<?xml\n<status>\n  <client pid=\"2\"\n</status>"},
		{"who -n --user ann", "\n+---\n| PID\n+---\n|    2 | ann     |\n|  ''  |\n+---\n"},
		{"who -nv --user ann", "\n+---\n| PID\n+---\n|    2 | ann     |\n|  ''  |\n|  ''  |    ''   |       |      | <-\n+---\n"},
		{"who -n --user nobody", "\n+---\n| PID\n+---\n"},
		{"who -np --user nobody", "<?xml\n<!DOCTYPE plist\n<plist\n<dict>\n\t<key>user-info\n\t<array>\n\t</array>\n</dict>\n</plist>"},
		{"who -nW --user nobody", "<div id=\"ftp-status\">\n <table>\n  <thead>"},
		{"who -nw --user nobody", "<!DOCTYPE html>\n<html"},
		{"who -nc --user nobody", "Content-Type: text/html; charset=utf-8\r\n\r\n<div"},
		{"who -nC --user nobody", "Content-Type: text/html; charset=utf-8\r\n\r\n<div"},
		{"who --json --user nobody", "[]"},
		{"who --json --user joe", "[\n{\"id\":3,\"remote\":\"203.0.113.3:1003\"\n]"},
	} {
		code, out, errs := a.portreeve(t, strings.Fields(test.line)...)
		if code != 0 || errs != "" {
			t.Errorf("%s: code %d, %s", test.line, code, errs)
		}
		got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		for n, begin := range strings.Split(test.want, "\n") {
			if n >= len(got) || !strings.HasPrefix(got[n], begin) {
				t.Errorf("%s: line %d should begin with %q:\n%s", test.line, n+1, begin, out)
				break
			}
		}
		if strings.Contains(test.line, "s") && strings.Count(out, "\n") != strings.Count(test.want, "\n")+1 && strings.HasPrefix(test.line, "who -ns") && test.want != "" {
			t.Errorf("%s: too many lines:\n%s", test.line, out)
		}
	}
}

func TestWhoJSON(t *testing.T) {
	a := startAPI(t, nil)
	a.three(t)
	_, out, _ := a.portreeve(t, "who", "--json")
	var infos []session.Info
	if err := json.Unmarshal([]byte(out), &infos); err != nil || len(infos) != 3 {
		t.Fatalf("%v in %s", err, out)
	}
	if i := infos[2]; i.User != "joe" || i.Moved != 1024 || i.Size != 4096 || i.State != session.Downloading || i.TotalDown != 1024 {
		t.Errorf("third is %+v", i)
	}
}

func TestWhoRefuses(t *testing.T) {
	a := startAPI(t, nil)
	for line, want := range map[string]string{
		"who extra":                       `unknown command "extra"`,
		"who --frobnicate":                "unknown flag",
		"who --addr here":                 `--addr: "here" is neither an address nor a prefix`,
		"who --state asleep":              `--state: state "asleep" is none of`,
		"who --json -x":                   "go with no other format",
		"who --watch -v":                  "go with no other format",
		"who --watch --interval 1ms":      "--interval 1ms is shorter",
		"who --watch --interval soon":     "invalid argument",
		"who -s=perhaps":                  "invalid argument",
		"kick":                            "say whom to kick",
		"kick 1 2":                        "accepts at most 1 arg",
		"kick 1 --user joe":               "say whom to kick",
		"kick joe":                        `session id "joe" is not a number`,
		"kick --addr here":                "--addr: ",
		"kick --user=":                    "would be everybody",
		"kick 1 --message two\nlines":     "one line of at most 400 bytes",
		"abort":                           "accepts 1 arg",
		"abort joe":                       `session id "joe" is not a number`,
		"status extra":                    "unknown command",
		"reload --now":                    "unknown flag",
		"who --socket /no/such/socket":    "no daemon at /no/such/socket",
		"kick 1 --socket /no/such/socket": "no daemon at /no/such/socket",
		"status --socket /dev/null":       "no daemon at /dev/null",
	} {
		code, out, errs := a.portreeve(t, strings.Split(line, " ")...)
		wantCode := exitUsage
		switch {
		case strings.Contains(want, "no daemon"):
			wantCode = exitNoDaemon
		}
		if code != wantCode || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%s: code %d, printed %q and %q, want code %d and %q", line, code, out, errs, wantCode, want)
		}
		if wantCode == exitNoDaemon && (strings.Count(errs, "\n") != 1 || !strings.Contains(errs, `"portreeve serve" starts one`)) {
			t.Errorf("%s: not one line that says how to start one: %s", line, errs)
		}
	}
}

func TestWhoAsCGI(t *testing.T) {
	a := startAPI(t, nil)
	vars := map[string]string{"PORTREEVE_SOCKET": a.socket, "GATEWAY_INTERFACE": "CGI/1.1"}
	code, out, _ := runLine(t.Context(), vars, "who", "-n")
	if code != 0 || !strings.HasPrefix(out, "Content-Type: text/html; charset=utf-8\r\n\r\n<!DOCTYPE html>") {
		t.Errorf("code %d, printed %s", code, out)
	}
	if code, out, _ = runLine(t.Context(), vars, "who", "--json"); code != 0 || out != "[]\n" {
		t.Errorf("with --json: code %d, printed %s", code, out)
	}
}

// lineWriter passes on each write.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestWhoWatch(t *testing.T) {
	a := startAPI(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	lines, ended := make(lineWriter), make(chan int)
	var stderr bytes.Buffer
	go func() {
		ended <- run(ctx, &env{out: lines, err: &stderr, getenv: func(string) string { return "" }},
			[]string{"who", "--socket", a.socket, "--watch", "--interval", "100ms", "--user", "joe"})
	}()
	type report struct {
		Time     time.Time
		Sessions []session.Info
	}
	next := func() (r report) {
		t.Helper()
		line := <-lines
		if err := json.Unmarshal([]byte(line), &r); err != nil || strings.Count(line, "\n") != 1 || r.Sessions == nil {
			t.Errorf("%v in %q", err, line)
		}
		return r
	}
	first := next()
	if len(first.Sessions) != 0 {
		t.Errorf("of nobody: %+v", first)
	}
	a.three(t)
	for {
		r := next()
		if !r.Time.After(first.Time) {
			t.Errorf("%v is not after %v", r.Time, first.Time)
		}
		if len(r.Sessions) == 1 && r.Sessions[0].User == "joe" {
			break
		}
	}
	stop()
	for {
		select {
		case <-lines: // one more may have been on its way
			continue
		case code := <-ended:
			if code != 0 || stderr.Len() != 0 {
				t.Errorf("interrupted: code %d, %s", code, &stderr)
			}
		}
		break
	}
}

func TestHostNames(t *testing.T) {
	infos := append(ordinary(), ordinary()...)
	slow := netip.MustParseAddr("198.51.100.3")
	for name, test := range map[string]struct {
		stuck func(ctx context.Context) error
		took  time.Duration
	}{
		"a resolver that heeds the time":    {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, lookupTime},
		"one that does not":                 {func(context.Context) error { time.Sleep(time.Hour); return nil }, lookupTime},
		"one that is slow, but fast enough": {func(context.Context) error { time.Sleep(time.Second); return nil }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := make(map[string]int)
				var mu sync.Mutex
				began := time.Now()
				names := hostNames(t.Context(), infos, func(ctx context.Context, addr string) ([]string, error) {
					mu.Lock()
					asked[addr]++
					mu.Unlock()
					switch addr {
					case slow.String():
						return []string{"slow.example.org."}, test.stuck(ctx)
					case "2001:db8::7":
						return nil, errors.New("no such host")
					}
					return []string{"host-" + addr + ".", "alias."}, nil
				})
				if took := time.Since(began); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				want := ""
				if test.took < lookupTime {
					want = "slow.example.org"
				}
				if names[slow] != want {
					t.Errorf("the slow one is %q, want %q", names[slow], want)
				}
				if got := names[netip.MustParseAddr("198.51.100.1")]; got != "host-198.51.100.1" {
					t.Errorf("a fast one is %q", got)
				}
				for addr, n := range asked {
					if n != 1 {
						t.Errorf("%s was asked for %d times", addr, n)
					}
				}
				time.Sleep(2 * time.Hour) // for those left behind
			})
		})
	}
}

func TestKickCommand(t *testing.T) {
	a := startAPI(t, nil)
	a.three(t)
	a.open(t, "203.0.113.4:1004", "joe", session.Idle)
	for _, test := range []struct {
		line      string
		code      int
		out, errs string
	}{
		{"kick 2 --message bye", 0, "kicked session 2\n", ""},
		{"kick --user joe", 0, "kicked session 3\nkicked session 4\n", ""},
		{"kick --addr 198.51.100.1", 0, "kicked session 1\n", ""},
		{"kick --addr 203.0.113.0/24 --user joe", 0, "kicked session 3\nkicked session 4\n", ""},
		{"kick 99", exitNotFound, "", "portreeve: no such session: there is no session 99\n"},
		{"kick --user bob", exitNotFound, "", "portreeve: no such session of user \"bob\"\n"},
		{"kick --user joe --addr 192.0.2.0/24", exitNotFound, "", "portreeve: no such session of user \"joe\" from 192.0.2.0/24\n"},
		{"abort 3", 0, "aborted the transfer of session 3\n", ""},
		{"abort 2", exitFailed, "", "portreeve: no transfer to abort: session 2 has no transfer\n"},
		{"abort 99", exitNotFound, "", "portreeve: no such session: there is no session 99\n"},
	} {
		code, out, errs := a.portreeve(t, strings.Fields(test.line)...)
		if code != test.code || out != test.out || errs != test.errs {
			t.Errorf("%s: code %d, printed %q and %q, want %d, %q and %q", test.line, code, out, errs, test.code, test.out, test.errs)
		}
	}
	want := map[session.ID]string{1: "ended by the operator", 2: "ended by the operator: bye", 3: "ended by the operator", 4: "ended by the operator"}
	if got := fmt.Sprint(a.kicked); got != fmt.Sprint(want) || len(a.gone) != 1 || !a.gone[3] {
		t.Errorf("kicked %v, aborted %v, want %v and 3", got, a.gone, want)
	}
}

func TestStatusCommand(t *testing.T) {
	a := startAPI(t, func(s *control.Server) {
		s.Status = func() control.Status {
			return control.Status{Started: time.Now().Add(-26 * time.Hour), Listen: []string{"127.0.0.1:21", "[::1]:21"},
				UserDB:  "/u.db",
				Uploads: &control.Uploads{Spool: "/s", Waiting: 3, Lost: 2}}
		}
	})
	a.three(t)
	code, out, errs := a.portreeve(t, "status")
	for _, line := range []string{"state          running\n", "version        " + version() + "\n", "(1d 2h ago)\n",
		"listening      127.0.0.1:21, [::1]:21\n", "configuration  no file\n", "user database  /u.db\n",
		"sessions       3 now, 3 at most, 3 accepted, 0 refused\n",
		"limits         50 in all, no limit from one address\n", "downloaded     1.0 KiB in 0 whole files\n", " goroutines\n",
		"upload script  3 uploads wait, 2 are not told of; portreeve uploadscript does not run\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if code != 0 || errs != "" {
		t.Errorf("code %d, %s", code, errs)
	}
	code, out, _ = a.portreeve(t, "status", "--json")
	var st control.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil || code != 0 || st.Totals.Now != 3 || len(st.Listen) != 2 {
		t.Errorf("--json: code %d, %v in %s", code, err, out)
	}
}

func TestStatusDraining(t *testing.T) {
	var out bytes.Buffer
	if err := writeStatus(&out, control.Status{Draining: true}); err != nil || !strings.Contains(out.String(), "draining") {
		t.Errorf("%v, %s", err, &out)
	}
}

func TestReloadCommand(t *testing.T) {
	var done control.Reloaded
	var fault error
	a := startAPI(t, func(s *control.Server) {
		s.Reload = func(context.Context) (control.Reloaded, error) { return done, fault }
	})
	for _, test := range []struct {
		done      control.Reloaded
		fault     error
		code      int
		out, errs string
	}{
		{control.Reloaded{}, nil, 0, "read again; nothing has changed\n", ""},
		{control.Reloaded{Changed: []string{"MaxIdleTime", "Umask"}, Restart: []string{"Bind"}}, nil, 0,
			"changed: MaxIdleTime, Umask\nneeds a restart: Bind\n", ""},
		{control.Reloaded{}, errors.Join(errors.New("a:3: no X"), errors.New("a:9: no Y")), exitUsage, "",
			"portreeve: the configuration was refused and nothing has changed:\n  a:3: no X\n  a:9: no Y\n"},
	} {
		done, fault = test.done, test.fault
		code, out, errs := a.portreeve(t, "reload")
		if code != test.code || out != test.out || errs != test.errs {
			t.Errorf("code %d, printed %q and %q, want %d, %q and %q", code, out, errs, test.code, test.out, test.errs)
		}
	}
}

func TestOlderDaemon(t *testing.T) {
	a := startAPI(t, func(s *control.Server) { s.Version = "0.1 \u202e" })
	code, out, errs := a.portreeve(t, "who", "--json")
	if code != 0 || out != "[]\n" || !strings.HasPrefix(errs, "portreeve: warning: the daemon is version 0.1 ? and this is ") {
		t.Errorf("code %d, printed %q and %q", code, out, errs)
	}
}

func TestSpanAndSize(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0s", 59: "59s", 60: "1m 0s", 3599: "59m 59s", 3600: "1h 0m", 90061: "1d 1h"} {
		if got := span(seconds); got != want {
			t.Errorf("span(%d) = %q, want %q", seconds, got, want)
		}
	}
	for bytes, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB",
		1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 40: "5.0 TiB", 1<<63 - 1: "8192.0 PiB"} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}
