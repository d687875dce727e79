package main

import (
	"cmp"
	"math"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"

	"portreeve/purepw"
	"portreeve/userdb"
)

// A pwEdit is what options of pure-pw say of a user. It can be made to a line of the
// text and to a user of the database.
type pwEdit struct {
	uid, gid int    // 0: not said
	home     string // "": not said
	caged    bool
	fields   map[byte]string // the others by their letters, as the text has them
}

// take notes an option.
func (ed *pwEdit) take(s saying) (err error) {
	text := s.text
	switch s.letter {
	case 'u':
		err = ed.takeUser(text)
	case 'g':
		ed.gid, err = systemID(text, func() (string, error) {
			found, err := user.LookupGroup(text)
			if err != nil {
				return "", err
			}
			return found.Gid, nil
		})
	case 'd', 'D':
		err = ed.takeHome(text, s.letter == 'd')
	case 'c':
		return ed.set(s.letter, strings.ReplaceAll(text, ":", "_"), badText(text))
	case 't', 'T', 'n', 'N', 'q', 'Q', 'y':
		return ed.takeNumber(s.letter, text)
	case 'z':
		hours, bad := shortHours(text)
		return ed.set(s.letter, hours, bad)
	case 'r', 'R', 'i', 'I':
		if _, bad := userdb.ParsePatterns(text); bad != nil {
			return pwFaultf(exitPwArgument, "-%c: %v", s.letter, bad)
		}
		return ed.set(s.letter, text, nil)
	case 'C':
		if n, bad := positiveNumber(text, math.MaxInt32); bad != nil || n == 0 {
			return pwFaultf(exitPwArgument, "number of concurrent logins must be at least 1")
		}
	case 'M':
		if n, bad := positiveNumber(text, math.MaxInt32); bad != nil || n == 0 {
			return pwFaultf(exitPwArgument, "memory reserved for password hashing is too low")
		}
	}
	return err
}

// takeNumber notes a limit, which "" takes away.
func (ed *pwEdit) takeNumber(letter byte, text string) (err error) {
	switch letter {
	case 't', 'T':
		if n, bad := positiveNumber(text, math.MaxInt64>>10); text != "" && bad == nil && n == 0 {
			return nil // pure-pw's program passes it over, and so may scripts rely on it
		}
		text, err = scaled(text, 1<<10)
	case 'n':
		text, err = scaled(text, 1)
	case 'N':
		text, err = scaled(text, 1<<20)
	case 'q', 'Q':
		n, bad := positiveNumber(text, math.MaxInt32)
		if text != "" && (bad != nil || n == 0) {
			return pwFaultf(exitPwArgument, "Illegal %s ratio", map[byte]string{'q': "upload", 'Q': "download"}[letter])
		}
	case 'y':
		var n uint64
		if n, err = positiveNumber(text, math.MaxInt32); n == 0 {
			text = ""
		}
	}
	return ed.set(letter, text, err)
}

func (ed *pwEdit) set(letter byte, text string, err error) error {
	if err != nil {
		return err
	}
	if ed.fields == nil {
		ed.fields = make(map[byte]string)
	}
	ed.fields[letter] = text
	return nil
}

// takeUser reads -u; a name also sets the group, unless -g says which.
func (ed *pwEdit) takeUser(text string) error {
	uid, err := systemID(text, func() (string, error) {
		found, err := user.Lookup(text)
		if err != nil {
			return "", err
		}
		if gid, err := strconv.Atoi(found.Gid); err == nil && ed.gid == 0 {
			ed.gid = gid
		}
		return found.Uid, nil
	})
	ed.uid = uid
	return err
}

// systemID reads an id that is not root's, or looks up whose name it is.
func systemID(text string, lookup func() (string, error)) (int, error) {
	digits := text
	if strings.Trim(text, "0123456789") != "" || text == "" {
		var err error
		if digits, err = lookup(); err != nil {
			return 0, pwFaultf(exitPwID, "You must give (non-root) uid and gid\nthe system knows no %q", text)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || n == math.MaxUint32 {
		return 0, pwFaultf(exitPwID, "You must give (non-root) uid and gid")
	}
	return int(n), nil
}

func (ed *pwEdit) takeHome(text string, caged bool) error {
	home := strings.TrimRight(strings.ReplaceAll(text, ":", "_"), "/")
	if home == "" {
		return pwFaultf(exitPwArgument, "home directory is missing")
	}
	if home[0] != '/' || slices.Contains(strings.Split(home, "/"), "..") || badText(home) != nil {
		return pwFaultf(exitPwHome, "home directory %q is no absolute path", text)
	}
	ed.home, ed.caged = home, caged
	return nil
}

// badText refuses what would break the line.
func badText(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return pwFaultf(exitPwArgument, "control characters are not allowed")
	}
	return nil
}

func positiveNumber(text string, most uint64) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most {
		return 0, pwFaultf(exitPwArgument, "%q is no number that it may be", text)
	}
	return n, nil
}

// scaled multiplies a number by a unit; none stays none.
func scaled(text string, unit uint64) (string, error) {
	n, err := positiveNumber(text, math.MaxInt64/unit)
	if text == "" || err != nil {
		return "", err
	}
	return strconv.FormatUint(n*unit, 10), nil
}

// shortHours checks hours and leaves the zeros before them out, as pure-pw does.
func shortHours(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	from, to, _ := strings.Cut(text, "-")
	if _, err := userdb.ParseHours(text); err != nil || strings.Trim(from+to, "0123456789") != "" {
		return "", pwFaultf(exitPwArgument, "Time should be given as hhmm-hhmm\nExample : 0900-1800 (9 am to 6 pm)")
	}
	short := func(s string) string { return cmp.Or(strings.TrimLeft(s, "0"), "0") }
	return short(from) + "-" + short(to), nil
}

// textual refuses what the text cannot hold.
func (ed *pwEdit) textual() error {
	for letter, text := range ed.fields {
		if strings.Contains(text, ":") {
			return pwFaultf(exitPwArgument, "-%c: %s: a text of users cannot hold an address of IPv6; the database can", letter, text)
		}
	}
	return nil
}

// applyText makes the edit to a line.
func (ed *pwEdit) applyText(e *purepw.Entry) {
	if ed.uid != 0 {
		e.UID = strconv.Itoa(ed.uid)
	}
	if ed.gid != 0 {
		e.GID = strconv.Itoa(ed.gid)
	}
	if ed.home != "" {
		e.Home = ed.home
		if ed.caged {
			e.Home = strings.TrimSuffix(ed.home, "/") + "/./"
		}
	}
	for letter, field := range map[byte]*string{
		'c': &e.Gecos, 't': &e.DownloadRate, 'T': &e.UploadRate, 'n': &e.Files, 'N': &e.Bytes,
		'q': &e.UploadRatio, 'Q': &e.DownloadRatio, 'y': &e.Sessions, 'z': &e.Hours,
		'r': &e.AllowClient, 'R': &e.DenyClient, 'i': &e.AllowLocal, 'I': &e.DenyLocal,
	} {
		if text, said := ed.fields[letter]; said {
			*field = text
		}
	}
}

// applyUser makes the edit to a user of the database.
func (ed *pwEdit) applyUser(u *userdb.User) error {
	if ed.uid != 0 {
		u.UID = ed.uid
	}
	if ed.gid != 0 {
		u.GID = ed.gid
	}
	if ed.home != "" {
		home, _, _ := strings.Cut(ed.home+"/", "/./")
		u.Home, u.Caged = path.Clean("/"+home), ed.caged
	}
	for _, f := range userdb.Editable() {
		if f.Short == "" {
			continue
		}
		text, said := ed.fields[f.Short[0]]
		if !said {
			continue
		}
		if text != "" && strings.Contains("tTN", f.Short) {
			text += "B" // which the field would take for more
		}
		if err := f.Bind(u).Set(text); err != nil {
			return pwFaultf(exitPwArgument, "-%s: %v", f.Short, err)
		}
	}
	if err := u.Validate(); err != nil {
		return pwFaultf(exitPwArgument, "%v", err)
	}
	return nil
}
