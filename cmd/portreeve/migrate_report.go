package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"portreeve/config"
)

// A migrationReport is what migrate prints: what it did, what it did not, and the
// commands to go on and to go back.
type migrationReport struct {
	From     string          `json:"from"`
	Config   string          `json:"config"`
	Database string          `json:"database"`
	DryRun   bool            `json:"dry_run"`
	Text     string          `json:"text"` // of the configuration
	Done     []migrationStep `json:"done"`
	Left     []string        `json:"left"` // what was not taken over, or is to be known
	Next     []string        `json:"next"` // commands
	Back     []string        `json:"back"`
}

// A migrationStep is something that was taken over, and what came of it.
type migrationStep struct {
	What string `json:"what"`
	How  string `json:"how"`
}

func (r *migrationReport) did(what, how string) { r.Done = append(r.Done, migrationStep{what, how}) }

func (r *migrationReport) left(format string, args ...any) {
	r.Left = append(r.Left, fmt.Sprintf(format, args...))
}

// commands says how to go on, and back.
func (m *migration) commands() {
	start, stop := "pure-ftpd "+shellWord(m.from), `kill "$(pgrep -ox pure-ftpd)"`
	if m.debian {
		start, stop = "service pure-ftpd start", "service pure-ftpd stop"
	}
	conf, db := shellWord(m.Config), shellWord(m.db)
	m.Next = []string{"portreeve config check --config " + conf, stop, "portreeve serve --config " + conf}
	m.Back = []string{`kill "$(pgrep -ox portreeve)"`}
	if m.cfg.PIDFile != "" {
		m.Back[0] = fmt.Sprintf(`kill "$(cat %s)"`, shellWord(m.cfg.PIDFile))
	}
	if len(m.users) > 0 {
		text := strings.TrimSuffix(m.users[0], filepath.Ext(m.users[0])) + ".passwd"
		files := []struct{ path, format string }{{m.users[0], "puredb"}, {text, "pureftpd.passwd"}}
		if text == m.users[0] {
			files = files[1:]
		}
		for _, f := range files {
			path := shellWord(f.path)
			if checkFile(f.path) == nil {
				m.Back = append(m.Back, fmt.Sprintf("cp -p %s %[1]s.before", path))
			}
			m.Back = append(m.Back, fmt.Sprintf("portreeve pw export --db %s --format %s --out %s", db, f.format, path))
		}
	}
	m.Back = append(m.Back, start)
}

// shellWord quotes what a shell would not take for one word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+,:@%", r))
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// maxLeft is how many remarks are printed; users are a remark each.
const maxLeft = 40

// tell prints the report.
func (m *migration) tell() error {
	m.commands()
	m.Text, m.Left = m.text, append(m.Left, m.odd...)
	if m.json {
		if m.Left == nil {
			m.Left = []string{}
		}
		return writeJSON(m.env.out, m.migrationReport)
	}
	var b bytes.Buffer
	paragraph := func(text string) {
		for i, line := range config.Wrap(visible(text), 74) {
			fmt.Fprintf(&b, "%s%s\n", []string{"  - ", "    "}[min(i, 1)], line)
		}
	}
	if m.dryRun {
		fmt.Fprintf(&b, "%s would be\n\n", visible(m.Config))
		for line := range strings.Lines(m.text) {
			b.WriteString(strings.TrimRight("    "+visible(strings.TrimSuffix(line, "\n")), " ") + "\n")
		}
		fmt.Fprintf(&b, "\nWould be taken over from %s:\n", visible(m.from))
	} else {
		fmt.Fprintf(&b, "Taken over from %s:\n", visible(m.from))
	}
	for _, d := range m.Done {
		paragraph(d.What + ": " + d.How)
	}
	if len(m.Left) > 0 {
		b.WriteString("\nNot taken over, or to be known:\n")
		for _, l := range m.Left[:min(len(m.Left), maxLeft)] {
			paragraph(l)
		}
		if n := len(m.Left) - maxLeft; n > 0 {
			paragraph(fmt.Sprintf("and %d more, which --json lists", n))
		}
	}
	if m.dryRun {
		b.WriteString("\nNothing is written.\n")
	}
	b.WriteString("\nTo go on:\n")
	for _, c := range m.Next {
		fmt.Fprintf(&b, "  %s\n", visible(c))
	}
	b.WriteString("\nTo go back, with the users as they are by then:\n")
	for _, c := range m.Back {
		fmt.Fprintf(&b, "  %s\n", visible(c))
	}
	_, err := b.WriteTo(m.env.out)
	return err
}
