package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"portreeve/config"
)

// The manual of the doors: a page for each, and one that says what is otherwise for
// those who come from Pure-FTPd.

const migrationPage = "portreeve-migration"

func doorDocuments() []document {
	docs := []document{{migrationPage + ".7", writeMigration}}
	for _, d := range newDoors() {
		docs = append(docs, document{d.name + ".8", d.writePage})
	}
	return docs
}

// newDoorLinks is for "make install": it lists folder and name of each door.
func newDoorLinks() *cobra.Command {
	return &cobra.Command{
		Use:   "links",
		Short: "List the programs of Pure-FTPd that this one can be called as",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, d := range newDoors() {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), d.folder, d.name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (d *door) writePage(w io.Writer) error {
	p := newPage(d.name, "8", d.name, d.what)
	p.section("Synopsis")
	p.synopsis(d)
	p.section("Description")
	p.prose(d.about)
	if options := d.options(); len(options) > 0 {
		p.section("Options")
		for _, o := range options {
			p.doorOption(o)
		}
	}
	if len(d.departs) > 0 {
		p.section("Where it differs")
		p.list(d.departs)
	}
	if d.example != "" {
		p.section("Examples")
		p.literal(d.example)
	}
	p.section("Exit status")
	for _, c := range d.codes {
		p.term(bold(fmt.Sprint(c.code)), strings.ToUpper(c.meaning[:1])+c.meaning[1:]+".")
	}
	p.section("See also")
	p.WriteString(bold("portreeve") + "(8),\n" + bold("portreeve.conf") + "(5),\n" + bold(migrationPage) + "(7)\n")
	_, err := w.Write(p.Bytes())
	return err
}

func (p *page) synopsis(d *door) {
	p.WriteString(strings.TrimSuffix(bold(d.name)+" ", " "))
	if d.use != "" {
		first, more, _ := strings.Cut(d.use, "\n")
		p.WriteString(" " + config.Roff(first))
		for line := range strings.SplitSeq(more, "\n") {
			if line != "" {
				p.WriteString("\n.br\n" + bold(d.name) + " " + config.Roff(line))
			}
		}
	}
	p.WriteString("\n")
}

// doorOption writes what an option does, unless another page does.
func (p *page) doorOption(o option) {
	name := bold("--" + o.long)
	switch {
	case o.help == "":
		return
	case o.letter != 0 && o.long == "":
		name = bold("-" + string(o.letter))
	case o.letter != 0:
		name = bold("-"+string(o.letter)) + ", " + name
	}
	if o.value != "" {
		name += " " + italic(o.value)
	}
	p.term(name, o.help)
}

// list writes sentences, each beside a dot.
func (p *page) list(sentences []string) {
	for _, s := range sentences {
		p.term(`\(bu`, s)
	}
}

// groups writes sentences below headings.
func (p *page) groups(groups []divergenceGroup) {
	for _, g := range groups {
		fmt.Fprintf(p, ".SS %s\n", config.Roff(g.heading))
		p.list(sentences([]divergenceGroup{g}))
	}
}

const migrationAbout = `Portreeve stands in for Pure-FTPd and each of its programs: called by one of their
names, through a link or as a copy, it takes that program's options, prints its
formats and exits with its codes. "make install DROPIN=1" makes the links. What calls
them, such as scripts and panels, goes on as it is.

What follows is what each of them does otherwise. Most of it are defects that nobody
can want back. Nothing that Pure-FTPd refuses is granted.`

const migrationMoving = `Two commands move a server of Pure-FTPd here:

  portreeve migrate --dry-run
  portreeve migrate

The first one shows the configuration as it would be, what is taken over and what is
not; the second one writes it. Pure-FTPd's own files are only read. Users of PureDB
files are imported with the hashes of their passwords, so that each logs in as
before. What "portreeve migrate" prints ends with the commands to start this server,
and with those to go back: users as they are by then are written as the files of
pure-pw, and Pure-FTPd checks their passwords too, also those that were changed here.

A directive that restricts and has no counterpart, or a value that is not understood,
refuses all of it, since the server would otherwise allow what was forbidden. What is
lost without harm, such as PAM, is told. Going back loses what Pure-FTPd's files have
no place for: expiry, permissions, the demand for TLS and addresses of IPv6.`

func writeMigration(w io.Writer) error {
	p := newPage(migrationPage, "7", migrationPage, "For those who come from Pure-FTPd")
	p.section("Description")
	p.prose(migrationAbout)
	p.section("Moving, and going back")
	p.prose(migrationMoving)
	p.section("Programs")
	for _, d := range newDoors() {
		p.term(bold(d.name)+"(8)", strings.ToUpper(d.what[:1])+d.what[1:]+".")
	}
	for _, d := range newDoors() {
		if len(d.departs) > 0 {
			p.section(d.name)
			if d.name == "pure-ftpd" {
				p.groups(serverDivergences())
				continue
			}
			p.list(d.departs)
		}
	}
	p.section("See also")
	p.WriteString(bold("portreeve") + "(8),\n" + bold("portreeve-migrate") + "(8),\n" + bold("portreeve.conf") + "(5)")
	for _, d := range newDoors() {
		p.WriteString(",\n" + bold(d.name) + "(8)")
	}
	p.WriteString("\n")
	_, err := w.Write(p.Bytes())
	return err
}
