package logparse

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// The journal of systemd, as journalctl -o json prints it: an object a line, with
// whatever the journal knows of a message. Of that the entry takes what journalctl
// -o short-iso-precise shows, and as such it is written again. A message that is
// not UTF-8, or has control characters, is an array of its bytes.

// journalNote begins a line in which journalctl, but in JSON, speaks of the journal.
const journalNote = "-- "

// journalLine is the stamp of what is written again.
const journalLine = 'r'

// A journaled message is what matters of one in the journal.
type journaled struct {
	program, command string // what it is called, and what was run
	machine          string
	pid, said        string // the process by the kernel's word, and by the program's
	sent, received   string // in microseconds since 1970
	text             string
	isMessage        bool
}

// field returns where a value belongs; nil: nowhere.
func (j *journaled) field(key string) *string {
	switch key {
	case "SYSLOG_IDENTIFIER":
		return &j.program
	case "_COMM":
		return &j.command
	case "_HOSTNAME":
		return &j.machine
	case "_PID":
		return &j.pid
	case "SYSLOG_PID":
		return &j.said
	case "_SOURCE_REALTIME_TIMESTAMP":
		return &j.sent
	case "__REALTIME_TIMESTAMP":
		return &j.received
	case "MESSAGE":
		j.isMessage = true
		return &j.text
	}
	return nil
}

// journal reads such a line.
func (p *Parser) journal(line string, e *Entry) error {
	s := scanner{line}
	s.take('{')
	var j journaled
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return errJSON
		}
		key, ok := s.text()
		if !ok || !s.take(':') {
			return errJSON
		}
		to := j.field(key)
		if to == nil {
			ok = s.skip(0)
		} else {
			*to, ok = s.journalValue()
		}
		if !ok {
			return errJSON
		}
	}
	if s.blanks(); s.rest != "" {
		return errJSON
	}
	return p.journaled(&j, e)
}

func (p *Parser) journaled(j *journaled, e *Entry) error {
	micro, err := count(cmp.Or(j.sent, j.received))
	if err != nil || !j.isMessage || j.received == "" || micro/1e6 > lastSecond {
		return errForm // it is JSON of something else
	}
	program := cmp.Or(j.program, j.command)
	if !slices.Contains(programs, program) {
		return errForeign
	}
	e.Time = time.UnixMicro(micro).In(p.zone())
	e.PID, _ = smallCount(cmp.Or(j.pid, j.said))
	head := &e.Style.Syslog
	head.Stamp, head.Tag, head.Machine = journalLine, program, strings.ReplaceAll(j.machine, " ", "_")
	return p.message(program, clean(j.text), e)
}

// clean is a text without control characters, which have no place in the system's
// log.
func clean(text string) string {
	if !controlled(text) {
		return text
	}
	bytes := []byte(text)
	for i, c := range bytes {
		if control(c) {
			bytes[i] = '_'
		}
	}
	return string(bytes)
}

// journalValue reads a text, or the bytes of one; of a field that is there more
// than once, the first.
func (s *scanner) journalValue() (text string, ok bool) {
	s.blanks()
	switch {
	case strings.HasPrefix(s.rest, `"`):
		return s.text()
	case !strings.HasPrefix(s.rest, "["):
		return "", s.skip(0) // null: it was too long for journalctl
	}
	start := *s
	s.take('[')
	var bytes []byte
	for first := true; !s.take(']'); first = false {
		if !first && !s.take(',') {
			return "", false
		}
		if s.blanks(); s.rest == "" || s.rest[0] < '0' || s.rest[0] > '9' {
			s.rest = start.rest
			return s.firstValue()
		}
		end := 0
		for end < len(s.rest) && end < 4 && '0' <= s.rest[end] && s.rest[end] <= '9' {
			end++
		}
		n, ok := smallCount(s.rest[:end])
		if !ok || n > 0xff {
			return "", false
		}
		bytes, s.rest = append(bytes, byte(n)), s.rest[end:]
	}
	return string(bytes), true
}

// firstValue reads an array of values.
func (s *scanner) firstValue() (text string, ok bool) {
	rest := scanner{s.rest[1:]}
	if rest.blanks(); strings.HasPrefix(rest.rest, `"`) {
		text, _ = rest.text()
	}
	return text, s.skip(0)
}
