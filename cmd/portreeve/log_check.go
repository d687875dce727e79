package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
)

type logCheckOptions struct {
	source logSource
	all    bool
	json   bool
}

const logCheckShown = 20

func newLogCheck(e *env) *cobra.Command {
	var opts logCheckOptions
	cmd := &cobra.Command{
		Use:   "check [flags] [FILE...]",
		Short: "Find lines of logs that cannot be read",
		Long: `Check reads logs to their ends and tells of each file what it is and has, and
every line that cannot be read, or could be read otherwise, in which case it is
counted as ambiguous. Its exit status is 1 if a line or a file cannot be read.

` + logFilesHelp + `

` + exitStatusHelp,
		Example: `  portreeve log check /var/log/xferlog
  portreeve log check --all --json '/var/log/xferlog*' | jq '.[].bad_lines[]'
  portreeve log check --from xferlog-proftpd --rotated /var/log/proftpd/xferlog`,
	}
	addLogSource(e, cmd, &opts.source)
	cmd.Flags().BoolVar(&opts.all, "all", false, fmt.Sprintf("list all bad lines, and not %d of each file", logCheckShown))
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogCheck(cmd.Context(), e, opts, args) }
	return cmd
}

// A checkedLog is what was found of one file.
type checkedLog struct {
	File      string       `json:"file"`
	Format    string       `json:"format"` // "" if it is not known
	Bytes     int64        `json:"bytes"`  // on disk
	Lines     int64        `json:"lines"`
	Entries   int64        `json:"entries"`
	Bad       int64        `json:"bad"`
	TooLong   int64        `json:"too_long"`
	Ambiguous int64        `json:"ambiguous"`
	Weekday   int64        `json:"wrong_weekday"`
	Foreign   int64        `json:"foreign"` // in the system's log, by other programs
	First     time.Time    `json:"first,omitzero"`
	Last      time.Time    `json:"last,omitzero"`
	BadLines  []badLogLine `json:"bad_lines"`
	Error     string       `json:"error,omitempty"`
}

type badLogLine struct {
	Line int64  `json:"line"`
	Why  string `json:"why"`
}

func runLogCheck(ctx context.Context, e *env, opts logCheckOptions, args []string) error {
	zone, err := opts.source.location()
	if err != nil {
		return err
	}
	files, faults, err := opts.source.files(args)
	if err != nil {
		return err
	}
	c := logCheck{env: e, zone: zone, out: bufio.NewWriterSize(e.out, 64<<10), options: opts, progress: newProgress(e, false)}
	for _, f := range files {
		c.total += f.Size
	}
	all := []checkedLog{}
	for i, f := range files {
		found := c.file(ctx, f)
		if ctx.Err() != nil {
			c.progress.end()
			return context.Cause(ctx)
		}
		faults += boolInt(found.Bad > 0 || found.TooLong > 0 || found.Error != "")
		if opts.json {
			all = append(all, found)
			continue
		}
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		c.progress.end()
		c.tell(&found)
		err = cmp.Or(err, c.out.Flush())
	}
	c.progress.end()
	if opts.json {
		err = writeJSON(e.out, all)
	}
	if err == nil && faults > 0 {
		return errAnswered
	}
	return err
}

type logCheck struct {
	env         *env
	out         *bufio.Writer
	zone        *time.Location
	options     logCheckOptions
	progress    *progress
	done, total int64
}

func (c *logCheck) file(ctx context.Context, f *logfile.File) (found checkedLog) {
	found = checkedLog{File: f.Path, Format: f.Format.Name, Bytes: f.Size, BadLines: []badLogLine{}}
	in, err := f.Open()
	if err != nil {
		found.Error = err.Error()
		return found
	}
	defer in.Close()
	n := 0
	for e, err := range in.All() {
		if n++; n%logfile.Often == 0 {
			if c.progress.bytes("checking", c.done+in.Done(), c.total); ctx.Err() != nil {
				return found
			}
		}
		if line, ok := errors.AsType[*logparse.LineError](err); ok {
			if c.options.all || len(found.BadLines) < logCheckShown {
				found.BadLines = append(found.BadLines, badLogLine{line.Line, line.Err.Error()})
			}
			continue
		}
		if err != nil {
			found.Error = err.Error()
			break
		}
		if found.First.IsZero() || e.Time.Before(found.First) {
			found.First = e.Time
		}
		if e.Time.After(found.Last) {
			found.Last = e.Time
		}
	}
	c.done += f.Size
	counts := in.Counts()
	found.Format = in.Format.Name
	found.Lines, found.Entries, found.Bad, found.TooLong = counts.Lines, counts.Entries, counts.Bad, counts.TooLong
	found.Ambiguous, found.Weekday, found.Foreign = counts.Ambiguous, counts.Weekday, counts.Foreign
	return found
}

// tell prints what was found of a file.
func (c *logCheck) tell(found *checkedLog) {
	name := found.File
	if name == logfile.Stdin {
		name = "standard input"
	}
	fmt.Fprintln(c.out, escaped(name))
	row := func(title, text string) { fmt.Fprintf(c.out, "  %-11s%s\n", title, text) }
	if found.Error != "" {
		row("error", escaped(found.Error))
	}
	if found.Format == "" {
		found.Format = "none that is known"
		if found.Lines == 0 && found.Bytes == 0 {
			found.Format = "none; it is empty"
		}
	}
	row("format", found.Format)
	row("lines", fmt.Sprintf("%d, with %s", found.Lines, counted(int(found.Entries), "entry", "entries")))
	for _, n := range []struct {
		title string
		count int64
	}{{"bad", found.Bad}, {"too long", found.TooLong}, {"ambiguous", found.Ambiguous}} {
		row(n.title, fmt.Sprint(n.count))
	}
	if found.Weekday > 0 {
		row("weekday", fmt.Sprintf("is wrong in %d", found.Weekday))
	}
	if found.Foreign > 0 {
		row("foreign", fmt.Sprintf("%d, which other programs told the system's log", found.Foreign))
	}
	if !found.First.IsZero() {
		row("first", found.First.In(c.zone).Format("2006-01-02 15:04:05 -0700"))
		row("last", found.Last.In(c.zone).Format("2006-01-02 15:04:05 -0700"))
	}
	for _, bad := range found.BadLines {
		fmt.Fprintf(c.out, "%s:%d: %s\n", escaped(name), bad.Line, escaped(bad.Why))
	}
	if more := found.Bad + found.TooLong - int64(len(found.BadLines)); more > 0 {
		fmt.Fprintf(c.out, "%s: %s more; --all lists them\n", escaped(name), counted(int(more), "bad line", "bad lines"))
	}
}
