package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// A Value is a variable that text can set and show. It is pflag's interface:
// Type returns what a manual calls the argument.
type Value = pflag.Value

// Of returns a Value over p for a type of the caller's own. Parse and show must
// be inverse, since defaults are documented by showing them.
func Of[T any](p *T, kind string, parse func(string) (T, error), show func(T) string) Value {
	return &single[T]{p, kind, parse, show}
}

// Variable returns the pointer to what v sets, such as a *int64, by which a program
// can tell what it is and compute with it; nil if v is not one variable.
func Variable(v Value) any {
	if one, ok := v.(interface{ variable() any }); ok {
		return one.variable()
	}
	return nil
}

type single[T any] struct {
	p     *T
	kind  string
	parse func(string) (T, error)
	show  func(T) string
}

func (v *single[T]) String() string { return v.show(*v.p) }
func (v *single[T]) Type() string   { return v.kind }
func (v *single[T]) variable() any  { return v.p }
func (v *single[T]) Set(text string) error {
	x, err := v.parse(text)
	if err != nil {
		return err
	}
	*v.p = x
	return nil
}

// A lister is a Value that several lines fill. Its first Set replaces the
// default and the next extend it; extend makes the first one extend too. An
// empty text empties it.
type lister interface {
	Value
	extend()
	lines() []string // texts that, set one after another, give the same list
}

// ListOf returns a Value over p that grows by what each Set parses. Parse must
// understand what show writes of a list of one.
func ListOf[T any](p *[]T, kind string, parse func(string) ([]T, error), show func([]T) string) Value {
	return &list[T]{p: p, kind: kind, parse: parse, show: show}
}

type list[T any] struct {
	p       *[]T
	kind    string
	parse   func(string) ([]T, error)
	show    func([]T) string
	changed bool
}

func (v *list[T]) String() string { return v.show(*v.p) }
func (v *list[T]) Type() string   { return v.kind }
func (v *list[T]) variable() any  { return v.p }
func (v *list[T]) extend()        { v.changed = true }

func (v *list[T]) lines() []string {
	var texts []string
	for x := range slices.Chunk(*v.p, 1) {
		texts = append(texts, v.show(x))
	}
	return texts
}

func (v *list[T]) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		*v.p, v.changed = nil, true
		return nil
	}
	x, err := v.parse(text)
	if err != nil {
		return err
	}
	if v.changed {
		x = append(slices.Clip(*v.p), x...)
	}
	*v.p, v.changed = x, true
	return nil
}

// Text is any text without control characters.
func Text(p *string, kind string) Value {
	return Of(p, kind, func(s string) (string, error) {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", errors.New("control characters are not allowed")
		}
		return s, nil
	}, func(s string) string { return s })
}

// Path is an absolute path of the host, cleaned; "" stands for none.
func Path(p *string) Value {
	return Of(p, "path", func(s string) (string, error) {
		switch {
		case s == "":
			return "", nil
		case strings.ContainsRune(s, 0) || strings.ContainsAny(s, "\r\n"):
			return "", errors.New("a path has no line break or NUL")
		case !filepath.IsAbs(s):
			abs, err := filepath.Abs(s)
			if err != nil {
				return "", fmt.Errorf("finding the absolute path of %q: %w", s, err)
			}
			return abs, nil
		}
		return filepath.Clean(s), nil
	}, func(s string) string { return s })
}

// Choice is one of the words, in any case.
func Choice(p *string, words ...string) Value {
	return Of(p, strings.Join(words, "|"), func(s string) (string, error) {
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return w, nil
			}
		}
		return "", fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}, func(s string) string { return s })
}

// YesNo is a boolean: yes, on, true, 1 and their opposites. As a flag it may
// stand without a value.
func YesNo(p *bool) Value { return &yesNo{p} }

type yesNo struct{ p *bool }

func (v *yesNo) Type() string     { return "yes|no" }
func (v *yesNo) variable() any    { return v.p }
func (v *yesNo) IsBoolFlag() bool { return true }
func (v *yesNo) String() string {
	if *v.p {
		return "yes"
	}
	return "no"
}

func (v *yesNo) Set(text string) error {
	switch strings.ToLower(text) {
	case "yes", "on", "true", "1":
		*v.p = true
	case "no", "off", "false", "0":
		*v.p = false
	default:
		return fmt.Errorf("%q is neither yes nor no", text)
	}
	return nil
}

// Count is a whole number from low to high.
func Count[N int | int64](p *N, low, high N) Value {
	return Of(p, "number", func(s string) (N, error) { return number(s, low, high) },
		func(n N) string { return strconv.FormatInt(int64(n), 10) })
}

// Percent is a whole number from 0 to 100; a percent sign may stand behind it.
func Percent(p *int) Value {
	return Of(p, "percent", func(s string) (int, error) { return number(strings.TrimSuffix(s, "%"), 0, 100) }, strconv.Itoa)
}

// Level is a boolean that may be said twice to mean more, such as Pure-FTPd's
// VerboseLog: each yes adds one, up to most; a number sets it.
func Level(p *int, most int) Value { return &level{p: p, most: most} }

type level struct {
	p    *int
	most int
	said bool
}

func (v *level) Type() string     { return "yes|no|number" }
func (v *level) String() string   { return strconv.Itoa(*v.p) }
func (v *level) IsBoolFlag() bool { return true }
func (v *level) Set(text string) error {
	n, err := number(text, 0, v.most)
	if err != nil {
		var yes bool
		if (&yesNo{&yes}).Set(text) != nil {
			return fmt.Errorf("%q is neither yes, no nor a number up to %d", text, v.most)
		}
		switch {
		case !yes:
			n = 0
		case v.said:
			n = min(*v.p+1, v.most)
		default:
			n = 1
		}
	}
	*v.p, v.said = n, true
	return nil
}

func number[N int | int64](s string, low, high N) (N, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	if n < int64(low) || n > int64(high) {
		if int64(high) == math.MaxInt64 || int64(high) == int64(math.MaxInt) {
			return 0, fmt.Errorf("%d is less than %d", n, low)
		}
		return 0, fmt.Errorf("%d is not from %d to %d", n, low, high)
	}
	return N(n), nil
}

// Octal is a file mode or mask such as 0660, at most most.
func Octal(p *fs.FileMode, most fs.FileMode) Value {
	return Of(p, "mode", func(s string) (fs.FileMode, error) { return octal(s, most) },
		func(m fs.FileMode) string { return fmt.Sprintf("%04o", uint32(m)) })
}

func octal(s string, most fs.FileMode) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || fs.FileMode(n) > most {
		return 0, fmt.Errorf("%q is not an octal mode up to %o", s, uint32(most))
	}
	return fs.FileMode(n), nil
}

// Masks is Pure-FTPd's Umask: two octal masks, for files and for folders,
// parted by a colon or blanks; one alone stands for both.
func Masks(files, folders *fs.FileMode) Value {
	return &pair[fs.FileMode]{files, folders, "mask:mask", ":", func(s string) (fs.FileMode, error) { return octal(s, 0o777) },
		func(m fs.FileMode) string { return fmt.Sprintf("%03o", uint32(m)) }, alone(func(m fs.FileMode) fs.FileMode { return m })}
}

// Pair is two values of one sort, parted by blanks or a colon; between is how
// they are shown. If one alone has a meaning, second gives the other from it.
func Pair[T any](a, b *T, kind, between string, parse func(string) (T, error), show func(T) string, second func(T) T) Value {
	return &pair[T]{a, b, kind, between, parse, show, alone(second)}
}

func alone[T any](second func(T) T) func(T) (T, bool) {
	if second == nil {
		return nil
	}
	return func(a T) (T, bool) { return second(a), true }
}

type pair[T any] struct {
	a, b    *T
	kind    string
	between string
	parse   func(string) (T, error)
	show    func(T) string
	second  func(T) (T, bool)
}

func (v *pair[T]) Type() string   { return v.kind }
func (v *pair[T]) String() string { return v.show(*v.a) + v.between + v.show(*v.b) }
func (v *pair[T]) Set(text string) error {
	first, rest, both := cutPair(text)
	a, err := v.parse(first)
	if err != nil {
		return err
	}
	if !both {
		if v.second == nil {
			return fmt.Errorf("%q is one value, %s are two", text, v.kind)
		}
		*v.a = a
		*v.b, _ = v.second(a)
		return nil
	}
	b, err := v.parse(rest)
	if err != nil {
		return err
	}
	*v.a, *v.b = a, b
	return nil
}

// cutPair parts "a:b" and "a b".
func cutPair(text string) (a, b string, both bool) {
	if a, b, both = strings.Cut(text, ":"); both {
		return strings.TrimSpace(a), strings.TrimSpace(b), true
	}
	words := strings.Fields(text)
	if len(words) == 2 {
		return words[0], words[1], true
	}
	return strings.TrimSpace(text), "", false
}

// Counts is a pair of whole numbers of at least low.
func Counts(a, b *int, kind, between string, low int) Value {
	return Pair(a, b, kind, between, func(s string) (int, error) { return number(s, low, math.MaxInt) }, strconv.Itoa, nil)
}

// A PortRange is a span of TCP ports, both ends included.
type PortRange struct{ First, Last uint16 }

// Size returns how many ports there are in the range.
func (r PortRange) Size() int { return int(r.Last) - int(r.First) + 1 }

// Ports is a range of ports from low on, "30000 30100" or "30000:30100".
func Ports(p *PortRange, low uint16) Value {
	return Of(p, "first last", func(s string) (PortRange, error) {
		a, b, both := cutPair(s)
		first, err1 := number(a, int(low), math.MaxUint16)
		last, err2 := number(b, int(low), math.MaxUint16)
		switch {
		case !both:
			return PortRange{}, fmt.Errorf("%q is not two ports", s)
		case err1 != nil || err2 != nil:
			return PortRange{}, cmp.Or(err1, err2)
		case first > last:
			return PortRange{}, fmt.Errorf("port %d is after port %d", first, last)
		}
		return PortRange{uint16(first), uint16(last)}, nil
	}, func(r PortRange) string { return fmt.Sprintf("%d %d", r.First, r.Last) })
}

// units are the powers of 1024 that a size may end with.
const units = "KMGTPE"

// Size is a number of bytes. It may end with K, M, G, T, P or E, also followed
// by B or iB; a plain number counts units of plain bytes.
func Size(p *int64, plain int64) Value {
	return Of(p, "size", func(s string) (int64, error) { return ParseSize(s, plain) },
		func(n int64) string { return ShowSize(n, plain) })
}

// ParseSize reads a size; a number without a unit counts units of plain bytes.
func ParseSize(s string, plain int64) (int64, error) {
	digits := strings.TrimRight(s, "kKmMgGtTpPeEiIbB")
	suffix := strings.ToUpper(s[len(digits):])
	unit := plain
	if suffix == "B" {
		unit = 1
	} else if suffix != "" {
		i := strings.IndexByte(units, suffix[0])
		if rest := suffix[1:]; i < 0 || rest != "" && rest != "B" && rest != "IB" {
			return 0, fmt.Errorf("%q is not a size such as 512K, 10M or 2G", s)
		}
		unit = 1 << (10 * (i + 1))
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a size such as 512K, 10M or 2G", s)
	}
	if n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%s is too large", s)
	}
	return n * unit, nil
}

// ShowSize writes n so that ParseSize reads it back, by the largest unit that
// divides it.
func ShowSize(n, plain int64) string {
	if n == 0 {
		return "0"
	}
	unit, i := int64(1), -1
	for i+1 < len(units) && n%(unit<<10) == 0 {
		unit <<= 10
		i++
	}
	switch {
	case i >= 0:
		return strconv.FormatInt(n/unit, 10) + units[i:i+1]
	case plain == 1:
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10) + "B"
}

// Span is a length of time such as 90s, 15m or 24h, from low to high; a plain
// number counts units.
func Span(p *time.Duration, unit, low, high time.Duration) Value {
	return Of(p, "time", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if n, notPlain := strconv.ParseInt(s, 10, 64); notPlain == nil {
			if n > int64(high/unit) {
				return 0, fmt.Errorf("%s is not from %s to %s", s, ShowSpan(low), ShowSpan(high))
			}
			d, err = time.Duration(max(n, -1))*unit, nil
		}
		if err != nil {
			return 0, fmt.Errorf("%q is not a time such as 90s, 15m or 24h", s)
		}
		if d < low || d > high {
			return 0, fmt.Errorf("%s is not from %s to %s", s, ShowSpan(low), ShowSpan(high))
		}
		return d, nil
	}, ShowSpan)
}

// ShowSpan writes a length of time without parts that are zero.
func ShowSpan(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Addr is an IP address without a zone; "" stands for none.
func Addr(p *netip.Addr) Value {
	return Of(p, "address", func(s string) (netip.Addr, error) {
		if s == "" {
			return netip.Addr{}, nil
		}
		a, err := netip.ParseAddr(strings.Trim(s, "[]"))
		if err != nil || a.Zone() != "" {
			return netip.Addr{}, fmt.Errorf("%q is not an IP address", s)
		}
		return a.Unmap(), nil
	}, func(a netip.Addr) string {
		if !a.IsValid() {
			return ""
		}
		return a.String()
	})
}

// Words is a list of texts, parted by commas or blanks; several lines add up.
func Words(p *[]string, kind string) Value {
	return ListOf(p, kind, func(s string) ([]string, error) {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }), nil
	}, func(w []string) string { return strings.Join(w, ",") })
}

// Prefixes is a list of networks, parted by commas or blanks; several lines add
// up. An address is the network of itself alone. Another word, if there is one, may
// stand in the list too, for what the caller means by the zero Prefix.
func Prefixes(p *[]netip.Prefix, also string) Value {
	return ListOf(p, "network", func(s string) ([]netip.Prefix, error) {
		var list []netip.Prefix
		for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			var n netip.Prefix
			if also == "" || !strings.EqualFold(word, also) {
				var err error
				if n, err = parsePrefix(word); err != nil {
					return nil, err
				}
			}
			list = append(list, n)
		}
		return list, nil
	}, func(list []netip.Prefix) string {
		var words []string
		for _, n := range list {
			switch {
			case !n.IsValid():
				words = append(words, also)
			case n.IsSingleIP():
				words = append(words, n.Addr().String())
			default:
				words = append(words, n.String())
			}
		}
		return strings.Join(words, ",")
	})
}

// parsePrefix reads a network or an address. An IPv4 one written as IPv6 would
// never match, since addresses are compared as what they are.
func parsePrefix(word string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(strings.Trim(word, "[]")); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(word)
	if err != nil || n.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither a network such as 192.0.2.0/24 nor an address", word)
	}
	return n.Masked(), nil
}

// IsHostName tells whether a name, in lower case, is one of a host (RFC 1123,
// section 2.1), or has the underscores that people give theirs.
func IsHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
