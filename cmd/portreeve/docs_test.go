package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portreeve/server"
)

const docsFolder = "../../docs"

// TestDocumentsAreFresh compares what is committed with what the code says now.
func TestDocumentsAreFresh(t *testing.T) {
	made := make(map[string]bool)
	for d := range documents() {
		made[d.name] = true
		var want bytes.Buffer
		if err := d.write(&want); err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		got, err := os.ReadFile(filepath.Join(docsFolder, d.name))
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("docs/%s is stale; run make docs (%v)", d.name, err)
		}
	}
	for _, pattern := range []string{"*.[1-8]", "*.sample"} {
		files, err := filepath.Glob(filepath.Join(docsFolder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !made[filepath.Base(file)] {
				t.Errorf("docs/%s is made by nothing; remove it", filepath.Base(file))
			}
		}
	}
}

func TestDocsCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "docs")
	var said bytes.Buffer
	if code := run(t.Context(), &env{in: strings.NewReader(""), out: &said, err: &said, getenv: os.Getenv}, []string{"docs", dir}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, said.String())
	}
	for d := range documents() {
		if _, err := os.Stat(filepath.Join(dir, d.name)); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(dir, "portreeve.8")
	if code := run(t.Context(), &env{in: strings.NewReader(""), out: &said, err: &said, getenv: os.Getenv}, []string{"docs", file}); code != exitFailed {
		t.Errorf("writing into a file that is no folder: exit code %d", code)
	}
}

// TestDocumentsDependOnNobody makes them as another user would, elsewhere.
func TestDocumentsDependOnNobody(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	t.Setenv("XDG_STATE_HOME", "/home/somebody/state")
	t.Setenv("PORTREEVE_DB", "/home/somebody/users.db")
	for d := range documents() {
		var b bytes.Buffer
		if err := d.write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "/home/somebody") {
			t.Errorf("%s has a path of whoever makes it", d.name)
		}
	}
}

// manMacros are what our pages use of the man macros and of roff.
var manMacros = []string{`.\"`, ".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".br"}

// TestPagesAreWellFormed looks for what a formatter of manual pages would
// stumble over.
func TestPagesAreWellFormed(t *testing.T) {
	for d := range documents() {
		section := strings.TrimPrefix(filepath.Ext(d.name), ".")
		if !strings.Contains("578", section) {
			continue
		}
		var b bytes.Buffer
		if err := d.write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		title := strings.ToUpper(strings.TrimSuffix(d.name, "."+section))
		if want := ".TH " + strings.ReplaceAll(title, "-", `\-`) + " " + section + " "; !strings.Contains(text, want) {
			t.Errorf("%s has no %q", d.name, want)
		}
		sections := []string{"NAME", "DESCRIPTION", "SEE ALSO"}
		if strings.HasSuffix(d.name, ".8") {
			sections = append(sections, "SYNOPSIS", "EXIT STATUS", "EXAMPLES")
		}
		for _, section := range sections {
			if strings.Count(text, "\n.SH "+section+"\n") != 1 {
				t.Errorf("%s has not one section %s", d.name, section)
			}
		}
		last := ""
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			macro, _, _ := strings.Cut(line, " ")
			switch {
			case strings.HasPrefix(line, ".") && !slices.Contains(manMacros, macro):
				t.Errorf("%s: unknown request %q", d.name, line)
			case strings.HasPrefix(line, "'"):
				t.Errorf("%s: a quote begins the line %q", d.name, line)
			case strings.TrimRight(line, " \t") != line || strings.Contains(line, "\t"):
				t.Errorf("%s: blanks at the end or tabs in %q", d.name, line)
			case line == "":
				t.Errorf("%s: an empty line behind %q", d.name, last)
			case macro == ".PP" && (strings.HasPrefix(last, ".SH") || strings.HasPrefix(last, ".SS") || last == ".PP"):
				t.Errorf("%s: a paragraph without text behind %q", d.name, last)
			}
			last = line
		}
		for _, pair := range [][2]string{{"\n.nf\n", "\n.fi\n"}, {"\n.RS 4\n", "\n.RE\n"}, {`\fB`, ""}} {
			if pair[1] != "" && strings.Count(text, pair[0]) != strings.Count(text, pair[1]) {
				t.Errorf("%s: %q and %q are not balanced", d.name, pair[0], pair[1])
			}
		}
		if strings.Count(text, `\fB`)+strings.Count(text, `\fI`) != strings.Count(text, `\fR`) {
			t.Errorf("%s: a change of the font is not taken back", d.name)
		}
	}
}

// TestManualIsComplete looks for every command, flag and directive.
func TestManualIsComplete(t *testing.T) {
	pages := make(map[string]string)
	for d := range documents() {
		var b bytes.Buffer
		if err := d.write(&b); err != nil {
			t.Fatal(err)
		}
		pages[d.name] = b.String()
	}
	for _, f := range server.Directives {
		for _, page := range []string{"portreeve.conf.5", "portreeve.conf.sample"} {
			if !strings.Contains(pages[page], f.Name) {
				t.Errorf("%s does not mention %s", page, f.Name)
			}
		}
		if !strings.Contains(pages["portreeve-serve.8"], `\fB\-\-`+f.LongFlag()+`\fR`) {
			t.Errorf("portreeve-serve.8 does not mention --%s", f.LongFlag())
		}
	}
	root := newRoot(&env{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: documentedEnv}, new(bool))
	for _, cmd := range subcommands(root) {
		if !strings.Contains(pages["portreeve.8"], "\n\\fB"+cmd.Name()+"\\fR\n") {
			t.Errorf("portreeve.8 does not mention %s", cmd.Name())
		}
		for _, c := range append(subcommands(cmd), cmd) {
			if !strings.Contains(pages["commands.md"], "\n## "+c.CommandPath()+"\n") {
				t.Errorf("commands.md does not mention %s", c.CommandPath())
			}
			if c.Short == "" || c.Long == "" && c.Name() != "version" || c.Example == "" && c.Name() != "version" {
				t.Errorf("%s explains itself with too little", c.CommandPath())
			}
		}
	}
}
