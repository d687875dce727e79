package server

import (
	"context"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// cmdSITE runs a row whose name begins with SITE.
func (s *session) cmdSITE(ctx context.Context, arg string) (reply, error) {
	name, rest, _ := strings.Cut(arg, " ")
	c := byName["SITE "+strings.ToUpper(name)]
	if c == nil {
		return say(500, "No such SITE command"), nil
	}
	if !c.offered(s.cfg) {
		return s.withheld(c.name, false), nil
	}
	return s.run(ctx, c, rest)
}

// siteCHMOD sets permissions; the mode is octal and has at most the twelve bits
// that there are.
func (s *session) siteCHMOD(_ context.Context, arg string) (reply, error) {
	text, path, _ := strings.Cut(arg, " ")
	mode, err := strconv.ParseUint(text, 8, 16)
	if err != nil || mode > 0o7777 || path == "" {
		return say(501, "CHMOD takes an octal mode and a path"), nil
	}
	if err := s.fs.Chmod(s.path(path), fs.FileMode(mode)&fs.ModePerm); err != nil {
		return reply{}, err
	}
	return say(200, "Permissions changed"), nil
}

// siteUTIME sets a file's time. There are two forms: one time before the path,
// and lftp's, with the times of access, change and creation and "UTC" behind it.
func (s *session) siteUTIME(_ context.Context, arg string) (reply, error) {
	t, path, ok := parseUTIME(arg)
	if !ok {
		return say(501, "UTIME takes YYYYMMDDhhmmss and a path"), nil
	}
	if err := s.fs.Chtimes(s.path(path), t); err != nil {
		return reply{}, err
	}
	return say(200, "Time changed"), nil
}

func parseUTIME(arg string) (t time.Time, path string, ok bool) {
	if words := strings.Split(arg, " "); len(words) >= 5 && strings.EqualFold(words[len(words)-1], "UTC") {
		n := len(words) - 4
		if t, ok := parseStamp(words[n+1]); ok {
			return t, strings.Join(words[:n], " "), true
		}
	}
	when, path, _ := strings.Cut(arg, " ")
	if len(when) == len("200601021504") {
		when += "00"
	}
	t, ok = parseStamp(when)
	return t, path, ok && path != ""
}

// siteIDLE sets how long this session may be idle, within what the server
// allows anybody: half a minute to 42 minutes.
func (s *session) siteIDLE(_ context.Context, arg string) (reply, error) {
	if arg == "" {
		return sayf(200, "Idle time is %d seconds", int(s.idle.Seconds())), nil
	}
	n, err := digits(arg)
	if err != nil || n < 30 || n > 2520 {
		return say(501, "IDLE takes 30 to 2520 seconds"), nil
	}
	s.idle = time.Duration(n) * time.Second
	return sayf(200, "Idle time is %d seconds", n), nil
}
