package userquery

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"portreeve/config"
	"portreeve/userdb"
)

// computed are the attributes that are no fields of a user: the name, and what
// follows from others or from what the database knows besides.
func computed(now time.Time) []attribute {
	name := texts{name: "name", get: func(s *userdb.Stored) string { return s.User.Name }, canonical: plain}
	kind := texts{name: "password_kind", get: func(s *userdb.Stored) string { return hashKind(s.User.Password) }, canonical: plain}
	from := texts{name: "last_from", canonical: plain, get: func(s *userdb.Stored) string {
		if !s.Last.From.IsValid() {
			return ""
		}
		return s.Last.From.String()
	}}
	last := moments{name: "last_login", now: now, get: func(s *userdb.Stored) time.Time { return s.Last.At }}
	quota := percents{name: "quota", get: share}
	expired := booleans{name: "expired", get: func(s *userdb.Stored) bool {
		return !s.User.Expires.IsZero() && !now.Before(s.User.Expires)
	}}
	locked := booleans{name: "locked", get: func(s *userdb.Stored) bool {
		return s.User.Disabled || hashKind(s.User.Password) == ""
	}}
	files := used("files", 1, func(t userdb.Tally) int64 { return t.Files })
	bytes := used("bytes", 1<<20, func(t userdb.Tally) int64 { return t.Bytes })
	return []attribute{
		{"name", "The user's name.", notEmpty(name.get), name.compare},
		{"quota", "How much of its quota the user has used, of files or bytes, whichever is fuller, in percent. It is not set while there is no quota, or nothing was counted.", quota.isSet, quota.compare},
		{"files", "Files and directories in the home, as far as they are counted.", files.isSet, files.compare},
		{"bytes", "Bytes in the home, in megabytes of 1048576 or with a unit, as far as they are counted.", bytes.isSet, bytes.compare},
		{"locked", "Whether nobody can log in, as the account is disabled or has no password.", locked.get, locked.compare},
		{"expired", "Whether the account has come to its end.", expired.get, expired.compare},
		{"password_kind", "What stands between the first two dollar signs of the password's hash, such as 1 for MD5.", notEmpty(kind.get), kind.compare},
		{"last_login", "When the user logged in last.", last.isSet, last.compare},
		{"last_from", "The address from where the user logged in last.", notEmpty(from.get), from.compare},
	}
}

func notEmpty(get func(*userdb.Stored) string) predicate {
	return func(s *userdb.Stored) bool { return get(s) != "" }
}

// hashKind returns what stands between the first two dollar signs of a hash, "" for
// one with which nobody can log in.
func hashKind(hash string) string {
	before, rest, _ := strings.Cut(hash, "$")
	kind, _, found := strings.Cut(rest, "$")
	if before != "" || !found {
		return ""
	}
	return kind
}

// share is how much of a quota is used, in percent.
func share(s *userdb.Stored) (float64, bool) {
	if !s.Tally.Counted {
		return 0, false
	}
	most, limited := 0.0, false
	for _, of := range []struct {
		used  int64
		limit userdb.Limit
	}{{s.Tally.Files, s.User.QuotaFiles}, {s.Tally.Bytes, s.User.QuotaBytes}} {
		limit, is := of.limit.Value()
		if !is {
			continue
		}
		part := 100.0
		if limit > 0 {
			part = float64(of.used) / float64(limit) * 100
		}
		most, limited = max(most, part), true
	}
	return most, limited
}

// used is an attribute of what a user's files amount to.
func used(name string, unit int64, get func(userdb.Tally) int64) numbers {
	return numbers{
		name: name,
		get:  func(s *userdb.Stored) (int64, bool) { return get(s.Tally), s.Tally.Counted },
		parse: func(text string) (int64, bool, error) {
			if strings.EqualFold(text, none) {
				return 0, false, nil
			}
			n, err := strconv.ParseInt(text, 10, 64)
			if unit > 1 {
				n, err = config.ParseSize(text, unit)
			} else if err != nil {
				err = fmt.Errorf("%.40q is not a whole number", text)
			}
			return n, true, err
		},
	}
}
