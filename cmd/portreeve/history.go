package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/logfile"
	"portreeve/logparse"
	"portreeve/server"
	"portreeve/server/history"
	"portreeve/stats"
)

// historyFile is where a server with a configuration keeps its history.
func historyFile(cfg server.Config) string {
	if cfg.HistoryFile != "" {
		return cfg.HistoryFile
	}
	return filepath.Join(filepath.Dir(cfg.UserDB), "history.db")
}

// historyLimits are how much is remembered.
func historyLimits(cfg server.Config) history.Options {
	return history.Options{Days: cfg.HistoryDays, Bytes: cfg.HistorySize}
}

// openRecords has written down what happens: uploads for a program, and history.
func (d *daemon) openRecords(cfg server.Config) (stop func(), err error) {
	closeUploads, err := d.openUploads(cfg)
	if err != nil {
		return nil, err
	}
	d.history = history.Record(history.At(historyFile(cfg)), historyLimits(cfg), d.log)
	d.ftp.Recorder = d.history
	return func() {
		d.history.Close()
		closeUploads()
	}, nil
}

// historySource says which history is asked.
type historySource struct {
	config configSource
	file   string
}

func (s *historySource) addFlags(e *env, cmd *cobra.Command) {
	s.config.env = e
	cmd.Flags().StringVar(&s.file, "file", "", "`file` of history (default what HistoryFile says, or history.db beside the user database)")
	addConfigFlag(cmd, &s.config)
}

// db is the history that is asked.
func (s *historySource) db() (history.DB, error) {
	if s.file != "" {
		return history.At(s.file), nil
	}
	cfg, _ := s.config.defaults()
	if path := s.config.path(); path != "" {
		if _, err := server.Directives.ReadFile(&cfg, path); err != nil {
			return history.DB{}, usagef("%w", err)
		}
	}
	return history.At(historyFile(cfg)), nil
}

type historyFlags struct {
	source historySource
	zone   logSource // only the zone of it
	filter logFilter
	form   logForm
	last   int
}

func newHistory(e *env) *cobra.Command {
	var opts historyFlags
	cmd := &cobra.Command{
		Use:   "history [flags]",
		Short: "Show what the daemon remembers",
		Long: `History shows what happened in the last days: logins, transfers, and what was
deleted, renamed or made. The daemon remembers it for HistoryDays, whether there
is a log or not; it need not run. The newest entries are shown, the last of them
at the end.

A --path without * or ? is looked up at once, and so are one --user and an
--addr that is an address.

` + periodHelp() + `

` + exitStatusHelp,
		Example: `  portreeve history --path /srv/ftp/alice/report.pdf     # who touched this file
  portreeve history --user alice --since tuesday --until tuesday
  portreeve history --outcome doubtful,incomplete --since 7d
  portreeve history --last 0 --json >everything.json
  portreeve history top --since 'this month'`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	opts.filter.addFlags(fs)
	opts.form.addFlags(fs)
	fs.IntVar(&opts.last, "last", 100, "the last so many `entries`; 0 is all")
	addZoneFlag(fs, &opts.zone)
	opts.source.addFlags(e, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runHistoryShow(cmd.Context(), e, &opts) }
	cmd.AddCommand(newHistoryTop(e), newHistoryStatus(e), newHistoryExport(e), newHistoryPrune(e))
	return cmd
}

func addZoneFlag(fs *pflag.FlagSet, s *logSource) {
	fs.StringVar(&s.zone, "zone", "", "time `zone` of what is shown: UTC, Europe/Paris (default that of this machine)")
}

// queryOf is a query that finds what a filter chooses, fast where it can.
func queryOf(f *logFilter, filter logfile.Filter) history.Query {
	q := history.Query{Since: filter.Window.Since, Until: filter.Window.Until, Match: filter.Match}
	if len(f.users) == 1 {
		q.User = f.users[0]
	}
	if len(f.addrs) == 1 {
		if addr, err := netip.ParseAddr(f.addrs[0]); err == nil {
			q.Host = addr.String()
		}
	}
	if len(f.paths) == 1 && strings.HasPrefix(f.paths[0], "/") && !strings.HasSuffix(f.paths[0], "/") && !strings.ContainsAny(f.paths[0], `*?[\`) {
		q.Path = f.paths[0]
	}
	return q
}

func runHistoryShow(ctx context.Context, e *env, opts *historyFlags) error {
	if opts.last < 0 {
		return usagef("--last is no less than 0")
	}
	zone, err := opts.zone.location()
	if err != nil {
		return err
	}
	filter, err := opts.filter.parse(time.Now().In(zone))
	if err != nil {
		return err
	}
	db, err := opts.source.db()
	if err != nil {
		return err
	}
	p, err := opts.form.printer(e, &opts.zone)
	if err != nil {
		return err
	}
	q := queryOf(&opts.filter, filter)
	q.Newest = opts.last > 0
	var rows []logRow
	for entry, err := range db.All(q) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		row := p.row(entry)
		if opts.last == 0 {
			if err := p.print(row); err != nil {
				return err
			}
			continue
		}
		if rows = append(rows, row); len(rows) == opts.last {
			break
		}
	}
	for _, row := range slices.Backward(rows) {
		if err := p.print(row); err != nil {
			return err
		}
	}
	return p.flush()
}

func newHistoryTop(e *env) *cobra.Command {
	var source historySource
	var since, until, by string
	var top int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "top [--by WHAT] [--since TIME] [--until TIME] [--top N]",
		Short: "List the users, files or clients that moved most",
		Long: `Top sums up what each user moved, from one day to another; days are those of
UTC. Of users it goes back further than the entries that are remembered; of
paths and addresses it does not.

` + exitStatusHelp,
		Example: `  portreeve history top
  portreeve history top --by path --since today
  portreeve history top --by addr --since 7d
  portreeve history top --since 'last month' --until 'last month' --json`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&by, "by", "user", "sum up by this: user, path or addr")
	fs.StringVar(&since, "since", "", "only from this `time` on")
	fs.StringVar(&until, "until", "", "only before the end of this `time`")
	fs.IntVar(&top, "top", 20, "at most so many `lines`; 0 is all")
	fs.BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	source.addFlags(e, cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if !slices.Contains(history.Bys, history.By(by)) {
			return usagef("--by: %q is none of user, path, addr", by)
		}
		f := logFilter{since: since, until: until}
		window, err := f.window(time.Now().UTC())
		if err != nil {
			return err
		}
		db, err := source.db()
		if err != nil {
			return err
		}
		sums, err := topOf(e, db, history.By(by), window)
		if err != nil {
			return err
		}
		if top > 0 {
			sums = sums[:min(len(sums), top)]
		}
		return writeSums(e.out, history.By(by), sums, asJSON)
	}
	return cmd
}

// topOf sums up a history, and says so if it is not all of it.
func topOf(e *env, db history.DB, by history.By, window logfile.Window) ([]history.Sum, error) {
	if by == history.ByUser {
		return db.Users(window.Since, window.Until)
	}
	sums, cut, err := db.Top(history.Query{Since: window.Since, Until: window.Until}, by)
	if cut && err == nil {
		complain(e, "there is more than can be summed up: old entries, or names that moved little, are left out")
	}
	return sums, err
}

func writeSums(w io.Writer, by history.By, sums []history.Sum, asJSON bool) error {
	t := table{header: []string{strings.ToUpper(string(by)), "UP", "IN", "DOWN", "OUT", "INCOMPLETE", "DELETED"}, right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}}
	for _, s := range sums {
		if asJSON {
			if err := writeJSONLine(w, s); err != nil {
				return err
			}
		}
		t.add(fitted(visible(s.Name()), 24), stats.Grouped(s.Uploads), sizeShort(s.In), stats.Grouped(s.Downloads), sizeShort(s.Out), stats.Grouped(s.Incomplete), stats.Grouped(s.Deletes))
	}
	if asJSON {
		return nil
	}
	return t.write(w)
}

func newHistoryStatus(e *env) *cobra.Command {
	var source historySource
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how far the history goes back, and what it takes",
		Long: `Status tells how many entries are remembered, since when, and how large their
file is.

` + exitStatusHelp,
		Example: `  portreeve history status`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	source.addFlags(e, cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		db, err := source.db()
		if err != nil {
			return err
		}
		s, err := db.Status()
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(e.out, s)
		}
		t := table{header: []string{"HISTORY", db.Path()}}
		t.add("entries", strconv.FormatInt(s.Entries, 10))
		if s.Entries > 0 {
			t.add("from", s.First.Local().Format(time.DateTime))
			t.add("to", s.Last.Local().Format(time.DateTime))
		}
		t.add("size", size(s.Bytes))
		return t.write(e.out)
	}
	return cmd
}

// historyLines read a history as a log is read.
type historyLines struct {
	next   func() (*logparse.Entry, error, bool)
	stop   func()
	counts logparse.Counts
}

func newHistoryLines(entries iter.Seq2[*logparse.Entry, error]) *historyLines {
	next, stop := iter.Pull2(entries)
	return &historyLines{next: next, stop: stop}
}

func (l *historyLines) Read(e *logparse.Entry) error {
	entry, err, ok := l.next()
	if !ok {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("reading the history: %w", err)
	}
	l.counts.Lines++
	l.counts.Entries++
	*e = *entry
	return nil
}

func (l *historyLines) Counts() logparse.Counts { return l.counts }
func (l *historyLines) Offset() int64           { return 0 }
func (l *historyLines) Close() error            { l.stop(); return nil }
