package server

import (
	"crypto/tls"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"portreeve/logparse"
	registry "portreeve/server/session"
)

// A logRow is what a client knows that happened, and who writes it down.
type logRow struct {
	what      string
	event     logparse.Event
	direction logparse.Direction
	path, to  string
	bytes     int64
	status    logparse.Status
	reason    string
	offset    int64
	size      int64
	ascii     bool
	tls       string // of the data
	who       logKind
}

// A logKind is which logs have a row.
type logKind int

const (
	everyLog   logKind = iota // all that know of such events
	tellingUp                 // those that can tell an upload that failed
	allTelling                // those that tell of more than transfers
)

// wrote tells whether a log of that format has the row.
func (w *logRow) wrote(f *logparse.Format) bool {
	whole := slices.Contains([]string{"json", "vsftpd", "extendedlog", "syslog"}, f.Name)
	blind := slices.Contains([]string{"stats", "xferlog-glftpd", "xferlog-pure-ftpd"}, f.Name)
	switch {
	case w.event == logparse.Delete:
		return whole || slices.Contains([]string{"clf", "xferlog", "xferlog-proftpd"}, f.Name)
	case w.event == logparse.Chmod:
		return whole && f.Name != "syslog"
	case w.event == logparse.Mkdir || w.event == logparse.Rmdir: // of which Pure-FTPd says nothing that go well
		return whole && f.Name != "syslog"
	case w.event != logparse.Transfer:
		return whole
	case w.who == tellingUp:
		return !blind
	case w.who == allTelling:
		return whole
	}
	return true
}

// ended is how a format that has fewer ends tells one.
func (w *logRow) ended(f *logparse.Format) logparse.Status {
	switch {
	case f.Name == "json":
		return w.status
	case f.Says&logparse.SaysStatus == 0, f.Name == "syslog" && w.status != logparse.Cut && w.status != logparse.Failed && w.event == logparse.Transfer:
		return logparse.Unknown
	case w.status == logparse.Doubtful:
		return logparse.Whole
	case w.status == logparse.Failed && (strings.HasPrefix(f.Name, "xferlog") || f.Name == "vsftpd"):
		return logparse.Cut
	}
	return w.status
}

// TestLogsTellTheTruth does what servers' logs differ in with a client that knows
// what happened, and reads that in every format.
func TestLogsTellTheTruth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, withTLS)
		r.setQuota([]string{"100", "1000"})
		read := r.keep(logparse.Names()...)
		c := r.login()
		c.cmd(200, "TYPE I")
		rows := tellRows(t, r, c)
		root, err := filepath.EvalSymlinks(r.home)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range logparse.Names() {
			f, _ := logparse.Find(name)
			got := slices.DeleteFunc(read(name), func(e logparse.Entry) bool {
				return slices.Contains([]logparse.Event{logparse.Connect, logparse.Login, logparse.Logout, logparse.TLS}, e.Event)
			})
			for _, w := range rows {
				if !w.wrote(&f) {
					continue
				}
				if len(got) == 0 {
					t.Errorf("%s does not say: %s", name, w.what)
					continue
				}
				w.compare(t, &f, root, got[0])
				got = got[1:]
			}
			if len(got) > 0 {
				t.Errorf("%s also says %+v", name, got)
			}
		}
	})
}

func (w *logRow) compare(t *testing.T, f *logparse.Format, root string, e logparse.Entry) {
	t.Helper()
	path, to := root+w.path, w.to
	if strings.HasPrefix(f.Name, "xferlog") && f.Name != "xferlog-glftpd" {
		path = strings.ReplaceAll(path, " ", "_")
	}
	if to != "" {
		to = root + to
	}
	if w.event == logparse.Rename && f.Name == "extendedlog" { // has a line for each of RNFR and RNTO
		path = ""
	}
	direction := w.direction
	if f.Name == "syslog" && w.status == logparse.Failed { // Can't open, for whatever
		direction = 0
	}
	if e.Event != w.event || e.Direction != direction || e.Path != path || w.bytes >= 0 && e.Bytes != w.bytes && e.Event == logparse.Transfer || e.To != to ||
		e.User != "alice" || e.Status != w.ended(f) || f.Says&logparse.SaysASCII != 0 && e.Xfer.ASCII != w.ascii {
		t.Errorf("%s: %s: it says %+v", f.Name, w.what, e)
	}
	if f.Name == "json" && (e.Reason != w.reason || e.Offset != w.offset || e.Size != w.size || e.DataTLS != w.tls ||
		(e.TLS != "") != (w.tls != "") || e.Code == 0 || e.Command == "" || e.Session == "" || e.PID == 0) {
		t.Errorf("json: %s: it says %+v", w.what, e)
	}
}

// tellRows does all of it and returns what happened.
func tellRows(t *testing.T, r *rig, c *client) (rows []logRow) {
	t.Helper()
	const up, down = logparse.Upload, logparse.Download
	did := func(w logRow) {
		if w.status == logparse.Unknown {
			w.status = logparse.Whole
		}
		rows = append(rows, w)
	}
	c.stor("0123456789", "STOR a b")
	did(logRow{what: "an upload", direction: up, path: "/a b", bytes: 10, size: 10})
	c.retr("RETR a b")
	did(logRow{what: "a download", direction: down, path: "/a b", bytes: 10, size: 10})
	c.stor("", "STOR empty")
	did(logRow{what: "an empty upload", direction: up, path: "/empty"})
	c.retr("RETR empty")
	did(logRow{what: "an empty download", direction: down, path: "/empty"})
	c.cmd(350, "REST 4")
	c.retr("RETR a b")
	did(logRow{what: "the rest of a download", direction: down, path: "/a b", bytes: 6, offset: 4, size: 10})
	c.cmd(350, "REST 8")
	c.stor("xyz", "STOR a b")
	did(logRow{what: "the rest of an upload", direction: up, path: "/a b", bytes: 3, offset: 8, size: 11})
	c.stor("more", "APPE a b")
	did(logRow{what: "an addition", direction: up, path: "/a b", bytes: 4, offset: 11, size: 15})
	name := strings.TrimPrefix(storeUnique(c, "12"), "/")
	did(logRow{what: "STOU", direction: up, path: "/" + name, bytes: 2, size: 2})
	c.cmd(200, "TYPE A")
	c.stor("1\r\n2\r\n", "STOR text")
	did(logRow{what: "text", direction: up, path: "/text", bytes: 6, size: 4, ascii: true})
	c.cmd(200, "TYPE I")

	r.put("large", strings.Repeat("x", 1<<20))
	data := c.passive()
	c.cmd(150, "RETR large")
	if _, err := io.ReadFull(data, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	data.Close()
	if code := c.code(); code < 426 || code > 451 { // a pipe breaks in a way of its own
		t.Errorf("a broken download is %d", code)
	}
	did(logRow{what: "a download that the client cut off", direction: down, path: "/large", bytes: -1, status: logparse.Cut, reason: "data-connection-lost", size: 1 << 20})
	data = c.passive()
	c.cmd(150, "STOR cut")
	_, _ = io.WriteString(data, "123")
	c.say("ABOR")
	c.want(426)
	c.want(226)
	did(logRow{what: "an upload that the client ended", direction: up, path: "/cut", bytes: 3, status: logparse.Cut, reason: "aborted"})
	c.cmd(550, "RETR nothing")
	did(logRow{what: "a download of nothing", direction: down, path: "/nothing", status: logparse.Failed, reason: "no-such-file", who: allTelling})
	c.cmd(550, "STOR nowhere/x")
	did(logRow{what: "an upload to nowhere", direction: up, path: "/nowhere/x", status: logparse.Failed, reason: "no-such-file", who: tellingUp})
	c.stor(strings.Repeat("x", 5000), "STOR much")
	did(logRow{what: "an upload beyond the quota", direction: up, path: "/much", bytes: -1, status: logparse.Failed, reason: "quota", who: tellingUp})
	c.retr("LIST")
	c.cmd(257, "MKD dir")
	did(logRow{what: "a directory", event: logparse.Mkdir, path: "/dir"})
	c.cmd(200, "SITE CHMOD 600 text")
	did(logRow{what: "permissions", event: logparse.Chmod, path: "/text"})
	c.cmd(350, "RNFR text")
	c.cmd(250, "RNTO dir/words")
	did(logRow{what: "a new name", event: logparse.Rename, path: "/text", to: "/dir/words"})
	c.cmd(250, "DELE dir/words")
	did(logRow{what: "a deletion", event: logparse.Delete, path: "/dir/words", bytes: 4})
	c.cmd(250, "RMD dir")
	did(logRow{what: "a directory less", event: logparse.Rmdir, path: "/dir"})

	data = c.passive()
	c.cmd(150, "STOR stalled")
	c.want(426) // after StallTimeout, which passes at once
	data.Close()
	did(logRow{what: "an upload of which nothing came", direction: up, path: "/stalled", status: logparse.Cut, reason: "stalled"})
	data = c.passive()
	c.cmd(150, "STOR kicked")
	_, _ = io.WriteString(data, "1234")
	synctest.Wait()
	for _, i := range r.srv.Sessions.List() {
		r.srv.Sessions.Kick(i.ID, registry.Kicked{})
	}
	c.want(426)
	did(logRow{what: "an upload that the operator ended", direction: up, path: "/kicked", bytes: 4, status: logparse.Cut, reason: "kicked"})
	<-c.done

	c = r.dial(netip.AddrPort{})
	c.shield("alice", func(cfg *tls.Config) { cfg.MaxVersion = tls.VersionTLS13 })
	c.cmd(200, "TYPE I")
	data = c.passive()
	c.cmd(150, "STOR secret")
	conn := c.protect(data)
	_, _ = io.WriteString(conn, "12345")
	conn.Close()
	c.want(226)
	did(logRow{what: "an upload behind TLS", direction: up, path: "/secret", bytes: 5, size: 5, tls: "TLSv1.3"})
	return rows
}

// storeUnique is STOU; it returns the name.
func storeUnique(c *client, content string) string {
	c.t.Helper()
	data := c.passive()
	_, name, _ := strings.Cut(c.cmd(150, "STOU"), "FILE: ")
	_, _ = io.WriteString(data, content)
	data.Close()
	c.want(226)
	return name
}
