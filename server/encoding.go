package server

import (
	"strings"

	"portreeve/server/vfs"
)

// The client's encoding. Everything in a session is UTF-8: an argument is
// decoded as its command is dispatched, a reply is encoded as it is written, and
// so is a line of a listing; what is on disk is the affair of package vfs. Where
// the client speaks UTF-8 nothing is looked at, and any byte is let through.

// understand returns the argument of a command in UTF-8, or how to refuse it.
func (s *session) understand(c *command, arg string) (text string, refused *reply) {
	text, ok := s.charset.Decode(arg)
	switch {
	case ok && c.isPath() && s.cfg.ReplaceControls:
		return replaceControls(text), nil
	case ok:
		return text, nil
	case c.need&secret != 0: // of a client that speaks UTF-8 unasked; it is right or not
		return arg, nil
	case c.isPath() && c.need&preAuth == 0:
		r := sayf(550, "The path is not in %s", s.charset.Name())
		if c.need&creates != 0 {
			r.code = 553
		}
		return "", &r
	}
	r := sayf(501, "The argument is not in %s", s.charset.Name())
	return "", &r
}

// isPath tells whether the argument is a path, and no secret.
func (c *command) isPath() bool { return (c.arg == aPath || c.arg == maybePath) && c.need&secret == 0 }

// replaceControls puts an underscore for each control character.
func replaceControls(path string) string {
	b := []byte(path)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = '_'
		}
	}
	return string(b)
}

// optsUTF8 chooses between the two encodings that there are: UTF-8, which every
// client may ask for, and the administrator's ClientCharset. Clients say it
// before they log in.
func (s *session) optsUTF8(value string) reply {
	switch {
	case !strings.EqualFold(value, "OFF"):
		s.charset = nil
	case s.cfg.ClientCharset == nil:
		return say(504, "Names are UTF-8 here")
	default:
		s.charset = s.cfg.ClientCharset
	}
	return sayf(200, "Names are %s", s.charset.Name())
}

// encode returns part of a listing in the client's encoding, if that can be done.
func (l *ls) encode(text []byte) ([]byte, bool) {
	if l.charset == nil {
		return text, true
	}
	line, ok := l.charset.Encode(string(text))
	if !ok || l.spoken {
		return text, ok
	}
	return []byte(line), true
}

// lines makes what writes lines in the client's encoding. A name that this does
// not hold is left out, and counted: another would be another file's. Each
// goroutine of a listing has one of its own.
func (l *ls) lines() vfs.Format {
	format := l.format(l)
	if l.charset == nil {
		return format
	}
	return func(b []byte, i *vfs.Info) []byte {
		start := len(b)
		b = format(b, i)
		line, ok := l.encode(b[start:])
		if !ok && i.Target != "" { // it may be for what the link says
			i.Target = "?"
			b = format(b[:start], i)
			line, ok = l.encode(b[start:])
		}
		if !ok {
			l.illegible.Add(1)
			return b[:start]
		}
		return append(b[:start], line...)
	}
}
