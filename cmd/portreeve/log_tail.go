package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
)

type logTailOptions struct {
	source logSource
	filter logFilter
	form   logForm
	lines  int
	follow bool
}

func newLogTail(e *env) *cobra.Command {
	var opts logTailOptions
	cmd := &cobra.Command{
		Use:   "tail [flags] [FILE...]",
		Short: "Show the last entries of logs, and those to come",
		Long: `Tail prints the last entries that the flags choose, as "log show" does. With -f
it goes on with those that are written, until it is interrupted, also when a log
is renamed, compressed, truncated or made anew, or is not there for a while.
What sessions write to a file that was rotated away is shown for ten minutes
more. New logs that a pattern in quotes matches are followed within seconds; of
logs with a date in their name, the latest is.

` + logFilesHelp + `

` + periodHelp() + `

` + exitStatusHelp,
		Example: `  portreeve log tail
  portreeve log tail -f /var/log/xferlog
  portreeve log tail -f '/srv/*/ftp-*.log'
  portreeve log tail -f -n 0 --outcome incomplete,failed --json | logger -t ftp`,
	}
	fs := cmd.Flags()
	addLogSource(e, cmd, &opts.source)
	fs.BoolVarP(&opts.follow, "follow", "f", false, "go on with what is written")
	fs.IntVarP(&opts.lines, "lines", "n", 10, "so many `entries` of those that are there")
	opts.filter.addFlags(fs)
	opts.form.addFlags(fs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogTail(cmd.Context(), e, opts, args) }
	return cmd
}

func runLogTail(ctx context.Context, e *env, opts logTailOptions, args []string) error {
	if opts.lines < 0 {
		return usagef("-n %d is less than none", opts.lines)
	}
	p, err := opts.form.printer(e, &opts.source)
	if err != nil {
		return err
	}
	opts.source.waits = opts.follow
	opts.source.named = args
	matched := pathsLike(opts.source.patterns()) // before they are looked at: what comes later is new
	r, err := newLogReading(&opts.source, &opts.filter, args, true)
	if err != nil {
		return err
	}
	t := logTail{logReading: r, printer: p, options: opts, logs: make(map[string]*tailedLog)}
	t.matched = matched
	if opts.follow {
		t.name()
	}
	if err := t.last(ctx); err != nil {
		return r.end(err)
	}
	if err := p.flush(); err != nil || !opts.follow {
		return r.end(err)
	}
	return r.end(t.follow(ctx))
}

// A logTail shows the ends of logs.
type logTail struct {
	*logReading
	printer *logPrinter
	options logTailOptions
	logs    map[string]*tailedLog // by what they are called while they are written
	matched map[string]bool       // by patterns

	mu sync.Mutex // guards the printer while many are followed
}

// A tailedLog is one whose end is shown.
type tailedLog struct {
	path  string
	named bool            // to the letter
	files []*logfile.File // oldest first
	rows  []logRow
	file  *logfile.File    // that is written to
	read  int64            // of it
	state *logparse.Parser // by who read it
}

// name notes what is followed by the very name, unless it is there by another name,
// too.
func (t *logTail) name() {
	for _, path := range t.options.source.named {
		if path == logfile.Stdin || logfile.IsPattern(path) {
			continue
		}
		info, err := os.Stat(path)
		if err == nil && slices.ContainsFunc(t.files, func(f *logfile.File) bool { return f.Path != path && f.Is(info) }) {
			continue
		}
		t.logs[path] = &tailedLog{path: path, named: true}
	}
}

// last prints the last entries.
func (t *logTail) last(ctx context.Context) error {
	for _, f := range t.files {
		l := t.logs[f.Path] // who names a file that was rotated away means that
		if l == nil {
			l = t.logs[f.Log]
		}
		if l == nil {
			l = &tailedLog{path: f.Log}
			t.logs[f.Log] = l
		}
		l.files = append(l.files, f)
	}
	for _, l := range t.logs {
		l.choose()
	}
	var rows []logRow
	for _, path := range t.paths() {
		l := t.logs[path]
		for _, f := range slices.Backward(l.files) {
			if len(l.rows) >= t.options.lines && f != l.file {
				continue
			}
			found, err := t.ending(ctx, l, f)
			if err != nil {
				return err
			}
			l.rows = append(found, l.rows...)
		}
		rows = append(rows, l.rows...)
	}
	if len(t.logs) > 1 {
		slices.SortStableFunc(rows, func(a, b logRow) int { return a.time.Compare(b.time) })
	}
	for _, row := range rows[max(0, len(rows)-t.options.lines):] {
		if err := t.printer.print(row); err != nil {
			return err
		}
	}
	return nil
}

// choose finds the file that is written to: the one that is called as the log, or,
// if a pattern has none such, the latest, since there are logs that have a date in
// their names.
func (l *tailedLog) choose() {
	for _, f := range l.files {
		if f.Path == l.path {
			l.file = f
			return
		}
	}
	if last := len(l.files) - 1; last >= 0 && !l.named && l.files[last].Plain {
		l.file = l.files[last]
	}
}

// paths are those of the logs, in one order.
func (t *logTail) paths() []string {
	var paths []string
	for path := range t.logs {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// ending returns the last rows of a file, and notes how far it was read.
func (t *logTail) ending(ctx context.Context, l *tailedLog, f *logfile.File) ([]logRow, error) {
	for size := int64(256 << 10); ; size *= 8 {
		part, err := f.Ending(size)
		if err != nil {
			return nil, err
		}
		rows := ring{size: max(t.options.lines, 1)}
		said := make(map[string]int64)
		var faults []error
		read, err := t.part(ctx, f, part, &rows, func(err error) { faults = append(faults, err) })
		if err != nil {
			return nil, err
		}
		if enough := len(rows.rows) >= t.options.lines || part.Offset == 0; !enough {
			continue
		}
		if f == l.file {
			l.read, l.state = read.offset, read.state
		}
		for _, err := range faults {
			t.complain(err, said)
		}
		return rows.all(), nil
	}
}

// reached is how far a file was read, and what its reader knew there.
type reached struct {
	offset int64 // where the last whole line ends
	state  *logparse.Parser
}

// part reads a part of a file.
func (t *logTail) part(ctx context.Context, f *logfile.File, p logfile.Part, rows *ring, fault func(error)) (reached, error) {
	in, err := f.OpenPart(p)
	if err != nil {
		fault(err)
		return reached{}, nil
	}
	defer in.Close()
	in.Growing = t.options.follow && f.Plain
	n := 0
	for e, err := range in.All() {
		if n++; n%logfile.Often == 0 && ctx.Err() != nil {
			return reached{}, context.Cause(ctx)
		}
		if err != nil {
			fault(err)
		} else if t.filter.Match(e) {
			rows.add(t.printer.row(e))
		}
	}
	return reached{p.Offset + in.Offset(), &in.Parser}, nil
}

// came prints an entry that was written, or what is wrong with it.
func (t *logTail) came(l *tailedLog, e *logparse.Entry, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		why := err
		if line, ok := errors.AsType[*logparse.LineError](err); ok {
			why = line.Err
		}
		complain(t.env, fmt.Sprintf("%s: a line that was written: %v", l.path, why))
		return nil
	}
	if !t.filter.Match(e) {
		return nil
	}
	return cmp.Or(t.printer.print(t.printer.row(e)), t.printer.flush())
}

// absent tells whether an error tells of files that are not there, and returns
// what else it tells.
func absent(err error) (some bool, rest error) {
	var others []error
	for _, err := range joined(err) {
		if errors.Is(err, fs.ErrNotExist) {
			some = true
			continue
		}
		others = append(others, err)
	}
	return some, errors.Join(others...)
}

// joined returns the errors that one joins.
func joined(err error) []error {
	if all, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
