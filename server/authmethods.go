package server

import (
	"fmt"
	"slices"
	"strings"

	"portreeve/config"
)

// authKinds are the ways to log in that Auth may name: Pure-FTPd's, and some more.
var authKinds = []authKind{
	{name: "userdb"}, {name: "puredb", needsArg: true}, {name: "extauth", needsArg: true}, {name: "unix"}, {name: "anonymous"},

	{name: "pam", directive: "PAMAuthentication", missing: "PAM", passedOver: true,
		instead: "UnixAuthentication for the users of passwd and shadow, or ExtAuth with a program that asks PAM"},
	{name: "ldap", needsArg: true, directive: "LDAPConfigFile", missing: "LDAP", instead: askByProgram},
	{name: "mysql", needsArg: true, directive: "MySQLConfigFile", missing: "MySQL", instead: askByProgram},
	{name: "pgsql", needsArg: true, directive: "PGSQLConfigFile", missing: "PostgreSQL", instead: askByProgram},
}

const askByProgram = `ExtAuth with a program that asks it ("portreeve authd" runs one)`

type authKind struct {
	name     string
	needsArg bool

	directive, missing string // what is not built in, and how it is asked for
	instead            string // what to use

	// passedOver is that others may stand beside it, and then serve alone. This
	// lets nobody in whom it would have kept out: PAM knows no refusal in
	// Pure-FTPd, where who fails there is asked for elsewhere. An LDAP directory
	// or a database does refuse, and would not be missed in silence.
	passedOver bool
}

func kindOf(m AuthMethod) authKind {
	i := slices.IndexFunc(authKinds, func(k authKind) bool { return k.name == m.Kind })
	return authKinds[i]
}

// Authentication returns the ways to log in, in the order in which they are asked.
// Where none is named it is our own database.
func (c *Config) Authentication() []AuthMethod {
	if len(c.Auth) == 0 {
		return []AuthMethod{{"userdb", c.UserDB}}
	}
	var chain []AuthMethod
	for _, m := range c.Auth {
		switch {
		case kindOf(m).missing != "":
			continue
		case m.Kind == "userdb" && m.Arg == "":
			m.Arg = c.UserDB
		}
		chain = append(chain, m)
	}
	return chain
}

// validateAuth refuses ways to log in that are not built in.
func (c *Config) validateAuth() error {
	alone := !slices.ContainsFunc(c.Authentication(), func(m AuthMethod) bool { return m.Kind != "anonymous" })
	for _, m := range c.Auth {
		if k := kindOf(m); k.missing != "" && (alone || !k.passedOver) {
			return fmt.Errorf("%s: %s is not built in; use %s", k.directive, k.missing, k.instead)
		}
	}
	return nil
}

// passedOver tells, in a sentence, of a way to log in that is configured and not
// asked; "" is that there is none.
func (c *Config) passedOver() string {
	for _, m := range c.Auth {
		if k := kindOf(m); k.missing != "" {
			return fmt.Sprintf("%s is passed over, since %s is not built in: logins are asked of %s", k.directive, k.missing, showMethods(c.Authentication()))
		}
	}
	return ""
}

func authMethods(p *[]AuthMethod) config.Value {
	return config.ListOf(p, "kind[:argument]", func(s string) ([]AuthMethod, error) {
		var list []AuthMethod
		for word := range strings.FieldsSeq(s) {
			kind, arg, _ := strings.Cut(word, ":")
			i := slices.IndexFunc(authKinds, func(k authKind) bool { return strings.EqualFold(k.name, kind) })
			switch {
			case i < 0:
				return nil, fmt.Errorf("%q is no authentication method", kind)
			case authKinds[i].needsArg && arg == "":
				return nil, fmt.Errorf("%s needs an argument: %[1]s:FILE", kind)
			}
			list = append(list, AuthMethod{authKinds[i].name, arg})
		}
		return list, nil
	}, showMethods)
}

func showMethods(list []AuthMethod) string {
	var words []string
	for _, m := range list {
		words = append(words, m.String())
	}
	return strings.Join(words, " ")
}

// String is the word that Auth has for it.
func (m AuthMethod) String() string {
	if m.Arg != "" {
		m.Kind += ":"
	}
	return m.Kind + m.Arg
}

// authFile is a directive whose value is the argument of one kind; authSwitch
// is one that turns a kind on.
func authFile(p *[]AuthMethod, kind string) config.Value {
	return config.ListOf(p, "path", func(s string) ([]AuthMethod, error) {
		if len(strings.Fields(s)) != 1 || strings.TrimSpace(s) != s {
			return nil, fmt.Errorf("%q is not one path", s)
		}
		return []AuthMethod{{kind, s}}, nil
	}, func([]AuthMethod) string { return "" })
}

func authSwitch(p *[]AuthMethod, kind string) config.Value {
	return config.ListOf(p, "yes|no", func(s string) ([]AuthMethod, error) {
		var on bool
		if err := config.YesNo(&on).Set(s); err != nil || !on {
			return nil, err
		}
		return []AuthMethod{{kind, ""}}, nil
	}, func([]AuthMethod) string { return "" })
}
