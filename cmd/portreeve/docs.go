package main

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/metrics"
)

// The documents that repeat what the code says are written from it: "make docs"
// writes them into docs/, and a test fails when they are no longer the same.

// A document is a file in docs/.
type document struct {
	name  string
	write func(io.Writer) error
}

// documents yields all of them, as they are for every user and environment.
func documents() iter.Seq[document] {
	e := &env{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: documentedEnv}
	root := newRoot(e, new(bool))
	return func(yield func(document) bool) {
		for _, d := range []document{
			{"portreeve.8", func(w io.Writer) error { return writeOverview(w, root) }},
			{"portreeve.conf.5", writeConfManual},
			{"portreeve.conf.sample", writeSample},
			{"commands.md", func(w io.Writer) error { return writeCommands(w, root) }},
			{"protocol.md", server.WriteProtocol},
		} {
			if !yield(d) {
				return
			}
		}
		for _, d := range doorDocuments() {
			if !yield(d) {
				return
			}
		}
		for _, cmd := range subcommands(root) {
			if hasPage(cmd) && !yield(document{"portreeve-" + cmd.Name() + ".8", func(w io.Writer) error { return writePage(w, cmd) }}) {
				return
			}
		}
	}
}

// documentedEnv gives the system's places, whoever makes the documents.
func documentedEnv(name string) string {
	defaults := server.DefaultConfig()
	return map[string]string{"PORTREEVE_DB": defaults.UserDB, "PORTREEVE_SOCKET": defaults.ControlSocket}[name]
}

// hasPage tells whether a command has a page of its own in the manual.
func hasPage(cmd *cobra.Command) bool {
	return cmd.Name() != "version"
}

func newDocs() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "docs FOLDER",
		Short:  "Write the documents that are made from the code",
		Long:   "Docs writes the manual pages, the sample configuration and the list of commands\ninto a folder. It is for those who build the program.",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE:   func(_ *cobra.Command, args []string) error { return writeDocuments(args[0]) },
	}
	cmd.AddCommand(newDoorLinks())
	return cmd
}

func writeDocuments(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("writing the documents: %w", err)
	}
	for d := range documents() {
		var b bytes.Buffer
		if err := d.write(&b); err != nil {
			return fmt.Errorf("writing %s: %w", d.name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, d.name), b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("writing the documents: %w", err)
		}
	}
	return nil
}

// writeCommands writes the help of every command as Markdown.
func writeCommands(w io.Writer, root *cobra.Command) error {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nWhat `--help` says of each command; `make docs` writes this file.\n")
	var add func(cmd *cobra.Command) error
	add = func(cmd *cobra.Command) error {
		fmt.Fprintf(&b, "\n## %s\n\n```\n", cmd.CommandPath())
		if err := writeHelp(&b, cmd); err != nil {
			return err
		}
		b.WriteString("```\n")
		for _, c := range subcommands(cmd) {
			if err := add(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add(root); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// A page is a manual page in the man macros, which mandoc and groff both read.
type page struct{ bytes.Buffer }

// manualDate is when the manual was last gone through; it is not the day of
// the build, so that the same sources make the same pages.
const manualDate = "2026-11-22"

func newPage(title, section, name, what string) *page {
	p := new(page)
	fmt.Fprintf(p, ".\\\" Made from the program by \"make docs\"; edit that instead.\n")
	fmt.Fprintf(p, ".TH %s %s %s Portreeve \"Portreeve manual\"\n", config.Roff(strings.ToUpper(title)), section, manualDate)
	p.section("Name")
	fmt.Fprintf(p, "%s \\- %s\n", config.Roff(name), config.Roff(lowered(what)))
	return p
}

// lowered begins s with a small letter, unless that is an abbreviation.
func lowered(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func (p *page) section(heading string) {
	fmt.Fprintf(p, ".SH %s\n", config.Roff(strings.ToUpper(heading)))
}

// prose writes paragraphs; lines that are indented stay as they are.
func (p *page) prose(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, "  ") || strings.Contains(paragraph, "\n  ") {
			p.literal(paragraph)
		} else {
			p.lines(paragraph)
		}
	}
}

func (p *page) lines(text string) {
	for _, line := range config.Wrap(text, 76) {
		p.WriteString(config.Roff(line) + "\n")
	}
}

// literal writes text with its line breaks, as an example is.
func (p *page) literal(text string) {
	p.WriteString(".RS 4\n.nf\n")
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		p.WriteString(config.Roff(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")) + "\n")
	}
	p.WriteString(".fi\n.RE\n")
}

// term writes an entry of a list.
func (p *page) term(name, text string) {
	fmt.Fprintf(p, ".TP\n%s\n", name)
	p.lines(text)
}

func bold(s string) string   { return `\fB` + config.Roff(s) + `\fR` }
func italic(s string) string { return `\fI` + config.Roff(s) + `\fR` }

// usage writes how cmd is called: what is to be typed in bold.
func (p *page) usage(cmd *cobra.Command) {
	line := useLine(cmd)
	rest, _ := strings.CutPrefix(line, cmd.CommandPath())
	p.WriteString(bold(cmd.CommandPath()) + config.Roff(rest) + "\n")
}

// about returns what a command says of itself, without what every page has.
func about(cmd *cobra.Command) string {
	text := strings.TrimSpace(strings.ReplaceAll(cmd.Long, exitStatusHelp, ""))
	if text == "" {
		return cmd.Short + "."
	}
	return text
}

// options writes the flags of cmd under their headings, but those that another
// page has: --help, and what it shares with its group or with serve.
func (p *page) options(cmd *cobra.Command) {
	shared := cmd.InheritedFlags()
	for _, g := range ownFlagGroups(cmd) {
		flags := slices.DeleteFunc(slices.Clone(g.flags), func(f *pflag.Flag) bool {
			return f.Name == "help" || shared.Lookup(f.Name) != nil
		})
		if g.heading != ungrouped {
			fmt.Fprintf(p, ".SS %s\n", config.Roff(g.heading))
		}
		for _, f := range flags {
			name := bold("--" + f.Name)
			if f.Shorthand != "" {
				name = bold("-"+f.Shorthand) + ", " + name
			}
			switch argument, optional := flagArgument(f); {
			case argument == "":
			case optional:
				name += "[=" + italic(argument) + "]"
			default:
				name += " " + italic(argument)
			}
			text := flagSentence(f)
			p.term(name, strings.ToUpper(text[:1])+text[1:]+".")
		}
	}
	if of := cmd.Annotations[flagsOf]; of != "" {
		p.WriteString(".PP\nThe other flags are those of " + bold("portreeve-"+of) + "(8).\n")
	}
}

// writePage writes the page of a command, with those that it holds.
func writePage(w io.Writer, cmd *cobra.Command) error {
	title := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	p := newPage(title, "8", title, cmd.Short)
	p.section("Synopsis")
	commands := subcommands(cmd)
	if len(commands) == 0 {
		p.usage(cmd)
	}
	for i, c := range commands {
		if i > 0 {
			p.WriteString(".br\n")
		}
		p.usage(c)
	}
	p.section("Description")
	p.prose(about(cmd))
	if !onlyHelp(cmd) {
		p.section("Options")
		p.options(cmd)
	}
	for _, c := range commands {
		p.section(c.CommandPath())
		p.usage(c)
		p.WriteString(".PP\n")
		p.prose(about(c))
		p.options(c)
		if c.Example != "" {
			p.WriteString(".PP\nFor example:\n.PP\n")
			p.literal(c.Example)
		}
	}
	if cmd.Example != "" {
		p.section("Examples")
		p.literal(cmd.Example)
	}
	if cmd.CommandPath() == "portreeve metrics" {
		p.metrics()
	}
	p.exitStatus()
	p.seeAlso(cmd.Root(), title)
	_, err := w.Write(p.Bytes())
	return err
}

// metrics explains every one of our own.
func (p *page) metrics() {
	p.section("Metrics")
	p.prose("Labels stand in braces. Beside these there are those of the Go runtime, go_*, and of the process, process_*.")
	for _, m := range metrics.Table() {
		name := bold(m.Name)
		if len(m.Labels) > 0 {
			name += config.Roff("{" + strings.Join(m.Labels, ",") + "}")
		}
		p.term(name+" ("+m.Kind.String()+")", m.Help)
	}
}

func (p *page) exitStatus() {
	p.section("Exit status")
	for line := range strings.Lines(exitStatusHelp) {
		if code, meaning, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			p.term(bold(code), strings.ToUpper(meaning[:1])+meaning[1:]+".")
		}
	}
}

// seeAlso names the other pages.
func (p *page) seeAlso(root *cobra.Command, except string) {
	p.section("See also")
	var pages []string
	add := func(name, section string) {
		if name != except {
			pages = append(pages, bold(name)+"("+section+")")
		}
	}
	add("portreeve", "8")
	for _, cmd := range subcommands(root) {
		if hasPage(cmd) {
			add("portreeve-"+cmd.Name(), "8")
		}
	}
	add("portreeve.conf", "5")
	add(migrationPage, "7")
	p.WriteString(strings.Join(pages, ",\n") + "\n")
}

// writeOverview writes the page of the program as a whole.
func writeOverview(w io.Writer, root *cobra.Command) error {
	p := newPage("portreeve", "8", "portreeve", root.Short)
	p.section("Synopsis")
	p.usage(root)
	p.section("Description")
	p.prose(about(root))
	p.section("Commands")
	for _, cmd := range subcommands(root) {
		text := cmd.Short + "."
		if hasPage(cmd) {
			text = fmt.Sprintf("%s; see portreeve-%s(8).", cmd.Short, cmd.Name())
		}
		p.term(bold(cmd.Name()), text)
	}
	p.WriteString(".PP\nEvery command takes \\fB\\-\\-help\\fR.\n")
	p.section("Examples")
	p.literal(root.Example)
	p.exitStatus()
	p.section("Environment")
	p.term(bold("PORTREEVE_DB"), "The database of users, where --db or the configuration names no other.")
	p.term(bold("PORTREEVE_SOCKET"), "The control socket of the daemon, where --socket or the configuration names no other.")
	p.term(bold("XDG_STATE_HOME"), "Where users other than root have their database, in the folder portreeve; ~/.local/state if it is not set.")
	p.term(bold("XDG_RUNTIME_DIR"), "Where users other than root have their control socket.")
	p.section("Files")
	defaults := server.DefaultConfig()
	p.term(italic(systemConfig), "The configuration, if serve is started by root and --config names no other; see portreeve.conf(5).")
	p.term(italic(defaults.UserDB), "The users, as one database that belongs to root.")
	p.term(italic(defaults.ControlSocket), "The control socket, which who, kick and others ask.")
	p.seeAlso(root, "portreeve")
	_, err := w.Write(p.Bytes())
	return err
}

const confGrammar = `Each line of the file is the name of a directive and its value, parted by
blanks, by "=" or by ":". Names may be in any case. Lines that begin with "#" and
empty lines are passed over; a value goes on to the end of its line, so that no
comment can follow it. Quotes around a value keep blanks at its ends, and make
an empty value.

If a directive is given more than once the last one counts; those that say so add
up. "Include PATH" reads another file at that place; a path that is not absolute
begins at the folder of the file that names it, and a file that is not there is
passed over.

The names and forms are those of pure-ftpd.conf, whose files can be used as they
are.

Switches are yes, on, true or 1, and no, off, false or 0. Sizes are bytes, or end
with K, M, G, T, P or E. Times have a unit, as in 90s, 15m or 24h; without one they
are in seconds, if nothing else is said.

Each directive is also a flag of serve, which goes before the file. "portreeve
config check" tells every fault of a file with its line, and "portreeve config
show" the values that hold and where each comes from. SIGHUP or "portreeve reload"
makes the server read the file again; directives that need a restart keep their
value until then.`

func writeConfManual(w io.Writer) error {
	p := newPage("portreeve.conf", "5", "portreeve.conf", "Configuration of the Portreeve FTP server")
	p.section("Description")
	p.prose(confGrammar)
	if err := server.Directives.WriteManual(p, server.DefaultConfig()); err != nil {
		return err
	}
	p.section("Files")
	p.term(italic(systemConfig), "Read by serve if it is started by root and --config names no other.")
	p.section("Examples")
	p.literal(`  Bind              192.0.2.1,21
  PassivePortRange  30000 30100
  MaxClientsPerIP   10
  Umask             137:027
  Include           local.conf`)
	p.section("See also")
	p.WriteString(bold("portreeve") + "(8),\n" + bold("portreeve-serve") + "(8),\n" + bold("portreeve-config") + "(8)\n")
	_, err := w.Write(p.Bytes())
	return err
}
