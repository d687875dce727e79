package page

import (
	"strconv"

	"portreeve/stats"
)

// mostParts is how many parts of a whole are told apart, each by a colour; the
// last is of all others.
const mostParts = 6

// shares are the parts of a whole, drawn as one line.
type shares struct {
	Title string
	Parts []part
}

type part struct {
	Name        cell
	Share       string // for people
	From, Width string // in parts of a hundred
	Color       int
}

func newShares(t *stats.Table) shares {
	s := shares{Title: visible(t.Title)}
	from := 0.0
	add := func(name cell, width float64) {
		s.Parts = append(s.Parts, part{name, percent(width), places(from), places(width * 100), len(s.Parts)})
		from += width * 100
	}
	rest := 0.0
	if t.Other != nil {
		rest = t.Other.OfCount
	}
	for i := range t.Rows {
		if row := &t.Rows[i]; len(s.Parts) < mostParts-1 {
			name := nameCell(row.Key)
			name.Exact = stats.Grouped(row.Count())
			add(name, row.OfCount)
		} else {
			rest += row.OfCount
		}
	}
	if rest > 0 {
		add(text("(others)"), rest)
	}
	return s
}

func places(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
