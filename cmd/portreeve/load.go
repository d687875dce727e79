package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/auth"
)

// A configSource is where a configuration comes from: the file that --config
// names and the directives that were given as flags. It can be read again.
type configSource struct {
	env   *env
	file  string
	given *config.Given[server.Config]
}

// addConfigFlags gives cmd --config and a flag for each directive.
func addConfigFlags(e *env, cmd *cobra.Command) *configSource {
	s := &configSource{env: e}
	addConfigFlag(cmd, s)
	s.given = server.Directives.Flags(cmd.Flags(), server.DefaultConfig())
	cmd.Flags().SortFlags = false
	// The other commands call these two files --db and --socket.
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "db":
			name = "userdb"
		case "socket":
			name = "controlsocket"
		}
		return pflag.NormalizedName(name)
	})
	return s
}

// addConfigFlag gives cmd --config.
func addConfigFlag(cmd *cobra.Command, s *configSource) {
	cmd.Flags().StringVar(&s.file, "config", "", "configuration `file`")
}

// path returns the file that is read, "" if none is.
func (s *configSource) path() string {
	if s.file != "" {
		return s.file
	}
	if _, err := os.Stat(systemConfig); isRoot() && !errors.Is(err, fs.ErrNotExist) {
		return systemConfig
	}
	return ""
}

// systemDefaults returns the configuration of an empty file for this user.
func (s *configSource) systemDefaults() server.Config {
	bare := *s.env
	bare.getenv = func(name string) string {
		if strings.HasPrefix(name, "PORTREEVE_") {
			return ""
		}
		return s.env.getenv(name)
	}
	cfg := server.DefaultConfig()
	cfg.UserDB, cfg.ControlSocket = bare.defaultDB(), bare.defaultSocket()
	return cfg
}

// defaults returns the configuration of an empty file for this user and
// environment, and which of it the environment says.
func (s *configSource) defaults() (server.Config, config.Origins) {
	cfg := server.DefaultConfig()
	origins := make(config.Origins)
	cfg.UserDB, cfg.ControlSocket = s.env.defaultDB(), s.env.defaultSocket()
	for directive, name := range map[string]string{"UserDB": "PORTREEVE_DB", "ControlSocket": "PORTREEVE_SOCKET"} {
		if s.env.getenv(name) != "" {
			origins[directive] = "$" + name
		}
	}
	return cfg, origins
}

// load reads the configuration: defaults, then the file, then flags. Every
// fault is told at once, and all are the user's.
func (s *configSource) load() (server.Config, config.Origins, error) {
	cfg, origins := s.defaults()
	if path := s.path(); path != "" {
		said, err := server.Directives.ReadFile(&cfg, path)
		if err != nil {
			return cfg, nil, usagef("%w", err)
		}
		for name, origin := range said {
			origins[name] = origin
		}
	}
	if err := s.given.Apply(&cfg, origins); err != nil {
		return cfg, nil, usagef("%w", err)
	}
	if err := cfg.Validate(); err != nil {
		return cfg, nil, usagef("%w", err)
	}
	for directive, group := range map[string]string{"ControlSocketGroup": cfg.ControlSocketGroup, "ControlGroup": cfg.ControlGroup} {
		if _, err := groupID(group); err != nil {
			return cfg, nil, usagef("%s: %w", directive, err)
		}
	}
	if err := checkPlaces(cfg); err != nil {
		return cfg, nil, usagef("%w", err)
	}
	return cfg, origins, nil
}

// checkPlaces finds out whether the files that the daemon makes at its start can
// be there at all.
func checkPlaces(cfg server.Config) error {
	var faults []error
	for _, f := range []struct{ directive, path string }{{"LogFile", cfg.LogFile}, {"PIDFile", cfg.PIDFile}} {
		if f.path == "" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(f.path)); err != nil || !info.IsDir() {
			faults = append(faults, fmt.Errorf("%s: there is no folder %s", f.directive, filepath.Dir(f.path)))
		}
	}
	if cfg.AnonymousRoot != "" && !cfg.NoAnonymous {
		if err := checkAnonymous(cfg.AnonymousRoot); err != nil {
			faults = append(faults, fmt.Errorf("AnonymousRoot: %w", err))
		}
	}
	for _, h := range cfg.VirtualHosts {
		faults = append(faults, checkHost(h)...)
	}
	if most := len(unix.RawSockaddrUnix{}.Path) - 1; len(cfg.ControlSocket) > most {
		faults = append(faults, fmt.Errorf("ControlSocket: the path of a socket has at most %d bytes", most))
	}
	return errors.Join(faults...)
}

func checkAnonymous(root string) error {
	b := auth.Anonymous{Root: root, Lookup: user.Lookup}
	return b.Check()
}

// checkHost finds what a virtual host names and what is not there. Nobody would
// notice before a client meets it.
func checkHost(h server.VirtualHost) (faults []error) {
	fault := func(what string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("VirtualHost %s: %s: %w", h.Name, what, err))
		}
	}
	if h.Users != "" && h.Users != server.Without {
		err := checkFile(h.Users)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no %s; \"portreeve pw useradd NAME --db %[1]s\" makes it", h.Users)
		}
		fault("users", err)
	}
	for _, f := range []struct{ what, path string }{
		{"certificate", h.Certificate.Cert}, {"key", h.Certificate.Key}, {"greeting", h.Greeting},
	} {
		if f.path != "" {
			fault(f.what, checkFile(f.path))
		}
	}
	if h.Anonymous != "" && h.Anonymous != server.Without {
		fault("anonymous", checkAnonymous(h.Anonymous))
	}
	return faults
}

func checkFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	return err
}
