package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/config"
	"portreeve/logfile"
	"portreeve/logparse"
	"portreeve/server"
)

// The flags of commands that read logs: which files, and which of their entries.

// logSource says which logs are read, and how.
type logSource struct {
	env      *env
	config   configSource
	from     string
	zone     string
	rotated  bool
	rawNames bool
	waits    bool     // files that are not there are awaited
	named    []string // what is read, by arguments or by the configuration
}

func addLogSource(e *env, cmd *cobra.Command, s *logSource) {
	s.env, s.config.env = e, e
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&s.from, "from", "", "`format` of the files, if it cannot be told: "+strings.Join(logparse.Names(), ", "))
	fs.StringVar(&s.zone, "zone", "", "time `zone` of times without one, and of those shown: UTC, Europe/Paris (default that of this machine)")
	fs.BoolVar(&s.rotated, "rotated", false, "read with each FILE what it was before it was rotated: FILE.1, FILE.2.gz, FILE-20261101.zst")
	fs.BoolVar(&s.rawNames, "raw-names", false, "xferlog is by a server that leaves blanks in the names of files")
	addConfigFlag(cmd, &s.config)
	fs.Lookup("config").Usage = "without a FILE, read the logs that AltLog names in this configuration `file`, with the rotated ones"
}

// patterns are those of what is named that are.
func (s *logSource) patterns() []string {
	return slices.DeleteFunc(slices.Clone(s.named), func(path string) bool { return path == logfile.Stdin || !logfile.IsPattern(path) })
}

// location returns the time zone.
func (s *logSource) location() (*time.Location, error) { return zoneNamed("--zone", s.zone) }

func zoneNamed(flag, name string) (*time.Location, error) {
	switch {
	case name == "" || strings.EqualFold(name, "local"):
		return time.Local, nil
	case strings.EqualFold(name, "utc"):
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, withHint(usagef("%s: %q is no time zone of this machine", flag, name), "they have names such as Europe/Paris")
	}
	return zone, nil
}

// format returns the one that a flag names; none for "".
func formatNamed(flag, name string) (logparse.Format, error) {
	f, ok := logparse.Find(name)
	if ok || name == "" {
		return f, nil
	}
	err := usagef("%s: there is no log format %q", flag, name)
	if near := config.Nearest(name, logparse.Names()); near != "" {
		return f, withHint(err, "did you mean %s?", near)
	}
	return f, withHint(err, "they are %s", strings.Join(logparse.Names(), ", "))
}

// files returns the files that the arguments name, or else the configuration.
// What is wrong with some is told, and counted, if there are others.
func (s *logSource) files(args []string) (files []*logfile.File, faults int, err error) {
	o := logfile.Options{Rotated: s.rotated, RawNames: s.rawNames, Stdin: s.env.in}
	if o.Zone, err = s.location(); err != nil {
		return nil, 0, err
	}
	if o.Format, err = formatNamed("--from", s.from); err != nil {
		return nil, 0, err
	}
	if len(args) == 0 {
		o.Rotated = true
		if args, err = s.altLogs(); err != nil {
			return nil, 0, err
		}
	}
	s.named = args
	files, err = logfile.Find(args, o)
	var waited bool
	if s.waits {
		waited, err = absent(err)
	}
	if err == nil || len(files) == 0 && !waited {
		return files, 0, err
	}
	complain(s.env, err.Error())
	return files, len(joined(err)), nil
}

// altLogs returns the logs of the configuration.
func (s *logSource) altLogs() ([]string, error) {
	path := s.config.path()
	if path == "" {
		return nil, withHint(usagef("no FILE is named, and there is no configuration that names a log"), "- is standard input")
	}
	cfg := server.DefaultConfig()
	if _, err := server.Directives.ReadFile(&cfg, path); err != nil {
		return nil, usagef("%w", err)
	}
	var paths []string
	for _, spec := range cfg.AltLog {
		if _, path, _ := strings.Cut(spec, ":"); filepath.IsAbs(path) { // others are not kept in files
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, withHint(usagef("no FILE is named, and %s has no AltLog", path), "AltLog = json:/var/log/ftp.json, for example, has transfers logged")
	}
	return paths, nil
}

// logFilter is a logfile.Filter as flags spell it.
type logFilter struct {
	users, addrs, paths          []string
	directions, outcomes, events []string
	minSize, maxSize             string
	since, until                 string
}

func (f *logFilter) addFlags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.users, "user", nil, "only of this `account`; this and the next may be repeated")
	fs.StringArrayVar(&f.addrs, "addr", nil, "only of this `client`: an address, a network (192.0.2.0/24), a host or a domain (.example.com)")
	fs.StringArrayVar(&f.paths, "path", nil, "only paths like this `pattern`: *.pdf is any file's last name, /srv/*/in, /srv/** with all below")
	fs.StringSliceVar(&f.directions, "direction", nil, "only this `way`: up, down, delete")
	fs.StringSliceVar(&f.outcomes, "outcome", nil, "only what ended `so`: "+strings.Join(logparse.StatusNames(), ", "))
	fs.StringSliceVar(&f.events, "event", nil, "only this `kind`: "+strings.Join(logparse.EventNames(), ", "))
	fs.StringVar(&f.minSize, "min-size", "", "only what moved at least so many `bytes`: 10M, 1G")
	fs.StringVar(&f.maxSize, "max-size", "", "only what moved at most so many `bytes`")
	fs.StringVar(&f.since, "since", "", "only from this `time` on: 2026-11-01, yesterday, 7d, monday")
	fs.StringVar(&f.until, "until", "", "only before the end of this `time`: 2026-11-01 is that day, too")
}

// periodHelp says what --since and --until take.
func periodHelp() string {
	var b strings.Builder
	b.WriteString("--since and --until take:\n")
	for _, f := range logfile.Forms {
		describe(&b, "  "+f.Example, f.Help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// parse reads the flags; now is in the zone of the logs.
func (f *logFilter) parse(now time.Time) (parsed logfile.Filter, err error) {
	parsed.Users = f.users
	for _, text := range f.addrs {
		c, err := logfile.ParseClient(text)
		if err != nil {
			return parsed, usagef("--addr: %w", err)
		}
		parsed.Clients = append(parsed.Clients, c)
	}
	for _, text := range f.paths {
		g, err := logfile.ParseGlob(text)
		if err != nil {
			return parsed, usagef("--path: %w", err)
		}
		parsed.Paths = append(parsed.Paths, g)
	}
	if err := f.words(&parsed); err != nil {
		return parsed, err
	}
	if parsed.Least, err = sizeFlag("--min-size", f.minSize); err != nil {
		return parsed, err
	}
	if parsed.Below, err = sizeFlag("--max-size", f.maxSize); err != nil {
		return parsed, err
	}
	if f.maxSize != "" {
		parsed.Below++
	}
	parsed.Window, err = f.window(now)
	return parsed, err
}

// words reads the flags that take one of a few.
func (f *logFilter) words(parsed *logfile.Filter) error {
	for _, name := range f.directions {
		d := logfile.Direction(name)
		if !slices.Contains(logfile.Directions, d) {
			return usagef("--direction: %q is none of up, down, delete", name)
		}
		parsed.Directions = append(parsed.Directions, d)
	}
	for _, name := range f.outcomes {
		s, ok := logparse.FindStatus(name)
		if !ok {
			return usagef("--outcome: %q is none of %s", name, strings.Join(logparse.StatusNames(), ", "))
		}
		parsed.Outcomes = append(parsed.Outcomes, s)
	}
	for _, name := range f.events {
		e, ok := logparse.FindEvent(name)
		if !ok {
			return usagef("--event: %q is none of %s", name, strings.Join(logparse.EventNames(), ", "))
		}
		parsed.Events = append(parsed.Events, e)
	}
	return nil
}

func (f *logFilter) window(now time.Time) (w logfile.Window, err error) {
	const hint = "2026-11-01, yesterday, 7d or 'last month' are understood; --help lists all"
	if f.since != "" {
		if w.Since, err = logfile.ParseSince(f.since, now); err != nil {
			return w, withHint(usagef("--since: %w", err), hint)
		}
	}
	if f.until != "" {
		if w.Until, err = logfile.ParseUntil(f.until, now); err != nil {
			return w, withHint(usagef("--until: %w", err), hint)
		}
	}
	if f.since != "" && f.until != "" && !w.Since.Before(w.Until) {
		return w, usagef("--since %s is not before --until %s", f.since, f.until)
	}
	return w, nil
}

func sizeFlag(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := config.ParseSize(text, 1)
	if err != nil {
		return 0, usagef("%s: %w", flag, err)
	}
	return n, nil
}

// String says what the filter chooses, for reports: the flags as they were given.
func (f *logFilter) String() string {
	var parts []string
	for _, flag := range []struct {
		name   string
		values []string
	}{
		{"user", f.users}, {"addr", f.addrs}, {"path", f.paths}, {"direction", f.directions}, {"outcome", f.outcomes}, {"event", f.events},
		{"min-size", []string{f.minSize}}, {"max-size", []string{f.maxSize}}, {"since", []string{f.since}}, {"until", []string{f.until}},
	} {
		for _, v := range flag.values {
			if v != "" {
				parts = append(parts, fmt.Sprintf("%s %s", flag.name, v))
			}
		}
	}
	return strings.Join(parts, ", ")
}
