package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portreeve/config"
	"portreeve/server"
	"portreeve/userdb"
)

// The commands of pw have the names and letters of pure-pw, so that scripts
// which were written for it go on working.

const pwLong = `Pw keeps the virtual users in one database, whether the server runs or not. A
server that runs takes a change over within two seconds, also for those who are
logged in; ids, home, password and the number of sessions hold from the next
login on. Commands and letters are those of pure-pw.

The database is the one of --db, else of $PORTREEVE_DB, else
/var/lib/portreeve/users.db for root and portreeve/users.db in $XDG_STATE_HOME
(~/.local/state) for others. The first useradd makes it.`

// pwOptions is what the commands of pw share.
type pwOptions struct {
	db     string
	dbFlag *pflag.Flag
	file   string // pure-pw's text file, which there is none of here
	index  bool   // pure-pw's -m, which has nothing left to do
}

func newPw(e *env) *cobra.Command {
	opts := new(pwOptions)
	group := newGroup("pw", "Add, change, remove and show virtual users", `  portreeve pw useradd alice -u ftp -d /home/ftp/alice
  printf '%s\n%s\n' "$password" "$password" | portreeve pw passwd alice
  portreeve pw usermod alice -N 10G -t 500
  portreeve pw usermod --where 'quota>90% and gid=1001' --set quota-bytes=+10G
  portreeve pw list --json | jq -r .name
  portreeve pw history alice`,
		newPwUseradd(e, opts), newPwUsermod(e, opts), newPwUserdel(e, opts), newPwPasswd(e, opts),
		newPwShow(e, opts), newPwList(e, opts),
		newPwImport(e, opts), newPwExport(e, opts),
		newPwLock(e, opts, "lock", true), newPwLock(e, opts, "unlock", false),
		newPwHistory(e, opts), newPwUndo(e, opts),
	)
	group.Long = pwLong
	shared := group.PersistentFlags()
	shared.StringVarP(&opts.db, "db", "F", "", "user `database`")
	opts.dbFlag = shared.Lookup("db")
	shared.StringVarP(&opts.file, "passwd-file", "f", "", "refused: there is no text file here")
	shared.BoolVarP(&opts.index, "mkdb", "m", false, "accepted and not needed: there is nothing to rebuild")
	hideFlags(shared, "passwd-file", "mkdb")
	completeUserNames(e, opts, group)
	return group
}

// completeUserNames has the commands of a group complete the name of a user.
func completeUserNames(e *env, opts *pwOptions, group *cobra.Command) {
	for _, cmd := range group.Commands() {
		if (strings.Contains(cmd.Use, " NAME") || strings.Contains(cmd.Use, " [NAME]")) && cmd.Name() != "useradd" {
			cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
				if len(args) > 0 {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				return userNames(opts.at(e), typed), cobra.ShellCompDirectiveNoFileComp
			}
		}
	}
}

// at returns the database that the options and the environment name.
func (o *pwOptions) at(e *env) userdb.DB {
	if o.db != "" {
		return e.database(o.db)
	}
	return e.database(e.defaultDB())
}

// open is at, for a command: it refuses what pure-pw's options ask in vain.
func (o *pwOptions) open(e *env) (userdb.DB, error) {
	if o.dbFlag.Changed && o.db == "" {
		return userdb.DB{}, usagef("--db is empty: it names no database")
	}
	if o.file != "" {
		return userdb.DB{}, withHint(usagef("-f names a password file of pure-pw; users are kept in a database here"),
			"-F or --db names the database")
	}
	return o.at(e).By(e.author()), nil
}

// author is who runs the program, for the trail of the database.
func (e *env) author() userdb.Author {
	a := userdb.Author{UID: os.Getuid(), Sudo: e.getenv("SUDO_USER"), Command: e.command}
	if u, err := user.LookupId(strconv.Itoa(a.UID)); err == nil {
		a.Name = u.Username
	}
	return a
}

// userNames returns names to complete what is typed: as many as a terminal
// shows, found in the time that somebody waits for them.
func userNames(db userdb.DB, typed string) []string {
	const most = 200
	deadline := time.Now().Add(time.Second)
	var names []string
	for u, err := range db.All() {
		if u.Name == "" && err != nil || len(names) == most || time.Now().After(deadline) {
			break
		}
		if strings.HasPrefix(u.Name, typed) {
			names = append(names, u.Name)
		} else if u.Name > typed {
			break // names come in order
		}
	}
	return names
}

// pwError adds to an error of the database how it may be mended.
func pwError(err error) error {
	switch {
	case errors.Is(err, userdb.ErrNoDatabase):
		return withHint(err, "pw useradd makes it; --db or $PORTREEVE_DB names another")
	case errors.Is(err, fs.ErrPermission):
		return withHint(err, "only the owner of the database may use it; is this to be run as root?")
	case errors.Is(err, userdb.ErrNoFolder):
		return withHint(err, "mkdir makes it, if that is where users are to be")
	case errors.Is(err, userdb.ErrUserExists):
		return withHint(err, "pw usermod changes a user, pw passwd its password")
	}
	return err
}

// pwName returns the one argument of a command, the name of a user.
func pwName(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return withHint(fmt.Errorf("%s needs the name of a user", cmd.CommandPath()), "%s", useLine(cmd))
	case len(args) > 1:
		return withHint(fmt.Errorf("%s takes one user, and there is %q besides %q", cmd.CommandPath(), args[1], args[0]),
			"%s", useLine(cmd))
	}
	return nil
}

// editOptions are those of useradd and usermod.
type editOptions struct {
	*pwOptions
	given    *config.Given[userdb.User]
	password passwordOptions
}

func newPwUseradd(e *env, shared *pwOptions) *cobra.Command {
	opts := editOptions{pwOptions: shared}
	cmd := &cobra.Command{
		Use:   "useradd NAME -u USER [-g GROUP] {-d|-D} HOME [flags]",
		Short: "Add a user",
		Long: `Useradd adds a user and asks for its password: on a terminal twice and without
showing it, else as two lines of standard input.

A user acts on files as the system user of -u, which may be a name or a number
but not root, and sees nothing outside the HOME of -d; with -D it may leave it.

` + exitStatusHelp,
		Example: `  portreeve pw useradd alice -u ftp -d /home/ftp/alice
  printf 'secret\nsecret\n' | portreeve pw useradd bob -u 1001 -d /srv/bob`,
		Args: pwName,
	}
	opts.given = addUserFlags(cmd, userdb.New(""))
	opts.password.addFlags(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runPwUseradd(cmd.Context(), e, args[0], opts) }
	return cmd
}

// addUserFlags gives cmd a flag for each attribute that a person may set.
func addUserFlags(cmd *cobra.Command, defaults userdb.User) *config.Given[userdb.User] {
	cmd.Flags().SortFlags = false
	return userdb.Editable().Flags(cmd.Flags(), defaults)
}

func runPwUseradd(ctx context.Context, e *env, name string, opts editOptions) error {
	db, err := opts.open(e)
	if err != nil {
		return err
	}
	u := userdb.New(name)
	if err := opts.given.Apply(&u, nil); err != nil {
		return usagef("%w", err)
	}
	if err := completeUser(&u); err != nil {
		return err
	}
	// A name that is taken is refused before anybody types a password.
	switch _, err := db.Get(name); {
	case err == nil, errors.Is(err, userdb.ErrMalformed):
		return pwError(fmt.Errorf("%w: %s", userdb.ErrUserExists, name))
	case !errors.Is(err, userdb.ErrNoUser) && !errors.Is(err, userdb.ErrNoDatabase):
		return pwError(err)
	}
	if u.Password, err = opts.password.hash(ctx, e); err != nil {
		return err
	}
	if err := db.Add(u); err != nil {
		return pwError(err)
	}
	said := fmt.Sprintf("user %s added", name)
	if _, err := os.Stat(u.Home); errors.Is(err, fs.ErrNotExist) {
		said += fmt.Sprintf("; its home %s is not there yet", u.Home)
	}
	return e.say(said)
}

// say prints a line about what was done.
func (e *env) say(line string) error {
	_, err := fmt.Fprintln(e.out, visible(line))
	return err
}

// completeUser refuses a new user that lacks what there is no default for.
func completeUser(u *userdb.User) error {
	if err := userdb.ValidName(u.Name); err != nil {
		return usagef("%w", err)
	}
	if u.UID == 0 {
		return withHint(usagef("user %s needs a system user to act as", u.Name), "-u USER, by name or number")
	}
	if u.GID == 0 {
		found, err := user.LookupId(strconv.Itoa(u.UID))
		if err == nil {
			u.GID, err = strconv.Atoi(found.Gid)
		}
		if err != nil || u.GID == 0 {
			return withHint(usagef("user %s needs a group: no system user with the id %d has one", u.Name, u.UID), "-g GROUP, by name or number")
		}
	}
	if u.Home == "" {
		return withHint(usagef("user %s needs a home", u.Name), "-d HOME, or -D HOME if it may leave it")
	}
	if err := u.Validate(); err != nil {
		return usagef("%w", err)
	}
	return nil
}

func newPwUserdel(e *env, shared *pwOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "userdel NAME",
		Short: "Remove a user, but none of its files",
		Long: `Userdel removes a user from the database without asking. Its files stay where
they are. Sessions of the user end within two seconds, with their transfers.

` + exitStatusHelp,
		Example: "  portreeve pw userdel alice",
		Args:    pwName,
		RunE: func(_ *cobra.Command, args []string) error {
			db, err := shared.open(e)
			if err != nil {
				return err
			}
			u, err := db.Get(args[0])
			if err == nil || errors.Is(err, userdb.ErrMalformed) {
				err = db.Remove(args[0])
			}
			if err != nil {
				return pwError(err)
			}
			said := fmt.Sprintf("user %s removed", args[0])
			if u.Home != "" {
				said += "; its files stay in " + u.Home
			}
			return e.say(said)
		},
	}
}

func newPwPasswd(e *env, shared *pwOptions) *cobra.Command {
	var password passwordOptions
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a user another password",
		Long: `Passwd asks for a user's new password: on a terminal twice and without showing
it, else as two lines of standard input.

` + exitStatusHelp,
		Example: `  portreeve pw passwd alice
  printf 'secret\nsecret\n' | portreeve pw passwd alice`,
		Args: pwName,
	}
	password.addFlags(cmd, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		if _, err := db.Get(args[0]); err != nil {
			return pwError(err)
		}
		hash, err := password.hash(cmd.Context(), e)
		if err != nil {
			return err
		}
		err = db.Modify(args[0], func(u *userdb.User) error {
			u.Password = hash
			return nil
		})
		if err != nil {
			return pwError(err)
		}
		return e.say(fmt.Sprintf("password of user %s changed", args[0]))
	}
	return cmd
}

func newPwLock(e *env, shared *pwOptions, name string, lock bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name + " NAME",
		Short: "Let a user log in again",
		Long: `Unlock takes back what lock did: the user may log in again, with the password
that it had.

` + exitStatusHelp,
		Example: "  portreeve pw " + name + " alice",
		Args:    pwName,
		RunE: func(_ *cobra.Command, args []string) error {
			db, err := shared.open(e)
			if err != nil {
				return err
			}
			err = db.Modify(args[0], func(u *userdb.User) error {
				u.Disabled = lock
				return nil
			})
			if err != nil {
				return pwError(err)
			}
			return e.say(fmt.Sprintf("user %s %sed", args[0], name))
		},
	}
	if lock {
		cmd.Short = "Refuse the logins of a user"
		cmd.Long = `Lock refuses the logins of a user and keeps its password for unlock. It is the
same as "usermod --disabled". Sessions of the user end within two seconds.

` + exitStatusHelp
	}
	return cmd
}

// costValue reads and shows a password cost as the directive does.
func costValue(cfg *server.Config) config.Value {
	row, _ := server.Directives.Lookup("PasswordCost")
	return row.Bind(cfg)
}
