package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/server/measure"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// counted is what a rig's server has counted that is not 0, by labels.
func (r *rig) counted(of ...[]measure.Count) map[string]int64 {
	all := make(map[string]int64)
	for _, c := range slices.Concat(of...) {
		if c.N != 0 {
			all[strings.Join(c.Labels, " ")] = c.N
		}
	}
	return all
}

func (r *rig) wantCounts(what string, got []measure.Count, want map[string]int64) {
	r.t.Helper()
	if is := r.counted(got); !maps.Equal(is, want) {
		r.t.Errorf("%s: %v, want %v", what, is, want)
	}
}

// What a client does is what the server counts.
func TestCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MetricsTopUsers = 3 })
		r.withQuota(3, 1<<20)
		large := strings.Repeat("x", 100<<10)
		r.put("large", large)

		c := r.dial(clientAddr)
		c.want(220)
		c.cmd(331, "USER alice")
		c.cmd(530, "PASS wrong")
		c.login("alice")
		if data, code := c.retr("RETR large"); data != large || code != 226 {
			t.Fatalf("RETR: %d bytes, %d", len(data), code)
		}
		c.retr("NLST")
		if code := c.stor("12345", "STOR small"); code != 226 {
			t.Fatalf("STOR: %d", code)
		}
		c.cmd(257, "MKD d")
		c.cmd(552, "MKD e")
		if code := c.stor(strings.Repeat("y", 2<<20), "APPE small"); code != 552 {
			t.Fatalf("APPE: %d", code)
		}
		c.cmd(229, "EPSV")
		c.cmd(150, "RETR large") // and does not connect
		c.want(425)
		c.cmd(500, "BLAH")
		c.cmd(213, "HASH large")
		c.cmd(221, "QUIT")
		<-c.done

		m := r.srv.Measured()
		r.wantCounts("logins", m.Logins, map[string]int64{"failure": 1, "success": 1})
		r.wantCounts("transfers", m.Transfers, map[string]int64{"download complete": 1, "list complete": 1, "upload complete": 1,
			"upload quota": 1, "download no_connection": 1, "job complete": 1})
		r.wantCounts("no data", m.NoData, map[string]int64{"silent": 1})
		if m.QuotaRefusals != 2 {
			t.Errorf("%d refusals for the quota, want 2", m.QuotaRefusals)
		}
		replies := r.counted(m.Replies)
		if replies["5xx"] != 4 || replies["4xx"] != 1 || replies["1xx"] != 5 || replies["3xx"] != 2 {
			t.Errorf("replies: %v", replies)
		}
		said := make(map[string]int64)
		for _, s := range m.Commands {
			said[s.Labels[0]] = s.Count()
		}
		if said["EPSV"] != 5 || said["RETR"] != 2 || said["PASS"] != 2 || said["BLAH"] != 0 || said["HASH"] != 1 {
			t.Errorf("commands: %v", said)
		}
		moved := r.counted(m.Bytes)
		if moved["upload"] <= 5 || moved["download"] != 100<<10 || moved["list"] != int64(len("large\r\n")) || moved["job"] != 100<<10 {
			t.Errorf("bytes: %v", moved)
		}
		if m.PassivePorts != 0 || m.Jobs != 0 {
			t.Errorf("at the end %d passive ports, %d jobs", m.PassivePorts, m.Jobs)
		}
		if len(m.TopUsers) != 1 || m.TopUsers[0].User != "alice" || m.TopUsers[0].Sum < 100<<10+5 {
			t.Errorf("top users: %v", m.TopUsers)
		}
	})
}

// Bytes are counted while they move, and states while they last.
func TestCountsBytesUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		const size = 4 << 20
		r.put("large", strings.Repeat("x", size))
		c := r.login()
		data := c.passive()
		c.cmd(150, "RETR large")
		if _, err := io.CopyN(io.Discard, data, size/2); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := r.srv.Sessions.Moved(registry.Downloading); n < size/4 || n >= size {
			t.Errorf("%d bytes are counted half way through %d", n, size)
		}
		if now := r.srv.Sessions.Now(); now[registry.Downloading] != 1 {
			t.Errorf("sessions: %v", now)
		}
		if n := r.counted(r.srv.Measured().Transfers); len(n) != 0 {
			t.Errorf("transfers ended: %v", n)
		}
		c.say("ABOR")
		c.want(426)
		c.want(226)
		data.Close()
		r.wantCounts("transfers", r.srv.Measured().Transfers, map[string]int64{"download aborted": 1})
		c.cmd(229, "EPSV")
		if n := r.srv.Measured().PassivePorts; n != 1 {
			t.Errorf("%d passive ports wait", n)
		}
		if now := r.srv.Sessions.Now(); now[registry.Idle] != 1 {
			t.Errorf("sessions: %v", now)
		}
	})
}

func TestEndings(t *testing.T) {
	for _, tt := range []struct {
		r    result
		want string
	}{
		{result{}, "complete"},
		{result{orphaned: true}, "unconfirmed"},
		{result{unsigned: true}, "unconfirmed"},
		{result{err: errAborted}, "aborted"},
		{result{err: errStalled}, "timeout"},
		{result{err: errTooLong}, "timeout"},
		{result{err: errEnded}, "ended"},
		{result{err: errShutdown}, "ended"},
		{result{err: errRevoked}, "ended"},
		{result{err: registry.Kicked{Message: "bye"}}, "ended"},
		{result{err: errLost}, "broken"},
		{result{err: &net.OpError{Op: "write", Err: syscall.ECONNRESET}}, "broken"},
		{result{err: fmt.Errorf("storing: %w", vfs.ErrQuota)}, "quota"},
		{result{err: &noData{cause: causeSilent}}, "no_connection"},
		{result{err: errUnbound}, "no_connection"},
		{result{err: &os.PathError{Op: "write", Err: syscall.EIO}}, "failed"},
		{result{err: syscall.ENOSPC}, "failed"},
		{result{err: errShrunk}, "failed"},
		{result{err: errors.New("anything")}, "failed"},
	} {
		if got := endings[tt.r.ending()]; got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.r, got, tt.want)
		}
	}
}

// Rates are those of whole files that are large enough to have one.
func TestCountsRates(t *testing.T) {
	s := &Server{counts: newCounts(), Sessions: registry.New(registry.Limits{})}
	for _, r := range []result{
		{bytes: 1 << 20, took: time.Second},
		{bytes: worthARate - 1, took: time.Second},
		{bytes: 1 << 20, took: time.Second, err: errLost},
		{bytes: 1 << 20}, // sooner than the clock can tell
	} {
		s.counts.transfer(registry.Uploading, &r)
		s.counts.transfer(registry.Listing, &r)
	}
	for _, got := range s.Measured().Rates {
		if want := map[string]int64{"upload": 1 << 20, "download": 0}[got.Labels[0]]; got.Sum != want || got.Count() != min(want, 1) {
			t.Errorf("%s: %d rates, %d in all", got.Labels[0], got.Count(), got.Sum)
		}
	}
}

func TestCountsLogins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.PerUserLimits.User = 1 })
		r.login()
		c := r.dial(clientAddr)
		c.want(220)
		c.cmd(331, "USER alice")
		c.cmd(421, "PASS secret")
		r.wantCounts("logins", r.srv.Measured().Logins, map[string]int64{"success": 1, "refused": 1})
	})
}

func TestCountsHandshakes(t *testing.T) {
	c := newCounts()
	for channel, version := range map[int]uint16{controlChannel: tls.VersionTLS12, dataChannel: tls.VersionTLS13} {
		c.handshake(channel, version)
		c.handshake(channel, 0)
		c.handshake(channel, 0x0305)
	}
	r := &rig{t: t, srv: &Server{counts: c, Sessions: registry.New(registry.Limits{})}}
	m := r.srv.Measured()
	r.wantCounts("handshakes", m.Handshakes, map[string]int64{"control 1.2": 1, "data 1.3": 1, "control other": 1, "data other": 1})
	r.wantCounts("failed", m.FailedHandshakes, map[string]int64{"control": 1, "data": 1})
}

// The users of the top are forgotten when nobody wants them, or others.
func TestTopUsersBySetting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		fetch := func() { r.put("f", "12345"); c := r.login(); c.retr("RETR f"); c.cmd(221, "QUIT"); <-c.done }
		set := func(n int) { cfg := r.srv.Config(); cfg.MetricsTopUsers = n; r.srv.Configure(cfg) }
		for _, step := range []struct{ set, want int }{{0, 0}, {2, 1}, {2, 1}, {0, 0}} {
			set(step.set)
			fetch()
			if n := len(r.srv.Measured().TopUsers); n != step.want {
				t.Errorf("MetricsTopUsers %d: %d users", step.set, n)
			}
		}
	})
}

// What counting costs a command: two readings of the clock more at most, and some
// additions, beside some microseconds.
func BenchmarkCountCommand(b *testing.B) {
	c := newCounts()
	row := lookup("NOOP")
	for b.Loop() {
		began := time.Now()
		c.command(row, time.Since(began))
		c.reply(200)
	}
}
