package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
	"portreeve/stats"
)

type statsOptions struct {
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
}

func newStats(e *env) *cobra.Command {
	var opts statsOptions
	cmd := &cobra.Command{
		Use:   "stats [flags] [FILE...]",
		Short: "Sum up what logs of transfers tell",
		Long: `Stats reads logs of transfers and tells who moved what, when, from where, how
fast, and what was unusual. Without a FILE it reads the logs that AltLog names,
with those that were rotated.

--by asks for one dimension, or for two crossed; these are known:

` + dimensionHelp() + `

` + exitStatusHelp,
		Example: `  portreeve stats /var/log/xferlog
  portreeve stats --since 7d --by user --top 20
  portreeve stats --since 'last month' --compare before --html report.html
  portreeve stats --by user,day --csv 'xferlog*' >users.csv
  portreeve stats --state /var/lib/portreeve/stats.state /var/log/xferlog`,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&opts.by, "by", nil, "only sum up by a `dimension`, or by two with a comma between; may be repeated")
	fs.IntVar(&opts.top, "top", stats.DefaultTop, "so many `rows` of each table; 0 is all")
	fs.StringVar(&opts.order, "sort", string(stats.ByBytes), "best first by `column`: bytes or count")
	fs.IntVar(&opts.depth, "depth", stats.DefaultDepth, "so many `folders` of a directory")
	fs.BoolVar(&opts.json, "json", false, "print JSON")
	fs.BoolVar(&opts.csv, "csv", false, "print the tables as CSV")
	fs.StringVar(&opts.html, "html", "", "write a page with charts to a `file`")
	fs.StringVar(&opts.state, "state", "", "go on from what a `file` knows, and write there what was read")
	fs.IntVar(&opts.keys, "keys", stats.DefaultKeys, "keep so many `keys` of each table; the smallest are folded together")
	fs.IntVar(&opts.workers, "workers", 0, "read with so many `threads` at once; 0 is one for each core")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runStats(cmd.Context(), e, opts, args) }
	return cmd
}

// dimensionHelp lists the dimensions.
func dimensionHelp() string {
	var b strings.Builder
	for i, d := range stats.Dimensions {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  %-10s %s", d.Name, d.Help)
	}
	return b.String()
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

func (o *statsOptions) collector() (stats.Options, error) {
	by, err := dimensionsOf(o.by)
	if err != nil {
		return stats.Options{}, err
	}
	order := stats.Order(o.order)
	if order != stats.ByBytes && order != stats.ByCount {
		return stats.Options{}, usagef("--sort %s: it is bytes or count", o.order)
	}
	if o.top < 0 || o.depth < 1 || o.keys < 1 || o.workers < 0 {
		return stats.Options{}, usagef("--top and --workers are no less than 0, and --depth and --keys than 1")
	}
	if o.json && o.csv {
		return stats.Options{}, usagef("--json and --csv exclude each other")
	}
	top := o.top
	if top == 0 {
		top = -1
	}
	return stats.Options{By: by, Top: top, Order: order, Depth: o.depth, Keys: o.keys}, nil
}

func runStats(ctx context.Context, e *env, opts statsOptions, files []string) error {
	began := time.Now()
	options, err := opts.collector()
	if err != nil {
		return err
	}
	c := stats.NewCollector(options)
	places := new(stats.Places)
	if opts.state != "" {
		if c, places, err = loadState(options, opts.state); err != nil {
			return err
		}
	}
	if opts.workers == 0 {
		opts.workers = runtime.GOMAXPROCS(0)
	}
	logs, err := logfile.Find(files, logfile.Options{Stdin: e.in})
	if err != nil {
		return err
	}
	pieces, err := opts.pieces(logs, logfile.Window{}, places)
	if err != nil {
		return err
	}
	unread := 0
	reading := stats.Reading{Workers: opts.workers, Limit: badShown, Bad: func(err error) {
		complain(e, err.Error())
		if _, ok := errors.AsType[*logparse.LineError](err); !ok {
			unread++
		}
	}}
	if err := c.Read(ctx, pieces, reading); err != nil {
		return err
	}
	if opts.state != "" {
		if err := saveState(c, places, opts.state); err != nil {
			return err
		}
	}
	r := c.Report(nil)
	r.Read.Took = time.Since(began).Seconds()
	if err := opts.show(e, r); err != nil {
		return err
	}
	if unread > 0 {
		return fmt.Errorf("files that could not be read: %d of %d", unread, len(pieces))
	}
	return nil
}

// badShown is of how many bad lines of a file is told; the report has the number
// of all.
const badShown = 5

// pieces are what is to be read of files, in as many parts as threads read.
func (o *statsOptions) pieces(files []*logfile.File, window logfile.Window, places *stats.Places) ([]stats.Piece, error) {
	var pieces []stats.Piece
	for _, f := range files {
		if o.state != "" {
			p, err := newPiece(f, places)
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
		parts, err := f.Segments(part, o.workers)
		if err != nil {
			return nil, err
		}
		for i, part := range parts {
			length := part.Length
			if length == 0 {
				length = f.Size - part.Offset
			}
			pieces = append(pieces, stats.Piece{Name: f.Path, Size: length, Goes: i > 0, Open: func() (stats.Lines, error) { return f.OpenPart(part) }})
		}
	}
	return pieces, nil
}

// newPiece is what of a file was not read before.
func newPiece(f *logfile.File, places *stats.Places) (stats.Piece, error) {
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
		return in, err
	}
	return p, nil
}

// show writes a report as was asked for.
func (o *statsOptions) show(e *env, r *stats.Report) error {
	switch {
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
	name = visible(name)
	if name != "" && strings.ContainsRune("=+-@", rune(name[0])) {
		return "'" + name
	}
	return name
}
