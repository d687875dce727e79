package logparse

import (
	"strconv"
	"strings"
	"time"
)

// The Common Log Format of web servers, as Pure-FTPd fills it: the request has a
// method and a path, and no protocol.

const clfTime = "02/Jan/2006:15:04:05 -0700"

// Pure-FTPd writes -0000 where others have +0000 for UTC. It means the same.
const (
	clfUTC   = "-0000"
	otherUTC = "+0000"
)

// unsigned is where times are that were written with -0000.
var unsigned = time.FixedZone("", 0)

// The codes are those of HTTP; those who read the format know 206 as a part.
const (
	clfWhole = "200"
	clfCut   = "206"
)

func appendCLF(line []byte, e Entry) []byte {
	line = appendWord(line, e.Host)
	line = append(line, " - "...)
	line = appendText(line, e.User)
	line = append(line, " ["...)
	line = e.Time.AppendFormat(line, clfTime)
	if e.Time.Location() != time.UTC && string(line[len(line)-len(otherUTC):]) == otherUTC {
		line = append(line[:len(line)-len(otherUTC)], clfUTC...)
	}
	method, code := "GET", clfWhole
	if e.Direction == Upload {
		method = "PUT"
	}
	if e.Status == Cut {
		code = clfCut
	}
	line = append(line, `] "`...)
	line = append(line, method...)
	line = append(line, ' ')
	line = appendEscaped(line, e.Path)
	line = append(line, `" `...)
	line = append(line, code...)
	line = append(line, ' ')
	line = strconv.AppendInt(line, e.Bytes, 10)
	return append(line, '\n')
}

// parseCLF reads a line from its end, since a user may be called anything.
func parseCLF(line string) (e Entry, err error) {
	request, rest := cutLast(line, `" `)
	code, bytes, ok := strings.Cut(rest, " ")
	who, request := cutLast(request, `] "`)
	method, path, isRequest := strings.Cut(request, " ")
	at := len(who) - len(clfTime)
	if !ok || !isRequest || at < len(" [") || who[at-2:at] != " [" || controlled(line) {
		return e, errForm
	}
	host, user, ok := strings.Cut(who[:at-2], " - ")
	if !ok || user == "" || host == "" || strings.Contains(host, " ") {
		return e, errForm
	}
	e.Host, e.User = known(host), known(user)
	switch method {
	case "GET":
		e.Direction = Download
	case "PUT":
		e.Direction = Upload
	default:
		return e, wrong("method", method)
	}
	switch code {
	case clfWhole:
		e.Status = Whole
	case clfCut:
		e.Status = Cut
	default:
		return e, wrong("code", code)
	}
	if e.Path, err = unescape(path); err != nil {
		return e, err
	}
	if e.Bytes, err = count(bytes); err != nil {
		return e, err
	}
	e.Time, err = clfMoment(who[at:])
	return e, err
}

func clfMoment(text string) (time.Time, error) {
	if before, ok := strings.CutSuffix(text, clfUTC); ok {
		t, err := moment(clfTime, before+otherUTC, time.UTC)
		return t.In(unsigned), err
	}
	t, err := moment(clfTime, text, time.Local)
	if err == nil && strings.HasSuffix(text, otherUTC) {
		t = t.UTC()
	}
	return t, err
}

// cutLast parts text at the last of sep.
func cutLast(text, sep string) (before, after string) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):]
	}
	return "", ""
}
