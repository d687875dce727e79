package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portreeve/config"
	"portreeve/userdb"
)

const historyExitStatus = `Exit status:
  0  done
  1  failed
  2  the command line or a value is wrong
  4  no such user, or no such change`

type historyOptions struct {
	*pwOptions
	last   int
	change uint64
	json   bool
}

func newPwHistory(e *env, shared *pwOptions) *cobra.Command {
	opts := historyOptions{pwOptions: shared}
	cmd := &cobra.Command{
		Use:   "history [NAME]",
		Short: "Show who changed which users, and when",
		Long: `History shows the changes of a user, or of all, the latest first: when, who (by
sudo, who called it), by which command, and what the attributes were and came to
be. It knows users who are gone. Of passwords it tells that they changed.

The database keeps this with each change. It is bounded, to ` + strconv.Itoa(userdb.MaxTrailUsers) + ` users that
were changed and ` + size(userdb.MaxTrailBytes) + `: the oldest go first. Of a change of more than ` + strconv.Itoa(userdb.MaxChangesetUsers) + `
users at a time it is kept who made it, and no details. Logins are no changes,
nor is what files amount to, nor that a login made a better hash of a password.
Hashes that were replaced are kept for undo, and shown by nothing; like those in
use, they are for whoever may read the database.

` + historyExitStatus,
		Example: `  portreeve pw history alice
  portreeve pw history --last 5
  portreeve pw history --change 17
  portreeve pw history alice --json --last 0 | jq -r .at`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return pwName(cmd, args)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVarP(&opts.last, "last", "n", 20, "show the latest `N` changes, all for 0")
	f.Uint64Var(&opts.change, "change", 0, "show the change of that `number`, user by user")
	f.BoolVar(&opts.json, "json", false, "print JSON, an object a line for each change")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		db, err := opts.open(e)
		if err != nil {
			return err
		}
		if opts.last < 0 {
			return usagef("--last: %d is less than 0", opts.last)
		}
		want := userdb.Wanted{Number: opts.change}
		if len(args) > 0 {
			want.User = args[0]
		}
		return runHistory(e, db, want, opts)
	}
	return cmd
}

func runHistory(e *env, db userdb.DB, want userdb.Wanted, opts historyOptions) error {
	if want.Most = opts.last; opts.last > 0 {
		want.Most++ // to know whether there are more
	}
	list, err := db.History(want)
	switch {
	case err != nil:
		return pwError(err)
	case len(list) == 0 && want.Number != 0:
		return withHint(fmt.Errorf("%w: %d", userdb.ErrNoChange, want.Number), "pw history shows the numbers")
	case len(list) == 0:
		return noHistory(e, db, want.User, opts.json)
	}
	more := opts.last > 0 && len(list) > opts.last
	if more {
		list = list[:opts.last]
	}
	out := bufio.NewWriterSize(e.out, 64<<10)
	switch {
	case opts.json:
		err = writeHistoryLines(out, list)
	case want.Number != 0:
		err = writeChangeset(out, &list[0])
	default:
		err = writeHistory(out, list, want.User)
		if more {
			fmt.Fprintf(out, "older ones are not shown; --last 0 shows all\n")
		}
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

// noHistory answers where the trail has nothing.
func noHistory(e *env, db userdb.DB, user string, asJSON bool) error {
	if user != "" {
		if _, err := db.Get(user); err != nil && !errors.Is(err, userdb.ErrMalformed) {
			return pwError(err)
		}
	}
	if asJSON {
		return nil
	}
	return e.say("no changes are known")
}

// writeHistoryLines prints changes as JSON.
func writeHistoryLines(w io.Writer, list []userdb.Changeset) error {
	type line struct {
		Change  uint64         `json:"change"`
		At      time.Time      `json:"at"`
		By      userdb.Author  `json:"by"`
		Added   int            `json:"added"`
		Changed int            `json:"changed"`
		Removed int            `json:"removed"`
		Undoes  uint64         `json:"undoes,omitzero"`
		Whole   bool           `json:"whole"` // otherwise it is too large or too old to be undone
		Users   []userdb.Delta `json:"users"`
	}
	for _, c := range list {
		users := slices.Collect(c.Deltas())
		if users == nil {
			users = []userdb.Delta{}
		}
		if err := writeJSONLine(w, line{c.Number, c.At, c.Author, c.Added, c.Changed, c.Removed, c.Undoes, c.Whole, users}); err != nil {
			return err
		}
	}
	return nil
}

// The columns of the table; the last two are broken into lines.
const (
	historyTable = "%6s  %-16s  %s  %s"
	historyWho   = 14
	historyWhat  = 80 - 6 - 2 - 16 - 2 - historyWho - 2
)

// writeHistory prints a change as a line or a few: of one user, or of all.
func writeHistory(w io.Writer, list []userdb.Changeset, user string) error {
	row := func(number, at, who, what string) {
		line := fmt.Sprintf(historyTable, number, at, pad(who, historyWho), what)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	row("CHANGE", "WHEN", "WHO", "WHAT")
	for i := range list {
		c := &list[i]
		who, what := config.Wrap(visible(authorName(c.Author)), historyWho), wrapped(visible(changesetWords(c, user)), historyWhat)
		number, at := strconv.FormatUint(c.Number, 10), moment(c.At)
		for len(who) > 0 || len(what) > 0 {
			row(number, at, shift(&who, historyWho), shift(&what, historyWhat))
			number, at = "", ""
		}
	}
	return nil
}

// wrapped is Wrap, that also breaks words wider than a line.
func wrapped(text string, width int) (lines []string) {
	for _, line := range config.Wrap(text, width) {
		lines = append(lines, broken(line, width)...)
	}
	return lines
}

// shift takes the first of lines, "" if there is none.
func shift(lines *[]string, width int) string {
	if len(*lines) == 0 {
		return ""
	}
	first := clipped((*lines)[0], width)
	*lines = (*lines)[1:]
	return first
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// authorName says who made a change; who called sudo comes first.
func authorName(a userdb.Author) string {
	name := a.Name
	if name == "" {
		name = "uid " + strconv.Itoa(a.UID)
	}
	if a.Sudo != "" && a.Sudo != a.Name {
		return a.Sudo + " as " + name
	}
	return name
}

// changesetWords tells what a change did: to one user what it was, to more how many.
func changesetWords(c *userdb.Changeset, user string) string {
	said := changesetCount(c)
	for d := range c.Deltas() {
		if user == "" && c.Users() > 1 {
			said += ", such as " + d.User
			break
		}
		said = deltaWords(d)
		if user == "" {
			said = d.User + " " + said
		}
	}
	if c.Author.Command != "" {
		said = c.Author.Command + ": " + said
	}
	if c.Undoes != 0 {
		said += fmt.Sprintf("; undoes change %d", c.Undoes)
	}
	if !c.Whole {
		said += "; not to be undone, since the details are not kept"
	}
	return said
}

// changesetCount says how many users a change was of.
func changesetCount(c *userdb.Changeset) string {
	var parts []string
	for _, of := range []struct {
		n    int
		what string
	}{{c.Added, "added"}, {c.Changed, "changed"}, {c.Removed, "removed"}} {
		if of.n > 0 {
			parts = append(parts, counted(of.n, "user ", "users ")+of.what)
		}
	}
	if len(parts) == 0 {
		return "cannot be read"
	}
	return strings.Join(parts, ", ")
}

func deltaWords(d userdb.Delta) string {
	if d.What != "changed" {
		return d.What
	}
	var parts []string
	for _, a := range d.Attributes {
		parts = append(parts, fmt.Sprintf("%s: %s -> %s", a.Name, orDash(a.Before), orDash(a.After)))
	}
	return strings.Join(parts, "; ")
}

// writeChangeset prints one change with all its users.
func writeChangeset(w io.Writer, c *userdb.Changeset) error {
	for _, line := range wrapped(visible(changesetHeading(c)), 80) {
		fmt.Fprintln(w, line)
	}
	t := newDeltaTable(w)
	for d := range c.Deltas() {
		t.add(d)
	}
	return t.flush()
}

// changesetHeading says in a line whose change it was.
func changesetHeading(c *userdb.Changeset) string {
	said := fmt.Sprintf("change %d, %s, by %s", c.Number, moment(c.At), authorName(c.Author))
	if c.Author.Command != "" {
		said += ", " + c.Author.Command
	}
	said += ": " + changesetCount(c)
	if !c.Whole {
		said += "; the details are not kept"
	}
	return said
}

func newPwUndo(e *env, shared *pwOptions) *cobra.Command {
	var confirm confirmOptions
	cmd := &cobra.Command{
		Use:   "undo [CHANGE]",
		Short: "Take a change of users back",
		Long: `Undo takes the latest change back, or the one with that number in "pw history",
for all its users or for none. Who was added is removed, who was removed comes
back with the password and with what the files amount to; attributes get the
values that they had. On a terminal it shows what would change and asks;
elsewhere --yes must say that it may.

Where an attribute has been changed again since, undo refuses, and names the
change that stands in the way. What has changed besides stays. An undo is a
change as well, and can be undone. Sessions follow as with any change.

` + historyExitStatus,
		Example: `  portreeve pw undo
  portreeve pw undo 17 --dry-run
  portreeve pw undo 17 --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return withHint(fmt.Errorf("%s takes one change at a time", cmd.CommandPath()), "%s", useLine(cmd))
			}
			return nil
		},
	}
	cmd.Flags().SortFlags = false
	confirm.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		number := uint64(0)
		if len(args) > 0 {
			if number, err = strconv.ParseUint(args[0], 10, 64); err != nil || number == 0 {
				return withHint(usagef("%q is no number of a change", args[0]), "pw history shows the numbers")
			}
		}
		return runUndo(cmd.Context(), e, db, number, confirm)
	}
	return cmd
}

func runUndo(ctx context.Context, e *env, db userdb.DB, number uint64, confirm confirmOptions) error {
	edits, change, err := db.Undo(number)
	if later, ok := errors.AsType[*userdb.LaterError](err); ok {
		err = fmt.Errorf("change %d cannot be undone: %w", change.Number, err)
		if later.By != 0 {
			return withHint(err, "pw history --change %d shows that one, pw undo %[1]d takes it back first", later.By)
		}
		return err
	}
	if errors.Is(err, userdb.ErrNoChange) {
		return withHint(err, "pw history shows what was changed")
	}
	if err != nil {
		return pwError(err)
	}
	return confirm.commit(ctx, e, edits, "takes back "+changesetHeading(&change))
}
