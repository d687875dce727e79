package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/auth"
	"portreeve/server/control"
	"portreeve/server/session"
)

type explainOptions struct {
	source      *configSource
	user, host  string
	addr, local string
	at          string
	tls, json   bool
	db          string
}

func newExplain(e *env) *cobra.Command {
	opts := explainOptions{source: &configSource{env: e, given: new(config.Given[server.Config])}}
	cmd := &cobra.Command{
		Use:   "explain --user NAME [--addr ADDRESS] [COMMAND ...]",
		Short: "Tell whether a user may do something, and which rule decides",
		Long: `Explain tells whether a user who logs in may do something, which rules are
looked at in which order, and which of them refuses. Nothing is done, and no
password is asked for: whatever it has to be, it counts as right.

Commands are those of FTP, one after the other, in one session:
` + strings.Join(config.Wrap(strings.Join(server.Rehearsed(), ", "), 78), "\n") + `.
The last word behind the path of STOR, APPE or STOU is the size of the file,
if it is one. Without a command it is the login alone.

The sessions that count for limits are those that a daemon has; if none answers,
there are none. The permissions of files are judged as the user only if explain
runs as root, as the daemon does.

Exit status:
  0  allowed
  1  refused, or nobody can say
  2  the command line, a value or a configuration file is wrong`,
		Example: `  portreeve explain --user alice --addr 192.0.2.7 'STOR /in/film.mkv 2G'
  portreeve explain --user alice --time '2027-01-31 23:30' --tls
  portreeve explain --user bob 'RNFR /a' 'RNTO /b' --json`,
		SilenceUsage: true,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&opts.user, "user", "", "`name` that the client says")
	fs.StringVar(&opts.addr, "addr", "127.0.0.1", "`address` of the client")
	fs.StringVar(&opts.local, "local", "", "`address` that it connects to (default what Bind says, or the loopback)")
	fs.StringVar(&opts.host, "host", "", "`name` of the virtual host")
	fs.StringVar(&opts.at, "time", "", "`when`, as 2027-01-31 23:30, 23:30 or RFC 3339; now if it is not said")
	fs.BoolVar(&opts.tls, "tls", false, "the client uses TLS, for data as well")
	fs.BoolVar(&opts.json, "json", false, "print JSON")
	fs.StringVarP(&opts.db, "db", "F", "", "user `database`, in place of the configuration's")
	addConfigFlag(cmd, opts.source)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runExplain(cmd.Context(), e, opts, args) }
	return cmd
}

func runExplain(ctx context.Context, e *env, opts explainOptions, commands []string) error {
	if opts.user == "" {
		return usagef("--user is missing")
	}
	cfg, _, err := opts.source.load()
	if err != nil {
		return err
	}
	if opts.db != "" {
		if cfg.UserDB, err = filepath.Abs(opts.db); err != nil {
			return fmt.Errorf("finding the user database: %w", err)
		}
	}
	q, err := opts.question(cfg, commands, time.Now())
	if err != nil {
		return err
	}
	chain, err := auth.New(authOptions(cfg, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	defer chain.Close()
	registry, err := e.connected(ctx, cfg)
	if err != nil {
		return err
	}
	s := server.Rehearse(cfg, registry, chain)
	s.ActAsUsers = isRoot()
	found, err := s.Explain(ctx, q)
	if errors.Is(err, server.ErrNoQuestion) {
		return usagef("%w", err)
	}
	if err != nil {
		return err
	}
	allowed := found[len(found)-1].Allowed
	if opts.json {
		err = writeJSON(e.out, struct {
			Allowed bool             `json:"allowed"`
			Rules   []server.Finding `json:"rules"`
		}{allowed, found})
	} else {
		err = writeFindings(e.out, found)
	}
	if err == nil && !allowed {
		return errAnswered
	}
	return err
}

// errAnswered is the exit status of an answer that has been printed.
var errAnswered = errors.New("refused")

// question reads the flags.
func (o explainOptions) question(cfg server.Config, commands []string, now time.Time) (server.Question, error) {
	q := server.Question{User: o.user, Host: o.host, TLS: o.tls, Commands: commands}
	var err error
	if q.From, err = netip.ParseAddr(o.addr); err != nil {
		return q, usagef("--addr: %q is no address", o.addr)
	}
	q.From = q.From.Unmap()
	switch {
	case o.local != "":
		if q.Local, err = netip.ParseAddr(o.local); err != nil {
			return q, usagef("--local: %q is no address", o.local)
		}
	default:
		q.Local = netip.IPv6Loopback()
		if q.From.Is4() {
			q.Local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		for _, at := range cfg.Bind {
			if at.Addr.IsValid() && at.Addr.Is4() == q.From.Is4() {
				q.Local = at.Addr
				break
			}
		}
	}
	q.At, err = parseMoment(o.at, now)
	return q, err
}

// parseMoment reads a time by the clock of this machine.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.Local(), nil
		}
	}
	if t, err := time.Parse("15:04", text); err == nil {
		y, m, d := now.Date()
		return time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, time.Local), nil
	}
	return time.Time{}, usagef("--time: %q is not a time such as 2027-01-31 23:30", text)
}

// connected is who is connected to a daemon, as far as limits count them.
func (e *env) connected(ctx context.Context, cfg server.Config) (*session.Registry, error) {
	r := session.New(session.Limits{})
	client := e.client(cfg.ControlSocket)
	defer client.Close()
	list, err := client.Sessions(ctx, control.Filter{})
	switch {
	case errors.Is(err, control.ErrNoDaemon):
		return r, nil
	case err != nil:
		return nil, daemonError(err)
	}
	for _, i := range list {
		entry, err := r.Open(i.Remote, i.Local, func(error) {})
		if err == nil && i.User != "" {
			err = entry.Login(cfg.UsersAt(i.Host, i.User), i.User, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("counting the sessions of the daemon: %w", err)
		}
	}
	return r, nil
}

// writeFindings prints a line for each rule, and the answer.
func writeFindings(w io.Writer, found []server.Finding) error {
	t := table{header: []string{"RULE", "SAYS", "WHY"}}
	for _, f := range found {
		says, rule := "yes", f.Rule
		if !f.Allowed {
			says = "no"
		}
		why := f.Why
		if f.About != "" {
			why = strings.TrimSuffix(f.About+": "+f.Why, ": ")
		}
		t.add(rule, says, why)
	}
	if err := t.write(w); err != nil {
		return err
	}
	last := found[len(found)-1]
	if last.Allowed {
		_, err := fmt.Fprintln(w, "\nallowed")
		return err
	}
	_, err := fmt.Fprintf(w, "\nrefused by %s; the client hears: %s\n", visible(last.Rule), visible(last.Reply))
	return err
}
