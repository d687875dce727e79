package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A Runner runs a program for each upload.
type Runner struct {
	Program string
	As      *syscall.Credential // nil: whoever runs it
	AtOnce  int                 // programs at a time
	Limit   time.Duration       // of one; 0 is none
	Log     *slog.Logger
	Output  *os.File // of the program; nil: nowhere
}

const (
	grace      = 10 * time.Second // for programs that run when all is to end, and after SIGTERM
	retryFirst = time.Second      // doubles with each attempt
	retryMost  = time.Minute
)

// Run runs the program for what r has until ctx ends. Then those that run have a
// moment to end; what was cut off is run again by the next Run.
func (run *Runner) Run(ctx context.Context, r *Reader) error {
	hard, kill := context.WithCancel(context.WithoutCancel(ctx)) // ends programs
	defer kill()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, kill) })()
	queue := make(chan *Record)
	faults := make(chan error, run.AtOnce)
	var workers sync.WaitGroup
	for range run.AtOnce {
		workers.Go(func() {
			for rec := range queue {
				if !run.settle(ctx, hard, rec.Upload) {
					continue // it is read again after the next start
				}
				if err := r.Done(rec); err != nil {
					faults <- err
					return
				}
			}
		})
	}
	defer workers.Wait()
	defer close(queue)
	for {
		rec, err := r.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case queue <- rec:
		case err := <-faults:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// settle tells the program of an upload. It is not done if all is to end before.
func (run *Runner) settle(ctx, hard context.Context, u Upload) (done bool) {
	wait := retryFirst
	for {
		started, err := run.tell(hard, u)
		log := run.Log.With("path", u.Path, "user", u.User)
		switch {
		case err == nil:
			return true
		case hard.Err() != nil:
			return false
		case started && !signaled(err):
			log.Warn("the program failed", "err", err)
			return true
		case started: // what ends us may have ended it a moment before
			pause(ctx, time.Second)
			if ctx.Err() != nil {
				return false
			}
			log.Warn("the program was ended", "err", err)
			return true
		}
		run.Log.Error("the program cannot be run; nothing is lost", "program", run.Program, "err", err, "again", wait)
		pause(ctx, wait)
		if ctx.Err() != nil {
			return false
		}
		wait = min(2*wait, retryMost)
	}
}

// signaled tells whether a signal ended the program, and not Limit.
func signaled(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || errors.Is(err, errLimit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// tell runs the program once, and tells whether it began.
func (run *Runner) tell(ctx context.Context, u Upload) (started bool, err error) {
	env, err := environment(u)
	if err != nil {
		run.Log.Warn("an upload is not there any more, or not as it was", "path", u.Path, "user", u.User, "err", err)
		return true, nil
	}
	if run.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, run.Limit, errLimit)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, run.Program, u.Path)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), env...)
	if run.Output != nil { // concrete, since a pipe would keep us waiting for children of the program
		cmd.Stdout, cmd.Stderr = run.Output, run.Output
	}
	// A group of its own, so that a program which hangs ends with all it began.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: run.As}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return false, err
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what is left of the group
		if err != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	if err == nil {
		run.Log.Info("the program has run", "path", u.Path, "user", u.User, "status", string(u.Status), "waited", begun.Sub(u.Time).Round(time.Millisecond), "took", time.Since(begun).Round(time.Millisecond))
	}
	return true, err
}

var errLimit = errors.New("it ran for longer than it may")

// environment is what the program is told beside the path: what Pure-FTPd tells,
// and whether the file is whole. The file must be where it was stored; a link on
// the way would have the program touch what the account may not.
func environment(u Upload) ([]string, error) {
	info, err := os.Lstat(u.Path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	if real, err := filepath.EvalSymlinks(u.Path); err != nil || real != u.Path {
		return nil, fmt.Errorf("its path leads to %s now", real)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fs.ErrInvalid
	}
	uid, gid := strconv.FormatUint(uint64(st.Uid), 10), strconv.FormatUint(uint64(st.Gid), 10)
	owner, group := uid, gid // where there is no name
	if found, err := user.LookupId(uid); err == nil {
		owner = found.Username
	}
	if found, err := user.LookupGroupId(gid); err == nil {
		group = found.Name
	}
	return []string{
		"UPLOAD_SIZE=" + strconv.FormatInt(info.Size(), 10),
		"UPLOAD_PERMS=" + strconv.FormatUint(uint64(st.Mode)&0o7777, 8),
		"UPLOAD_UID=" + uid, "UPLOAD_GID=" + gid,
		"UPLOAD_USER=" + owner, "UPLOAD_GROUP=" + group,
		"UPLOAD_VUSER=" + u.User,
		"UPLOAD_STATUS=" + string(u.Status),
	}, nil
}
