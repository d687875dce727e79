package server

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"portreeve/config"
	"portreeve/server/vfs"
)

// Lines of LIST and NLST.

// appendName writes the name of a file, or the text of a link. Lines are put into
// the client's encoding as a whole, behind this; several goroutines call it at once.
func (s *session) appendName(b []byte, name string) []byte { return append(b, name...) }

// name makes lines of NLST, and of LIST -1.
func (l *ls) name() vfs.Format {
	return func(b []byte, i *vfs.Info) []byte {
		b = l.s.appendName(l.s.appendName(b, l.prefix), i.Name)
		return append(l.suffix(b, i), '\r', '\n')
	}
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

// long makes lines of ls -l: columns that lftp, FileZilla, Java's commons-net and
// all others find their way in.
func (l *ls) long() vfs.Format {
	c := columns{l: l, uid: -1, gid: -1, minute: math.MinInt64}
	return func(b []byte, i *vfs.Info) []byte {
		b = c.append(b, i)
		b = l.s.appendName(l.s.appendName(b, l.prefix), i.Name)
		switch {
		case !i.IsLink():
			b = l.suffix(b, i)
		case i.Target != "":
			b = l.s.appendName(append(b, " -> "...), i.Target)
		}
		return append(b, '\r', '\n')
	}
}

// columns writes what stands before the name in a line of ls -l. What it wrote
// last it remembers, since files in one place are much alike.
type columns struct {
	l        *ls
	mode     fs.FileMode
	modeText []byte
	uid, gid int
	owners   []byte
	minute   int64 // of the time in timeText
	recent   bool
	timeText []byte
}

func (c *columns) append(b []byte, i *vfs.Info) []byte {
	if i.Mode != c.mode || len(c.modeText) == 0 {
		c.mode, c.modeText = i.Mode, appendMode(c.modeText[:0], i)
	}
	if i.UID != c.uid || i.GID != c.gid {
		c.uid, c.gid = i.UID, i.GID
		c.owners = append(padRight(c.owners[:0], c.l.s.owner(i.UID), 10), ' ')
		c.owners = append(padRight(c.owners, c.l.s.group(i.GID), 10), ' ')
	}
	// Zones are whole minutes away from UTC, since 1972 at least.
	minute, recent := floorDiv(i.ModTime.Unix(), 60), c.l.recent(i.ModTime)
	if minute != c.minute || recent != c.recent {
		c.minute, c.recent = minute, recent
		c.timeText = appendTime(c.timeText[:0], i.ModTime.In(c.l.s.cfg.ListZone), recent)
	}
	var digits [20]byte
	b = append(append(b, c.modeText...), ' ')
	b = append(padLeft(b, strconv.AppendUint(digits[:0], max(i.Nlink, 1), 10), 4), ' ')
	b = append(b, c.owners...)
	b = append(padLeft(b, strconv.AppendInt(digits[:0], i.Size, 10), 10), ' ')
	return append(append(b, c.timeText...), ' ')
}

// floorDiv is n/d rounded down, also below zero.
func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
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

// recent tells whether a time is shown with its hour: those of the last half year.
// Clients would take the hour of a day to come for last year's.
func (l *ls) recent(t time.Time) bool {
	age := l.now.Sub(t)
	return age < 180*24*time.Hour && age >= -time.Minute
}

// appendTime writes the three columns of a time: with the hour if it is recent,
// with the year otherwise.
func appendTime(b []byte, t time.Time, recent bool) []byte {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	var digits [20]byte
	year, month, day := t.Date()
	b = append(b, months[3*int(month)-3:3*int(month)]...)
	b = append(padLeft(append(b, ' '), strconv.AppendInt(digits[:0], int64(day), 10), 2), ' ')
	if recent {
		hour, minute, _ := t.Clock()
		return append(b, byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute/10), byte('0'+minute%10))
	}
	return padLeft(b, strconv.AppendInt(digits[:0], int64(year), 10), 5)
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
