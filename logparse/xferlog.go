package logparse

import (
	"cmp"
	"slices"
	"strings"
)

// wu-ftpd's xferlog(5). The beginning of a line and its end are sure: the date
// has 24 bytes, three fields without a blank follow, and the name of the file,
// whose blanks every server replaces. The name of the user is as it is in most
// dialects, and so is what the client's host said about it. So the first place
// where the four letters behind the name fit is the right one: who takes the last
// is told by a user of the name "x b _ o r root ftp 0 * c" that root did it.

// services are the words by which a user's name ends where an ident with blanks
// follows, or no status.
var services = []string{"ftp", "ftps", "sftp", "scp"}

// A dialect is how one server writes xferlog.
type dialect struct {
	name, help string

	day      byte  // how a day below 10 is padded
	auth     byte  // what it has for Auth if nobody was asked
	least    int64 // the fewest seconds it writes
	blank    byte  // what it has for a blank in the name of a file
	control  byte  // and for a control character
	floor    bool  // fractions of a second are cut off
	ascii    bool  // and so are bytes above 126
	raw      bool  // blanks in the names of users stay,
	rawMail  bool  // and those in what anonymous gave as a password
	complete bool  // every status is c, which therefore means nothing, and every user real
	group    bool  // a group for the service, and no status
	deletes  bool  // direction d
}

func (d dialect) format() Format {
	f := Format{Name: d.name, Help: d.help, Events: events(Transfer), Says: saysXferlog, parse: d.parse, append: d.append}
	if d.deletes {
		f.Events |= events(Delete)
	}
	if d.complete {
		f.Says &^= SaysMode
	}
	if d.complete || d.group {
		f.Says &^= SaysStatus
	}
	return f
}

func (d dialect) append(line []byte, e *Entry) []byte {
	own := e.Style.Format == d.name
	line = appendCtime(line, e, own, d.day)
	line = append(line, ' ')
	took := seconds(e.Took)
	if d.floor {
		took = wholeSeconds(e.Took)
	}
	if !own {
		took = max(took, d.least)
	}
	line = appendCount(line, took)
	line = append(line, ' ')
	line = appendWord(line, e.Host)
	line = append(line, ' ')
	line = appendCount(line, e.Bytes)
	line = append(line, ' ')
	path := cmp.Or(e.Path, none)
	if d.group { // whose ? is read as a blank
		path = strings.ReplaceAll(path, " ", "?")
	}
	line = d.appendName(line, path, d.blank, own)
	line = d.appendKind(line, e, own)
	user := d.blank
	if d.raw && (e.Xfer.Mode != 'a' || d.rawMail) {
		user = ' '
	}
	line = d.appendName(line, cmp.Or(e.User, none), user, own)
	line = append(line, ' ')
	service, ident := cmp.Or(e.Xfer.Service, "ftp"), cmp.Or(e.Xfer.Ident, "*")
	if d.group {
		service = cmp.Or(e.Xfer.Group, none)
	}
	if !own && !slices.Contains(services, service) { // it would not be found before anything else
		ident = "*"
	}
	line = appendName(line, service, '_')
	line = append(line, ' ', d.asked(e), ' ')
	line = d.appendName(line, ident, '_', own)
	return d.appendStatus(line, e, own)
}

func (d dialect) asked(e *Entry) byte {
	if e.Xfer.Auth == '0' || e.Xfer.Auth == '1' {
		return e.Xfer.Auth
	}
	return d.auth
}

// appendKind adds the four letters.
func (d dialect) appendKind(line []byte, e *Entry, own bool) []byte {
	kind, flags, direction, mode := byte('b'), e.Xfer.Flags, byte('o'), e.Xfer.Mode
	if e.Xfer.ASCII {
		kind = 'a'
	}
	if len(flags) < 1 || len(flags) > 3 || strings.Trim(flags, "CUT") != "" {
		flags = "_"
	}
	if e.Event == Delete {
		direction = 'd'
	} else if e.Direction == Upload {
		direction = 'i'
	}
	if mode != 'a' && mode != 'g' || d.complete && !own {
		mode = 'r'
	}
	line = append(line, ' ', kind, ' ')
	line = append(line, flags...)
	return append(line, ' ', direction, ' ', mode, ' ')
}

func (d dialect) appendStatus(line []byte, e *Entry, own bool) []byte {
	switch {
	case d.group || own && e.Style.Short:
		return line
	case d.complete && !own || e.Status != Cut && e.Status != Failed:
		return append(line, " c"...)
	}
	return append(line, " i"...)
}

// appendName adds a name as the dialect has it; or as it is, if it is the
// dialect's own.
func (d dialect) appendName(line []byte, name string, blank byte, own bool) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '\n' || c == '\r':
			line = append(line, d.control)
		case own:
			line = append(line, c)
		case c == ' ':
			line = append(line, blank)
		case control(c) || d.ascii && c > '~':
			line = append(line, d.control)
		default:
			line = append(line, c)
		}
	}
	return line
}

func (d *dialect) parse(p *Parser, line string, e *Entry) error {
	rest, err := p.ctime(line, e)
	if err != nil {
		return err
	}
	took, rest, err := number(rest)
	if err != nil {
		return err
	}
	if e.Took, err = lasting(took); err != nil {
		return err
	}
	host, rest, ok := address(rest)
	if !ok {
		return errForm
	}
	if e.Bytes, rest, err = number(rest); err != nil {
		return err
	}
	e.Host = known(host)
	if err := d.remainder(p, rest, e); err != nil {
		return err
	}
	if d.complete && e.Status == Whole {
		e.Status = Unknown
	}
	if d.group {
		if strings.Contains(e.Path, " ") {
			return errForm
		}
		e.Path = strings.ReplaceAll(e.Path, "?", " ")
	}
	return nil
}

// remainder parts what stands behind the size.
func (d *dialect) remainder(p *Parser, text string, e *Entry) error {
	if d.usual(text, e) {
		return nil
	}
	return d.anywhere(p, text, e)
}

// anywhere looks for the letters behind every blank.
func (d *dialect) anywhere(p *Parser, text string, e *Entry) error {
	found := 0
	err := errForm
	for at := 0; ; at++ {
		blank := strings.IndexByte(text[at:], ' ')
		if blank < 0 {
			break
		}
		at += blank
		n := letters(text[at:])
		if n == 0 || at == 0 {
			continue
		}
		if found++; found > 1 {
			e.Style.Ambiguous = true
			if !p.RawNames {
				break
			}
		}
		user, status, short, x := e.who()
		if d.account(e, text[at+n:]) != nil {
			if !p.RawNames {
				return errForm
			}
			e.User, e.Status, e.Style.Short, e.Xfer = user, status, short, x
			continue
		}
		e.Path = known(text[:at])
		e.kind(text[at : at+n])
		err = nil
	}
	return err
}

// usual reads what nearly every line has: names without blanks, and nothing that the
// client's host said. The words behind the letters are then the user, the service, a
// digit and a star, and there is no second place where four letters fit. Without
// success nothing of the entry is changed.
func (d *dialect) usual(text string, e *Entry) bool {
	path, _, ok := word(text)
	if !ok {
		return false
	}
	n := letters(text[len(path):])
	if n == 0 {
		return false
	}
	user, rest, ok := word(text[len(path)+n:])
	service, rest, ok2 := word(rest)
	if !ok || !ok2 || len(rest) < len("0 *") || rest[0] != '0' && rest[0] != '1' || rest[1:3] != " *" {
		return false
	}
	status, short := Unknown, false
	switch rest[3:] {
	case " c":
		status = Whole
	case " i":
		status = Cut
	case "":
		short = true
	default:
		return false
	}
	if d.group && !short || service != "ftp" && !d.serves(service, short) {
		return false
	}
	e.Path, e.User, e.Xfer.Auth, e.Status, e.Style.Short = known(path), known(user), rest[0], status, short
	d.service(e, service)
	e.kind(text[len(path) : len(path)+n])
	return true
}

// who is what account reads.
func (e *Entry) who() (user string, status Status, short bool, x Xfer) {
	return e.User, e.Status, e.Style.Short, e.Xfer
}

// letters tells how long the four letters are that a text begins with, in blanks;
// 0 if it does not.
func letters(text string) int {
	if len(text) < len(" b _ o r ") || text[2] != ' ' || text[1] != 'a' && text[1] != 'b' {
		return 0
	}
	end := 4 // of the flags
	if text[3] != '_' {
		for end = 3; end < 6 && end < len(text) && (text[end] == 'C' || text[end] == 'U' || text[end] == 'T'); end++ {
		}
	}
	rest := text[end:]
	if end == 3 || len(rest) < len(" o r ") || rest[0] != ' ' || rest[2] != ' ' || rest[4] != ' ' ||
		rest[1] != 'i' && rest[1] != 'o' && rest[1] != 'd' || rest[3] != 'a' && rest[3] != 'g' && rest[3] != 'r' {
		return 0
	}
	return end + len(" o r ")
}

// kind takes them into the entry.
func (e *Entry) kind(text string) {
	e.Xfer.ASCII = text[1] == 'a'
	e.Xfer.Flags = strings.TrimPrefix(text[3:len(text)-len(" o r ")], "_")
	e.Xfer.Mode = text[len(text)-2]
	if direction := text[len(text)-4]; direction == 'd' {
		e.Event, e.Direction = Delete, 0
	} else {
		e.Event, e.Direction = Transfer, Direction(direction)
	}
}

// account reads the rest: user, service, whether the client's host was asked, what
// it said, and the status, which old servers leave out.
func (d *dialect) account(e *Entry, text string) error {
	if before, ok := strings.CutSuffix(text, " c"); ok && !d.group {
		text, e.Status = before, Whole
	} else if before, ok := strings.CutSuffix(text, " i"); ok && !d.group {
		text, e.Status = before, Cut
	} else {
		e.Style.Short = true
	}
	if before, ok := strings.CutSuffix(text, " *"); ok && len(before) > 4 {
		asked := before[len(before)-1]
		user, service := lastWord(before[:len(before)-2])
		if user != "" && service != "" && before[len(before)-2] == ' ' && (asked == '0' || asked == '1') && d.serves(service, e.Style.Short) {
			e.User, e.Xfer.Auth = known(user), asked
			d.service(e, service)
			return nil
		}
	}
	return d.ident(e, text)
}

// serves tells whether a word can be a service. Without a status behind it only
// those that are known are believed: glftpd has a group there.
func (d *dialect) serves(service string, short bool) bool {
	return !controlled(service) && (d.group || !short || slices.Contains(services, service))
}

func (d *dialect) service(e *Entry, service string) {
	if d.group {
		e.Xfer.Group = known(service)
	} else if service != "ftp" {
		e.Xfer.Service = service
	}
}

// ident parts what has an answer of the client's host at its end, which may have
// blanks: at the last service that is known.
func (d *dialect) ident(e *Entry, text string) error {
	if d.group {
		return errForm
	}
	best := 0
	for _, service := range services {
		for _, asked := range []byte{'0', '1'} {
			between := " " + service + " " + string(asked) + " "
			if at := strings.LastIndex(text, between); at > best && at+len(between) < len(text) {
				best = at
				e.User, e.Xfer.Auth, e.Xfer.Ident = known(text[:at]), asked, text[at+len(between):]
				e.Xfer.Service = ""
				d.service(e, service)
			}
		}
	}
	if best == 0 {
		return errForm
	}
	return nil
}
