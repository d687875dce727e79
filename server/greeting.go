package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"portreeve/server/rate"
)

// The texts around a session: the greeting, what a login and its end tell, and
// what administrators and users leave in files to be shown. Files are anybody's
// words: lines of a reply come of them, and nothing that could be taken for one.

// Bounds of what is shown of a file, Pure-FTPd's.
const (
	noticeLines = 100
	noticeLine  = 511
	noticeBytes = 64 << 10
	maxCookie   = 2047
	lastLine    = 480 // of a reply: simple clients read no more than 510 bytes
)

// A greeting is what the first reply tells. It names no product: who wants to
// can do so in a file.
type greeting struct {
	file, cookies string // shown instead of the facts; "" if there is none
	number, most  int    // of clients
	now           time.Time
	local, peer   netip.AddrPort
	idle          time.Duration
	onlyAnonymous bool // nobody else may log in here
	noAnonymous   bool
	fxp, ipv6     bool  // for everybody; also
	users, others Ratio // others is anonymous
}

// greeting gathers the facts for a client that has just come.
func (s *session) greeting() greeting {
	c := s.cfg
	return greeting{file: s.greetingFile(), cookies: c.FortunesFile,
		number: s.srv.Sessions.Len(), most: c.MaxClients, now: time.Now(),
		local: s.local, peer: s.peer, idle: c.MaxIdleTime,
		onlyAnonymous: c.AnonymousOnly || c.TrustedIP.IsValid() && c.TrustedIP != s.local.Addr(),
		noAnonymous:   c.NoAnonymous, fxp: c.AnonFXP, ipv6: c.servesIPv6(), users: c.UserRatio, others: c.AnonRatio}
}

// servesIPv6 tells whether a socket is at an IPv6 address.
func (c *Config) servesIPv6() bool {
	for _, e := range c.Bind {
		if !c.IPv4Only && (!e.Addr.IsValid() || e.Addr.Is6()) {
			return true
		}
	}
	return false
}

// reply words the greeting. An error is for the log: a greeting file that cannot
// be read costs no client its session.
func (g greeting) reply() (r reply, err error) {
	var own []phrase
	if g.file != "" {
		own, err = readNotice(g.file)
	}
	if len(own) > 0 {
		return proseOf(220, own), nil
	}
	if g.cookies != "" {
		var cerr error
		own, cerr = fortune(g.cookies)
		err = errors.Join(err, cerr)
	}
	lines := own
	if len(own) == 0 {
		lines = []phrase{phrasef("FTP server ready"), phrasef("You are user number %d of %d allowed", g.number, g.most),
			phrasef("Local time is now %s, server port %d", g.now.Format("15:04"), g.local.Port())}
	}
	switch {
	case g.onlyAnonymous:
		lines = append(lines, phrasef("Only anonymous FTP is allowed here"))
	case g.noAnonymous:
		lines = append(lines, phrasef("This is a private system: no anonymous login"))
	}
	if g.fxp {
		lines = append(lines, phrasef("This server supports FXP transfers"))
	}
	lines = append(lines, g.ratios()...)
	if len(own) == 0 {
		if g.ipv6 && g.peer.Addr().Is4() {
			lines = append(lines, phrasef("IPv6 connections are also welcome on this server"))
		}
		lines = append(lines, g.patience())
	}
	return proseOf(220, lines), err
}

// ratios tells who has to send something.
func (g greeting) ratios() (lines []phrase) {
	if g.users != (Ratio{}) {
		lines = append(lines, phrasef("RATIOS ARE ENABLED FOR EVERYONE:"), g.users.terms())
	}
	if g.others != (Ratio{}) && !g.noAnonymous {
		lines = append(lines, phrasef("ANONYMOUS USERS ARE SUBJECT TO AN UL/DL RATIO:"), g.others.terms())
	}
	return lines
}

func (r Ratio) terms() phrase {
	return phrasef("to download %d Mb, uploading %d Mb of goodies is mandatory", r.Down, r.Up)
}

func (g greeting) patience() phrase {
	if g.idle < 2*time.Minute {
		return phrasef("You will be disconnected after %d seconds of inactivity", int(g.idle.Seconds()))
	}
	return phrasef("You will be disconnected after %d minutes of inactivity", int(g.idle.Minutes()))
}

// greet says the first reply.
func (s *session) greet() {
	r, err := s.greeting().reply()
	if err != nil { // Configure has warned; once for each client would be a way to fill the disk
		s.log.Debug("greeting", "err", err)
	}
	s.reply(r)
}

// proseOf makes a reply of lines for people; there is one at least.
func proseOf(code int, lines []phrase) reply {
	last := lines[len(lines)-1]
	if last.verbatim {
		last.format = cut(last.format, lastLine)
	}
	return reply{code: code, text: last, lines: lines[:len(lines)-1], prose: true}
}

// welcome is the reply to a login. A client that began its password with "-" does
// not want more than the one line.
func (s *session) welcome() reply {
	here := phrasef("Logged in, the current directory is %s", quoted(s.cwd))
	if s.fs.Caged() {
		here = phrasef("Logged in, the current restricted directory is %s", quoted(s.cwd))
	}
	var lines []phrase
	if !s.terse {
		if s.share.Limited(rate.Up) || s.share.Limited(rate.Down) {
			lines = append(lines, phrasef("Your bandwidth usage is restricted"))
		}
		if s.cfg.UserFXP || s.cfg.AnonFXP {
			lines = append(lines, phrasef("This server supports FXP transfers"))
		}
		if r := s.ratio(); r != (Ratio{}) {
			lines = append(lines, phrasef("You must respect a %d:%d (UL/DL) ratio", r.Up, r.Down))
		}
		lines = append(lines, s.notice(".banner")...)
		lines = append(lines, s.usage()...)
	}
	return proseOf(230, append(lines, here))
}

// arrived is the reply to a change of directory.
func (s *session) arrived() reply {
	var lines []phrase
	if !s.terse {
		lines = s.notice(".message")
	}
	return proseOf(250, append(lines, phrasef("Current directory is %s", quoted(s.cwd))))
}

// parting is the reply to QUIT: what was moved, in KiB that were begun.
func (s *session) parting() reply {
	if s.account == nil {
		return say(221, "Goodbye")
	}
	i := s.entry.Info()
	return proseOf(221, []phrase{
		phrasef("You uploaded %d and downloaded %d kbytes", kbytes(i.TotalUp), kbytes(i.TotalDown)), phrasef("Goodbye")})
}

// timed adds to the reply that ends a transfer how fast that was.
func timed(r reply, bytes int64, took time.Duration) reply {
	if took <= 0 { // too short for the clock
		return r
	}
	seconds := took.Seconds()
	rate := float64(bytes) / seconds
	var speed phrase
	switch {
	case rate > 512<<10:
		speed = phrasef("%.3f seconds (measured here), %.2f Mbytes per second", seconds, rate/(1<<20))
	case rate > 512:
		speed = phrasef("%.3f seconds (measured here), %.2f Kbytes per second", seconds, rate/(1<<10))
	case rate > 0.1:
		speed = phrasef("%.3f seconds (measured here), %.2f bytes per second", seconds, rate)
	default:
		return r
	}
	r.lines, r.text, r.prose = append(r.lines, r.text), speed, true
	return r
}

// notice is what a file in the current directory has to say. It is read as the
// user, within the root, and most directories have none.
func (s *session) notice(name string) []phrase {
	text, err := s.fs.ReadText(s.path(name), noticeBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Debug("reading a notice", "path", s.path(name), "err", err)
	}
	return noticeOf(text)
}

// noticeOf makes lines of a text. Control characters, which could steer a
// terminal, are dropped, and a long line goes on in the next.
func noticeOf(text []byte) []phrase {
	var lines []phrase
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\r\n\t "), "\n") {
		clean := harmless(line)
		for {
			if len(lines) == noticeLines {
				return lines
			}
			head := cut(clean, noticeLine)
			lines = append(lines, verbatim(head))
			if clean = clean[len(head):]; clean == "" {
				break
			}
		}
	}
	if len(lines) == 1 && lines[0].format == "" {
		return nil
	}
	return lines
}

// harmless drops control characters, those of Latin-1 in their UTF-8 form too;
// a tab becomes a blank.
func harmless(line string) string {
	var b strings.Builder
	for i, r := range line {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
		case r == utf8.RuneError && !strings.HasPrefix(line[i:], string(r)):
			b.WriteByte(line[i]) // a byte of another encoding stays as it is
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cut returns the beginning of text, at most so many bytes and no part of a letter.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for i := most; i > most-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return text[:i]
		}
	}
	return text[:most]
}

// readNotice reads a file of the administrator's.
func readNotice(name string) ([]phrase, error) {
	file, _, err := openPublic(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, noticeBytes))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return noticeOf(text), nil
}

// openPublic opens what everybody who connects will see: a regular file that
// everybody on the host may read, lest a slip of the pen publish a secret.
func openPublic(name string) (*os.File, int64, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, 0, fmt.Errorf("opening %s: %w", name, err)
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o004 == 0) {
		err = errors.New("only a regular file that everybody may read is shown to clients (chmod o+r)")
	}
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("opening %s: %w", name, err)
	}
	return file, info.Size(), nil
}

// fortune picks one of the cookies in a file, which lines with a "%" alone part:
// the one at a random place, whatever the size of the file.
func fortune(name string) ([]phrase, error) {
	file, size, err := openPublic(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size == 0 {
		return nil, fmt.Errorf("reading %s: no cookie in it", name)
	}
	return cookieAt(file, rand.Int64N(size))
}

// cookieAt returns the cookie around an offset, or the one after. One that is
// longer than may be shown ends early; where its beginning is too far away, it
// begins with a line.
func cookieAt(file io.ReaderAt, offset int64) ([]phrase, error) {
	from := max(0, offset-maxCookie)
	text := make([]byte, 3*maxCookie)
	n, err := file.ReadAt(text, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading a cookie: %w", err)
	}
	text = text[:n]
	at := int(offset - from)
	if from > 0 {
		rest := text[bytes.IndexByte(text, '\n')+1:]
		at -= len(text) - len(rest)
		text = rest
	}
	var cookie, before []byte
	end := 0
	for line := range bytes.Lines(text) {
		end += len(line)
		if string(bytes.TrimRight(line, "\r\n")) != "%" {
			cookie = append(cookie, line...)
			continue
		}
		if len(bytes.TrimSpace(cookie)) > 0 {
			if end > at {
				break
			}
			before = cookie
		}
		cookie = nil
	}
	if len(bytes.TrimSpace(cookie)) == 0 {
		cookie = before
	}
	return noticeOf([]byte(cut(string(cookie), maxCookie))), nil
}
