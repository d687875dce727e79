// Package lang holds what the server says, in the languages it knows.
//
// English is the source: its text, with the verbs of package fmt in it, is the
// key in the catalogue of each other language, a file here. A catalogue need
// not have every text; what it lacks is said in English. A translation has the
// verbs of its text, in any order (%[2]d), and neither codes nor line ends: those
// belong to the protocol.
package lang

import (
	"embed"
	"fmt"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
	"golang.org/x/text/language"
)

// files are the catalogues: JSON objects from English to the language that the
// file is called after.
//
//go:embed *.json
var files embed.FS

// English is where a tag leads that says so, and what is said without any.
const English = "en"

// Tags are the languages that there are, English first, as RFC 5646 writes them.
func Tags() []string { return []string{English, "de", "es", "fr", "ja", "zh-Hans", "zh-Hant"} }

// A Language puts English texts into another language. Nil is English.
type Language struct {
	tag   string
	texts map[string]string
}

// Tag is what the language is called.
func (l *Language) Tag() string {
	if l == nil {
		return English
	}
	return l.tag
}

// Say returns text in this language, or as it is where the catalogue lacks it.
func (l *Language) Say(text string) string {
	if l == nil {
		return text
	}
	if t, ok := l.texts[text]; ok {
		return t
	}
	return text
}

// known is every catalogue, read when somebody first asks for another language
// than English.
var known = sync.OnceValues(load)

// catalogues are the languages in the order of Tags, and who tells which of
// them serves somebody who asked for another.
type catalogues struct {
	languages []*Language // English is nil
	tags      []language.Tag
	matcher   language.Matcher
}

func load() (*catalogues, error) {
	bundle := i18n.NewBundle(language.English)
	var c catalogues
	for _, tag := range Tags() {
		c.tags = append(c.tags, language.MustParse(tag))
		if tag == English {
			c.languages = append(c.languages, nil)
			continue
		}
		file, err := bundle.LoadMessageFileFS(files, tag+".json")
		if err != nil {
			return nil, fmt.Errorf("reading the catalogue of %s: %w", tag, err)
		}
		l := &Language{tag: tag, texts: make(map[string]string, len(file.Messages))}
		words := i18n.NewLocalizer(bundle, tag)
		for _, m := range file.Messages {
			// No templates: braces mean nothing here, and the verbs are filled in later.
			text, err := words.Localize(&i18n.LocalizeConfig{MessageID: m.ID, TemplateParser: template.IdentityParser{}})
			if err != nil {
				return nil, fmt.Errorf("reading the catalogue of %s: %w", tag, err)
			}
			l.texts[m.ID] = text
		}
		c.languages = append(c.languages, l)
	}
	c.matcher = language.NewMatcher(c.tags)
	return &c, nil
}

// Find returns the language for a tag: "de-AT" is served in German, "zh-TW" in
// traditional Chinese. ok is false if there is none that its speakers would call
// theirs.
func Find(tag string) (l *Language, ok bool) {
	if strings.EqualFold(tag, English) {
		return nil, true
	}
	wanted, err := language.Parse(tag)
	if err != nil {
		return nil, false
	}
	c, err := known()
	if err != nil { // the files are part of the program, and tests read them
		return nil, false
	}
	_, i, confidence := c.matcher.Match(wanted)
	// The matcher would also have Bretons read French.
	base, _ := wanted.Base()
	found, _ := c.tags[i].Base()
	if confidence < language.High || base != found {
		return nil, false
	}
	return c.languages[i], true
}
