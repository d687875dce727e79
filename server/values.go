package server

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"portreeve/config"
	"portreeve/logparse"
	"portreeve/server/charset"
	"portreeve/server/syslog"
)

// How the values of directives are written, where package config has no kind for
// them: most are Pure-FTPd's.

// String returns the endpoint as net.Listen takes it.
func (e Endpoint) String() string {
	host := ""
	if e.Addr.IsValid() {
		host = e.Addr.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(e.Port)))
}

// parseEndpoint reads Pure-FTPd's "address,port", "address,", ",port" and
// "port", an address alone, and "address:port" as everybody else writes it.
func parseEndpoint(text string, defaultPort uint16) (Endpoint, error) {
	host, port, found := strings.Cut(text, ",")
	if !found {
		if h, p, err := net.SplitHostPort(text); err == nil {
			host, port = h, p
		} else if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err != nil {
			host, port = "", text
		}
	}
	e := Endpoint{Port: defaultPort}
	if host != "" {
		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return e, fmt.Errorf("%q is not an IP address", host)
		}
		e.Addr = addr.Unmap()
	}
	if port != "" {
		n, err := net.LookupPort("tcp", port)
		if err != nil {
			return e, fmt.Errorf("%q is neither an address, nor a port, nor the name of a service", port)
		}
		e.Port = uint16(n)
	}
	return e, nil
}

func endpoints(p *[]Endpoint) config.Value { return endpointsAt(p, 21) }

// endpointsAt is addresses with ports, where an address alone has a port of its own.
func endpointsAt(p *[]Endpoint, defaultPort uint16) config.Value {
	return config.ListOf(p, "address,port", func(s string) ([]Endpoint, error) {
		var list []Endpoint
		for word := range strings.FieldsSeq(s) {
			e, err := parseEndpoint(word, defaultPort)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	}, showEndpoints)
}

// namedEndpoints is endpointsAt where an address left out is not all of them.
func namedEndpoints(p *[]Endpoint, defaultPort uint16) config.Value {
	return config.ListOf(p, "address,port", func(s string) ([]Endpoint, error) {
		var list []Endpoint
		for word := range strings.FieldsSeq(s) {
			e, err := parseEndpoint(word, defaultPort)
			if err == nil && !e.Addr.IsValid() {
				err = fmt.Errorf("%q names no address: 127.0.0.1,%d is this machine alone, and 0.0.0.0,%[2]d or [::],%[2]d everybody", word, e.Port)
			}
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	}, showEndpoints)
}

func showEndpoints(list []Endpoint) string {
	var words []string
	for _, e := range list {
		host := ""
		if e.Addr.IsValid() {
			host = e.Addr.String()
		}
		words = append(words, fmt.Sprintf("%s,%d", host, e.Port))
	}
	return strings.Join(words, " ")
}

// two parses "a b", "a:b" and "a"; each half may be empty in the colon form.
func two(text string, low int64) (a, b int64, err error) {
	first, second, both := strings.Cut(strings.TrimSpace(text), ":")
	if words := strings.Fields(text); !both && len(words) == 2 {
		first, second, both = words[0], words[1], true
	}
	if !both {
		second = first
	}
	for _, half := range []struct {
		text string
		to   *int64
	}{{first, &a}, {second, &b}} {
		half.text = strings.TrimSpace(half.text)
		if half.text == "" && both && first != second {
			continue
		}
		n, err := strconv.ParseInt(half.text, 10, 64)
		if err != nil || n < low || n > math.MaxInt64>>30 {
			return 0, 0, fmt.Errorf("%q is not a whole number from %d on", half.text, low)
		}
		*half.to = n
	}
	return a, b, nil
}

// load is a load average of at least 0.
func load(p *float64) config.Value {
	return config.Of(p, "number", func(s string) (float64, error) {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || !(n >= 0 && n <= 1e6) {
			return 0, fmt.Errorf("%q is no load such as 4 or 4.5", s)
		}
		return n, nil
	}, func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) })
}

// charsetOf is an encoding by any of its names; it is shown by its own.
func charsetOf(p **charset.Charset) config.Value {
	return config.Of(p, "charset", func(s string) (*charset.Charset, error) {
		c, err := charset.Lookup(s)
		if !errors.Is(err, charset.ErrUnknown) {
			return c, err
		}
		if near := config.Nearest(s, charset.Names()); near != "" {
			return nil, fmt.Errorf("%w; did you mean %s?", err, near)
		}
		return nil, fmt.Errorf("%w; names are those of iconv, such as UTF-8, Big5, GBK or ISO-8859-1", err)
	}, (*charset.Charset).Name)
}

// idleTime is a time in minutes; 0 is the default, as Pure-FTPd has it.
func idleTime(p *time.Duration) config.Value {
	return config.Of(p, "time", func(s string) (time.Duration, error) {
		var d time.Duration
		err := config.Span(&d, time.Minute, 0, 100*24*time.Hour).Set(s)
		if err == nil && d == 0 {
			d = DefaultConfig().MaxIdleTime
		}
		return d, err
	}, config.ShowSpan)
}

// optionalPair is a pair of whole numbers that may be unset.
func optionalPair[T comparable](p *T, kind, between string, low int64, join func(a, b int64) T, part func(T) (a, b int64)) config.Value {
	var none T
	return config.Of(p, kind, func(s string) (T, error) {
		if s == "" {
			return none, nil
		}
		if !strings.ContainsAny(strings.TrimSpace(s), ": \t") {
			return none, fmt.Errorf("%q is one number, %s are two", s, kind)
		}
		a, b, err := two(s, low)
		if err != nil {
			return none, err
		}
		if a < low || b < low {
			return none, fmt.Errorf("%q is one number, %s are two", s, kind)
		}
		return join(a, b), nil
	}, func(v T) string {
		if v == none {
			return ""
		}
		a, b := part(v)
		return fmt.Sprintf("%d%s%d", a, between, b)
	})
}

func ratio(p *Ratio) config.Value {
	return optionalPair(p, "up down", " ", 1, func(a, b int64) Ratio { return Ratio{int(a), int(b)} },
		func(r Ratio) (a, b int64) { return int64(r.Up), int64(r.Down) })
}

func quota(p *Quota) config.Value {
	return optionalPair(p, "files:megabytes", ":", 1, func(a, b int64) Quota { return Quota{a, b} },
		func(q Quota) (a, b int64) { return q.Files, q.MiB })
}

func perUser(p *PerUserLimits) config.Value {
	return optionalPair(p, "user:anonymous", ":", 0, func(a, b int64) PerUserLimits { return PerUserLimits{int(a), int(b)} },
		func(l PerUserLimits) (a, b int64) { return int64(l.User), int64(l.Anonymous) })
}

func passiveLimits(p *PassiveLimits) config.Value {
	return config.Counts(&p.All, &p.Each, "all each", " ", 0)
}

// acmeNames reads the names of a certificate a line.
func acmeNames(p *[][]string) config.Value {
	return config.ListOf(p, "name...", func(s string) ([][]string, error) {
		var names []string
		for name := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			if !config.IsHostName(name) || !strings.Contains(name, ".") {
				return nil, fmt.Errorf("%q is not the name of a host in the DNS", name)
			}
			names = append(names, name)
		}
		if names == nil {
			return nil, fmt.Errorf("%q has no name", s)
		}
		return [][]string{names}, nil
	}, func(list [][]string) string {
		var certificates []string
		for _, names := range list {
			certificates = append(certificates, strings.Join(names, ","))
		}
		return strings.Join(certificates, "; ")
	})
}

// acmeDirectory is the URL of an authority; what it says must not be made up by
// others, and so it is https.
func acmeDirectory(p *string) config.Value {
	return config.Of(p, "url", func(s string) (string, error) {
		if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(s, unicode.IsSpace) {
			return "", fmt.Errorf("%q is not a URL such as %s", s, letsEncrypt)
		}
		return s, nil
	}, func(s string) string { return s })
}

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// mailAddress is one address, or "".
func mailAddress(p *string) config.Value {
	return config.Of(p, "address", func(s string) (string, error) {
		if a, err := mail.ParseAddress(s); s != "" && (err != nil || a.Address != s) {
			return "", fmt.Errorf("%q is not a mail address", s)
		}
		return s, nil
	}, func(s string) string { return s })
}

// keyPairs reads "certificate", "certificate,key" and "certificate key", a pair a
// line.
func keyPairs(p *[]KeyPair) config.Value {
	return config.ListOf(p, "certificate[,key]", func(s string) ([]KeyPair, error) {
		// Pure-FTPd's sample has quotes around each.
		words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '"' || unicode.IsSpace(r) })
		var pair KeyPair
		for i, word := range words {
			path := &pair.Cert
			if i == 1 {
				path = &pair.Key
			}
			if err := config.Path(path).Set(word); err != nil || i > 1 {
				return nil, cmp.Or(err, fmt.Errorf("%q is not one or two paths", s))
			}
		}
		if pair.Cert == "" {
			return nil, nil
		}
		return []KeyPair{pair}, nil
	}, func(list []KeyPair) string {
		var pairs []string
		for _, k := range list {
			if k.Key != "" {
				k.Cert += "," + k.Key
			}
			pairs = append(pairs, k.Cert)
		}
		return strings.Join(pairs, "; ")
	})
}

func cost(p *Cost) config.Value {
	return config.Of(p, "logN r p", func(s string) (Cost, error) {
		words := strings.Fields(strings.NewReplacer(",", " ", ":", " ").Replace(s))
		if len(words) != 3 {
			return Cost{}, fmt.Errorf("%q is not three numbers such as 15 8 3", s)
		}
		var c Cost
		for i, part := range []struct {
			to        *int
			low, high int
		}{{&c.LogN, 10, 20}, {&c.R, 1, 32}, {&c.P, 1, 64}} {
			n, err := strconv.Atoi(words[i])
			if err != nil || n < part.low || n > part.high {
				return Cost{}, fmt.Errorf("%q is not from %d to %d", words[i], part.low, part.high)
			}
			*part.to = n
		}
		return c, nil
	}, func(c Cost) string { return fmt.Sprintf("%d %d %d", c.LogN, c.R, c.P) })
}

// aliases reads "name=directory" words.
func aliases(p *[]Alias) config.Value {
	return config.ListOf(p, "name=directory", func(s string) ([]Alias, error) {
		var list []Alias
		for word := range strings.FieldsSeq(s) {
			name, dir, _ := strings.Cut(word, "=")
			if name == "" || !strings.HasPrefix(dir, "/") {
				return nil, fmt.Errorf("%q is not name=/directory", word)
			}
			list = append(list, Alias{name, dir})
		}
		return list, nil
	}, func(list []Alias) string {
		var words []string
		for _, a := range list {
			words = append(words, a.Name+"="+a.Dir)
		}
		return strings.Join(words, " ")
	})
}

// altLogs reads "format:path"; a path alone means CLF, as Pure-FTPd has it.
func altLogs(p *[]string) config.Value {
	return config.ListOf(p, "format:path", func(s string) ([]string, error) {
		var list []string
		for word := range strings.FieldsSeq(s) {
			format, path, found := strings.Cut(word, ":")
			if !found {
				format, path = "clf", word
			}
			if path == "-" {
				path = toStderr
			}
			switch {
			case !slices.Contains(logparse.Names(), format):
				return nil, fmt.Errorf("%q is no log format; there are %s", format, strings.Join(logparse.Names(), ", "))
			case path != toStderr && !strings.HasPrefix(path, "/"):
				return nil, fmt.Errorf("%q is neither an absolute path nor stderr", path)
			case path != toStderr:
				path = filepath.Clean(path) // one file has one name
			}
			list = append(list, format+":"+path)
		}
		return list, nil
	}, func(list []string) string { return strings.Join(list, " ") })
}

// facility is one of the system's log, or how that is chosen.
func facility(p *string) config.Value {
	words := slices.Concat([]string{"auto", "none"}, syslog.Facilities)
	return config.Of(p, "facility", func(s string) (string, error) {
		if word := strings.ToLower(s); slices.Contains(words, word) {
			return word, nil
		}
		return "", fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}, func(s string) string { return s })
}
