// Package config fills a struct from text by a table of fields, and prints the
// table as a file, as flags or as a reference page.
//
// The text is Pure-FTPd's: one "Directive value" a line, names in any case,
// blanks and at most one '=' or ':' between the two. The same engine serves the
// daemon's directives and the attributes of a virtual user, so a setting is
// stated once, as a row, and everything that shows or reads it follows.
package config

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Field is one row of the table that describes a T.
type Field[T any] struct {
	Name    string         // "MaxClientsPerIP", as files spell it
	Flag    string         // the long flag; "" means the name in lower case
	Short   string         // the one-letter flag, if it has one
	Group   string         // heading in reference pages
	Help    string         // sentences; the first stands alone in --help
	AliasOf string         // another spelling of that row, which does the showing
	Restart bool           // takes effect at the next start only
	Bind    func(*T) Value // the variable in a T
}

// LongFlag returns the name of the field's flag, without dashes.
func (f Field[T]) LongFlag() string {
	if f.Flag != "" {
		return f.Flag
	}
	return strings.ToLower(f.Name)
}

// Summary returns the first sentence of the field's help.
func (f Field[T]) Summary() string {
	first, _, found := strings.Cut(f.Help, ". ")
	if found {
		return first
	}
	return strings.TrimSuffix(f.Help, ".")
}

// A Table describes a T completely: a field of the struct that has no row
// cannot be set, shown or documented.
type Table[T any] []Field[T]

// Origins tells where each value of a T came from, by the name of its row:
// "portreeve.conf:12" or "--maxclientsperip". A row that is missing has its default.
type Origins map[string]string

// Lookup returns the row of that name, in any case.
func (t Table[T]) Lookup(name string) (Field[T], bool) {
	i := slices.IndexFunc(t, func(f Field[T]) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return Field[T]{}, false
	}
	return t[i], true
}

// shownBy returns the name of the row that shows what f sets.
func (f Field[T]) shownBy() string {
	if f.AliasOf != "" {
		return f.AliasOf
	}
	return f.Name
}

// ErrUnknown is the cause of every error about a name that is in no row.
var ErrUnknown = errors.New("unknown directive")

// Set gives the field called name the value that text spells.
func (t Table[T]) Set(v *T, name, text string) error {
	f, ok := t.Lookup(name)
	if !ok {
		return t.unknown(name)
	}
	if err := f.Bind(v).Set(text); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

func (t Table[T]) unknown(name string) error {
	names := make([]string, len(t))
	for i, f := range t {
		names[i] = f.Name
	}
	if near := Nearest(name, names); near != "" {
		return fmt.Errorf("%w %q; did you mean %s?", ErrUnknown, name, near)
	}
	return fmt.Errorf("%w %q", ErrUnknown, clip(name))
}

// clip shortens what a file says in a name's place, which may be anything, for
// an error's text.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// maxInclude is how deep files may be nested by Include.
const maxInclude = 16

// A wrong file (a disk, a log) is refused soon: by a line that is too long, or
// by more faults than anybody reads.
const (
	maxLine   = 64 << 10
	maxFaults = 100
)

// Read fills v from a file's text and returns where each value stands. All
// faults are reported at once, joined, each as "file:line: what is wrong";
// v is then half filled and must be thrown away. "Include PATH" reads another
// file at that place, relative to this one's folder; one that is not there is
// passed over, as Pure-FTPd does.
func (t Table[T]) Read(v *T, r io.Reader, file string) (Origins, error) {
	rd := t.newReader(v)
	rd.read(r, file)
	return rd.origins, errors.Join(rd.errs...)
}

// ReadFile is Read of the file of that name.
func (t Table[T]) ReadFile(v *T, name string) (Origins, error) {
	rd := t.newReader(v)
	if err := rd.open(name); err != nil {
		return nil, err
	}
	return rd.origins, errors.Join(rd.errs...)
}

// A Statement is a line of a file, with the place where it stands.
type Statement struct {
	Name, Value string
	Origin      string // "file:line"
}

// Statements returns what a file says, line by line, whether or not there is a
// table with such names. It reads the files that this one includes, as ReadFile
// does, and reports all lines that are none.
func Statements(name string) ([]Statement, error) {
	var list []Statement
	l := lexer{each: func(s Statement) error {
		list = append(list, s)
		return nil
	}}
	if err := l.open(name); err != nil {
		return nil, err
	}
	return list, errors.Join(l.errs...)
}

// A reader is one call of Read.
type reader[T any] struct {
	lexer
	table   Table[T]
	v       *T
	bound   map[string]Value // each row is bound once, so that a list can tell its first line from the next
	origins Origins
}

func (t Table[T]) newReader(v *T) *reader[T] {
	rd := &reader[T]{table: t, v: v, bound: make(map[string]Value), origins: make(Origins)}
	rd.each = rd.set
	return rd
}

func (rd *reader[T]) set(s Statement) error {
	f, ok := rd.table.Lookup(s.Name)
	if !ok {
		return rd.table.unknown(s.Name)
	}
	// Rows that are another spelling of one variable share its binding's state
	// only if they were bound by the same row: each appends to what is there.
	val, ok := rd.bound[f.Name]
	if !ok {
		val = f.Bind(rd.v)
		if l, isList := val.(lister); isList && rd.origins[f.shownBy()] != "" {
			l.extend()
		}
		rd.bound[f.Name] = val
	}
	if err := val.Set(s.Value); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	rd.origins[f.shownBy()] = s.Origin
	return nil
}

// A lexer parts a file, and those that it includes, into statements.
type lexer struct {
	each   func(Statement) error
	within []fs.FileInfo // the files that are being read, outermost first
	errs   []error
}

// open reads the file of that name.
func (l *lexer) open(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		l.within = append(l.within, info)
	}
	l.read(f, name)
	return nil
}

func (l *lexer) fail(file string, line int, err error) {
	if len(l.errs) == maxFaults {
		err = errors.New("too many faults; the rest is not read")
	}
	if len(l.errs) <= maxFaults {
		l.errs = append(l.errs, fmt.Errorf("%s:%d: %w", file, line, err))
	}
}

func (l *lexer) read(r io.Reader, file string) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	line := 0
	for len(l.errs) <= maxFaults && sc.Scan() {
		line++
		text := sc.Text()
		if line == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // the mark with which Windows editors begin a file
		}
		if err := l.line(text, file, line); err != nil {
			l.fail(file, line, err)
		}
	}
	if err := sc.Err(); err != nil {
		l.fail(file, line+1, fmt.Errorf("reading the line: %w", err))
	}
}

func (l *lexer) line(line, file string, n int) error {
	name, text, err := splitLine(line)
	switch {
	case err != nil || name == "":
		return err
	case strings.EqualFold(name, "Include"):
		return l.include(text, file)
	}
	return l.each(Statement{Name: name, Value: text, Origin: fmt.Sprintf("%s:%d", file, n)})
}

func (l *lexer) include(name, from string) error {
	if name == "" {
		return errors.New("Include needs the path of a file")
	}
	if len(l.within) >= maxInclude {
		return fmt.Errorf("Include: more than %d files deep", maxInclude)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(from), name)
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("Include: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("Include: %w", err)
	}
	// Depth alone would not do: a file with ten lines that include it would be
	// read ten to the power of sixteen times.
	if slices.ContainsFunc(l.within, func(outer fs.FileInfo) bool { return os.SameFile(outer, info) }) {
		return fmt.Errorf("Include: %s includes itself", name)
	}
	l.within = append(l.within, info)
	l.read(f, name)
	l.within = l.within[:len(l.within)-1]
	return nil
}

// splitLine parts a line into name and value. Blank lines and those that begin
// with '#' give an empty name.
func splitLine(line string) (name, value string, err error) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", "", nil
	}
	end := strings.IndexAny(line, " \t=:")
	if end < 0 {
		return "", "", fmt.Errorf("%q has no value", clip(line))
	}
	if end == 0 {
		return "", "", fmt.Errorf("a line begins with a name, not with %q", line[:1])
	}
	name = line[:end]
	value = strings.TrimLeft(line[end:], " \t")
	// After a blank, "::1" is an address and not a colon before ":1".
	address := strings.HasPrefix(value, "::") && line[end] != ':'
	if value != "" && !address && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t")
	}
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return name, value[1 : n-1], nil // quotes keep a value's outer blanks, and an empty value
	}
	if value == "" {
		return "", "", fmt.Errorf("%q has no value", clip(name))
	}
	return name, value, nil
}

// Nearest returns the candidate that is spelt most like name, in any case, or
// the first that name is a beginning of, or "" if none is close enough to be
// what was meant.
func Nearest(name string, candidates []string) string {
	name = strings.ToLower(name)
	best, limit, longer := "", max(1, len(name)/3), ""
	for _, c := range candidates {
		lower := strings.ToLower(c)
		if d := distance(name, lower, limit); d <= limit {
			best, limit = c, d-1
		}
		if longer == "" && len(name) >= 3 && strings.HasPrefix(lower, name) {
			longer = c
		}
	}
	return cmp.Or(best, longer)
}

// distance counts the bytes that are inserted, deleted, replaced or swapped
// with their neighbor between a and b; it gives up, with limit+1, when the
// lengths alone differ by more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	// rows of the table for the last two bytes of a, and for the next
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cost = min(cost, before[j-1]+1)
			}
			next[j+1] = min(cost, next[j]+1, last[j+1]+1)
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
