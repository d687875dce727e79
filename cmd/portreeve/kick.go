package main

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"portreeve/server/control"
	"portreeve/server/session"
)

type kickOptions struct {
	socket  string
	id      string // or the filter
	filter  sessionFilter
	message string
}

func newKick(e *env) *cobra.Command {
	var opts kickOptions
	cmd := &cobra.Command{
		Use:   "kick ID | --user ACCOUNT | --addr ADDRESS",
		Short: "End sessions",
		Long: `Kick ends the session with the given id (portreeve who shows it), or all that
the filters choose. The client is told the message, and its transfer is cut off.

` + exitStatusHelp,
		Example: `  portreeve kick 4711 --message "maintenance, back at nine"
  portreeve kick --user alice
  portreeve kick --addr 192.0.2.0/24`,
		Args: cobra.MaximumNArgs(1),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	opts.filter.addFlags(fs)
	fs.StringVar(&opts.message, "message", "", "`text` for the client")
	addSocketFlag(e, fs, &opts.socket)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.id = strings.Join(args, "")
		if filtered := fs.Changed("user") || fs.Changed("addr"); filtered == (len(args) == 1) {
			return usagef("say whom to kick: either a session id, or --user and --addr")
		}
		if len(opts.message) > control.MaxMessage || strings.ContainsFunc(opts.message, unicode.IsControl) {
			return usagef("--message is one line of at most %d bytes", control.MaxMessage)
		}
		return runKick(cmd.Context(), e, opts)
	}
	return cmd
}

func runKick(ctx context.Context, e *env, opts kickOptions) error {
	client := e.client(opts.socket)
	defer client.Close()
	if opts.id != "" {
		id, err := parseID(opts.id)
		if err != nil {
			return err
		}
		if err := client.Kick(ctx, id, opts.message); err != nil {
			return daemonError(err)
		}
		fmt.Fprintf(e.out, "kicked session %v\n", id)
		return nil
	}
	filter, err := opts.filter.parse()
	if err != nil {
		return err
	}
	if filter.IsZero() {
		return usagef("--user and --addr are empty, which would be everybody")
	}
	ids, err := client.KickAll(ctx, filter, opts.message)
	if err != nil {
		return daemonError(err)
	}
	if len(ids) == 0 {
		return fmt.Errorf("%w %v", session.ErrNoSession, &opts.filter)
	}
	for _, id := range ids {
		fmt.Fprintf(e.out, "kicked session %v\n", id)
	}
	return nil
}

// parseID reads the id that a user wrote.
func parseID(text string) (session.ID, error) {
	id, err := session.ParseID(text)
	if err != nil {
		return 0, withHint(usagef("%w", err), `"portreeve who" shows the ids`)
	}
	return id, nil
}

type abortOptions struct{ socket, id string }

func newAbort(e *env) *cobra.Command {
	var opts abortOptions
	cmd := &cobra.Command{
		Use:   "abort ID",
		Short: "End a transfer, keep the session",
		Long: `Abort ends the transfer of the session with the given id (portreeve who shows
it). The client is told so and stays logged in.

` + exitStatusHelp,
		Example: `  portreeve abort 4711`,
		Args:    cobra.ExactArgs(1),
	}
	addSocketFlag(e, cmd.Flags(), &opts.socket)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.id = args[0]
		return runAbort(cmd.Context(), e, opts)
	}
	return cmd
}

func runAbort(ctx context.Context, e *env, opts abortOptions) error {
	id, err := parseID(opts.id)
	if err != nil {
		return err
	}
	client := e.client(opts.socket)
	defer client.Close()
	if err := client.Abort(ctx, id); err != nil {
		return daemonError(err)
	}
	fmt.Fprintf(e.out, "aborted the transfer of session %v\n", id)
	return nil
}
