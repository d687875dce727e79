package logparse

import (
	"cmp"
	"slices"
	"strings"
)

// Pure-FTPd's words, at Pure-FTPd's levels: "(user@host) [LEVEL] text", with a
// question mark for what is not known. Filters that lock out addresses and
// reports look for them, so they are kept to the letter. A host has no @ and
// nothing that a client chose stands before the level but a user's name, so the
// first level is the right one. Of what has no words anywhere, the transfers that
// were cut short have some of ours.

// levelNames are the levels as they are written, the most severe first.
var levelNames = []string{"EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"}

const (
	unknownName = "?"

	textConnect   = "New connection from "
	textTooMany   = "Too many connections ("
	textFromIP    = ") from this IP: ["
	textLogin     = " is now logged in"
	textAnonymous = "Anonymous user logged in"
	textVirtual   = textAnonymous + " the virtual FTP: "
	textNoLogin   = "Authentication failed for user ["
	textLogout    = "Logout."
	textTimeout   = "Timeout"
	textDelete    = "Deleted "
	textNoDelete  = "Could not delete "
	textRename    = "File successfully renamed or moved: ["
	textTo        = "]->["
	textNoRename  = "Rename/move failure: "
	textNoOpen    = "Can't open "
	textNoFile    = textNoOpen + "that file: " // of commands that move nothing
	textNoMkdir   = "Can't create directory: "
	textNoRmdir   = "Can't remove directory: "
	textTLS       = "TLS: Enabled "
	textBits      = " secret bits cipher"
	textCommand   = "Command ["
	textUp        = " uploaded"
	textDown      = " downloaded"
	textCut       = " cut short"
	textAmount    = "  ("
	textRate      = "KB/sec)"
	anonymous     = "ftp"
)

// Severity is how much an entry matters.
func (e *Entry) Severity() Level { return cmp.Or(e.Level, e.usually()) }

// usually is the level of what an entry tells.
func (e *Entry) usually() Level {
	failed := e.Status == Failed
	switch e.Event {
	case Command, Reply:
		return Debug
	case Connect, Login:
		if failed {
			return Warning
		}
	case Transfer, Delete, Rename, Mkdir, Rmdir:
		if failed {
			return Error
		}
		return Notice
	}
	return Info
}

func appendPure(line []byte, e *Entry) []byte {
	start := len(line)
	user, host := e.User, e.Host
	if e.Event == Connect || e.Event == Login {
		user = ""
	}
	if e.Event == Connect && e.Status == Failed {
		host = ""
	}
	line = append(line, '(')
	line = appendWithout(line, cmp.Or(user, unknownName), ") [", ")_[")
	line = append(line, '@')
	line = appendPureHost(line, host)
	line = append(line, ") ["...)
	level := e.Severity()
	if int(level) > len(levelNames) {
		level = Info
	}
	line = append(line, levelNames[level-1]...)
	line = append(line, "] "...)
	before := len(line)
	if line = appendPureText(line, e); len(line) == before && e.Event != Message {
		return line[:start]
	}
	return line
}

func appendPureHost(line []byte, host string) []byte {
	start := len(line)
	line = appendWord(line, cmp.Or(host, unknownName))
	for i := start; i < len(line); i++ {
		if strings.IndexByte("@)]", line[i]) >= 0 {
			line[i] = '_'
		}
	}
	return line
}

func appendPureText(line []byte, e *Entry) []byte {
	failed := e.Status == Failed
	switch e.Event {
	case Connect:
		return appendPureConnect(line, e)
	case Login:
		return appendPureLogin(line, e)
	case Logout:
		if strings.HasPrefix(e.Reason, textTimeout) {
			return appendName(line, e.Reason, ' ')
		}
		return append(line, textLogout...)
	case Transfer:
		return appendPureTransfer(line, e)
	case Delete:
		if failed {
			return appendFailure(append(line, textNoDelete...), e.Path, e.Reason)
		}
		return appendName(append(line, textDelete...), e.Path, ' ')
	case Rename:
		if failed {
			return appendName(append(line, textNoRename...), e.Reason, ' ')
		}
		line = append(line, textRename...)
		line = appendWithout(line, e.Path, textTo, "]->_")
		line = append(line, textTo...)
		return append(appendName(line, e.To, ' '), ']')
	case Mkdir, Rmdir: // it is not told when they go well
		if !failed {
			return line
		}
		if e.Event == Mkdir {
			return appendName(append(line, textNoMkdir...), e.Reason, ' ')
		}
		return appendName(append(line, textNoRmdir...), e.Reason, ' ')
	case TLS:
		line = appendWithout(append(line, textTLS...), e.TLS, " with ", "_with_")
		line = appendName(append(line, " with "...), e.Cipher, ' ')
		line = append(line, ", "...)
		line = append(line, secretBits(e.Cipher)...)
		return append(line, textBits...)
	case Command:
		line = appendWithout(append(line, textCommand...), e.Command, "] [", "]_[")
		line = appendName(append(line, "] ["...), e.Text, ' ')
		return append(line, ']')
	}
	return appendName(line, e.Text, ' ')
}

func secretBits(cipher string) string {
	if strings.Contains(cipher, "AES_128") || strings.Contains(cipher, "AES128") {
		return "128"
	}
	return "256"
}

// appendFailure adds what it was about and why it failed.
func appendFailure(line []byte, name, reason string) []byte {
	line = appendName(line, name, ' ')
	line = append(line, ": "...)
	return appendWithout(line, cmp.Or(reason, none), ": ", ":_")
}

func appendPureConnect(line []byte, e *Entry) []byte {
	if e.Status != Failed {
		return appendPureHost(append(line, textConnect...), e.Host)
	}
	line = append(line, textTooMany...)
	n := e.Text
	if _, ok := smallCount(n); !ok {
		n = "0"
	}
	line = append(line, n...)
	line = append(line, textFromIP...)
	return append(appendPureHost(line, e.Host), ']')
}

func appendPureLogin(line []byte, e *Entry) []byte {
	switch {
	case e.Status == Failed:
		line = append(line, textNoLogin...)
		return append(appendText(line, e.User), ']')
	case e.Xfer.Mode == 'a' && e.Style.Format == inSyslog && e.Text != "":
		return appendName(append(line, textVirtual...), e.Text, ' ')
	case e.Xfer.Mode == 'a':
		return append(line, textAnonymous...)
	}
	line = appendText(line, e.User)
	return append(line, textLogin...)
}

func appendPureTransfer(line []byte, e *Entry) []byte {
	if e.Status == Failed {
		return appendFailure(append(line, textNoOpen...), e.Path, e.Reason)
	}
	if !strings.HasPrefix(e.Path, "/") {
		line = append(line, '/')
	}
	line = appendName(line, e.Path, ' ')
	switch {
	case e.Status == Cut:
		text, _ := extendedCommand(e)
		verb, _, _ := strings.Cut(text, " ")
		line = append(line, ": "...)
		line = append(line, verb...)
		line = append(line, textCut...)
	case e.Direction == Upload:
		line = append(line, textUp...)
	default:
		line = append(line, textDown...)
	}
	line = append(line, textAmount...)
	line = appendCount(line, e.Bytes)
	line = append(line, " bytes, "...)
	line = appendRate(line, e.Speed())
	line = append(line, textRate...)
	if e.Status == Cut {
		line = append(line, ": "...)
		line = appendName(line, e.Reason, ' ')
	}
	return line
}

// certain is what was read, if it is known.
func certain(name string) string {
	if name == unknownName {
		return ""
	}
	return name
}

// pure reads what appendPure writes, and tells whether it is that. If the words
// are not to be understood it is a message.
func (e *Entry) pure(text string, words bool) bool {
	text, ok := strings.CutPrefix(text, "(")
	for at := 0; ok; at++ {
		end := strings.Index(text[at:], ") [")
		if end < 0 {
			return false
		}
		at += end
		name, rest, ok := strings.Cut(text[at+len(") ["):], "] ")
		level := slices.Index(levelNames, name)
		user, host := cutLast(text[:at], "@")
		if !ok || level < 0 || user == "" || host == "" {
			continue
		}
		e.User, e.Host = certain(user), certain(host)
		if words {
			e.pureText(rest)
		} else {
			e.Event, e.Text = Message, rest
		}
		if l := Level(level + 1); l != e.usually() {
			e.Level = l
		}
		return true
	}
	return false
}

// pureText reads the text; whoever calls looks whether it is written so again.
func (e *Entry) pureText(text string) {
	if strings.HasPrefix(text, "/") && e.pureTransfer(text) {
		return
	}
	for _, w := range pureWords {
		rest, ok := strings.CutPrefix(text, w.before)
		rest, ok2 := strings.CutSuffix(rest, w.after)
		if ok && ok2 {
			e.Event, e.Status = w.event, w.status
			w.read(e, rest)
			return
		}
	}
	e.Event, e.Status, e.Text = Message, Unknown, text
}

// pureWords are the texts, with what stands between in an entry.
var pureWords = []struct {
	before, after string
	event         Event
	status        Status
	read          func(e *Entry, between string)
}{
	{textConnect, "", Connect, Unknown, func(e *Entry, text string) { e.Host = certain(text) }},
	{textTooMany, "]", Connect, Failed, func(e *Entry, text string) {
		n, host, _ := strings.Cut(text, textFromIP)
		e.Text, e.Host = n, certain(host)
	}},
	{textNoLogin, "]", Login, Failed, func(e *Entry, text string) { e.User = known(text) }},
	{textVirtual, "", Login, Whole, func(e *Entry, text string) { e.User, e.Xfer.Mode, e.Text = anonymous, 'a', text }},
	{textAnonymous, "", Login, Whole, func(e *Entry, text string) { e.User, e.Xfer.Mode = anonymous, 'a' }},
	{textLogout, "", Logout, Unknown, func(*Entry, string) {}},
	{textTimeout, "", Logout, Unknown, func(e *Entry, text string) { e.Reason = textTimeout + text }},
	{textDelete, "", Delete, Whole, func(e *Entry, text string) { e.Path = text }},
	{textNoDelete, "", Delete, Failed, (*Entry).failure},
	{textRename, "]", Rename, Whole, func(e *Entry, text string) {
		e.Path, e.To, _ = strings.Cut(text, textTo)
		e.Style.Ambiguous = strings.Contains(e.To, textTo)
	}},
	{textNoRename, "", Rename, Failed, func(e *Entry, text string) { e.Reason = text }},
	{textNoFile, "", Message, Unknown, func(e *Entry, text string) { e.Text = textNoFile + text }},
	{textNoOpen, "", Transfer, Failed, (*Entry).failure},
	{textNoMkdir, "", Mkdir, Failed, func(e *Entry, text string) { e.Reason = text }},
	{textNoRmdir, "", Rmdir, Failed, func(e *Entry, text string) { e.Reason = text }},
	{textTLS, textBits, TLS, Unknown, func(e *Entry, text string) {
		text, _ = cutLast(text, ", ")
		e.TLS, e.Cipher, _ = strings.Cut(text, " with ")
	}},
	{textCommand, "]", Command, Unknown, func(e *Entry, text string) { e.Command, e.Text, _ = strings.Cut(text, "] [") }},
	{"", textLogin, Login, Whole, func(e *Entry, text string) { e.User = known(text) }},
}

func (e *Entry) failure(text string) {
	e.Path, e.Reason = cutLast(text, ": ")
	e.Reason = known(e.Reason)
}

// pureTransfer reads a transfer, from its end.
func (e *Entry) pureTransfer(text string) bool {
	if what, ok := e.amount(text); ok {
		if path, ok := strings.CutSuffix(what, textUp); ok {
			e.Path, e.Direction = path, Upload
			return true
		}
		if path, ok := strings.CutSuffix(what, textDown); ok {
			e.Path, e.Direction = path, Download
			return true
		}
	}
	at := strings.LastIndex(text, textCut+textAmount)
	if at < 0 {
		return false
	}
	length := strings.Index(text[at:], "): ")
	if length < 0 {
		return false
	}
	what, ok := e.amount(text[:at+length+1])
	path, verb := cutLast(strings.TrimSuffix(what, textCut), ": ")
	for _, v := range verbs {
		if ok && v.event == Transfer && v.verb == verb {
			e.Path, e.Direction, e.Command, e.Status = path, v.direction, verb, Cut
			e.Reason = text[at+length+len("): "):]
			return true
		}
	}
	return false
}

// amount reads the size and the rate at the end of a text, and returns what
// stands before.
func (e *Entry) amount(text string) (before string, ok bool) {
	text, ok = strings.CutSuffix(text, textRate)
	before, amount := cutLast(text, textAmount)
	bytes, rate, ok2 := strings.Cut(amount, " bytes, ")
	n, err := count(bytes)
	r, err2 := parseRate(rate)
	if !ok || !ok2 || err != nil || err2 != nil {
		return "", false
	}
	e.Bytes, e.Rate, e.Took = n, r, took(n, r)
	return before, true
}
