package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"portreeve/stats"
)

// A sheet is a report on a terminal, or in a text.
type sheet struct {
	io.Writer
	report *stats.Report
	order  stats.Order
	width  int
	blocks bool // bars are made of eighths of blocks, and not of number signs
}

const (
	sheetWidth = 80 // unless a terminal is wider
	widest     = 120
	mostDays   = 31 // rows of days that are shown, before weeks are instead
)

// newSheet finds out how wide the output is and which signs it knows.
func newSheet(e *env, r *stats.Report, order stats.Order) *sheet {
	width := terminalWidth(e.out)
	if width == 0 {
		width = sheetWidth
	}
	return &sheet{e.out, r, order, min(max(width, 60), widest), utf8Locale(e)}
}

// utf8Locale tells whether the user's locale has UTF-8.
func utf8Locale(e *env) bool {
	for _, name := range [...]string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(e.getenv(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}

// shownTables are those of a report that nobody asked for a part of, with the
// dimensions of which only one is shown, by how many keys there are.
var shownTables = [][]string{{"day", "week", "month"}, {"hour"}, {"weekday"}, {"user"}, {"network"}, {"host"}, {"domain"}, {"directory"}, {"file"}, {"extension"},
	{"direction"}, {"outcome"}, {"reason"}, {"account"}, {"protocol"}, {"client"}}

// write writes all of a report, or only what it is by.
func (s *sheet) write(by []string) error {
	var b strings.Builder
	out := s.Writer
	s.Writer = &b
	s.totals()
	if len(by) > 0 {
		for _, name := range by {
			t := s.report.Table(strings.ReplaceAll(name, " ", ""))
			if t == nil {
				s.line("")
				s.line("The log tells nothing of %s.", name)
				continue
			}
			s.table(t)
		}
	} else {
		s.everything()
	}
	s.footer()
	for line := range strings.Lines(b.String()) {
		if _, err := io.WriteString(out, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (s *sheet) everything() {
	for _, names := range shownTables {
		for i, name := range names {
			t := s.report.Table(name)
			if t == nil || name == "account" && len(t.Rows) < 2 {
				continue
			}
			if t.Ordered && len(t.Rows) > mostDays && i < len(names)-1 {
				continue
			}
			s.table(t)
			break
		}
	}
	s.heat()
	s.distribution("Sizes", s.report.Sizes, func(v float64) string { return size(int64(v)) })
	s.distribution("Rates", s.report.Rates, func(v float64) string { return size(int64(v)) + "/s" })
	s.durations()
	s.concurrency()
	s.failures()
	s.sessions()
	s.logins()
	s.forecasts()
	s.unusual()
}

func (s *sheet) line(format string, args ...any) {
	text := stats.Escaped(fmt.Sprintf(format, args...))
	if columns(text) <= s.width {
		fmt.Fprintln(s, text)
		return
	}
	for i, part := range wrapped(text, s.width-4) {
		fmt.Fprintln(s, [...]string{"  ", "    "}[min(i, 1)]+part)
	}
}

func (s *sheet) title(text string) { fmt.Fprintf(s, "\n%s\n", strings.ToUpper(text)) }

func (s *sheet) totals() {
	r := s.report
	if r.Total.Count() == 0 {
		s.line("No transfers%s.", ofPeriod(r))
		return
	}
	s.line("%s to %s (%s)", stampText(r.From), stampText(r.To), r.Zone)
	if r.Filters != "" {
		s.line("only %s", r.Filters)
	}
	if r.Against != "" {
		s.line("compared with %s", r.Against)
	}
	fmt.Fprintln(s)
	least := ""
	if r.Capped {
		least = "at least "
	}
	t := r.Total
	rows := [][2]string{
		{"transfers", fmt.Sprintf("%s: %s up, %s down; %s deleted", stats.Grouped(t.Up+t.Down), stats.Grouped(t.Up), stats.Grouped(t.Down), stats.Grouped(t.Deleted))},
		{"bytes", fmt.Sprintf("%s in, %s out", size(t.In), size(t.Out))},
		{"from", fmt.Sprintf("%s%s, %s, of %s", least, stats.NumberOf(r.Users, "user"), stats.NumberOf(r.Hosts, "host"), stats.NumberOf(r.Files, "file"))},
		{"incomplete", fmt.Sprintf("%s, %s", stats.Grouped(t.Incomplete), percent(float64(t.Incomplete), float64(t.Up+t.Down)))},
	}
	if r.Rates.Counted > 0 {
		rows = append(rows, [2]string{"rate", fmt.Sprintf("%s/s in all; 95 of 100 are below %s/s", size(int64(r.Rates.Mean)), size(int64(r.Rates.P95)))})
	}
	if r.Before != nil {
		b := *r.Before
		rows = append(rows, [2]string{"before", fmt.Sprintf("%s transfers (%s), %s in (%s), %s out (%s)", stats.Grouped(b.Up+b.Down), stats.Change(t.Up+t.Down, b.Up+b.Down),
			size(b.In), stats.Change(t.In, b.In), size(b.Out), stats.Change(t.Out, b.Out))})
	}
	for _, row := range rows {
		s.line("  %-11s %s", row[0], row[1])
	}
}

func ofPeriod(r *stats.Report) string {
	if r.Filters == "" {
		return ""
	}
	return " of those: " + r.Filters
}

// table writes rows with bars.
func (s *sheet) table(t *stats.Table) {
	s.title(tableTitle(t))
	parts := 1
	if strings.Contains(t.Name, ",") {
		parts = 2
	}
	changed := s.report.Before != nil && !slices.Contains([]string{"day", "week", "month"}, t.Name)
	best := 0.0
	for i := range t.Rows {
		best = max(best, s.weight(&t.Rows[i].Sum))
	}
	// Beside the key there are 5 columns of numbers, with what is between.
	bar, keys := 12, s.width-8-11-11-6-12-6
	if changed {
		keys -= 8
	}
	lines := table{header: []string{"", "COUNT", "IN", "OUT", "SHARE"}, right: map[int]bool{1: true, 2: true, 3: true, 4: true}}
	if changed {
		lines.header, lines.right[5] = append(lines.header, "CHANGE"), true
	}
	lines.header = append(lines.header, "")
	add := func(key string, row *stats.Row, drawn string) {
		cells := []string{key, short(row.Count()), sizeShort(row.In), sizeShort(row.Out), s.share(row)}
		if changed {
			text := ""
			if row.Before != nil {
				text = stats.Change(int64(s.weight(&row.Sum)), int64(s.weight(row.Before)))
			}
			cells = append(cells, text)
		}
		lines.add(append(cells, drawn)...)
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		key := fitted(stats.Escaped(row.Key), keys)
		if parts == 2 {
			first := fitted(stats.Escaped(row.Key), keys/2-1)
			key = first + strings.Repeat(" ", keys/2+1-columns(first)) + fitted(stats.Escaped(row.Also), keys/2-1)
		}
		if row.Key == "" {
			key = "-"
		}
		if row.Missing > 0 {
			key = fitted(key, keys-1) + "*"
		}
		add(key, row, s.bar(s.weight(&row.Sum), best, bar))
	}
	if t.Other != nil {
		key := "(others)"
		if n := t.Keys - int64(len(t.Rows)); n > 0 {
			key = "(" + stats.Grouped(n) + " others)"
		}
		add(key, t.Other, "")
	}
	var b strings.Builder
	_ = lines.write(&b) // to memory
	for text := range strings.Lines(b.String()) {
		fmt.Fprintln(s, "  "+strings.TrimRight(text, " \n"))
	}
	if t.Folded > 0 {
		s.line("  %s entries are only among the others, since there are more keys than are kept;", stats.Grouped(t.Folded))
		s.line("  what has a * may miss some.")
	}
}

func tableTitle(t *stats.Table) string {
	if t.Ordered || t.Keys <= int64(len(t.Rows)) {
		return t.Title
	}
	return fmt.Sprintf("%s: %d of %s", t.Title, len(t.Rows), stats.Grouped(t.Keys))
}

// weight is by what a row is measured.
func (s *sheet) weight(sum *stats.Sum) float64 {
	if s.order == stats.ByCount || s.report.Total.Bytes() == 0 {
		return float64(sum.Count())
	}
	return float64(sum.Bytes())
}

func (s *sheet) share(row *stats.Row) string {
	share := row.OfBytes
	if s.order == stats.ByCount || s.report.Total.Bytes() == 0 {
		share = row.OfCount
	}
	return percent(share, 1)
}

// bar draws a value of at most best.
func (s *sheet) bar(value, best float64, width int) string {
	if best <= 0 || value <= 0 {
		return ""
	}
	if !s.blocks {
		return strings.Repeat("#", max(int(math.Round(value/best*float64(width))), 1))
	}
	eighths := max(int(math.Round(value/best*float64(width)*8)), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return text
}

// heat draws the hours of the days of the week.
func (s *sheet) heat() {
	best := 0.0
	for day := range s.report.Heat {
		for hour := range s.report.Heat[day] {
			best = max(best, s.weight(&s.report.Heat[day][hour]))
		}
	}
	if best == 0 {
		return
	}
	ramp := []rune(" .:-=+*#%@")
	if s.blocks {
		ramp = []rune(" ░▒▓█")
	}
	s.title("Hours of the week")
	fmt.Fprintln(s, "       0     3     6     9     12    15    18    21")
	for day, name := range [...]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
		var b strings.Builder
		for hour := range s.report.Heat[day] {
			value := s.weight(&s.report.Heat[day][hour])
			step := 0
			if value > 0 {
				step = min(1+int(value/best*float64(len(ramp)-1)), len(ramp)-1)
			}
			b.WriteString(strings.Repeat(string(ramp[step]), 2))
		}
		fmt.Fprintf(s, "  %s  %s\n", name, strings.TrimRight(b.String(), " "))
	}
}

func (s *sheet) distribution(title string, d stats.Distribution, show func(float64) string) {
	if d.Counted == 0 {
		return
	}
	s.title(title)
	best := int64(0)
	first, last := len(d.Classes), -1
	for i, c := range d.Classes {
		best = max(best, c.Count)
		if c.Count > 0 {
			first, last = min(first, i), i
		}
	}
	for i := first; i <= last; i++ {
		bound := "below " + power(d.Classes[i].Below)
		if d.Classes[i].Below == 0 {
			bound = "above"
		}
		s.line("  %-15s %9s %10s  %s", bound, short(d.Classes[i].Count), sizeShort(d.Classes[i].Bytes), s.bar(float64(d.Classes[i].Count), float64(best), s.width-43))
	}
	s.line("  half are below %s, 95 of 100 below %s, 99 below %s; the most is %s", show(d.P50), show(d.P95), show(d.P99), show(d.Most))
	if d.Left > 0 {
		s.line("  %s are left out: counted are %s", stats.Grouped(d.Left), d.Note)
	}
}

// power writes a bound of classes.
func power(n float64) string { return strings.Replace(size(int64(n)), ".0 ", " ", 1) }

func (s *sheet) durations() {
	if d := s.report.Durations; d.Counted > 0 {
		s.title("Durations")
		s.line("  half are below %s, 95 of 100 below %s, 99 below %s; the longest took %s", seconds(d.P50), seconds(d.P95), seconds(d.P99), seconds(d.Most))
	}
}

func (s *sheet) concurrency() {
	c := s.report.Concurrency
	if c.Most == 0 {
		return
	}
	s.title("At once")
	s.line("  at most %s, first at %s (%s)", stats.NumberOf(c.Most, "transfer"), stampText(c.At), c.Note)
	if s.blocks && len(c.Points) > 1 {
		s.line("  %s", sparkline(c.Points, s.width-4))
	}
}

// sparkline draws the most of each of so many parts.
func sparkline(points []stats.Point, width int) string {
	width = min(width, len(points))
	values := make([]int64, width)
	best := int64(1)
	for i, p := range points {
		v := &values[i*width/len(points)]
		*v = max(*v, p.Most)
		best = max(best, p.Most)
	}
	ramp := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(ramp[v*int64(len(ramp)-1)/best])
	}
	return b.String()
}

func (s *sheet) failures() {
	f := s.report.Failures
	if f.Count == 0 {
		return
	}
	s.title("Incomplete")
	s.line("  %s; %s were moved in vain", stats.NumberOf(f.Count, "transfer"), size(f.Wasted))
	if f.Retried > 0 {
		s.line("  %s were tried again within ten minutes, and %s of these came through", stats.Grouped(f.Retried), stats.Grouped(f.Mended))
	}
}

func (s *sheet) sessions() {
	v := s.report.Sessions
	if v.Count == 0 {
		return
	}
	s.title("Sessions")
	s.line("  %s, half of them shorter than %s, 95 of 100 than %s", stats.Grouped(v.Count), seconds(v.Lengths.P50), seconds(v.Lengths.P95))
	s.line("  %.1f transfers and %s each; idle for %s of their time", v.Transfers, size(int64(v.Bytes)), percent(v.Idle, 1))
}

func (s *sheet) logins() {
	l := s.report.Logins
	if l.Good+l.Failed == 0 {
		return
	}
	s.title("Logins")
	failed := stats.Grouped(l.Failed) + " failed"
	if l.Unknown > 0 {
		failed += fmt.Sprintf(", %s of these as users who do not exist", stats.Grouped(l.Unknown))
	}
	s.line("  %s good, %s", stats.Grouped(l.Good), failed)
	for _, part := range [...]struct {
		what string
		rows []stats.LoginRow
	}{{"from", l.Hosts}, {"as", l.Users}, {"as unknown", l.Names}} {
		for _, row := range part.rows {
			s.line("  %9s failed %s %s, the last at %s", stats.Grouped(row.Failed), part.what, fitted(stats.Escaped(row.Key), 30), stampText(row.Last))
		}
	}
	for _, b := range l.Bursts {
		s.line("  a burst of %d from %s between %s and %s", b.Count, fitted(stats.Escaped(b.Host), 30), stampText(b.From), b.To.Format("15:04:05"))
	}
}

func (s *sheet) forecasts() {
	if len(s.report.Forecasts) == 0 {
		return
	}
	s.title("Quotas that will be full")
	for _, f := range s.report.Forecasts {
		s.line("  %-20s %s of %s, %s a day more: full %s", fitted(stats.Escaped(f.User), 20), size(f.Used), size(f.Limit), size(int64(f.Growth)), inDays(f))
	}
}

// inDays tells when.
func inDays(f stats.Forecast) string {
	least, most := int64(math.Ceil(f.Least)), int64(math.Ceil(f.Most))
	switch {
	case f.Most == 0:
		return fmt.Sprintf("in %d days or later", least)
	case least == most:
		return "in " + stats.NumberOf(least, "day")
	}
	return fmt.Sprintf("in %d-%d days", least, most)
}

func (s *sheet) unusual() {
	if len(s.report.Unusual) == 0 {
		return
	}
	s.title("Unusual")
	for _, f := range s.report.Unusual {
		s.line("  %s", f.Text)
		if f.More > 0 {
			s.line("    and %d more of this kind (%s)", f.More, f.Rule)
		}
	}
}

func (s *sheet) footer() {
	r := s.report.Read
	fmt.Fprintln(s)
	text := fmt.Sprintf("read %s of %s, %s", stats.NumberOf(r.Lines, "line"), stats.NumberOf(r.Files, "file"), size(r.Bytes))
	if r.Took > 0 {
		text += " in " + seconds(r.Took)
	}
	for _, part := range [...]struct {
		n    int64
		what string
	}{{r.Bad, "that cannot be read"}, {r.TooLong, "too long"}, {r.Ambiguous, "that can be read otherwise"}, {r.Left, "left out by the filters"},
		{r.Forgotten, "that rules, sessions or the curve had no room for"}} {
		if part.n > 0 {
			text += fmt.Sprintf("; %s %s", stats.Grouped(part.n), part.what)
		}
	}
	for _, line := range wrapped(text, s.width) {
		fmt.Fprintln(s, line)
	}
}

// fitted cuts the middle out of what is too long: the ends of paths tell most.
func fitted(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	runes := []rune(text)
	for tail := width * 2 / 3; tail > 0; tail-- {
		if cut := string(runes[:min(width-tail-1, len(runes))]) + "…" + string(runes[max(len(runes)-tail, 0):]); columns(cut) <= width {
			return cut
		}
	}
	return clipped(text, width)
}

func stampText(at stats.Stamp) string {
	if at.IsZero() {
		return "-"
	}
	return at.Format(time.DateTime)
}

// short writes a number in at most seven digits and signs.
func short(n int64) string {
	switch {
	case n < 1_000_000:
		return stats.Grouped(n)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1fG", float64(n)/1e9)
}

// sizeShort writes bytes as size does, and nothing as a dash.
func sizeShort(n int64) string {
	switch {
	case n == 0:
		return "-"
	case n < 1024:
		return fmt.Sprintf("%d B", n)
	}
	return size(n)
}

func percent(part, whole float64) string {
	if whole == 0 {
		return "0.0%"
	}
	return fmt.Sprintf("%.1f%%", part/whole*100)
}

// seconds writes a duration.
func seconds(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.0f ms", v*1000)
	case v < 120:
		return fmt.Sprintf("%.1f s", v)
	}
	return span(int64(v))
}
