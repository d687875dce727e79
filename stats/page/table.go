package page

import (
	"fmt"
	"strconv"

	"portreeve/stats"
)

// mostRows is how many rows of a table are shown; of more, an ordered one shows the
// last, which are the newest.
const mostRows = 1000

// A table is one of the page's.
type table struct {
	Caption string
	Open    bool // is seen without a click
	Long    bool // is not for paper: a chart has it
	Dense   bool // has many columns of few digits
	Columns []column
	Rows    [][]cell
	Foot    []cell
	Note    string
}

type column struct {
	Title  string
	Number bool
	Wide   bool // is left out where there is no room for it
}

// Class is the column's for the style, of its cells as well.
func (c column) Class() string {
	switch {
	case c.Number && c.Wide:
		return "number wide"
	case c.Number:
		return "number"
	case c.Wide:
		return "wide"
	}
	return ""
}

// A cell is shown as Text, sorted by Sort where that is not the text, and shows
// Exact when a pointer rests on it.
type cell struct {
	Text, Exact, Sort string
	Class             string // of its column
	Name              bool   // is of a log, in any direction of writing
	Bar               *bar
}

// A bar is how much of the greatest row one is, in parts of a hundred.
type bar struct{ In, Out string }

func text(s string) cell { return cell{Text: s} }

func countCell(n int64) cell { return cell{Text: stats.Grouped(n), Sort: strconv.FormatInt(n, 10)} }

func bytesCell(n int64) cell {
	return cell{Text: size(float64(n)), Exact: exactBytes(n), Sort: strconv.FormatInt(n, 10)}
}

func floatCell(v float64, text, exact string) cell {
	return cell{Text: text, Exact: exact, Sort: strconv.FormatFloat(v, 'g', -1, 64)}
}

func stampCell(t stats.Stamp) cell {
	c := cell{Text: stamp(t), Exact: exactStamp(t), Sort: "0"}
	if !t.IsZero() {
		c.Sort = strconv.FormatInt(t.Unix(), 10)
	}
	return c
}

func nameCell(name string) cell {
	if name == "" {
		return text("–")
	}
	return cell{Text: visible(name), Name: true}
}

// classed gives the cells the classes of their columns.
func (t table) classed() table {
	for _, cells := range append([][]cell{t.Foot}, t.Rows...) {
		for i := range cells {
			cells[i].Class = t.Columns[i].Class()
		}
	}
	return t
}

// newTable shows a table of a report.
func newTable(r *stats.Report, t *stats.Table) table {
	crossed, changed := alsoIn(t), r.Before != nil
	out := table{Caption: visible(t.Title), Columns: []column{{Title: "Name"}}}
	if crossed {
		out.Columns = append(out.Columns, column{Title: "And"})
	}
	out.Columns = append(out.Columns, column{"Entries", true, false}, column{"In", true, false}, column{"Out", true, false},
		column{"Share of bytes", true, false}, column{"Share of entries", true, true}, column{"Incomplete", true, true}, column{"Time taken", true, true})
	if changed {
		out.Columns = append(out.Columns, column{"Change", true, false})
	}
	out.Columns = append(out.Columns, column{"Last", false, true})
	rows := t.Rows
	if left := len(rows) - mostRows; left > 0 {
		out.Note = stats.NumberOf(int64(left), "row") + " more are not on this page. "
		if t.Ordered {
			rows = rows[left:]
		} else {
			rows = rows[:mostRows]
		}
	}
	var most int64
	for i := range rows {
		most = max(most, rows[i].Bytes())
	}
	for i := range rows {
		out.Rows = append(out.Rows, rowCells(&rows[i], crossed, changed, most))
	}
	if t.Other != nil {
		others := *t.Other
		others.Key, others.Also = "", ""
		out.Foot = rowCells(&others, crossed, changed, 0)
		out.Foot[0] = text("All others")
	}
	out.Note += keysNote(t)
	return out
}

func keysNote(t *stats.Table) string {
	var note string
	if t.Keys > int64(len(t.Rows)) {
		note = fmt.Sprintf("%s of %s.", stats.Grouped(int64(len(t.Rows))), stats.Grouped(t.Keys))
	}
	if t.Folded > 0 {
		note += fmt.Sprintf(" There were more than are kept: %s entries are only among the others.", stats.Grouped(t.Folded))
	}
	return note
}

func alsoIn(t *stats.Table) bool {
	for i := range t.Rows {
		if t.Rows[i].Also != "" {
			return true
		}
	}
	return false
}

func rowCells(r *stats.Row, crossed, changed bool, most int64) []cell {
	key := nameCell(r.Key)
	if r.Missing > 0 {
		key.Text += " *"
		key.Exact = "may lack up to " + stats.Grouped(r.Missing) + " entries that were folded into others"
	}
	cells := []cell{key}
	if crossed {
		cells = append(cells, nameCell(r.Also))
	}
	count := countCell(r.Count())
	count.Exact = fmt.Sprintf("%s, %s, %s", stats.NumberOf(r.Up, "upload"), stats.NumberOf(r.Down, "download"), stats.NumberOf(r.Deleted, "delete"))
	part := floatCell(r.OfBytes, percent(r.OfBytes), exactBytes(r.Bytes()))
	part.Bar = &bar{hundredths(r.In, most), hundredths(r.Out, most)}
	incomplete := countCell(r.Incomplete)
	incomplete.Exact = percent(share(r.Incomplete, r.Up+r.Down)) + " of the transfers"
	cells = append(cells, count, bytesCell(r.In), bytesCell(r.Out), part,
		floatCell(r.OfCount, percent(r.OfCount), ""), incomplete, floatCell(r.Seconds, span(r.Seconds), exactSeconds(r.Seconds)))
	if changed {
		cells = append(cells, changeCell(r))
	}
	return append(cells, stampCell(r.Last))
}

// changeCell compares bytes, or entries where none were moved.
func changeCell(r *stats.Row) cell {
	if r.Before == nil {
		return text("–")
	}
	b := *r.Before
	now, before := r.Bytes(), b.Bytes()
	if now == 0 && before == 0 {
		now, before = r.Count(), b.Count()
	}
	return floatCell(share(now-before, max(before, 1)), change(now, before),
		fmt.Sprintf("before: %s, %s, %s, %s incomplete; %s in, %s out, in %s, the last at %s", stats.NumberOf(b.Up, "upload"), stats.NumberOf(b.Down, "download"),
			stats.NumberOf(b.Deleted, "delete"), stats.Grouped(b.Incomplete), exactBytes(b.In), exactBytes(b.Out), exactSeconds(b.Seconds), stamp(b.Last)))
}

func hundredths(part, whole int64) string {
	return strconv.FormatFloat(share(part, whole)*100, 'f', 2, 64)
}

// heatTable has the hours of the week in numbers.
func heatTable(r *stats.Report) table {
	t := table{Caption: "Entries by weekday and hour", Dense: true, Columns: []column{{Title: "Day"}}}
	for hour := range 24 {
		t.Columns = append(t.Columns, column{fmt.Sprintf("%02d", hour), true, false})
	}
	for d, hours := range r.Heat {
		cells := []cell{{Text: weekdays[d], Sort: strconv.Itoa(d)}}
		for _, sum := range hours {
			c := countCell(sum.Count())
			c.Exact = exactBytes(sum.Bytes())
			cells = append(cells, c)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func percentileTable(title string, d stats.Distribution, show, exact func(float64) string) table {
	t := table{Caption: title + " in numbers", Open: true, Columns: []column{{Title: "Measure"}, {"Value", true, false}}}
	add := func(name string, v float64) {
		t.Rows = append(t.Rows, []cell{text(name), floatCell(v, show(v), exact(v))})
	}
	add("Mean", d.Mean)
	add("Median", d.P50)
	add("90 of 100 are below", d.P90)
	add("95 of 100 are below", d.P95)
	add("99 of 100 are below", d.P99)
	add("Most", d.Most)
	return t
}

func classTable(title string, d stats.Distribution, show func(float64) string) table {
	t := table{Caption: title + " by class", Columns: []column{{Title: "Class"}, {"Entries", true, false}, {"Bytes", true, false}, {"Share of entries", true, false}}}
	for i, c := range newSpread(d, "", show).Classes {
		t.Rows = append(t.Rows, []cell{{Text: c.Label, Sort: strconv.Itoa(i)}, countCell(c.Count), bytesCell(c.Bytes),
			floatCell(share(c.Count, d.Counted), percent(share(c.Count, d.Counted)), "")})
	}
	return t
}

func crowdTable(c stats.Concurrency) table {
	t := table{Caption: "Transfers at once over time", Long: true, Columns: []column{{Title: "From"}, {"Most", true, false}, {"Mean", true, false}}}
	for _, p := range c.Points {
		t.Rows = append(t.Rows, []cell{stampCell(p.At), countCell(p.Most), floatCell(p.Mean, strconv.FormatFloat(p.Mean, 'f', 2, 64), "")})
	}
	return t
}

func loginTable(caption, key string, rows []stats.LoginRow) table {
	t := table{Caption: caption, Open: true, Columns: []column{{Title: key}, {"Failed", true, false}, {"As unknown", true, false}, {"Good", true, false}, {"Last failure", false, false}}}
	for _, r := range rows {
		t.Rows = append(t.Rows, []cell{nameCell(r.Key), countCell(r.Failed), countCell(r.Unknown), countCell(r.Good), stampCell(r.Last)})
	}
	return t
}

func burstTable(bursts []stats.Burst) table {
	t := table{Caption: "Bursts: five failures or more within a minute", Open: true,
		Columns: []column{{Title: "Host"}, {"Failures", true, false}, {"From", false, false}, {"To", false, false}}}
	for _, b := range bursts {
		t.Rows = append(t.Rows, []cell{nameCell(b.Host), countCell(b.Count), stampCell(b.From), stampCell(b.To)})
	}
	return t
}

func forecastTable(list []stats.Forecast) []table {
	if len(list) == 0 {
		return nil
	}
	t := table{Caption: "Forecasts", Open: true, Columns: []column{{Title: "User"}, {"Full in", true, false}, {"Used", true, false}, {"Limit", true, false},
		{"Filled", true, false}, {"Growth a day", true, false}}}
	for _, f := range list {
		t.Rows = append(t.Rows, []cell{nameCell(f.User), floatCell(f.Least, fullIn(f), ""), bytesCell(f.Used), bytesCell(f.Limit),
			floatCell(share(f.Used, f.Limit), percent(share(f.Used, f.Limit)), ""), floatCell(f.Growth, size(f.Growth), exactBytes(int64(f.Growth)))})
	}
	return []table{t}
}

// fullIn tells when a quota will be full.
func fullIn(f stats.Forecast) string {
	from, to := int64(f.Least), int64(f.Most+0.5)
	switch {
	case f.Most == 0:
		return stats.NumberOf(from, "day") + " or more"
	case from >= to:
		return stats.NumberOf(from, "day")
	}
	return stats.Grouped(from) + "–" + stats.NumberOf(to, "day")
}
