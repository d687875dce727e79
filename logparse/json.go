package logparse

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Our own format: one JSON object a line (RFC 8259), which says all that an entry
// has. Times are UTC. Names that are not UTF-8 are shown as far as they are, and
// stand once more as they are, in base64 under the same key with "_base64", since
// strict readers refuse a line for anything that is not Unicode.

// jsonTexts are the keys of texts, in the order in which they are written.
var jsonTexts = []struct {
	key  string
	text func(*Entry) *string
}{
	{"session", func(e *Entry) *string { return &e.Session }},
	{"host", func(e *Entry) *string { return &e.Host }},
	{"user", func(e *Entry) *string { return &e.User }},
	{"path", func(e *Entry) *string { return &e.Path }},
	{"to", func(e *Entry) *string { return &e.To }},
	{"reason", func(e *Entry) *string { return &e.Reason }},
	{"tls", func(e *Entry) *string { return &e.TLS }},
	{"cipher", func(e *Entry) *string { return &e.Cipher }},
	{"data_tls", func(e *Entry) *string { return &e.DataTLS }},
	{"data_cipher", func(e *Entry) *string { return &e.DataCipher }},
	{"client", func(e *Entry) *string { return &e.Client }},
	{"command", func(e *Entry) *string { return &e.Command }},
	{"text", func(e *Entry) *string { return &e.Text }},
	{"flags", func(e *Entry) *string { return &e.Xfer.Flags }},
	{"service", func(e *Entry) *string { return &e.Xfer.Service }},
	{"group", func(e *Entry) *string { return &e.Xfer.Group }},
	{"ident", func(e *Entry) *string { return &e.Xfer.Ident }},
}

const (
	inBase64 = "_base64"
	isASCII  = "ascii"
)

// Words for what is a number here.
var (
	jsonEvents = []string{Transfer: "transfer", Delete: "delete", Rename: "rename", Mkdir: "mkdir", Rmdir: "rmdir", Chmod: "chmod",
		Connect: "connect", Login: "login", Logout: "logout", TLS: "tls", Command: "command", Reply: "reply", Message: "message"}
	jsonStatus = []string{Whole: "complete", Cut: "incomplete", Failed: "failed", Doubtful: "doubtful"}
	jsonLevels = []string{Emergency: "emergency", Alert: "alert", Critical: "critical", Error: "error", Warning: "warning",
		Notice: "notice", Info: "info", Debug: "debug"}
)

// The two events that are a transfer and its direction.
const (
	jsonUpload   = "upload"
	jsonDownload = "download"
)

var jsonModes = []struct {
	letter byte
	word   string
}{{'r', "real"}, {'a', "anonymous"}, {'g', "guest"}}

func appendJSON(line []byte, e *Entry) []byte {
	line = append(line, `{"time":"`...)
	line = e.Time.UTC().AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","event":"`...)
	line = append(line, e.jsonEvent()...)
	line = append(line, '"')
	if e.Status > Unknown && int(e.Status) < len(jsonStatus) {
		line = appendMember(line, "status", jsonStatus[e.Status])
	}
	for _, t := range jsonTexts {
		if text := *t.text(e); text != "" {
			line = appendMember(line, t.key, text)
		}
	}
	if e.Event == Transfer || e.Bytes > 0 {
		line = appendNumber(line, "bytes", e.Bytes)
	}
	if e.Took > 0 {
		line = append(line, `,"seconds":`...)
		line = appendDecimal(line, min(e.Took, maxSeconds*time.Second))
	}
	if speed := e.Speed(); speed > 0 && speed < maxRate*1024 {
		line = append(line, `,"rate":`...)
		line = strconv.AppendFloat(line, speed, 'f', -1, 64)
	}
	for _, n := range []struct {
		key string
		n   int64
	}{{"offset", e.Offset}, {"size", e.Size}, {"code", int64(e.Code)}, {"pid", int64(e.PID)}} {
		if n.n > 0 {
			line = appendNumber(line, n.key, n.n)
		}
	}
	return append(e.appendJSONWords(line), '}')
}

// appendJSONWords adds what has few values.
func (e *Entry) appendJSONWords(line []byte) []byte {
	if e.Xfer.ASCII {
		line = append(line, `,"ascii":true`...)
	}
	for _, m := range jsonModes {
		if m.letter == e.Xfer.Mode {
			line = appendMember(line, "mode", m.word)
		}
	}
	if e.Xfer.Auth == '0' || e.Xfer.Auth == '1' {
		line = appendNumber(line, "auth", int64(e.Xfer.Auth-'0'))
	}
	if e.Level > 0 && int(e.Level) < len(jsonLevels) {
		line = appendMember(line, "level", jsonLevels[e.Level])
	}
	return line
}

func (e *Entry) jsonEvent() string {
	switch {
	case e.Event == Transfer && e.Direction == Upload:
		return jsonUpload
	case e.Event == Transfer && e.Direction == Download:
		return jsonDownload
	}
	return jsonEvents[e.Event]
}

// setJSONWord takes a text that is not free; what is not known is left out, since
// a later version may have more.
func (e *Entry) setJSONWord(key, text string) {
	switch key {
	case "event":
		e.Event, e.Direction = Transfer, 0
		switch text {
		case jsonUpload:
			e.Direction = Upload
		case jsonDownload:
			e.Direction = Download
		default:
			e.Event = Message
			if i := slices.Index(jsonEvents, text); i >= 0 {
				e.Event = Event(i)
			}
		}
	case "status":
		if i := slices.Index(jsonStatus, text); i > 0 {
			e.Status = Status(i)
		}
	case "level":
		if i := slices.Index(jsonLevels, text); i > 0 {
			e.Level = Level(i)
		}
	case "mode":
		for _, m := range jsonModes {
			if m.word == text {
				e.Xfer.Mode = m.letter
			}
		}
	}
}

func appendNumber(line []byte, key string, n int64) []byte {
	line = append(line, `,"`...)
	line = append(line, key...)
	line = append(line, `":`...)
	return appendCount(line, n)
}

// appendMember adds a text, as it is shown and, if that is not the same, as it is.
func appendMember(line []byte, key, text string) []byte {
	line = append(line, `,"`...)
	line = append(line, key...)
	line = append(line, `":"`...)
	line = appendJSONText(line, text)
	line = append(line, '"')
	if utf8.ValidString(text) {
		return line
	}
	line = append(line, `,"`...)
	line = append(line, key...)
	line = append(line, inBase64...)
	line = append(line, `":"`...)
	line = base64.StdEncoding.AppendEncode(line, []byte(text))
	return append(line, '"')
}

// appendJSONText adds a text without its quotes. What could steer a terminal is
// escaped, though JSON would not ask for all of it.
func appendJSONText(line []byte, text string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				line = append(line, '\\', c)
			case control(c):
				line = append(line, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				line = append(line, c)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			line = append(line, `\ufffd`...)
		case r < 0xa0 || r == 0x2028 || r == 0x2029:
			line = append(line, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			line = append(line, text[i:i+size]...)
		}
		i += size
	}
	return line
}

// appendDecimal adds seconds with as many decimals as there are.
func appendDecimal(line []byte, d time.Duration) []byte {
	line = strconv.AppendInt(line, int64(d/time.Second), 10)
	part := int64(d % time.Second)
	if part == 0 {
		return line
	}
	start := len(line)
	line = strconv.AppendInt(line, part+int64(time.Second), 10)
	line[start] = '.' // where the 1 is
	for line[len(line)-1] == '0' {
		line = line[:len(line)-1]
	}
	return line
}
