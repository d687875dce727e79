package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
	"portreeve/server/history"
)

type historyPrune struct {
	source             historySource
	before, user, path string
	yes, dryRun, json  bool
}

func newHistoryPrune(e *env) *cobra.Command {
	var opts historyPrune
	cmd := &cobra.Command{
		Use:   "prune [--before TIME] [--user NAME] [--path PATTERN]",
		Short: "Remove some of what the daemon remembers",
		Long: `Prune removes what is older than a time, what a user did, or what was done to
paths: what fits all that is given. It tells how much that is and asks first.
The daemon may run. What is left of a user in the sums of "history top" goes
when --user is all that is given. The file does not shrink, but is filled again.

` + exitStatusHelp,
		Example: `  portreeve history prune --before 90d
  portreeve history prune --user alice --yes
  portreeve history prune --path '/srv/ftp/old/**' --dry-run`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&opts.before, "before", "", "only what is older than the beginning of this `time`: 90d, 2026-11-01")
	fs.StringVar(&opts.user, "user", "", "only of this `account`")
	fs.StringVar(&opts.path, "path", "", "only paths like this `pattern`")
	fs.BoolVar(&opts.yes, "yes", false, "do it, and do not ask")
	fs.BoolVar(&opts.dryRun, "dry-run", false, "tell how much it is, and remove nothing")
	fs.BoolVar(&opts.json, "json", false, "print JSON")
	opts.source.addFlags(e, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return opts.run(cmd.Context(), e) }
	return cmd
}

// query is what is to be removed.
func (o *historyPrune) query() (q history.Query, err error) {
	switch {
	case o.yes && o.dryRun:
		return q, usagef("--yes does it, and --dry-run does not")
	case o.before == "" && o.user == "" && o.path == "":
		return q, withHint(usagef("nothing says what is to be removed"), "--before, --user and --path do")
	}
	q.User = o.user
	if o.before != "" {
		f := logFilter{since: o.before}
		w, err := f.window(time.Now())
		if err != nil {
			return q, err
		}
		q.Until = w.Since
	}
	if o.path != "" {
		f := logFilter{paths: []string{o.path}}
		parsed, err := f.parse(time.Now())
		if err != nil {
			return q, err
		}
		q.Path, q.Match = queryOf(&f, parsed).Path, parsed.Match
	}
	return q, nil
}

func (o *historyPrune) run(ctx context.Context, e *env) error {
	q, err := o.query()
	if err != nil {
		return err
	}
	db, err := o.source.db()
	if err != nil {
		return err
	}
	if !o.yes {
		n, err := countHistory(ctx, db, q)
		if err != nil {
			return err
		}
		if o.dryRun {
			return o.tell(e, "would be removed", n)
		}
		switch agreed, err := e.ask(ctx, "Remove "+counted(int(n), "entry", "entries")+"? [y/N] "); {
		case err != nil:
			return err
		case !agreed:
			return errors.New("nothing is removed")
		}
	}
	p := newProgress(e, false)
	gone, err := db.Remove(q, func(gone int64) {
		if p.due() {
			p.say(fmt.Sprintf("removing: %d", gone))
		}
	})
	p.end()
	return cmp.Or(err, o.tell(e, "are removed", gone))
}

func (o *historyPrune) tell(e *env, what string, n int64) error {
	if o.json {
		return writeJSON(e.out, struct {
			Entries int64 `json:"entries"`
			Removed bool  `json:"removed"`
		}{n, !o.dryRun})
	}
	return e.say(counted(int(n), "entry", "entries") + " " + what)
}

func countHistory(ctx context.Context, db history.DB, q history.Query) (n int64, err error) {
	for _, err := range db.All(q) {
		if err = cmp.Or(err, context.Cause(ctx)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func newHistoryExport(e *env) *cobra.Command {
	var source historySource
	var filter logFilter
	var to, zone, out string
	cmd := &cobra.Command{
		Use:   "export --to FORMAT [flags]",
		Short: "Write what the daemon remembers as a log",
		Long: `Export writes what is remembered as a log in a format of your choice, the oldest
first. What the format has no room for is told once.

` + logFormatsHelp() + `

` + periodHelp() + `

` + exitStatusHelp,
		Example: `  portreeve history export --to xferlog -o xferlog
  portreeve history export --to w3c --since 'last month' --user alice`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&to, "to", "", "`format` to write")
	fs.StringVar(&zone, "zone", "", "time `zone` of what is written: UTC, Europe/Paris (default that of this machine)")
	fs.StringVarP(&out, "out", "o", "", "`file` to write, once all is read; without it standard output")
	filter.addFlags(fs)
	source.addFlags(e, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if to == "" {
			return withHint(usagef("export needs --to FORMAT"), "see portreeve history export --help")
		}
		c := logConverter{}
		var err error
		if c.to, err = formatNamed("--to", to); err != nil {
			return err
		}
		if c.zone, err = zoneNamed("--zone", zone); err != nil {
			return err
		}
		chosen, err := filter.parse(time.Now().In(c.zone))
		if err != nil {
			return err
		}
		db, err := source.db()
		if err != nil {
			return err
		}
		x := historyExport{db: db, query: queryOf(&filter, chosen), progress: newProgress(e, out == "" && terminalWidth(e.out) > 0)}
		write := func(w io.Writer) error {
			return c.writeEach(w, func(do func(*logparse.Entry) error) error { return x.each(cmd.Context(), do) })
		}
		if out == "" {
			err = write(e.out)
		} else if err = apart(out, []*logfile.File{}); err == nil {
			err = replaceFile(out, write)
		}
		x.progress.end()
		if err == nil {
			c.tell(e)
		}
		return err
	}
	return cmd
}

// A historyExport reads what is remembered, and says how far it is.
type historyExport struct {
	db       history.DB
	query    history.Query
	progress *progress
}

func (x *historyExport) each(ctx context.Context, do func(*logparse.Entry) error) error {
	n := 0
	for entry, err := range x.db.All(x.query) {
		if err = cmp.Or(err, context.Cause(ctx)); err != nil {
			return err
		}
		if n++; n%1000 == 0 && x.progress.due() {
			x.progress.say(fmt.Sprintf("writing: %d entries, up to %s", n, entry.Time.Format(time.DateTime)))
		}
		if err := do(entry); err != nil {
			return err
		}
	}
	return nil
}
