// Package userquery chooses users by expressions, and changes them by assignments.
//
// Both know the attributes of a user from userdb.Fields, so that a new one can be
// asked for and set without a line here. An expression is comparisons that are
// joined by and, or, not and parentheses:
//
//	quota>90% and (gid=1001 or home~/srv/ftp/*) and not disabled
//	quota-bytes=none and last-login<now-90d
package userquery

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"portreeve/userdb"
)

// The bounds of an expression. It is read in time that grows with its length, and
// asked of a user likewise.
const (
	maxLength = 4096 // bytes
	maxDepth  = 50   // parentheses and nots within one another
)

// An Error says what is wrong with an expression, and where.
type Error struct {
	Column int // the character, from 1 on
	Text   string
	Hint   string // how it may be mended, or ""
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Text) }

// A Query is an expression that was read.
type Query struct {
	text  string
	match func(*userdb.Stored) bool
}

// String returns the expression as it was written.
func (q *Query) String() string { return q.text }

// Match tells whether the expression is true of a user, as Walk yields it.
func (q *Query) Match(s *userdb.Stored) bool { return q.match(s) }

// Parse reads an expression; now is the moment that "now" in it means. Every error
// is an *Error.
func Parse(text string, now time.Time) (*Query, error) {
	switch {
	case len(text) > maxLength:
		return nil, &Error{Column: maxLength + 1, Text: fmt.Sprintf("the expression is longer than %d bytes", maxLength)}
	case !utf8.ValidString(text):
		return nil, &Error{Column: 1, Text: "the expression is not UTF-8"}
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens, attributes: attributes(now)}
	match, err := p.either(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, t.fault(fmt.Sprintf("%s is one too many", t), "comparisons are joined by and or or")
	}
	return &Query{text: text, match: match}, nil
}

// A predicate is asked of a user.
type predicate = func(*userdb.Stored) bool

// A parser goes through the tokens of an expression, the last of which is its end.
type parser struct {
	tokens     []token
	attributes table
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != tokenEnd {
		p.tokens = p.tokens[1:]
	}
	return t
}

// either reads terms that are joined by or.
func (p *parser) either(depth int) (predicate, error) {
	terms, err := p.joined("or", depth, p.all)
	if err != nil || len(terms) == 1 {
		return first(terms), err
	}
	return func(s *userdb.Stored) bool {
		for _, t := range terms {
			if t(s) {
				return true
			}
		}
		return false
	}, nil
}

// all reads terms that are joined by and.
func (p *parser) all(depth int) (predicate, error) {
	terms, err := p.joined("and", depth, p.term)
	if err != nil || len(terms) == 1 {
		return first(terms), err
	}
	return func(s *userdb.Stored) bool {
		for _, t := range terms {
			if !t(s) {
				return false
			}
		}
		return true
	}, nil
}

func first(terms []predicate) predicate {
	if len(terms) == 0 {
		return nil
	}
	return terms[0]
}

func (p *parser) joined(by string, depth int, read func(int) (predicate, error)) (terms []predicate, err error) {
	for {
		t, err := read(depth)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
		if !p.peek().is(by) {
			return terms, nil
		}
		p.next()
	}
}

// term reads a comparison, a negation or what is in parentheses.
func (p *parser) term(depth int) (predicate, error) {
	t := p.next()
	if depth > maxDepth {
		return nil, t.fault(fmt.Sprintf("more than %d parentheses and nots are within one another", maxDepth), "")
	}
	switch {
	case t.is("not"):
		inner, err := p.term(depth + 1)
		if err != nil {
			return nil, err
		}
		return func(s *userdb.Stored) bool { return !inner(s) }, nil
	case t.kind == tokenOpen:
		inner, err := p.either(depth + 1)
		if err != nil {
			return nil, err
		}
		if end := p.next(); end.kind != tokenClose {
			return nil, end.fault(fmt.Sprintf("the parenthesis of column %d is still open before %s", t.column, end), "comparisons are joined by and or or")
		}
		return inner, nil
	case t.kind != tokenWord || t.is("and") || t.is("or"):
		return nil, t.fault(fmt.Sprintf("an attribute is missing before %s", t), `such as in quota>90% and gid=1001`)
	}
	return p.comparison(t)
}

// comparison reads what follows the name of an attribute. Nothing at all asks
// whether it is set.
func (p *parser) comparison(name token) (predicate, error) {
	a, err := p.attributes.lookup(name)
	if err != nil {
		return nil, err
	}
	op := p.peek()
	if op.kind != tokenOperator {
		return a.isSet, nil
	}
	p.next()
	value := p.next()
	if value.kind != tokenWord && value.kind != tokenQuoted {
		return nil, value.fault(fmt.Sprintf("a value is missing behind %s%s", name.text, op.text), `"" is the empty text, none an attribute that is not set`)
	}
	match, err := a.compare(op.text, value)
	if err != nil {
		return nil, faultOf(err, op, value)
	}
	return match, nil
}

// faultOf puts an error of an attribute where it belongs: at the operator, if that
// is at fault, else at the value.
func faultOf(err error, op, value token) error {
	if wrong, ok := err.(*operatorError); ok { //nolint:errorlint // made by us, never wrapped
		return op.fault(wrong.text, wrong.hint)
	}
	return value.fault(err.Error(), "")
}

// The kinds of token.
type tokenKind int

const (
	tokenWord tokenKind = iota
	tokenQuoted
	tokenOperator
	tokenOpen
	tokenClose
	tokenEnd
)

// A token is a part of an expression.
type token struct {
	kind   tokenKind
	text   string
	column int
}

// is tells whether a token is that keyword.
func (t token) is(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

// String shows a token in an error.
func (t token) String() string {
	if t.kind == tokenEnd {
		return "the end"
	}
	return fmt.Sprintf("%.40q", t.text)
}

func (t token) fault(text, hint string) error { return &Error{t.column, text, hint} }

// special are the characters that end a word.
const special = `()"'=!<>~`

// operators are those that compare, the longest first.
var operators = [...]string{"!=", "<=", ">=", "==", "=", "<", ">", "~"}

// lex parts an expression into tokens.
func lex(text string) ([]token, error) {
	var tokens []token
	rest, column := text, 1
	take := func(kind tokenKind, n int, said string) {
		tokens = append(tokens, token{kind, said, column})
		column += utf8.RuneCountInString(rest[:n])
		rest = rest[n:]
	}
	for {
		blank := len(rest) - len(strings.TrimLeft(rest, " \t\r\n"))
		rest, column = rest[blank:], column+blank
		if rest == "" {
			return append(tokens, token{tokenEnd, "", column}), nil
		}
		switch c := rest[0]; {
		case c == '(':
			take(tokenOpen, 1, "(")
		case c == ')':
			take(tokenClose, 1, ")")
		case c == '"' || c == '\'':
			said, n := quoted(rest)
			if n == 0 {
				return nil, &Error{column, "the quotes are never closed", ""}
			}
			take(tokenQuoted, n, said)
		case strings.IndexByte(special, c) >= 0:
			op := operatorOf(rest)
			if op == "" {
				return nil, &Error{column, fmt.Sprintf("%q is no operator", rest[:1]), "there are = != < <= > >= ~ and the words and, or, not"}
			}
			take(tokenOperator, len(op), op)
		default:
			n := strings.IndexAny(rest, special+" \t\r\n")
			if n < 0 {
				n = len(rest)
			}
			take(tokenWord, n, rest[:n])
		}
	}
}

func operatorOf(text string) string {
	for _, op := range operators {
		if strings.HasPrefix(text, op) {
			return op
		}
	}
	return ""
}

// quoted returns what is in the quotes that text begins with, and their length, 0 if
// they are not closed. A backslash takes what is special of the next character.
func quoted(text string) (said string, n int) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == text[0]:
			return b.String(), i + 1
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0
}
