package history

import (
	"cmp"
	"encoding/hex"
	"errors"
	"slices"

	"portreeve/logparse"
)

// lookMost is how many entries one page looks at, whatever it finds.
const lookMost = 10_000

// ErrCursor is returned for a cursor that no page has given.
var ErrCursor = errors.New("this is no cursor of a page of history")

// A Page is a part of what a query chooses.
type Page struct {
	Lines []string // of JSON, an entry each
	Next  string   // cursor of the page that follows; "": there is none
}

// Page returns at most so many entries from a cursor on; "" is the beginning. Of a
// query that chooses little it may have fewer, or none, and still a next.
func (db DB) Page(q Query, cursor string, limit int) (p Page, err error) {
	from := q.start()
	if cursor != "" {
		if from, err = hex.DecodeString(cursor); err != nil || len(from) != keyLength {
			return p, ErrCursor
		}
		if q.beyond(from) {
			return p, nil
		}
		if first := q.start(); q.Newest == (string(from) > string(first)) {
			from = first // a cursor leads nowhere that was not asked for
		}
	}
	format, _ := logparse.Find("json")
	var parser logparse.Parser
	var e logparse.Entry
	for looked, most := 0, limit+1; ; most = readMost {
		records, next, err := db.read(&q, from, min(most, readMost))
		if err != nil {
			return Page{}, err
		}
		for _, r := range records {
			if parser.Parse(&format, r.line, &e) != nil || !q.means(&e) {
				continue
			}
			if len(p.Lines) == limit {
				p.Next = hex.EncodeToString(r.key[:])
				return p, nil
			}
			p.Lines = append(p.Lines, r.line)
		}
		if next == nil {
			return p, nil
		}
		if looked += len(records); looked >= lookMost {
			p.Next = hex.EncodeToString(next)
			return p, nil
		}
		from = next
	}
}

// By is what sums are of.
type By string

// What there are sums of.
const (
	ByUser By = "user"
	ByPath By = "path"
	ByAddr By = "addr"
)

// Bys are all of them.
var Bys = []By{ByUser, ByPath, ByAddr}

const (
	topLook = 2_000_000 // newest entries
	topKeys = 100_000   // that are summed up at a time
)

// Top sums up the entries of a query by path or address; the one that moved the
// most is first. It looks at entries, and so no further back than they are
// remembered; cut tells that there were more than it looks at, or so many names
// that those that moved the least were left out.
func (db DB) Top(q Query, by By) (sums []Sum, cut bool, err error) {
	return db.top(q, by, topLook, topKeys)
}

func (db DB) top(q Query, by By, look, most int) (sums []Sum, cut bool, err error) {
	table := make(map[string]*Sum)
	q.Newest = true
	looked := 0
	for e, err := range db.All(q) {
		if err != nil {
			return nil, cut, err
		}
		if looked++; looked > look {
			cut = true
			break
		}
		name := e.Path
		switch by {
		case ByAddr:
			name = e.Host
		case ByUser:
			name = e.User
		}
		var one Sum
		if name == "" || !one.add(e) {
			continue
		}
		if s := table[name]; s != nil {
			s.merge(&one)
			continue
		}
		if len(table) >= most {
			cut = true
			shrink(table, most/2)
		}
		one.User = string([]byte(name)) // not the whole line
		table[one.User] = &one
	}
	sums = sorted(table)
	for i := range sums {
		switch s := &sums[i]; by {
		case ByPath:
			s.User, s.Path = "", s.User
		case ByAddr:
			s.User, s.Addr = "", s.User
		}
	}
	return sums, cut, nil
}

// shrink leaves those that moved the most.
func shrink(table map[string]*Sum, most int) {
	for _, s := range sorted(table)[most:] {
		delete(table, s.User)
	}
}

// sorted returns sums, the one that moved the most first.
func sorted(table map[string]*Sum) []Sum {
	list := make([]Sum, 0, len(table))
	for _, s := range table {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Sum) int {
		return cmp.Or(cmp.Compare(b.In+b.Out, a.In+a.Out), cmp.Compare(b.Uploads+b.Downloads, a.Uploads+a.Downloads), cmp.Compare(a.User, b.User))
	})
	return list
}
