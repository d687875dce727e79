package logparse

import (
	"cmp"
	"strings"
)

// ProFTPD's ExtendedLog, with the format it has unless it is told another: one
// line a command. It looks like CLF and is not: a command is put together from
// its words, so blanks that follow each other are one, and quotes are not
// escaped. Names of users and idents may have blanks; the first place where the
// date fits ends them, since what stands behind it is of the client's choice.

// verbs are the commands that are more than a command. Of those for one thing the
// first is what is written if nothing else is known.
var verbs = []struct {
	verb        string
	event       Event
	direction   Direction
	whole, fail int // the replies
}{
	{"STOR", Transfer, Upload, 226, 550},
	{"APPE", Transfer, Upload, 226, 550},
	{"STOU", Transfer, Upload, 226, 550},
	{"RETR", Transfer, Download, 226, 550},
	{"DELE", Delete, 0, 250, 550},
	{"RNTO", Rename, 0, 250, 550},
	{"MKD", Mkdir, 0, 257, 550},
	{"XMKD", Mkdir, 0, 257, 550},
	{"RMD", Rmdir, 0, 250, 550},
	{"XRMD", Rmdir, 0, 250, 550},
	{"SITE", Chmod, 0, 200, 550},
	{"PASS", Login, 0, 230, 530},
}

const (
	hidden      = "(hidden)"
	siteChmod   = "CHMOD "
	noIdent     = "UNKNOWN"
	replyAbort  = 426
	extendedLog = "extendedlog"
)

func appendExtended(line []byte, e *Entry) []byte {
	own := e.Style.Format == extendedLog
	line = appendWord(line, e.Host)
	line = append(line, ' ')
	line = appendExtendedUser(line, e, own)
	line = append(line, " ["...)
	line = appendCLFTime(line, e.Time)
	line = append(line, `] "`...)
	text, code := extendedCommand(e)
	line = appendName(line, text, ' ')
	line = append(line, `" `...)
	switch {
	case own && e.Style.Zero:
		line = append(line, '0')
	case code == 0:
		line = append(line, none...)
	default:
		line = appendCount(line, int64(code))
	}
	line = append(line, ' ')
	moved := (e.Event == Transfer || e.Event == Delete) && e.Status != Failed
	if own && e.Style.Short || !own && !moved {
		return append(line, none...)
	}
	return appendCount(line, e.Bytes)
}

func appendExtendedUser(line []byte, e *Entry, own bool) []byte {
	ident, user := cmp.Or(e.Xfer.Ident, noIdent), cmp.Or(e.User, none)
	blank := byte(' ')
	if !own && (strings.Contains(ident, " [") || strings.HasPrefix(ident, noIdent+" ")) {
		blank = '_'
	}
	line = appendName(line, ident, blank)
	line = append(line, ' ')
	if ident != noIdent || !own && strings.Contains(user, " [") {
		return appendName(line, user, '_')
	}
	return appendName(line, user, ' ')
}

// extendedCommand returns the command and the code for an entry.
func extendedCommand(e *Entry) (text string, code int) {
	first := -1
	for i, v := range verbs {
		up := e.Event == Transfer && e.Direction == Upload
		if v.event != e.Event || e.Event == Transfer && up != (v.direction == Upload) {
			if v.verb == e.Command && e.Event == Command && e.Style.Format != extendedLog {
				return commandLine(e), 0 // or else it would not be read as a mere command
			}
			continue
		}
		if first < 0 || v.verb == e.Command {
			first = i
		}
	}
	if first < 0 {
		return commandLine(e), e.Code
	}
	v := verbs[first]
	code = v.whole
	switch {
	case e.Status == Cut && e.Event == Transfer:
		code = replyAbort
	case e.Status == Failed || e.Status == Cut:
		code = v.fail
	}
	if failed := code >= 400; e.Code > 0 && failed == (e.Code >= 400) && (e.Code/100 == 2) != failed || e.Style.Format == extendedLog {
		code = e.Code
	}
	return v.verb + e.argument(), code
}

// argument is what stands behind the verb, and the blank before it.
func (e *Entry) argument() string {
	text := e.Path
	switch e.Event {
	case Rename:
		text = e.To
	case Chmod:
		return " " + siteChmod + cmp.Or(strings.ReplaceAll(e.Text, " ", "_"), none) + " " + e.Path
	case Login:
		text = hidden
	}
	if text == "" {
		return ""
	}
	return " " + text
}

func parseExtended(p *Parser, line string, e *Entry) error {
	start, end := p.extendedTime(line, e)
	request, rest := cutLast(line, `" `)
	code, bytes, ok := strings.Cut(rest, " ")
	if start < 0 || !ok || len(request) < end || controlled(line) {
		return errForm
	}
	if err := e.extendedUser(line[:start]); err != nil {
		return err
	}
	if code != none {
		if e.Code, ok = smallCount(code); !ok {
			return wrong("code", code)
		}
		e.Style.Zero = e.Code == 0
	}
	e.Style.Short = bytes == none
	if !e.Style.Short {
		var err error
		if e.Bytes, err = count(bytes); err != nil {
			return err
		}
	}
	e.extendedRequest(request[end:])
	return nil
}

// extendedTime finds the date, and returns where the user before it ends and the
// request behind it begins; a negative start if there is none.
func (p *Parser) extendedTime(line string, e *Entry) (start, end int) {
	for at := 0; ; at++ {
		i := strings.Index(line[at:], " [")
		at += i
		end = at + len(" [") + len(clfTime)
		if i < 0 || len(line) < end+len(`] "`) {
			return -1, 0
		}
		if line[end:end+3] != `] "` {
			continue
		}
		if t, ok := p.clfTime(line[at+2 : end]); ok {
			e.Time = t
			return at, end + 3
		}
	}
}

func (e *Entry) extendedUser(text string) error {
	host, rest, ok := word(text)
	if !ok {
		return errForm
	}
	user, ok := strings.CutPrefix(rest, noIdent+" ")
	if !ok {
		e.Xfer.Ident, user = lastWord(rest)
		e.Style.Ambiguous = strings.Contains(e.Xfer.Ident, " ")
		ok = e.Xfer.Ident != ""
	}
	if !ok || user == "" {
		return errForm
	}
	e.Host, e.User = known(host), known(user)
	return nil
}

// extendedRequest takes the command into the entry.
func (e *Entry) extendedRequest(text string) {
	e.Event = Command
	e.setCommand(text)
	if e.Code == 0 {
		return
	}
	for _, v := range verbs {
		if v.verb != e.Command {
			continue
		}
		arg := e.Text
		switch v.event {
		case Rename:
			e.To = arg
		case Chmod:
			rest, ok := strings.CutPrefix(arg, siteChmod)
			mode, path, ok2 := word(rest)
			if !ok || !ok2 {
				return
			}
			e.Path, e.Text, e.Event = path, known(mode), Chmod
			e.Status = e.replied()
			return
		case Login:
			if arg != hidden {
				return
			}
		default:
			e.Path = arg
		}
		e.Event, e.Direction, e.Text = v.event, v.direction, ""
		e.Status = e.replied()
		return
	}
}

// replied is what a reply code says of an end.
func (e *Entry) replied() Status {
	switch {
	case e.Code/100 == 2:
		return Whole
	case e.Code < 400:
		return Unknown
	case e.Event == Transfer && !e.Style.Short:
		return Cut
	}
	return Failed
}
