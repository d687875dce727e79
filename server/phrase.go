package server

import (
	"fmt"
	"log/slog"
	"slices"
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
	if s.translate == nil {
		return p.in(nil)
	}
	text := p.in(s.translate)
	if !s.legible(text) {
		return p.in(nil)
	}
	return text
}

// legible tells whether the client can read a text: UTF-8 holds every language.
func (s *session) legible(string) bool { return true }
