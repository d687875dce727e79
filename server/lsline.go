package server

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"portreeve/config"
	"portreeve/server/vfs"
)

// Lines of LIST and NLST.

// appendName writes the name of a file, or the text of a link, as it goes over a
// data connection. It is the one place where names go out in listings; several
// goroutines call it at once.
func (s *session) appendName(b []byte, name string) []byte { return append(b, name...) }

// name is a line of NLST, and of LIST -1.
func (l *ls) name(b []byte, i *vfs.Info) []byte {
	return l.suffix(l.s.appendName(l.s.appendName(b, l.prefix), i.Name), i)
}

// suffix is -F: what sort of thing a name is.
func (l *ls) suffix(b []byte, i *vfs.Info) []byte {
	switch {
	case !l.opt.classify:
	case i.IsDir():
		b = append(b, '/')
	case i.IsLink():
		b = append(b, '@')
	case i.Mode&0o111 != 0:
		b = append(b, '*')
	}
	return b
}

// long is a line of ls -l: columns that lftp, FileZilla, Java's commons-net and
// all others find their way in.
func (l *ls) long(b []byte, i *vfs.Info) []byte {
	b = append(appendMode(b, i), ' ')
	b = append(padLeft(b, strconv.AppendUint(nil, max(i.Nlink, 1), 10), 4), ' ')
	b = append(padRight(b, l.s.owner(i.UID), 10), ' ')
	b = append(padRight(b, l.s.group(i.GID), 10), ' ')
	b = append(padLeft(b, strconv.AppendInt(nil, i.Size, 10), 10), ' ')
	b = l.appendTime(b, i.ModTime.In(l.s.cfg.ListZone))
	b = append(b, ' ')
	b = l.s.appendName(l.s.appendName(b, l.prefix), i.Name)
	if i.IsLink() {
		if i.Target != "" {
			b = l.s.appendName(append(b, " -> "...), i.Target)
		}
		return b
	}
	return l.suffix(b, i)
}

// appendMode writes the ten characters of a mode.
func appendMode(b []byte, i *vfs.Info) []byte {
	kind := byte('-')
	switch {
	case i.IsDir():
		kind = 'd'
	case i.IsLink():
		kind = 'l'
	}
	b = append(b, kind)
	const rwx = "rwxrwxrwx"
	for bit := range rwx {
		if i.Mode&(1<<(8-bit)) != 0 {
			b = append(b, rwx[bit])
		} else {
			b = append(b, '-')
		}
	}
	for _, special := range []struct {
		bit  fs.FileMode
		at   int // from the end
		x, X byte
	}{{fs.ModeSetuid, 7, 's', 'S'}, {fs.ModeSetgid, 4, 's', 'S'}, {fs.ModeSticky, 1, 't', 'T'}} {
		if i.Mode&special.bit == 0 {
			continue
		}
		if c := &b[len(b)-special.at]; *c == 'x' {
			*c = special.x
		} else {
			*c = special.X
		}
	}
	return b
}

// appendTime writes the three columns of a time: with the hour for the last half
// year, with the year for what is older or to come. Clients would take the hour
// of a day to come for last year's.
func (l *ls) appendTime(b []byte, t time.Time) []byte {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	year, month, day := t.Date()
	b = append(b, months[3*int(month)-3:3*int(month)]...)
	b = append(padLeft(append(b, ' '), strconv.AppendInt(nil, int64(day), 10), 2), ' ')
	if age := l.now.Sub(t); age < 180*24*time.Hour && age >= -time.Minute {
		hour, minute, _ := t.Clock()
		return append(b, byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute/10), byte('0'+minute%10))
	}
	return padLeft(b, strconv.AppendInt(nil, int64(year), 10), 5)
}

// owner is what a listing calls a uid: the user's own by the user's name, all
// others by their number, since the accounts of the host are not the client's
// business.
func (s *session) owner(uid int) string {
	if uid == s.account.UID {
		return s.shownAs
	}
	return strconv.Itoa(uid)
}

func (s *session) group(gid int) string {
	if gid == s.account.GID {
		return s.shownAs
	}
	return strconv.Itoa(gid)
}

// columnName cuts a name to a column's ten characters; a blank in it would part it.
func columnName(name string) string {
	b := []byte(name[:min(len(name), 10)])
	for i, c := range b {
		if c <= ' ' || c >= 0x7f {
			b[i] = '_'
		}
	}
	return string(b)
}

func padLeft(b, text []byte, width int) []byte {
	for range width - len(text) {
		b = append(b, ' ')
	}
	return append(b, text...)
}

func padRight(b []byte, text string, width int) []byte {
	b = append(b, text...)
	for range width - len(text) {
		b = append(b, ' ')
	}
	return b
}

// zone is a time zone by its name in the machine's zoneinfo.
func zone(p **time.Location) config.Value {
	return config.Of(p, "UTC|local|zone", func(text string) (*time.Location, error) {
		switch {
		case text == "" || strings.EqualFold(text, "utc"):
			return time.UTC, nil
		case strings.EqualFold(text, "local"):
			return time.Local, nil
		}
		z, err := time.LoadLocation(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no time zone of this machine; they have names such as Europe/Paris", text)
		}
		return z, nil
	}, (*time.Location).String)
}
