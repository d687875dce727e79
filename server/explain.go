package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"portreeve/config"
	"portreeve/server/auth"
	"portreeve/server/lang"
	"portreeve/server/ledger"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// A rehearsal answers whether somebody could do something, and which rule decides.
// It states no rule: it is a session like any other, with the same commands, of
// which nothing comes. Its files change nothing (vfs.Options.Rehearse), its ledger
// writes nothing, and its data connections are never made.

// Rehearse makes a server that does nothing, for Explain. Sessions are those that
// count for the limits.
func Rehearse(cfg Config, sessions *registry.Registry, chain *auth.Chain) *Server {
	s := New(cfg, sessions, chain, slog.New(slog.DiscardHandler))
	s.rehearses = true
	s.Ledger = ledger.Rehearse(s.Log)
	return s
}

// A Question is who wants to do what, from where, and when. Whatever the password
// has to be, it is right.
type Question struct {
	User     string
	From     netip.Addr // of the client
	Local    netip.Addr // that the client connects to
	Host     string     // virtual host; "" is the server itself
	At       time.Time
	TLS      bool     // on the control connection and on those for data
	Commands []string // "STOR path size", one after the other
}

// A Finding is what one rule says.
type Finding struct {
	Rule    string `json:"rule"`
	About   string `json:"about,omitzero"` // the command, if it is about one
	Allowed bool   `json:"allowed"`
	Why     string `json:"why,omitzero"`   // it refuses
	Reply   string `json:"reply,omitzero"` // what the client hears then
}

// findings are in the order in which they were made. The last one alone can refuse.
type findings []Finding

// rule is how a session tells of a rule.
func (f *findings) rule(name string, err error) {
	found := Finding{Rule: name, Allowed: err == nil}
	if err != nil {
		found.Why = err.Error()
	}
	*f = append(*f, found)
}

// refused tells that the client is answered so, by the rule that was the last to
// speak, or by this one.
func (f *findings) refused(rule string, err error, r reply) findings {
	if n := len(*f); n == 0 || (*f)[n-1].Allowed {
		f.rule(rule, err)
	}
	(*f)[len(*f)-1].Reply = inEnglish(r)
	return *f
}

// inEnglish is the last line of a reply.
func inEnglish(r reply) string {
	r.lines = nil
	var english *lang.Language
	return strings.TrimSpace(string(r.append(nil, func(p phrase) string { return p.in(english.Say) })))
}

// ErrNoQuestion is the cause of every error about a question that cannot be asked.
var ErrNoQuestion = errors.New("that cannot be explained")

// Explain answers a question, on a server of Rehearse. An error means that nobody
// can say.
func (s *Server) Explain(ctx context.Context, q Question) ([]Finding, error) {
	for _, line := range q.Commands {
		if err := explainable(line); err != nil {
			return nil, err
		}
	}
	var f findings
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	c := s.newSession(conn, netip.AddrPortFrom(q.From, 1024), netip.AddrPortFrom(q.Local, s.port()))
	c.cancel, c.log, c.asks = func(error) {}, s.Log, f.rule
	if q.Host != "" {
		if c.host = c.cfg.host(q.Host); c.host == nil {
			return nil, fmt.Errorf("%w: there is no virtual host %q", ErrNoQuestion, q.Host)
		}
	}
	var err error
	c.entry, err = s.Sessions.Open(c.peer, c.local, c.dismiss)
	if c.told("connections", err) != nil {
		return f.refused("", err, crowded(err)), nil
	}
	defer c.entry.Close()
	defer c.release()
	if q.TLS {
		if s.terms.Load().err != nil {
			return f.refused("TLS", s.terms.Load().err, say(431, "TLS is not possible now")), nil
		}
		c.tls = &secured{sized: true, private: true}
	}
	return c.rehearse(ctx, q, &f)
}

// port is where the server listens first.
func (s *Server) port() uint16 {
	for _, e := range slices.Concat(s.config.Load().Bind, s.config.Load().ImplicitTLS) {
		return e.Port
	}
	return 0
}

// rehearse logs in and runs the commands.
func (s *session) rehearse(ctx context.Context, q Question, f *findings) (findings, error) {
	r, err := s.run(ctx, lookup("USER"), q.User)
	if err != nil || r.code >= 400 {
		return f.refused("TLS", errRefused, r), err
	}
	account, err := s.authenticate(ctx, auth.Attempt{At: q.At, Ask: f.rule})
	switch {
	case errors.Is(err, auth.ErrUntold):
		return nil, fmt.Errorf("looking up the user %s: %w", q.User, err)
	case errors.Is(err, errAnonymousOnly):
		return f.refused("anonymous only", err, loginRefused(err)), nil
	case errors.Is(err, auth.ErrUnknown), errors.Is(err, auth.ErrDenied):
		return f.refused("user", err, loginRefused(err)), nil
	case err != nil:
		return nil, fmt.Errorf("looking up the user %s: %w", q.User, err)
	}
	if r, err = s.admit(&account); err != nil || r.code != 0 {
		return f.refused("login", errRefused, r), err
	}
	s.ascii = false
	for _, line := range q.Commands {
		r, err := s.try(ctx, line)
		if err == nil && r.code < 400 {
			*f = append(*f, Finding{Rule: "command", About: line, Allowed: true})
			continue
		}
		found := Finding{Rule: decider(err, r), About: line, Reply: inEnglish(r)}
		if err != nil {
			found.Why = err.Error()
		}
		return append(*f, found), nil
	}
	return *f, nil
}

// errRefused is a refusal of which the reply says all.
var errRefused = errors.New("refused")

// told tells a rehearsal what a rule says.
func (s *session) told(rule string, err error) error {
	if s.asks != nil {
		s.asks(rule, err)
	}
	return err
}

// rehearsed are the commands that can be explained: those that end by themselves
// once nothing is done.
var rehearsed = []string{"ALLO", "APPE", "CDUP", "CWD", "DELE", "LIST", "MDTM", "MFF", "MFMT", "MKD", "MLSD", "MLST", "NLST",
	"PWD", "REST", "RETR", "RMD", "RNFR", "RNTO", "SITE CHMOD", "SITE MKDIR", "SITE RMDIR", "SITE SYMLINK", "SITE UMASK", "SITE UTIME",
	"SIZE", "STOR", "STOU"}

// Rehearsed returns the names of the commands that can be explained.
func Rehearsed() []string { return slices.Clone(rehearsed) }

func explainable(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	if strings.EqualFold(verb, "SITE") {
		sub, _, _ := strings.Cut(rest, " ")
		verb += " " + sub
	}
	c := lookup(verb)
	if c == nil || !slices.Contains(rehearsed, c.name) {
		return fmt.Errorf("%w: %q is none of %s", ErrNoQuestion, verb, strings.Join(rehearsed, ", "))
	}
	return nil
}

// try runs a command as dispatch does, up to where data would come or go.
func (s *session) try(ctx context.Context, line string) (reply, error) {
	line, size := splitSize(line)
	if size > 0 { // as careful clients say it beforehand
		if r, err := s.perform(ctx, "ALLO "+strconv.FormatInt(size, 10), 0); err != nil || r.code >= 400 {
			return r, err
		}
	}
	return s.perform(ctx, line, size)
}

// perform is dispatch without a connection: what is a transfer ends when it wants
// one. An upload of that size is judged by what it may have.
func (s *session) perform(ctx context.Context, line string, size int64) (reply, error) {
	verb, arg, _ := strings.Cut(line, " ")
	c := lookup(verb)
	if !c.offered(s.cfg) {
		return s.withheld(c.name, false), nil
	}
	arg, refused := s.understand(c, arg)
	if refused != nil {
		return *refused, nil
	}
	if c.need&opensData != 0 {
		s.data = nobody{}
	}
	r, err := s.run(ctx, c, arg)
	if t := s.xfer; t != nil {
		got := <-t.done
		s.xfer = nil
		t.cancel(nil)
		s.entry.End(got.err)
		if !errors.Is(got.err, errNobody) {
			err = got.err
		} else if t.kind == registry.Uploading && size > t.most {
			err = t.excess
		}
	}
	if err != nil {
		r = s.refusal(c, err)
	}
	return r, err
}

// A nobody opener is a data connection that is not to be.
type nobody struct{}

var errNobody = errors.New("nothing is moved")

func (nobody) ready() *arrival                        { return nil }
func (nobody) open(context.Context) (net.Conn, error) { return nil, errNobody }
func (nobody) close()                                 {}

// splitSize takes the size of an upload off the end of a line: 2G, say.
func splitSize(line string) (string, int64) {
	i := strings.LastIndexByte(line, ' ')
	verb, _, _ := strings.Cut(line, " ")
	c := lookup(verb)
	if c == nil || !slices.Contains([]string{"STOR", "APPE", "STOU"}, c.name) || i <= len(verb) {
		return line, 0
	}
	size, err := config.ParseSize(line[i+1:], 1)
	if err != nil {
		return line, 0
	}
	return line[:i], size
}

// deciders name the rule behind an error, the first that fits.
var deciders = []struct {
	err  error
	rule string
}{
	{errTooLarge, "MaxFileSize"},
	{errRatio, "ratio"},
	{errCrowded, "MaxDiskUsage"},
	{errLoad, "MaxLoad"},
	{vfs.ErrQuota, "quota"},
	{vfs.ErrDot, "dot files"},
	{vfs.ErrName, "names"},
	{vfs.ErrKept, "KeepAllFiles"},
	{vfs.ErrNoChmod, "NoChmod"},
	{vfs.ErrUnapproved, "AntiWarez"},
	{vfs.ErrDenied, "permissions of the account"},
	{syscall.ENOSPC, "disk"},
	{fs.ErrPermission, "file system"},
	{fs.ErrExist, "file system"},
	{fs.ErrNotExist, "file system"},
	{vfs.ErrIsDir, "file system"},
	{vfs.ErrNotRegular, "file system"},
	{vfs.ErrOffset, "file system"},
}

func decider(err error, r reply) string {
	for _, d := range deciders {
		if errors.Is(err, d.err) {
			return d.rule
		}
	}
	switch {
	case err != nil:
		return "file system"
	case r.code == 521:
		return "TLS"
	case r.code == 553 || r.code == 550:
		return "file system"
	}
	return "command"
}
