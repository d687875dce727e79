package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portreeve/server/control"
	"portreeve/server/extauth"
)

type authdOptions struct {
	socket     string
	program    string
	background bool
	uid, gid   string
	pidFile    string
	timeLimit  time.Duration
	atOnce     int
}

func newAuthd(e *env) *cobra.Command {
	var opts authdOptions
	cmd := &cobra.Command{
		Use:   "authd -s SOCKET -r PROGRAM",
		Short: "Run a program that decides who may log in",
		Long: `Authd answers, on a Unix socket, the logins of servers that have it in ExtAuth:
ours, and Pure-FTPd. For each it runs a program, as pure-authd does. What it
gets is in its environment, where what is empty is missing:

  AUTHD_ACCOUNT AUTHD_PASSWORD       what the client says
  AUTHD_REMOTE_IP                    where it is
  AUTHD_LOCAL_IP AUTHD_LOCAL_PORT    what it connected to
  AUTHD_CLIENT_SNI_NAME              the host that it named as TLS began
  AUTHD_ENCRYPTED                    1 under TLS, else 0

What it prints is the answer: auth_ok:1 lets the client in, -1 refuses it, and 0
is a user who is not known here, about whom the server asks others. With 1 there
must be uid, gid and dir, whose "/./" cages the user before it; and there may be
throttling_bandwidth_ul and _dl (bytes a second), user_quota_size (bytes),
user_quota_files, ratio_upload, ratio_download and per_user_max (sessions). The
last line is "end". A program that does not get there in time is ended, and the
login is refused; so it is, other than with pure-authd, if nothing is printed.

The socket is for its owner alone. SIGTERM ends authd once the logins that have
come are answered.`,
		Example: `  portreeve authd -s /run/ftpd.sock -r /usr/local/bin/ftp-auth
  portreeve authd -s /run/ftpd.sock -r /usr/local/bin/ftp-auth -B -u nobody \
    -p /run/authd.pid --time-limit 5s --at-once 1
  portreeve serve --extauth /run/ftpd.sock`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&opts.socket, "socket", "s", "", "`path` of the socket to answer on")
	fs.StringVarP(&opts.program, "run", "r", "", "absolute `path` of the program")
	fs.BoolVarP(&opts.background, "daemonize", "B", false, "go to the background once it listens")
	fs.StringVarP(&opts.uid, "uid", "u", "", "`user`, by number or name, to run as once it listens")
	fs.StringVarP(&opts.gid, "gid", "g", "", "`group`, by number or name, to run as; default is that of the user")
	fs.StringVarP(&opts.pidFile, "pidfile", "p", "", "`path` of a file for the process id")
	fs.DurationVar(&opts.timeLimit, "time-limit", 10*time.Second, "how long the program may take")
	fs.IntVar(&opts.atOnce, "at-once", 8, "most runs of the program at a time, a `number`; with pure-authd it is 1")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runAuthd(cmd.Context(), e, opts) }
	return cmd
}

func (o *authdOptions) validate() error {
	switch {
	case o.socket == "" || o.program == "":
		return withHint(usagef("authd needs -s SOCKET and -r PROGRAM"), "portreeve authd --help describes them")
	case !filepath.IsAbs(o.program):
		return usagef("-r: %q is not an absolute path", o.program)
	case o.timeLimit <= 0:
		return usagef("--time-limit: %s is no time", o.timeLimit)
	case o.atOnce < 1:
		return usagef("--at-once: %d lets nothing run", o.atOnce)
	}
	info, err := os.Stat(o.program)
	if err != nil {
		return fmt.Errorf("looking for the program: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return withHint(fmt.Errorf("%s is no program that can be run", o.program), "chmod +x %s makes it one", o.program)
	}
	return nil
}

func runAuthd(ctx context.Context, e *env, opts authdOptions) error {
	if err := opts.validate(); err != nil {
		return err
	}
	who, err := opts.identity()
	if err != nil {
		return err
	}
	if opts.background && os.Getenv(readyVariable) == "" {
		return goBackground(e)
	}
	l, err := control.Listen(opts.socket, 0o600, -1)
	if err != nil {
		return err
	}
	defer l.Close()
	if opts.pidFile != "" {
		if err := os.WriteFile(opts.pidFile, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
			return fmt.Errorf("writing the process id: %w", err)
		}
		defer os.Remove(opts.pidFile) // if it still may
	}
	if err := who.become(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(e.err, nil))
	log.Info("answering", "socket", opts.socket, "program", opts.program)
	tellReady()
	s := &extauth.Server{Program: opts.program, TimeLimit: opts.timeLimit, AtOnce: opts.atOnce, Log: log}
	if err := s.Serve(ctx, l); err != nil {
		return fmt.Errorf("answering on %s: %w", opts.socket, err)
	}
	log.Info("stopped")
	return nil
}

// An identity is who a process is to become; -1 leaves it as it is.
type identity struct{ uid, gid int }

// identity reads the flags. A user without a group has its own, and not the one
// of whoever starts it.
func (o *authdOptions) identity() (identity, error) {
	who := identity{-1, -1}
	if o.uid != "" {
		u, err := user.Lookup(o.uid)
		if n, numErr := strconv.ParseUint(o.uid, 10, 31); numErr == nil {
			if u, err = user.LookupId(o.uid); err != nil { // numbers need no entry
				u, err = &user.User{Uid: strconv.FormatUint(n, 10), Gid: strconv.FormatUint(n, 10)}, nil
			}
		}
		if err != nil {
			return who, usagef("-u: %w", err)
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return who, usagef("-u: %s has no numbers for ids", o.uid)
		}
		who = identity{uid, gid}
	}
	if o.gid != "" {
		gid, err := groupID(o.gid)
		if err != nil {
			return who, usagef("-g: %w", err)
		}
		who.gid = gid
	}
	return who, nil
}

// become makes the whole process that of who, with no other groups.
func (who identity) become() error {
	if who.gid >= 0 {
		err := syscall.Setgroups([]int{who.gid})
		if err == nil {
			err = syscall.Setgid(who.gid)
		}
		if err != nil {
			return withHint(fmt.Errorf("becoming group %d: %w", who.gid, err), "only root can")
		}
	}
	if who.uid >= 0 {
		if err := syscall.Setuid(who.uid); err != nil {
			return withHint(fmt.Errorf("becoming user %d: %w", who.uid, err), "only root can")
		}
	}
	return nil
}
