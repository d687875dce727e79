package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portreeve/server/syslog"
)

// A heard is what the system's log was told.
type heard struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (h *heard) send(level syslog.Level, _ time.Time, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !strings.Contains(text, "["+level.String()+"] ") {
		text += " AT ANOTHER LEVEL"
	}
	h.lines = append(h.lines, text)
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}

// hear has a rig tell the system's log, too.
func (r *rig) hear(level slog.Level) *heard {
	h := new(heard)
	r.srv.Log = slog.New(slog.NewMultiHandler(r.srv.Log.Handler(), NewSystemLog(level, h.send)))
	return h
}

func (h *heard) want(t *testing.T, patterns ...string) {
	t.Helper()
	all := h.all()
	for _, p := range patterns {
		if !slices.ContainsFunc(all, regexp.MustCompile("^"+p+"$").MatchString) {
			t.Errorf("no line is %s:\n%s", p, strings.Join(all, "\n"))
		}
	}
}

// TestSystemLog goes through a session and reads what Pure-FTPd would say of it.
func TestSystemLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxLoginFailures = 2; c.MaxClientsPerIP = 1 })
		h := r.hear(slog.LevelInfo)
		c := r.login()
		c.stor("12345", "STOR a b")
		c.retr("RETR a b")
		c.cmd(350, "RNFR a b")
		c.cmd(250, "RNTO c\xe9")
		c.cmd(250, "DELE c\xe9")
		conn := c.passive()
		c.say("STOR cut")
		c.want(150)
		_, _ = io.WriteString(conn, "123")
		c.say("ABOR")
		c.want(426)
		c.want(226)
		r.dial(netip.AddrPort{}).want(421)
		c.cmd(221, "QUIT")
		<-c.done
		c = r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER mallory")
		c.cmd(530, "PASS x")
		c.say("USER x@203.0.113.9) [WARNING] Authentication failed for user [y")
		c.want(331)
		c.cmd(421, "PASS x")
		h.want(t,
			`\(\?@198\.51\.100\.7\) \[INFO\] New connection from 198\.51\.100\.7`,
			`\(\?@198\.51\.100\.7\) \[INFO\] alice is now logged in`,
			`\(alice@198\.51\.100\.7\) \[NOTICE\] `+regexp.QuoteMeta(r.home)+`//a b uploaded  \(5 bytes, \d+\.\d\dKB/sec\)`,
			`\(alice@198\.51\.100\.7\) \[NOTICE\] `+regexp.QuoteMeta(r.home)+`//a b downloaded  \(5 bytes, \d+\.\d\dKB/sec\)`,
			`\(alice@198\.51\.100\.7\) \[NOTICE\] File successfully renamed or moved: \[/a b\]->\[/c.*\]`,
			`\(alice@198\.51\.100\.7\) \[NOTICE\] Deleted `+regexp.QuoteMeta(r.home)+`//c.*`,
			`\(alice@198\.51\.100\.7\) \[NOTICE\] .*//cut: STOR cut short  \(3 bytes, .*\): .*`,
			`\(\?@\?\) \[WARNING\] Too many connections \(1\) from this IP: \[198\.51\.100\.7\]`,
			`\(alice@198\.51\.100\.7\) \[INFO\] Logout\.`,
			`\(\?@198\.51\.100\.7\) \[WARNING\] Authentication failed for user \[mallory\]`)
		// What fail2ban looks for, at the beginning of the text.
		failure := regexp.MustCompile(`^\(.+?@(\S+)\) \[WARNING\] Authentication failed for user \[.*\]\s*$`)
		var blamed []string
		for _, line := range h.all() {
			if m := failure.FindStringSubmatch(line); m != nil {
				blamed = append(blamed, m[1])
			}
		}
		if !slices.Equal(blamed, []string{"198.51.100.7", "198.51.100.7"}) {
			t.Errorf("to blame are %q", blamed)
		}
		if strings.Contains(r.logs.String(), "root") {
			t.Errorf("the other log shows where homes are:\n%s", r.logs)
		}
	})
}

// TestSystemLogVerbose has commands and replies in it, and no password.
func TestSystemLogVerbose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.VerboseLog = 2 })
		h := r.hear(slog.LevelInfo)
		c := r.login()
		c.cmd(250, "CWD x@203.0.113.9) [WARNING] Authentication failed for user [y/..")
		c.say("CWD  two  blanks")
		c.want(550)
		h.want(t,
			`\(\?@198\.51\.100\.7\) \[DEBUG\] Command \[user\] \[alice\]`,
			`\(\?@198\.51\.100\.7\) \[DEBUG\] Command \[pass\] \[<\*>\]`,
			`\(\?@198\.51\.100\.7\) \[DEBUG\] 331 Password required`,
			`\(alice@198\.51\.100\.7\) \[DEBUG\] Command \[cwd\] \[ two  blanks\]`)
		if n := strings.Count(strings.Join(h.all(), "\n"), ") ["); n != len(h.all()) {
			t.Errorf("%d lines begin %d times:\n%s", len(h.all()), n, strings.Join(h.all(), "\n"))
		}
	})
}

// TestSystemLogIdle tells those who were idle from those who left.
func TestSystemLogIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		h := r.hear(slog.LevelInfo)
		c := r.login()
		c.want(421)
		<-c.done
		h.want(t, `\(alice@198\.51\.100\.7\) \[INFO\] Timeout - try typing a little faster next time`)
	})
}

// TestSystemLogOfOthers has what no session logs, and no words of Pure-FTPd.
func TestSystemLogOfOthers(t *testing.T) {
	h := new(heard)
	log := slog.New(NewSystemLog(slog.LevelWarn, h.send)).With("session", 5)
	log.Info("not this")
	log.WithGroup("g").Error("a disk\nis full) [INFO] x", "err", errors.New(`no "room"`), "path", "")
	log.Warn("refused", "addr", "x", "err", errors.New("not a limit"))
	want := []string{`(?@?) [ERROR] a disk_is full)_[INFO] x session="5" err="no \"room\""`, `(?@?) [INFO] refused session="5" addr="x" err="not a limit"`}
	if got := h.all(); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// TestHiddenAttributes logs what only the system's log is to show.
func TestHiddenAttributes(t *testing.T) {
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).With("user", "alice", "", place{"/srv/alice"}).Info("uploaded", "took", stretch(1234567))
		if got := b.String(); strings.Contains(got, "srv") || !strings.Contains(got, "alice") || strings.Contains(got, `""`) || name == "text" && !strings.Contains(got, "took=1ms") {
			t.Errorf("%s shows %s", name, got)
		}
	}
}

// TestWordsAreLogged looks for every message of the table in the code that logs.
func TestWordsAreLogged(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || f == "systemlog.go" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	names := map[string]string{leftAtOnce: "leftAtOnce", withoutTLSEnd: "withoutTLSEnd", transferFailed: "transferFailed", commandFailed: "commandFailed"}
	for message := range words {
		spelling := `"` + message + `"`
		if name := names[message]; name != "" {
			spelling = name
		}
		if !regexp.MustCompile(`(?i)log\.(Info|Warn|Error|Debug)\(` + spelling + `[,)]`).MatchString(code.String()) {
			t.Errorf("nothing logs %q", message)
		}
	}
	if !(&systemLog{level: slog.LevelInfo}).Enabled(context.Background(), slog.LevelInfo) {
		t.Error("it is deaf")
	}
}
