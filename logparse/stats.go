package logparse

import (
	"strconv"
	"strings"
	"time"
)

// Pure-FTPd's own format. The path is last and as it is; the only thing in doubt
// is where the name of a user ends.

// noSession stands for a session that is not known.
const noSession = "0.0"

func appendStats(line []byte, e Entry) []byte {
	line = strconv.AppendInt(line, e.Time.Unix(), 10)
	line = append(line, ' ')
	if isSession(e.Session) {
		line = append(line, e.Session...)
	} else {
		line = append(line, noSession...)
	}
	line = append(line, ' ')
	if strings.Contains(e.User, " U ") || strings.Contains(e.User, " D ") { // it could be taken for the rest of the line
		line = appendWord(line, e.User)
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
	line = strconv.AppendInt(line, e.Bytes, 10)
	line = append(line, ' ')
	line = strconv.AppendInt(line, seconds(e.Took), 10)
	line = append(line, ' ')
	if !strings.HasPrefix(e.Path, "/") {
		line = append(line, '/')
	}
	for i := range len(e.Path) {
		line = append(line, plain(e.Path[i], false))
	}
	return append(line, '\n')
}

// isSession tells whether text is two hexadecimal numbers with a dot between.
func isSession(text string) bool {
	start, number, ok := strings.Cut(text, ".")
	return ok && isHex(start) && isHex(number)
}

func isHex(text string) bool {
	return text != "" && strings.Trim(text, "0123456789abcdef") == ""
}

func parseStats(line string) (e Entry, err error) {
	when, rest, ok := strings.Cut(line, " ")
	session, rest, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !isSession(session) || controlled(line) {
		return e, errForm
	}
	if session != noSession {
		e.Session = session
	}
	unix, err := count(when)
	if err != nil || unix > lastSecond {
		return e, wrong("time", when)
	}
	e.Time = time.Unix(unix, 0)
	// The first place where what follows fits ends the user.
	for at := 1; at < len(rest); at++ {
		if rest[at] == ' ' && e.tail(rest[at+1:]) {
			e.User = known(rest[:at])
			return e, nil
		}
	}
	return e, errForm
}

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// tail reads what stands behind the user, and tells whether it is that.
func (e *Entry) tail(text string) bool {
	words := strings.SplitN(text, " ", 5)
	if len(words) < 5 || words[0] == "" || !strings.HasPrefix(words[4], "/") {
		return false
	}
	switch words[1] {
	case "U":
		e.Direction = Upload
	case "D":
		e.Direction = Download
	default:
		return false
	}
	var err error
	if e.Bytes, err = count(words[2]); err != nil {
		return false
	}
	if e.Took, err = span(words[3]); err != nil {
		return false
	}
	e.Host, e.Path = known(words[0]), words[4]
	return true
}
