package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portreeve/server/session"
)

// A daemon is a server on a real socket, with sessions that note why they were
// made to leave.
type daemon struct {
	*Server
	socket string
	log    *lines
	stop   context.CancelFunc
	done   chan struct{} // closed when Serve has returned

	mu      sync.Mutex
	reasons map[session.ID]error
	aborted map[session.ID]int
}

// start runs a daemon until the test ends; set may change the server first.
func start(t testing.TB, set func(*Server)) *daemon {
	t.Helper()
	d := &daemon{
		socket:  filepath.Join(t.TempDir(), "c.sock"),
		log:     new(lines),
		done:    make(chan struct{}),
		reasons: make(map[session.ID]error),
		aborted: make(map[session.ID]int),
	}
	d.Server = &Server{
		Sessions: session.New(session.Limits{Max: 50_000, PerHost: 7}),
		Version:  "1.2.3",
		Log:      slog.New(slog.NewTextHandler(d.log, nil)),
	}
	if set != nil {
		set(d.Server)
	}
	l, err := Listen(d.socket, 0o660, -1)
	if err != nil {
		t.Fatal(err)
	}
	d.serve(t, l)
	return d
}

func (d *daemon) serve(t testing.TB, l net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go func() {
		defer close(d.done)
		if err := d.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() { stop(); <-d.done })
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (d *daemon) client(t testing.TB) *Client {
	c := &Client{Socket: d.socket, Version: d.Version}
	t.Cleanup(c.Close)
	return c
}

// open adds a session; in a state that transfers, something is under way.
func (d *daemon) open(t testing.TB, remote, user string, state session.State) session.ID {
	t.Helper()
	var e *session.Entry
	e, err := d.Sessions.Open(netip.MustParseAddrPort(remote), netip.MustParseAddrPort("192.0.2.9:21"), func(reason error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.reasons[e.ID()] = reason
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
		e.Begin(session.Transfer{State: state, Path: "/pub/f", Size: 1 << 20, Abort: func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.aborted[e.ID()]++
		}})
		e.Moved(1 << 10)
	}
	return e.ID()
}

func (d *daemon) reason(id session.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reasons[id]
}

// five are sessions to choose from.
func (d *daemon) five(t testing.TB) [5]session.ID {
	return [5]session.ID{
		d.open(t, "198.51.100.1:1001", "", session.Login),
		d.open(t, "198.51.100.1:1002", "ann", session.Idle),
		d.open(t, "198.51.100.77:1003", "joe", session.Downloading),
		d.open(t, "[2001:db8::7]:1004", "joe", session.Uploading),
		d.open(t, "[fe80::1%eth0]:1005", "a b&c=ü", session.Idle),
	}
}

func mustAddr(t *testing.T, text string) netip.Prefix {
	t.Helper()
	p, err := ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSessions(t *testing.T) {
	d := start(t, nil)
	c := d.client(t)
	if list, err := c.Sessions(t.Context(), Filter{}); err != nil || len(list) != 0 {
		t.Errorf("of an empty daemon: %v, %v", list, err)
	}
	ids := d.five(t)
	for _, test := range []struct {
		name   string
		filter Filter
		want   []session.ID
	}{
		{"all", Filter{}, ids[:]},
		{"user", Filter{User: "joe"}, ids[2:4]},
		{"odd user", Filter{User: "a b&c=ü"}, ids[4:]},
		{"nobody", Filter{User: "jo"}, nil},
		{"address", Filter{Addr: mustAddr(t, "198.51.100.1")}, ids[:2]},
		{"mapped address", Filter{Addr: mustAddr(t, "::ffff:198.51.100.1")}, ids[:2]},
		{"prefix", Filter{Addr: mustAddr(t, "198.51.100.99/24")}, ids[:3]},
		{"IPv6", Filter{Addr: mustAddr(t, "2001:db8::/32")}, ids[3:4]},
		{"link-local, whatever the zone", Filter{Addr: mustAddr(t, "fe80::1")}, ids[4:]},
		{"state", Filter{States: []session.State{session.Login}}, ids[:1]},
		{"states", Filter{States: []session.State{session.Uploading, session.Downloading}}, ids[2:4]},
		{"all three", Filter{"joe", mustAddr(t, "::/0"), []session.State{session.Uploading}}, ids[3:4]},
	} {
		list, err := c.Sessions(t.Context(), test.filter)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var got []session.ID
		for _, i := range list {
			got = append(got, i.ID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: sessions %v, want %v", test.name, got, test.want)
		}
	}
	one, err := c.Session(t.Context(), ids[2])
	if err != nil || one.User != "joe" || one.State != session.Downloading || one.Moved != 1<<10 || one.Remote.Port() != 1003 {
		t.Errorf("one: %+v, %v", one, err)
	}
	if _, err := c.Session(t.Context(), 999); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("nobody: %v, want ErrNoSession", err)
	}
}

func TestParseAddr(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "192.0.2.7/24": "192.0.2.0/24", "2001:db8::1": "2001:db8::1/128",
		"::ffff:192.0.2.7": "192.0.2.7/32", "0.0.0.0/0": "0.0.0.0/0", "fe80::1%eth0": "fe80::1/128",
	} {
		if got, err := ParseAddr(text); err != nil || got.String() != want {
			t.Errorf("ParseAddr(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "host", "192.0.2", "192.0.2.7/33", "192.0.2.7:21", "::1%eth0/64"} {
		if got, err := ParseAddr(text); err == nil {
			t.Errorf("ParseAddr(%q) = %v", text, got)
		}
	}
}

func TestKick(t *testing.T) {
	d := start(t, nil)
	c, ids := d.client(t), d.five(t)
	if err := c.Kick(t.Context(), ids[0], "back at nine, \"sorry\" ü"); err != nil {
		t.Fatal(err)
	}
	if want := (session.Kicked{Message: "back at nine, \"sorry\" ü"}); !errors.Is(d.reason(ids[0]), want) {
		t.Errorf("reason is %v, want %v", d.reason(ids[0]), want)
	}
	if err := c.Kick(t.Context(), 999, ""); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("nobody: %v, want ErrNoSession", err)
	}
	for _, message := range []string{"two\nlines", "cr\r", "\x00", "\x1b[2J", "\xff\xf4", strings.Repeat("x", 401)} {
		if err := c.Kick(t.Context(), ids[1], message); err == nil && strings.ToValidUTF8(message, "") == message {
			t.Errorf("took message %q", message)
		}
	}

	got, err := c.KickAll(t.Context(), Filter{User: "joe"}, "bye")
	if err != nil || !slices.Equal(got, ids[2:4]) {
		t.Errorf("KickAll of joe = %v, %v, want %v", got, err, ids[2:4])
	}
	for _, id := range ids[2:4] {
		if want := (session.Kicked{Message: "bye"}); !errors.Is(d.reason(id), want) {
			t.Errorf("reason of %v is %v, want %v", id, d.reason(id), want)
		}
	}
	if d.reason(ids[4]) != nil {
		t.Error("KickAll of joe hit another")
	}
	if got, err := c.KickAll(t.Context(), Filter{User: "nobody"}, ""); err != nil || len(got) != 0 {
		t.Errorf("KickAll of nobody = %v, %v", got, err)
	}
	if got, err := c.KickAll(t.Context(), Filter{}, ""); err == nil {
		t.Errorf("KickAll without a filter = %v", got)
	}
	if d.reason(ids[4]) != nil {
		t.Error("KickAll without a filter hit somebody")
	}
}

func TestAbort(t *testing.T) {
	d := start(t, nil)
	c, ids := d.client(t), d.five(t)
	if err := c.Abort(t.Context(), ids[3]); err != nil || d.aborted[ids[3]] != 1 {
		t.Errorf("Abort = %v, aborted %v", err, d.aborted)
	}
	if d.reason(ids[3]) != nil {
		t.Error("Abort ended the session")
	}
	if err := c.Abort(t.Context(), ids[1]); !errors.Is(err, ErrNoTransfer) {
		t.Errorf("of an idle one: %v, want ErrNoTransfer", err)
	}
	if err := c.Abort(t.Context(), 999); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("of nobody: %v, want ErrNoSession", err)
	}
}

func TestReload(t *testing.T) {
	fault := error(nil)
	d := start(t, func(s *Server) {
		s.Reload = func(context.Context) (Reloaded, error) {
			return Reloaded{Changed: []string{"MaxIdleTime"}}, fault
		}
	})
	c := d.client(t)
	if done, err := c.Reload(t.Context()); err != nil || !slices.Equal(done.Changed, []string{"MaxIdleTime"}) || done.Restart == nil {
		t.Errorf("Reload = %+v, %v", done, err)
	}
	fault = errors.Join(errors.New("a.conf:3: no directive X"), errors.New("a.conf:9: MaxIdleTime: no number"))
	_, err := c.Reload(t.Context())
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || !slices.Equal(refused.Complaints, []string{"a.conf:3: no directive X", "a.conf:9: MaxIdleTime: no number"}) {
		t.Errorf("refused: %v", err)
	}
}

func TestStatus(t *testing.T) {
	began := time.Now().Add(-90 * time.Second)
	d := start(t, func(s *Server) {
		s.Status = func() Status {
			return Status{Started: began, Listen: []string{"127.0.0.1:21"}, Draining: true, UserDB: "/u.db", Version: "lie"}
		}
	})
	d.five(t)
	st, err := d.client(t).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Version != "1.2.3" || st.PID != os.Getpid() || st.Uptime < 90 || st.Uptime > 3600 || !st.Draining || st.UserDB != "/u.db" {
		t.Errorf("Status = %+v", st)
	}
	want := session.Totals{Now: 5, Peak: 5, Accepted: 5, Up: 1 << 10, Down: 1 << 10}
	if st.Totals != want || st.Limits != (session.Limits{Max: 50_000, PerHost: 7}) {
		t.Errorf("totals %+v, limits %+v", st.Totals, st.Limits)
	}
	if st.Goroutines < 2 || st.Memory < 1<<16 {
		t.Errorf("goroutines %d, memory %d", st.Goroutines, st.Memory)
	}
}

// TestRequests are those that no method of Client makes.
func TestRequests(t *testing.T) {
	d := start(t, nil)
	ids := d.five(t)
	long := strings.Repeat("x", 1<<20)
	for _, test := range []struct {
		method, target string
		header, body   string
		code           int
		text           string
	}{
		{"GET", "/v1/sessions", "", "", 200, `"user":"ann"`},
		{"HEAD", "/v1/sessions", "", "", 200, ``},
		{"GET", "/v1/sessions?state=login,idle", "", "", 200, `"state":"login"`},
		{"GET", "/", "", "", 404, `{"error":"there is no /"}`},
		{"GET", "/v2/status", "", "", 404, `there is no /v2/status`},
		{"GET", "/v1/sessions/1/2", "", "", 404, `there is no`},
		{"POST", "/v1/status", "", "", 405, `POST is not for /v1/status`},
		{"GET", "/v1/reload", "", "", 405, `GET is not for`},
		{"PUT", "/v1/sessions/1", "", "", 405, `PUT is not for`},
		{"BREW", "/v1/sessions", "", "", 405, `BREW is not for`},
		{"POST", "/v1/reload", "", "", 501, `cannot reload`},
		{"GET", "/v1/sessions/0", "", "", 400, `not a number`},
		{"GET", "/v1/sessions/joe", "", "", 400, `not a number`},
		{"GET", "/v1/sessions?usr=joe", "", "", 400, `there is no parameter \"usr\"`},
		{"GET", "/v1/sessions?user=", "", "", 400, `\"user\" is empty`},
		{"GET", "/v1/sessions?user=a&user=b", "", "", 400, `given 2 times`},
		{"GET", "/v1/sessions?user=%zz", "", "", 400, `query cannot be read`},
		{"GET", "/v1/sessions?addr=here", "", "", 400, `neither an address nor a prefix`},
		{"GET", "/v1/sessions?state=idle,asleep", "", "", 400, `state \"asleep\"`},
		{"GET", "/v1/sessions/1?user=joe", "", "", 400, `there is no parameter`},
		{"GET", "/v1/status?x", "", "", 400, `there is no parameter`},
		{"DELETE", "/v1/sessions", "", "", 400, `say whom`},
		{"DELETE", "/v1/sessions?message=bye", "", "", 400, `say whom`},
		{"DELETE", "/v1/sessions?usr=joe", "", "", 400, `there is no parameter`},
		{"DELETE", "/v1/sessions/999", "", "", 404, `there is no session 999`},
		{"DELETE", "/v1/sessions/1?message=a%0d%0ab", "", "", 400, `not one line`},
		{"DELETE", "/v1/sessions/1", "", `{"mesage":"x"}`, 400, `unknown field`},
		{"DELETE", "/v1/sessions/1", "", `{"message":"x"}{}`, 400, `more than one value`},
		{"DELETE", "/v1/sessions/1", "", `<xml/>`, 400, `not the JSON asked for`},
		{"DELETE", "/v1/sessions/1", "", `{"message":"` + long + `"}`, 413, `larger than`},
		{"GET", "/v1/status", "Host: evil.example", "", 403, `browsers are not served`},
		{"GET", "/v1/status", "Host: localhost:8080", "", 403, `browsers are not served`},
		{"GET", "/v1/status", "Origin: http://localhost", "", 403, `browsers are not served`},
		{"GET", "/v1/status", "Referer: http://localhost/", "", 403, `browsers are not served`},
		{"GET", "/v1/status", "Sec-Fetch-Site: none", "", 403, `browsers are not served`},
		{"DELETE", "/v1/sessions?user=joe", "Origin: null", "", 403, `browsers are not served`},
		{"DELETE", "/v1/sessions?user=ann&message=so+long", "", "", 200, fmt.Sprintf(`{"sessions":[%v]}`, ids[1])},
		{"DELETE", fmt.Sprintf("/v1/sessions/%v", ids[4]), "", `{"message":"bye"}`, 200, `{"sessions":[5]}`},
	} {
		name := fmt.Sprintf("%s %.40s %.20s", test.method, test.target, test.header)
		got := d.raw(t, test.method, test.target, test.header, test.body)
		if got.code != test.code || !strings.Contains(got.body, test.text) {
			t.Errorf("%s: %d %s, want %d with %s", name, got.code, got.body, test.code, test.text)
		}
		if v := got.header.Get(versionHeader); v != "1.2.3" {
			t.Errorf("%s: version header %q", name, v)
		}
		if test.method != "HEAD" && !json.Valid([]byte(got.body)) {
			t.Errorf("%s: body is not JSON: %s", name, got.body)
		}
		if allow := got.header.Get("Allow"); (allow != "") != (got.code == 405) {
			t.Errorf("%s: Allow is %q", name, allow)
		}
	}
	if got, want := d.reason(ids[1]), (session.Kicked{Message: "so long"}); !errors.Is(got, want) {
		t.Errorf("ann left for %v, want %v", got, want)
	}
	for n, id := range []session.ID{ids[0], ids[2], ids[3]} {
		if d.reason(id) != nil {
			t.Errorf("session %d was ended by a request that was refused", n)
		}
	}
}

// An answer is a response that was read and closed.
type answer struct {
	code   int
	header http.Header
	body   string
}

// raw sends a request by hand, as curl would, with one header more.
func (d *daemon) raw(t *testing.T, method, target, header, body string) answer {
	t.Helper()
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", d.socket)
	}, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return answer{resp.StatusCode, resp.Header, strings.TrimSpace(string(text))}
}

func TestChangesAreLogged(t *testing.T) {
	d := start(t, nil)
	c, ids := d.client(t), d.five(t)
	if _, err := c.Sessions(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	if log := d.log.String(); log != "" {
		t.Errorf("reading was logged: %s", log)
	}
	if err := c.Kick(t.Context(), ids[0], ""); err != nil {
		t.Fatal(err)
	}
	log := d.log.String()
	for _, part := range []string{"level=INFO", "method=DELETE", "path=/v1/sessions/1",
		fmt.Sprintf("peer.uid=%d", os.Getuid()), "peer.pid="} {
		if !strings.Contains(log, part) {
			t.Errorf("no %s in %s", part, log)
		}
	}
}

// TestAtOnce lists and ends at the same time from many connections.
func TestAtOnce(t *testing.T) {
	d := start(t, nil)
	var wg sync.WaitGroup
	for n := range 8 {
		c := d.client(t)
		wg.Go(func() {
			for k := range 20 {
				id := d.open(t, fmt.Sprintf("198.51.%d.%d:1", n, k), "joe", session.Idle)
				if _, err := c.Sessions(t.Context(), Filter{User: "joe"}); err != nil {
					t.Error(err)
				}
				if err := c.Kick(t.Context(), id, ""); err != nil {
					t.Error(err)
				}
				if _, err := c.Status(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := d.client(t).Sessions(t.Context(), Filter{}); err != nil || len(list) != 160 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}

// many opens n sessions that all download.
func (d *daemon) many(t testing.TB, n int) {
	for k := range n {
		remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(k >> 8), byte(k)}), 40000)
		d.open(t, remote.String(), fmt.Sprint("user", k), session.Downloading)
	}
}

func TestLongList(t *testing.T) {
	d := start(t, nil)
	d.many(t, 3000)
	list, err := d.client(t).Sessions(t.Context(), Filter{})
	if err != nil || len(list) != 3000 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
	if !slices.IsSortedFunc(list, func(a, b session.Info) int { return int(a.ID) - int(b.ID) }) {
		t.Error("not ordered by ID")
	}
	// Others read the list as plain JSON.
	body := d.raw(t, "GET", "/v1/sessions", "", "").body
	var plain []session.Info
	if err := json.Unmarshal([]byte(body), &plain); err != nil || len(plain) != 3000 {
		t.Errorf("as JSON: %d sessions, %v", len(plain), err)
	}
}

func BenchmarkSessions10000(b *testing.B) {
	d := start(b, nil)
	d.many(b, 10_000)
	c := d.client(b)
	for b.Loop() {
		if list, err := c.Sessions(b.Context(), Filter{}); err != nil || len(list) != 10_000 {
			b.Fatal(len(list), err)
		}
	}
}
