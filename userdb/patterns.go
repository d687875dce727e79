package userdb

import (
	"net/netip"
	"strings"
)

// A Pattern stands for hosts: those of a CIDR prefix, or those that a name
// resolves to. One of the two fields is set.
type Pattern struct {
	Prefix netip.Prefix // a single address is a prefix of all its bits
	Host   string       // in lower case, without a final dot
}

// Patterns is a list of which any may match.
type Patterns []Pattern

// ParsePattern reads an IPv4 or IPv6 address, a CIDR prefix or a host name. An
// IPv6 address may stand in brackets, and one that maps an IPv4 address is
// taken as that, as the daemon does with the address of a client.
func ParsePattern(text string) (Pattern, error) {
	bare := text
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && text[0] == '[' && (rest == "" || rest[0] == '/') {
		bare = inner + rest
	}
	if a, err := netip.ParseAddr(bare); err == nil {
		if a.Zone() != "" {
			return Pattern{}, invalid("address %q has a zone, which no client's has here", text)
		}
		a = a.Unmap()
		return Pattern{Prefix: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if strings.Contains(bare, "/") {
		p, err := netip.ParsePrefix(bare)
		if err == nil && p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if err != nil || p.Addr().Is4In6() {
			return Pattern{}, invalid("%q is not an address and a number of bits, such as 10.0.0.0/8", text)
		}
		return Pattern{Prefix: p.Masked()}, nil
	}
	host := strings.ToLower(strings.TrimSuffix(text, "."))
	if !isHostName(host) {
		return Pattern{}, invalid("%q is neither an IP address, nor a prefix such as 10.0.0.0/8, nor a host name", text)
	}
	return Pattern{Host: host}, nil
}

// isHostName follows RFC 1123, section 2.1, but lets underscores pass, which
// names in use have. A last label of digits only is a mistyped address.
func isHostName(host string) bool {
	if len(host) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
		last = label
	}
	return strings.Trim(last, "0123456789") != ""
}

// String returns the address, prefix or name.
func (p Pattern) String() string {
	switch {
	case p.Host != "":
		return p.Host
	case p.Prefix.IsSingleIP():
		return p.Prefix.Addr().String()
	}
	return p.Prefix.String()
}

// MarshalText is String.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePattern.
func (p *Pattern) UnmarshalText(b []byte) error {
	parsed, err := ParsePattern(string(b))
	if err == nil {
		*p = parsed
	}
	return err
}

// ParsePatterns reads a list parted by commas or blanks. Only the empty text is
// the empty list.
func ParsePatterns(text string) (Patterns, error) {
	var list Patterns
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		p, err := ParsePattern(word)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) == 0 && text != "" { // a list of nothing opens what a slip was to close
		return nil, invalid("%q names no address", text)
	}
	return list, list.validate()
}

// String returns the patterns parted by commas.
func (l Patterns) String() string { return string(l.append(nil)) }

func (l Patterns) append(b []byte) []byte {
	for i, p := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.String()...)
	}
	return b
}

// Contains reports whether one of the prefixes has the address. It does not
// look at host names; Hosts returns those.
func (l Patterns) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range l {
		if p.Host == "" && p.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Hosts returns the host names of the list.
func (l Patterns) Hosts() []string {
	var hosts []string
	for _, p := range l {
		if p.Host != "" {
			hosts = append(hosts, p.Host)
		}
	}
	return hosts
}

func (l Patterns) validate() error {
	if len(l) > maxPatterns {
		return invalid("a list of %d addresses is longer than %d", len(l), maxPatterns)
	}
	for _, p := range l {
		if again, err := ParsePattern(p.String()); err != nil || again != p {
			return invalid("%q is not an address, prefix or host name", p.String())
		}
	}
	return nil
}
