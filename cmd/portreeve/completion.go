package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newCompletion stands for cobra's own command of that name, which takes a
// shell that it does not know for a question after its help.
func newCompletion(e *env) *cobra.Command {
	shells := []string{"bash", "fish", "powershell", "zsh"}
	return &cobra.Command{
		Use:   "completion {" + strings.Join(shells, "|") + "}",
		Short: "Print a script by which a shell completes commands",
		Long: `Completion prints a script that makes the Tab key of a shell complete commands
and flags, and the names of users for pw. It belongs where the shell looks for
such scripts, or can be read by a session at its start.`,
		Example: `  source <(portreeve completion bash)
  portreeve completion zsh >"${fpath[1]}/_portreeve"
  portreeve completion fish >~/.config/fish/completions/portreeve.fish`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return withHint(fmt.Errorf("%s needs the name of one shell", cmd.CommandPath()), "%s", useLine(cmd))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(e.out, true)
			case "fish":
				return root.GenFishCompletion(e.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(e.out)
			}
			return root.GenZshCompletion(e.out)
		},
	}
}
