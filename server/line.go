package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"
)

// What may be wrong with a line, beyond what a command thinks of it.
var (
	// errLineLong: more than MaxLineLength bytes; the rest of the line is gone.
	errLineLong = errors.New("command line too long")
	// errFlood: no end of line in sight, or the third one that was too long.
	errFlood = errors.New("command line without end")
	// errNUL: a zero byte that no carriage return goes before.
	errNUL = errors.New("NUL in command line")
	// errEarlyTLS: TLS from the first byte, on a connection that begins in clear.
	errEarlyTLS = errors.New("client speaks TLS without AUTH, as if to an implicit TLS port")
)

const (
	lineBuffer = 256      // first buffer of a connection: commands are short
	lineFlood  = 64 << 10 // bytes without an end of line after which nobody waits for one
	longLines  = 3        // lines too long after which the client is no FTP client
)

// A lineReader takes commands from a control connection: lines end with LF, or
// CRLF, however they are cut into packets (RFC 1123, section 4.1.2.10), and
// Telnet's own bytes are taken out (RFC 959, section 2.3; RFC 854).
//
// One goroutine at a time calls read. Its buffer is as small as its longest
// line so far, since most sessions idle.
type lineReader struct {
	conn    net.Conn
	buf     []byte // read but not yet taken: buf[r:w]
	r, w    int
	limit   int
	long    int // lines that were too long
	refused int // Telnet offers answered

	skipping bool // in a line that is too long, of which so much was dropped
	dropped  int
}

func newLineReader(c net.Conn, limit int) *lineReader {
	return &lineReader{conn: c, limit: limit}
}

// reset goes on with another connection, of which some bytes were read already.
// What was kept of the one before is dropped.
func (l *lineReader) reset(c net.Conn, read []byte) {
	l.conn, l.buf, l.r, l.w = c, append([]byte(nil), read...), 0, len(read)
	l.skipping, l.dropped = false, 0
}

// read returns the next line without its end, and what must be answered to
// Telnet offers in it. The error is errLineLong, errFlood, errNUL or the
// connection's own.
func (l *lineReader) read() (text string, answer []byte, err error) {
	if l.skipping {
		return "", nil, l.swallow()
	}
	scanned := l.r
	for {
		if i := bytes.IndexByte(l.buf[scanned:l.w], '\n'); i >= 0 {
			raw := l.buf[l.r : scanned+i]
			l.r = scanned + i + 1
			if len(raw)+1 > l.limit {
				return "", nil, l.tooLong()
			}
			return l.clean(raw)
		}
		if l.w-l.r >= l.limit {
			return "", nil, l.swallow()
		}
		scanned, err = l.fill()
		if err != nil {
			return "", nil, err
		}
	}
}

// empty tells whether nothing was read that is not taken yet.
func (l *lineReader) empty() bool { return l.r == l.w }

// fill reads once, after making room, and returns where the new bytes begin.
func (l *lineReader) fill() (from int, err error) {
	switch {
	case l.r == l.w: // nothing is kept: begin anew, and with a small buffer
		l.r, l.w = 0, 0
		if len(l.buf) != lineBuffer {
			l.buf = make([]byte, lineBuffer)
		}
	case l.r > 0:
		l.w = copy(l.buf, l.buf[l.r:l.w])
		l.r = 0
	}
	if l.w == len(l.buf) {
		grown := make([]byte, min(2*len(l.buf), l.limit+2))
		copy(grown, l.buf[:l.w])
		l.buf = grown
	}
	from = l.w
	n, err := l.conn.Read(l.buf[l.w:])
	l.w += n
	if n > 0 && l.buf[l.r] == tlsHandshake {
		return from, errEarlyTLS
	}
	if n > 0 {
		return from, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return from, err
}

// swallow drops bytes up to the next end of line, but not for ever.
// A read that is called back in the middle goes on with the next.
func (l *lineReader) swallow() error {
	l.skipping = true
	for {
		if i := bytes.IndexByte(l.buf[l.r:l.w], '\n'); i >= 0 {
			l.r += i + 1
			l.skipping, l.dropped = false, 0
			return l.tooLong()
		}
		l.dropped += l.w - l.r
		l.r = l.w
		if l.dropped > lineFlood {
			return errFlood
		}
		if _, err := l.fill(); err != nil {
			return err
		}
	}
}

func (l *lineReader) tooLong() error {
	if l.long++; l.long >= longLines {
		return errFlood
	}
	return errLineLong
}

// tlsHandshake is the first byte of a TLS client, and of no command.
const tlsHandshake = 22

// Telnet's bytes (RFC 854).
const (
	telnetSE   = 0xF0
	telnetSB   = 0xFA
	telnetWILL = 0xFB
	telnetWONT = 0xFC
	telnetDO   = 0xFD
	telnetDONT = 0xFE
	telnetIAC  = 0xFF
)

const maxTelnetAnswers = 8 // in a session; who offers more gets no more refusals

// clean takes the carriage return and Telnet's bytes out of a line. Up to the
// first blank everything is Telnet; behind it only a doubled IAC is, since most
// clients do not double 0xFF in a name (RFC 3659, section 2.2, says they should).
func (l *lineReader) clean(raw []byte) (string, []byte, error) {
	if n := len(raw); n > 0 && raw[n-1] == '\r' {
		raw = raw[:n-1]
	}
	verb, arg, blank := bytes.Cut(raw, []byte{' '})
	var answer []byte
	if bytes.IndexByte(verb, telnetIAC) >= 0 || len(verb) > 0 && verb[0] >= telnetSE {
		verb, answer = l.telnet(verb)
	}
	line := append(make([]byte, 0, len(raw)), verb...)
	if blank {
		line = append(line, ' ')
		line = append(line, bytes.ReplaceAll(arg, []byte{telnetIAC, telnetIAC}, []byte{telnetIAC})...)
	}
	line = bytes.ReplaceAll(line, []byte("\r\x00"), []byte("\r")) // RFC 2640, section 3.1
	if bytes.IndexByte(line, 0) >= 0 {
		return string(bytes.ReplaceAll(line, []byte{0}, []byte("?"))), answer, errNUL
	}
	return string(line), answer, nil
}

// telnet removes Telnet sequences and refuses what they offer, as RFC 1123,
// section 4.1.2.12, asks. Bytes from 0xF0 on before the first letter are what
// is left of urgent data whose IAC was read out of band.
func (l *lineReader) telnet(verb []byte) (rest, answer []byte) {
	for len(verb) > 0 {
		b := verb[0]
		if b != telnetIAC {
			if b < telnetSE || len(rest) > 0 {
				rest = append(rest, b)
			}
			verb = verb[1:]
			continue
		}
		if len(verb) == 1 {
			break
		}
		switch command := verb[1]; {
		case command >= telnetWILL && command <= telnetDONT:
			if len(verb) < 3 {
				return rest, answer
			}
			answer = l.refuse(answer, command, verb[2])
			verb = verb[3:]
		case command == telnetSB:
			end := bytes.Index(verb, []byte{telnetIAC, telnetSE})
			if end < 0 {
				return rest, answer
			}
			verb = verb[end+2:]
		case command > telnetSE && command < telnetSB:
			verb = verb[2:]
		default: // a stray IAC before plain data
			verb = verb[1:]
			if command == telnetIAC {
				verb = verb[1:]
			}
		}
	}
	return rest, answer
}

func (l *lineReader) refuse(answer []byte, command, option byte) []byte {
	no := map[byte]byte{telnetWILL: telnetDONT, telnetDO: telnetWONT}[command]
	if no == 0 || l.refused >= maxTelnetAnswers {
		return answer
	}
	l.refused++
	return append(answer, telnetIAC, no, option)
}

// drain reads and drops what the client still sends, so that closing does not
// reset the connection under the last reply. It ends with the client's own
// end, or after the time given.
func drain(c net.Conn, limit time.Duration) {
	deadline := time.Now().Add(limit)
	c.SetReadDeadline(deadline)
	buf := make([]byte, 512)
	for time.Now().Before(deadline) {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
