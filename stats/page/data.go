package page

import (
	"portreeve/stats"
)

// mostBoxes is how many directories the treemap shows.
const mostBoxes = 60

// data is what the charts are drawn from. Names in it are as they are shown, and
// times by the clocks of the report's zone.
type data struct {
	Days        []dayData      `json:"days,omitempty"`
	Heat        [][24][2]int64 `json:"heat,omitempty"` // by weekday: entries, bytes
	Directories []boxData      `json:"directories,omitempty"`
	Sizes       *spreadData    `json:"sizes,omitempty"`
	Rates       *spreadData    `json:"rates,omitempty"`
	Lengths     *spreadData    `json:"lengths,omitempty"`
	Crowd       *crowdData     `json:"crowd,omitempty"`
}

type dayData struct {
	Day        string `json:"day"`
	In         int64  `json:"in"`
	Out        int64  `json:"out"`
	Count      int64  `json:"count"`
	Incomplete int64  `json:"incomplete"`
}

type boxData struct {
	Name  string `json:"name"`
	Bytes int64  `json:"value"`
	In    int64  `json:"in"`
	Out   int64  `json:"out"`
	Count int64  `json:"count"`
}

// spreadData is a distribution by classes, of which the first and the last have
// something in them.
type spreadData struct {
	Unit    string      `json:"unit"`
	Classes []classData `json:"classes"`
	Marks   []markData  `json:"marks"`
}

type classData struct {
	Label string `json:"label"`
	Count int64  `json:"count"`
	Bytes int64  `json:"bytes"`

	low, high float64 // high 0: none
}

// markData is a percentile, and where among the classes it lies: 1.5 is in the
// middle of the second.
type markData struct {
	Name  string  `json:"name"`
	Value string  `json:"value"`
	At    float64 `json:"at"`
}

type crowdData struct {
	Step   int          `json:"step"`
	Points [][3]float64 `json:"points"` // milliseconds of the zone's clocks, most, mean
}

func newData(r *stats.Report) data {
	var d data
	if t := r.Table("day"); t != nil {
		for _, row := range t.Rows {
			d.Days = append(d.Days, dayData{visible(row.Key), row.In, row.Out, row.Count(), row.Incomplete})
		}
	}
	if r.Total.Count() > 0 {
		for _, hours := range r.Heat {
			var line [24][2]int64
			for i, sum := range hours {
				line[i] = [2]int64{sum.Count(), sum.Bytes()}
			}
			d.Heat = append(d.Heat, line)
		}
	}
	if t := r.Table("directory"); t != nil {
		d.Directories = boxes(t)
	}
	d.Sizes = newSpread(r.Sizes, "transfers", bound)
	d.Rates = newSpread(r.Rates, "transfers", func(v float64) string { return bound(v) + "/s" })
	d.Lengths = newSpread(r.Sessions.Lengths, "sessions", span)
	if c := r.Concurrency; len(c.Points) > 1 {
		d.Crowd = &crowdData{Step: c.Step}
		for _, p := range c.Points {
			_, offset := p.At.Zone()
			d.Crowd.Points = append(d.Crowd.Points, [3]float64{float64(p.At.UnixMilli() + int64(offset)*1000), float64(p.Most), p.Mean})
		}
	}
	return d
}

// boxes are the directories that moved most. All others are not drawn: together they
// are often more than each of these, and leave no room.
func boxes(t *stats.Table) []boxData {
	var list []boxData
	for i := range t.Rows {
		if row := &t.Rows[i]; row.Bytes() > 0 && len(list) < mostBoxes {
			list = append(list, boxData{visible(row.Key), row.Bytes(), row.In, row.Out, row.Count()})
		}
	}
	return list
}

// newSpread returns what is drawn of a distribution; nil if nothing is.
func newSpread(d stats.Distribution, unit string, show func(float64) string) *spreadData {
	all := make([]classData, 0, len(d.Classes))
	first, last, low := -1, -1, 0.0
	for i, b := range d.Classes {
		c := classData{"< " + show(b.Below), b.Count, b.Bytes, low, b.Below}
		if b.Below == 0 {
			c.Label = "≥ " + show(low)
		}
		low = b.Below
		all = append(all, c)
		if b.Count > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return nil
	}
	s := &spreadData{Unit: unit, Classes: all[first : last+1]}
	for _, p := range percentiles(d) {
		if at, ok := s.place(p.value); ok {
			s.Marks = append(s.Marks, markData{p.name, show(p.value), at})
		}
	}
	return s
}

// place tells where a value is among the classes.
func (s *spreadData) place(v float64) (float64, bool) {
	for i, c := range s.Classes {
		switch {
		case v < c.low:
			return 0, false
		case c.high == 0:
			return float64(i) + 0.5, true
		case v < c.high:
			return float64(i) + between(v, c.low, c.high), true
		}
	}
	return 0, false
}
