package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"portreeve/server"
)

// Going to the background: a Go program cannot fork, so it starts itself again
// in a session of its own, and waits until that one listens or says why not.

// readyVariable tells the second process which descriptor to be ready on.
const readyVariable = "PORTREEVE_READY_FD"

const readyFD = 3 // the first of ExtraFiles

// warnBackground tells what the log would, while somebody is looking.
func warnBackground(e *env, cfg server.Config) {
	for _, remark := range cfg.Remarks() {
		fmt.Fprintln(e.err, "portreeve: "+remark)
	}
	if cfg.LogFile == "" && systemFacility(cfg) == "" {
		fmt.Fprintln(e.err, "portreeve: in the background without LogFile and with SyslogFacility none nothing is logged")
	}
}

func goBackground(e *env) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("going to the background: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("going to the background: %w", err)
	}
	defer r.Close()
	complaints, err := os.CreateTemp("", "portreeve-start-")
	if err != nil {
		w.Close()
		return fmt.Errorf("going to the background: %w", err)
	}
	defer complaints.Close()
	defer os.Remove(complaints.Name())
	cmd := exec.Command(program)
	cmd.Args = os.Args // also the name that the program was called by
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", readyVariable, readyFD))
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = complaints // until it is ready; then it lets go
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("going to the background: %w", err)
	}
	if ready, _ := io.ReadAll(r); string(ready) == "ready" {
		return cmd.Process.Release()
	}
	err = cmd.Wait()
	said, _ := os.ReadFile(complaints.Name())
	text := strings.TrimPrefix(strings.TrimSpace(string(said)), "portreeve: ")
	if failed, ok := errors.AsType[*exec.ExitError](err); ok && failed.ExitCode() == exitUsage {
		return usagef("%s", text)
	}
	return errors.New(text)
}

// tellReady lets the process go that started this one in the background. Errors
// go nowhere from then on, unless LogFile names a place.
func tellReady() {
	if os.Getenv(readyVariable) == "" {
		return
	}
	// Programs that this process runs are told nothing of it: one of ours among them
	// would write to whatever it has as that descriptor.
	_ = os.Unsetenv(readyVariable)
	if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		_ = unix.Dup2(int(null.Fd()), 2) // if that fails, errors go to a file that nobody reads
		null.Close()
	}
	ready := os.NewFile(readyFD, "ready")
	_, _ = io.WriteString(ready, "ready") // if the first process is gone, nobody waits
	ready.Close()
}
