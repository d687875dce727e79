package logparse

import (
	"strings"
	"time"
)

// The Common Log Format of web servers, as Pure-FTPd fills it: the request has a
// method and a path, and no protocol. The path is escaped, so the quotes and the
// brackets are found from the end, and what stands before is the user's name,
// whatever it holds.

const clfTime = "02/Jan/2006:15:04:05 -0700"

// The codes are those of HTTP; those who read the format know 206 as a part.
const (
	clfWhole  = "200"
	clfCut    = "206"
	clfFailed = "404"
)

func appendCLF(line []byte, e *Entry) []byte {
	line = appendWord(line, e.Host)
	line = append(line, " - "...)
	line = appendText(line, e.User)
	line = append(line, " ["...)
	line = appendCLFTime(line, e.Time)
	method := "GET"
	switch {
	case e.Event == Delete:
		method = "DELETE"
	case e.Direction == Upload:
		method = "PUT"
	}
	line = append(line, `] "`...)
	line = append(line, method...)
	line = append(line, ' ')
	line = appendEscaped(line, orRoot(e.Path))
	line = append(line, `" `...)
	line = append(line, ending(e.Status, clfWhole, clfCut, clfFailed)...)
	line = append(line, ' ')
	return appendCount(line, e.Bytes)
}

// orRoot is a path where there must be one.
func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// ending is what a format calls an end.
func ending(s Status, whole, cut, failed string) string {
	switch s {
	case Cut:
		return cut
	case Failed:
		return failed
	}
	return whole
}

// ended is its reverse.
func ended(text, whole, cut, failed string) (Status, error) {
	switch text {
	case whole:
		return Whole, nil
	case cut:
		return Cut, nil
	case failed:
		return Failed, nil
	}
	return Unknown, wrong("code", text)
}

// appendCLFTime adds a time with its zone, which for UTC that is not said to be
// UTC is -0000, as Pure-FTPd has it.
func appendCLFTime(line []byte, t time.Time) []byte {
	line = t.AppendFormat(line, clfTime)
	if at := len(line) - len("+0000"); t.Location() != time.UTC && string(line[at:]) == "+0000" {
		line[at] = '-'
	}
	return line
}

// parseCLF reads a line from its end.
func parseCLF(p *Parser, line string, e *Entry) (err error) {
	request, rest := cutLast(line, `" `)
	code, bytes, ok := strings.Cut(rest, " ")
	who, request := cutLast(request, `] "`)
	method, path, isRequest := strings.Cut(request, " ")
	at := len(who) - len(clfTime)
	if !ok || !isRequest || at < len(" [") || who[at-2:at] != " [" || controlled(line) {
		return errForm
	}
	host, user, ok := strings.Cut(who[:at-2], " - ")
	if !ok || user == "" || host == "" || strings.Contains(host, " ") {
		return errForm
	}
	e.Host, e.User = known(host), known(user)
	switch method {
	case "GET":
		e.Direction = Download
	case "PUT":
		e.Direction = Upload
	case "DELETE":
		e.Event = Delete
	default:
		return wrong("method", method)
	}
	if e.Status, err = ended(code, clfWhole, clfCut, clfFailed); err != nil {
		return err
	}
	if e.Path, err = p.unescape(path); err != nil {
		return err
	}
	if e.Bytes, err = count(bytes); err != nil {
		return err
	}
	if e.Time, ok = p.clfTime(who[at:]); !ok {
		return wrong("time", who[at:])
	}
	return nil
}

// clfTime reads a time of that length.
func (p *Parser) clfTime(text string) (time.Time, bool) {
	if text[2] != '/' || text[6] != '/' || text[11] != ':' || text[20] != ' ' {
		return time.Time{}, false
	}
	century, year := two(text, 7), two(text, 9)
	midnight, dayOK := unix(century*100+year, nameIn(months, text[3:6])+1, two(text, 0))
	seconds, ok := clockTime(text, 12)
	place, known := p.at(text[21:])
	if !ok || !known || !dayOK || century < 0 || year < 0 {
		return time.Time{}, false
	}
	_, east := time.Unix(0, 0).In(place).Zone()
	return time.Unix(midnight+seconds-int64(east), 0).In(place), true
}
