package logparse

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
)

// vsftpd's own log. A quote in a name is not escaped, so a path is what stands
// between the first quote and the last that can end it. A user's name ends at the
// first bracket behind which the rest of the line fits.

// vsftpdKinds are the words for what happens, with what they are.
var vsftpdKinds = []struct {
	word      string
	event     Event
	direction Direction
	plain     bool // whether it went well is not said
}{
	{"UPLOAD", Transfer, Upload, false},
	{"DOWNLOAD", Transfer, Download, false},
	{"LOGIN", Login, 0, false},
	{"CONNECT", Connect, 0, true},
	{"DELETE", Delete, 0, false},
	{"RENAME", Rename, 0, false},
	{"MKDIR", Mkdir, 0, false},
	{"RMDIR", Rmdir, 0, false},
	{"CHMOD", Chmod, 0, false},
	{"FTP command", Command, 0, true},
	{"FTP response", Reply, 0, true},
	{"DEBUG", Message, 0, true},
}

func appendVsftpd(line []byte, e *Entry) []byte {
	line = appendCtime(line, e, e.Style.Format == "vsftpd", ' ')
	line = append(line, " [pid "...)
	line = appendCount(line, int64(e.PID))
	line = append(line, "] "...)
	return appendVsftpdText(line, e)
}

func parseVsftpd(p *Parser, line string, e *Entry) error {
	rest, err := p.ctime(line, e)
	if err != nil {
		return err
	}
	number, ok := strings.CutPrefix(rest, "[pid ")
	number, rest, ok2 := strings.Cut(number, "] ")
	if !ok || !ok2 || controlled(line) {
		return errForm
	}
	if e.PID, ok = smallCount(number); !ok {
		return wrong("process", number)
	}
	return e.vsftpdText(rest)
}

// appendVsftpdText adds what is also told the system's log.
func appendVsftpdText(line []byte, e *Entry) []byte {
	kind := vsftpdKinds[0]
	for _, k := range vsftpdKinds {
		if k.event == e.Event && k.direction == e.Direction {
			kind = k
			break
		}
	}
	if e.Event == Transfer && e.Direction != Upload {
		kind = vsftpdKinds[1]
	}
	if e.User != "" {
		line = append(line, '[')
		if own := e.Style.Format == "vsftpd" || e.Style.Syslog.Tag == "vsftpd"; own {
			line = appendName(line, e.User, ' ')
		} else {
			line = appendWithout(line, e.User, "] ", "]_")
		}
		line = append(line, "] "...)
	}
	if !kind.plain {
		line = append(line, ending(e.Status, "OK ", "FAIL ", "FAIL ")...)
	}
	line = append(line, kind.word...)
	line = append(line, `: Client "`...)
	line = appendWord(line, strings.ReplaceAll(e.Host, `"`, "_"))
	line = append(line, '"')
	switch kind.event {
	case Connect:
	case Login:
		if e.Text != "" {
			line = appendQuoted(line, ", anon password ", e.Text)
		}
	case Transfer:
		line = appendQuoted(line, ", ", e.Path)
		if e.Bytes > 0 {
			line = append(line, ", "...)
			line = appendCount(line, e.Bytes)
			line = append(line, " bytes"...)
		}
		line = append(line, ", "...)
		line = appendRate(line, e.Speed())
		line = append(line, "Kbyte/sec"...)
	default:
		line = appendQuoted(line, ", ", vsftpdArgument(e))
	}
	return line
}

// appendQuoted adds a text with something before it, if there is one.
func appendQuoted(line []byte, before, text string) []byte {
	if text == "" {
		return line
	}
	line = append(line, before...)
	line = append(line, '"')
	line = appendName(line, text, ' ')
	return append(line, '"')
}

// vsftpdArgument is what stands in quotes for what is no transfer.
func vsftpdArgument(e *Entry) string {
	switch e.Event {
	case Rename:
		if e.To == "" {
			return strings.ReplaceAll(e.Path, " /", "_/")
		}
		return strings.ReplaceAll(e.Path, " /", "_/") + " /" + strings.TrimPrefix(e.To, "/")
	case Chmod:
		if !isOctal(e.Text) {
			return e.Path + " " + none
		}
		return e.Path + " " + e.Text
	case Command:
		return commandLine(e)
	case Reply, Message:
		return e.Text
	}
	return e.Path
}

// commandLine is a command with its argument.
func commandLine(e *Entry) string {
	if e.Text == "" {
		return e.Command
	}
	return e.Command + " " + e.Text
}

// setCommand is its reverse.
func (e *Entry) setCommand(text string) {
	e.Command, e.Text, _ = strings.Cut(text, " ")
	if e.Text == "" { // a blank at the end stays where it is
		e.Command = text
	}
}

func isOctal(text string) bool { return text != "" && strings.Trim(text, "01234567") == "" }

// vsftpdText reads what appendVsftpdText wrote.
func (e *Entry) vsftpdText(text string) error {
	if !strings.HasPrefix(text, "[") {
		return e.vsftpdKind(text)
	}
	for at := 1; ; at++ {
		end := strings.Index(text[at:], "] ")
		if end < 0 {
			return errForm
		}
		at += end
		if at > 1 && e.vsftpdKind(text[at+len("] "):]) == nil {
			e.User = text[1:at]
			return nil
		}
	}
}

func (e *Entry) vsftpdKind(text string) error {
	what, rest, ok := strings.Cut(text, `: Client "`)
	host, rest, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || host == "" || strings.Contains(host, " ") {
		return errForm
	}
	what, fine := strings.CutPrefix(what, "OK ")
	what, failed := strings.CutPrefix(what, "FAIL ")
	for _, k := range vsftpdKinds {
		if k.word != what || k.plain == (fine || failed) || fine && failed {
			continue
		}
		e.Event, e.Direction, e.Host, e.Status = k.event, k.direction, known(host), Unknown
		switch {
		case fine:
			e.Status = Whole
		case failed && k.event == Transfer:
			e.Status = Cut
		case failed:
			e.Status = Failed
		}
		return e.vsftpdRest(rest)
	}
	return wrong("event", what)
}

// vsftpdRest reads what stands behind the client.
func (e *Entry) vsftpdRest(text string) (err error) {
	var quoted string
	switch e.Event {
	case Connect:
		if text != "" {
			return errForm
		}
		return nil
	case Login:
		e.Text, err = unquote(text, ", anon password ")
		if e.Text != "" {
			e.Xfer.Mode = 'a'
		}
		return err
	case Transfer:
		return e.vsftpdTransfer(text)
	}
	if quoted, err = unquote(text, ", "); err != nil {
		return err
	}
	switch e.Event {
	case Rename:
		e.Path = quoted
		if from, to, ok := strings.Cut(quoted, " /"); ok {
			e.Path, e.To = from, quoted[len(from)+1:]
			// Without a file of the first name there is but one.
			e.Style.Ambiguous = strings.Contains(to, " /") || e.Status == Failed
		}
	case Chmod:
		path, mode := lastWord(quoted)
		if !isOctal(mode) && mode != none {
			return wrong("change of permissions", quoted)
		}
		e.Path, e.Text = path, known(mode)
	case Command:
		e.setCommand(quoted)
	case Reply, Message:
		e.Text = quoted
	default:
		e.Path = quoted
	}
	return nil
}

// unquote reads what appendQuoted wrote.
func unquote(text, before string) (string, error) {
	if text == "" {
		return "", nil
	}
	text, ok := strings.CutPrefix(text, before+`"`)
	text, ok2 := strings.CutSuffix(text, `"`)
	if !ok || !ok2 || text == "" {
		return "", errForm
	}
	return text, nil
}

func (e *Entry) vsftpdTransfer(text string) (err error) {
	text, ok := strings.CutSuffix(text, "Kbyte/sec")
	text, rate := cutLast(text, ", ")
	if e.Rate, err = parseRate(rate); err != nil || !ok {
		return cmp.Or(err, errForm)
	}
	e.Bytes = 0
	if rest, ok := strings.CutSuffix(text, " bytes"); ok {
		if before, number := cutLast(rest, ", "); before != "" || rest == ", "+number {
			if n, err := count(number); err == nil && n > 0 {
				text, e.Bytes = before, n
			}
		}
	}
	e.Took = took(e.Bytes, e.Rate)
	e.Path, err = unquote(text, ", ")
	return err
}

// appendRate adds KiB a second with two decimals.
func appendRate(line []byte, bytes float64) []byte {
	if kib := bytes / 1024; kib > 0 && kib < maxRate {
		return strconv.AppendFloat(line, kib, 'f', 2, 64)
	}
	return append(line, "0.00"...)
}

// maxRate is beyond what there is, and what keeps its decimals.
const maxRate = 1e12

// parseRate reads it.
func parseRate(text string) (bytes float64, err error) {
	whole, rest, ok := strings.Cut(text, ".")
	n, err := count(whole)
	if !ok || err != nil || len(rest) != 2 || two(rest, 0) < 0 || n >= maxRate {
		return 0, wrong("rate", text)
	}
	return float64(n*100+int64(two(rest, 0))) / 100 * 1024, nil
}

// took is how long a transfer took by its rate.
func took(bytes int64, rate float64) time.Duration {
	if rate <= 0 || bytes <= 0 {
		return 0
	}
	s := min(float64(bytes)/rate, maxSeconds)
	return time.Duration(math.Round(s*1e6)) * time.Microsecond
}
