package puredb

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"unicode"

	"portreeve/userdb"
)

// maxParts is how many fields a line has besides the name. pure-pw writes all of
// them, and lines that end after the home are read as well.
const (
	minParts = 5
	maxParts = 17
)

// ParseUser reads what Get returns, which is what follows the name in a line of
// pureftpd.passwd. start is the folder within the home that a session begins in;
// "" is the home itself.
//
// What it cannot read it refuses, with userdb.ErrMalformed: a limit that is
// mistyped must not become none.
func ParseUser(name, fields string) (u userdb.User, start string, err error) {
	u = userdb.New(name)
	if start, err = parse(&u, fields); err == nil {
		err = u.Validate()
	}
	if err != nil {
		return userdb.User{Name: name}, "", fmt.Errorf("%w: %w", userdb.ErrMalformed, err)
	}
	return u, start, nil
}

func parse(u *userdb.User, fields string) (start string, err error) {
	parts := strings.Split(fields, ":")
	if len(parts) < minParts {
		return "", fmt.Errorf("%d fields are less than a user has", len(parts)+1)
	}
	if len(parts) > maxParts {
		return "", fmt.Errorf("%d fields are more than a user has; an IPv6 address in a list makes several of one", len(parts)+1)
	}
	u.Password, u.Gecos = parts[0], printable(parts[3])
	if u.Home, start, u.Caged, err = SplitHome(parts[4]); err != nil {
		return "", err
	}
	for i, set := range []func(string) error{
		1: number(&u.UID, math.MaxUint32),
		2: number(&u.GID, math.MaxUint32),
		5: number(&u.UploadRate, math.MaxInt64),
		6: number(&u.DownloadRate, math.MaxInt64),
		7: number(&u.UploadRatio, math.MaxInt32),
		8: number(&u.DownloadRatio, math.MaxInt32),
		9: number(&u.MaxSessions, math.MaxInt32),

		10: limit(&u.QuotaFiles),
		11: limit(&u.QuotaBytes),
		12: patterns(&u.AllowLocal),
		13: patterns(&u.DenyLocal),
		14: patterns(&u.AllowClient),
		15: patterns(&u.DenyClient),
		16: func(s string) (err error) { u.Hours, err = userdb.ParseHours(s); return err },
	} {
		if set == nil || i >= len(parts) || parts[i] == "" {
			continue
		}
		if err := set(parts[i]); err != nil {
			return "", fmt.Errorf("field %d: %w", i+2, err)
		}
	}
	// Who has a quota is caged: what lies elsewhere is not counted.
	u.Caged = u.Caged || u.HasQuota()
	return start, nil
}

// SplitHome reads a home in which "/./" stands between what a user sees nothing
// above of and where it begins there.
func SplitHome(text string) (home, start string, caged bool, err error) {
	home, start, caged = strings.Cut(text+"/", "/./")
	if !caged {
		home, start = text, ""
	}
	if text == "" || text[0] != '/' {
		return "", "", false, fmt.Errorf("home %q is not an absolute path", text)
	}
	for part := range strings.SplitSeq(text, "/") {
		if part == ".." {
			return "", "", false, fmt.Errorf("home %q climbs with ..", text)
		}
	}
	if start = path.Clean("/" + start); start == "/" {
		start = ""
	}
	return path.Clean("/" + home), start, caged, nil
}

// number reads digits and nothing else. An empty field and 0 mean none.
func number[T int | int64](to *T, most uint64) func(string) error {
	return func(s string) error {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil || n > most {
			return fmt.Errorf("%q is no number that it may be", s)
		}
		*to = T(n)
		return nil
	}
}

// limit reads a quota, of which 0 allows nothing.
func limit(to *userdb.Limit) func(string) error {
	return func(s string) error {
		var n int64
		if err := number(&n, math.MaxInt64)(s); err != nil {
			return err
		}
		*to = userdb.LimitOf(n)
		return nil
	}
}

func patterns(to *userdb.Patterns) func(string) error {
	return func(s string) (err error) {
		*to, err = userdb.ParsePatterns(s)
		return err
	}
}

// printable makes any comment one that may be kept: it decides nothing.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 256)], "?"))
}
