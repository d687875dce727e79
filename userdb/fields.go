package userdb

import (
	"fmt"
	"math"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"portreeve/config"
)

// The headings under which the attributes of a user are documented and shown.
const (
	groupIdentity = "Identity"
	groupAccess   = "Access"
	groupRates    = "Bandwidth"
	groupQuota    = "Quotas and ratios"
	groupKept     = "Kept by the database"
)

// Fields describes a User: each attribute is a row, which gives it its flag of
// `pw useradd` and `pw usermod`, its line in `pw show`, its column in an import
// or export and its entry in the manual. Letters, units and what the empty text
// resets are those of pure-pw.
//
// The name and the password have no row. They are not changed as the others are.
var Fields = config.Table[User]{
	{Name: "uid", Short: "u", Group: groupIdentity,
		Help: "System user, by number or name, that owns the account's files. A name also sets the group, unless one is given. Root is refused.",
		Bind: func(u *User) config.Value {
			return config.Of(&u.UID, "user", func(s string) (int, error) { return parseUser(u, s) }, showID)
		}},
	{Name: "gid", Short: "g", Group: groupIdentity,
		Help: "System group, by number or name, of the account's files. Root's is refused.",
		Bind: func(u *User) config.Value {
			return config.Of(&u.GID, "group", func(s string) (int, error) { return parseGroup(u, s) }, showID)
		}},
	{Name: "gecos", Short: "c", Group: groupIdentity,
		Help: "Full name or a comment. Neither a colon nor a control character may be in it.",
		Bind: func(u *User) config.Value {
			return config.Of(&u.Gecos, "text", func(s string) (string, error) { return s, validText("gecos", s, maxText) }, show)
		}},
	{Name: "home", Group: groupIdentity,
		Help: "Folder that the account logs in to, an absolute path. Whether it is caged there stays as it is.",
		Bind: func(u *User) config.Value { return config.Of(&u.Home, "path", parseHome, show) }},
	{Name: "home_caged", Flag: "caged-home", Short: "d", Group: groupIdentity, AliasOf: "home",
		Help: "Folder that the account logs in to and sees nothing outside of.",
		Bind: func(u *User) config.Value { return homeValue(u, true) }},
	{Name: "home_free", Flag: "free-home", Short: "D", Group: groupIdentity, AliasOf: "home",
		Help: "Folder that the account logs in to and may leave, as far as the system's permissions let it.",
		Bind: func(u *User) config.Value { return homeValue(u, false) }},
	{Name: "caged", Group: groupIdentity,
		Help: "Whether the account sees nothing outside its home.",
		Bind: func(u *User) config.Value { return config.YesNo(&u.Caged) }},

	{Name: "disabled", Group: groupAccess,
		Help: "Whether logins are refused, whatever the password. The password is kept.",
		Bind: func(u *User) config.Value { return config.YesNo(&u.Disabled) }},
	{Name: "expires", Group: groupAccess,
		Help: "Last day of the account, 2027-01-31, or the moment of its end, 2027-01-31 18:00. 'never' or '' takes it away.",
		Bind: func(u *User) config.Value { return config.Of(&u.Expires, "date", parseExpires, showExpires) }},
	{Name: "perms", Group: groupAccess,
		Help: "What the account may do with files: list, read, write, delete, rename, mkdir, chmod, parted by commas; or all, or none. '' means all.",
		Bind: func(u *User) config.Value {
			return config.Of(&u.Perms, "permissions", func(s string) (Perms, error) {
				if s == "" {
					return AllPerms, nil
				}
				return ParsePerms(s)
			}, Perms.String)
		}},
	{Name: "hours", Short: "z", Group: groupAccess,
		Help: "Part of the day in which a login is let in, such as 0900-1800, by the server's clock. Both minutes belong to it, and 2200-0600 spans midnight. '' means all day.",
		Bind: func(u *User) config.Value { return config.Of(&u.Hours, "hhmm-hhmm", ParseHours, Hours.String) }},
	{Name: "max_sessions", Flag: "max-sessions", Short: "y", Group: groupAccess,
		Help: "Most sessions of the account at a time. 0 or '' means unlimited.",
		Bind: func(u *User) config.Value { return config.Of(&u.MaxSessions, "number", parseSessions, showSessions) }},
	{Name: "allow_client", Flag: "allow-client", Short: "r", Group: groupAccess,
		Help: "Where the client may connect from: addresses, prefixes such as 10.0.0.0/8 or 2001:db8::/32, and host names, parted by commas. '' means everywhere.",
		Bind: func(u *User) config.Value { return patternsValue(&u.AllowClient) }},
	{Name: "deny_client", Flag: "deny-client", Short: "R", Group: groupAccess,
		Help: "Where the client may not connect from, even if the other list allows it. '' means nowhere.",
		Bind: func(u *User) config.Value { return patternsValue(&u.DenyClient) }},
	{Name: "allow_local", Flag: "allow-local", Short: "i", Group: groupAccess,
		Help: "Which of the server's addresses the client may connect to, in the same form. '' means all.",
		Bind: func(u *User) config.Value { return patternsValue(&u.AllowLocal) }},
	{Name: "deny_local", Flag: "deny-local", Short: "I", Group: groupAccess,
		Help: "Which of the server's addresses the client may not connect to. '' means none.",
		Bind: func(u *User) config.Value { return patternsValue(&u.DenyLocal) }},
	{Name: "tls", Group: groupAccess,
		Help: "What the account demands where the server leaves TLS to its clients: login refuses passwords in clear, data refuses files in clear too. '' means optional.",
		Bind: func(u *User) config.Value { return config.Of(&u.TLS, "optional|login|data", ParseTLS, TLS.String) }},

	{Name: "download_rate", Flag: "download-rate", Short: "t", Group: groupRates,
		Help: "Most bytes a second of all downloads of the user together, in units of 1024, or with a unit such as 2M. 0 or '' means unlimited.",
		Bind: func(u *User) config.Value { return rateValue(&u.DownloadRate) }},
	{Name: "upload_rate", Flag: "upload-rate", Short: "T", Group: groupRates,
		Help: "Most bytes a second of all uploads of the user together, in units of 1024, or with a unit such as 2M. 0 or '' means unlimited.",
		Bind: func(u *User) config.Value { return rateValue(&u.UploadRate) }},

	{Name: "quota_files", Flag: "quota-files", Short: "n", Group: groupQuota,
		Help: "Most files in the home. 0 allows none; '' means unlimited.",
		Bind: func(u *User) config.Value { return config.Of(&u.QuotaFiles, "number", parseCountLimit, Limit.String) }},
	{Name: "quota_bytes", Flag: "quota-bytes", Short: "N", Group: groupQuota,
		Help: "Most bytes in the home, in megabytes of 1048576, or with a unit such as 10G. 0 allows none; '' means unlimited.",
		Bind: func(u *User) config.Value { return config.Of(&u.QuotaBytes, "MB", parseSizeLimit, showSizeLimit) }},
	{Name: "upload_ratio", Flag: "upload-ratio", Short: "q", Group: groupQuota,
		Help: "Upload's part of the ratio of uploads to downloads, at least 1. '' means none.",
		Bind: func(u *User) config.Value { return ratioValue(&u.UploadRatio, "upload ratio") }},
	{Name: "download_ratio", Flag: "download-ratio", Short: "Q", Group: groupQuota,
		Help: "Download's part of the ratio of uploads to downloads, at least 1. '' means none.",
		Bind: func(u *User) config.Value { return ratioValue(&u.DownloadRatio, "download ratio") }},

	{Name: "created", Group: groupKept, Help: "When the account was added.",
		Bind: func(u *User) config.Value { return keptValue(&u.Created) }},
	{Name: "changed", Group: groupKept, Help: "When the account was last changed.",
		Bind: func(u *User) config.Value { return keptValue(&u.Changed) }},
}

// Editable returns the rows of Fields that a person may set.
func Editable() config.Table[User] {
	return slices.DeleteFunc(slices.Clone(Fields), func(f config.Field[User]) bool { return f.Group == groupKept })
}

// unlimited is how a limit that is not there is shown; it may be said as well.
const unlimited = "unlimited"

func show(s string) string { return s }

func showID(id int) string {
	if id == 0 {
		return ""
	}
	return strconv.Itoa(id)
}

// parseUser reads a uid or the name of a system user, whose group u gets too.
func parseUser(u *User, text string) (int, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return int(id), validID("uid", id)
	}
	found, err := user.Lookup(text)
	if err != nil {
		return 0, invalid("no system user is called %q", text)
	}
	uid, err1 := strconv.ParseInt(found.Uid, 10, 64)
	gid, err2 := strconv.ParseInt(found.Gid, 10, 64)
	if err1 != nil || err2 != nil {
		return 0, invalid("system user %q has no numbers for ids", text)
	}
	if err := validID("uid", uid); err != nil {
		return 0, err
	}
	if !u.groupSaid {
		u.GID = int(gid)
	}
	return int(uid), nil
}

// parseGroup reads a gid or the name of a system group.
func parseGroup(u *User, text string) (int, error) {
	gid, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		found, lookupErr := user.LookupGroup(text)
		if lookupErr != nil {
			return 0, invalid("no system group is called %q", text)
		}
		if gid, err = strconv.ParseInt(found.Gid, 10, 64); err != nil {
			return 0, invalid("system group %q has no number for an id", text)
		}
	}
	u.groupSaid = true
	return int(gid), validID("gid", gid)
}

// parseHome takes what people write for a home, with slashes at the end or the
// "/./" by which pure-pw marks a cage, but nothing that climbs.
func parseHome(text string) (string, error) {
	if text != "" && text[0] == '/' && !hasDotDot(text) {
		text = path.Clean(text)
	}
	return text, validHome(text)
}

func homeValue(u *User, caged bool) config.Value {
	return config.Of(&u.Home, "path", func(s string) (string, error) {
		home, err := parseHome(s)
		if err == nil {
			u.Caged = caged
		}
		return home, err
	}, show)
}

func patternsValue(p *Patterns) config.Value {
	return config.ListOf((*[]Pattern)(p), "addresses",
		func(s string) ([]Pattern, error) { return ParsePatterns(s) },
		func(l []Pattern) string { return Patterns(l).String() })
}

func rateValue(p *int64) config.Value {
	const unit = 1 << 10
	return config.Of(p, "KB/s", func(s string) (int64, error) {
		if s == "" || s == unlimited {
			return 0, nil
		}
		return sized(s, unit)
	}, func(n int64) string {
		if n == 0 {
			return unlimited
		}
		return config.ShowSize(n, unit)
	})
}

const megabyte = 1 << 20

func parseSizeLimit(s string) (Limit, error) {
	if s == "" || s == unlimited {
		return Limit{}, nil
	}
	n, err := sized(s, megabyte)
	return LimitOf(n), err
}

func showSizeLimit(l Limit) string {
	n, limited := l.Value()
	if !limited {
		return unlimited
	}
	return config.ShowSize(n, megabyte)
}

func sized(s string, unit int64) (int64, error) {
	n, err := config.ParseSize(s, unit)
	if err != nil {
		return 0, invalid("%v", err)
	}
	return n, nil
}

func parseCountLimit(s string) (Limit, error) {
	if s == "" || s == unlimited {
		return Limit{}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return Limit{}, invalid("%q is not a number of at least 0", s)
	}
	return LimitOf(n), nil
}

func parseSessions(s string) (int, error) {
	if s == "" || s == unlimited {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, invalid("%q is not a number of sessions", s)
	}
	return n, nil
}

func showSessions(n int) string {
	if n == 0 {
		return unlimited
	}
	return strconv.Itoa(n)
}

func ratioValue(p *int, what string) config.Value {
	const none = "none"
	return config.Of(p, "number", func(s string) (int, error) {
		if s == "" || s == none {
			return 0, nil
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > math.MaxInt32 {
			return 0, invalid("%s %q is not a number of at least 1", what, s)
		}
		return n, nil
	}, func(n int) string {
		if n == 0 {
			return none
		}
		return strconv.Itoa(n)
	})
}

// never is how an account without an end is shown.
const never = "never"

// parseExpires reads the moment from which an account is refused. A day is
// meant to its end.
func parseExpires(s string) (time.Time, error) {
	if s == "" || s == never {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return dayAfter(day), nil
	}
	for _, form := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04"} {
		// The zero time would be never.
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil && !t.IsZero() {
			return t.UTC(), nil
		}
	}
	return time.Time{}, invalid("%q is not a day such as 2027-01-31, nor a moment such as 2027-01-31 18:00", s)
}

func dayAfter(day time.Time) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, time.Local).UTC()
}

// showExpires is the inverse of parseExpires: the day, if t is the end of one.
func showExpires(t time.Time) string {
	if t.IsZero() {
		return never
	}
	lastDay := t.Add(-time.Second).In(time.Local)
	if dayAfter(lastDay).Equal(t) {
		return lastDay.Format(time.DateOnly)
	}
	return t.In(time.Local).Format(time.RFC3339)
}

// keptValue shows a time that the database keeps.
func keptValue(p *time.Time) config.Value {
	return config.Of(p, "time", func(string) (time.Time, error) {
		return *p, fmt.Errorf("%w: kept by the database", ErrInvalid)
	}, func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return strings.Replace(t.In(time.Local).Format(time.RFC3339), "T", " ", 1)
	})
}
