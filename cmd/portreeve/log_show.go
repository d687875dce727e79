package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/logparse"
)

type logShowOptions struct {
	source logSource
	filter logFilter
	form   logForm
	limit  int
	last   int
}

func newLogShow(e *env) *cobra.Command {
	var opts logShowOptions
	cmd := &cobra.Command{
		Use:   "show [flags] [FILE...]",
		Short: "Show what logs tell, as a table",
		Long: `Show prints the entries of logs that the flags choose: what happened, how it
ended (nothing is said of what is whole), who did it, from where, how many bytes
were moved, and the path. Bytes that are no character are shown as \x.., and
control characters as well. --json prints an object a line that has everything,
with times in UTC.

` + logFilesHelp + `

A line that cannot be read is told with its file and number, and the others are
shown.

` + periodHelp() + `

` + exitStatusHelp,
		Example: `  portreeve log show --since yesterday --user alice
  portreeve log show --since 'last month' --direction up --min-size 1G
  portreeve log show --addr 192.0.2.0/24 --outcome incomplete,failed xferlog
  portreeve log show --path '/srv/**/*.pdf' --csv '/var/log/xferlog*' >pdf.csv
  zcat old.gz | portreeve log show --last 20 -`,
	}
	fs := cmd.Flags()
	addLogSource(e, cmd, &opts.source)
	opts.filter.addFlags(fs)
	opts.form.addFlags(fs)
	fs.IntVar(&opts.limit, "limit", 0, "only the first so many `entries`")
	fs.IntVar(&opts.last, "last", 0, "only the last so many `entries`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogShow(cmd.Context(), e, opts, args) }
	return cmd
}

func runLogShow(ctx context.Context, e *env, opts logShowOptions, args []string) error {
	if opts.limit < 0 || opts.last < 0 || opts.limit > 0 && opts.last > 0 {
		return usagef("either --limit or --last, and each at least 1")
	}
	p, err := opts.form.printer(e, &opts.source)
	if err != nil {
		return err
	}
	r, err := newLogReading(&opts.source, &opts.filter, args, opts.last == 0 && terminalWidth(e.out) > 0)
	if err != nil {
		return err
	}
	last := ring{size: opts.last}
	err = r.each(ctx, func(entry *logparse.Entry) error {
		row := p.row(entry)
		if opts.last > 0 {
			last.add(row)
			return nil
		}
		if err := p.print(row); err != nil {
			return err
		}
		if p.rows == opts.limit {
			return errEnough
		}
		return nil
	})
	for _, row := range last.all() {
		err = cmp.Or(err, p.print(row))
	}
	return r.end(cmp.Or(err, p.flush()))
}

// A ring keeps the last rows.
type ring struct {
	rows []logRow
	size int
	next int
}

func (r *ring) add(row logRow) {
	if len(r.rows) < r.size {
		r.rows = append(r.rows, row)
		return
	}
	r.rows[r.next] = row
	r.next = (r.next + 1) % r.size
}

func (r *ring) all() []logRow { return append(r.rows[r.next:], r.rows[:r.next]...) }

// A logForm is how entries are printed.
type logForm struct{ json, csv bool }

func (f *logForm) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.json, "json", false, "print JSON, an object a line")
	fs.BoolVar(&f.csv, "csv", false, "print CSV, with a line of titles")
}

// A logPrinter prints entries.
type logPrinter struct {
	form   logForm
	out    *bufio.Writer
	zone   *time.Location
	width  int // of the terminal; 0: none
	colour bool
	json   logparse.Format
	day    string // of the last row
	rows   int
	line   []byte
}

// A logRow is an entry as it is printed.
type logRow struct {
	time time.Time
	day  string
	text string
}

func (f logForm) printer(e *env, s *logSource) (*logPrinter, error) {
	if f.json && f.csv {
		return nil, usagef("--json and --csv exclude each other")
	}
	zone, err := s.location()
	if err != nil {
		return nil, err
	}
	p := &logPrinter{form: f, out: bufio.NewWriterSize(e.out, 64<<10), zone: zone, width: terminalWidth(e.out)}
	p.colour = p.width > 0 && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
	p.json, _ = logparse.Find("json")
	if f.csv {
		_, err = io.WriteString(p.out, strings.Join(logColumns, ",")+"\n")
	}
	return p, err
}

// row makes a row of an entry.
func (p *logPrinter) row(e *logparse.Entry) logRow {
	at := e.Time.In(p.zone)
	row := logRow{time: e.Time}
	switch p.line = p.line[:0]; {
	case p.form.json:
		p.line = p.json.AppendEntry(p.line, e)
	case p.form.csv:
		p.line = appendCSV(p.line, e, at)
	default:
		row.day = at.Format("Monday 2006-01-02")
		p.line = p.table(p.line, e, at)
	}
	row.text = string(p.line)
	return row
}

// print prints a row, below its day where that is another than the last one's.
func (p *logPrinter) print(row logRow) error {
	if row.day != p.day {
		gap := ""
		if p.day != "" {
			gap = "\n"
		}
		p.day = row.day
		fmt.Fprintf(p.out, "%s%s\n", gap, p.paint(strong, row.day))
	}
	p.rows++
	_, err := p.out.WriteString(row.text)
	return err
}

func (p *logPrinter) flush() error { return p.out.Flush() }

// Colours, by ECMA-48.
const (
	strong = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p *logPrinter) paint(colour, text string) string {
	if !p.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// logTable are the columns before the path: 58 in all.
var logTable = [...]struct {
	width int
	right bool
}{{8, false}, {8, false}, {6, false}, {10, false}, {15, false}, {6, true}}

func (p *logPrinter) table(line []byte, e *logparse.Entry, at time.Time) []byte {
	what, colour := e.Event.String(), ""
	if e.Event == logparse.Transfer {
		what, colour = "up", green
		if e.Direction == logparse.Download {
			what, colour = "down", cyan
		}
	}
	ended, alarm := "", ""
	switch e.Status {
	case logparse.Cut:
		ended, alarm = "part", yellow
	case logparse.Failed:
		ended, alarm = "failed", red
	case logparse.Doubtful:
		ended, alarm = "doubt", yellow
	}
	moved := ""
	if e.Event == logparse.Transfer || e.Bytes > 0 {
		moved = sizeBrief(e.Bytes)
	}
	cells := [len(logTable)]string{at.Format("15:04:05"), what, ended, escaped(e.User), escaped(e.Host), moved}
	paints := [len(logTable)]string{1: colour, 2: alarm}
	used := 0
	for i, c := range logTable {
		text := cells[i]
		if p.width > 0 && columns(text) > c.width {
			text = clipped(text, c.width)
		}
		pad := strings.Repeat(" ", max(0, c.width-columns(text)))
		used += columns(text) + len(pad) + 1
		if text = p.paint(paints[i], text); c.right {
			text = pad + text
		} else {
			text += pad
		}
		line = append(append(line, text...), ' ')
	}
	about := logAbout(e)
	if room := p.width - used; p.width > 0 && columns(about) > room {
		about = clippedFront(about, max(room, 10))
	}
	return append([]byte(strings.TrimRight(string(append(line, about...)), " ")), '\n')
}

// logAbout says what an entry is of: a path, or else what there is.
func logAbout(e *logparse.Entry) string {
	text := escaped(e.Path)
	if e.To != "" {
		text += " -> " + escaped(e.To)
	}
	about := [...]string{e.Command, e.Text, e.TLS, e.Cipher, e.Client, e.Reason}
	for i, more := range about {
		if more != "" && (e.Event != logparse.Transfer || i == len(about)-1) { // why a transfer ended so
			text = strings.TrimLeft(text+" "+escaped(more), " ")
		}
	}
	if e.Code != 0 && text == "" {
		text = strconv.Itoa(e.Code)
	}
	return text
}

// clippedFront leaves the end of a text, which of a path tells the most.
func clippedFront(s string, width int) string {
	for columns(s) >= width && s != "" {
		_, n := utf8.DecodeRuneInString(s)
		s = s[n:]
	}
	return "…" + s
}

// sizeBrief is a size in at most six columns.
func sizeBrief(n int64) string {
	if n < 10000 {
		return strconv.FormatInt(n, 10)
	}
	f, unit := float64(n), 0
	for f >= 999.5 && unit < 6 {
		f, unit = f/1024, unit+1
	}
	digits := 0
	if f < 99.95 {
		digits = 1
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " KMGTPE"[unit:unit+1]
}

// escaped writes a name of any bytes so that it is one line and steers no terminal:
// what is no printable character stands as an escape.
func escaped(name string) string {
	plain := true
	for i := range len(name) {
		plain = plain && ' ' <= name[i] && name[i] < 0x7f
	}
	if plain {
		return name
	}
	var b strings.Builder
	for i, r := range name {
		if r != utf8.RuneError && unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		_, n := utf8.DecodeRuneInString(name[i:])
		for _, c := range []byte(name[i : i+n]) {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// logColumns are those of CSV.
var logColumns = []string{"time", "event", "direction", "status", "user", "host", "path", "to", "bytes", "seconds", "rate", "session", "tls", "client", "reason", "text"}

func appendCSV(line []byte, e *logparse.Entry, at time.Time) []byte {
	direction, number := "", func(f float64) string {
		if f == 0 {
			return ""
		}
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	switch e.Direction {
	case logparse.Upload:
		direction = "up"
	case logparse.Download:
		direction = "down"
	}
	rate := ""
	if e.Event == logparse.Transfer {
		rate = number(e.Speed())
	}
	for i, cell := range []string{at.Format(time.RFC3339), e.Event.String(), direction, e.Status.String(), e.User, e.Host, e.Path, e.To,
		strconv.FormatInt(e.Bytes, 10), number(e.Took.Seconds()), rate, e.Session, e.TLS, e.Client, e.Reason, e.Text} {
		if i > 0 {
			line = append(line, ',')
		}
		cell = escaped(cell)
		if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) { // a spreadsheet takes it for a formula
			cell = "'" + cell
		}
		if strings.ContainsAny(cell, `",`) {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		line = append(line, cell...)
	}
	return append(line, '\n')
}
