package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/server"
	"portreeve/server/cert"
	"portreeve/userdb"
	"portreeve/userfile"
)

type migrateOptions struct {
	from, to, db       string
	dryRun, json       bool
	force, skipRefused bool
}

const configName = "portreeve.conf"

func newMigrate(e *env) *cobra.Command {
	opts := migrateOptions{}
	cmd := &cobra.Command{
		Use:   "migrate [--from PATH] [--to FOLDER] [--dry-run]",
		Short: "Take over a Pure-FTPd server: configuration, users, quotas, certificate",
		Long: `Migrate reads the configuration of Pure-FTPd, a file or a folder with a file for
each directive as Debian has it, and writes portreeve.conf; it imports the users
of the PureDB files that this names, and what .ftpquota says they have stored. A
certificate stays where it is and is used from there. It prints what it did,
what it could not do and why, and how to go back.

Pure-FTPd's files are read and never written. A configuration with which it
would not start is refused, and so is one of which a restriction has no
counterpart here: nobody may do more than before. One user who is refused keeps
all from being taken over, unless --skip-refused says to go on without. Either
all is written or nothing. With --dry-run nothing is.

A portreeve.conf that says something else, and a database in which something
would change, are left alone unless --force is given. Then the old file is kept
as portreeve.conf.old, and users who are there get what Pure-FTPd says of them,
which "portreeve pw undo" takes back.

The database is the one of --db; without it, it is beside portreeve.conf if --to
is given, else that of the other commands.

` + exitStatusHelp,
		Example: `  portreeve migrate --dry-run
  portreeve migrate
  portreeve migrate --from /usr/local/etc/pure-ftpd.conf --to /etc/portreeve`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&opts.from, "from", "/etc/pure-ftpd", "`path` of Pure-FTPd's configuration file or folder")
	f.StringVar(&opts.to, "to", filepath.Dir(systemConfig), "`folder` for "+configName)
	f.StringVarP(&opts.db, "db", "F", "", "user `database`")
	f.BoolVar(&opts.dryRun, "dry-run", false, "show what would be done, and write nothing")
	f.BoolVar(&opts.skipRefused, "skip-refused", false, "go on without the users who are refused")
	f.BoolVar(&opts.force, "force", false, "replace a configuration and change users that are there")
	f.BoolVar(&opts.json, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case opts.db != "":
		case cmd.Flags().Changed("to"):
			opts.db = filepath.Join(opts.to, "users.db")
		default:
			opts.db = e.defaultDB()
		}
		return runMigrate(cmd.Context(), e, opts)
	}
	return cmd
}

// A migration is what is known of a server that is taken over.
type migration struct {
	migrateOptions
	migrationReport
	env    *env
	kept   []config.Statement // our configuration
	text   string
	cfg    server.Config
	users  []string      // files of users, in the order in which they are asked
	debian bool          // it is a folder as Debian has it
	odd    []string      // what is to be said of users
	quotas []userdb.User // who is counted
	edits  *userdb.Edits // of the database
	staged string        // where a new database is made; "" where there is one
	counts [statuses]int // of users
	held   map[string]userdb.Usage
}

func runMigrate(ctx context.Context, e *env, opts migrateOptions) error {
	for _, path := range []*string{&opts.from, &opts.to, &opts.db} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
		*path = abs
	}
	m := &migration{migrateOptions: opts, env: e}
	m.From, m.Config, m.Database, m.DryRun = opts.from, filepath.Join(opts.to, configName), opts.db, opts.dryRun
	said, err := m.readPureFTPd(opts.from)
	if err != nil {
		return withHint(usagef("reading Pure-FTPd's configuration: %w", err), "--from names its file or folder")
	}
	if err := m.translate(said); err != nil {
		return err
	}
	if err := m.importUsers(ctx); err != nil {
		return err
	}
	m.takeQuotas()
	if err := m.settle(); err != nil {
		return err
	}
	if !opts.dryRun {
		if err := m.write(); err != nil {
			return withHint(fmt.Errorf("taking over: %w", err), "what was written is taken back; Pure-FTPd's files are as they were")
		}
	}
	return m.tell()
}

// importUsers reads the users of all files, and refuses all if it refuses one.
func (m *migration) importUsers(ctx context.Context) error {
	path := m.db
	if _, err := os.Lstat(m.db); errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(filepath.Dir(m.db), stagedDB+rand.Text()+".db")
		m.staged = path
	}
	m.edits = userdb.At(path).By(m.env.author()).Edits()
	im := importer{
		edits: m.edits, base: userdb.New(""), dryRun: m.dryRun, update: m.force, progress: newProgress(m.env, false),
		report: newImportReport(m.env, false, false),
		took:   m.took,
	}
	err := im.read(ctx, m.entries())
	im.progress.end()
	if err != nil {
		return pwError(fmt.Errorf("importing the users: %w", err))
	}
	m.counts = im.report.counts
	if n := m.counts[refused]; n > 0 && !m.skipRefused {
		for _, l := range m.odd[:min(len(m.odd), maxLeft)] {
			complain(m.env, l)
		}
		err := fmt.Errorf("%s refused; nothing is taken over", counted(n, "user is", "users are"))
		if im.report.taken {
			return withHint(err, "--force gives users who are there already what Pure-FTPd says of them")
		}
		return withHint(err, "--skip-refused goes on without; they cannot log in then")
	}
	if len(m.users) > 0 {
		n := m.counts[added] + m.counts[changed] + m.counts[unchanged]
		m.did("users", fmt.Sprintf("%s of %s, in %s", counted(n, "user", "users"), strings.Join(m.users, ", "), m.db))
	}
	return nil
}

// entries yields the users of all files. A name that comes again is the first one's
// for Pure-FTPd too.
func (m *migration) entries() iter.Seq2[userfile.Entry, error] {
	return func(yield func(userfile.Entry, error) bool) {
		seen := make(map[string]bool)
		for _, name := range m.users {
			from, err := openUsers(m.env, name, "")
			if err != nil {
				yield(userfile.Entry{}, err)
				return
			}
			if from.format != userfile.PureDB && from.format != userfile.PureText {
				from.close()
				yield(userfile.Entry{}, usagef("%s is no PureDB file", name))
				return
			}
			for e, err := range userfile.Read(from, from.size, from.format, userfile.Options{}) {
				if err != nil {
					err = fmt.Errorf("%s: %w", name, err)
				}
				if seen[e.Name] {
					e.LeftOut = "comes again, and Pure-FTPd knows the first one only"
				}
				seen[e.Name] = true
				if !yield(e, err) {
					from.close()
					return
				}
			}
			from.close()
			m.noteText(name)
		}
	}
}

// took hears what becomes of each user.
func (m *migration) took(u userdb.User, row importRow) {
	if row.Status == refused || row.Status == leftOut || len(row.Notes) > 0 {
		m.odd = append(m.odd, fmt.Sprintf("user %s: %s: %s", row.Name, row.Status, row.what()))
	}
	if row.Status != refused && row.Status != leftOut && (u.HasQuota() || m.cfg.Quota.Files+m.cfg.Quota.MiB > 0) {
		m.quotas = append(m.quotas, u)
	}
}

// noteText tells of changes that pure-pw has not committed.
func (m *migration) noteText(pdb string) {
	text := strings.TrimSuffix(pdb, filepath.Ext(pdb)) + ".passwd"
	a, err1 := os.Stat(text)
	b, err2 := os.Stat(pdb)
	if text != pdb && err1 == nil && err2 == nil && a.ModTime().After(b.ModTime()) {
		m.left(`%s has changed since %s was made of it: Pure-FTPd does not know these changes either, and "pure-pw mkdb" commits them`, text, pdb)
	}
}

// takeQuotas reads what .ftpquota says that users have stored. Where there is none,
// or it cannot be read, the files are counted when the user first logs in.
func (m *migration) takeQuotas() {
	if len(m.quotas) == 0 {
		return
	}
	m.held = make(map[string]userdb.Usage)
	for _, u := range m.quotas {
		home, err := openHome(m.cfg, u)
		if err != nil {
			continue
		}
		if usage, err := home.ReadUsage(); err == nil {
			m.held[u.Name] = usage
		}
		home.Close()
	}
	said := fmt.Sprintf("what %s stored, by .ftpquota, which is kept up to date (QuotaFile)", counted(len(m.held), "user has", "users have"))
	if n := len(m.quotas) - len(m.held); n > 0 {
		said += fmt.Sprintf("; that of %d is counted when they log in", n)
	}
	m.did("quotas", said)
	m.keep("QuotaFile", "yes", "there are quotas")
}

// settle makes the text of the configuration, sees that serve would start with it,
// and that nothing of somebody else's is replaced.
func (m *migration) settle() error {
	if err := m.complete(); err != nil {
		return err
	}
	if m.cfg.UsesTLS() {
		if _, err := prepareCertificates(cert.New(nil), m.cfg); err != nil {
			return err
		}
		for _, pair := range m.cfg.CertFile {
			m.did("certificate", pair.Cert+", which stays there")
		}
	}
	if m.force {
		return nil
	}
	if m.staged == "" && m.edits.Len() > 0 {
		return withHint(fmt.Errorf("there is a database already, %s, in which %s would change", m.db, counted(m.edits.Len(), "user", "users")),
			"--force changes them there, --db names another database")
	}
	old, err := os.ReadFile(m.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("looking at what is there: %w", err)
	case string(old) != m.text:
		return withHint(fmt.Errorf("%s is there already and says something else", m.Config),
			"--force replaces it and keeps it as %s.old, --to names another folder", configName)
	}
	return nil
}
