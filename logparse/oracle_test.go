package logparse

import (
	"slices"
	"strings"
	"time"
)

// The oracle says, apart from the code that writes and reads, what is left of an
// entry that was written in a format.

// mapped replaces the control characters of a text, and its blanks.
func mapped(text string, blank, ctl byte) string {
	b := []byte(text)
	for i, c := range b {
		if c == ' ' {
			b[i] = blank
		} else if c < ' ' || c == 0x7f {
			b[i] = ctl
		}
	}
	return string(b)
}

func asWord(text string) string { return dashless(mapped(text, '_', '_')) }
func asText(text string) string { return dashless(mapped(text, ' ', '_')) }

// dashless is a text where - stands for none.
func dashless(text string) string {
	if text == "-" {
		return ""
	}
	return text
}

func slashed(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// expect returns what is read of an entry that was written in a format; whatever
// Says leaves out is not looked at.
func expect(f Format, e Entry) Entry {
	if e.Rate = e.Speed(); e.Rate < 0 || e.Rate >= maxRate*1024 {
		e.Rate = 0
	}
	e.Bytes = max(e.Bytes, 0)
	switch f.Name {
	case "json":
	case "syslog": // has another sign for what is not known
		e.Host = mapped(e.Host, '_', '_')
	default:
		e.Host = asWord(e.Host)
	}
	if f.Name != "json" && e.Event == Transfer && e.Direction == 0 {
		e.Direction = Download
	}
	if f.Says&SaysExactly == 0 {
		e.Time = e.Time.Truncate(time.Second)
	}
	switch {
	case f.Name == "json":
		return e.viaJSON()
	case strings.HasPrefix(f.Name, "xferlog"):
		return e.viaXferlog(f.Name)
	case f.Name == "vsftpd":
		return e.viaVsftpd()
	case f.Name == "extendedlog":
		return e.viaExtended()
	case f.Name == "syslog":
		return e.viaSyslog()
	}
	e.Took = min(max(e.Took.Round(time.Second), 0), maxSeconds*time.Second)
	if f.Name == "stats" {
		if strings.Contains(e.User, " U ") || strings.Contains(e.User, " D ") {
			e.User = asWord(e.User)
		}
		e.Path = slashed(mapped(e.Path, ' ', '_'))
		if !isSession(e.Session) || e.Session == noSession {
			e.Session = ""
		}
	} else {
		if e.Path == "" {
			e.Path = "/"
		}
		if e.Status == Unknown || e.Status == Doubtful {
			e.Status = Whole
		}
	}
	e.User = asText(e.User)
	return e
}

func (e Entry) viaJSON() Entry {
	e.Took = min(max(e.Took, 0), maxSeconds*time.Second)
	if !slices.Contains([]byte("agr"), e.Xfer.Mode) {
		e.Xfer.Mode = 0
	}
	return e
}

func (e Entry) viaXferlog(name string) Entry {
	took := e.Took.Round(time.Second)
	if slices.Contains([]string{"xferlog-vsftpd", "xferlog-wu-ftpd", "xferlog-proftpd"}, name) {
		took = e.Took.Truncate(time.Second)
	}
	if name == "xferlog-vsftpd" || name == "xferlog-wu-ftpd" {
		took = max(took, time.Second)
	}
	e.Took = min(max(took, 0), maxSeconds*time.Second)
	if e.Status != Cut && e.Status != Failed {
		e.Status = Whole
	} else {
		e.Status = Cut
	}
	user, path := asText(e.User), mapped(e.Path, '_', '_')
	switch name {
	case "xferlog":
		user = asWord(e.User)
	case "xferlog-glftpd":
		path = strings.ReplaceAll(mapped(e.Path, '?', '?'), "?", " ")
		user = dashless(mapped(e.User, '?', '?'))
	case "xferlog-vsftpd":
		path, user = questioned(e.Path), dashless(questioned(e.User))
	case "xferlog-wu-ftpd", "xferlog-pure-ftpd":
		if e.Xfer.Mode == 'a' {
			user = asWord(e.User)
		}
	}
	e.User, e.Path = user, dashless(path)
	if e.Xfer.Mode != 'a' && e.Xfer.Mode != 'g' {
		e.Xfer.Mode = 'r'
	}
	e.Xfer.Service = mapped(e.Xfer.Service, '_', '_')
	if e.Xfer.Service == "ftp" || name == "xferlog-glftpd" {
		e.Xfer.Service = ""
	}
	return e
}

// questioned is how vsftpd writes a name.
func questioned(text string) string {
	b := []byte(mapped(text, '_', '?'))
	for i, c := range b {
		if c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func (e Entry) viaVsftpd() Entry {
	e.Host = strings.ReplaceAll(e.Host, `"`, "_")
	e.User = mapped(strings.ReplaceAll(e.User, "] ", "]_"), ' ', '_')
	e.Path = mapped(e.Path, ' ', '_')
	e.Text = mapped(e.Text, ' ', '_')
	text := ""
	switch e.Event {
	case Rename:
		e.Path = strings.ReplaceAll(e.Path, " /", "_/")
		if e.To != "" {
			e.To = slashed(mapped(e.To, ' ', '_'))
		}
	case Login, Reply, Message:
		text = e.Text
	case Chmod:
		if isOctal(e.Text) {
			text = e.Text
		}
	case Command:
		text = e.Text
	}
	e.Text = text
	switch {
	case e.Event == Connect || e.Event == Command || e.Event == Reply || e.Event == Message:
		e.Status = Unknown
	case e.Event == Transfer && e.Status == Failed:
		e.Status = Cut
	case e.Status == Cut && e.Event != Transfer:
		e.Status = Failed
	case e.Status != Cut && e.Status != Failed:
		e.Status = Whole
	}
	return e
}

func (e Entry) viaExtended() Entry {
	e.User = asText(e.User)
	ident := mapped(e.Xfer.Ident, ' ', '_')
	if ident != "" && ident != noIdent || strings.Contains(e.User, " [") {
		e.User = strings.ReplaceAll(e.User, " ", "_")
	}
	e.Path, e.To = mapped(e.Path, ' ', '_'), mapped(e.To, ' ', '_')
	switch {
	case e.Event == Command:
		e.Status = Unknown
	case e.Status == Unknown || e.Status == Doubtful:
		e.Status = Whole
	case e.Status == Cut && e.Event != Transfer:
		e.Status = Failed
	}
	e.Text = mapped(e.Text, ' ', '_')
	switch e.Event {
	case Command:
	case Chmod:
		e.Text = dashless(strings.ReplaceAll(e.Text, " ", "_"))
	default:
		e.Text = ""
	}
	if e.Event == Rename {
		e.Path = ""
	}
	if e.Event != Transfer && e.Event != Delete || e.Status == Failed {
		e.Bytes = 0
	}
	return e
}

func (e Entry) viaSyslog() Entry {
	for _, c := range "@)]" {
		e.Host = strings.ReplaceAll(e.Host, string(c), "_")
	}
	e.Path, e.To, e.Text = mapped(e.Path, ' ', '_'), mapped(e.To, ' ', '_'), mapped(e.Text, ' ', '_')
	user := mapped(strings.ReplaceAll(e.User, ") [", ")_["), ' ', '_')
	if user == "?" {
		user = ""
	}
	if e.Host == "?" {
		e.Host = ""
	}
	switch e.Event {
	case Connect:
		user = ""
	case Login:
		user = asText(e.User)
		if e.Status != Failed {
			e.Status = Whole
			if e.Xfer.Mode == 'a' {
				user = "ftp"
			}
		}
		e.Text = ""
	case Transfer:
		if e.Status != Failed {
			e.Path = slashed(e.Path)
		}
		switch e.Status {
		case Failed:
			e.Direction, e.Bytes, e.Rate = 0, 0, 0
		case Whole, Doubtful:
			e.Status = Unknown
		}
	case Delete, Rename:
		if e.Status != Failed {
			e.Status = Whole
		} else if e.Event == Rename {
			e.Path, e.To = "", ""
		}
	}
	switch e.Event {
	case Mkdir, Rmdir: // only failures are told
		e.Path = ""
	case Connect:
		if e.Status != Failed {
			e.Status = Unknown
		}
	case Logout, TLS, Command, Message:
		e.Status = Unknown
	}
	e.User = user
	return e
}
