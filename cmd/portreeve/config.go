package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/cert"
)

func newConfig(e *env) *cobra.Command {
	group := newGroup("config", "Check, show or begin a configuration", `  portreeve config check --config /etc/portreeve/portreeve.conf
  portreeve config show --changed
  portreeve config sample >portreeve.conf`,
		newConfigCheck(e), newConfigShow(e), newConfigSample(e))
	group.Long = `The configuration of the server is a file of lines "Directive value", those of
Pure-FTPd and more. portreeve.conf(5) describes them.`
	return group
}

const configFileHelp = `If none is named, it is ` + systemConfig + ` if that is there and
the user is root, else none.`

func newConfigCheck(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Tell every fault of a configuration file",
		Long: `Check reads a configuration file as serve would and tells every fault with file
and line; then the exit status is 2. Of a good file it says so, and what
else there is to know, such as which of its directives do nothing here.

` + configFileHelp,
		Example: "  portreeve config check ./portreeve.conf && systemctl reload portreeve",
		Args:    cobra.MaximumNArgs(1),
	}
	source := &configSource{env: e, given: new(config.Given[server.Config])}
	addConfigFlag(cmd, source)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			if source.file != "" {
				return usagef("two configuration files: %s and %s", source.file, args[0])
			}
			source.file = args[0]
		}
		return runConfigCheck(e, source)
	}
	return cmd
}

func runConfigCheck(e *env, source *configSource) error {
	cfg, _, err := source.load()
	if err == nil {
		_, err = prepareCertificates(cert.New(nil), cfg)
	}
	if err != nil {
		faults := strings.Split(err.Error(), "\n")
		if len(faults) == 1 {
			return err
		}
		// Each fault stands at the beginning of its line, where editors look
		// for file and line.
		if _, err := fmt.Fprintln(e.err, err); err != nil {
			return fmt.Errorf("printing the faults: %w", err)
		}
		return usagef("%s: %d faults", source.path(), len(faults))
	}
	said := "no configuration file: the defaults hold"
	if path := source.path(); path != "" {
		said = path + ": no faults"
	}
	for _, remark := range cfg.Remarks() {
		said += "\n" + remark
	}
	_, err = fmt.Fprintln(e.out, said)
	return err
}

type configShowOptions struct {
	source  *configSource
	json    bool
	changed bool
}

func newConfigShow(e *env) *cobra.Command {
	opts := configShowOptions{}
	cmd := &cobra.Command{
		Use:   "show [flags of serve]",
		Short: "Show the configuration that serve would run with",
		Long: `Show prints each directive with its value and where that comes from: the
default, file and line, the environment or a flag. It takes the flags of serve,
so that what serve is called with can be tried.

` + configFileHelp,
		Example: `  portreeve config show --config ./portreeve.conf --maxclientsnumber 100
  portreeve config show --changed --json`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{flagsOf: "serve"},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON: an array of name, value, origin, default and group")
	cmd.Flags().BoolVar(&opts.changed, "changed", false, "leave out what has its default value")
	opts.source = addConfigFlags(e, cmd)
	cmd.RunE = func(*cobra.Command, []string) error { return runConfigShow(e, opts) }
	return cmd
}

func runConfigShow(e *env, opts configShowOptions) error {
	cfg, origins, err := opts.source.load()
	if err != nil {
		return err
	}
	settings := server.Directives.Settings(cfg, opts.source.systemDefaults(), origins)
	if opts.changed {
		settings = slices.DeleteFunc(settings, func(s config.Setting) bool { return s.Value == s.Default })
	}
	if opts.json {
		return writeJSON(e.out, settings)
	}
	t := table{header: []string{"DIRECTIVE", "VALUE", "FROM"}}
	for _, s := range settings {
		t.add(s.Name, s.Value, s.Origin)
	}
	return t.write(e.out)
}

func newConfigSample(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "sample",
		Short: "Print a configuration file with every directive explained",
		Long: `Sample prints a configuration file in which every directive stands with its
description, commented out and set to its default.`,
		Example: "  portreeve config sample >/etc/portreeve/portreeve.conf",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return writeSample(e.out) },
	}
}

const sampleHead = `# Configuration of the Portreeve FTP server; see portreeve.conf(5).
#
# A line is "Directive value"; names may be in any case, and what is commented
# out has the value that it shows. Values with blanks at their ends, and empty
# ones, stand in quotes. "Include FILE" reads another file at its place.
# "portreeve config check --config FILE" tells what is wrong with a file.
`

func writeSample(w io.Writer) error {
	_, err1 := io.WriteString(w, sampleHead)
	return errors.Join(err1, server.Directives.WriteSample(w, server.DefaultConfig()))
}
