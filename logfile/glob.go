package logfile

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Glob is a pattern for paths: * and ? stand for characters of one name, ** for
// anything, [a-z] and [!a-z] for one character, and a backslash takes what follows
// as it is. A pattern without a slash is for the last name of a path; one that ends
// with a slash, for all in that folder.
type Glob struct {
	parts []globPart
	base  bool
}

type globPart struct {
	kind  globKind
	bytes string // that stand for themselves
	class []globRange
	not   bool
}

type globKind uint8

const (
	globText globKind = iota
	globOne
	globClass
	globStar
	globStars
)

type globRange struct{ from, to rune }

// ParseGlob reads a pattern.
func ParseGlob(pattern string) (Glob, error) {
	g := Glob{base: !strings.Contains(pattern, "/")}
	if pattern == "" {
		return g, errors.New("an empty pattern is no path's")
	}
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	for rest := pattern; rest != ""; {
		var p globPart
		var err error
		if p, rest, err = globNext(rest); err != nil {
			return g, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if p.kind == globStars && strings.HasPrefix(rest, "/") && g.atSlash() { // /**/ is / too
			g.parts = append(g.parts, globPart{kind: globStars, bytes: "/"})
			rest = rest[1:]
			continue
		}
		g.parts = append(g.parts, p)
	}
	return g, nil
}

// atSlash tells whether a name begins behind what there is of the pattern.
func (g *Glob) atSlash() bool {
	n := len(g.parts)
	return n == 0 || strings.HasSuffix(g.parts[n-1].bytes, "/")
}

func globNext(text string) (p globPart, rest string, err error) {
	switch text[0] {
	case '*':
		rest = strings.TrimLeft(text, "*")
		if len(text)-len(rest) > 1 {
			return globPart{kind: globStars}, rest, nil
		}
		return globPart{kind: globStar}, rest, nil
	case '?':
		return globPart{kind: globOne}, text[1:], nil
	case '[':
		return globSet(text)
	case '\\':
		if len(text) == 1 {
			return p, "", errors.New("nothing follows the backslash")
		}
		return globPart{bytes: text[1:2]}, text[2:], nil
	}
	end := strings.IndexAny(text, `*?[\`)
	if end < 0 {
		end = len(text)
	}
	return globPart{bytes: text[:end]}, text[end:], nil
}

func globSet(text string) (p globPart, rest string, err error) {
	p.kind, rest = globClass, text[1:]
	if strings.HasPrefix(rest, "!") || strings.HasPrefix(rest, "^") {
		p.not, rest = true, rest[1:]
	}
	char := func() (r rune) {
		rest = strings.TrimPrefix(rest, `\`)
		r, n := utf8.DecodeRuneInString(rest)
		rest = rest[n:]
		return r
	}
	for first := true; first || !strings.HasPrefix(rest, "]"); first = false {
		if rest == "" {
			return p, "", errors.New("a bracket is not closed")
		}
		from := char()
		to := from
		if strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "-]") && len(rest) > 1 {
			rest = rest[1:]
			to = char()
		}
		p.class = append(p.class, globRange{from, to})
	}
	return p, rest[1:], nil
}

// Match tells whether a path is like the pattern.
func (g Glob) Match(path string) bool {
	if g.base {
		path = path[strings.LastIndexByte(path, '/')+1:]
	}
	// Of the stars only the last one met needs to be tried again, and, if that
	// came to a slash, the last double one.
	type retry struct{ part, at int }
	star, stars := retry{-1, 0}, retry{-1, 0}
	for i, at := 0, 0; i < len(g.parts) || at < len(path); {
		if i < len(g.parts) {
			p := &g.parts[i]
			switch p.kind {
			case globStar:
				star = retry{i, at}
				i++
				continue
			case globStars:
				stars, star = retry{i, at}, retry{-1, 0}
				i++
				continue
			}
			if n := p.matches(path[at:]); n > 0 {
				i, at = i+1, at+n
				continue
			}
		}
		switch {
		case star.part >= 0 && star.at < len(path) && path[star.at] != '/':
			star.at++
			i, at = star.part+1, star.at
		case stars.part >= 0 && g.parts[stars.part].skip(path, &stars.at):
			star = retry{-1, 0}
			i, at = stars.part+1, stars.at
		default:
			return false
		}
	}
	return true
}

// skip moves on to where a double star may end next: anywhere, or behind a slash.
func (p *globPart) skip(path string, at *int) bool {
	if *at >= len(path) {
		return false
	}
	if p.bytes == "" {
		*at++
		return true
	}
	slash := strings.IndexByte(path[*at:], '/')
	*at += slash + 1
	return slash >= 0
}

// matches returns how many bytes at the beginning of a text the part stands for.
func (p *globPart) matches(text string) int {
	if p.kind == globText {
		if strings.HasPrefix(text, p.bytes) {
			return len(p.bytes)
		}
		return 0
	}
	if text == "" || text[0] == '/' {
		return 0
	}
	r, n := utf8.DecodeRuneInString(text)
	if p.kind == globOne {
		return n
	}
	in := false
	for _, c := range p.class {
		in = in || c.from <= r && r <= c.to
	}
	if in == p.not {
		return 0
	}
	return n
}
