package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/server"
	"portreeve/userdb"
	"portreeve/userfile"
)

type importOptions struct {
	*pwOptions
	format, shadow            string
	update, skip, skipRefused bool
	dryRun, json              bool
	given                     *config.Given[userdb.User]
	cost                      server.Config // only its PasswordCost
}

func newPwImport(e *env, shared *pwOptions) *cobra.Command {
	opts := importOptions{pwOptions: shared}
	cmd := &cobra.Command{
		Use:   "import FILE [flags]",
		Short: "Take over users from a file of another program",
		Long: `Import takes over the users of a file, all of them or, if one is refused, none.
It reads pureftpd.passwd and the PureDB file made of it, ProFTPD's AuthUserFile,
/etc/passwd with /etc/shadow, vsftpd's list of names and passwords, tables (CSV)
with a header of the names that "pw show" has, and JSON. It tells them apart by
what they begin with, all but vsftpd's, which --format must name: a list of
names alone looks the same, such as that of who may not log in. - is standard
input.

A line with a field that is not understood is refused. A user who is there
already is refused too if the file says something else of it: --update gives it
what the file says and leaves what the file cannot hold, --skip-existing leaves
it alone. --dry-run shows what would become of each user, and changes nothing.

What a file does not say of a new user comes from the flags that useradd has,
such as -u and -d; $USER in a home is the user's name. Passwords in clear, of
vsftpd and of the column plain_password, are hashed, which takes a while each.

` + exitStatusHelp,
		Example: `  portreeve pw import /etc/pure-ftpd/pureftpd.passwd --dry-run
  portreeve pw import users.csv --update
  portreeve pw import /etc/vsftpd/users.txt --format vsftpd -u ftp \
    --home '/srv/ftp/$USER'
  ssh old portreeve pw export --format json | portreeve pw import -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withHint(fmt.Errorf("%s takes one file", cmd.CommandPath()), "%s", useLine(cmd))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&opts.format, "format", "", "`format` of the file: "+formatNames(userfile.Formats()))
	f.BoolVar(&opts.dryRun, "dry-run", false, "show what would change, and change nothing")
	f.BoolVar(&opts.update, "update", false, "give users who are there what the file says")
	f.BoolVar(&opts.skip, "skip-existing", false, "leave users who are there alone")
	f.BoolVar(&opts.skipRefused, "skip-refused", false, "import the others when some are refused")
	f.StringVar(&opts.shadow, "shadow", "", "`file` with the hashes of passwd(5); that of /etc/passwd is /etc/shadow")
	f.BoolVar(&opts.json, "json", false, "print JSON, an object for each user")
	opts.cost = server.DefaultConfig()
	f.Var(costValue(&opts.cost), "cost", "what hashing a password in clear costs: log2 of N, r and p of scrypt")
	opts.given = addUserFlags(cmd, userdb.New(""))
	cmd.MarkFlagsMutuallyExclusive("update", "skip-existing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runPwImport(cmd.Context(), e, args[0], opts) }
	return cmd
}

func formatNames(formats []userfile.Format) string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

func runPwImport(ctx context.Context, e *env, name string, opts importOptions) error {
	db, err := opts.open(e)
	if err != nil {
		return err
	}
	base := userdb.New("")
	if err := opts.given.Apply(&base, nil); err != nil {
		return usagef("%w", err)
	}
	from, err := openUsers(e, name, userfile.Format(opts.format))
	if err != nil {
		return err
	}
	defer from.close()
	o, closeShadow, err := systemOptions(name, from.format, opts.shadow)
	if err != nil {
		return err
	}
	defer closeShadow()
	report := newImportReport(e, opts.json, opts.dryRun)
	im := importer{
		edits: db.Edits(), base: base, cost: userdb.Cost(opts.cost.PasswordCost), dryRun: opts.dryRun,
		update: opts.update, skip: opts.skip, report: report, progress: newProgress(e, opts.dryRun && terminalWidth(e.out) > 0),
	}
	err = im.read(ctx, userfile.Read(from, from.size, from.format, o))
	im.progress.end()
	if err = cmp.Or(err, report.flush()); err != nil {
		return pwError(fmt.Errorf("importing %s: %w", name, err))
	}
	err = opts.commit(&im)
	if opts.json || err != nil && !opts.dryRun {
		return err
	}
	return cmp.Or(e.say(report.summary(name, from.format, opts.dryRun)), err)
}

// commit writes what was read, unless something was refused or nothing is to be
// written.
func (o *importOptions) commit(im *importer) error {
	if n := im.report.counts[refused]; n > 0 && !o.skipRefused {
		err := fmt.Errorf("%s refused; nothing is changed", counted(n, "user is", "users are"))
		if im.report.taken {
			return withHint(err, "--update changes users who are there already, --skip-existing leaves them as they are")
		}
		return withHint(err, "--skip-refused imports the others")
	}
	if o.dryRun {
		return nil
	}
	err := im.edits.Commit(func(n int) { im.progress.step("writing", n) })
	im.progress.end()
	if errors.Is(err, userdb.ErrConflict) {
		return withHint(fmt.Errorf("%w; nothing is changed", err), "run the import again")
	}
	return pwError(err)
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// A usersFile is a file that is being imported.
type usersFile struct {
	userfile.Source
	size   int64
	format userfile.Format
	close  func()
}

// maxPiped is the most of a PureDB file that is read from a pipe: it is in memory.
const maxPiped = 1 << 30

// openUsers opens a file and tells its format, if none is said.
func openUsers(e *env, name string, format userfile.Format) (*usersFile, error) {
	if err := knownFormat(format, userfile.Formats()); format != "" && err != nil {
		return nil, err
	}
	if name == "-" {
		return pipedUsers(e.in, format)
	}
	info, err := os.Stat(name) // before it is opened: a pipe would wait for somebody who writes
	if err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return nil, usagef("%s is a folder", name)
		}
		return nil, withHint(usagef("%s is no regular file", name), "- reads from standard input")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the users: %w", err)
	}
	info, err = f.Stat()
	u := &usersFile{Source: f, format: format, close: func() { f.Close() }}
	if err == nil {
		u.size = info.Size()
		if format == "" {
			u.format, err = detect(f)
		}
	}
	if err != nil {
		f.Close()
		return nil, formatError(name, err)
	}
	return u, nil
}

// pipedUsers reads users from a pipe, whose beginning cannot be read again.
func pipedUsers(in io.Reader, format userfile.Format) (*usersFile, error) {
	all, err := io.ReadAll(io.LimitReader(in, maxPiped+1))
	if err == nil && len(all) > maxPiped {
		err = fmt.Errorf("more than %s are not read from a pipe", config.ShowSize(maxPiped, 1))
	}
	if err == nil && format == "" {
		format, err = userfile.Detect(all)
	}
	if err != nil {
		return nil, formatError("standard input", err)
	}
	return &usersFile{Source: strings.NewReader(string(all)), size: int64(len(all)), format: format, close: func() {}}, nil
}

func detect(f io.ReaderAt) (userfile.Format, error) {
	head := make([]byte, 64<<10)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return userfile.Detect(head[:n])
}

func formatError(name string, err error) error {
	err = fmt.Errorf("reading the users of %s: %w", name, err)
	if !errors.Is(err, userfile.ErrFormat) {
		return err
	}
	if _, no := userdb.At(name).Revision(); no == nil { // as pure-pw mkdb makes it
		return withHint(err, "it is a database of ours: portreeve pw export --db %s writes what can be imported", name)
	}
	return withHint(err, "--format says what it is: %s", formatNames(userfile.Formats()))
}

func knownFormat(format userfile.Format, known []userfile.Format) error {
	var names []string
	for _, f := range known {
		if f == format {
			return nil
		}
		names = append(names, string(f))
	}
	err := usagef("--format: %q is none of %s", format, strings.Join(names, ", "))
	if near := config.Nearest(string(format), names); near != "" {
		return withHint(err, "did you mean %s?", near)
	}
	return err
}

// systemOptions finds what belongs to a file of the system's accounts.
func systemOptions(name string, format userfile.Format, shadow string) (o userfile.Options, done func(), err error) {
	done = func() {}
	if format != userfile.Passwd {
		if shadow != "" {
			return o, done, usagef("--shadow belongs to the format passwd, and this is %s", format)
		}
		return o, done, nil
	}
	if shadow == "" && name == "/etc/passwd" {
		shadow = "/etc/shadow"
	}
	if shadow != "" {
		f, err := os.Open(shadow)
		if err != nil {
			return o, done, fmt.Errorf("reading the hashes: %w", err)
		}
		o.Shadow, done = f, func() { f.Close() }
	}
	o.Shells = readShells("/etc/shells")
	o.HasHome = func(home string) bool {
		info, err := os.Stat(home)
		return err == nil && info.IsDir()
	}
	return o, done, nil
}
