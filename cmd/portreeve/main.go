// Command portreeve is an FTP server and everything that an administrator
// needs beside it: users, live sessions, logs and statistics, in one binary.
//
// This package is wiring and nothing more: one file a command, each with a
// function that makes the command and one that runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"portreeve/server/control"
	"portreeve/server/session"
	"portreeve/userdb"
)

// Threads that act as a user end by ending their goroutine while it is locked
// to them; the main thread cannot end, so the main goroutine keeps it.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	e := &env{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	var code int
	if d := doorNamed(os.Args[0]); d != nil {
		code = d.enter(ctx, e, os.Args[1:])
	} else {
		code = run(ctx, e, os.Args[1:])
	}
	stop()
	os.Exit(code)
}

// An env is what a command touches of the process it runs in, so that tests
// can give it another.
type env struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	command  string // that runs, without the program's name
}

// run runs the command that args spell and returns the exit code.
func run(ctx context.Context, e *env, args []string) int {
	began, err := execute(ctx, e, args)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errAnswered) {
		return exitFailed
	}
	complain(e, err.Error())
	if hinted, ok := errors.AsType[*hintError](err); ok {
		complain(e, "hint: "+hinted.hint)
	}
	if !began { // cobra refused the command line before any command of ours ran
		return exitUsage
	}
	return exitCode(err)
}

// execute runs the command that args spell. Unless one of ours began to run, its
// error is about the command line.
func execute(ctx context.Context, e *env, args []string) (began bool, err error) {
	root := newRoot(e, &began)
	root.SetArgs(args)
	err = root.ExecuteContext(ctx)
	return began, err
}

// complain prints an error, which may have several lines. What it quotes of an
// argument or a file cannot steer the terminal.
func complain(e *env, text string) {
	fmt.Fprint(e.err, "portreeve: ")
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintln(e.err, visible(line))
	}
}

// The exit codes of every command.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2 // the command line, a value or a configuration file is wrong
	exitNoDaemon = 3
	exitNotFound = 4 // no such user or session
)

func exitCode(err error) int {
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, control.ErrNoDaemon):
		return exitNoDaemon
	case errors.Is(err, userdb.ErrNoUser), errors.Is(err, userdb.ErrNoChange), errors.Is(err, session.ErrNoSession):
		return exitNotFound
	}
	return exitFailed
}

// errUsage is the cause of errors about what the user wrote.
var errUsage = errors.New("usage")

// usagef makes an error that ends with exit code 2.
func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

type usageError struct{ error }

func (e *usageError) Is(target error) bool { return target == errUsage }
func (e *usageError) Unwrap() error        { return e.error }

// withHint adds a line to an error that says how it may be mended.
func withHint(err error, format string, args ...any) error {
	return &hintError{err, fmt.Sprintf(format, args...)}
}

type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }
