package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/server/control"
	"portreeve/server/session"
)

type statusOptions struct {
	socket string
	json   bool
}

func newStatus(e *env) *cobra.Command {
	var opts statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the daemon is and how it fares",
		Long: `Status shows the daemon's version, addresses, files, limits and sums since it
started.

` + exitStatusHelp,
		Example: `  portreeve status
  portreeve status --json | jq .totals.now`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print as JSON")
	addSocketFlag(e, cmd.Flags(), &opts.socket)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), e, opts) }
	return cmd
}

func runStatus(ctx context.Context, e *env, opts statusOptions) error {
	client := e.client(opts.socket)
	defer client.Close()
	st, err := client.Status(ctx)
	if err != nil {
		return daemonError(err)
	}
	if opts.json {
		return writeJSON(e.out, st)
	}
	return writeStatus(e.out, st)
}

func writeStatus(w io.Writer, st control.Status) error {
	state := "running"
	if st.Draining {
		state = "draining: no new sessions, the last transfers end"
	}
	t := st.Totals
	type line struct{ name, value string }
	var certificates []line
	for _, c := range st.Certificates {
		certificates = append(certificates, line{"certificate", certificateLine(c, time.Now())})
	}
	var clients []line
	for _, s := range st.TLSData {
		clients = append(clients, line{"TLS data", tlsData(s)})
	}
	var b strings.Builder
	for _, line := range slices.Concat([]line{
		{"state", state},
		{"version", st.Version},
		{"process", strconv.Itoa(st.PID)},
		{"started", fmt.Sprintf("%s (%s ago)", st.Started.Format(time.DateTime), span(st.Uptime))},
		{"listening", cmp.Or(strings.Join(st.Listen, ", "), "nowhere")},
		{"configuration", cmp.Or(st.Config, "no file")},
		{"user database", st.UserDB},
	}, certificates, clients, []line{
		{"sessions", fmt.Sprintf("%d now, %d at most, %d accepted, %d refused", t.Now, t.Peak, t.Accepted, t.Refused)},
		{"limits", fmt.Sprintf("%s, %s", most(st.Limits.Max, "in all"), most(st.Limits.PerHost, "from one address"))},
		{"uploaded", fmt.Sprintf("%s in %d whole files", size(t.Up), t.FilesUp)},
		{"downloaded", fmt.Sprintf("%s in %d whole files", size(t.Down), t.FilesDown)},
		{"no data", noData(st.NoData)},
		{"not logged", notLogged(st.Lost)},
		{"upload script", waitingUploads(st.Uploads)},
		{"memory", fmt.Sprintf("%s, %d goroutines", size(st.Memory), st.Goroutines)},
	}) {
		if line.value != "" {
			fmt.Fprintf(&b, "%-14s %s\n", line.name, visible(line.value))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// noData tells why data connections were never made, the most frequent first.
func noData(by map[string]int64) string {
	var words []string
	for _, cause := range slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b))
	}) {
		words = append(words, fmt.Sprintf("%s %d times", cause, by[cause]))
	}
	return strings.Join(words, ", ")
}

// notLogged tells which logs could not keep up.
func notLogged(by map[string]int64) string {
	var words []string
	for _, log := range slices.Sorted(maps.Keys(by)) {
		words = append(words, fmt.Sprintf("%d lines in %s", by[log], log))
	}
	return strings.Join(words, ", ")
}

// waitingUploads tells how the program fares that is told of uploads.
func waitingUploads(u *control.Uploads) string {
	if u == nil {
		return ""
	}
	text := fmt.Sprintf("%d uploads wait", u.Waiting)
	if u.Lost > 0 {
		text += fmt.Sprintf(", %d are not told of", u.Lost)
	}
	if !u.Read {
		text += "; portreeve uploadscript does not run"
	}
	return text
}

// tlsData tells what a kind of client would not be able to do if TLSDataBinding
// demanded more.
func tlsData(s session.Software) string {
	text := fmt.Sprintf("%s: %d connections resumed their session", s.Client, s.SameSession)
	switch {
	case s.Unbound > 0:
		return fmt.Sprintf("%s, %d another of the user, %d none: TLSDataBinding user or strict would refuse it", text, s.SameUser, s.Unbound)
	case s.SameUser > 0:
		return fmt.Sprintf("%s, %d another of the user: TLSDataBinding strict would refuse it", text, s.SameUser)
	}
	return text
}

func most(n int, where string) string {
	if n <= 0 {
		return "no limit " + where
	}
	return fmt.Sprintf("%d %s", n, where)
}

// span writes seconds as days and hours, or what is left of them.
func span(seconds int64) string {
	d, h, m, s := seconds/86400, seconds/3600%24, seconds/60%60, seconds%60
	switch {
	case d > 0:
		return fmt.Sprintf("%dd %dh", d, h)
	case h > 0:
		return fmt.Sprintf("%dh %dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm %ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// size writes bytes with three digits or four, in steps of 1024.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, units := float64(n)/1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	for f >= 1023.95 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

type reloadOptions struct{ socket string }

func newReload(e *env) *cobra.Command {
	var opts reloadOptions
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the daemon read its configuration again",
		Long: `Reload makes the daemon read its configuration again, as SIGHUP does, and says
what changed. If anything is wrong with it, every fault is listed and nothing
changes. Sessions keep the configuration that they began with.

` + exitStatusHelp,
		Example: `  portreeve reload`,
		Args:    cobra.NoArgs,
	}
	addSocketFlag(e, cmd.Flags(), &opts.socket)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runReload(cmd.Context(), e, opts) }
	return cmd
}

func runReload(ctx context.Context, e *env, opts reloadOptions) error {
	client := e.client(opts.socket)
	defer client.Close()
	done, err := client.Reload(ctx)
	if refused, ok := errors.AsType[*control.RefusedError](err); ok {
		return usagef("the configuration was refused and nothing has changed:\n  %s",
			strings.Join(refused.Complaints, "\n  "))
	}
	if err != nil {
		return daemonError(err)
	}
	if len(done.Changed)+len(done.Restart) == 0 {
		fmt.Fprintln(e.out, "read again; nothing has changed")
		return nil
	}
	if len(done.Changed) > 0 {
		fmt.Fprintf(e.out, "changed: %s\n", visible(strings.Join(done.Changed, ", ")))
	}
	if len(done.Restart) > 0 {
		fmt.Fprintf(e.out, "needs a restart: %s\n", visible(strings.Join(done.Restart, ", ")))
	}
	return nil
}
