package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"

	"portreeve/logparse"
	"portreeve/server/vfs"
)

// What is known of a file and can be changed: its time, its permissions, its
// group (RFC 3659, section 3; draft-somers-ftp-mfxx).

// stamp is how FTP writes times: 14 digits of UTC (RFC 3659, section 2.3).
const stamp = "20060102150405"

// appendStamp is time.AppendFormat of stamp, for listings, where that shows.
func appendStamp(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, stamp)
	}
	hour, minute, second := t.Clock()
	for _, n := range [...]int{year / 100, year % 100, int(month), day, hour, minute, second} {
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return b
}

func formatTime(t time.Time) string { return string(appendStamp(nil, t)) }

// cmdMDTM tells a file's time in UTC (RFC 3659, section 3).
func (s *session) cmdMDTM(ctx context.Context, arg string) (reply, error) {
	i, err := s.fs.Stat(s.path(arg))
	if errors.Is(err, fs.ErrNotExist) && s.cfg.MDTMWrite {
		when, path, _ := strings.Cut(arg, " ")
		if _, ok := parseStamp(when); ok && path != "" { // of a file that is called so, the time was asked
			return s.cmdMFMT(ctx, arg)
		}
	}
	switch {
	case err != nil:
		return reply{}, err
	case !i.IsRegular():
		return reply{}, vfs.ErrNotRegular
	}
	return fixed(213, "%s", formatTime(i.ModTime)), nil
}

// cmdMFMT sets a file's time.
func (s *session) cmdMFMT(_ context.Context, arg string) (reply, error) {
	when, path, _ := strings.Cut(arg, " ")
	t, ok := parseStamp(when)
	if !ok || path == "" {
		return say(501, "MFMT takes YYYYMMDDhhmmss and a path"), nil
	}
	if err := s.fs.Chtimes(s.path(path), t); err != nil {
		return reply{}, err
	}
	return fixed(213, "Modify=%s; %s", formatTime(t), path), nil
}

// parseStamp reads 14 digits, with a fraction that is dropped, and nothing that
// is in no calendar.
func parseStamp(text string) (time.Time, bool) {
	whole, fraction, found := strings.Cut(text, ".")
	if _, err := digits(fraction); err != nil && fraction != "" || found && fraction == "" || len(whole) != len(stamp) {
		return time.Time{}, false
	}
	t, err := time.Parse(stamp, whole)
	return t, err == nil && t.Year() >= 1970
}

// settable is what MFF is asked to change; what is nil stays.
type settable struct {
	modify *time.Time
	mode   *fs.FileMode
	group  *int
}

// errFact is a fact that cannot be set.
type errFact string

func (e errFact) Error() string { return "fact " + string(e) + " cannot be set" }

// parseFacts reads "Modify=...;UNIX.mode=...;", also without the last semicolon,
// as ncftp sends it. When a file was made cannot be set: it is passed over where
// the time of its change is set too, which ncftp would otherwise lose.
func parseFacts(list string) (set settable, err error) {
	var created errFact
	for pair := range strings.SplitSeq(strings.TrimSuffix(list, ";"), ";") {
		name, value, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return settable{}, errFacts
		}
		again := false
		switch strings.ToLower(name) {
		case "modify":
			again = set.modify != nil
			t, ok := parseStamp(value)
			if !ok {
				return settable{}, errFacts
			}
			set.modify = &t
		case "unix.mode":
			again = set.mode != nil
			m, ok := parseMode(value)
			if !ok {
				return settable{}, errFacts
			}
			set.mode = &m
		case "unix.group":
			again = set.group != nil
			n, err := digits(value)
			if err != nil || n > math.MaxInt32 {
				return settable{}, errFacts
			}
			gid := int(n)
			set.group = &gid
		case "create":
			again = created != ""
			created = errFact(name)
		default:
			return settable{}, errFact(name)
		}
		if again {
			return settable{}, errFacts
		}
	}
	if created != "" && set.modify == nil {
		return settable{}, created
	}
	return set, nil
}

// errFacts is a list of facts that is none.
var errFacts = errors.New("not a list of facts")

// parseMode reads permissions: up to four octal digits, or five of which the
// first is 0. The three bits above them are no client's to give.
func parseMode(text string) (fs.FileMode, bool) {
	if len(text) == 5 && text[0] == '0' {
		text = text[1:]
	}
	n, err := strconv.ParseUint(text, 8, 16)
	if err != nil || len(text) > 4 {
		return 0, false
	}
	return fs.FileMode(n) & fs.ModePerm, true
}

// featMFF is the line of FEAT.
const featMFF = "MFF Modify;UNIX.group;UNIX.mode;"

// cmdMFF sets several facts. Nothing is changed before all of them are understood.
func (s *session) cmdMFF(_ context.Context, arg string) (reply, error) {
	list, path, _ := strings.Cut(arg, " ")
	set, err := parseFacts(list)
	fact, unknown := errors.AsType[errFact](err)
	switch {
	case unknown:
		return sayf(504, "The fact %.32s cannot be set", string(fact)), nil
	case err != nil || path == "":
		return say(501, "MFF takes fact=value;fact=value; and a path"), nil
	}
	file, done := s.path(path), ""
	if set.mode != nil {
		s.means(deed{event: logparse.Chmod, path: file, text: octal(*set.mode)})
	}
	if set.group != nil { // first, since it may take permission bits away
		if err := s.fs.Chgrp(file, *set.group); err != nil {
			return reply{}, err
		}
	}
	if set.mode != nil {
		if err := s.fs.Chmod(file, *set.mode); err != nil {
			return reply{}, err
		}
	}
	if set.modify != nil {
		if err := s.fs.Chtimes(file, *set.modify); err != nil {
			return reply{}, err
		}
		done += "Modify=" + formatTime(*set.modify) + ";"
	}
	if set.group != nil {
		done += fmt.Sprintf("UNIX.group=%d;", *set.group)
	}
	if set.mode != nil {
		done += fmt.Sprintf("UNIX.mode=%04o;", *set.mode)
	}
	return fixed(213, "%s %s", done, path), nil
}

// cmdAVBL tells how many bytes there is room for (draft-peterson-streamlined-ftp).
func (s *session) cmdAVBL(_ context.Context, arg string) (reply, error) {
	free, err := s.fs.Free(s.path(arg))
	if err != nil {
		return reply{}, err
	}
	return fixed(213, "%d", free), nil
}

// cmdPRET tells what a command that moves data would say, before anybody has
// prepared a data connection for it.
func (s *session) cmdPRET(_ context.Context, arg string) (reply, error) {
	verb, path, _ := strings.Cut(arg, " ")
	c := lookup(verb)
	switch {
	case c == nil || c.need&opensData == 0:
		return say(504, "That command moves no data"), nil
	case path == "" && c.arg == aPath:
		return sayf(501, "%s needs an argument: %s", c.name, c.explained()), nil
	}
	switch c.name {
	case "RETR":
		file, info, err := s.fs.Read(s.file(path))
		if err != nil {
			return reply{}, err
		}
		file.Close()
		_, n, _ := s.mark.of(info.Size) // a marker that is wrong is for RETR to refuse
		if err := s.mayRetrieve(n); err != nil {
			return reply{}, err
		}
	case "STOR", "APPE":
		if err := cmp.Or(s.fs.Storable(s.file(path)), s.roomFor(s.file(path))); err != nil {
			return s.refusal(c, err), nil
		}
	}
	return sayf(200, "%s would do", c.name), nil
}
