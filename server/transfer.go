package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"portreeve/server/rate"
	registry "portreeve/server/session"
)

// A transfer is one use of a data connection. The goroutine that move runs in
// owns the connection and the file; the session's loop hears of it by opened
// and done, and ends it through cancel.
type transfer struct {
	verb   string
	kind   registry.State
	name   string // of an upload: what the client calls it
	path   string // virtual
	offset int64
	size   int64          // of the whole file, -1 if unknown
	accept reply          // 150, sent when the data connection is there
	draw   *rate.Transfer // on the bandwidth of its session; nil has no limit
	work   func(*flow) (reply, error)
	most   int64  // bytes that an upload may have, as it begins
	sole   bool   // what an upload moves is all of its file, byte for byte
	excess error  // what is wrong with more
	undo   func() // gives up what was prepared, if the data connection never came

	// small does the work at once, if it can, or nothing but the beginning of it;
	// nil if that is not to be tried.
	small func(*flow) (r reply, over bool, err error)
	moved int64 // by small

	shield *shield            // nil: in clear
	ask    chan chan struct{} // of a flow
	conn   net.Conn           // the data connection, if it was there at once
	calls  bool               // it is we who connect
	cancel context.CancelCauseFunc
	opened chan struct{} // closed when the data connection is there
	done   chan result
	made   opener      // what ESTA and ESTP leave to the next transfer
	said   bool        // 150 is on the wire
	leave  atomic.Bool // the client said QUIT
}

type result struct {
	reply    reply // of a work that ended well
	err      error
	bytes    int64
	took     time.Duration
	orphaned bool                 // nobody was there to hear of it
	unsigned bool                 // TLS did not end
	secured  *tls.ConnectionState // of the data connection; nil: in clear
}

// A flow is what the work of a transfer sees: the data connection, and what to
// do between two steps of it.
type flow struct {
	ctx      context.Context
	conn     net.Conn
	ask      chan chan struct{} // has the session hear its client; nil where that moves the file itself
	here     *arrival           // instead of conn, where a small file is moved at once
	buf      []byte             // for that
	tls      *protected         // conn, if that is protected
	entry    *registry.Entry
	draw     *rate.Transfer
	stall    time.Duration
	bulks    *sync.Pool    // of *bulkBuffer
	threads  chan struct{} // a place for each thread that does nothing but move
	until    int64         // before so many bytes this one is not worth a thread
	yields   bool          // a job that has a thread of lower priority
	leave    *atomic.Bool  // the client said QUIT
	orphaned bool          // the client had left without a word when the data ended
	unsigned bool          // and its TLS had not
	strict   bool          // which is then a part
	zip      io.Writer     // in MODE Z, what compresses
	allowed  allowance     // of an upload
	bytes    int64
	begun    time.Time
	lively   time.Time // when something last moved
}

// patience is how long 150 waits for a data connection that is about to come.
// Some devices connect only when they have seen it.
const patience = 1500 * time.Millisecond

// move opens the data connection and does the work. It ends early when ctx does.
// Of the session it takes what never changes.
func (t *transfer) move(ctx context.Context, o opener, s *session) {
	r := result{err: errNoData}
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("%w: %v\n%s", errFault, p, debug.Stack())
		}
		t.draw.End()
		t.done <- r
	}()
	conn, err := t.connect(ctx, o, s.cfg.ConnectTimeout)
	if err != nil {
		if t.undo != nil {
			t.undo()
		}
		r.err = err
		return
	}
	close(t.opened)
	opened := conn // conn changes hands at the end, which may be now
	stop := context.AfterFunc(ctx, func() { sever(opened) })
	defer stop()
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()

	start := time.Now()
	f := &flow{ctx: ctx, conn: conn, entry: s.entry, draw: t.draw, stall: s.cfg.StallTimeout,
		bulks: &s.srv.bulks, threads: s.srv.threads, strict: s.cfg.StrictTLSEOF,
		leave: &t.leave, ask: t.ask, bytes: t.moved, begun: start, lively: start}
	f.entry.Moved(int(t.moved))
	if t.shield != nil {
		t.shield.from = farEnd(o, conn)
	}
	if r.err = f.protect(t.shield); r.err == nil {
		r.reply, r.err = t.work(f)
	} else if t.undo != nil {
		t.undo()
	}
	if f.tls != nil {
		state := f.tls.ConnectionState()
		r.secured = &state
	}
	r.bytes, r.took, r.orphaned, r.unsigned = f.bytes, time.Since(start), f.orphaned, f.unsigned
	if r.err == nil && t.kind != registry.Uploading {
		conn, r.err = f.conclude()
		if errors.Is(context.Cause(ctx), errAborted) { // too late: all was sent
			r.err = nil
			return
		}
	}
	if r.err != nil && ctx.Err() != nil {
		r.err = context.Cause(ctx) // what broke, broke because we ended it
	}
}

// sever ends a connection under whoever is using it: one who waits in the kernel
// wakes at the shutdown, one who waits in the runtime at the close.
func sever(conn net.Conn) {
	if half, ok := conn.(*net.TCPConn); ok {
		_ = half.CloseRead()
		_ = half.CloseWrite()
	}
	conn.Close()
}

// conclusion is how long the end of what was sent waits for the client's own. The
// file is out by then; a client that keeps its side open gets its reply anyway.
const conclusion = 250 * time.Millisecond

// conclude ends the sending side and looks for the client's end, since to close
// with something unread would reset the connection under its last bytes (RFC
// 1122, section 4.2.2.13). It returns nil if somebody else closes now.
func conclude(conn net.Conn) (net.Conn, error) {
	half, ok := conn.(*net.TCPConn)
	if !ok || half.CloseWrite() != nil {
		return conn, nil
	}
	deadline := time.Now().Add(conclusion)
	half.SetReadDeadline(deadline)
	buf := make([]byte, 512)
	for {
		_, err := half.Read(buf)
		switch {
		case err == nil && time.Now().Before(deadline):
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
			go func() {
				drain(half, lingerTime)
				half.Close()
			}()
			return nil, nil
		case errors.Is(err, io.EOF):
			return conn, nil
		default:
			return conn, err
		}
	}
}

// conclude ends TLS first, if there is any. A client that has what it wants may
// close without reading that end, which resets the connection: that is no loss.
func (f *flow) conclude() (net.Conn, error) {
	if f.tls == nil {
		return conclude(f.conn)
	}
	if err := f.tls.finish(); err != nil {
		return f.tls.trunk.Conn, err
	}
	conn, err := conclude(f.tls.trunk.Conn)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	return conn, err
}

// protect lays TLS over the data connection, if it is to have it.
func (f *flow) protect(h *shield) (err error) {
	if h == nil {
		return nil
	}
	if f.tls, err = h.protect(f.conn, f.stall); err == nil {
		f.conn = f.tls
	}
	return err
}

func (t *transfer) connect(ctx context.Context, o opener, limit time.Duration) (net.Conn, error) {
	if t.conn != nil {
		return t.conn, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errNoData)
	defer cancel()
	return o.open(ctx)
}

// tick is how long a step may take: what moves slowly is then seen to move,
// in a registry that hears of it between steps.
const tick = time.Second / 2

// arm gives the next step its time. Whoever cancels closes the connection, so
// a step that was armed after that fails at once.
func (f *flow) arm() error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	f.conn.SetDeadline(time.Now().Add(min(tick, f.stall))) // what is wrong with the connection, the step will say
	return nil
}

// moved notes that n bytes were moved.
func (f *flow) moved(n int64) {
	f.bytes += n
	f.entry.Moved(int(n))
}

// count is moved, and keeps the rates.
func (f *flow) count(n int64) error {
	f.moved(n)
	return f.draw.Pay(f.ctx, n)
}

// judge tells what the end of a step means, in which n bytes moved. One that ran
// out of time is no error, unless nothing has moved for too long.
func (f *flow) judge(err error, n int64) error {
	if n > 0 {
		f.lively = time.Now()
	}
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case time.Since(f.lively) < f.stall:
		return nil
	}
	return errStalled
}

// doubt is how long the end of an upload waits for the control connection to
// end, too. The end of the data is the end of the file only while the control
// connection is there (RFC 959, section 2.3), and a client that is killed ends
// both, within a moment and in any order. What took long deserves more of it.
func (f *flow) doubt() time.Duration {
	return min(max(time.Since(f.begun)/20, 10*time.Millisecond), 250*time.Millisecond)
}

// atEnd looks once more whether an upload whose data has ended is one that the
// client wants kept. It does not if it said ABOR, which may be still unread.
//
// Some devices close everything as soon as they have sent their file, and a
// client that is killed does the same in the middle of one. Where that could cost
// a file that is there, or strict says so, it counts as killed.
func (f *flow) atEnd(control net.Conn, strict bool) error {
	wait := time.Duration(0)
	if strict {
		wait = f.doubt()
	}
	said, gone := peek(control, wait)
	if f.ask != nil { // it may have been read, and not yet be heeded; or be behind TLS
		said = nil
		f.hear()
	}
	f.orphaned = gone && !f.leave.Load() && !waiting(said, "QUIT") // who takes leave has sent all
	switch {
	case f.ctx.Err() != nil:
		return context.Cause(f.ctx)
	case waiting(said, "ABOR"):
		return errAborted
	case f.orphaned && strict:
		return errLost
	}
	return nil
}

// waiting tells whether one of the lines that wait to be read is that command.
func waiting(lines []byte, verb string) bool {
	for line := range bytes.SplitSeq(lines, []byte("\n")) {
		word := bytes.TrimFunc(line, func(r rune) bool { return r < 'A' || r > 'z' }) // Telnet's bytes around it
		if strings.EqualFold(string(word), verb) {
			return true
		}
	}
	return false
}

// sendFile sends the rest of size bytes of file from where it stands. Both keep their
// concrete types down to the copy, so that the kernel does it (sendfile).
func (f *flow) sendFile(file *os.File, size int64) error {
	sent := f.bytes
	from, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	for from -= sent; sent < size; {
		n, err := f.sendSome(file, size-sent)
		sent += n
		if errors.Is(err, io.EOF) {
			return errShrunk // less was moved than should
		}
		if err := f.judge(err, n); err != nil {
			return err
		}
		if err != nil { // where the kernel does not copy, more was read than could be sent
			if _, err := file.Seek(from+sent, io.SeekStart); err != nil {
				return err
			}
		}
	}
	return nil
}

// bulkFrom is the least that is worth starting a thread for.
const bulkFrom = 256 << 10

// sendSome sends some of what is left of a file.
func (f *flow) sendSome(file *os.File, left int64) (int64, error) {
	move := (*flow).sendBulk
	if f.tls != nil {
		move = (*flow).sendSealed
	}
	if n, err := f.bulk(file, left, move); n > 0 || err != nil {
		return n, err
	}
	if err := f.arm(); err != nil {
		return 0, err
	}
	n, err := io.CopyN(f.conn, file, min(left, f.draw.Step()))
	return n, cmp.Or(f.count(n), err)
}

// receiveFile writes what comes to file, where it stands, until the client
// ends. Concrete types again: the kernel moves it (splice).
func (f *flow) receiveFile(file *os.File) error {
	move := (*flow).receiveBulk
	if f.tls != nil {
		move = (*flow).receiveSealed
	}
	for {
		if f.bytes >= bulkFrom {
			_, err := f.bulk(file, f.allowed.all(), move)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		if err := f.arm(); err != nil {
			return err
		}
		step := f.allowed.upTo(f.draw.Step())
		if step == 0 {
			return f.overrun()
		}
		n, err := file.ReadFrom(&io.LimitedReader{R: f.conn, N: step})
		if cerr := f.count(n); cerr != nil {
			return cerr
		}
		if f.allowed.room -= n; err == nil && n < step {
			return nil
		}
		if err := f.judge(err, n); err != nil {
			return err
		}
	}
}

// overrun waits for the end of an upload for which there is no more room.
func (f *flow) overrun() error {
	var one [1]byte
	for {
		if err := f.arm(); err != nil {
			return err
		}
		n, err := f.conn.Read(one[:])
		switch {
		case n > 0:
			return f.allowed.over()
		case errors.Is(err, io.EOF):
			return nil
		}
		if err := f.judge(err, 0); err != nil {
			return err
		}
	}
}

// keep writes to file what there is room for.
func (f *flow) keep(file *os.File, p []byte) error {
	if n := int64(len(p)); f.allowed.upTo(n) < n {
		return f.allowed.over()
	}
	n, err := file.Write(p)
	f.allowed.room -= int64(n)
	return err
}

// send copies src to the client in steps; for data that is not a file as it
// stands, such as TYPE A.
func (f *flow) send(src io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, rerr := src.Read(buf[:min(int64(len(buf)), f.draw.Step())])
		if n > 0 {
			if err := f.write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(rerr, io.EOF) {
			return nil
		}
		if rerr != nil {
			return rerr
		}
	}
}

// write sends p, compressed if that is asked for.
func (f *flow) write(p []byte) error {
	if f.zip != nil {
		_, err := f.zip.Write(p)
		return err
	}
	return f.push(p)
}

// push sends p, however slowly the client takes it, as long as it takes some.
func (f *flow) push(p []byte) error {
	for len(p) > 0 {
		if err := f.arm(); err != nil {
			return err
		}
		n, err := f.conn.Write(p[:min(int64(len(p)), f.draw.Step())])
		p = p[n:]
		if cerr := f.count(int64(n)); cerr != nil {
			return cerr
		}
		if err := f.judge(err, int64(n)); err != nil {
			return err
		}
	}
	return nil
}

// receiveASCII writes what comes to file, its line ends converted, until the
// client ends.
func (f *flow) receiveASCII(file *os.File) error {
	var conv fromNetwork
	buf := make([]byte, 64<<10)
	var out []byte
	for {
		if err := f.arm(); err != nil {
			return err
		}
		n, err := f.conn.Read(buf[:min(int64(len(buf)), f.draw.Step())])
		out = conv.append(out[:0], buf[:n])
		ended := errors.Is(err, io.EOF)
		if ended {
			out = conv.flush(out)
		}
		if werr := f.keep(file, out); werr != nil {
			return werr
		}
		if cerr := f.count(int64(n)); cerr != nil {
			return cerr
		}
		if ended {
			return nil
		}
		if err := f.judge(err, int64(n)); err != nil {
			return err
		}
	}
}
