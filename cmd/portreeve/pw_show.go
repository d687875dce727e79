package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"portreeve/userdb"
	"portreeve/userquery"
)

// shownUser is a user as JSON has it, with what the database knows besides.
type shownUser struct {
	userdb.User
	PasswordKind string        `json:"password_kind"` // "7", "6", "argon2id" and so on; "" is none
	LastLogin    *userdb.Login `json:"last_login"`    // null: never
	Usage        userdb.Usage  `json:"usage"`
}

func newPwShow(e *env, shared *pwOptions) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "show NAME [--json]",
		Short: "Show what is known of a user",
		Long: `Show prints every attribute of a user, its last login and what its files take
up. The hash of the password is not shown, only its kind.

` + exitStatusHelp,
		Example: `  portreeve pw show alice
  portreeve pw show alice --json | jq .usage`,
		Args: pwName,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		u, err := showUser(db, args[0])
		switch {
		case err != nil:
			return pwError(err)
		case asJSON:
			return writeJSON(e.out, u)
		}
		return writeUser(e.out, u)
	}
	return cmd
}

func showUser(db userdb.DB, name string) (shownUser, error) {
	u, err := db.Get(name)
	if err != nil {
		return shownUser{}, err
	}
	shown := shownUser{User: u, PasswordKind: hashKind(u.Password)}
	last, err := db.Last(name)
	if err != nil {
		return shownUser{}, err
	}
	if !last.At.IsZero() {
		shown.LastLogin = &last
	}
	shown.Usage, err = db.Usage(name)
	return shown, err
}

// hashKind returns what stands between the first two dollar signs of a hash.
func hashKind(hash string) string {
	parts := strings.Split(hash, "$")
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}

func writeUser(w io.Writer, u shownUser) error {
	const width = 16
	var b strings.Builder
	line := func(name, value string) {
		fmt.Fprintf(&b, "%-*s %s\n", width, strings.ReplaceAll(name, "_", " "), visible(cmp.Or(value, "-")))
	}
	line("user", u.Name)
	kind := "none; nobody can log in"
	if u.PasswordKind != "" {
		kind = "a hash of kind $" + u.PasswordKind + "$"
	}
	line("password", kind)
	for _, s := range userdb.Fields.Settings(u.User, userdb.User{}, nil) {
		switch s.Name {
		case "uid":
			s.Value += systemName(user.LookupId(s.Value))
		case "gid":
			s.Value += systemGroup(user.LookupGroupId(s.Value))
		}
		line(s.Name, s.Value)
	}
	last := "never"
	if u.LastLogin != nil {
		last = u.LastLogin.At.Local().Format("2006-01-02 15:04:05Z07:00")
		if u.LastLogin.From.IsValid() {
			last += " from " + u.LastLogin.From.String()
		}
	}
	line("last login", last)
	line("files", strconv.FormatInt(u.Usage.Files, 10)+share(u.Usage.Files, u.QuotaFiles))
	line("bytes", size(u.Usage.Bytes)+share(u.Usage.Bytes, u.QuotaBytes))
	_, err := io.WriteString(w, b.String())
	return err
}

func systemName(u *user.User, err error) string {
	if err != nil {
		return ""
	}
	return " (" + u.Username + ")"
}

func systemGroup(g *user.Group, err error) string {
	if err != nil {
		return ""
	}
	return " (" + g.Name + ")"
}

// share tells what part of a quota is used.
func share(used int64, quota userdb.Limit) string {
	most, limited := quota.Value()
	if !limited || most == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f %% of the quota", float64(used)/float64(most)*100)
}

func newPwList(e *env, shared *pwOptions) *cobra.Command {
	asJSON, where := false, ""
	cmd := &cobra.Command{
		Use:   "list [--where EXPRESSION] [--json]",
		Short: "List all users, or those of whom an expression is true",
		Long: `List prints a line for each user, in the order of their names: name, home and
full name, in columns on a terminal and parted by tabs otherwise. With --json
each line is an object with every attribute that is set (JSON Lines), so that a
list of any length can be read as it comes. The expressions of --where are those
of "pw usermod".

` + exitStatusHelp,
		Example: `  portreeve pw list
  portreeve pw list | cut -f 2
  portreeve pw list --where 'quota>90% or expires<now+7d'
  portreeve pw list --json | jq -r 'select(.tls == "data").name'`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	cmd.Flags().StringVar(&where, "where", "", "list the users of whom the `expression` is true")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		users := db.All()
		if cmd.Flags().Changed("where") {
			query, err := parseWhere(where)
			if err != nil {
				return err
			}
			users = matching(db, query)
		}
		out := bufio.NewWriterSize(e.out, 64<<10)
		write := func(u *userdb.User) error { return writeTabs(out, u) }
		if asJSON {
			objects := json.NewEncoder(out)
			objects.SetEscapeHTML(false)
			write = func(u *userdb.User) error { return objects.Encode(u) }
		} else if width := terminalWidth(e.out); width > 0 {
			write = func(u *userdb.User) error { return writeColumns(out, u, width) }
		}
		err = listUsers(cmd.Context(), e, users, write)
		if err = cmp.Or(err, out.Flush()); errors.Is(err, syscall.EPIPE) {
			return nil // the reader, such as head, has seen enough
		}
		return pwError(err)
	}
	return cmd
}

// matching yields the users of whom an expression is true, and those that cannot be
// read.
func matching(db userdb.DB, query *userquery.Query) iter.Seq2[userdb.User, error] {
	return func(yield func(userdb.User, error) bool) {
		for s, err := range db.Walk() {
			if err == nil && s.Err == nil && !query.Match(&s) {
				continue
			}
			if !yield(s.User, cmp.Or(err, s.Err)) {
				return
			}
		}
	}
}

// listUsers writes all users, none of which stays in memory. A record that
// cannot be read is told and passed over, and makes the command fail at its end.
func listUsers(ctx context.Context, e *env, users iter.Seq2[userdb.User, error], write func(*userdb.User) error) error {
	malformed := 0
	for u, err := range users {
		if errors.Is(err, userdb.ErrMalformed) {
			fmt.Fprintf(e.err, "portreeve: user %q: %v\n", u.Name, err)
			malformed++
			continue
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if err := write(&u); err != nil {
			return fmt.Errorf("writing the list: %w", err)
		}
	}
	if malformed > 0 {
		return fmt.Errorf("users that cannot be read: %d", malformed)
	}
	return nil
}

func writeTabs(out *bufio.Writer, u *userdb.User) error {
	_, err := out.WriteString(visible(u.Name) + "\t" + visible(u.Home) + "\t" + visible(u.Gecos) + "\n")
	return err
}

// writeColumns writes a line no wider than the terminal; what is longer than
// its column pushes the next to the right.
func writeColumns(out *bufio.Writer, u *userdb.User, width int) error {
	line := pad(visible(u.Name), 19) + " " + pad(visible(u.Home), 39) + " " + visible(u.Gecos)
	_, err := out.WriteString(strings.TrimRight(clipped(line, width), " ") + "\n")
	return err
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// clipped returns the part of s that a terminal shows in so many columns.
func clipped(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	at := 0
	for i, r := range s {
		if width -= columns(string(r)); width < 1 {
			break
		}
		at = i + len(string(r))
	}
	return s[:at] + "…"
}

// terminalWidth returns the width of w if it is a terminal, and else 0.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}
