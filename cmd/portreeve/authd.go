package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portreeve/server/cert"
	"portreeve/server/control"
	"portreeve/server/extauth"
	"portreeve/server/query"
)

// A responder is a command that answers on a socket by what a program says.
type responder struct {
	protocol query.Protocol

	socket     string
	program    string
	background bool
	uid, gid   string
	pidFile    string
	timeLimit  time.Duration
	atOnce     int
}

func newAuthd(e *env) *cobra.Command {
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
	}
	return respond(e, cmd, extauth.Protocol())
}

func newCertd(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certd -s SOCKET -r PROGRAM",
		Short: "Run a program that chooses certificates",
		Long: `Certd answers, on a Unix socket, servers that have it in ExtCert: ours, and
Pure-FTPd. For each client that names a host as TLS begins it runs a program, as
pure-certd does, which gets that name in its environment:

  CERTD_SNI_NAME                     letters, digits, ".", "-" and "_"

What it prints is the answer, of lines in any order, and then "end":

  action:deny                        the connection is closed; so it is without
                                     an action
  action:default                     the server shows its own certificate
  action:strict                      it shows that of the file, or closes
  action:fallback                    it shows that of the file, or its own
  cert_file:/PATH                    of the certificate and those above it
  key_file:/PATH                     of the key, if that is in another file

The server reads the files, as root where it was started by root. A program that
does not get to "end" in time is ended, and the connection closed.

The socket is for its owner alone. SIGTERM ends certd once the clients that have
come are answered.`,
		Example: `  portreeve certd -s /run/ftpd-certs.sock -r /usr/local/bin/ftp-cert
  portreeve certd -s /run/ftpd-certs.sock -r /usr/local/bin/ftp-cert -B \
    -u nobody -p /run/certd.pid --time-limit 3s
  portreeve serve --tls 1 --extcert /run/ftpd-certs.sock`,
	}
	return respond(e, cmd, cert.Protocol())
}

// respond gives a command the flags of those that answer by a program, and has it
// answer in a protocol.
func respond(e *env, cmd *cobra.Command, protocol query.Protocol) *cobra.Command {
	r := responder{protocol: protocol}
	cmd.Args = cobra.NoArgs
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&r.socket, "socket", "s", "", "`path` of the socket to answer on")
	fs.StringVarP(&r.program, "run", "r", "", "absolute `path` of the program")
	fs.BoolVarP(&r.background, "daemonize", "B", false, "go to the background once it listens")
	fs.StringVarP(&r.uid, "uid", "u", "", "`user`, by number or name, to run as once it listens")
	fs.StringVarP(&r.gid, "gid", "g", "", "`group`, by number or name, to run as; default is that of the user")
	fs.StringVarP(&r.pidFile, "pidfile", "p", "", "`path` of a file for the process id")
	fs.DurationVar(&r.timeLimit, "time-limit", 10*time.Second, "how long the program may take")
	fs.IntVar(&r.atOnce, "at-once", 8, "most runs of the program at a time, a `number`; with pure-"+cmd.Name()+" it is 1")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context(), e, cmd.Name()) }
	return cmd
}

func (r *responder) validate(command string) error {
	switch {
	case r.socket == "" || r.program == "":
		return withHint(usagef("%s needs -s SOCKET and -r PROGRAM", command), "portreeve %s --help describes them", command)
	case r.timeLimit <= 0:
		return usagef("--time-limit: %s is no time", r.timeLimit)
	case r.atOnce < 1:
		return usagef("--at-once: %d lets nothing run", r.atOnce)
	}
	return checkProgram(r.program)
}

func (r *responder) run(ctx context.Context, e *env, command string) error {
	if err := r.validate(command); err != nil {
		return err
	}
	who, err := identify(r.uid, r.gid)
	if err != nil {
		return err
	}
	if r.background && os.Getenv(readyVariable) == "" {
		return goBackground(e)
	}
	l, err := control.Listen(r.socket, 0o600, -1)
	if err != nil {
		return err
	}
	defer l.Close()
	if r.pidFile != "" {
		if err := os.WriteFile(r.pidFile, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
			return fmt.Errorf("writing the process id: %w", err)
		}
		defer os.Remove(r.pidFile) // if it still may
	}
	if err := who.become(); err != nil {
		return err
	}
	syscall.Umask(0o077) // what the program writes is for whoever it runs as, as there
	log := slog.New(slog.NewTextHandler(e.err, nil))
	log.Info("answering", "socket", r.socket, "program", r.program)
	tellReady()
	s := &query.Server{Protocol: r.protocol, Program: r.program, TimeLimit: r.timeLimit, AtOnce: r.atOnce, Log: log}
	if err := s.Serve(ctx, l); err != nil {
		return fmt.Errorf("answering on %s: %w", r.socket, err)
	}
	log.Info("stopped")
	return nil
}

// An identity is who a process is to become; -1 leaves it as it is.
type identity struct{ uid, gid int }

// identify reads the flags -u and -g. A user without a group has its own, and not
// the one of whoever starts it.
func identify(name, group string) (identity, error) {
	who := identity{-1, -1}
	if name != "" {
		u, err := user.Lookup(name)
		if n, numErr := strconv.ParseUint(name, 10, 31); numErr == nil {
			if u, err = user.LookupId(name); err != nil { // numbers need no entry
				u, err = &user.User{Uid: strconv.FormatUint(n, 10), Gid: strconv.FormatUint(n, 10)}, nil
			}
		}
		if err != nil {
			return who, usagef("-u: %w", err)
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return who, usagef("-u: %s has no numbers for ids", name)
		}
		who = identity{uid, gid}
	}
	if group != "" {
		gid, err := groupID(group)
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
