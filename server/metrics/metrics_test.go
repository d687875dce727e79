package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"portreeve/server/measure"
)

// scrape returns what an exporter of facts answers.
func scrape(t testing.TB, facts Facts, header ...string) string {
	t.Helper()
	e := New(func() Facts { return facts }, slog.New(slog.DiscardHandler))
	r := httptest.NewRequest("GET", "/metrics", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func one(labels ...string) []measure.Count { return []measure.Count{{Labels: labels, N: 7}} }

func observed(v int64) measure.Buckets {
	h := measure.NewHistogram([]int64{100e3, 1e9})
	h.Observe(v)
	return h.Buckets()
}

// rowTests are, for each row of the table, a fact that changes and the line that then is
// there.
var rowTests = map[string]struct {
	set  func(*Facts)
	want string
}{
	"portreeve_build_info":                                   {func(f *Facts) { f.Version = "1.2.3" }, `{goversion="go*",version="1.2.3"} 1`},
	"portreeve_start_time_seconds":                           {func(f *Facts) { f.Started = time.UnixMilli(1500) }, " 1.5"},
	"portreeve_draining":                                     {func(f *Facts) { f.Draining = true }, " 1"},
	"portreeve_config_last_reload_successful":                {func(f *Facts) { f.ReloadFault = true }, " 0"},
	"portreeve_config_last_reload_success_timestamp_seconds": {func(f *Facts) { f.Reloaded = time.Unix(99, 0) }, " 99"},

	"portreeve_connections_total":     {func(f *Facts) { f.Refused = 7 }, `{result="refused"} 7`},
	"portreeve_sessions":              {func(f *Facts) { f.Sessions = one("idle") }, `{state="idle"} 7`},
	"portreeve_sessions_limit":        {func(f *Facts) { f.MaxSessions = 7 }, " 7"},
	"portreeve_passive_ports_waiting": {func(f *Facts) { f.PassivePorts = 7 }, " 7"},
	"portreeve_passive_ports_limit":   {func(f *Facts) { f.MaxPassivePorts, f.PassiveRange = 9, 7 }, " 7"},
	"portreeve_jobs":                  {func(f *Facts) { f.Jobs = 7 }, " 7"},
	"portreeve_jobs_limit":            {func(f *Facts) { f.MaxJobs = 7 }, " 7"},

	"portreeve_command_duration_seconds": {func(f *Facts) {
		f.Commands = []measure.Sizes{{Labels: []string{"NOOP"}, Buckets: observed(100e3)}}
	}, `_bucket{command="NOOP",le="0.0001"} 1`},
	"portreeve_replies_total":         {func(f *Facts) { f.Replies = one("5xx") }, `{class="5xx"} 7`},
	"portreeve_logins_total":          {func(f *Facts) { f.Logins = one("failure") }, `{result="failure"} 7`},
	"portreeve_hash_queue_length":     {func(f *Facts) { f.HashesWaiting = 7 }, " 7"},
	"portreeve_hash_wait_seconds":     {func(f *Facts) { f.HashWaited = observed(2e9) }, "_sum 2"},
	"portreeve_hash_duration_seconds": {func(f *Facts) { f.HashesTook = observed(1e9) }, `_bucket{le="1"} 1`},

	"portreeve_transfers_total":      {func(f *Facts) { f.Transfers = one("upload", "complete") }, `{direction="upload",outcome="complete"} 7`},
	"portreeve_transfer_bytes_total": {func(f *Facts) { f.Bytes = one("upload") }, `{direction="upload"} 7`},
	"portreeve_transfer_rate_bytes_per_second": {func(f *Facts) {
		f.Rates = []measure.Sizes{{Labels: []string{"upload"}, Buckets: observed(5e8)}}
	}, `_bucket{direction="upload",le="1e+09"} 1`},
	"portreeve_data_connection_failures_total": {func(f *Facts) { f.NoData = one("silent") }, `{cause="silent"} 7`},
	"portreeve_quota_refusals_total":           {func(f *Facts) { f.QuotaRefusals = 7 }, " 7"},
	"portreeve_top_user_transfer_bytes": {func(f *Facts) {
		f.TopUsers = []measure.Share{{Key: measure.Key{Host: "h", User: "ann"}, Sum: 7}}
	}, `{user="ann",vhost="h"} 7`},
	"portreeve_top_user_transfer_bytes_error": {func(f *Facts) {
		f.TopUsers = []measure.Share{{Key: measure.Key{User: "ann"}, Sum: 9, Error: 7}}
	}, `{user="ann",vhost=""} 7`},

	"portreeve_tls_handshakes_total":         {func(f *Facts) { f.Handshakes = one("data", "1.3") }, `{channel="data",version="1.3"} 7`},
	"portreeve_tls_handshake_failures_total": {func(f *Facts) { f.FailedHandshakes = one("control") }, `{channel="control"} 7`},
	"portreeve_certificate_expiry_timestamp_seconds": {func(f *Facts) {
		f.Certificates = []Certificate{{"/c.pem", "ftp.example", time.Unix(77, 0)}, {"/c.pem", "ftp.example", time.Unix(78, 0)}}
	}, `{file="/c.pem",name="ftp.example"} 77`},

	"portreeve_log_entries_lost_total": {func(f *Facts) { f.LogLost = map[string]int64{"system log": 7} }, `{log="system log"} 7`},
	"portreeve_uploads_noted_total":    {func(f *Facts) { f.NotesUploads, f.UploadsNoted = true, 7 }, " 7"},
	"portreeve_uploads_waiting":        {func(f *Facts) { f.NotesUploads, f.UploadsWaiting = true, 7 }, " 7"},
	"portreeve_uploads_lost_total":     {func(f *Facts) { f.NotesUploads, f.UploadsLost = true, 7 }, " 7"},
	"portreeve_uploads_reader":         {func(f *Facts) { f.NotesUploads, f.UploadsRead = true, true }, " 1"},
}

// Each row tells the fact that it is for, and nothing if that is not so.
func TestEveryMetricChanges(t *testing.T) {
	for _, m := range Table() {
		tt, ok := rowTests[m.Name]
		if !ok {
			t.Errorf("nothing tries %s", m.Name)
			continue
		}
		var f Facts
		f.HashWaited, f.HashesTook = measure.NewHistogram(nil).Buckets(), measure.NewHistogram(nil).Buckets()
		before := scrape(t, f)
		tt.set(&f)
		line := regexp.MustCompile(`(?m)^` + strings.ReplaceAll(regexp.QuoteMeta(m.Name+tt.want), `\*`, `[^"]*`) + `$`)
		if after := scrape(t, f); line.MatchString(before) || !line.MatchString(after) {
			t.Errorf("%s: no line %s, or it is always there", m.Name, line)
		}
	}
	if len(rowTests) != len(Table()) {
		t.Error("a metric is tried that is not in the table")
	}
}

// full are facts with which each metric is there.
func full() Facts {
	var f Facts
	f.HashWaited, f.HashesTook = measure.NewHistogram(nil).Buckets(), measure.NewHistogram(nil).Buckets()
	for _, m := range Table() {
		rowTests[m.Name].set(&f)
	}
	return f
}

// The table is as Prometheus wants names and help to be, without doubles.
func TestConventions(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, full()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "portreeve_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	seen := make(map[string]bool)
	for _, m := range Table() {
		if seen[m.Name] || !strings.HasSuffix(m.Help, ".") || strings.Contains(m.Help, "\n") {
			t.Errorf("%s: twice, or its help is no sentence: %q", m.Name, m.Help)
		}
		seen[m.Name] = true
		if slices.Contains(m.Labels, "path") {
			t.Errorf("%s: paths are without number", m.Name)
		}
	}
}

// The collector is what package prometheus demands of one, the strictest way.
func TestPedantic(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(newCollector(full)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}

func TestOpenMetrics(t *testing.T) {
	text := scrape(t, full(), "Accept", "application/openmetrics-text; version=1.0.0")
	if !strings.HasSuffix(text, "# EOF\n") || !strings.Contains(text, "# TYPE portreeve_replies counter\nportreeve_replies_total{class=\"5xx\"} 7") {
		t.Errorf("no OpenMetrics:\n%s", text)
	}
	if text := scrape(t, full()); strings.Contains(text, "# EOF") || !strings.Contains(text, "# TYPE portreeve_replies_total counter") {
		t.Errorf("no text of Prometheus:\n%s", text)
	}
}

// Whatever the names, what is told of users is bounded, valid and apart.
func TestHostileNames(t *testing.T) {
	f := full()
	f.TopUsers = nil
	for i, name := range []string{"a\"} 1\nevil 2", "\xff\xfe", `\xff\xfe`, "\x1b[2J", "ü", "\u202eevil", strings.Repeat("x", 1000), strings.Repeat("x", 999), "\x00", ""} {
		f.TopUsers = append(f.TopUsers, measure.Share{Key: measure.Key{User: name}, Sum: int64(i)})
	}
	text := scrape(t, f)
	for _, want := range []string{`user="a\"} 1\\x0aevil 2"`, `user="\\xff\\xfe"`, `user="\\\\xff\\\\xfe"`, `user="\\x1b[2J"`, `user="ü"`, `user="\\u202eevil"`, `user="\\x00"`, `user=""`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\nportreeve_top_user_transfer_bytes{"); n != 9 { // of two names that begin alike one is shown
		t.Errorf("%d users", n)
	}
	if strings.Contains(text, "\nevil") || strings.Contains(text, "\x1b") || strings.Contains(text, "\xff") {
		t.Error("a name forges a line, or steers a terminal")
	}
}

// 100,000 users make no more series than ten.
func TestManyUsersStayFew(t *testing.T) {
	lines := func(users int) int {
		top := measure.NewTop(1000)
		for i := range users {
			top.Add(measure.Key{User: "user" + strconv.Itoa(i)}, int64(i)+1)
		}
		f := full()
		f.TopUsers = top.Most(10)
		return strings.Count(scrape(t, f), "\nportreeve_")
	}
	if few, many := lines(10), lines(100_000); few != many {
		t.Errorf("%d lines with ten users, %d with 100,000", few, many)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("plain")
	f.Add("\xff\\\x1b\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		shown := Visible(text)
		if len(shown) > longest+16 || strings.ContainsFunc(strings.ReplaceAll(shown, `\`, ""), odd) {
			t.Errorf("%q is shown as %q", text, shown)
		}
	})
}

// A port of the exporter, and how to stop it.
func listen(t *testing.T, facts func() Facts) (addr string, stop func() time.Duration) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	done := make(chan error, 1)
	go func() { done <- New(facts, log).Serve(ctx, l, log) }()
	t.Cleanup(cancel)
	return l.Addr().String(), func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return time.Since(start)
	}
}

func TestServe(t *testing.T) {
	addr, stop := listen(t, full)
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/metrics", 200}, {"HEAD", "/metrics", 200}, {"GET", "/metrics?x=1", 200},
		{"POST", "/metrics", 405}, {"GET", "/", 404}, {"GET", "/metrics/x", 404}, {"GET", "/v1/status", 404}, {"GET", "/debug/pprof/", 404},
	} {
		req, err := http.NewRequest(tt.method, "http://"+addr+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.code || tt.code == 200 && tt.method == "GET" && !bytes.Contains(body, []byte("go_goroutines")) {
			t.Errorf("%s %s: %d %.40q", tt.method, tt.path, resp.StatusCode, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// A name that somebody made lead to this machine reads nothing here.
func TestRebound(t *testing.T) {
	here, out := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:9121")), net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:9121"))
	for _, tt := range []struct {
		host string
		at   net.Addr
		want bool
	}{
		{"127.0.0.1:9121", here, false}, {"localhost", here, false}, {"localhost:9121", here, false}, {"[::1]:9121", here, false}, {"[::1]", here, false}, {"", here, false},
		{"evil.example", here, true}, {"evil.example:9121", here, true}, {"localhost.evil.example", here, true},
		{"ftp.example:9121", out, false}, {"192.0.2.1:9121", out, false},
		{"evil.example", &net.TCPAddr{IP: net.ParseIP("::1"), Port: 1}, true}, {"evil.example", &net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1"), Port: 1}, true},
	} {
		if got := rebound(tt.host, tt.at); got != tt.want {
			t.Errorf("%q at %v: %v", tt.host, tt.at, got)
		}
	}
	addr, _ := listen(t, full)
	req, err := http.NewRequest("GET", "http://"+addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// Nobody who is slow, says nothing or comes in hundreds keeps the end from coming.
func TestServeEndsBesideSlowScrapers(t *testing.T) {
	asked := make(chan struct{}, 1)
	hang := make(chan struct{})
	addr, stop := listen(t, func() Facts {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-hang
		return full()
	})
	defer close(hang)
	for i := range 3 * maxConns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		switch i % 3 {
		case 0:
			fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n") // and reads nothing
		case 1:
			fmt.Fprint(conn, "GET /met")
		}
	}
	<-asked
	if took := stop(); took > 10*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// Of more connections than there are places for, those beyond are closed, and a place
// is free again when one leaves.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := make(queue)
		b := &bounded{Listener: in, places: make(chan struct{}, 2)}
		var got []net.Conn
		go func() {
			for {
				conn, err := b.Accept()
				if err != nil {
					return
				}
				got = append(got, conn)
			}
		}()
		come := func() net.Conn {
			near, far := net.Pipe()
			in <- far
			synctest.Wait()
			return near
		}
		come()
		come()
		if _, err := come().Read(make([]byte, 1)); err == nil || len(got) != 2 {
			t.Errorf("%d were taken, and the third was left: %v", len(got), err)
		}
		got[0].Close()
		got[0].Close()
		come()
		if _, err := come().Read(make([]byte, 1)); err == nil || len(got) != 3 {
			t.Errorf("%d were taken after one left: %v", len(got), err)
		}
		close(in)
	})
}

// A queue is a listener of connections that are put there.
type queue chan net.Conn

func (q queue) Accept() (net.Conn, error) {
	if conn, ok := <-q; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (q queue) Close() error   { return nil }
func (q queue) Addr() net.Addr { return nil }

func BenchmarkScrape(b *testing.B) {
	e := New(full, slog.New(slog.DiscardHandler))
	r := httptest.NewRequest("GET", "/metrics", nil)
	for b.Loop() {
		e.ServeHTTP(httptest.NewRecorder(), r)
	}
}
