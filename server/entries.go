package server

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io/fs"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"portreeve/logparse"
	registry "portreeve/server/session"
	"portreeve/server/spool"
)

// What is written down of what happens. Here is the one place where an entry is
// made: of a connection, a login, a transfer, a change of names, and each of them
// also if it failed. From here it goes to the logs of AltLog, each of which takes
// what its format has lines for, and to the Recorder. Nobody who is told may keep
// a session waiting; where nobody is, nothing is made.

// A Recorder is told of everything that happens.
type Recorder interface {
	// Records tells whether it wants to be told now.
	Records() bool
	// Record takes an entry. Sessions call it, many at a time, without a lock and
	// while their clients wait for a reply: it must not block, nor take long. What
	// it has no room for it drops, and counts.
	Record(e logparse.Entry)
}

// records tells whether anybody is to be told.
func (s *Server) records() bool {
	return s.Recorder != nil && s.Recorder.Records() || len(s.altLogs.all()) > 0
}

// record tells everybody.
func (s *Server) record(e *logparse.Entry) {
	e.Level = e.Severity()
	for _, l := range s.altLogs.all() {
		if takes(&l.format, e) {
			l.note(e)
		}
	}
	if s.Recorder != nil {
		s.Recorder.Record(*e)
	}
}

// takes tells whether a log has a line for an entry. What came to nothing is for
// logs that tell of more than transfers, since in others it looks like a transfer
// that broke off; but there is an upload which somebody waits for, if the format
// can say at all that it is not there.
func takes(f *logparse.Format, e *logparse.Entry) bool {
	if e.Status != logparse.Failed || f.Events.Has(logparse.Login) {
		return f.Events.Has(e.Event)
	}
	return e.Event == logparse.Transfer && e.Direction == logparse.Upload && f.Says&logparse.SaysStatus != 0
}

// entryOf is what every entry of a session says.
func (s *session) entryOf(event logparse.Event) *logparse.Entry {
	e := &logparse.Entry{Time: time.Now(), Event: event, Host: s.peer.Addr().String(), PID: s.srv.pid, Client: s.calledItself(),
		Session: sessionName(s.born, s.entry.ID())}
	if s.account != nil {
		e.User = s.account.Name
		if s.account.Anonymous {
			e.Xfer.Mode = 'a'
		}
	}
	if s.encrypted() {
		e.TLS, e.Cipher = protection(&s.tls.state)
		e.Xfer.Service = "ftps"
	}
	return e
}

// sessionName is what entries of one session have in common, also beside those of
// another run of the daemon.
func sessionName(born time.Time, id registry.ID) string {
	return strconv.FormatInt(born.Unix(), 16) + "." + strconv.FormatUint(uint64(id), 16)
}

// protection is a version of TLS and a cipher in the words of OpenSSL.
func protection(state *tls.ConnectionState) (version, cipher string) {
	version = strings.ReplaceAll(tls.VersionName(state.Version), "TLS ", "TLSv")
	return version, opensslName(tls.CipherSuiteName(state.CipherSuite))
}

// opensslName is what OpenSSL calls a suite; those of TLS 1.3 have one name.
func opensslName(cipher string) string {
	for _, c := range cipherSuites {
		if c.name == cipher {
			return c.own
		}
	}
	return cipher
}

// calledItself is the client's software, as far as anything is known of it.
func (s *session) calledItself() string {
	if s.tls == nil {
		return s.client
	}
	if name := s.software(); name != "unknown" {
		return name
	}
	return ""
}

// A deed is what a command is about to do that is written down. What came of it
// is known with the reply, and for a transfer when that is over.
type deed struct {
	event     logparse.Event
	direction logparse.Direction
	command   string
	user      string // who wants to log in
	path, to  string // virtual, until they have been looked for
	text      string
	bytes     int64
	why       error // it failed; what the handler returns goes before
}

// means announces a deed.
func (s *session) means(d deed) {
	if !s.srv.records() {
		return
	}
	kept := d // so that only this costs memory
	switch d.event {
	case logparse.Delete:
		if info, err := s.fs.Lstat(d.path); err == nil {
			kept.bytes = info.Size
		}
		kept.path = s.fs.HostPathItself(d.path)
	case logparse.Rmdir, logparse.Rename: // afterwards they would lead nowhere
		kept.path = s.fs.HostPathItself(d.path)
	}
	s.deed = &kept
}

// because says why a deed failed that is answered without an error.
func (s *session) because(err error) {
	if s.deed != nil {
		s.deed.why = err
	}
}

// octal is a mode as entries have it.
func octal(mode fs.FileMode) string { return strconv.FormatUint(uint64(mode.Perm()), 8) }

// done records what became of the deed of a command, by its reply. A transfer
// that has begun is told of at its end.
func (s *session) done(c *command, r reply, err error) {
	d := s.deed
	s.deed = nil
	if d == nil || r.code == 0 || r.code == 331 {
		return
	}
	e := s.entryOf(d.event)
	e.Direction, e.Command, e.Code, e.Text, e.Bytes = d.direction, cmp.Or(d.command, c.name), r.code, d.text, d.bytes
	e.User = cmp.Or(e.User, d.user)
	e.Xfer.ASCII = d.event == logparse.Transfer && s.ascii
	e.Path, e.To = d.path, d.to
	switch d.event {
	case logparse.Login, logparse.Delete, logparse.Rmdir:
	case logparse.Rename:
		e.To = s.fs.HostPathItself(d.to)
	case logparse.Command: // a link that was made
		e.Path = s.fs.HostPathItself(d.path)
	default:
		e.Path = s.fs.HostPath(d.path)
	}
	e.Status = logparse.Whole
	if r.code >= 400 {
		e.Status, e.Reason = logparse.Failed, reasonFor(cmp.Or(err, d.why), r.code)
	}
	s.srv.record(e)
}

// tell writes down a transfer that has ended, where others look for it: before
// its client hears of it, since what was acknowledged is not to be forgotten.
func (s *session) tell(t *transfer, r result, answer reply) {
	stored := t.kind == registry.Uploading && r.err == nil && s.srv.Uploads != nil
	written := t.kind == registry.Uploading || t.kind == registry.Downloading || t.kind == registry.Working && t.name != ""
	if !stored && !(written && s.srv.records()) {
		return
	}
	path := s.fs.HostPath(t.path)
	if stored {
		s.srv.Uploads.Add(noted(s.account.Name, path, r))
	}
	if !s.srv.records() {
		return
	}
	e := s.entryOf(logparse.Transfer)
	e.Path, e.Command, e.Code = path, t.verb, answer.code
	e.Bytes, e.Offset, e.Took = r.bytes, t.offset, r.took.Round(time.Microsecond)
	e.Xfer.ASCII = s.ascii
	if e.Took > 0 {
		e.Rate = math.Round(float64(e.Bytes) / e.Took.Seconds())
	}
	if r.secured != nil {
		e.DataTLS, e.DataCipher = protection(r.secured)
	}
	switch t.kind {
	case registry.Uploading:
		e.Direction = logparse.Upload
	case registry.Downloading:
		e.Direction, e.Size = logparse.Download, t.size
	default: // a copy that never left the server
		e.Event, e.Xfer.ASCII = logparse.Command, false
	}
	if t.sole && r.err == nil {
		e.Size = r.bytes
	} else if e.Direction != logparse.Download {
		if info, err := s.fs.Stat(t.path); err == nil {
			e.Size = info.Size
		}
	}
	e.Status, e.Reason = verdict(r)
	if e.Status == logparse.Failed {
		e.Text = noDataWord(r.err)
	}
	if e.Status == logparse.Doubtful {
		e.Level = logparse.Warning
	}
	s.srv.record(e)
}

// noted is what a program is told of an upload.
func noted(user, path string, r result) spool.Upload {
	u := spool.Upload{Time: time.Now(), User: user, Path: path, Status: spool.Complete}
	if r.orphaned || r.unsigned {
		u.Status = spool.Unconfirmed
	}
	return u
}

// entered records a connection; left its end.
func (s *session) entered() {
	if s.srv.records() {
		s.srv.record(s.entryOf(logparse.Connect))
	}
}

// left records the end of a login or of a connection, of whom and why.
func (s *session) left(user string, why error) {
	if !s.srv.records() {
		return
	}
	e := s.entryOf(logparse.Logout)
	e.User, e.Took, e.Reason = user, time.Since(s.came).Round(time.Microsecond), reasonFor(why, 0)
	if e.Reason == lostData { // it is the connection that there is still
		e.Reason = lostClient
	}
	s.srv.record(e)
}

// turnedAway records a connection that there was no place for.
func (s *Server) turnedAway(peer netip.Addr, why error) {
	if !s.records() {
		return
	}
	e := &logparse.Entry{Time: time.Now(), Event: logparse.Connect, Status: logparse.Failed, Host: peer.String(), PID: s.pid, Reason: reasonFor(why, 0)}
	if limit, ok := errors.AsType[*registry.LimitError](why); ok {
		e.Text = strconv.Itoa(limit.Max)
	}
	s.record(e)
}

// shielded records that the control connection is protected.
func (s *session) shielded() {
	if s.srv.records() {
		s.srv.record(s.entryOf(logparse.TLS))
	}
}
