package logparse

import (
	"strconv"
	"strings"
	"time"
)

// W3C's extended log file format, with Pure-FTPd's choice of fields.

const w3cTime = "2006-01-02 15:04:05"

// The codes are the replies of FTP.
const (
	w3cWhole = "226"
	w3cCut   = "426"
)

func headW3C(at time.Time) string {
	return "#Software: Portreeve\n#Version: 1.0\n#Date: " + at.UTC().Format(w3cTime) +
		"\n#Fields: date time c-ip cs-method cs-uri-stem sc-status cs-username sc-bytes\n"
}

func appendW3C(line []byte, e Entry) []byte {
	line = e.Time.UTC().AppendFormat(line, w3cTime)
	line = append(line, ' ')
	line = appendWord(line, e.Host)
	if e.Direction == Upload {
		line = append(line, " []created "...)
	} else {
		line = append(line, " []sent "...)
	}
	line = appendEscaped(line, e.Path)
	line = append(line, ' ')
	if e.Status == Cut {
		line = append(line, w3cCut...)
	} else {
		line = append(line, w3cWhole...)
	}
	line = append(line, ' ')
	line = appendText(line, e.User)
	line = append(line, ' ')
	line = strconv.AppendInt(line, e.Bytes, 10)
	return append(line, '\n')
}

// parseW3C reads a line; those that begin with # are the header's.
func parseW3C(line string) (e Entry, err error) {
	words := strings.SplitN(line, " ", 7)
	if len(words) < 7 || words[2] == "" || controlled(line) {
		return e, errForm
	}
	user, bytes := cutLast(words[6], " ")
	if user == "" {
		return e, errForm
	}
	switch words[3] {
	case "[]created":
		e.Direction = Upload
	case "[]sent":
		e.Direction = Download
	default:
		return e, wrong("method", words[3])
	}
	switch words[5] {
	case w3cWhole:
		e.Status = Whole
	case w3cCut:
		e.Status = Cut
	default:
		return e, wrong("code", words[5])
	}
	e.Host, e.User = known(words[2]), known(user)
	if e.Path, err = unescape(words[4]); err != nil {
		return e, err
	}
	if e.Bytes, err = count(bytes); err != nil {
		return e, err
	}
	e.Time, err = moment(w3cTime, words[0]+" "+words[1], time.UTC)
	return e, err
}
