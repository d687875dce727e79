package page

import (
	"fmt"
	"strings"

	"portreeve/stats"
)

// A view is what the page says. All text in it is to be shown as it is.
type view struct {
	Title, Period string
	Made          cell
	Remarks       []string
	Cards         []card
	Sections      []section
}

// A card is a number of the headline.
type card struct {
	Label string
	cell
	Detail, Change string
}

// A section is a part of the page with a heading. What it does not have is left
// out, and so is a section without anything.
type section struct {
	ID, Title string
	Half      bool   // two of these fit beside each other
	Summary   string // what the chart tells, in words
	Chart     string // the name by which the script knows it
	Lines     []string
	Findings  []finding
	Shares    []shares
	Tables    []table
	Note      string
}

func (s *section) empty() bool {
	return s.Chart == "" && len(s.Lines)+len(s.Findings)+len(s.Shares)+len(s.Tables) == 0
}

// A finding is something unusual.
type finding struct{ Rule, Text, Exact string }

func newView(r *stats.Report) view {
	v := view{Title: "File transfers", Made: cell{Text: stamp(r.Made), Exact: exactStamp(r.Made)}}
	if r.Total.Count() > 0 {
		v.Period = day(r.From) + " to " + day(r.To)
	}
	if r.Filters != "" {
		v.Remarks = append(v.Remarks, "Only "+visible(r.Filters))
	}
	if r.Against != "" {
		v.Remarks = append(v.Remarks, "Compared with "+visible(r.Against))
	}
	v.Cards = cards(r)
	for _, s := range []section{
		days(r), calendar(r), rhythm(r), unusual(r),
		ranking(r, "who", "Who", "user", "host", "network", "domain"),
		ranking(r, "what", "What", "directory", "file", "extension"),
		kinds(r),
		distribution("sizes", "Sizes of files", r.Sizes, size, func(v float64) string { return exactBytes(int64(v)) }),
		distribution("rates", "Rates", r.Rates, rate, func(v float64) string { return exactBytes(int64(v)) + " a second" }),
		distribution("durations", "How long transfers took", r.Durations, span, exactSeconds),
		crowd(r), failures(r), sessions(r), logins(r), forecasts(r), crossed(r), counted(r),
	} {
		for i := range s.Tables {
			s.Tables[i] = s.Tables[i].classed()
		}
		if !s.empty() {
			v.Sections = append(v.Sections, s)
		}
	}
	return v
}

func cards(r *stats.Report) []card {
	t, least := r.Total, ""
	if r.Capped {
		least = "at least "
	}
	b := stats.Sum{}
	changed := func(now, before int64) string {
		if r.Before == nil {
			return ""
		}
		return change(now, before)
	}
	if r.Before != nil {
		b = *r.Before
	}
	transfers, before := t.Up+t.Down, b.Up+b.Down
	list := []card{
		{"Transfers", countCell(transfers), fmt.Sprintf("%s up, %s down; %s", stats.Grouped(t.Up), stats.Grouped(t.Down), stats.NumberOf(t.Deleted, "delete")), changed(transfers, before)},
		{"Bytes in", bytesCell(t.In), "uploaded", changed(t.In, b.In)},
		{"Bytes out", bytesCell(t.Out), "downloaded", changed(t.Out, b.Out)},
		{"Users", countCell(r.Users), least + "so many names", ""},
		{"Hosts", countCell(r.Hosts), least + stats.NumberOf(r.Files, "file"), ""},
	}
	if !r.Capped {
		list[3].Detail = "different names"
	}
	incomplete := cell{Text: percent(share(t.Incomplete, transfers)), Exact: stats.Grouped(t.Incomplete) + " of " + stats.Grouped(transfers)}
	c := card{"Incomplete", incomplete, stats.NumberOf(t.Incomplete, "transfer"), ""}
	if r.Before != nil && before > 0 {
		c.Detail += ", before " + percent(share(b.Incomplete, before))
	}
	list = append(list, c)
	if r.Concurrency.Most > 0 {
		list = append(list, card{"Most at once", countCell(r.Concurrency.Most), stamp(r.Concurrency.At), ""})
	}
	return list
}

func unusual(r *stats.Report) section {
	s := section{ID: "unusual", Title: "Unusual"}
	for _, f := range r.Unusual {
		text := stats.Escaped(f.Text)
		if f.More > 0 {
			text += fmt.Sprintf("; %s more like this", stats.Grouped(int64(f.More)))
		}
		s.Findings = append(s.Findings, finding{visible(f.Rule), text, exactStamp(f.At) + " " + visible(f.User)})
	}
	return s
}

// tablesOf are the tables of these names that there are; the first is open.
func tablesOf(r *stats.Report, names ...string) []table {
	var list []table
	for _, name := range names {
		if t := r.Table(name); t != nil {
			list = append(list, newTable(r, t))
		}
	}
	return list
}

func days(r *stats.Report) section {
	s := section{ID: "days", Title: "Bytes by day", Tables: tablesOf(r, "day", "week", "month")}
	t := r.Table("day")
	if t == nil || len(t.Rows) == 0 {
		return s
	}
	s.Chart = "days"
	best := &t.Rows[0]
	for i := range t.Rows {
		if t.Rows[i].Bytes() > best.Bytes() {
			best = &t.Rows[i]
		}
	}
	s.Summary = fmt.Sprintf("Most on %s: %s in and %s out, in %s. On %s something was moved.", visible(best.Key),
		size(float64(best.In)), size(float64(best.Out)), stats.NumberOf(best.Up+best.Down, "transfer"), stats.NumberOf(int64(len(t.Rows)), "day"))
	return s
}

// leastCalendar is how many days are worth a calendar.
const leastCalendar = 14

func calendar(r *stats.Report) section {
	s := section{ID: "calendar", Title: "Calendar", Half: true}
	if t := r.Table("day"); t != nil && len(t.Rows) >= leastCalendar {
		s.Chart = "calendar"
		s.Summary = "Each square is a day; the stronger its colour, the more bytes. The table of days has the numbers."
	}
	return s
}

var weekdays = [7]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

func rhythm(r *stats.Report) section {
	s := section{ID: "rhythm", Title: "Hours of the week", Half: true, Tables: tablesOf(r, "hour", "weekday", "monthday")}
	if r.Total.Count() == 0 {
		return s
	}
	s.Chart = "heat"
	day, hour := 0, 0
	for d := range r.Heat {
		for h := range r.Heat[d] {
			if r.Heat[d][h].Count() > r.Heat[day][hour].Count() {
				day, hour = d, h
			}
		}
	}
	s.Summary = fmt.Sprintf("Busiest on %ss from %02d:00 to %02d:00, with %s.", weekdays[day], hour, hour+1, stats.NumberOf(r.Heat[day][hour].Count(), "transfer"))
	s.Tables = append(s.Tables, heatTable(r))
	return s
}

// ranking is a section of tables of which people want the first rows at once.
func ranking(r *stats.Report, id, title string, names ...string) section {
	s := section{ID: id, Title: title, Tables: tablesOf(r, names...)}
	for i := range s.Tables {
		s.Tables[i].Open = true
	}
	t := r.Table("directory")
	if id != "what" || t == nil {
		return s
	}
	if drawn := boxes(t); len(drawn) > 1 {
		var sum int64
		for _, box := range drawn {
			sum += box.Bytes
		}
		s.Chart = "directories"
		s.Summary = fmt.Sprintf("Each box is a directory, as large as the bytes that were moved to and from it. These %d have %s of all bytes.",
			len(drawn), percent(share(sum, r.Total.Bytes())))
	}
	return s
}

// kinds are the dimensions with few keys, as parts of a whole.
func kinds(r *stats.Report) section {
	s := section{ID: "kinds", Title: "Kinds of transfer", Tables: tablesOf(r, kindNames...)}
	for _, name := range kindNames {
		if t := r.Table(name); t != nil && len(t.Rows) > 1 {
			s.Shares = append(s.Shares, newShares(t))
		}
	}
	return s
}

var kindNames = []string{"direction", "outcome", "reason", "protocol", "client", "account", "type"}

func distribution(id, title string, d stats.Distribution, show, exact func(float64) string) section {
	s := section{ID: id, Title: title, Half: true}
	if d.Counted == 0 {
		return s
	}
	if newSpread(d, "", show) != nil {
		s.Chart = id
		s.Tables = append(s.Tables, classTable(title, d, show))
	}
	s.Summary = fmt.Sprintf("Half are below %s, and 95 of 100 below %s.", show(d.P50), show(d.P95))
	s.Tables = append([]table{percentileTable(title, d, show, exact)}, s.Tables...)
	s.Note = "Percentiles are within 1%. Counted: " + stats.Grouped(d.Counted) + "."
	if id == "rates" {
		s.Note += " The mean is all bytes over all seconds."
	}
	if d.Note != "" {
		s.Note += " Of " + visible(d.Note) + "."
	}
	if d.Left > 0 {
		s.Note += " Left out: " + stats.Grouped(d.Left) + "."
	}
	return s
}

func crowd(r *stats.Report) section {
	c := r.Concurrency
	s := section{ID: "concurrency", Title: "Transfers at once", Half: true}
	if c.Most == 0 {
		return s
	}
	s.Lines = append(s.Lines, fmt.Sprintf("At most %s, at %s.", stats.NumberOf(c.Most, "transfer"), stamp(c.At)))
	if len(c.Points) > 1 {
		s.Chart = "crowd"
		s.Note = fmt.Sprintf("The most and the mean of every %s.", span(float64(c.Step)))
		s.Tables = append(s.Tables, crowdTable(c))
	}
	if c.Note != "" {
		s.Note = strings.TrimSpace(s.Note + " Counted: " + visible(c.Note) + ".")
	}
	return s
}

func failures(r *stats.Report) section {
	f := r.Failures
	s := section{ID: "failures", Title: "Failures", Half: true}
	if f.Count == 0 {
		return s
	}
	s.Lines = []string{
		fmt.Sprintf("%s did not come to the end, %s of all.", stats.NumberOf(f.Count, "transfer"), percent(share(f.Count, r.Total.Up+r.Total.Down))),
		fmt.Sprintf("%s went over the network for nothing (%s).", size(float64(f.Wasted)), exactBytes(f.Wasted)),
		fmt.Sprintf("%s tried again within ten minutes, by the same user and host, and %s completed in the end.",
			was(f.Retried), was(f.Mended)),
	}
	return s
}

func was(n int64) string {
	if n == 1 {
		return "1 was"
	}
	return stats.Grouped(n) + " were"
}

func sessions(r *stats.Report) section {
	d := r.Sessions
	if d.Count == 0 {
		return section{}
	}
	s := distribution("lengths", "Sessions", d.Lengths, span, exactSeconds)
	s.Lines = []string{
		fmt.Sprintf("%s, with %s transfers and %s each on average; %s of their time was idle.",
			stats.NumberOf(d.Count, "session"), decimal(d.Transfers), size(d.Bytes), percent(d.Idle)),
	}
	return s
}

func logins(r *stats.Report) section {
	l := r.Logins
	s := section{ID: "logins", Title: "Logins"}
	if l.Good+l.Failed == 0 {
		return s
	}
	s.Lines = []string{fmt.Sprintf("%s good, %s failed: %s.", stats.Grouped(l.Good), stats.Grouped(l.Failed), percent(share(l.Failed, l.Good+l.Failed)))}
	if l.Unknown > 0 {
		s.Lines = append(s.Lines, fmt.Sprintf("%s of the failed were as users who do not exist.", stats.Grouped(l.Unknown)))
	}
	for _, t := range []table{loginTable("Failed logins by host", "Host", l.Hosts), loginTable("Failed logins by user", "Name", l.Users),
		loginTable("Names tried that do not exist", "Name", l.Names), burstTable(l.Bursts)} {
		if len(t.Rows) > 0 {
			s.Tables = append(s.Tables, t)
		}
	}
	return s
}

func forecasts(r *stats.Report) section {
	s := section{ID: "forecasts", Title: "When quotas will be full", Tables: forecastTable(r.Forecasts)}
	if len(s.Tables) > 0 {
		s.Note = "If the last four weeks go on, from the middle half of the slopes between any two days."
	}
	return s
}

// crossed are the tables that are by two dimensions, and whatever no other section
// shows.
func crossed(r *stats.Report) section {
	shown := map[string]bool{}
	for _, name := range append([]string{"day", "week", "month", "hour", "weekday", "monthday", "user", "host", "network", "domain", "directory", "file", "extension"}, kindNames...) {
		shown[name] = true
	}
	s := section{ID: "crossed", Title: "Further tables"}
	for i := range r.Tables {
		if t := &r.Tables[i]; !shown[t.Name] {
			s.Tables = append(s.Tables, newTable(r, t))
		}
	}
	return s
}

// counted tells how all this came about.
func counted(r *stats.Report) section {
	d := r.Read
	s := section{ID: "counted", Title: "How this was counted"}
	s.Lines = []string{
		"Times are by the clocks of " + visible(r.Zone) + ".",
		fmt.Sprintf("Read: %s of %s in %s (%s), in %s; %s told of something.", stats.NumberOf(d.Lines, "line"), stats.NumberOf(d.Files, "file"), size(float64(d.Bytes)),
			exactBytes(d.Bytes), span(d.Took), stats.Grouped(d.Entries)),
	}
	add := func(n int64, what string) {
		if n > 0 {
			s.Lines = append(s.Lines, stats.Grouped(n)+" "+what)
		}
	}
	add(d.Bad, "could not be understood and are in no number here.")
	add(d.TooLong, "were too long and are in no number here.")
	add(d.Ambiguous, "could be read in more than one way.")
	add(d.Left, "were left out by the filters.")
	add(d.Forgotten, "times there was no room to remember something that rules, logins, sessions or the curve of transfers at once look at.")
	if r.Filters == "" {
		s.Lines = append(s.Lines, "Nothing was filtered.")
	} else {
		s.Lines = append(s.Lines, "Filters: "+visible(r.Filters)+".")
	}
	if r.Capped {
		s.Lines = append(s.Lines, "There were more users, hosts or files than are kept, and the smallest were folded together: numbers of different ones are the least that there were, and an asterisk marks rows that may lack something.")
	}
	s.Lines = append(s.Lines, "Bytes are in steps of 1024: 1 KiB is 1,024 bytes. The exact number appears when a pointer rests on one.")
	return s
}
