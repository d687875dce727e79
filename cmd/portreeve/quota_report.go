package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"portreeve/userdb"
)

type reportOptions struct {
	*pwOptions
	top   int
	above int
	json  bool
}

func newQuotaReport(e *env, shared *pwOptions) *cobra.Command {
	opts := reportOptions{pwOptions: shared}
	cmd := &cobra.Command{
		Use:   "report [--top N] [--above PERCENT] [--json]",
		Short: "List users by how much of their quota they use",
		Long: `Report lists the users who have a quota of their own, the fullest first. Of the
quotas on files and on bytes, the one counts that is used more.

` + exitStatusHelp,
		Example: `  portreeve quota report --top 20
  portreeve quota report --above 90 --json | jq -r .name`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.IntVar(&opts.top, "top", 0, "at most so many `users`; 0 is all")
	fs.IntVar(&opts.above, "above", 0, "only those who use at least so many `percent`")
	fs.BoolVar(&opts.json, "json", false, "print JSON, an object a line")
	cmd.RunE = func(*cobra.Command, []string) error { return runReport(e, opts) }
	return cmd
}

func runReport(e *env, opts reportOptions) error {
	if opts.top < 0 || opts.above < 0 {
		return usagef("--top and --above are no less than 0")
	}
	db, err := opts.open(e)
	if err != nil {
		return err
	}
	all, malformed, err := quotas(e, db, float64(opts.above)/100)
	if err != nil {
		return pwError(err)
	}
	slices.SortFunc(all, func(a, b quota) int {
		return cmp.Or(cmp.Compare(*b.Share, *a.Share), cmp.Compare(b.Used.Bytes, a.Used.Bytes), cmp.Compare(a.Name, b.Name))
	})
	if opts.top > 0 {
		all = all[:min(len(all), opts.top)]
	}
	if opts.json {
		for _, q := range all {
			if err := writeJSONLine(e.out, q); err != nil {
				return err
			}
		}
	} else if err := writeReport(e.out, all); err != nil {
		return err
	}
	if malformed > 0 {
		return fmt.Errorf("users that cannot be read: %d", malformed)
	}
	return nil
}

// quotas returns the quotas of those users who use at least a share of them.
func quotas(e *env, db userdb.DB, share float64) (all []quota, malformed int, err error) {
	tallies, err := db.Tallies()
	if err != nil {
		return nil, 0, err
	}
	for u, err := range db.All() {
		if errors.Is(err, userdb.ErrMalformed) {
			complain(e, fmt.Sprintf("user %q: %v", u.Name, err))
			malformed++
			continue
		}
		if err != nil {
			return nil, malformed, err
		}
		if q := quotaOf(u, tallies[u.Name]); q.Share != nil && *q.Share >= share {
			all = append(all, q)
		}
	}
	return all, malformed, nil
}

func writeReport(w io.Writer, all []quota) error {
	t := table{header: []string{"USER", "USED", "FILES", "OF", "BYTES", "OF"}, right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}}
	for _, q := range all {
		files, bytes := strconv.FormatInt(q.Used.Files, 10), size(q.Used.Bytes)
		used := q.percent()
		if !q.Counted {
			files, bytes, used = "?", "?", "?"
		}
		t.add(q.Name, used, files, q.Files.String(), bytes, sizeLimit(q.Bytes))
	}
	return t.write(w)
}

// writeJSONLine prints v as a line of JSON.
func writeJSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
