package config

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A Setting is a row with its value, as text.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Origin  string `json:"origin"` // "default", "file:line" or a flag
	Default string `json:"default"`
	Group   string `json:"group"`
}

// Settings lists what v holds, row by row, and where each value came from.
func (t Table[T]) Settings(v, defaults T, origins Origins) []Setting {
	var all []Setting
	for _, f := range t {
		if f.AliasOf != "" {
			continue
		}
		s := Setting{Name: f.Name, Value: f.Bind(&v).String(), Origin: "default",
			Default: f.Bind(&defaults).String(), Group: f.Group}
		if o := origins[f.Name]; o != "" {
			s.Origin = o
		}
		all = append(all, s)
	}
	return all
}

// Changed returns the rows whose value differs between a and b.
func (t Table[T]) Changed(a, b T) []Field[T] {
	var rows []Field[T]
	for _, f := range t {
		if f.AliasOf == "" && f.Bind(&a).String() != f.Bind(&b).String() {
			rows = append(rows, f)
		}
	}
	return rows
}

// Write writes the lines of a file that sets every row as v has it.
func (t Table[T]) Write(w io.Writer, v T) error {
	var b strings.Builder
	for _, f := range t {
		if f.AliasOf != "" {
			continue
		}
		for _, text := range texts(f.Bind(&v)) {
			b.WriteString(Line(f.Name, text) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// texts returns what to set, one text after another, to get v's value.
func texts(v Value) []string {
	if l, isList := v.(lister); isList {
		if lines := l.lines(); len(lines) > 0 {
			return lines
		}
	}
	return []string{v.String()}
}

// Line writes a setting as a file would hold it. Quotes guard what a reader
// takes for no part of the value: blanks at its ends, an '=' or ':' before it,
// quotes around it.
func Line(name, value string) string {
	quoted := len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'
	if value == "" || quoted || value[0] == '=' || value[0] == ':' || strings.TrimSpace(value) != value {
		value = `"` + value + `"`
	}
	return fmt.Sprintf("%-28s %s", name, value)
}

// groups returns the headings in the order of their first row.
func (t Table[T]) groups() []string {
	var names []string
	seen := make(map[string]bool)
	for _, f := range t {
		if !seen[f.Group] {
			seen[f.Group] = true
			names = append(names, f.Group)
		}
	}
	return names
}

// WriteSample writes a file in which every row stands with its help, commented
// out and set to its default.
func (t Table[T]) WriteSample(w io.Writer, defaults T) error {
	var b strings.Builder
	for _, group := range t.groups() {
		fmt.Fprintf(&b, "\n#%s\n# %s\n#%[1]s\n", strings.Repeat("-", 70), group)
		for _, f := range t {
			if f.Group != group {
				continue
			}
			b.WriteString("\n")
			for _, line := range Wrap(f.help(), 70) {
				fmt.Fprintf(&b, "# %s\n", line)
			}
			if f.AliasOf == "" {
				fmt.Fprintf(&b, "#%s\n", Line(f.Name, f.Bind(&defaults).String()))
			} else {
				fmt.Fprintf(&b, "# Form: %s %s\n", f.Name, f.Bind(&defaults).Type())
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// help returns the row's help with what the other columns add to it.
func (f Field[T]) help() string {
	var b strings.Builder
	b.WriteString(f.Help)
	if f.Restart {
		b.WriteString(" Needs a restart.")
	}
	return b.String()
}

// WriteManual writes the rows as the body of a page in the man macros: a
// section for each group, an entry for each row.
func (t Table[T]) WriteManual(w io.Writer, defaults T) error {
	var b strings.Builder
	for _, group := range t.groups() {
		fmt.Fprintf(&b, ".SH %s\n", Roff(strings.ToUpper(group)))
		for _, f := range t {
			if f.Group != group {
				continue
			}
			v := f.Bind(&defaults)
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR \\fI%s\\fR\n", Roff(f.Name), Roff(v.Type()))
			for _, line := range Wrap(f.help(), 72) {
				b.WriteString(Roff(line) + "\n")
			}
			b.WriteString(".br\n")
			flag := "\\fB\\-\\-" + Roff(f.LongFlag()) + "\\fR"
			if f.Short != "" {
				flag = "\\fB\\-" + Roff(f.Short) + "\\fR, " + flag
			}
			switch {
			case f.AliasOf != "":
				fmt.Fprintf(&b, "Adds to \\fB%s\\fR. Flag: %s.\n", Roff(f.AliasOf), flag)
			case v.String() == "":
				fmt.Fprintf(&b, "No default. Flag: %s.\n", flag)
			default:
				fmt.Fprintf(&b, "Default: %s. Flag: %s.\n", Roff(v.String()), flag)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Roff escapes text for a manual page: dashes stay dashes, and a line that
// begins with a dot or a quote is no request.
func Roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// Wrap breaks text into lines of at most width characters, at blanks.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
