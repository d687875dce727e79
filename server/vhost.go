package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"portreeve/config"
	"portreeve/server/auth"
)

// Virtual hosts by name (RFC 7151): a client says HOST before it logs in, or
// asks for a name as TLS begins, and meets the greeting, the users and the
// anonymous root of that host.

// A VirtualHost is what a line of that name says. What it leaves out is the
// server's own.
type VirtualHost struct {
	Name        string // in lower case
	Users       string // a database; "no" is none
	Certificate KeyPair
	Greeting    string // a file
	Anonymous   string // the folder that it sees; "no" is that it may not log in
}

// vhostKey is one of the words behind the name of a virtual host.
type vhostKey struct {
	name string
	may  bool // be "no"
	at   func(*VirtualHost) *string
}

var vhostKeys = []vhostKey{
	{"users", true, func(h *VirtualHost) *string { return &h.Users }},
	{"certificate", false, func(h *VirtualHost) *string { return &h.Certificate.Cert }},
	{"greeting", false, func(h *VirtualHost) *string { return &h.Greeting }},
	{"anonymous", true, func(h *VirtualHost) *string { return &h.Anonymous }},
}

// Without is in the place of a path that a virtual host has no users, or no
// anonymous.
const Without = "no"

func virtualHosts(p *[]VirtualHost) config.Value {
	return config.ListOf(p, "name [key=path ...]",
		parseVirtualHosts, showVirtualHosts)
}

// parseVirtualHosts reads hosts that semicolons part, as showVirtualHosts writes them.
func parseVirtualHosts(text string) ([]VirtualHost, error) {
	var hosts []VirtualHost
	fresh := true
	for word, rest, err := nextWord(text); ; word, rest, err = nextWord(rest) {
		switch {
		case err != nil:
			return nil, err
		case word == "" && rest == "":
			return hosts, nil
		case word == ";":
			fresh = true
		case fresh:
			name := strings.TrimSuffix(strings.ToLower(word), ".")
			if _, err := netip.ParseAddr(name); err == nil || !config.IsHostName(name) {
				return nil, fmt.Errorf("%q is not the name of a host", word)
			}
			hosts, fresh = append(hosts, VirtualHost{Name: name}), false
		default:
			if err := hosts[len(hosts)-1].set(word); err != nil {
				return nil, err
			}
		}
	}
}

// nextWord cuts a word or a semicolon off a line. Quotes in a word, as behind
// "=", hold its blanks together.
func nextWord(text string) (word, rest string, err error) {
	text = strings.TrimLeft(text, " \t")
	if strings.HasPrefix(text, ";") {
		return ";", text[1:], nil
	}
	var b strings.Builder
	quoted := false
	for i, r := range text {
		switch {
		case r < ' ' && r != '\t' || r == 0x7f:
			return "", "", errors.New("control characters are not allowed")
		case r == '"':
			quoted = !quoted
		case !quoted && (r == ' ' || r == '\t' || r == ';'):
			return b.String(), text[i:], nil
		default:
			b.WriteRune(r)
		}
	}
	if quoted {
		return "", "", errors.New("a quote is not closed")
	}
	return b.String(), "", nil
}

// set takes "key=path".
func (h *VirtualHost) set(word string) error {
	key, value, found := strings.Cut(word, "=")
	var names []string
	for _, k := range vhostKeys {
		names = append(names, k.name)
		if !strings.EqualFold(k.name, key) {
			continue
		}
		to := k.at(h)
		switch {
		case !found || value == "":
			return fmt.Errorf("%s needs a path: %[1]s=/path", k.name)
		case *to != "":
			return fmt.Errorf("%s is there twice", k.name)
		case k.may && strings.EqualFold(value, Without):
			*to = Without
			return nil
		}
		if to == &h.Certificate.Cert {
			cert, key, both := strings.Cut(value, ",")
			if both {
				if key == "" || strings.Contains(key, ",") {
					return fmt.Errorf("%q is not one or two paths", value)
				}
				h.Certificate.Key = absolute(key)
			}
			value = cert
		}
		*to = absolute(value)
		return nil
	}
	if near := config.Nearest(key, names); near != "" {
		return fmt.Errorf("a virtual host has no %q; did you mean %s?", key, near)
	}
	return fmt.Errorf("a virtual host has no %q; it has %s", key, strings.Join(names, ", "))
}

func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil { // there is no working directory
		return path
	}
	return abs
}

func showVirtualHosts(hosts []VirtualHost) string {
	var lines []string
	for _, h := range hosts {
		words := []string{h.Name}
		for _, k := range vhostKeys {
			value := *k.at(&h)
			if value == h.Certificate.Cert && h.Certificate.Key != "" && k.name == "certificate" {
				value += "," + h.Certificate.Key
			}
			switch {
			case value == "":
				continue
			case strings.ContainsAny(value, " \t;"):
				value = `"` + value + `"`
			}
			words = append(words, k.name+"="+value)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "; ")
}

// checkHosts reports a virtual host that is there twice.
func checkHosts(hosts []VirtualHost) error {
	seen := make(map[string]bool)
	for _, h := range hosts {
		if seen[h.Name] {
			return fmt.Errorf("VirtualHost: %s is there twice", h.Name)
		}
		seen[h.Name] = true
	}
	return nil
}

// host finds a virtual host by its name in any case, nil if there is none.
func (c *Config) host(name string) *VirtualHost {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for i := range c.VirtualHosts {
		if c.VirtualHosts[i].Name == name {
			return &c.VirtualHosts[i]
		}
	}
	return nil
}

// HostLogins, HostAnonymous and HostAddressRoots tell what holds at a virtual host;
// nil is the server itself.

// HostLogins returns the ways to log in, anonymously aside: to a host with users
// of its own they are the only one.
func (c *Config) HostLogins(h *VirtualHost) []AuthMethod {
	switch {
	case h == nil || h.Users == "":
		return c.Authentication()
	case h.Users == Without:
		return nil
	}
	return []AuthMethod{{"userdb", h.Users}}
}

// usersOf is the database that tells an account from another one of its name, ""
// for the server's own. Anonymous is one and the same everywhere.
func (s *session) usersOf(a *auth.Account) string {
	return s.cfg.usersFor(s.host, a.Anonymous)
}

// UsersAt is usersOf for a session of which the registry tells.
func (c *Config) UsersAt(host, user string) string {
	return c.usersFor(c.host(host), auth.IsAnonymous(user))
}

func (c *Config) usersFor(h *VirtualHost, anonymous bool) string {
	if h == nil || anonymous || h.Users == c.UserDB {
		return ""
	}
	return strings.TrimPrefix(h.Users, Without)
}

// HostAnonymous returns the root of anonymous, "" for that of the system user,
// and whether anonymous may log in.
func (c *Config) HostAnonymous(h *VirtualHost) (root string, ok bool) {
	switch {
	case h == nil || h.Anonymous == "":
		return c.AnonymousRoot, !c.NoAnonymous
	case h.Anonymous == Without:
		return "", false
	}
	return h.Anonymous, true
}

// HostAddressRoots returns the folder of roots by address, "" where anonymous has
// a root of the host's own.
func (c *Config) HostAddressRoots(h *VirtualHost) string {
	if h != nil && h.Anonymous != "" {
		return ""
	}
	return c.AnonymousRoots
}

// cmdHOST chooses a virtual host. The last one said before the login counts, and
// USER must follow (RFC 7151, section 3). A client that connected to an address
// may say that address, and meets the server itself.
func (s *session) cmdHOST(_ context.Context, arg string) (reply, error) {
	if s.account != nil {
		return say(503, "HOST comes before the login"), nil
	}
	name, addr, ok := parseHost(arg)
	if !ok {
		return say(501, "HOST takes the name of a host, without a port"), nil
	}
	// What the client asked for as TLS began, it has a certificate of.
	if sni := s.sni(); sni != "" && !strings.EqualFold(strings.TrimSuffix(sni, "."), name) {
		return say(504, "TLS was begun with another host"), nil
	}
	h := s.cfg.host(name)
	if addr.IsValid() && addr != s.local.Addr().Unmap().WithZone("") || !addr.IsValid() && h == nil {
		return say(504, "No such host here"), nil
	}
	s.name, s.from, s.mark = "", "", marker{}
	s.enterHost(h)
	r, err := s.greeting().reply()
	if err != nil {
		s.log.Warn("greeting", "err", err)
	}
	return r, nil
}

// parseHost reads what HOST may say: a name, an IPv4 address or an IPv6 address
// in brackets.
func parseHost(arg string) (name string, addr netip.Addr, ok bool) {
	name = strings.TrimSuffix(strings.ToLower(arg), ".")
	if inner, found := strings.CutPrefix(arg, "["); found {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return name, addr.Unmap(), closed && err == nil && addr.Zone() == "" && addr.Is6()
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return name, addr, addr.Is4()
	}
	return name, netip.Addr{}, config.IsHostName(name)
}

// enterHost makes h the host of the session; nil is the server itself.
func (s *session) enterHost(h *VirtualHost) {
	s.host = h
	s.entry.SetHost(s.hostName())
	if h != nil {
		s.log.Debug("virtual host", "host", h.Name)
	}
}

// hostName is the name of the virtual host, "" at the server itself.
func (s *session) hostName() string {
	if s.host == nil {
		return ""
	}
	return s.host.Name
}

// whom is a user for the log, with the virtual host where there may be another of
// that name.
func (s *session) whom(user string) []any {
	if s.host == nil {
		return []any{"user", user}
	}
	return []any{"user", user, "host", s.host.Name}
}

// sni is the name that the client asked for as TLS began; "" if it did not.
func (s *session) sni() string {
	if s.tls == nil {
		return ""
	}
	return s.tls.state.ServerName
}

// greetingFile is the one that clients are shown here.
func (s *session) greetingFile() string {
	if s.host != nil {
		return cmp.Or(s.host.Greeting, s.cfg.GreetingFile)
	}
	return s.cfg.GreetingFile
}
