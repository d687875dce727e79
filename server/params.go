package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// cmdTYPE chooses text or binary. A refused TYPE changes nothing.
func (s *session) cmdTYPE(_ context.Context, arg string) (reply, error) {
	code, param, _ := strings.Cut(strings.ToUpper(arg), " ")
	param = strings.TrimSpace(param)
	switch {
	case code == "A" && (param == "" || param == "N" || param == "T"): // T is N: RFC 1123, section 4.1.2.2
		s.ascii = true
		return say(200, "TYPE is now A"), nil
	case code == "I" && (param == "" || param == "N"), code == "L" && param == "8", code == "L8":
		s.ascii = false
		return say(200, "TYPE is now I"), nil
	}
	return say(504, "TYPE is A or I here"), nil
}

func (s *session) cmdMODE(_ context.Context, arg string) (reply, error) {
	switch mode := strings.ToUpper(arg); mode {
	case "S", "Z":
		if mode == "Z" && s.cfg.Compression == 0 {
			break
		}
		s.zipped = mode == "Z"
		return sayf(200, "MODE is %s", mode), nil
	case "B", "C":
	default:
		return say(501, "No such mode"), nil
	}
	return say(504, "No such mode here"), nil
}

func (s *session) cmdSTRU(_ context.Context, arg string) (reply, error) {
	switch strings.ToUpper(arg) {
	case "F":
		return say(200, "STRU is F"), nil
	case "R", "P":
		return say(504, "STRU is F here"), nil
	}
	return say(501, "No such structure"), nil
}

// cmdALLO tells whether there is room. It is never 202, "superfluous": some
// cameras then try for ever.
func (s *session) cmdALLO(_ context.Context, arg string) (reply, error) {
	words := strings.Split(arg, " ")
	n, err := digits(words[0])
	if err != nil || len(words) != 1 && (len(words) != 3 || !strings.EqualFold(words[1], "R")) {
		return say(501, "ALLO takes a number of bytes"), nil
	}
	if s.cfg.MaxFileSize > 0 && n > s.cfg.MaxFileSize {
		return reply{}, errTooLarge
	}
	if left, limited := s.fs.Left(); limited && (n > left.Bytes || left.Files == 0) {
		return reply{}, &failure{s.withUsage(say(552, "Quota exceeded")), vfs.ErrQuota}
	}
	if errors.Is(s.roomFor(s.cwd), errCrowded) {
		return replyFor(errCrowded), nil
	}
	if free, err := s.fs.Free(s.cwd); err == nil && n > free {
		return reply{}, &failure{say(552, "Not enough room on the disk"), syscall.ENOSPC}
	}
	s.announced = n
	return say(200, "There is room"), nil
}

// digits reads a number that is nothing but digits.
func digits(text string) (int64, error) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, fmt.Errorf("%q is not a number", text)
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return int64(n), nil
}

// cmdOPTS chooses how other commands answer (RFC 2389, section 4).
func (s *session) cmdOPTS(_ context.Context, arg string) (reply, error) {
	what, value, _ := strings.Cut(arg, " ")
	switch strings.ToUpper(what) {
	case "UTF8", "UTF-8":
		return s.optsUTF8(strings.TrimSpace(value)), nil
	case "REST": // WinSCP asks whether STOR and RETR know it
		if value = strings.ToUpper(strings.TrimSpace(value)); value == "STOR" || value == "RETR" {
			return say(200, "REST works"), nil
		}
	case "MODE":
		return s.optsMODE(value), nil
	case "HASH":
		return s.optsHASH(strings.TrimSpace(value)), nil
	case "MLST":
		return s.optsMLST(strings.TrimSpace(value)), nil
	}
	return say(501, "No such option"), nil
}

func (s *session) cmdFEAT(_ context.Context, arg string) (reply, error) {
	if arg != "" { // RFC 2389, section 3.2
		return say(501, "FEAT has no argument"), nil
	}
	r := reply{code: 211, text: phrasef("End"), lines: []phrase{phrasef("Extensions supported:")}}
	for i := range commands {
		c := &commands[i]
		if c.feat == nil || !c.offered(s.cfg) {
			continue
		}
		if line := c.feat(s); line != "" {
			r.lines = append(r.lines, verbatim(line))
		}
	}
	return r, nil
}

func (s *session) cmdHELP(ctx context.Context, arg string) (reply, error) {
	arg = strings.ToUpper(arg)
	if arg == "" {
		return s.listOf(phrasef("Commands:"), func(c *command) (string, bool) {
			return c.name, !strings.HasPrefix(c.name, "SITE ")
		}), nil
	}
	if arg == "SITE" {
		return s.siteHELP(ctx, "")
	}
	if c := byName[arg]; c != nil && c.offered(s.cfg) {
		return reply{code: 214, text: phrase{format: "%s %s", args: []any{arg, c.explained()}, verbatim: true}}, nil
	}
	return say(501, "No such command"), nil
}

func (s *session) siteHELP(context.Context, string) (reply, error) {
	return s.listOf(phrasef("SITE commands:"), func(c *command) (string, bool) { return strings.CutPrefix(c.name, "SITE ") }), nil
}

// listOf lists commands that are offered, a line each, as ncftp wants to read them.
func (s *session) listOf(title phrase, name func(*command) (string, bool)) reply {
	r := reply{code: 214, text: phrasef("End"), lines: []phrase{title}}
	for i := range commands {
		if n, ok := name(&commands[i]); ok && commands[i].offered(s.cfg) {
			r.lines = append(r.lines, verbatim(n))
		}
	}
	return r
}

// cmdSYST answers what makes clients take listings for those of ls.
func (s *session) cmdSYST(context.Context, string) (reply, error) {
	return fixed(215, "UNIX Type: L8"), nil
}

func (s *session) cmdNOOP(context.Context, string) (reply, error) { return say(200, "Done"), nil }

// cmdABOR without a transfer gives up the data connection that was prepared.
// The one under way was ended when the line came.
func (s *session) cmdABOR(context.Context, string) (reply, error) {
	s.drop()
	s.mark = marker{}
	return say(226, "Done"), nil
}

// status is STAT without an argument, also while a file moves.
func (s *session) status() reply {
	i := s.entry.Info()
	kind := "I"
	if s.ascii {
		kind = "A"
	}
	mode := "S"
	if s.zipped {
		mode = "Z"
	}
	who := phrasef("not logged in")
	if s.account != nil {
		who = phrasef("logged in as %s", s.name)
	}
	r := reply{code: 211, text: phrasef("End"), lines: []phrase{
		phrasef("Status of the server:"),
		phrasef("connected from %s for %s, %s", s.peer.Addr(), time.Since(s.born).Round(time.Second), who),
		verbatim("TYPE " + kind + ", STRU F, MODE " + mode),
	}}
	if s.tls != nil {
		r.lines = append(r.lines, s.tls.status())
	}
	switch {
	case i.State == registry.Listing:
		r.lines = append(r.lines, phrasef("listing %s: %d bytes so far", i.Path, i.Moved))
	case i.State == registry.Working:
		r.lines = append(r.lines, phrasef("at work on %s: %d bytes so far", i.Path, i.Moved))
	case i.State == registry.Uploading:
		r.lines = append(r.lines, phrasef("receiving %s: %d bytes so far, from %d", i.Path, i.Moved, i.Offset))
	case i.State.Transfers():
		r.lines = append(r.lines, phrasef("sending %s: %d bytes so far, from %d", i.Path, i.Moved, i.Offset))
	case s.data != nil:
		r.lines = append(r.lines, phrasef("a data connection is prepared"))
	default:
		r.lines = append(r.lines, phrasef("no data connection"))
	}
	return r
}
