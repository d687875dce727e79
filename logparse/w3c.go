package logparse

import (
	"slices"
	"strings"
	"time"
)

// W3C's extended log file format, with Pure-FTPd's choice of fields. A header may
// name others, or others of its software: then lines are read by that, and those
// fields left out that there is nothing for in an entry.

const (
	w3cTime   = "2006-01-02 15:04:05"
	w3cHeader = "#Fields: "
)

// w3cFields are those that are written, in their order. Names of users may have
// blanks, so what is left over between those before it and those behind is its.
const (
	w3cFields = "date time c-ip cs-method cs-uri-stem sc-status cs-username sc-bytes"
	w3cUser   = "cs-username"
)

// The codes are the replies of FTP.
const (
	w3cWhole  = "226"
	w3cCut    = "426"
	w3cFailed = "550"
)

func headW3C(at time.Time) string {
	return "#Software: Portreeve\n#Version: 1.0\n#Date: " + at.UTC().Format(w3cTime) + "\n" + w3cHeader + w3cFields + "\n"
}

func appendW3C(line []byte, e *Entry) []byte {
	line = e.Time.UTC().AppendFormat(line, w3cTime)
	line = append(line, ' ')
	line = appendWord(line, e.Host)
	if e.Direction == Upload {
		line = append(line, " []created "...)
	} else {
		line = append(line, " []sent "...)
	}
	line = appendEscaped(line, orRoot(e.Path))
	line = append(line, ' ')
	line = append(line, ending(e.Status, w3cWhole, w3cCut, w3cFailed)...)
	line = append(line, ' ')
	line = appendText(line, e.User)
	line = append(line, ' ')
	return appendCount(line, e.Bytes)
}

// errHeader is returned for a line that is read and says nothing that happened.
var errHeader = &partError{"entry but a part of the header", "#"}

// maxFields bounds what a header may ask for.
const maxFields = 64

// w3cLine takes a line of the header.
func (p *Parser) w3cLine(line string) error {
	if list, ok := strings.CutPrefix(line, w3cHeader); ok {
		fields := strings.Fields(strings.Clone(list))
		if len(fields) > maxFields || !slices.Contains(fields, "date") || !slices.Contains(fields, "time") {
			return wrong("list of fields with a date and a time", list)
		}
		if p.fields = fields; list == w3cFields {
			p.fields = nil
		}
	}
	return errHeader
}

func parseW3C(p *Parser, line string, e *Entry) error {
	if strings.HasPrefix(line, "#") {
		return p.w3cLine(line)
	}
	if controlled(line) {
		return errForm
	}
	if p.fields != nil {
		return p.w3cListed(line, e)
	}
	rest := line
	var words [6]string
	for i := range words {
		var ok bool
		if words[i], rest, ok = word(rest); !ok {
			return errForm
		}
	}
	user, bytes := lastWord(rest)
	if user == "" {
		return errForm
	}
	e.User = known(user)
	if err := w3cMoment(e, words[0], words[1]); err != nil {
		return err
	}
	for i, name := range []string{"c-ip", "cs-method", "cs-uri-stem", "sc-status"} {
		if err := p.w3cField(e, name, words[i+2]); err != nil {
			return err
		}
	}
	return p.w3cField(e, "sc-bytes", bytes)
}

// w3cListed reads a line by the fields of the header.
func (p *Parser) w3cListed(line string, e *Entry) error {
	words := strings.Split(line, " ")
	behind := 0 // the user
	if i := slices.Index(p.fields, w3cUser); i >= 0 {
		behind = len(p.fields) - i - 1
		if extra := len(words) - len(p.fields); extra > 0 {
			end := len(words) - behind
			words = slices.Replace(words, i, end, strings.Join(words[i:end], " "))
		}
	}
	if len(words) != len(p.fields) {
		return errForm
	}
	var date, clock string
	for i, name := range p.fields {
		switch name {
		case "date":
			date = words[i]
		case "time":
			clock = words[i]
		default:
			if err := p.w3cField(e, name, words[i]); err != nil {
				return err
			}
		}
	}
	return w3cMoment(e, date, clock)
}

func w3cMoment(e *Entry, date, clock string) error {
	t, ok := isoTime(date, clock)
	e.Time = t
	if !ok {
		return wrong("time", date+" "+clock)
	}
	return nil
}

// isoTime reads a date and a time as ISO 8601 has them, at UTC.
func isoTime(date, clock string) (t time.Time, ok bool) {
	if len(date) != len("2006-01-02") || len(clock) != len("15:04:05") || date[4] != '-' || date[7] != '-' {
		return t, false
	}
	century, year := two(date, 0), two(date, 2)
	midnight, dayOK := unix(century*100+year, two(date, 5), two(date, 8))
	seconds, ok := clockTime(clock, 0)
	return time.Unix(midnight+seconds, 0).UTC(), ok && dayOK && century >= 0 && year >= 0
}

// w3cField takes one field into the entry.
func (p *Parser) w3cField(e *Entry, name, text string) (err error) {
	switch name {
	case "c-ip":
		e.Host = known(text)
	case w3cUser:
		e.User = known(text)
	case "cs-method":
		switch text {
		case "[]created":
			e.Direction = Upload
		case "[]sent":
			e.Direction = Download
		default:
			return wrong("method", text)
		}
	case "cs-uri-stem":
		e.Path, err = p.unescape(text)
	case "sc-status":
		e.Status, err = ended(text, w3cWhole, w3cCut, w3cFailed)
	case "sc-bytes":
		e.Bytes, err = count(text)
	}
	return err
}
