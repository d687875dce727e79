package userfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"portreeve/puredb"
	"portreeve/userdb"
)

// The files whose lines are fields between colons.

func pureEntry(n int, line string) Entry {
	name, fields, found := strings.Cut(line, ":")
	if !found {
		return refuse(n, name, fmt.Errorf("there is nothing but a name"))
	}
	return pureUser(n, name, fields)
}

// pureUser makes an entry of what puredb reads.
func pureUser(n int, name, fields string) Entry {
	parsed, start, err := puredb.ParseUser(name, fields)
	if err != nil {
		return refuse(n, name, errors.New(strings.TrimPrefix(err.Error(), userdb.ErrMalformed.Error()+": ")))
	}
	password, locked := stored(parsed.Password)
	e := Entry{Line: n, Name: name, Notes: noteOf(password)}
	if start != "" {
		e.Notes = append(e.Notes, fmt.Sprintf("began in %s of its home, and begins in its home here", start))
	}
	e.Set = func(u *userdb.User) error {
		said := parsed
		said.Password = password
		// What a line does not hold.
		said.Disabled = locked || u.Disabled
		said.Expires, said.Perms, said.TLS = u.Expires, u.Perms, u.TLS
		said.Created, said.Changed = u.Created, u.Changed
		said.AllowClient = withIPv6(said.AllowClient, u.AllowClient, true)
		said.DenyClient = withIPv6(said.DenyClient, u.DenyClient, false)
		said.AllowLocal = withIPv6(said.AllowLocal, u.AllowLocal, true)
		said.DenyLocal = withIPv6(said.DenyLocal, u.DenyLocal, false)
		*u = said
		return nil
	}
	return e
}

// withIPv6 returns what a line says of a list, and the addresses of IPv6 that the list
// had: a line cannot hold them. An empty list that allows is one of all addresses,
// and stays that.
func withIPv6(said, had userdb.Patterns, allows bool) userdb.Patterns {
	six := func(p userdb.Pattern) bool { return p.Host == "" && p.Prefix.Addr().Is6() }
	if allows && len(said) == 0 || !slices.ContainsFunc(had, six) {
		return said
	}
	all := slices.Clone(said)
	if allows && said.String() == puredb.NoAddress { // what is written where nothing else was left
		all = nil
	}
	for _, p := range had {
		if six(p) && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

func readPureDB(from io.ReaderAt, size int64, emit func(Entry) bool) error {
	f, err := puredb.New(from, size)
	if err != nil {
		return err
	}
	n := 0
	for u, err := range f.All() {
		if err != nil {
			return err
		}
		if n++; !emit(pureUser(n, u[0], u[1])) {
			return nil
		}
	}
	return nil
}

// A systemLine is a line of passwd(5).
type systemLine struct {
	name, hash  string
	uid, gid    int
	gecos, home string
	shell       string
	aging       // of shadow(5)
}

func parseSystem(line string) (systemLine, error) {
	parts := strings.Split(line, ":")
	s := systemLine{name: parts[0]}
	if len(parts) != 7 {
		return s, fmt.Errorf("%d fields are not the 7 of passwd(5)", len(parts))
	}
	s.hash, s.gecos, s.home, s.shell = parts[1], parts[4], parts[5], parts[6]
	for _, id := range []struct {
		to   *int
		text string
	}{{&s.uid, parts[2]}, {&s.gid, parts[3]}} {
		v, err := strconv.ParseUint(id.text, 10, 64)
		if err != nil || v > math.MaxUint32 {
			return s, fmt.Errorf("%q is no id", id.text)
		}
		*id.to = int(v)
	}
	return s, nil
}

// entry makes an entry of a line. The cage is not in it: a new user has one.
func (s systemLine) entry(n int) Entry {
	password, locked := stored(s.hash)
	notes := noteOf(password)
	if s.ended != "" {
		locked, notes = true, append(notes, s.ended)
	}
	home := s.home
	if strings.HasPrefix(home, "/") && !slices.Contains(strings.Split(home, "/"), "..") {
		home = path.Clean(home)
	}
	return Entry{Line: n, Name: s.name, Notes: notes, Set: func(u *userdb.User) error {
		u.Password, u.Disabled = password, locked || u.Disabled
		if !s.expires.IsZero() {
			u.Expires = s.expires
		}
		u.UID, u.GID, u.Gecos, u.Home = s.uid, s.gid, s.gecos, home
		return nil
	}}
}

func proftpdEntry(n int, line string) Entry {
	s, err := parseSystem(line)
	if err != nil {
		return refuse(n, s.name, err)
	}
	return s.entry(n)
}

// readPasswd takes the accounts that pure-pwconvert takes: those of persons, who
// are not root's, have a home and a shell, or the shell ftp.
func readPasswd(from io.Reader, o Options, emit func(Entry) bool) error {
	now := time.Now()
	shadow, err := readShadow(o.Shadow)
	if err != nil {
		return fmt.Errorf("reading the hashes: %w", err)
	}
	return eachLine(from, func(n int, line string) bool {
		if line[0] == '+' || line[0] == '-' { // nsswitch's compat mode: it stands for accounts elsewhere
			return emit(Entry{Line: n, Name: line, LeftOut: "stands for accounts of a directory service"})
		}
		s, err := parseSystem(line)
		if err != nil {
			return emit(refuse(n, s.name, err))
		}
		if why := o.leaves(s); why != "" {
			return emit(Entry{Line: n, Name: s.name, LeftOut: why})
		}
		if fields, ok := shadow[s.name]; ok {
			s.hash = fields[1]
			if s.aging, err = parseAging(fields, now); err != nil {
				return emit(refuse(n, s.name, err))
			}
		}
		s.hash = modern(s.hash)
		s.gecos, _, _ = strings.Cut(s.gecos, ",")
		return emit(s.entry(n))
	})
}

// modern returns the hash of a system's user, and of a DES hash, which is not taken
// over, only whether it is locked.
func modern(hash string) string {
	switch bare := strings.TrimLeft(hash, "!"); {
	case strings.HasPrefix(bare, "$"):
		return hash
	case bare != "" && bare != hash:
		return "!*"
	}
	return "*"
}

// leaves returns why an account of the system is no user.
func (o Options) leaves(s systemLine) string {
	switch {
	case s.uid == 0 || s.gid == 0:
		return "is root's"
	case s.shell != "ftp" && !o.Shells[cmp.Or(s.shell, "/bin/sh")]:
		return fmt.Sprintf("has the shell %q, which is none of persons", s.shell)
	case o.HasHome != nil && !o.HasHome(s.home):
		return "has a home that is not there"
	}
	return ""
}

// readShadow returns the fields of shadow(5) by name, of which there are two at least.
func readShadow(from io.Reader) (map[string][]string, error) {
	shadow := make(map[string][]string)
	if from == nil {
		return shadow, nil
	}
	err := eachLine(from, func(_ int, line string) bool {
		if fields := strings.Split(line, ":"); len(fields) > 1 && fields[0] != "" {
			if _, ok := shadow[fields[0]]; !ok { // the first one counts, as for the system
				shadow[fields[0]] = fields
			}
		}
		return true
	})
	return shadow, err
}

// An aging is when the system no longer lets somebody in, of which a user has the
// first only.
type aging struct {
	expires time.Time // zero is never
	ended   string    // why it does not by now, for another cause
}

// parseAging reads the days since 1970 of a line of shadow(5). Fields that are
// missing say nothing.
func parseAging(line []string, now time.Time) (a aging, err error) {
	const changed, most, expires, day = 2, 4, 7, 24 * 60 * 60
	days := map[int]int64{changed: -1, most: -1, expires: -1}
	for i := range days {
		if i >= len(line) || line[i] == "" {
			continue
		}
		if days[i], err = strconv.ParseInt(line[i], 10, 32); err != nil {
			return a, fmt.Errorf("%q is no number of days in shadow", line[i])
		}
	}
	switch today := now.Unix() / day; {
	case days[changed] == 0:
		a.ended = "had to change its password, and is disabled"
	case days[changed] > 0 && days[most] >= 0 && today > days[changed]+days[most]:
		a.ended = "has a password that has expired, and is disabled"
	}
	if days[expires] >= 0 {
		a.expires = time.Unix(days[expires]*day, 0).UTC()
	}
	return a, nil
}

// readVSFTPD reads what Berkeley DB's db_load makes the database of pam_userdb from.
func readVSFTPD(from io.Reader, emit func(Entry) bool) error {
	name, at := "", 0
	stopped := false
	err := everyLine(from, func(n int, line string) bool {
		if at == 0 {
			if line != "" { // between pairs a line may be empty
				name, at = line, n
			}
			return true
		}
		e := Entry{Line: at, Name: name, Password: line, Set: func(*userdb.User) error { return nil }}
		if err := userdb.ValidPassword(line); err != nil || line == "" {
			e = refuse(at, name, fmt.Errorf("the line behind it is no password"))
		}
		at = 0
		stopped = !emit(e)
		return !stopped
	})
	if err == nil && at != 0 && !stopped {
		emit(refuse(at, name, fmt.Errorf("no line with a password follows")))
	}
	return err
}
