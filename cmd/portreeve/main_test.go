package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets a script run this program as the command "portreeve".
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"portreeve": main})
}

// tests are those of a *testing.M, and tidying up after all of them.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer built.remove()
	return m.M.Run()
}

// TestScripts runs the program as a user would: each file in testdata/script is
// a session at the prompt with what it must print and its exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PORTREEVE_DB", env.WorkDir+"/users.db")
			env.Setenv("PORTREEVE_SOCKET", env.WorkDir+"/control.sock")
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector waits a second at each program's end
			return nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// exits runs a command that must end with a code: "exits 3 portreeve who".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}
