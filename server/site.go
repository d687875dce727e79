package server

import (
	"context"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"portreeve/logparse"
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
	r, err := s.run(ctx, c, rest)
	if s.deed != nil {
		s.deed.command = c.name
	}
	if err != nil {
		return reply{}, &failure{s.refusal(c, err), err}
	}
	return r, nil
}

// siteCHMOD sets permissions; the mode is octal.
func (s *session) siteCHMOD(_ context.Context, arg string) (reply, error) {
	text, path, _ := strings.Cut(arg, " ")
	mode, ok := parseMode(text)
	if !ok || path == "" {
		return say(501, "CHMOD takes an octal mode and a path"), nil
	}
	p := s.path(path)
	s.means(deed{event: logparse.Chmod, path: p, text: octal(mode)})
	if err := s.fs.Chmod(p, mode); err != nil {
		return reply{}, err
	}
	return say(200, "Permissions changed"), nil
}

// siteUMASK tells or sets which permissions new files do not get.
func (s *session) siteUMASK(_ context.Context, arg string) (reply, error) {
	if arg != "" {
		mask, err := strconv.ParseUint(arg, 8, 16)
		if err != nil || mask > 0o777 {
			return say(501, "UMASK takes an octal number up to 777"), nil
		}
		if err := s.fs.SetUmask(fs.FileMode(mask)); err != nil {
			return reply{}, err
		}
	}
	_, dirs := s.fs.Umask()
	return sayf(200, "UMASK is %03o", dirs), nil
}

// siteSYMLINK makes a link. Neither of its paths need be without blanks.
func (s *session) siteSYMLINK(_ context.Context, arg string) (reply, error) {
	paths, ok := quotedWords(arg)
	if !ok || len(paths) != 2 {
		return say(501, "SYMLINK takes a target and the path of the link"), nil
	}
	link := s.path(paths[1])
	s.means(deed{event: logparse.Command, path: link, to: paths[0], text: arg})
	if err := s.fs.Symlink(paths[0], link); err != nil {
		return reply{}, err
	}
	s.log.Info("link made", "path", link, "to", paths[0])
	return say(200, "Link made"), nil
}

// quotedWords parts an argument at its blanks, except for those in quotes, where
// a quote is doubled, and those behind a backslash. No word is empty.
func quotedWords(arg string) (words []string, ok bool) {
	for rest := strings.TrimLeft(arg, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word string
		if rest[0] == '"' {
			word, rest, ok = unquote(rest)
		} else {
			word, rest, ok = unescape(rest)
		}
		if !ok || word == "" {
			return nil, false
		}
		words = append(words, word)
	}
	return words, len(words) > 0
}

// unquote takes the word in quotes that text begins with.
func unquote(text string) (word, rest string, ok bool) {
	rest = text[1:]
	for {
		before, after, found := strings.Cut(rest, `"`)
		if !found {
			return "", "", false
		}
		word += before
		if !strings.HasPrefix(after, `"`) {
			return word, after, after == "" || after[0] == ' '
		}
		word, rest = word+`"`, after[1:]
	}
}

// unescape takes the word that text begins with.
func unescape(text string) (word, rest string, ok bool) {
	for {
		before, after, _ := strings.Cut(text, " ")
		kept, escaped := strings.CutSuffix(before, `\`)
		if !escaped || len(before) == len(text) {
			return word + before, after, true
		}
		word, text = word+kept+" ", after
	}
}

// siteMKDIR and siteRMDIR are MKD and RMD by the names that shells have for them.
func (s *session) siteMKDIR(ctx context.Context, arg string) (reply, error) {
	if _, err := s.cmdMKD(ctx, arg); err != nil {
		return reply{}, err
	}
	return say(200, "Directory created"), nil
}

func (s *session) siteRMDIR(ctx context.Context, arg string) (reply, error) {
	if _, err := s.cmdRMD(ctx, arg); err != nil {
		return reply{}, err
	}
	return say(200, "Directory removed"), nil
}

// siteALIAS lists the other names of directories, or tells what one means.
func (s *session) siteALIAS(_ context.Context, name string) (reply, error) {
	if name != "" {
		dir, ok := s.alias(name)
		if !ok {
			return say(502, "No such alias"), nil
		}
		return sayf(214, "%s is an alias for %s", name, dir), nil
	}
	r := reply{code: 214, text: phrasef("End"), lines: []phrase{phrasef("Aliases:")}}
	for _, a := range s.cfg.DirAliases {
		r.lines = append(r.lines, verbatim(a.Name+" "+a.Dir))
	}
	return r, nil
}

// siteTIME tells the time of the server's place.
func (s *session) siteTIME(context.Context, string) (reply, error) {
	return fixed(211, "%s", time.Now().Format(time.DateTime)), nil
}

// siteWHOAMI tells who is logged in.
func (s *session) siteWHOAMI(context.Context, string) (reply, error) {
	return fixed(200, "%s", s.name), nil
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
		path = strings.Join(words[:n], " ")
		_, ok1 := parseStamp(words[n])
		t, ok2 := parseStamp(words[n+1])
		_, ok3 := parseStamp(words[n+2])
		if path != "" && ok1 && ok2 && ok3 {
			return t, path, true
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
