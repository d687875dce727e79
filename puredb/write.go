package puredb

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"portreeve/userdb"
)

// lock stands before the hash of somebody who may not log in, as usermod writes it
// into the system's files.
const lock = "!"

// NoAddress is an address that no client has, for a list that would be empty without
// it and allow all.
const NoAddress = "0.0.0.0"

// FormatUser returns what follows the name in the user's line of pureftpd.passwd,
// and names the attributes that a line cannot hold. What would let somebody in who
// may not log in by now is not written: the password of a user that is disabled or
// has expired is locked, and a list of addresses that would become empty, which
// allows all of them, becomes one of an address that nobody has.
func FormatUser(u *userdb.User, now time.Time) (fields string, lost []string) {
	password := cmp.Or(u.Password, "*")
	expired := !u.Expires.IsZero() && !now.Before(u.Expires)
	if (u.Disabled || expired) && !strings.HasPrefix(password, lock) {
		password = lock + password
	}
	home := u.Home
	if u.Caged {
		home = strings.TrimSuffix(home, "/") + "/./"
	}
	lose := func(is bool, name string) {
		if is {
			lost = append(lost, name)
		}
	}
	lose(!u.Expires.IsZero(), "expires")
	lose(u.Perms != userdb.AllPerms, "perms")
	lose(u.TLS != userdb.TLSOptional, "tls")
	list := func(l userdb.Patterns, name string, allows bool) string {
		text, whole := formatPatterns(l, allows)
		lose(!whole, name)
		return text
	}
	return strings.Join([]string{
		password, strconv.Itoa(u.UID), strconv.Itoa(u.GID), u.Gecos, home,
		formatNumber(u.UploadRate), formatNumber(u.DownloadRate),
		formatNumber(u.UploadRatio), formatNumber(u.DownloadRatio), formatNumber(u.MaxSessions),
		formatLimit(u.QuotaFiles), formatLimit(u.QuotaBytes),
		list(u.AllowLocal, "allow_local", true), list(u.DenyLocal, "deny_local", false),
		list(u.AllowClient, "allow_client", true), list(u.DenyClient, "deny_client", false),
		formatHours(u.Hours),
	}, ":"), lost
}

func formatNumber[T int | int64](n T) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

func formatLimit(l userdb.Limit) string {
	if n, limited := l.Value(); limited {
		return strconv.FormatInt(n, 10)
	}
	return ""
}

// formatHours writes hours without the zeros before them, which pure-pw leaves out.
func formatHours(h userdb.Hours) string {
	from, to, found := strings.Cut(h.String(), "-")
	if !found {
		return ""
	}
	short := func(hhmm string) string { return cmp.Or(strings.TrimLeft(hhmm, "0"), "0") }
	return short(from) + "-" + short(to)
}

// formatPatterns leaves out the addresses of IPv6, whose colons would begin new
// fields. Pure-FTPd takes no prefix of no bits, which is written as its two halves.
func formatPatterns(list userdb.Patterns, allows bool) (text string, whole bool) {
	var words []string
	whole = true
	for _, p := range list {
		switch {
		case p.Host != "" || p.Prefix.Addr().Is4() && p.Prefix.Bits() > 0:
			words = append(words, p.String())
		case p.Prefix.Addr().Is4():
			words = append(words, "0.0.0.0/1", "128.0.0.0/1")
		default:
			whole = false
		}
	}
	if len(words) == 0 && len(list) > 0 && allows {
		words = []string{NoAddress}
	}
	return strings.Join(words, ","), whole
}

// A place is where the record of a user is, and the hash of its name.
type place struct{ hash, at uint32 }

// Write writes a file of users, each a name and what follows it in its line. All
// of it is in memory until it is complete, since the index comes first.
func Write(w io.Writer, users iter.Seq2[[2]string, error]) error {
	var records []byte
	index := make([][]place, buckets)
	for u, err := range users {
		if err != nil {
			return err
		}
		if u[0] == "" || len(u[0]) > maxName || len(u[1]) > maxFields {
			return fmt.Errorf("writing a PureDB file: the line of user %.40q is too long", u[0])
		}
		h := hash(u[0])
		index[h%buckets] = append(index[h%buckets], place{h, uint32(len(records))})
		for _, text := range u {
			records = binary.BigEndian.AppendUint32(records, uint32(len(text)))
			records = append(records, text...)
		}
		if len(records) > math.MaxUint32/2 {
			return fmt.Errorf("writing a PureDB file: %d bytes of users are more than it can hold", len(records))
		}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	out.WriteString(magic)
	at := uint32(head)
	for _, places := range index {
		putUint32(out, at)
		at += bucketSize(places)
	}
	putUint32(out, at)
	for i, places := range index {
		// Of one hash the one that comes first stays the first.
		slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.hash, b.hash) })
		for _, p := range places {
			putUint32(out, p.hash)
			putUint32(out, at+p.at)
		}
		if len(places) == 0 {
			putUint32(out, uint32(i+1))
		}
	}
	out.Write(records)
	return out.Flush() // and the first error of any write before
}

func bucketSize(places []place) uint32 {
	if len(places) == 0 {
		return 4
	}
	return uint32(pairLen * len(places))
}

func putUint32(out *bufio.Writer, n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	out.Write(b[:])
}
