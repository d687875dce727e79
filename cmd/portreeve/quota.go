package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"portreeve/config"
	"portreeve/server"
	"portreeve/userdb"
)

const quotaLong = `Quota shows and sets what users may store, and counts what they have stored.

The server keeps up to date what a user has, as files come and go by FTP. What
comes and goes otherwise it does not see: recount looks. Directories count as
files, the user's home itself does not, and links count for nothing.

The database is the one of --db, as for pw.`

func newQuota(e *env) *cobra.Command {
	opts := new(pwOptions)
	group := newGroup("quota", "Show, set and count what users may store", `  portreeve quota show alice
  portreeve quota set alice --bytes 10G --files 100000
  portreeve quota report --top 20
  portreeve quota recount --all`,
		newQuotaShow(e, opts), newQuotaSet(e, opts), newQuotaRecount(e, opts), newQuotaReport(e, opts),
	)
	group.Long = quotaLong
	shared := group.PersistentFlags()
	shared.StringVarP(&opts.db, "db", "F", "", "user `database`")
	opts.dbFlag = shared.Lookup("db")
	completeUserNames(e, opts, group)
	return group
}

// A quota is what a user may store and has stored. It is a line of JSON.
type quota struct {
	Name    string       `json:"name"`
	Used    userdb.Usage `json:"used"`
	Files   userdb.Limit `json:"quota_files"`
	Bytes   userdb.Limit `json:"quota_bytes"`
	Share   *float64     `json:"share"`   // of whichever quota is used more, 1 is all; null: there is none
	Counted bool         `json:"counted"` // false: the figures mean nothing yet
	Writing bool         `json:"writing"` // a server is changing the files now, or died doing so
}

func quotaOf(u userdb.User, t userdb.Tally) quota {
	q := quota{Name: u.Name, Used: t.Usage, Files: u.QuotaFiles, Bytes: u.QuotaBytes, Counted: t.Counted, Writing: t.Writer != ""}
	for _, of := range []struct {
		used  int64
		limit userdb.Limit
	}{{q.Used.Files, q.Files}, {q.Used.Bytes, q.Bytes}} {
		most, limited := of.limit.Value()
		if !limited {
			continue
		}
		share := 1.0
		if most > 0 {
			share = float64(of.used) / float64(most)
		}
		if q.Share == nil || *q.Share < share {
			q.Share = &share
		}
	}
	return q
}

// percent is the share for people.
func (q quota) percent() string {
	if q.Share == nil {
		return "-"
	}
	return strconv.FormatFloat(*q.Share*100, 'f', 0, 64) + " %"
}

func sizeLimit(l userdb.Limit) string {
	if most, limited := l.Value(); limited {
		return size(most)
	}
	return l.String()
}

func newQuotaShow(e *env, shared *pwOptions) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "show NAME [--json]",
		Short: "Show what a user may store and has stored",
		Long: `Show prints the quota of a user and what its files take up, as the database has
it: the server writes there a second after a change. A quota that the server
gives to users without their own (directive Quota) is not shown.

` + exitStatusHelp,
		Example: `  portreeve quota show alice
  portreeve quota show alice --json | jq .share`,
		Args: pwName,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		q, err := readQuota(db, args[0])
		switch {
		case err != nil:
			return pwError(err)
		case asJSON:
			return writeJSON(e.out, q)
		}
		fmt.Fprintf(e.out, "user   %s\n", visible(q.Name))
		fmt.Fprintf(e.out, "files  %d of %s%s\n", q.Used.Files, q.Files, share(q.Used.Files, q.Files))
		fmt.Fprintf(e.out, "bytes  %s of %s%s\n", size(q.Used.Bytes), sizeLimit(q.Bytes), share(q.Used.Bytes, q.Bytes))
		switch {
		case !q.Counted:
			err = e.say("the files were never counted: the server does so when a user with a quota logs in")
		case q.Writing:
			err = e.say("a server is changing them now; what is not finished is not in it")
		}
		return err
	}
	return cmd
}

func readQuota(db userdb.DB, name string) (quota, error) {
	u, err := db.Get(name)
	if err != nil {
		return quota{}, err
	}
	t, err := db.Tally(name)
	return quotaOf(u, t), err
}

func newQuotaSet(e *env, shared *pwOptions) *cobra.Command {
	limits := map[string]*string{"quota_files": new(string), "quota_bytes": new(string)}
	cmd := &cobra.Command{
		Use:   "set NAME [--files N] [--bytes SIZE]",
		Short: "Change what a user may store",
		Long: `Set changes the quota of a user: the number of files and directories, the bytes,
or both. It is the same as "pw usermod" with --quota-files and --quota-bytes. 0
allows nothing, and '' or unlimited takes the limit away. A user who has more
than that keeps it, and can store nothing.

` + exitStatusHelp,
		Example: `  portreeve quota set alice --bytes 10G
  portreeve quota set alice --files 1000 --bytes 500
  portreeve quota set alice --files ''`,
		Args: pwName,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(limits["quota_files"], "files", "", "most files and directories, a `number`")
	fs.StringVar(limits["quota_bytes"], "bytes", "", "most `MB`, of 1048576 bytes, or with a unit such as 10G")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		if !fs.Changed("files") && !fs.Changed("bytes") {
			return withHint(usagef("nothing to set for user %s is named", args[0]), "--files or --bytes; '' takes a limit away")
		}
		err = db.Modify(args[0], func(u *userdb.User) error {
			for flag, name := range map[string]string{"files": "quota_files", "bytes": "quota_bytes"} {
				if !fs.Changed(flag) {
					continue
				}
				row, _ := userdb.Fields.Lookup(name)
				if err := row.Bind(u).Set(*limits[name]); err != nil {
					return usagef("--%s: %w", flag, err)
				}
			}
			return nil
		})
		if err != nil {
			return pwError(err)
		}
		q, err := readQuota(db, args[0])
		if err != nil {
			return pwError(err)
		}
		return e.say(fmt.Sprintf("user %s may store %s files and %s", args[0], q.Files, sizeLimitWords(q.Bytes)))
	}
	return cmd
}

func sizeLimitWords(l userdb.Limit) string {
	if _, limited := l.Value(); !limited {
		return "unlimited bytes"
	}
	return sizeLimit(l)
}

type recountOptions struct {
	*pwOptions
	all    bool
	json   bool
	source *configSource
}

func newQuotaRecount(e *env, shared *pwOptions) *cobra.Command {
	opts := recountOptions{pwOptions: shared}
	cmd := &cobra.Command{
		Use:   "recount NAME... | --all",
		Short: "Count what users have stored",
		Long: `Recount walks through the homes of the users, as root each as that user, counts
what is there, and has the database say so. It follows no link and changes no
file. With --all it counts all users who have a quota or were ever counted.

A user who is storing something meanwhile is counted again, up to three times;
if that never ends, a warning says that the figure may be off by what moved.
With the directive QuotaFile, it writes .ftpquota as well.

` + exitStatusHelp,
		Example: `  portreeve quota recount alice
  portreeve quota recount --all --json`,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if opts.all == (len(args) > 0) {
			return withHint(fmt.Errorf("%s needs either names or --all", cmd.CommandPath()), "%s", useLine(cmd))
		}
		return nil
	}
	opts.source = &configSource{env: e, given: new(config.Given[server.Config])}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&opts.all, "all", false, "count all users with a quota")
	fs.BoolVar(&opts.json, "json", false, "print JSON, an object a line")
	addConfigFlag(cmd, opts.source)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runRecount(cmd.Context(), e, args, opts) }
	return cmd
}

func runRecount(ctx context.Context, e *env, names []string, opts recountOptions) error {
	db, err := opts.open(e)
	if err != nil {
		return err
	}
	cfg, _, err := opts.source.load()
	if err != nil {
		return err
	}
	if opts.all {
		if names, err = countable(db); err != nil {
			return pwError(err)
		}
	}
	failed := 0
	for i, name := range names {
		r := recounter{env: e, db: db, cfg: cfg, at: fmt.Sprintf("%d of %d: ", i+1, len(names))}
		if len(names) == 1 {
			r.at = ""
		}
		err := r.count(ctx, name)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("counting: %w", context.Cause(ctx))
		case err != nil && len(names) == 1:
			return pwError(err)
		case err != nil:
			complain(e, fmt.Sprintf("user %s: %v", name, err))
			failed++
			continue
		}
		if err := r.tell(opts.json); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("users that could not be counted: %d", failed)
	}
	return nil
}

// countable returns the users who have a quota or a count.
func countable(db userdb.DB) (names []string, err error) {
	tallies, err := db.Tallies()
	if err != nil {
		return nil, err
	}
	for u, err := range db.All() {
		if err != nil && !errors.Is(err, userdb.ErrMalformed) {
			return nil, err
		}
		if t := tallies[u.Name]; t.Counted || t.Writer != "" || quotaOf(u, t).Share != nil {
			names = append(names, u.Name)
		}
	}
	return names, nil
}

// A recounter counts the files of one user.
type recounter struct {
	*env
	db     userdb.DB
	cfg    server.Config
	at     string
	name   string
	before userdb.Tally
	found  userdb.Usage
	moving bool // files were changed meanwhile
}

// countAgain is how often a user is counted whose files change meanwhile, and
// countPause how long it takes until the database has what the server knows.
const (
	countAgain = 3
	countPause = 1200 * time.Millisecond
)

func (r *recounter) count(ctx context.Context, name string) error {
	r.name = name
	u, err := r.db.Get(name)
	if err != nil {
		return err
	}
	files, err := openHome(r.cfg, u)
	if err != nil {
		return err
	}
	defer files.Close()
	defer r.progress("")
	for range countAgain {
		if r.before, err = r.db.Tally(name); errors.Is(err, userdb.ErrMalformed) {
			r.before, err = userdb.Tally{}, nil
		}
		if err != nil {
			return err
		}
		said := time.Now()
		r.found, err = files.Count(ctx, func(u userdb.Usage) {
			if time.Since(said) > 200*time.Millisecond {
				said = time.Now()
				r.progress(fmt.Sprintf("%s%s: %d files, %s", r.at, name, u.Files, size(u.Bytes)))
			}
		})
		if err != nil {
			return withHint(err, "what its user cannot look into cannot be counted; nothing was changed")
		}
		if r.moving, err = r.moved(ctx); err != nil || !r.moving {
			break
		}
	}
	if err != nil {
		return err
	}
	// A server that is writing stays one: what it has not told yet comes on top.
	stays := ""
	if t, err := r.db.Tally(name); err == nil && r.moving {
		stays = t.Writer
	}
	if err := r.db.SetUsage(name, r.found, stays); err != nil {
		return err
	}
	return files.WriteUsage(r.found)
}

// moved tells whether files were changed while they were counted, as far as the
// database knows.
func (r *recounter) moved(ctx context.Context) (bool, error) {
	if r.before.Writer != "" { // who will have said what it has done by then
		select {
		case <-time.After(countPause):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	now, err := r.db.Tally(r.name)
	if errors.Is(err, userdb.ErrMalformed) {
		return false, nil
	}
	return now != r.before, err
}

// progress shows a line on a terminal, in the place of the last one.
func (r *recounter) progress(line string) {
	if f, ok := r.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(r.err, "\r\x1b[K%s", clipped(visible(line), terminalWidth(f)-1))
	}
}

// tell prints what was found.
func (r *recounter) tell(asJSON bool) error {
	if r.moving {
		complain(r.env, fmt.Sprintf("warning: user %s was storing something meanwhile; the figure may be off by that", r.name))
	}
	if asJSON {
		return writeJSONLine(r.out, struct {
			Name   string       `json:"name"`
			Used   userdb.Usage `json:"used"`
			Before userdb.Usage `json:"before"`
			Moving bool         `json:"moving"`
		}{r.name, r.found, r.before.Usage, r.moving})
	}
	line := fmt.Sprintf("user %s has %d files with %s", r.name, r.found.Files, size(r.found.Bytes))
	switch {
	case !r.before.Counted:
	case r.before.Usage == r.found:
		line += ", as was known"
	default:
		line += fmt.Sprintf("; known were %d with %s", r.before.Files, size(r.before.Bytes))
	}
	return r.say(line)
}
