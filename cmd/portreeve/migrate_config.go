package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"portreeve/config"
	"portreeve/server"
)

// What Pure-FTPd's configuration says, and what becomes of it here.

// Where Pure-FTPd looks for its certificate if nothing names another.
const pureFTPdCert = "/etc/ssl/private/pure-ftpd.pem"

// translate makes our configuration of Pure-FTPd's. Faults are all told at once.
func (m *migration) translate(said []config.Statement) error {
	faults := m.authentication(said)
	for _, s := range effective(said) {
		if isAuthentication(s.Name) {
			continue
		}
		row, known := server.Directives.Lookup(s.Name)
		if why := withoutEffect(s.Name); why != "" {
			m.left("%s (%s): %s", s.Name, s.Origin, why)
			continue
		}
		if !known || !isPureFTPds(row) {
			faults = append(faults, fmt.Errorf("%s: %w", s.Origin, unknownDirective(s.Name)))
			continue
		}
		var alone server.Config
		if err := row.Bind(&alone).Set(s.Value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", s.Origin, row.Name, err))
			continue
		}
		m.keep(row.Name, s.Value, s.Origin)
	}
	if len(faults) > 0 {
		return withHint(usagef("%w", errors.Join(faults...)),
			"nothing is taken over, since the server might then allow what was forbidden; mend it, or migrate a copy without it")
	}
	m.addBeside()
	cfg, err := m.read()
	m.cfg = cfg
	return err
}

// isPureFTPds tells whether a directive is one of Pure-FTPd's: those have a letter,
// or are a way to log in.
func isPureFTPds(row config.Field[server.Config]) bool { return row.Short != "" || row.AliasOf != "" }

func unknownDirective(name string) error {
	var names []string
	for _, row := range server.Directives {
		if isPureFTPds(row) {
			names = append(names, row.Name)
		}
	}
	if near := config.Nearest(name, names); near != "" && !strings.EqualFold(near, name) {
		return fmt.Errorf("%q is no directive of Pure-FTPd's; did you mean %s?", name, near)
	}
	return fmt.Errorf("%q is no directive of Pure-FTPd's", name)
}

func (m *migration) keep(name, value, origin string) {
	m.kept = append(m.kept, config.Statement{Name: name, Value: value, Origin: origin})
}

// addBeside adds what Pure-FTPd reads or takes for granted beside its configuration.
func (m *migration) addBeside() {
	folder := m.from
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		folder = filepath.Dir(folder)
	}
	roots := filepath.Join(folder, "pure-ftpd")
	if info, err := os.Stat(roots); err == nil && info.IsDir() {
		m.keep("AnonymousRoots", roots, "folders that anonymous sees, by the server's address")
		m.did("anonymous roots", "by address, those of "+roots+", which stay there")
	}
	m.addAliases(filepath.Join(folder, "pureftpd-dir-aliases"))
	cfg, err := m.read()
	if err == nil && cfg.UsesTLS() && len(cfg.CertFile) == 0 && cfg.ExtCert == "" {
		m.keep("CertFile", pureFTPdCert, "where Pure-FTPd looks for it")
	}
}

// addAliases takes over other names for directories: a line with the name, a line
// with the directory.
func (m *migration) addAliases(path string) {
	text, err := readRegular(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.left("%s: %v; other names for directories are not taken over", path, err)
		}
		return
	}
	name := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if name == "" {
			name = line
			continue
		}
		alias := name + "=" + line
		var alone server.Config
		if err := server.Directives.Set(&alone, "DirAlias", alias); err != nil || strings.ContainsAny(alias, " \t") {
			m.left("%s: %q for %s cannot be taken over: neither may have blanks, and the directory begins with /", path, name, line)
		} else {
			m.keep("DirAlias", alias, path)
		}
		name = ""
	}
}

// read returns the configuration as it is so far.
func (m *migration) read() (server.Config, error) {
	cfg := server.DefaultConfig()
	cfg.UserDB, cfg.ControlSocket = m.db, m.env.defaultSocket()
	if _, err := server.Directives.Read(&cfg, strings.NewReader(m.statements()), configName); err != nil {
		return cfg, usagef("making the configuration: %w", err)
	}
	if err := cmp.Or(cfg.Validate(), checkPlaces(cfg)); err != nil {
		return cfg, usagef("making the configuration of %s: %w", m.from, err)
	}
	return cfg, nil
}

// complete makes the text.
func (m *migration) complete() (err error) {
	if m.cfg, err = m.read(); err != nil {
		return err
	}
	m.text = m.statements()
	for _, remark := range m.cfg.Remarks() {
		m.left("%s", remark)
	}
	m.Done = slices.Insert(m.Done, 0, migrationStep{"configuration", fmt.Sprintf("%s, in %s", counted(len(m.kept), "directive", "directives"), m.Config)})
	return nil
}

func (m *migration) statements() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Configuration of the Portreeve FTP server; see portreeve.conf(5).\n# It was made of that of Pure-FTPd in %s.\n", m.from)
	for _, s := range m.kept {
		fmt.Fprintf(&b, "\n# %s\n%s\n", s.Origin, config.Line(s.Name, s.Value))
	}
	return b.String()
}

// withoutEffect returns why a directive of Pure-FTPd's means nothing.
func withoutEffect(name string) string {
	switch strings.ToLower(name) {
	case "fscharset", "filesystemcharset", "clientcharset":
		return "it has had no effect in Pure-FTPd since 1.0.48; names are UTF-8 here unless FileSystemCharset says otherwise"
	}
	return ""
}

// effective returns the directives that count where one comes several times. No
// undoes no yes in Pure-FTPd.
func effective(said []config.Statement) []config.Statement {
	last := make(map[string]int) // of each name, where it is in kept
	var kept []config.Statement
	for _, s := range said {
		if saysNo(s) {
			continue
		}
		key := strings.ToLower(s.Name)
		if key == "certfileandkey" {
			key = "certfile"
		}
		i, again := last[key]
		if !again || isAuthentication(key) || key == "verboselog" {
			last[key] = len(kept)
			kept = append(kept, s)
			continue
		}
		switch key {
		case "forcepassiveip": // the first one counts
		case "bind": // the first address and the last port
			kept[i].Value = joinBind(kept[i].Value, s.Value)
		case "altlog": // the first path and the last format
			kept[i].Value = joinAltLog(kept[i].Value, s.Value)
		default:
			kept[i] = s
		}
	}
	return kept
}

func joinBind(first, last string) string {
	addr, port, both := strings.Cut(first, ",")
	if !both {
		addr, port = "", first
	}
	addr2, port2, both := strings.Cut(last, ",")
	if !both {
		addr2, port2 = "", last
	}
	return cmp.Or(addr, addr2) + "," + cmp.Or(port2, port)
}

func joinAltLog(first, last string) string {
	_, path, found := strings.Cut(first, ":")
	if !found {
		path = first
	}
	format, _, found := strings.Cut(last, ":")
	if !found {
		format = "clf"
	}
	return format + ":" + path
}

// saysNo tells whether a switch is off.
func saysNo(s config.Statement) bool {
	row, known := server.Directives.Lookup(s.Name)
	var cfg server.Config
	return known && strings.HasPrefix(row.Bind(&cfg).Type(), "yes|no") &&
		slices.Contains([]string{"no", "0", "off", "false"}, strings.ToLower(s.Value))
}

// authWord returns the word that Auth has for a directive that names a way to log
// in, "" if it does not.
func authWord(name string) string {
	return map[string]string{
		"puredb": "puredb", "extauth": "extauth", "unixauthentication": "unix", "pamauthentication": "pam",
		"ldapconfigfile": "ldap", "mysqlconfigfile": "mysql", "pgsqlconfigfile": "pgsql",
	}[strings.ToLower(name)]
}

func isAuthentication(name string) bool { return authWord(name) != "" }

// authentication takes over the ways to log in, in their order. The users of PureDB
// files are imported, so that our database stands where the first of them was.
//
// PAM refuses nobody whom others let in, and can be left out. A directory or a
// database may have refused whom those behind it let in: that is a fault.
func (m *migration) authentication(said []config.Statement) (faults []error) {
	m.keep("UserDB", m.db, "users")
	ways := slices.DeleteFunc(slices.Clone(said), func(s config.Statement) bool { return !isAuthentication(s.Name) || saysNo(s) })
	kept := 0
	for i, s := range ways {
		var alone server.Config
		if err := server.Directives.Set(&alone, s.Name, s.Value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.Origin, err))
			continue
		}
		switch kind := authWord(s.Name); kind {
		case "puredb":
			if path, err := usersOf(s.Value); err != nil {
				faults = append(faults, fmt.Errorf("%s: %s: %w", s.Origin, s.Name, err))
			} else if !slices.Contains(m.users, path) {
				m.users = append(m.users, path)
			}
			if len(m.users) == 1 {
				m.keep("Auth", "userdb", s.Origin)
			}
		case "pam":
			m.left("%s (%s): PAM is not built in. Whom it alone knows cannot log in: UnixAuthentication lets the users of passwd and shadow in, and ExtAuth a program that asks PAM", s.Name, s.Origin)
			continue
		case "ldap", "mysql", "pgsql":
			if i < len(ways)-1 {
				faults = append(faults, fmt.Errorf("%s: %s is not built in, and may have refused whom %s would let in", s.Origin, s.Name, ways[i+1].Name))
			}
			m.left("%s (%s): it is not built in, and whom it knows cannot log in. ExtAuth lets in whom a program knows; \"portreeve authd\" runs one", s.Name, s.Origin)
			continue
		default:
			m.keep(s.Name, s.Value, s.Origin)
		}
		kept++
	}
	if len(ways) == 0 {
		m.left("who may log in: nothing is said, and Pure-FTPd asks PAM then, or the users of the system. UnixAuthentication lets these in")
	}
	if len(m.users) == 0 {
		m.left("users: Pure-FTPd uses no PureDB file. \"portreeve pw import FILE\" imports one that it does not use")
	}
	if kept == 0 {
		m.keep("Auth", "userdb", "users")
	}
	return faults
}

// usersOf returns the file that has the users of a PureDB file: where pure-pw has
// not made it yet, the text beside it.
func usersOf(pdb string) (string, error) {
	err := checkFile(pdb)
	if errors.Is(err, fs.ErrNotExist) {
		text := strings.TrimSuffix(pdb, filepath.Ext(pdb)) + ".passwd"
		if checkFile(text) == nil {
			return text, nil
		}
	}
	return pdb, err
}
