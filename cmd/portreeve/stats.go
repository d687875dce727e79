package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
	"portreeve/server/history"
	"portreeve/stats"
	"portreeve/userdb"
)

type statsOptions struct {
	source  logSource
	filter  logFilter
	by      []string
	top     int
	order   string
	depth   int
	keys    int
	json    bool
	csv     bool
	html    string
	state   string
	compare string
	quiet   []string
	workers int
	db      string
	memory  bool
}

func newStats(e *env) *cobra.Command {
	var opts statsOptions
	cmd := &cobra.Command{
		Use:   "stats [flags] [FILE...]",
		Short: "Sum up what logs of transfers tell",
		Long: `Stats reads logs of transfers and tells who moved what, when, from where, how
fast, and what was unusual.

` + logFilesHelp + `

--by asks for one dimension, or for two crossed:

` + dimensionHelp() + `

--compare shows what changed against another period: "before" is as long as
--since and --until span, and just before them; or it is a period as --since
takes it, such as "last month" or 2026-10.

--state keeps what was read in a file, so that next time only new lines are. A
log is known by how it begins, and so may be rotated and compressed meanwhile.

What is unusual is found by these rules, which --no-rule silences:

` + ruleHelp() + `

` + periodHelp() + `

` + exitStatusHelp,
		Example: `  portreeve stats /var/log/xferlog
  portreeve stats --since 7d --by user --top 20
  portreeve stats --since 'last month' --compare before --html report.html
  portreeve stats --by user,day --csv 'xferlog*' >users.csv
  portreeve stats --state /var/lib/portreeve/stats.state /var/log/xferlog`,
	}
	addLogSource(e, cmd, &opts.source)
	fs := cmd.Flags()
	opts.filter.addFlags(fs)
	fs.StringArrayVar(&opts.by, "by", nil, "only sum up by a `dimension`, or by two with a comma between; may be repeated")
	fs.IntVar(&opts.top, "top", stats.DefaultTop, "so many `rows` of each table; 0 is all")
	fs.StringVar(&opts.order, "sort", string(stats.ByBytes), "best first by `column`: bytes or count")
	fs.IntVar(&opts.depth, "depth", stats.DefaultDepth, "so many `folders` of a directory")
	fs.StringVar(&opts.compare, "compare", "", "compare with another `period`, or with the one before")
	fs.StringSliceVar(&opts.quiet, "no-rule", nil, "do not tell what this `rule` finds unusual; all silences them all")
	fs.StringVar(&opts.db, "quotas", "", "foretell when the quotas of users in this `database` are full")
	fs.BoolVar(&opts.json, "json", false, "print JSON")
	fs.BoolVar(&opts.csv, "csv", false, "print the tables as CSV")
	fs.StringVar(&opts.html, "html", "", "write a page with charts to a `file`; - is the output")
	fs.BoolVar(&opts.memory, "from-history", false, "read no log, but what the daemon remembers")
	fs.StringVar(&opts.state, "state", "", "go on from what a `file` knows, and write there what was read")
	fs.IntVar(&opts.keys, "keys", stats.DefaultKeys, "keep so many `keys` of each table; the smallest are folded together")
	fs.IntVar(&opts.workers, "workers", 0, "read with so many `threads` at once; 0 is one for each core")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runStats(cmd.Context(), e, &opts, args) }
	return cmd
}

// ruleHelp lists the rules.
func ruleHelp() string {
	var b strings.Builder
	for _, r := range stats.Rules {
		describe(&b, "  "+r.Name, r.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// dimensionHelp lists the dimensions.
func dimensionHelp() string {
	var b strings.Builder
	for _, d := range stats.Dimensions {
		describe(&b, "  "+d.Name, d.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// dimensionsOf reads --by.
func dimensionsOf(by []string) (all [][]stats.Dimension, err error) {
	for _, text := range by {
		var one []stats.Dimension
		for name := range strings.SplitSeq(text, ",") {
			d, ok := stats.FindDimension(strings.TrimSpace(name))
			if !ok {
				return nil, withHint(usagef("--by %s: there is no dimension %q", text, name), "portreeve stats --help lists them")
			}
			one = append(one, d)
		}
		if len(one) > 2 {
			return nil, usagef("--by %s: at most two dimensions can be crossed", text)
		}
		all = append(all, one)
	}
	return all, nil
}

// collector reads what is counted and how.
func (o *statsOptions) collector(zone *time.Location) (stats.Options, error) {
	by, err := dimensionsOf(o.by)
	if err != nil {
		return stats.Options{}, err
	}
	order := stats.Order(o.order)
	switch {
	case order != stats.ByBytes && order != stats.ByCount:
		return stats.Options{}, usagef("--sort %s: it is bytes or count", o.order)
	case o.top < 0 || o.depth < 1 || o.keys < 1 || o.workers < 0:
		return stats.Options{}, usagef("--top and --workers are no less than 0, and --depth and --keys than 1")
	case o.json && o.csv, o.html != "" && (o.json || o.csv):
		return stats.Options{}, usagef("--json, --csv and --html exclude each other")
	case o.state != "" && o.compare+o.filter.since+o.filter.until != "":
		return stats.Options{}, usagef("--state excludes --since, --until and --compare: a state has everything that was read")
	}
	options := stats.Options{Zone: zone, By: by, Top: o.top, Order: order, Depth: o.depth, Keys: o.keys, Filter: o.filter.String()}
	if o.top == 0 {
		options.Top = -1
	}
	for _, name := range o.quiet {
		known := slices.ContainsFunc(stats.Rules[:], func(r stats.Rule) bool { return r.Name == name })
		if !known && name != "all" {
			return options, withHint(usagef("--no-rule: there is no rule %q", name), "portreeve stats --help lists them")
		}
		for _, r := range stats.Rules {
			if name == "all" || name == r.Name {
				options.Quiet = append(options.Quiet, r.Name)
			}
		}
	}
	return options, o.quotas(&options)
}

// quotas has the quotas of users looked up, as they are now.
func (o *statsOptions) quotas(options *stats.Options) error {
	if o.db == "" {
		return nil
	}
	db := userdb.At(o.db)
	tallies, err := db.Tallies()
	if err != nil {
		return pwError(err)
	}
	limits := make(map[string]stats.Quota)
	for u, err := range db.All() {
		if err != nil {
			return pwError(err)
		}
		q := quotaOf(u, tallies[u.Name])
		if limit, limited := q.Bytes.Value(); limited && q.Counted {
			limits[u.Name] = stats.Quota{Used: q.Used.Bytes, Limit: limit}
		}
	}
	options.Quota = func(user string) (stats.Quota, bool) {
		q, ok := limits[user]
		return q, ok
	}
	return nil
}

func runStats(ctx context.Context, e *env, opts *statsOptions, args []string) error {
	zone, err := opts.source.location()
	if err != nil {
		return err
	}
	options, err := opts.collector(zone)
	if err != nil {
		return err
	}
	now := time.Now().In(zone)
	filter, err := opts.filter.parse(now)
	if err != nil {
		return err
	}
	if _, err := opts.against(filter.Window, now); err != nil {
		return err
	}
	if opts.memory && len(args) > 0 || opts.memory && opts.state != "" {
		return usagef("--from-history reads no files, and keeps no state")
	}
	c := &counting{env: e, opts: opts, began: time.Now()}
	if !opts.memory {
		if c.files, c.faults, err = opts.source.files(args); err != nil {
			return err
		}
	}
	if opts.workers == 0 {
		opts.workers = runtime.GOMAXPROCS(0)
	}
	r, err := c.report(ctx, options, filter, now)
	if err != nil {
		return err
	}
	if err := opts.show(e, r); err != nil {
		return err
	}
	if c.faults > 0 {
		return fmt.Errorf("files that could not be read, or not wholly: %d", c.faults)
	}
	return nil
}

// A counting reads files for a report.
type counting struct {
	env    *env
	opts   *statsOptions
	files  []*logfile.File
	faults int
	began  time.Time

	opening sync.Mutex
	inputs  []*logfile.Input
}

// report reads what is to be reported, and what that is compared with.
func (c *counting) report(ctx context.Context, o stats.Options, filter logfile.Filter, now time.Time) (*stats.Report, error) {
	var err error
	collector, places := stats.NewCollector(keeping(o, filter)), new(stats.Places)
	if c.opts.state != "" {
		if collector, places, err = loadState(keeping(o, filter), c.opts.state); err != nil {
			return nil, err
		}
	}
	if err := c.read(ctx, collector, filter.Window, places); err != nil {
		return nil, err
	}
	if c.opts.state != "" {
		if err := saveState(collector, places, c.opts.state); err != nil {
			return nil, err
		}
	}
	if c.opts.compare == "before" && filter.Window.Until.IsZero() && !collector.Last().IsZero() { // an old log goes by its own end
		now = collector.Last().Add(time.Second)
	}
	against, err := c.opts.against(filter.Window, now)
	if err != nil {
		return nil, err
	}
	var before *stats.Collector
	if against.Bounded() {
		filter.Window = against
		before = stats.NewCollector(keeping(o, filter))
		if err := c.read(ctx, before, against, new(stats.Places)); err != nil {
			return nil, err
		}
	}
	r := collector.Report(before)
	r.Read.Took = time.Since(c.began).Seconds()
	if before != nil {
		r.Against = against.Since.Format(time.DateTime) + " to " + against.Until.Format(time.DateTime)
	}
	return r, nil
}

// keeping are options with a filter, which is not asked if it chooses everything.
func keeping(o stats.Options, filter logfile.Filter) stats.Options {
	if !filter.Empty() {
		o.Keep = filter.Match
	}
	return o
}

// against is the window that --compare means.
func (o *statsOptions) against(w logfile.Window, now time.Time) (logfile.Window, error) {
	switch {
	case o.compare == "":
		return logfile.Window{}, nil
	case o.compare != "before":
		since, err := logfile.ParseSince(o.compare, now)
		if err != nil {
			return w, withHint(usagef("--compare: %w", err), "before, 'last month' or 2026-10 are understood")
		}
		until, err := logfile.ParseUntil(o.compare, now)
		if err != nil || !since.Before(until) {
			return w, usagef("--compare %s is no stretch of time", o.compare)
		}
		return logfile.Window{Since: since, Until: until}, nil
	case w.Since.IsZero():
		return w, withHint(usagef("--compare before asks for what was before --since"), "--since 7d, for example")
	}
	until := w.Until
	if until.IsZero() {
		until = now
	}
	return logfile.Window{Since: w.Since.Add(-until.Sub(w.Since)), Until: w.Since}, nil
}

// badShown is of how many bad lines of a file is told; the report has the number
// of all.
const badShown = 5

// read adds what files have of a window.
func (c *counting) read(ctx context.Context, into *stats.Collector, window logfile.Window, places *stats.Places) error {
	pieces, err := c.pieces(window, places)
	if err != nil {
		return err
	}
	reading := stats.Reading{Workers: c.opts.workers, Limit: badShown, Bad: func(err error) {
		complain(c.env, err.Error())
		if _, ok := errors.AsType[*logparse.LineError](err); !ok {
			c.faults++
		}
	}}
	var total int64
	for i := range pieces {
		total += pieces[i].Size
	}
	stop := c.watch(total)
	defer stop()
	return into.Read(ctx, pieces, reading)
}

// watch shows how far the reading is, until it is stopped.
func (c *counting) watch(total int64) (stop func()) {
	p := newProgress(c.env, false)
	done := make(chan struct{})
	var over sync.WaitGroup
	over.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				p.end()
				return
			case <-tick.C:
				p.bytes("reading", c.done(), total)
			}
		}
	})
	return func() {
		close(done)
		over.Wait()
		c.inputs = nil
	}
}

// done is how many bytes were read.
func (c *counting) done() (n int64) {
	c.opening.Lock()
	defer c.opening.Unlock()
	for _, in := range c.inputs {
		n += in.Done()
	}
	return n
}

// opened notes an input, for done.
func (c *counting) opened(in *logfile.Input, err error) (stats.Lines, error) {
	if err != nil {
		return nil, err
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	c.inputs = append(c.inputs, in)
	in.Lend = true // a collector keeps nothing of an entry
	return in, nil
}

// pieces are what is to be read of files, in as many parts as threads read.
func (c *counting) pieces(window logfile.Window, places *stats.Places) ([]stats.Piece, error) {
	var pieces []stats.Piece
	if c.opts.memory {
		source := historySource{config: c.opts.source.config}
		db, err := source.db()
		if err != nil {
			return nil, err
		}
		q := history.Query{Since: window.Since, Until: window.Until}
		return []stats.Piece{{Name: "history", Open: func() (stats.Lines, error) { return newHistoryLines(db.All(q)), nil }}}, nil
	}
	for _, f := range c.files {
		if c.opts.state != "" {
			p, err := c.piece(f, places)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, p)
			continue
		}
		part, err := f.Within(window)
		if err != nil {
			return nil, err
		}
		parts, err := f.Segments(part, c.opts.workers)
		if err != nil {
			return nil, err
		}
		for i, part := range parts {
			length := part.Length
			if length == 0 {
				length = f.Size - part.Offset
			}
			pieces = append(pieces, stats.Piece{Name: f.Path, Size: length, Goes: i > 0, Open: func() (stats.Lines, error) { return c.opened(f.OpenPart(part)) }})
		}
	}
	return pieces, nil
}

// piece is what of a file was not read before.
func (c *counting) piece(f *logfile.File, places *stats.Places) (stats.Piece, error) {
	head, err := f.Head(stats.HeadLength)
	if err != nil {
		return stats.Piece{}, err
	}
	place := places.Find(head)
	p := stats.Piece{Name: f.Path, Size: f.Size, Goes: place.Offset > 0}
	open := f.Open
	if f.Plain {
		part, err := f.From(place.Offset)
		if err != nil {
			return p, err
		}
		open = func() (*logfile.Input, error) { return f.OpenPart(part) }
		p.Size -= part.Offset
		p.Done = func(offset int64) { place.Offset = part.Offset + offset }
	} else { // what was compressed since is read again, and counted from there on
		p.Skip = place.Offset
		p.Done = func(offset int64) { place.Offset = max(place.Offset, offset) }
	}
	p.Open = func() (stats.Lines, error) {
		in, err := open()
		if err == nil {
			in.Growing = f.Plain
		}
		return c.opened(in, err)
	}
	return p, nil
}

// show writes a report as was asked for.
func (o *statsOptions) show(e *env, r *stats.Report) error {
	switch {
	case o.html != "":
		return writeStatsPage(e, o.html, r)
	case o.json:
		return writeJSON(e.out, r)
	case o.csv:
		return writeTables(e.out, r, o.by)
	}
	return newSheet(e, r, stats.Order(o.order)).write(o.by)
}

// writeTables writes tables as CSV: those that were asked for, or all. The first
// column says which table a row is of.
func writeTables(w io.Writer, r *stats.Report, by []string) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"table", "key", "also", "uploads", "downloads", "deletes", "incomplete", "bytes_in", "bytes_out", "seconds",
		"share_of_count", "share_of_bytes", "last"}}
	for i := range r.Tables {
		t := &r.Tables[i]
		if len(by) > 0 && !asked(by, t.Name) {
			continue
		}
		for j := range t.Rows {
			rows = append(rows, csvRow(t.Name, sheetCell(t.Rows[j].Key), &t.Rows[j]))
		}
		if t.Other != nil {
			rows = append(rows, csvRow(t.Name, "(others)", t.Other))
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return err
	}
	return out.Error()
}

func asked(by []string, name string) bool {
	for _, text := range by {
		if strings.ReplaceAll(text, " ", "") == name {
			return true
		}
	}
	return false
}

func csvRow(table, key string, r *stats.Row) []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	last := ""
	if !r.Last.IsZero() {
		last = r.Last.Format(time.RFC3339)
	}
	return []string{table, key, sheetCell(r.Also), n(r.Up), n(r.Down), n(r.Deleted), n(r.Incomplete), n(r.In), n(r.Out), f(r.Seconds), f(r.OfCount), f(r.OfBytes), last}
}

// sheetCell makes a name fit for a spreadsheet, which takes what begins so for a
// formula.
func sheetCell(name string) string {
	name = stats.Escaped(name)
	if name != "" && strings.ContainsRune("=+-@", rune(name[0])) {
		return "'" + name
	}
	return name
}
