package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"portreeve/server/auth"
	"portreeve/server/charset"
	"portreeve/server/lang"
	"portreeve/server/ledger"
	"portreeve/server/rate"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// A session is one control connection. The goroutine in serve owns it: it alone
// touches these fields and writes replies. While a file moves, a transfer hands
// it a result and a reader hands it lines, both through channels; nothing here
// is locked. Between transfers it reads for itself, so that a session which
// idles is one goroutine with a small stack.
type session struct {
	// Given at birth, never changed
	srv         *Server
	cfg         *Config
	log         *slog.Logger
	entry       *registry.Entry
	local, peer netip.AddrPort
	implicit    bool // TLS from the first byte on
	cancel      context.CancelCauseFunc

	// Control connection
	conn   net.Conn // as it was accepted; lines go over wire
	tls    *secured // nil in clear
	in     *lineReader
	turn   uint64    // of its last wait for a line
	came   time.Time // it was accepted, or USER came anew
	born   time.Time // and since when its time to log in counts
	heard  time.Time // the last command
	worked time.Time // the last one that was more than a sign of life
	errors int       // refused commands in a row
	misses int       // directories in a row that are not there
	bye    bool      // nothing more is answered
	deaf   bool      // nothing more is read
	why    error     // it ended

	lang *lang.Language // of replies

	asks func(rule string, err error) // is told what each rule says; nil but in a rehearsal

	leaving atomic.Bool // somebody wants it to end; the one field that others set

	client  string // what CLNT or CSID said
	opening string // the first commands behind TLS

	deed *deed // of the command at hand; nil if it is of none, or nobody wants to know

	// Login
	host     *VirtualHost // chosen by HOST or by TLS; nil is the server itself
	failures int
	name     string // said by USER
	account  *auth.Account
	changes  *changes  // of the account; nil if nobody tells of any
	until    time.Time // when the account's time is to be looked at
	fs       *vfs.FS
	quotas   *ledger.Account // who counts its files; nil if nobody needs to
	before   sums            // moved by others on this connection
	share    *rate.Session   // of the bandwidth
	shownAs  string          // the user's name, as listings have it
	cwd      string
	idle     time.Duration
	terse    bool // no more than one line where no more is asked for

	// Protocol state
	ascii     bool
	zipped    bool   // MODE Z
	level     int    // of its compression
	mark      marker // REST or RANG
	from      string // RNFR; "" if none
	announced int64  // bytes, by ALLO, of the next upload
	facts     factSet
	digest    int    // what HASH computes, of digests
	original  string // SITE CPFR; "" if none
	epsvAll   bool
	charset   *charset.Charset // the client's; nil is UTF-8

	// Data connection and transfer
	data   opener
	moves  bool // has asked for a data connection
	placed bool // whether the client is near is known
	near   bool
	xfer   *transfer
	queue  []line // what came while a file moves, in order
	waits  int    // their bytes
}

// A line is what was read.
type line struct {
	text   string
	answer []byte // to Telnet
	err    error
}

// Bounds of what may wait for the end of a transfer.
const (
	queueLines = 256
	queueBytes = 64 << 10
)

const (
	replyTimeout = time.Minute           // a client that does not read its replies
	lingerTime   = 2 * time.Second       // for a client to close first, so that it sees our last reply
	attention    = 20 * time.Millisecond // a transfer that is shorter is not watched for ABOR

	// relook is how often the reader is called back during a transfer. At an urgent
	// byte, Linux tells a reader whose thread has a signal waiting, as Go's threads
	// often do, that there is nothing to read; and ABOR comes with one.
	relook = time.Second
)

// errQuit is why a session ends well.
var errQuit = errors.New("quit")

// errFault is a fault of ours.
var errFault = errors.New("internal fault")

// guarded is serve; a fault of ours costs this client its session, and not
// everybody theirs.
func (s *session) guarded(ctx context.Context) (why error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic", "err", r, "stack", string(debug.Stack()))
			why = errFault
		}
	}()
	return s.serve(ctx)
}

// serve talks to the client until one of both has had enough. It returns why.
func (s *session) serve(ctx context.Context) error {
	defer s.release()
	if err := s.start(ctx); err != nil {
		return err
	}
	for {
		if err := s.step(ctx); err != nil {
			return s.leave(err)
		}
	}
}

// start is what comes before the first command.
func (s *session) start(ctx context.Context) error {
	if s.implicit {
		if err := s.secure(ctx, &secured{implied: true, sized: true, private: true}); err != nil {
			return err
		}
	}
	s.greet()
	return nil
}

// step does what is next.
func (s *session) step(ctx context.Context) error {
	err := s.runQueue(ctx)
	switch {
	case err != nil:
		return err
	case s.xfer != nil:
		return s.attend(ctx)
	}
	return s.await(ctx)
}

// dismiss ends the session from without.
func (s *session) dismiss(why error) {
	s.cancel(why)
	s.hurry()
}

// wake makes a session that waits for a line look up. Whoever calls has first
// made true what it will see: its context has ended, or the server drains.
func (s *session) wake() { s.conn.SetReadDeadline(past) }

// hurry makes a session that is told to end give up on a client that does not
// read its replies.
func (s *session) hurry() {
	s.leaving.Store(true)
	s.conn.SetWriteDeadline(time.Now().Add(lingerTime))
	s.wake()
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// await waits for a line and runs it.
func (s *session) await(ctx context.Context) error {
	if err := s.listens(); err != nil {
		return err
	}
	if err := s.called(ctx); err != nil { // a wake before this would have been undone
		return err
	}
	s.linger()
	text, answer, err := s.in.read()
	s.heeds()
	return s.awoken(ctx, text, answer, err)
}

// awoken goes on when something was read, or nothing. It is not a part of await,
// whose stack every idle session keeps.
//
//go:noinline
func (s *session) awoken(ctx context.Context, text string, answer []byte, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return s.received(ctx, line{text, answer, err})
	}
	if err := s.called(ctx); err != nil || time.Now().Before(s.deadline()) {
		return err
	}
	if err := s.lapsed(); err != nil || time.Now().Before(s.deadline()) {
		return err
	}
	if s.account == nil {
		return errLoginTimeout
	}
	return errIdle
}

// called tells whether somebody wants the session to end.
func (s *session) called(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.srv.Draining() {
		return errShutdown
	}
	return nil
}

// deadline is when the client will have been idle for too long: so many minutes
// after its last command, or twice as many after the last one that did more than
// keep the connection alive. Before login there is one for all.
func (s *session) deadline() time.Time {
	if s.account == nil {
		return s.born.Add(s.cfg.LoginTimeout)
	}
	idle, parked := s.heard.Add(s.idle), s.worked.Add(2*s.idle)
	if parked.Before(idle) {
		idle = parked
	}
	if !s.until.IsZero() && s.until.Before(idle) { // the wait ends; whether the session does, lapsed says
		return s.until
	}
	return idle
}

// attend waits for the end of a transfer, and answers for it. Meanwhile it hears
// the client, who may want to end it, and whoever wants the session to end.
func (s *session) attend(ctx context.Context) (end error) {
	t := s.xfer
	drain, over := s.srv.draining, ctx.Done()
	opened, late := t.opened, time.NewTimer(patience)
	if t.calls { // we connect: 150 says that we have
		late.Stop()
	}
	defer late.Stop()
	soon := time.NewTimer(attention)
	defer soon.Stop()
	var lines chan line
	for {
		select {
		case <-opened:
			opened = nil
			s.announce(t)
		case <-late.C:
			s.announce(t)
		case r := <-t.done:
			s.finish(r)
			return cmp.Or(end, s.unfit(r.err), s.hush(lines))
		case <-soon.C:
			if lines == nil && !s.deaf {
				lines = make(chan line, 1)
				s.read(lines)
			} else if lines != nil && !s.encrypted() {
				s.wake()
			}
			end = cmp.Or(end, s.reviewed(ctx))
			soon.Reset(relook)
		case <-s.rings():
			end = cmp.Or(end, s.reviewed(ctx))
		case l := <-lines:
			end = cmp.Or(end, s.heed(ctx, l))
			if s.deaf {
				lines = nil
			} else {
				s.read(lines)
			}
		case heard := <-t.ask:
			end = cmp.Or(end, s.catchUp(ctx, lines))
			if s.deaf {
				lines = nil
			}
			close(heard)
		case <-drain:
			drain = nil
			end = errShutdown // a transfer has its time; Shutdown ends ctx when that is over
		case <-over:
			over, end = nil, context.Cause(ctx)
			s.cut(end)
		}
	}
}

// lost ends a transfer whose client has left, as RFC 959, section 3.2, has it,
// without QUIT: after that a transfer still completes (section 4.1.1). Of
// an upload the rest may already be here, and be all of it: it has a moment.
func (s *session) lost(t *transfer) {
	if t.kind != registry.Uploading {
		s.cut(errLost)
		return
	}
	time.AfterFunc(lingerTime, func() { t.cancel(errLost) })
}

// read starts the reader, for one line. It waits for as long as the file moves;
// a wake that came before was for this loop, which has its own ways to know.
func (s *session) read(lines chan<- line) {
	s.conn.SetReadDeadline(time.Time{})
	go func() {
		var l line
		defer func() { // what the client's bytes break is its own session, as in guarded
			if p := recover(); p != nil {
				l = line{err: fmt.Errorf("%w: %v\n%s", errFault, p, debug.Stack())}
			}
			lines <- l
		}()
		l.text, l.answer, l.err = s.in.read()
	}()
}

// hush calls the reader back, if there is one, and keeps what it found.
func (s *session) hush(lines <-chan line) error {
	if lines == nil {
		return nil
	}
	s.wake()
	l := <-lines
	if err := s.broken(l); err != nil || errors.Is(l.err, os.ErrDeadlineExceeded) {
		return err
	}
	s.write(l.answer)
	s.keep(l)
	return nil
}

// keep has a line wait for the end of a transfer.
func (s *session) keep(l line) {
	s.queue = append(s.queue, l)
	s.waits += len(l.text)
}

// broken tells whether a line is none, since the connection is lost or no FTP is
// spoken. The faults of a line that can be answered are not of that kind, nor is
// that the reader was called back.
func (s *session) broken(l line) error {
	for _, harmless := range []error{nil, errLineLong, errNUL, os.ErrDeadlineExceeded} {
		if errors.Is(l.err, harmless) {
			return nil
		}
	}
	s.deaf = true
	return l.err
}

// received takes a line. An error ends the session.
func (s *session) received(ctx context.Context, l line) error {
	s.write(l.answer)
	if err := s.broken(l); err != nil || errors.Is(l.err, os.ErrDeadlineExceeded) {
		return err
	}
	if s.xfer == nil {
		return s.command(ctx, l)
	}
	// While a file moves, STAT is answered, ABOR ends it, and everything else
	// waits, ABOR's own reply too: replies stay in the order of commands.
	verb, arg, _ := strings.Cut(l.text, " ")
	if c := lookup(verb); c != nil {
		if c.need&during != 0 && arg == "" {
			return s.command(ctx, l)
		}
		if c.need&ends != 0 {
			s.cut(errAborted)
		}
		if c.need&leaves != 0 {
			s.xfer.leave.Store(true)
		}
	}
	s.keep(l)
	if len(s.queue) > queueLines || s.waits > queueBytes {
		s.queue, s.deaf = nil, true
		s.cut(errQueue)
		return errQueue
	}
	return nil
}

// runQueue answers what came during a transfer, until one begins another.
func (s *session) runQueue(ctx context.Context) error {
	for s.xfer == nil && len(s.queue) > 0 {
		l := s.queue[0]
		s.queue = s.queue[1:]
		s.waits -= len(l.text)
		if err := s.command(ctx, l); err != nil {
			return err
		}
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	return nil
}

// command runs one line and answers it. An error ends the session.
func (s *session) command(ctx context.Context, l line) error {
	began := time.Now()
	r, c := s.dispatch(ctx, l)
	s.heard = time.Now()
	s.srv.counts.command(c, s.heard.Sub(began))
	if c == nil || c.need&quiet == 0 {
		s.worked = s.heard
	}
	if r.code != 0 {
		s.reply(r)
		s.tally(r.code)
	}
	switch {
	case r.then != nil:
		return r.then(ctx)
	case r.code == 421:
		return fmt.Errorf("%w: %s", errRefused, r.text)
	case s.bye:
		return errQuit
	case s.errors >= s.cfg.MaxCommandErrors:
		return errTooManyErrors
	}
	return nil
}

// tally counts refusals that only a broken or hostile client collects.
func (s *session) tally(code int) {
	switch code {
	case 500, 501, 502, 503, 504, 530:
		s.errors++
	default:
		s.errors = 0
	}
}

// reply writes replies, whole. A client that does not read for a minute is
// gone: the next read or the loop's end will tell.
func (s *session) reply(replies ...reply) {
	out := make([]byte, 0, 256)
	for _, r := range replies {
		if s.cfg.VerboseLog > 1 {
			s.log.Info("reply", "code", r.code, "text", r.text)
		} else {
			s.log.Debug("reply", "code", r.code, "text", r.text)
		}
		out = r.encode(out, s.inWords, s.charset)
		s.srv.counts.reply(r.code)
	}
	s.write(out)
}

func (s *session) write(b []byte) {
	if len(b) == 0 {
		return
	}
	s.conn.SetWriteDeadline(writeBy(&s.leaving))
	if _, err := s.wire().Write(b); err != nil {
		s.bye = true
		s.conn.Close() // the reader sees it
	}
}

// writeBy is until when a client has time to take what is written now.
func writeBy(leaving *atomic.Bool) time.Time {
	if leaving.Load() {
		return time.Now().Add(lingerTime)
	}
	return time.Now().Add(replyTimeout)
}

// release ends what the session holds. The registry entry goes last, with the
// connection: it belongs to the server, which closes both.
func (s *session) release() {
	s.drop()
	s.logout()
	if s.tls != nil {
		s.srv.tickets.leave(s.tls.token)
	}
}

// logout forgets the user, and all that was set for it.
func (s *session) logout() {
	if s.changes != nil {
		s.srv.watcher.leave(s, s.account)
	}
	if s.fs != nil {
		s.leaveAccount()
		s.fs.Close()
		s.share.Leave()
	}
	s.drop()
	if s.tls != nil {
		s.srv.tickets.own(s.tls.token, "", "")
		s.tls.certified, s.tls.caller = false, false
	}
	s.fs, s.share, s.account, s.name, s.cwd, s.from = nil, nil, nil, "", "", ""
	s.changes, s.until = nil, time.Time{}
	s.ascii, s.mark, s.epsvAll = true, marker{}, false
	s.announced = 0
	s.zipped, s.level = false, min(zipLevel, s.cfg.Compression)
	s.facts, s.digest, s.original = defaultFacts, 0, ""
	s.lang = s.cfg.language()
	s.charset = s.cfg.ClientCharset
	s.idle = s.cfg.MaxIdleTime
}

// drop gives up a data connection that was prepared and not used.
func (s *session) drop() {
	if s.data != nil {
		s.data.close()
		s.data = nil
	}
}
