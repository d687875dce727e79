package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/userdb"
	"portreeve/userquery"
)

// modOptions are those of usermod.
type modOptions struct {
	editOptions
	where   string
	set     []string
	confirm confirmOptions
}

// whereHelp describes the expressions of --where. Their attributes are described
// by the tables that they come from.
func whereHelp() string {
	var b strings.Builder
	b.WriteString(`Expressions are comparisons, joined by and, or, not and parentheses:

  quota>90% and (gid=1001 or home~/srv/ftp/*) and not disabled
  quota-bytes=none and last-login<now-90d

Operators are = != < <= > >= and ~, by which * stands for any text and ? for a
character. Attributes are those of "pw show", with the units of their flags; an
attribute alone asks whether it is set, and what is not set, none, is neither
less nor more than anything. Times are days, which are meant as a whole, moments
in quotes, today, or now with what is to be added (s, m, h, d, w, y). What has a
blank or one of ()"'=!<>~ in it stands in quotes. Besides these attributes there
are:

`)
	for _, a := range userquery.Computed() {
		for i, line := range config.Wrap(a.Help, 62) {
			name := ""
			if i == 0 {
				name = a.Name
			}
			fmt.Fprintf(&b, "  %-14s %s\n", name, line)
		}
	}
	return b.String()
}

func newPwUsermod(e *env, shared *pwOptions) *cobra.Command {
	opts := modOptions{editOptions: editOptions{pwOptions: shared}}
	cmd := &cobra.Command{
		Use:   "usermod NAME [flags]",
		Short: "Change a user, or all of whom an expression is true",
		Long: `Usermod changes what its flags name and leaves the rest. An empty value, as in
-t '', takes a limit or a list away. It never asks for a password.

--set names an attribute as "pw show" does: attribute=value. A value with + or -
before it is added to a number or taken away, and none clears what may be unset.
Nothing can be added to a limit that is not there, nor falls it below zero.

With --where in place of a name, it changes all users of whom the expression is
true, in one transaction: all of them, or none. On a terminal it shows what
would change and asks; elsewhere --yes must say that it may. What is shown is
what is done: if a user is changed by somebody else in between, nothing is.
"pw undo" takes it back.

` + whereHelp() + `
` + exitStatusHelp,
		Example: `  portreeve pw usermod alice --quota-bytes 10G --download-rate 500
  portreeve pw usermod alice -N '' -t ''
  portreeve pw usermod alice --set quota-bytes=+10G --expires 2027-01-31
  portreeve pw usermod --where 'quota>90% and gid=1001' --set quota-bytes=+10G
  portreeve pw usermod --where 'last-login<now-2y' --disabled --dry-run`,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("where") {
			return pwName(cmd, args)
		}
		if len(args) > 0 {
			return usagef("--where chooses the users, and there is %q besides", args[0])
		}
		return nil
	}
	opts.given = addUserFlags(cmd, userdb.New(""))
	for _, f := range userdb.Editable() {
		cmd.Flags().Lookup(f.LongFlag()).DefValue = "" // what is not named stays, and is no default
	}
	cmd.Flags().StringArrayVar(&opts.set, "set", nil, "set `attribute=value`, or =+value to add; may be repeated")
	cmd.Flags().StringVar(&opts.where, "where", "", "change all users of whom the `expression` is true")
	opts.confirm.addFlags(cmd)
	opts.password.addFlags(cmd, false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("where") {
			return runBulk(cmd.Context(), e, opts)
		}
		if opts.confirm != (confirmOptions{}) {
			return usagef("--yes, --dry-run and --json belong to --where")
		}
		return runPwUsermod(e, args[0], opts)
	}
	return cmd
}

func runPwUsermod(e *env, name string, opts modOptions) error {
	db, err := opts.open(e)
	if err != nil {
		return err
	}
	change, err := opts.change("user " + name)
	if err != nil {
		return err
	}
	if err := db.Modify(name, change); err != nil {
		return pwError(err)
	}
	return e.say(fmt.Sprintf("user %s changed", name))
}

// change returns what the command line says is to become of a user.
func (o *modOptions) change(who string) (func(*userdb.User) error, error) {
	if len(o.given.Names()) == 0 && o.password.ready == "" && len(o.set) == 0 {
		return nil, withHint(usagef("nothing to change of %s is named", who), "portreeve pw usermod --help lists the flags")
	}
	if o.password.ready != "" {
		if err := knownHash(o.password.ready); err != nil {
			return nil, err
		}
	}
	assignments, err := parseAssignments(o.set, o.given.Names())
	if err != nil {
		return nil, err
	}
	return func(u *userdb.User) error {
		if err := o.given.Apply(u, nil); err != nil {
			return usagef("%w", err)
		}
		if o.password.ready != "" {
			u.Password = o.password.ready
		}
		for _, a := range assignments {
			if err := a.Apply(u); err != nil {
				return usagef("--set: %w", err)
			}
		}
		if err := u.Validate(); err != nil {
			return usagef("%w", err)
		}
		return nil
	}, nil
}

// parseAssignments reads what --set says. What is said twice is a slip.
func parseAssignments(texts, flags []string) ([]userquery.Assignment, error) {
	said := make(map[string]bool)
	for _, name := range flags {
		said[name] = true
	}
	var all []userquery.Assignment
	for _, text := range texts {
		a, err := userquery.ParseAssignment(text)
		if err != nil {
			return nil, queryError("--set", err)
		}
		if said[a.Name()] {
			return nil, usagef("--set: %s is set twice", a.Name())
		}
		said[a.Name()] = true
		all = append(all, a)
	}
	return all, nil
}

// queryError is the fault of an expression or an assignment.
func queryError(flag string, err error) error {
	said := usagef("%s: %w", flag, err)
	if fault, ok := errors.AsType[*userquery.Error](err); ok && fault.Hint != "" {
		return withHint(said, "%s", fault.Hint)
	}
	return said
}

// parseWhere reads the expression of --where.
func parseWhere(text string) (*userquery.Query, error) {
	q, err := userquery.Parse(text, time.Now())
	if err != nil {
		return nil, queryError("--where", err)
	}
	return q, nil
}

// runBulk changes all users of whom an expression is true.
func runBulk(ctx context.Context, e *env, opts modOptions) error {
	query, err := parseWhere(opts.where)
	if err != nil {
		return err
	}
	change, err := opts.change("the users")
	if err != nil {
		return err
	}
	e.command += " --where " + opts.where
	db, err := opts.open(e)
	if err != nil {
		return err
	}
	// Where nobody was shown what would change, it may be found out anew.
	for tries := 3; ; tries-- {
		err := opts.bulk(ctx, e, db, func(edits *userdb.Edits, s userdb.Stored) (bool, error) {
			if !query.Match(&s) {
				return false, nil
			}
			return true, putChanged(edits, s, change)
		})
		if !opts.confirm.yes || !errors.Is(err, userdb.ErrConflict) || tries <= 1 {
			return err
		}
	}
}

// bulk goes through all users, puts those that are matched and commits.
func (o *modOptions) bulk(ctx context.Context, e *env, db userdb.DB, put func(*userdb.Edits, userdb.Stored) (matched bool, err error)) error {
	edits := db.Edits()
	progress := newProgress(e, false)
	matched, seen := 0, 0
	for s, err := range db.Walk() {
		if err = cmp.Or(err, ctx.Err()); err == nil && s.Err != nil {
			fmt.Fprintf(e.err, "portreeve: user %s is left out: %s\n", visible(s.User.Name), visible(s.Err.Error()))
			continue
		}
		is := false
		if err == nil {
			is, err = put(edits, s)
		}
		if err != nil {
			progress.end()
			return pwError(err)
		}
		if seen++; is {
			matched++
		}
		progress.step("reading", seen)
	}
	progress.end()
	switch {
	case matched == 0:
		return o.confirm.nothing(e, "no user is meant by that; nothing is changed")
	case edits.Len() == 0:
		return o.confirm.nothing(e, fmt.Sprintf("%s meant by that, and so already; nothing is changed", counted(matched, "user is", "users are")))
	}
	return o.confirm.commit(ctx, e, edits, "")
}

// putChanged puts what becomes of a user. An error says of whom.
func putChanged(edits *userdb.Edits, s userdb.Stored, change func(*userdb.User) error) error {
	u := s.User
	err := change(&u)
	if err == nil {
		err = edits.Put(s, u)
	}
	if err == nil {
		return nil
	}
	if !strings.Contains(err.Error(), "user "+u.Name) {
		err = fmt.Errorf("user %s: %w", u.Name, err)
	}
	return withHint(fmt.Errorf("%w; nothing is changed", err), "--where with and not name=%q leaves this user out", u.Name)
}
