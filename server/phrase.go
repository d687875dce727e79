package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"portreeve/server/lang"
)

// A phrase is a text for people, in English, which is also its key in the
// catalogues of other languages. What it tells is kept apart from it until the
// reply is written: only then is it known in which language, and no fact depends
// on that. An argument may be a phrase in turn.
type phrase struct {
	format   string
	args     []any
	verbatim bool // no language but its own
}

func phrasef(format string, args ...any) phrase {
	if false { // has go vet hold arguments to formats, here and in callers
		_ = fmt.Sprintf(format, args...)
	}
	return phrase{format: format, args: args}
}

// verbatim is a text that programs read, or somebody's own words.
func verbatim(text string) phrase { return phrase{format: text, verbatim: true} }

// in words the phrase; translate gives the format of another language, and may be nil.
func (p phrase) in(translate func(string) string) string {
	format := p.format
	if translate != nil && !p.verbatim {
		format = translate(format)
	}
	if len(p.args) == 0 {
		return format
	}
	args := p.args
	for i, a := range args {
		if inner, ok := a.(phrase); ok {
			if &args[0] == &p.args[0] {
				args = slices.Clone(args)
			}
			args[i] = inner.in(translate)
		}
	}
	return fmt.Sprintf(format, args...)
}

// String is the phrase in English, as the log has it.
func (p phrase) String() string { return p.in(nil) }

// LogValue spares the wording of what is not logged.
func (p phrase) LogValue() slog.Value { return slog.StringValue(p.String()) }

// inWords is the phrase as this session's client reads it. What the client's
// encoding has no letters for is said in English.
func (s *session) inWords(p phrase) string {
	if s.lang == nil {
		return p.in(nil)
	}
	text := p.in(s.lang.Say)
	if !s.legible(text) {
		return p.in(nil)
	}
	return text
}

// legible tells whether the client can read a text: UTF-8 holds every language.
func (s *session) legible(text string) bool {
	_, ok := s.charset.Encode(text)
	return ok
}

// cmdLANG chooses the language of replies (RFC 2640, section 4); without a tag
// it is the server's again. Codes, paths and figures are the same in all. A client
// that says it takes replies and names for UTF-8 from then on, as that standard
// has them, and lftp does whatever encoding it was told.
func (s *session) cmdLANG(_ context.Context, tag string) (reply, error) {
	if tag == "" {
		s.lang, s.charset = s.cfg.language(), nil
		return sayf(200, "Replies are in %s", s.lang.Tag()), nil
	}
	if !isTag(tag) {
		return say(501, "LANG takes a language tag, as in en-GB"), nil
	}
	l, ok := lang.Find(tag)
	if !ok {
		return say(504, "No such language here"), nil
	}
	s.lang, s.charset = l, nil
	return sayf(200, "Replies are in %s", s.lang.Tag()), nil
}

// maxTag is longer than any tag that names a language somebody writes (RFC 5646,
// section 4.4.1).
const maxTag = 64

// isTag tells whether text has the form of a language tag: words of up to eight
// letters, and digits behind the first (RFC 5646).
func isTag(text string) bool {
	if len(text) > maxTag {
		return false
	}
	for i, word := range strings.Split(text, "-") {
		if len(word) == 0 || len(word) > 8 {
			return false
		}
		for _, c := range []byte(word) {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

// featLANG lists the languages, with a star behind the one in use.
func (s *session) featLANG() string {
	var b strings.Builder
	b.WriteString("LANG ")
	for i, tag := range lang.Tags() {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(strings.ToUpper(tag))
		if tag == s.lang.Tag() {
			b.WriteByte('*')
		}
	}
	return b.String()
}

// language is what replies are in until the client says LANG.
func (c *Config) language() *lang.Language {
	l, _ := lang.Find(c.Language)
	return l
}
