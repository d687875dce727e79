package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"portreeve/server/control"
)

// What the commands share that ask the daemon.

func addSocketFlag(e *env, fs *pflag.FlagSet, socket *string) {
	fs.StringVar(socket, "socket", e.defaultSocket(), "control socket of the daemon, a `path`; also $PORTREEVE_SOCKET")
}

// client returns a client that warns, once, of a daemon of another version.
func (e *env) client(socket string) *control.Client {
	return &control.Client{Socket: socket, Version: version(), Differs: func(daemon string) {
		fmt.Fprintf(e.err, "portreeve: warning: the daemon is version %s and this is %s; restart the daemon\n", visible(daemon), version())
	}}
}

// daemonError adds to what the client says how it may be mended.
func daemonError(err error) error {
	switch {
	case errors.Is(err, control.ErrNoDaemon):
		return fmt.Errorf(`%w; "portreeve serve" starts one`, err)
	case errors.Is(err, control.ErrDenied):
		return withHint(err, "root may do everything, ControlSocketGroup may look, ControlGroup may change")
	}
	return err
}
