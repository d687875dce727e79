package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/config"
)

// Help is written here and not by cobra's template, which neither wraps lines
// nor puts flags under headings: serve has some ninety of them.

const (
	helpWidth  = 80
	helpColumn = 28 // where descriptions begin
)

// writeHelp prints what --help says of cmd.
func writeHelp(w io.Writer, cmd *cobra.Command) error {
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	b.WriteString(strings.TrimSpace(about) + "\n\nUsage:\n  " + useLine(cmd) + "\n")
	if list := subcommands(cmd); len(list) > 0 {
		b.WriteString("\nCommands:\n")
		for _, c := range list {
			describe(&b, c.Name(), c.Short)
		}
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n" + strings.TrimRight(cmd.Example, "\n") + "\n")
	}
	for _, g := range ownFlagGroups(cmd) {
		b.WriteString("\n" + g.heading + ":\n")
		for _, f := range g.flags {
			describe(&b, flagSpelling(f), flagSentence(f))
		}
	}
	if of := cmd.Annotations[flagsOf]; of != "" {
		fmt.Fprintf(&b, "\nThe other flags are those of %s %s.\n", cmd.Root().Name(), of)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// useLine returns how cmd is called.
func useLine(cmd *cobra.Command) string {
	line := cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name())
	switch {
	case cmd.HasAvailableSubCommands():
		line += " COMMAND"
	case !strings.Contains(cmd.Use, "[") && len(flagGroups(cmd)) > 0 && !onlyHelp(cmd):
		line += " [flags]"
	}
	return line
}

func onlyHelp(cmd *cobra.Command) bool {
	groups := flagGroups(cmd)
	return len(groups) == 1 && len(groups[0].flags) == 1 && groups[0].flags[0].Name == "help"
}

// subcommands returns what a reader should know of.
func subcommands(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
}

// flagsOf is the annotation of a command that takes all flags of another,
// which its help then leaves to that one.
const flagsOf = "flags-of"

// hideFlags leaves flags out of help and manual.
func hideFlags(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		fs.Lookup(name).Hidden = true
	}
}

// ungrouped is the heading of flags that no table describes.
const ungrouped = "Flags"

// ownFlagGroups is flagGroups without those that another command explains.
func ownFlagGroups(cmd *cobra.Command) []flagGroup {
	groups := flagGroups(cmd)
	if cmd.Annotations[flagsOf] != "" {
		groups = slices.DeleteFunc(groups, func(g flagGroup) bool { return g.heading != ungrouped })
	}
	return groups
}

// A flagGroup is the flags that stand under one heading.
type flagGroup struct {
	heading string
	flags   []*pflag.Flag
}

// flagGroups returns the flags of cmd: first its own, then those of a table,
// by the table's headings.
func flagGroups(cmd *cobra.Command) []flagGroup {
	cmd.InitDefaultHelpFlag()
	var groups []flagGroup
	add := func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		heading := ungrouped
		if named := f.Annotations[config.GroupAnnotation]; len(named) > 0 {
			heading = named[0]
		}
		i := slices.IndexFunc(groups, func(g flagGroup) bool { return g.heading == heading })
		if i < 0 {
			i = len(groups)
			groups = append(groups, flagGroup{heading: heading})
		}
		groups[i].flags = append(groups[i].flags, f)
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	slices.SortStableFunc(groups, func(a, b flagGroup) int {
		return boolInt(b.heading == ungrouped) - boolInt(a.heading == ungrouped)
	})
	return groups
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flagArgument returns the name of a flag's argument, and whether it may be
// left out; a switch has none.
func flagArgument(f *pflag.Flag) (name string, optional bool) {
	name, _ = pflag.UnquoteUsage(f)
	if f.Value.Type() == "bool" {
		return "", true
	}
	return name, f.NoOptDefVal != ""
}

func flagSpelling(f *pflag.Flag) string {
	s := "    --" + f.Name
	if f.Shorthand != "" {
		s = "-" + f.Shorthand + ", --" + f.Name
	}
	switch argument, optional := flagArgument(f); {
	case argument == "":
	case optional:
		s += "[=" + argument + "]"
	default:
		s += " " + argument
	}
	return s
}

// flagSentence returns a flag's description with its default, unless that says
// no more than its absence.
func flagSentence(f *pflag.Flag) string {
	_, usage := pflag.UnquoteUsage(f)
	if f.Name == "help" {
		usage = "show this help"
	}
	if slices.Contains([]string{"", "no", "false", "0", "[]", "none", "unlimited", "never"}, f.DefValue) {
		return usage
	}
	return fmt.Sprintf("%s (default %s)", usage, f.DefValue)
}

// describe writes a name with its description beside it, or below it if the
// name is too long.
func describe(b *strings.Builder, name, text string) {
	line := "  " + name
	for i, part := range config.Wrap(text, helpWidth-helpColumn) {
		if i > 0 || len(line) > helpColumn-2 {
			b.WriteString(line + "\n")
			line = ""
		}
		line += strings.Repeat(" ", helpColumn-len(line)) + part
	}
	b.WriteString(line + "\n")
}
