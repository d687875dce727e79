package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portreeve/logparse"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// A recorded is a Recorder that keeps all.
type recorded struct {
	mu  sync.Mutex // guards all
	all []logparse.Entry
}

func (*recorded) Records() bool { return true }

func (r *recorded) Record(e logparse.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
}

// take returns what came since the last time.
func (r *recorded) take() []logparse.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

// record has a rig tell everything.
func (r *rig) record() *recorded {
	all := new(recorded)
	r.srv.Recorder = all
	return all
}

// want expects entries since the last time, of which only what differs from them
// by what is everywhere the same need be said.
func (r *recorded) want(t *testing.T, root string, want ...logparse.Entry) {
	t.Helper()
	got := r.take()
	for i := range max(len(got), len(want)) {
		var g, w logparse.Entry
		if i < len(got) {
			g = got[i]
			if g.Time.IsZero() || g.PID != os.Getpid() || g.Host != clientAddr.Addr().String() || g.Level == 0 {
				t.Errorf("entry %d does not say when, where or how much it matters: %+v", i, g)
			}
			g.Time, g.PID, g.Host, g.Session, g.Level, g.Took, g.Rate = time.Time{}, 0, "", "", 0, 0, 0
			g.Path, g.To = strings.TrimPrefix(g.Path, root), strings.TrimPrefix(g.To, root)
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("entry %d is\n%+v, not\n%+v", i, g, w)
		}
	}
}

// TestEntries does all that is written down, in vain too, and reads what is.
func TestEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.MaxLoginFailures = 2; c.MaxClientsPerIP = 1; c.Symlinks = true })
		all := r.record()
		root, err := filepath.EvalSymlinks(r.home)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("old", filepath.Join(r.home, "link")); err != nil {
			t.Fatal(err)
		}
		c := r.login()
		c.cmd(200, "CLNT probe 1.0")
		c.cmd(200, "TYPE I")
		all.want(t, root,
			logparse.Entry{Event: logparse.Connect},
			logparse.Entry{Event: logparse.Login, Status: logparse.Whole, User: "alice", Command: "PASS", Code: 230})
		alice := func(e logparse.Entry) logparse.Entry {
			e.User, e.Client = "alice", "probe 1.0"
			return e
		}
		whole := func(e logparse.Entry) logparse.Entry { e.Status = logparse.Whole; return alice(e) }
		failed := func(e logparse.Entry) logparse.Entry { e.Status = logparse.Failed; return alice(e) }

		c.stor("12345", "STOR new")
		c.stor("678", "APPE new")
		c.cmd(350, "REST 6")
		c.retr("RETR new")
		c.cmd(550, "RETR nothing")
		c.cmd(550, "STOR nowhere/x")
		all.want(t, root,
			whole(logparse.Entry{Direction: logparse.Upload, Path: "/new", Bytes: 5, Size: 5, Command: "STOR", Code: 226}),
			whole(logparse.Entry{Direction: logparse.Upload, Path: "/new", Bytes: 3, Offset: 5, Size: 8, Command: "APPE", Code: 226}),
			whole(logparse.Entry{Direction: logparse.Download, Path: "/new", Bytes: 2, Offset: 6, Size: 8, Command: "RETR", Code: 226}),
			failed(logparse.Entry{Direction: logparse.Download, Path: "/nothing", Reason: "no-such-file", Command: "RETR", Code: 550}),
			failed(logparse.Entry{Direction: logparse.Upload, Path: "/nowhere/x", Reason: "no-such-file", Command: "STOR", Code: 550}))

		c.cmd(257, "MKD dir")
		c.cmd(550, "MKD dir")
		c.cmd(200, "SITE CHMOD 640 new")
		c.cmd(350, "RNFR new")
		c.cmd(250, "RNTO dir/old")
		c.cmd(550, "RMD dir")
		c.cmd(250, "DELE link")
		c.cmd(250, "DELE dir/old")
		c.cmd(550, "DELE dir/old")
		c.cmd(250, "RMD dir")
		c.cmd(200, `SITE SYMLINK away gone`)
		all.want(t, root,
			whole(logparse.Entry{Event: logparse.Mkdir, Path: "/dir", Command: "MKD", Code: 257}),
			failed(logparse.Entry{Event: logparse.Mkdir, Path: "/dir", Reason: "exists", Command: "MKD", Code: 550}),
			whole(logparse.Entry{Event: logparse.Chmod, Path: "/new", Text: "640", Command: "SITE CHMOD", Code: 200}),
			whole(logparse.Entry{Event: logparse.Rename, Path: "/new", To: "/dir/old", Command: "RNTO", Code: 250}),
			failed(logparse.Entry{Event: logparse.Rmdir, Path: "/dir", Reason: "not-empty", Command: "RMD", Code: 550}),
			whole(logparse.Entry{Event: logparse.Delete, Path: "/link", Bytes: 3, Command: "DELE", Code: 250}),
			whole(logparse.Entry{Event: logparse.Delete, Path: "/dir/old", Bytes: 8, Command: "DELE", Code: 250}),
			failed(logparse.Entry{Event: logparse.Delete, Path: "/dir/old", Reason: "no-such-file", Command: "DELE", Code: 550}),
			whole(logparse.Entry{Event: logparse.Rmdir, Path: "/dir", Command: "RMD", Code: 250}),
			whole(logparse.Entry{Event: logparse.Command, Path: "/gone", To: "away", Text: "away gone", Command: "SITE SYMLINK", Code: 200}))

		conn := c.passive()
		c.say("STOR cut")
		c.want(150)
		_, _ = io.WriteString(conn, "123")
		c.say("ABOR")
		c.want(426)
		c.want(226)
		c.cmd(550, "RETR link2")
		r.dial(netip.AddrPort{}).want(421)
		c.cmd(221, "QUIT")
		<-c.done
		all.want(t, root,
			alice(logparse.Entry{Direction: logparse.Upload, Status: logparse.Cut, Path: "/cut", Bytes: 3, Reason: "aborted", Command: "STOR", Code: 426}),
			failed(logparse.Entry{Direction: logparse.Download, Path: "/link2", Reason: "no-such-file", Command: "RETR", Code: 550}),
			logparse.Entry{Event: logparse.Connect, Status: logparse.Failed, Reason: "address-full", Text: "1"},
			alice(logparse.Entry{Event: logparse.Logout, Reason: "quit"}))

		c = r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER mallory")
		c.cmd(530, "PASS x")
		c.cmd(331, "USER alice")
		c.cmd(421, "PASS x")
		<-c.done
		all.want(t, root,
			logparse.Entry{Event: logparse.Connect},
			logparse.Entry{Event: logparse.Login, Status: logparse.Failed, User: "mallory", Reason: "unknown-user", Command: "PASS", Code: 530},
			logparse.Entry{Event: logparse.Login, Status: logparse.Failed, User: "alice", Reason: "wrong-password", Command: "PASS", Code: 421},
			logparse.Entry{Event: logparse.Logout, Reason: "refused"})
	})
}

// TestVerdict has the words for how a transfer ended.
func TestVerdict(t *testing.T) {
	for _, v := range []struct {
		r      result
		status logparse.Status
		reason string
	}{
		{result{}, logparse.Whole, ""},
		{result{orphaned: true}, logparse.Doubtful, "client-left"},
		{result{unsigned: true}, logparse.Doubtful, "tls-truncated"},
		{result{err: errTruncated}, logparse.Cut, "tls-truncated"},
		{result{err: errLost}, logparse.Cut, "client-lost"},
		{result{err: errShutdown}, logparse.Cut, "server-stopping"},
		{result{err: errEnded}, logparse.Cut, "kicked"},
		{result{err: registry.Kicked{Message: "lunch"}}, logparse.Cut, "kicked"},
		{result{err: errStalled}, logparse.Cut, "stalled"},
		{result{err: &fs.PathError{Op: "store", Path: "/x", Err: syscall.ENOSPC}}, logparse.Cut, "disk-full"},
		{result{err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, logparse.Cut, "data-connection-lost"},
		{result{err: fmt.Errorf("storing: %w", vfs.ErrQuota)}, logparse.Failed, "quota"},
		{result{err: &noData{cause: causeSilent}}, logparse.Failed, "no-data-connection"},
		{result{err: fmt.Errorf("%w: x", errDataTLS)}, logparse.Failed, "tls-failed"},
		{result{err: errors.New("odd")}, logparse.Cut, "local-error"},
	} {
		if status, reason := verdict(v.r); status != v.status || reason != v.reason {
			t.Errorf("%+v is %d, %q", v.r, status, reason)
		}
	}
}

// TestReasonsAreWords keeps them fit to be grouped by.
func TestReasonsAreWords(t *testing.T) {
	for _, row := range reasons {
		if row.word == "" || strings.Trim(row.word, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%q is no word", row.word)
		}
		if reasonFor(row.err, 0) == "" {
			t.Errorf("%v has no word", row.err)
		}
	}
}

// TestNobodyToTell has no entry made, nor anything kept for one.
func TestNobodyToTell(t *testing.T) {
	s := &session{srv: new(Server)}
	if n := testing.AllocsPerRun(100, func() {
		s.entered()
		s.means(deed{event: logparse.Transfer, path: "/x"})
		s.done(&commands[0], reply{code: 226}, nil)
		s.tell(&transfer{kind: registry.Uploading}, result{}, reply{code: 226})
		s.left("", errQuit)
	}); n > 1 { // the transfer itself
		t.Errorf("it costs %g allocations", n)
	}
}
