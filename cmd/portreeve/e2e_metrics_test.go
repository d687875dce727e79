//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A scraped is what a scrape tells: the value of each series, by its name and labels.
type scraped map[string]float64

// readMetrics reads the text of Prometheus.
func readMetrics(t testing.TB, text string) scraped {
	t.Helper()
	all := make(scraped)
	for line := range strings.Lines(text) {
		series, value, ok := cutLast(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if _, twice := all[series]; twice || err != nil {
			t.Fatalf("line %q: there twice, or %v", line, err)
		}
		all[series] = n
	}
	return all
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (s scraped) want(t testing.TB, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		if got, ok := s["portreeve_"+series]; !ok || got != value {
			t.Errorf("%s is %v (%v), want %v", series, got, ok, value)
		}
	}
}

var metricsAddr = regexp.MustCompile(`msg=metrics addr=(\S+)`)

// metricsPort is the first address of MetricsListen.
func (d *site) metricsPort(t testing.TB) string {
	t.Helper()
	found := metricsAddr.FindStringSubmatch(d.log.String())
	if found == nil {
		t.Fatal("the log tells no port of metrics")
	}
	return found[1]
}

// scrape has curl ask for metrics over TCP.
func (d *site) scrape(t testing.TB) scraped {
	t.Helper()
	return readMetrics(t, string(curlGet(t, "http://"+d.metricsPort(t)+"/metrics")))
}

// curlGet runs it, and it has to work.
func curlGet(t testing.TB, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("curl", append([]string{"-sS", "-f", "-m", "60"}, args...)...).Output()
	if err != nil {
		t.Fatalf("curl %q: %v", args, err)
	}
	return out
}

// TestMetrics has curl move files, fail to log in, and ask for data connections that
// cannot be, and compares what the daemon counts with what curl did.
func TestMetrics(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	d := newSite(t, nil)
	cert := makeCert(t, d, "localhost", "127.0.0.1")
	d.configure(t, "MetricsListen 127.0.0.1,0", "MetricsTopUsers 10", "TLS 1", "CertFile "+cert, "LoginDelay 0", "CallUploadScript yes")
	d.addUser(t, "full", "-N", "1")
	d.start(t)
	ftp := "ftp://127.0.0.1:" + d.port4 + "/"
	local := filepath.Join(t.TempDir(), "local")
	writeFile(t, local, bytes.Repeat([]byte("x"), 300<<10))
	run := func(works bool, args ...string) {
		t.Helper()
		out, err := exec.Command("curl", append([]string{"-sS", "-m", "60", "-o", os.DevNull}, args...)...).CombinedOutput()
		if (err == nil) != works {
			t.Errorf("curl %q: %v, %s", args, err, out)
		}
	}
	alice := "alice:" + password
	before := d.scrape(t)
	run(true, "-u", alice, "-T", local, ftp+"up1")
	run(true, "-u", alice, "-T", local, "--ssl-reqd", "--insecure", "--tlsv1.3", ftp+"up2")
	for range 3 {
		run(true, "-u", alice, ftp+"up1")
	}
	run(true, "-u", alice, ftp) // LIST
	run(false, "-u", "alice:wrong", ftp)
	run(false, "-u", "nobody:wrong", ftp)
	run(false, "-u", alice, ftp+"not-there")
	writeFile(t, local, bytes.Repeat([]byte("x"), 2<<20))
	run(false, "-u", "full:"+password, "-T", local, ftp+"up3")
	c := dialFTP(t, d, "alice")
	if _, err := c.cmd(200, "PORT 127,0,0,1,4,1"); err != nil { // where nobody listens
		t.Fatal(err)
	}
	if _, err := c.cmd(425, "LIST"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.cmd(229, "EPSV"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sessions of curl are over", func() bool { return len(d.who(t)) == 1 })

	s := d.scrape(t)
	s.want(t, map[string]float64{
		`transfers_total{direction="upload",outcome="complete"}`:     2,
		`transfers_total{direction="upload",outcome="quota"}`:        1,
		`transfers_total{direction="download",outcome="complete"}`:   3,
		`transfers_total{direction="list",outcome="complete"}`:       1,
		`transfers_total{direction="list",outcome="no_connection"}`:  1,
		`transfer_bytes_total{direction="download"}`:                 3 * 300 << 10,
		`transfer_rate_bytes_per_second_count{direction="download"}`: 3,
		`transfer_rate_bytes_per_second_count{direction="upload"}`:   2,
		`logins_total{result="success"}`:                             9,
		`logins_total{result="failure"}`:                             2,
		`hash_queue_length`:                                          0,
		`data_connection_failures_total{cause="refused"}`:            1,
		`data_connection_failures_total{cause="private-address"}`:    0,
		`quota_refusals_total`:                                       1,
		`tls_handshakes_total{channel="control",version="1.3"}`:      1,
		`tls_handshakes_total{channel="data",version="1.3"}`:         1,
		`tls_handshake_failures_total{channel="control"}`:            0,
		`connections_total{result="accepted"}`:                       11,
		`sessions{state="idle"}`:                                     1,
		`sessions{state="uploading"}`:                                0,
		`sessions_limit`:                                             500,
		`passive_ports_waiting`:                                      1,
		`command_duration_seconds_count{command="USER"}`:             11,
		`command_duration_seconds_count{command="STOR"}`:             3,
		`command_duration_seconds_count{command="AUTH"}`:             1,
		`uploads_noted_total`:                                        2,
		`uploads_waiting`:                                            2,
		`uploads_reader`:                                             0,
		`config_last_reload_successful`:                              1,
		`top_user_transfer_bytes{user="alice",vhost=""}`:             5 * 300 << 10,
		`top_user_transfer_bytes_error{user="alice",vhost=""}`:       0,
		`top_user_transfer_bytes_error{user="full",vhost=""}`:        0,
	})
	if up := s[`portreeve_transfer_bytes_total{direction="upload"}`]; up < 2*300<<10+1 || up > 2*300<<10+2<<20 {
		t.Errorf("%v bytes up", up)
	}
	if soon := float64(time.Now().UnixMilli()) / 1000; s["portreeve_start_time_seconds"] > soon || s["portreeve_start_time_seconds"] < soon-600 ||
		s[`portreeve_certificate_expiry_timestamp_seconds{file="`+cert+`",name="localhost"}`] < soon {
		t.Error("times are wrong")
	}
	for series, was := range before { // what counts never falls
		if name, _, _ := strings.Cut(series, "{"); strings.HasSuffix(name, "_total") && s[series] < was {
			t.Errorf("%s was %v and is %v", series, was, s[series])
		}
	}

	// The three ways to ask tell the same.
	socket := readMetrics(t, string(curlGet(t, "--unix-socket", d.socket(), "http://localhost/metrics")))
	printed := readMetrics(t, d.must(t, "metrics"))
	for series, value := range s {
		if strings.HasPrefix(series, "portreeve_") && (socket[series] != value || printed[series] != value) {
			t.Errorf("%s: %v over TCP, %v on the socket, %v printed", series, value, socket[series], printed[series])
		}
	}
	if open := string(curlGet(t, "-H", "Accept: application/openmetrics-text", "http://"+d.metricsPort(t)+"/metrics")); !strings.HasSuffix(open, "# EOF\n") {
		t.Error("no OpenMetrics where that is asked for")
	}
	checkMetrics(t, curlGet(t, "http://"+d.metricsPort(t)+"/metrics"))
}

// checkMetrics asks promtool, where that is installed, what is wrong with an exposition;
// package metrics asks the same questions in its own tests.
func checkMetrics(t testing.TB, text []byte) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		return
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestMetricsReload opens and closes ports as MetricsListen says, and leaves those alone
// that stay; a port that is taken refuses the configuration.
func TestMetricsReload(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	tells := func(addr string) bool {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
		resp, err := c.Get("http://" + addr + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return bytes.Contains(text, []byte("\nportreeve_sessions{"))
	}
	one, two := free(), free()
	reload := func(directives ...string) {
		t.Helper()
		d.configure(t, directives...)
		d.signal(t, syscall.SIGHUP)
	}
	listen := func(addr string) string { return "MetricsListen " + strings.Replace(addr, ":", ",", 1) }
	if tells(one) {
		t.Fatal("somebody else is there")
	}
	reload(listen(one))
	eventually(t, "the first port tells metrics", func() bool { return tells(one) })
	kept, err := net.Dial("tcp", one)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	reload(listen(one), listen(two))
	eventually(t, "the second does, too", func() bool { return tells(two) && tells(one) })
	fmt.Fprint(kept, "GET /metrics HTTP/1.0\r\n\r\n")
	if text, _ := io.ReadAll(kept); !bytes.Contains(text, []byte("portreeve_sessions{")) {
		t.Error("a port that stayed has lost its connections")
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d.configure(t, listen(taken.Addr().String()))
	if out, err := d.run(t, "", "reload"); err == nil || !strings.Contains(out, "MetricsListen: listening at") {
		t.Errorf("a port that is taken: %v, %s", err, out)
	}
	if !tells(one) || !tells(two) {
		t.Error("what was refused has changed something")
	}
	readMetrics(t, d.must(t, "metrics")).want(t, map[string]float64{"config_last_reload_successful": 0})

	reload(listen(two))
	eventually(t, "the first is closed", func() bool { return !tells(one) })
	if !tells(two) {
		t.Error("the one that stays is closed")
	}
	readMetrics(t, d.must(t, "metrics")).want(t, map[string]float64{"config_last_reload_successful": 1})
	d.signal(t, syscall.SIGTERM)
	d.ended(t)
}

// TestMetricsAtTheEnd has scrapers that ask and do not read, or say nothing, hold no
// daemon up that is to stop.
func TestMetricsAtTheEnd(t *testing.T) {
	t.Parallel()
	d := startSite(t, "MetricsListen 127.0.0.1,0")
	addr := d.metricsPort(t)
	for i := range 100 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			fmt.Fprint(conn, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 50)) // more than fits into buffers
		}
	}
	d.signal(t, syscall.SIGTERM)
	if took := d.ended(t); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
	if d.err != nil {
		t.Errorf("the daemon ended with %v", d.err)
	}
}

// TestMetricsBesideSessions scrapes without a pause beside 1,000 sessions, whose
// commands are answered meanwhile.
func TestMetricsBesideSessions(t *testing.T) {
	t.Parallel()
	d := startSite(t, "MetricsListen 127.0.0.1,0", "MaxClientsNumber 2000", "MaxClientsPerIP 0", "PasswordCache 10m")
	const sessions = 1000
	all := make([]*ftpConn, sessions)
	for i := range all {
		c, err := loginFTP(d.port4, "alice")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all[i] = c
	}
	latencies := func() (half, most time.Duration) {
		var took []time.Duration
		for range 3 {
			for _, c := range all {
				start := time.Now()
				if _, err := c.cmd(200, "NOOP"); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
		}
		slices.Sort(took)
		return took[len(took)/2], took[len(took)*99/100]
	}
	half, most := latencies()
	ctx, stop := context.WithCancel(t.Context())
	var scrapers sync.WaitGroup
	scrapes := 0
	scrapers.Go(func() {
		for ctx.Err() == nil {
			resp, err := http.Get("http://" + d.metricsPort(t) + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if !bytes.Contains(text, []byte("\nportreeve_sessions{state=\"idle\"} 1000\n")) {
				t.Errorf("a scrape among %d sessions: %.200s", sessions, text)
				return
			}
			scrapes++
		}
	})
	halfBeside, mostBeside := latencies()
	stop()
	scrapers.Wait()
	t.Logf("half of the commands took up to %v, and 99 of 100 %v; beside %d scrapes %v and %v", half, most, scrapes, halfBeside, mostBeside)
	// A processor may be all there is for both; a lock that sessions wait for takes more.
	if scrapes == 0 || halfBeside > max(10*half, 5*time.Millisecond) || mostBeside > max(10*most, 100*time.Millisecond) {
		t.Error("commands wait for scrapes")
	}
}
