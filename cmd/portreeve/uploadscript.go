package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portreeve/server/spool"
)

// An uploadScript runs a program for uploads.
type uploadScript struct {
	spool      string
	program    string
	background bool
	uid, gid   string
	pidFile    string
	timeLimit  time.Duration
	atOnce     int
}

func newUploadScript(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "uploadscript -r PROGRAM",
		Short: "Run a program for each upload",
		Long: `Uploadscript runs a program for each file that was uploaded to a server with
CallUploadScript, in the order in which they came. The program gets the path of
the file as its argument, just as it is: a name may have spaces, line ends and
anything else that clients make up. In its environment are:

  UPLOAD_SIZE                     bytes
  UPLOAD_PERMS                    permissions, in octal
  UPLOAD_UID UPLOAD_GID           owner and group
  UPLOAD_USER UPLOAD_GROUP        their names, or the numbers if they have none
  UPLOAD_VUSER                    the account
  UPLOAD_STATUS                   complete, or unconfirmed if the client left
                                  without awaiting that: it may be a part

It runs in "/". Uploads that broke off are not told, nor are files that are
gone, or are links, by the time of their turn. A program that fails is logged,
and not run again for that.

The server and uploadscript need not know of each other, and either may end at
any time. What is uploaded waits in a folder until the program has run for it; a
program that was cut off, when the machine stopped or uploadscript was killed,
is run for the same file again. So each upload is told at least once, and a
program should bear to be told twice. A program that is not there, or hangs,
makes uploads wait, up to a limit; "portreeve status" tells how many do. SIGTERM
lets the program that runs end, for ten seconds.`,
		Example: `  portreeve uploadscript -r /usr/local/bin/scan-upload
  portreeve uploadscript -r /usr/local/bin/scan-upload -B -u nobody \
    -p /run/uploadscript.pid --time-limit 5m --at-once 4
  portreeve serve --uploadscript`,
		Args: cobra.NoArgs,
	}
	var u uploadScript
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&u.program, "run", "r", "", "absolute `path` of the program")
	fs.StringVar(&u.spool, "spool", uploadsBeside(e.defaultDB()), "folder where uploads wait, a `path`: what UploadSpool says")
	fs.BoolVarP(&u.background, "daemonize", "B", false, "go to the background once it reads")
	fs.StringVarP(&u.uid, "uid", "u", "", "`user`, by number or name, to run the program as")
	fs.StringVarP(&u.gid, "gid", "g", "", "`group`, by number or name, to run it as; default is that of the user")
	fs.StringVarP(&u.pidFile, "pidfile", "p", "", "`path` of a file for the process id")
	fs.DurationVar(&u.timeLimit, "time-limit", 0, "how long the program may take for a file; 0 is any time")
	fs.IntVar(&u.atOnce, "at-once", 1, "most runs of the program at a time, a `number`; with more than 1 they have no order")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return u.run(cmd.Context(), e) }
	return cmd
}

func (u *uploadScript) validate() error {
	switch {
	case u.program == "":
		return withHint(usagef("uploadscript needs -r PROGRAM"), "portreeve uploadscript --help describes it")
	case u.timeLimit < 0:
		return usagef("--time-limit: %s is no time", u.timeLimit)
	case u.atOnce < 1:
		return usagef("--at-once: %d lets nothing run", u.atOnce)
	case !filepath.IsAbs(u.spool):
		return usagef("--spool: %q is not an absolute path", u.spool)
	}
	return checkProgram(u.program)
}

// checkProgram refuses what could not be run.
func checkProgram(path string) error {
	if !filepath.IsAbs(path) {
		return usagef("-r: %q is not an absolute path", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("looking for the program: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return withHint(fmt.Errorf("%s is no program that can be run", path), "chmod +x %s makes it one", path)
	}
	return nil
}

func (u *uploadScript) run(ctx context.Context, e *env) error {
	if err := u.validate(); err != nil {
		return err
	}
	who, err := identify(u.uid, u.gid)
	if err != nil {
		return err
	}
	as, err := who.credential()
	if err != nil {
		return err
	}
	if u.background && os.Getenv(readyVariable) == "" {
		return goBackground(e)
	}
	log := slog.New(slog.NewTextHandler(e.err, nil))
	r, err := spool.Read(u.spool, log)
	if errors.Is(err, spool.ErrBusy) {
		return withHint(err, "either uploadscript runs already, or the server feeds UploadPipe")
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if u.pidFile != "" {
		if err := os.WriteFile(u.pidFile, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
			return fmt.Errorf("writing the process id: %w", err)
		}
		defer os.Remove(u.pidFile)
	}
	log.Info("reading", "spool", u.spool, "program", u.program)
	tellReady()
	output, _ := e.err.(*os.File)
	runner := spool.Runner{Program: u.program, As: as, AtOnce: u.atOnce, Limit: u.timeLimit, Log: log, Output: output}
	if err := runner.Run(ctx, r); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// credential is for a program that is run as who; nil is as this process.
func (who identity) credential() (*syscall.Credential, error) {
	uid, gid := os.Geteuid(), os.Getegid()
	if who.uid < 0 && who.gid < 0 || !isRoot() && who.uid == uid && who.gid == gid {
		return nil, nil
	}
	if !isRoot() {
		return nil, withHint(errors.New("running the program as somebody else"), "only root can")
	}
	if who.uid >= 0 {
		uid = who.uid
	}
	if who.gid >= 0 {
		gid = who.gid
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
