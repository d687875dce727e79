package logparse

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// What stands before a message of the system's log: on the socket and in files
// as RFC 3164 has it, with the times that rsyslog and journalctl may put there
// instead; or the journal's JSON. Many programs write there, and what those say
// that are no FTP servers is passed over.

// stamps are the ways to write the time. Of those without a year it is the last in
// which the day is not after Parser.Latest.
var stamps = []struct {
	letter byte
	layout string
}{
	{'b', "Jan _2 15:04:05"},                  // RFC 3164, and journalctl -o short
	{'B', "Jan _2 15:04:05.000000"},           // -o short-precise
	{'r', "2006-01-02T15:04:05.000000-07:00"}, // rsyslog, and -o short-iso-precise
	{'i', "2006-01-02T15:04:05-07:00"},        // -o short-iso
	{'j', "2006-01-02T15:04:05-0700"},         // and before systemd 255
	{'J', "2006-01-02T15:04:05.000000-0700"},
	{'f', "Mon 2006-01-02 15:04:05 MST"}, // -o short-full
	{'u', ""},                            // -o short-unix: seconds since 1970
}

// programs are those whose messages are understood; the first is ours, which
// speaks as Pure-FTPd does.
var programs = []string{"pure-ftpd", "portreeve", "vsftpd"}

const (
	inSyslog = "syslog"
	bsdTime  = len("Jan _2 15:04:05")
)

func appendSyslog(line []byte, e *Entry) []byte {
	var head Syslog
	own := e.Style.Format == inSyslog
	if own {
		head = e.Style.Syslog
	}
	start := len(line)
	if head.Priority > 0 {
		line = append(line, '<')
		line = appendCount(line, int64(head.Priority-1))
		line = append(line, '>')
	}
	line = appendStamp(line, e.Time, head.Stamp, own && e.Style.Day == '0')
	line = append(line, ' ')
	if head.Machine != "" {
		line = appendWord(line, head.Machine)
		line = append(line, ' ')
	}
	tag := cmp.Or(head.Tag, programs[0])
	line = append(line, tag...)
	if e.PID > 0 {
		line = append(line, '[')
		line = appendCount(line, int64(e.PID))
		line = append(line, ']')
	}
	line = append(line, ": "...)
	before := len(line)
	switch {
	case head.Bare:
		line = appendName(line, e.Text, ' ')
	case tag == "vsftpd":
		line = appendVsftpdText(line, e)
	default:
		line = appendPure(line, e)
	}
	if len(line) == before && !head.Bare { // there are no words for that
		return line[:start]
	}
	return line
}

func appendStamp(line []byte, t time.Time, letter byte, zero bool) []byte {
	if letter == 'u' {
		line = appendCount(line, t.Unix())
		return t.AppendFormat(line, ".000000")
	}
	start := len(line)
	for i, s := range stamps {
		if s.letter == letter || letter == 0 && i == 0 {
			line = t.AppendFormat(line, s.layout)
		}
	}
	if zero && line[start+4] == ' ' {
		line[start+4] = '0'
	}
	return line
}

// errForeign is returned for what another program told the system's log.
var errForeign = &partError{"message of an FTP server", "that of another program"}

func parseSyslog(p *Parser, line string, e *Entry) error {
	head := &e.Style.Syslog
	switch {
	case strings.HasPrefix(line, "{"):
		return p.journal(line, e)
	case strings.HasPrefix(line, journalNote) && strings.HasSuffix(line, " --"):
		return errHeader
	case controlled(line):
		return errForm
	}
	rest := line
	if text, ok := strings.CutPrefix(line, "<"); ok {
		number, behind, ok := strings.Cut(text, ">")
		n, ok2 := smallCount(number)
		if !ok || !ok2 || n > 191 { // RFC 5424, section 6.2.1
			return errForm
		}
		rest, head.Priority = behind, n+1
	}
	rest, err := p.stamp(rest, e)
	if err != nil {
		return err
	}
	tag, text, ok := strings.Cut(rest, ": ")
	if machine, behind, ok := strings.Cut(tag, " "); ok {
		head.Machine, tag = machine, behind
	}
	name, number, hasPID := strings.Cut(tag, "[")
	switch known := slices.Contains(programs, name); {
	case !known && !slices.ContainsFunc(programs, func(p string) bool { return strings.Contains(tag, p) }):
		return errForeign
	case !known, !ok, head.Machine == "" && strings.HasPrefix(rest, " "):
		return wrong("message of an FTP server", rest)
	}
	head.Tag = name
	if number, closed := strings.CutSuffix(number, "]"); hasPID {
		if e.PID, ok = smallCount(number); !ok || !closed || e.PID == 0 {
			return wrong("process", tag)
		}
	}
	return p.message(name, text, e)
}

// stamp reads the time, and returns what stands behind it and a blank.
func (p *Parser) stamp(text string, e *Entry) (rest string, err error) {
	if rest, ok := p.bsd(text, e); ok {
		return rest, nil
	}
	for _, s := range stamps {
		length := len(s.layout)
		if s.letter == 'f' { // a zone may have a longer name
			length = strings.LastIndexByte(s.layout, ' ') + 1
			if len(text) > length {
				length += strings.IndexByte(text[length:], ' ')
			}
		}
		if s.letter == 'u' {
			length = strings.IndexByte(text, ' ')
		}
		if length <= 0 || len(text) <= length || text[length] != ' ' {
			continue
		}
		t, ok := p.stamped(s.letter, s.layout, text[:length])
		if ok && string(appendStamp(p.text[:0], t, s.letter, false)) == text[:length] {
			e.Time, e.Style.Syslog.Stamp = t, s.letter
			return text[length+1:], nil
		}
	}
	return "", wrong("time", text)
}

// bsd reads a time of RFC 3164: most lines have it.
func (p *Parser) bsd(text string, e *Entry) (rest string, ok bool) {
	if len(text) <= bsdTime || text[3] != ' ' || text[6] != ' ' || text[bsdTime] != ' ' {
		return "", false
	}
	month, day := nameIn(months, text[:3])+1, two(text, 4)
	switch text[4] {
	case ' ':
		day = digit(text[5])
	case '0':
		e.Style.Day = '0'
	}
	seconds, ok := clockTime(text, 7)
	if !ok || month == 0 {
		return "", false
	}
	e.Time, ok = p.inYear(month, day, seconds)
	e.Style.Syslog.Stamp = 'b'
	return text[bsdTime+1:], ok
}

func (p *Parser) stamped(letter byte, layout, text string) (t time.Time, ok bool) {
	switch letter {
	case 'u':
		whole, part, ok := strings.Cut(text, ".")
		n, err := count(whole)
		micro, err2 := count("1" + part)
		if !ok || err != nil || err2 != nil || len(part) != 6 || n > lastSecond {
			return t, false
		}
		return time.Unix(n, (micro-1e6)*1e3).In(p.zone()), true
	case 'b', 'B':
		t, err := time.Parse(layout, text)
		if err != nil {
			return t, false
		}
		seconds := int64(t.Hour()*3600 + t.Minute()*60 + t.Second())
		at, ok := p.inYear(int(t.Month()), t.Day(), seconds)
		return at.Add(time.Duration(t.Nanosecond())), ok
	case 'f':
		if !strings.HasSuffix(text, " UTC") {
			t, err := time.ParseInLocation(layout, text, p.zone())
			return t, err == nil
		}
	}
	t, err := time.Parse(layout, text)
	return t, err == nil
}

// message reads what a program said: by its words, as a message of somebody, or
// as it stands, whichever is first to be written again as it was.
func (p *Parser) message(program, text string, e *Entry) error {
	try := &p.attempt
	for _, words := range []bool{true, false} {
		*try = *e
		if program == "vsftpd" {
			if try.vsftpdText(text) != nil {
				break
			}
			p.text = appendVsftpdText(p.text[:0], try)
		} else {
			if !try.pure(text, words) {
				break
			}
			p.text = appendPure(p.text[:0], try)
		}
		if string(p.text) == text {
			*e = *try
			return nil
		}
	}
	e.Event, e.Text, e.Style.Syslog.Bare = Message, text, true
	return nil
}
