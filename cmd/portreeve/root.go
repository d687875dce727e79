package main

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/config"
)

const exitStatusHelp = `Exit status:
  0  done
  1  failed
  2  the command line, a value or a configuration file is wrong
  3  no daemon answers
  4  no such user or session`

// newRoot makes the command tree. began is set once a command of ours runs:
// what fails before is the command line's fault.
func newRoot(e *env, began *bool) *cobra.Command {
	root := newGroup("portreeve", "Run an FTP service and know what happens in it", "",
		newServe(e),
		newWho(e), newKick(e), newAbort(e), newStatus(e), newMetrics(e), newHistory(e), newReload(e), newExplain(e),
		newPw(e), newQuota(e), newMigrate(e), newLog(e),
		newStats(e),
		newConfig(e), newCert(e), newAuthd(e), newCertd(e), newUploadScript(e),
		newCompletion(e), newVersion(e), newDocs(),
	)
	root.Long = `Portreeve is an FTP server with its own virtual users, and the tools to run it:
who is connected, what they do, and how to make them leave.

` + exitStatusHelp
	root.Example = `  portreeve serve --config /etc/portreeve/portreeve.conf
  portreeve pw useradd alice -u ftp -d /home/ftp/alice
  portreeve who --watch`
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		*began = true
		e.command = strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(nearestFlag)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _ = writeHelp(cmd.OutOrStdout(), cmd) })
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// newGroup makes a command that only holds others.
func newGroup(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use:           use,
		Short:         short,
		Example:       example,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			err := fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
			if near := config.Nearest(args[0], names); near != "" {
				return withHint(err, "did you mean %s %s?", cmd.CommandPath(), near)
			}
			return withHint(err, "%s --help lists the commands", cmd.CommandPath())
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(commands...)
	return group
}

// nearestFlag adds to pflag's complaint the flag that was probably meant.
func nearestFlag(cmd *cobra.Command, err error) error {
	name, found := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !found {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := config.Nearest(name, names); near != "" {
		return withHint(err, "did you mean --%s?", near)
	}
	return withHint(err, "%s --help lists the flags", cmd.CommandPath())
}

func newVersion(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(e.out, "portreeve", version())
			return err
		},
	}
}

// release is set by the Makefile; a build without it tells its commit.
var release = ""

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel " + s.Value[:12]
			}
		}
	}
	return "devel"
}
