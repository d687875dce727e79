package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"portreeve/userdb"
	"portreeve/userfile"
)

func newPwExport(e *env, shared *pwOptions) *cobra.Command {
	format, to := "", ""
	cmd := &cobra.Command{
		Use:   "export [--format FORMAT] [--out FILE]",
		Short: "Write all users to a file that another program reads",
		Long: `Export writes all users with the hashes of their passwords: as pureftpd.passwd,
as the PureDB file that Pure-FTPd's daemon reads, as a table (CSV) or as JSON,
an object a line. Pure-FTPd checks the hashes that are made here, so that users
can go back to it. A FILE is readable by its owner alone, and takes the place of
an older one when it is complete.

What the format cannot hold is told on standard error: expiry, permissions, the
demand for TLS and IPv6 addresses have no place in Pure-FTPd's files. A user who
may not log in here is locked there too, and one of whose allowed addresses none
is left may come from nowhere.

` + exitStatusHelp,
		Example: `  portreeve pw export --out users.json
  portreeve pw export --format puredb --out /etc/pure-ftpd/pureftpd.pdb
  portreeve pw export --format pureftpd.passwd --out pureftpd.passwd
  portreeve pw export --format csv | cut -d , -f 1,3`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&format, "format", string(userfile.JSON), "`format`: "+formatNames(userfile.Writable()))
	cmd.Flags().StringVarP(&to, "out", "o", "", "`file` to write; without it standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := knownFormat(userfile.Format(format), userfile.Writable()); err != nil {
			return err
		}
		db, err := shared.open(e)
		if err != nil {
			return err
		}
		x := exporter{db: db, format: userfile.Format(format), progress: newProgress(e, to == "" && terminalWidth(e.out) > 0)}
		write := func(w io.Writer) error { return x.write(cmd.Context(), w) }
		if to == "" {
			err = write(e.out)
		} else if err = replaceable(to, db.Path()); err == nil {
			err = replaceFile(to, write)
		}
		x.progress.end()
		if errors.Is(err, syscall.EPIPE) {
			return nil // the reader, such as head, has seen enough
		}
		if err != nil {
			return pwError(fmt.Errorf("exporting the users: %w", err))
		}
		x.tell(e.err)
		if to != "" {
			return e.say(fmt.Sprintf("%s: %s", to, counted(x.users, "user", "users")))
		}
		return nil
	}
	return cmd
}

// An exporter writes all users, and remembers what the format could not hold.
type exporter struct {
	db       userdb.DB
	format   userfile.Format
	progress *progress
	users    int
	lost     map[string][]string // names of users by attribute
}

func (x *exporter) write(ctx context.Context, w io.Writer) error {
	return userfile.Write(w, x.format, x.all(ctx), func(name string, attributes []string) {
		if x.lost == nil {
			x.lost = make(map[string][]string)
		}
		for _, a := range attributes {
			x.lost[a] = append(x.lost[a], name)
		}
	})
}

// all yields all users. One that cannot be read ends it: a file that lacks a user
// would be taken for whole.
func (x *exporter) all(ctx context.Context) iter.Seq2[userdb.User, error] {
	return func(yield func(userdb.User, error) bool) {
		for u, err := range x.db.All() {
			if err = cmp.Or(err, ctx.Err()); err != nil {
				yield(u, err)
				return
			}
			x.users++
			x.progress.step("exporting", x.users)
			if !yield(u, nil) {
				return
			}
		}
	}
}

// tell names what was lost, and of whom as far as a line has room for it.
func (x *exporter) tell(w io.Writer) {
	attributes := make([]string, 0, len(x.lost))
	for a := range x.lost {
		attributes = append(attributes, a)
	}
	slices.Sort(attributes)
	for _, a := range attributes {
		const most = 5
		names := x.lost[a]
		said := strings.Join(names[:min(len(names), most)], ", ")
		if more := len(names) - most; more > 0 {
			said += fmt.Sprintf(" and %d more", more)
		}
		why := "is not kept"
		if strings.HasPrefix(a, "allow_") || strings.HasPrefix(a, "deny_") {
			why = "loses its IPv6 addresses"
		}
		fmt.Fprintf(w, "portreeve: %s: %s %s, of %s\n", x.format, a, why, visible(said))
	}
}

// replaceable tells whether a file may be taken the place of: not that of the users
// that are exported, and nothing that is no file, such as /dev/null.
func replaceable(name, db string) error {
	info, err := os.Stat(name)
	if err != nil {
		return nil // it is not there, or making it will fail
	}
	if !info.Mode().IsRegular() {
		return withHint(usagef("%s is no regular file", name), "without --out the users go to standard output")
	}
	if users, err := os.Stat(db); err == nil && os.SameFile(info, users) {
		return usagef("%s is the database that is exported", name)
	}
	return nil
}

// replaceFile writes a file under another name and gives it its own when it is
// complete and on disk. Nobody but its owner may read it.
func replaceFile(name string, write func(io.Writer) error) error {
	folder := filepath.Dir(name)
	f, err := os.CreateTemp(folder, "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := cmp.Or(write(f), f.Sync()); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return cmp.Or(os.Rename(f.Name(), name), syncFolder(folder))
}

// syncFolder brings the names in a folder to disk.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) { // a file system that cannot
		return err
	}
	return nil
}
