package userdb

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A User is one virtual user: who it is, where its files are and what it may do.
//
// Its JSON names are those of the stored record and stable. The password is not
// among them, so that a User in a report or a log gives no hash away.
type User struct {
	Name     string `json:"name"`
	Password string `json:"-"` // a hash, see Hash and Verify; "" or one that begins with '!' lets nobody in

	// Who it acts as, and where
	UID   int    `json:"uid"`
	GID   int    `json:"gid"`
	Gecos string `json:"gecos,omitzero"` // full name or any comment
	Home  string `json:"home"`
	Caged bool   `json:"caged"` // sees nothing above Home

	// When it may log in
	Disabled bool      `json:"disabled"`
	Expires  time.Time `json:"expires,omitzero"` // the first moment it may no longer; zero is never

	Limits

	// Kept by the database
	Created time.Time `json:"created,omitzero"`
	Changed time.Time `json:"changed,omitzero"`

	// groupSaid notes that the GID row of Fields was set by hand, so that a
	// user's name given for the UID, before or after it, leaves it alone.
	groupSaid bool
}

// Limits are what an account is granted, whichever back-end knows it. The zero
// value has no limit on rates, ratios, quotas, sessions, addresses or hours,
// but grants no permission either.
type Limits struct {
	UploadRate    int64 `json:"upload_rate,omitzero"` // bytes a second; 0 is unlimited
	DownloadRate  int64 `json:"download_rate,omitzero"`
	UploadRatio   int   `json:"upload_ratio,omitzero"` // parts up for DownloadRatio parts down; 0 is none
	DownloadRatio int   `json:"download_ratio,omitzero"`

	QuotaFiles  Limit `json:"quota_files"`
	QuotaBytes  Limit `json:"quota_bytes"`
	MaxSessions int   `json:"max_sessions,omitzero"` // 0 is unlimited

	AllowClient Patterns `json:"allow_client,omitzero"` // where the client may connect from
	DenyClient  Patterns `json:"deny_client,omitzero"`
	AllowLocal  Patterns `json:"allow_local,omitzero"` // which of our addresses it may connect to
	DenyLocal   Patterns `json:"deny_local,omitzero"`
	Hours       Hours    `json:"hours,omitzero"`
	TLS         TLS      `json:"tls,omitzero"`

	Perms Perms `json:"perms"`
}

// HasQuota tells whether files or their bytes are limited.
func (l *Limits) HasQuota() bool { return l.QuotaFiles.set || l.QuotaBytes.set }

// New returns a user of that name as a new one should be: caged in its home,
// with all permissions and no limits. It needs an id and a home to be valid.
func New(name string) User {
	return User{Name: name, Caged: true, Limits: Limits{Perms: AllPerms}}
}

// Bounds of what a record may hold. 127 bytes is the longest login name of
// Pure-FTPd; a user with a longer one could not be exported.
const (
	maxName     = 127
	maxText     = 1024
	maxPath     = 4096
	maxPatterns = 256           // of one list
	maxID       = 1<<32 - 2     // uid_t's last value, -1, means "none" to the kernel
	maxRate     = math.MaxInt64 // bytes a second
)

// ErrInvalid is the cause of every error about a value that a user may not have.
var ErrInvalid = errors.New("invalid value")

type invalidError string

func (e invalidError) Error() string        { return string(e) }
func (e invalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(format string, args ...any) error {
	return invalidError(fmt.Sprintf(format, args...))
}

// Validate returns the first reason why u may not be stored, in one line. It is
// asked on every write and after every read, so that a record which was made or
// damaged elsewhere never grants what could not have been set here.
func (u *User) Validate() error {
	if err := ValidName(u.Name); err != nil {
		return err
	}
	if err := validHash(u.Password); err != nil {
		return err
	}
	if err := validID("uid", int64(u.UID)); err != nil {
		return err
	}
	if err := validID("gid", int64(u.GID)); err != nil {
		return err
	}
	if err := validText("gecos", u.Gecos, maxText); err != nil {
		return err
	}
	if err := validHome(u.Home); err != nil {
		return err
	}
	for _, t := range []time.Time{u.Expires, u.Created, u.Changed} {
		if !t.IsZero() && (t.Year() < 1970 || t.Year() > 9999) {
			return invalid("time %s is not in the years 1970 to 9999", t.Format(time.RFC3339))
		}
	}
	return u.validLimits()
}

func (l *Limits) validLimits() error {
	for _, n := range []struct {
		what  string
		value int64
	}{
		{"upload rate", l.UploadRate}, {"download rate", l.DownloadRate},
		{"upload ratio", int64(l.UploadRatio)}, {"download ratio", int64(l.DownloadRatio)},
		{"number of sessions", int64(l.MaxSessions)},
	} {
		if n.value < 0 {
			return invalid("%s %d is negative", n.what, n.value)
		}
	}
	for _, list := range []Patterns{l.AllowClient, l.DenyClient, l.AllowLocal, l.DenyLocal} {
		if err := list.validate(); err != nil {
			return err
		}
	}
	if l.TLS > TLSData {
		return invalid("demand %d of TLS is not known", uint8(l.TLS))
	}
	if l.Perms&^AllPerms != 0 {
		return invalid("permissions %#x are not known", uint8(l.Perms))
	}
	return nil
}

// ValidName returns why a user may not have that name. What it refuses would
// be read as something else: by the colon-separated files that users are
// imported from and exported to, by a shell (a leading dash), by an eye (blanks
// at the ends, invisible or reordering characters), or as part of a path.
func ValidName(name string) error {
	switch {
	case name == "":
		return invalid("a user needs a name")
	case len(name) > maxName:
		return invalid("user name %.20q... is longer than %d bytes", name, maxName)
	case !utf8.ValidString(name):
		return invalid("user name %q is not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return invalid("user name %q has a control or invisible character", name)
	case strings.ContainsRune(name, ':'):
		return invalid("user name %q has a colon", name)
	case strings.ContainsAny(name, `/\`):
		return invalid("user name %q has a slash", name)
	case name == "." || strings.Contains(name, ".."):
		return invalid("user name %q would be a path", name)
	case name[0] == '-':
		return invalid("user name %q begins with a dash", name)
	case name[0] == '#':
		return invalid("user name %q begins with #, a comment in password files", name)
	case name != strings.TrimSpace(name):
		return invalid("user name %q begins or ends with a blank", name)
	}
	return nil
}

func validID(what string, id int64) error {
	switch {
	case id == 0:
		return invalid("%s 0 is root's; a virtual user needs another", what)
	case id < 0 || id > maxID:
		return invalid("%s %d is not from 1 to %d", what, id, int64(maxID))
	}
	return nil
}

// validText refuses what would break a line or a field of a password file.
func validText(what, text string, most int) error {
	switch {
	case len(text) > most:
		return invalid("%s is longer than %d bytes", what, most)
	case !utf8.ValidString(text):
		return invalid("%s %q is not UTF-8", what, text)
	case strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}):
		return invalid("%s %q has a control character", what, text)
	case strings.ContainsRune(text, ':'):
		return invalid("%s %q has a colon", what, text)
	}
	return nil
}

func validHome(home string) error {
	if home == "" {
		return invalid("a user needs a home")
	}
	if err := validText("home", home, maxPath); err != nil {
		return err
	}
	switch {
	case home[0] != '/':
		return invalid("home %q is not an absolute path", home)
	case hasDotDot(home):
		return invalid("home %q climbs with ..", home)
	case path.Clean(home) != home:
		return invalid("home %q should be written %q", home, path.Clean(home))
	}
	return nil
}

func hasDotDot(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// validHash refuses only what could not be stored or exported; a hash of a kind
// that is not known simply never verifies.
func validHash(hash string) error {
	switch {
	case len(hash) > maxText:
		return invalid("password hash is longer than %d bytes", maxText)
	case strings.ContainsFunc(hash, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
		return invalid("password hash has a character that no hash has")
	}
	return nil
}

// normal brings u to the form in which it is stored and read back.
func (u *User) normal() {
	u.groupSaid = false
	for _, t := range []*time.Time{&u.Expires, &u.Created, &u.Changed} {
		*t = t.UTC().Truncate(time.Second)
	}
	for _, list := range []*Patterns{&u.AllowClient, &u.DenyClient, &u.AllowLocal, &u.DenyLocal} {
		if len(*list) == 0 {
			*list = nil
		}
	}
}
