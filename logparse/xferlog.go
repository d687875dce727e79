package logparse

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wu-ftpd's xferlog(5). The beginning of a line and its end are sure: the date
// has 24 bytes, three fields without a blank follow, and the name of the file,
// whose blanks every server replaces. The name of the user is as it is, and so is
// what the client's host said about it.

const (
	xferTime  = "Mon Jan 02 15:04:05 2006"
	blankTime = "Mon Jan _2 15:04:05 2006"
)

// services are the words by which a user's name ends where an ident with blanks
// follows.
var services = []string{"ftp", "ftps", "sftp", "scp"}

func appendXferlog(line []byte, e Entry) []byte {
	layout := xferTime
	if e.Xfer.BlankDay {
		layout = blankTime
	}
	line = e.Time.AppendFormat(line, layout)
	line = append(line, ' ')
	line = strconv.AppendInt(line, seconds(e.Took), 10)
	line = append(line, ' ')
	line = appendWord(line, e.Host)
	line = append(line, ' ')
	line = strconv.AppendInt(line, e.Bytes, 10)
	line = append(line, ' ')
	for i := range len(e.Path) {
		line = append(line, plain(e.Path[i], true))
	}
	kind := byte('b')
	if e.Xfer.ASCII {
		kind = 'a'
	}
	line = append(line, ' ', kind, ' ')
	line = append(line, cmp.Or(e.Xfer.Flags, "_")...)
	line = append(line, ' ', cmp.Or(byte(e.Direction), byte(Download)), ' ', cmp.Or(e.Xfer.Mode, 'r'), ' ')
	line = appendText(line, e.User)
	line = append(line, ' ')
	line = append(line, cmp.Or(e.Xfer.Service, "ftp")...)
	line = append(line, ' ', cmp.Or(e.Xfer.Auth, '1'), ' ')
	line = append(line, cmp.Or(e.Xfer.Ident, "*")...)
	switch e.Status {
	case Whole:
		line = append(line, " c"...)
	case Cut:
		line = append(line, " i"...)
	}
	return append(line, '\n')
}

func parseXferlog(line string) (e Entry, err error) {
	if len(line) <= len(xferTime) || line[len(xferTime)] != ' ' || controlled(line) {
		return e, errForm
	}
	layout := xferTime
	if line[8] == ' ' {
		layout, e.Xfer.BlankDay = blankTime, true
	}
	if e.Time, err = moment(layout, line[:len(xferTime)], time.Local); err != nil {
		return e, err
	}
	if day, err := strconv.Atoi(line[8:10]); err == nil && day > 9 { // there is nothing to pad
		e.Xfer.BlankDay = false
	}
	words := strings.SplitN(line[len(xferTime)+1:], " ", 9)
	if len(words) < 9 || words[1] == "" || words[3] == "" {
		return e, errForm
	}
	if e.Took, err = span(words[0]); err != nil {
		return e, err
	}
	if e.Bytes, err = count(words[2]); err != nil {
		return e, err
	}
	e.Host, e.Path = known(words[1]), words[3]
	if err := e.kind(words[4], words[5], words[6], words[7]); err != nil {
		return e, err
	}
	return e, e.account(words[8])
}

// kind reads the four letters behind the name.
func (e *Entry) kind(kind, flags, direction, mode string) error {
	switch kind {
	case "a":
		e.Xfer.ASCII = true
	case "b":
	default:
		return wrong("type of transfer", kind)
	}
	if flags != "_" && (flags == "" || strings.Trim(flags, "CUT") != "") {
		return wrong("flag", flags)
	}
	if !slices.Contains([]string{"i", "o", "d"}, direction) {
		return wrong("direction", direction)
	}
	if !slices.Contains([]string{"a", "g", "r"}, mode) {
		return wrong("kind of user", mode)
	}
	e.Xfer.Flags, e.Direction, e.Xfer.Mode = flags, Direction(direction[0]), mode[0]
	return nil
}

// account reads the rest: user, service, whether the client's host was asked, what
// it said, and the status, which old servers leave out.
func (e *Entry) account(text string) error {
	if rest, ok := strings.CutSuffix(text, " c"); ok {
		text, e.Status = rest, Whole
	} else if rest, ok := strings.CutSuffix(text, " i"); ok {
		text, e.Status = rest, Cut
	}
	if before, ok := strings.CutSuffix(text, " *"); ok {
		rest, asked := cutLast(before, " ")
		if user, service := cutLast(rest, " "); user != "" && service != "" && (asked == "0" || asked == "1") {
			e.User, e.Xfer.Service, e.Xfer.Auth, e.Xfer.Ident = known(user), service, asked[0], "*"
			return nil
		}
	}
	best := 0
	for _, service := range services {
		for _, asked := range []byte{'0', '1'} {
			between := " " + service + " " + string(asked) + " "
			if at := strings.LastIndex(text, between); at > best && at+len(between) < len(text) {
				best = at
				e.User, e.Xfer.Service, e.Xfer.Auth, e.Xfer.Ident = known(text[:at]), service, asked, text[at+len(between):]
			}
		}
	}
	if best == 0 {
		return errForm
	}
	return nil
}
