package logparse

import (
	"strconv"
	"strings"
	"time"
)

// Pure-FTPd's own format. The path is last and as it is; the only thing in doubt
// is where the name of a user ends: at the first place where the rest of the line
// fits behind it.

// noSession stands for a session that is not known.
const noSession = "0.0"

func appendStats(line []byte, e *Entry) []byte {
	line = strconv.AppendInt(line, max(e.Time.Unix(), 0), 10)
	line = append(line, ' ')
	if isSession(e.Session) {
		line = append(line, e.Session...)
	} else {
		line = append(line, noSession...)
	}
	line = append(line, ' ')
	if e.Style.Format != "stats" && (strings.Contains(e.User, " U ") || strings.Contains(e.User, " D ")) {
		line = appendWord(line, e.User) // or it could be taken for the rest of the line
	} else {
		line = appendText(line, e.User)
	}
	line = append(line, ' ')
	line = appendWord(line, e.Host)
	if e.Direction == Upload {
		line = append(line, " U "...)
	} else {
		line = append(line, " D "...)
	}
	line = appendCount(line, e.Bytes)
	line = append(line, ' ')
	line = appendCount(line, seconds(e.Took))
	line = append(line, ' ')
	if !strings.HasPrefix(e.Path, "/") {
		line = append(line, '/')
	}
	return appendName(line, e.Path, ' ')
}

// isSession tells whether text is two hexadecimal numbers with a dot between.
func isSession(text string) bool {
	start, number, ok := strings.Cut(text, ".")
	return ok && isHex(start) && isHex(number)
}

func isHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return text != ""
}

func parseStats(p *Parser, line string, e *Entry) error {
	when, rest, ok := word(line)
	session, rest, ok2 := word(rest)
	if !ok || !ok2 || !isSession(session) || controlled(line) {
		return errForm
	}
	if session != noSession {
		e.Session = session
	}
	unix, err := count(when)
	if err != nil || unix > lastSecond {
		return wrong("time", when)
	}
	e.Time = time.Unix(unix, 0).In(p.zone())
	for at := 1; at < len(rest); at++ {
		blank := strings.IndexByte(rest[at:], ' ')
		if blank < 0 {
			break
		}
		at += blank
		if e.tail(rest[at+1:]) {
			e.User = known(rest[:at])
			return nil
		}
	}
	return errForm
}

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// tail reads what stands behind the user, and tells whether it is that.
func (e *Entry) tail(text string) bool {
	host, rest, ok := word(text)
	if !ok || len(rest) < len("U 0 0 /") || rest[1] != ' ' {
		return false
	}
	switch rest[0] {
	case 'U':
		e.Direction = Upload
	case 'D':
		e.Direction = Download
	default:
		return false
	}
	bytes, rest, ok := word(rest[2:])
	took, path, ok2 := word(rest)
	if !ok || !ok2 || !strings.HasPrefix(path, "/") {
		return false
	}
	var err error
	if e.Bytes, err = count(bytes); err != nil {
		return false
	}
	if e.Took, err = span(took); err != nil {
		return false
	}
	e.Host, e.Path = known(host), path
	return true
}
