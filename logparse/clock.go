package logparse

import (
	"strings"
	"time"
)

// A Parser reads lines one after the other, and knows what those before it said.
// The zero value is ready. It is not for two goroutines.
type Parser struct {
	Zone   *time.Location // of times that come without one; nil is time.Local
	Latest time.Time      // what no time without a year is after; zero is now
	// RawNames tells that a server leaves blanks in the names of files in xferlog,
	// so that the last place where a line can be parted is the likeliest.
	RawNames bool

	last    int64          // the second of the line before
	hour    hour           // the last that was read in full
	offset  string         // the last that was read, and
	fixed   *time.Location // where that is
	fields  []string       // of W3C's header; nil is ours
	text    []byte         // to write in
	attempt Entry          // at a message
}

// Parse reads one line, without its end. What an error leaves in the entry means
// nothing.
func (p *Parser) Parse(f *Format, line string, e *Entry) error {
	if strings.IndexByte(line, '\n') >= 0 {
		return errForm
	}
	return p.parse(f, line, e)
}

// parse is Parse for what is a line.
func (p *Parser) parse(f *Format, line string, e *Entry) error {
	*e = Entry{}
	e.Style.Format = f.Name
	if strings.IndexByte(line, '\r') >= 0 {
		return errForm
	}
	if err := f.parse(p, line, e); err != nil {
		return err
	}
	p.last = e.Time.Unix()
	return nil
}

// After tells what time the line before the next one was of, which matters in the
// hour that comes twice.
func (p *Parser) After(t time.Time) { p.last = t.Unix() }

// Before returns the time that After takes; 1970 if no line was read.
func (p *Parser) Before() time.Time { return time.Unix(p.last, 0) }

// An hour is the beginning of a time that many lines have in common.
type hour struct {
	date, year string
	start      int64 // as Unix counts
	day        byte  // for Style
	weekday    string
}

// unsigned is where times are that were written with -0000.
var unsigned = time.FixedZone("", 0)

// zone is where times are that do not say where.
func (p *Parser) zone() *time.Location {
	if p.Zone == nil {
		return time.Local
	}
	return p.Zone
}

const (
	daySeconds = 24 * 3600
	// disorder is how far lines of sessions that write at once may run backwards
	// without the clock being set back.
	disorder = 120
)

// local returns the time at which clocks of the zone show what clocks at UTC
// show at wall, and whether there are no two such, or none, within a day.
func (p *Parser) local(wall int64) (t time.Time, plain bool) {
	zone := p.zone()
	offset := func(at int64) int64 {
		_, o := time.Unix(at, 0).In(zone).Zone()
		return int64(o)
	}
	before, after := offset(wall-daySeconds), offset(wall+daySeconds)
	first, second := wall-before, wall-after
	switch {
	case before == after:
		return time.Unix(first, 0).In(zone), true
	case offset(first) != before && offset(second) != after: // the clocks skipped it
		return time.Unix(first, 0).In(time.FixedZone("", int(before))), false
	case offset(first) != before:
		first = second
	case offset(second) == after && first < p.last-disorder: // it comes twice, and we are in the second pass
		first = second
	}
	return time.Unix(first, 0).In(zone), false
}

// Twice tells whether clocks where a time is show it twice. Who reads a log in parts
// lets none begin there, or has to tell what came before.
func Twice(t time.Time) bool {
	_, is := t.Zone()
	for _, days := range []int{-1, 1} {
		_, offset := t.Add(time.Duration(days) * daySeconds * time.Second).Zone()
		_, there := t.Add(time.Duration(is-offset) * time.Second).Zone()
		if offset != is && there == offset {
			return true
		}
	}
	return false
}

// unix counts the seconds to midnight of a day at UTC; there are days that are
// none.
func unix(year, month, day int) (int64, bool) {
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t.Unix(), t.Day() == day
}

// two reads two digits at a place in a text that is long enough, -1 if there are
// none.
func two(text string, at int) int {
	high, low := text[at]-'0', text[at+1]-'0'
	if high > 9 || low > 9 {
		return -1
	}
	return int(high)*10 + int(low)
}

// clockTime reads hh:mm:ss at a place in a text that is long enough.
func clockTime(text string, at int) (seconds int64, ok bool) {
	h, m, s := two(text, at), two(text, at+3), two(text, at+6)
	ok = text[at+2] == ':' && text[at+5] == ':' && 0 <= h && h < 24 && 0 <= m && m < 60 && 0 <= s && s < 60
	return int64(h*3600 + m*60 + s), ok
}

const (
	months   = "JanFebMarAprMayJunJulAugSepOctNovDec"
	weekdays = "SunMonTueWedThuFriSat"
)

// nameIn returns the number of a name of three letters in a list of such, from 0;
// -1 if it is not there.
func nameIn(list, name string) int {
	for i := 0; i < len(list); i += 3 {
		if list[i:i+3] == name {
			return i / 3
		}
	}
	return -1
}

// Times as C's ctime writes them, with what the servers make of the day.
const (
	zeroTime  = "Mon Jan 02 15:04:05 2006"
	blankTime = "Mon Jan _2 15:04:05 2006"
	bareTime  = "Mon Jan 2 15:04:05 2006"
)

// ctime reads such a time from the beginning of a line, and returns what stands
// behind it and a blank.
func (p *Parser) ctime(line string, e *Entry) (rest string, err error) {
	const length = len(zeroTime)
	if len(line) <= length {
		return "", errForm
	}
	if line[:13] == p.hour.date && line[19:length+1] == p.hour.year {
		m, s := two(line, 14), two(line, 17)
		if line[13] == ':' && line[16] == ':' && 0 <= m && m < 60 && 0 <= s && s < 60 {
			e.Time = time.Unix(p.hour.start+int64(m*60+s), 0).In(p.zone())
			e.Style.Day, e.Style.Weekday = p.hour.day, p.hour.weekday
			return line[length+1:], nil
		}
	}
	end, ok := p.fullCtime(line, e)
	if !ok {
		return "", wrong("time", line[:length])
	}
	return line[end+1:], nil
}

// fullCtime reads a time that does not begin as the last did, and returns where it
// ends.
func (p *Parser) fullCtime(line string, e *Entry) (end int, ok bool) {
	day, at := ctimeDay(line, e)
	end = at + len("15:04:05 ")
	if end >= len(line) || line[3] != ' ' || line[7] != ' ' || line[at-1] != ' ' || line[end-1] != ' ' {
		return 0, false
	}
	seconds, ok := clockTime(line, at)
	year, digits := yearOf(line[end:])
	end += digits
	month, weekday := nameIn(months, line[4:7])+1, nameIn(weekdays, line[:3])
	midnight, dayOK := unix(year, month, day)
	if !ok || !dayOK || weekday < 0 || digits == 0 || end >= len(line) || line[end] != ' ' {
		return 0, false
	}
	right := int(time.Unix(midnight, 0).UTC().Weekday())
	if weekday != right {
		e.Style.Weekday = strings.Clone(line[:3])
	}
	var plain bool
	if e.Time, plain = p.local(midnight + seconds); plain && end == len(zeroTime) {
		p.hour = hour{date: strings.Clone(line[:13]), year: strings.Clone(line[19 : end+1]),
			start: e.Time.Unix() - seconds%3600, day: e.Style.Day, weekday: e.Style.Weekday}
	}
	return end, true
}

// ctimeDay reads the day, and returns where the clock begins.
func ctimeDay(line string, e *Entry) (day, at int) {
	const first, behind = len("Mon Jan "), len("Mon Jan 02 ")
	switch {
	case line[first] == ' ':
		e.Style.Day = ' '
		return digit(line[first+1]), behind
	case line[first+1] == ' ':
		e.Style.Day = '-'
		return digit(line[first]), behind - 1
	case line[first] == '0':
		e.Style.Day = '0'
	}
	return two(line, first), behind
}

// digit is the value of one, 0 if it is none.
func digit(c byte) int {
	if c < '0' || c > '9' {
		return 0
	}
	return int(c - '0')
}

// yearOf reads a year of four to six digits at the beginning of a text, and
// returns how many there are; 0 if there is none.
func yearOf(text string) (year, digits int) {
	for digits < len(text) && digits < 7 && '0' <= text[digits] && text[digits] <= '9' {
		year = year*10 + int(text[digits]-'0')
		digits++
	}
	if digits < 4 || digits > 6 || digits > 4 && text[0] == '0' {
		return 0, 0
	}
	return year, digits
}

// appendCtime adds such a time as a style has it, or else with that padding.
func appendCtime(line []byte, e *Entry, own bool, day byte) []byte {
	if own && e.Style.Day != 0 {
		day = e.Style.Day
	}
	layout := zeroTime
	switch day {
	case ' ':
		layout = blankTime
	case '-':
		layout = bareTime
	}
	start := len(line)
	line = e.Time.AppendFormat(line, layout)
	if own && len(e.Style.Weekday) == 3 {
		copy(line[start:], e.Style.Weekday)
	}
	return line
}

// inYear returns the time in the last year in which a month and a day are not
// after Latest, give or take a day: clocks differ.
func (p *Parser) inYear(month, day int, seconds int64) (time.Time, bool) {
	latest := p.Latest
	if latest.IsZero() {
		latest = time.Now()
	}
	latest = latest.Add(daySeconds * time.Second)
	for year := latest.In(p.zone()).Year(); year > latest.Year()-9; year-- { // between two 29ths of February there may be eight years
		midnight, ok := unix(year, month, day)
		if !ok {
			continue
		}
		if t, _ := p.local(midnight + seconds); !t.After(latest) {
			return t, true
		}
	}
	return time.Time{}, false
}

// at returns where the time is that an offset such as +0530 is of.
func (p *Parser) at(offset string) (*time.Location, bool) {
	switch {
	case offset == "+0000":
		return time.UTC, true
	case offset == "-0000": // Pure-FTPd writes that for UTC
		return unsigned, true
	case offset == p.offset:
		return p.fixed, true
	case len(offset) != 5 || offset[0] != '+' && offset[0] != '-':
		return nil, false
	}
	h, m := two(offset, 1), two(offset, 3)
	if h < 0 || m < 0 || h > 14 || m > 59 {
		return nil, false
	}
	east := h*3600 + m*60
	if offset[0] == '-' {
		east = -east
	}
	p.offset, p.fixed = strings.Clone(offset), time.FixedZone("", east)
	return p.fixed, true
}
