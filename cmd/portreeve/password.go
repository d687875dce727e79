package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"portreeve/server"
	"portreeve/userdb"
)

// A password is typed or read from standard input. It is never an argument,
// which every user of the machine could see, nor in an error or a log.

// passwordOptions tell where a password comes from and how it is hashed.
type passwordOptions struct {
	ready string        // a hash that was made elsewhere
	cost  server.Config // only its PasswordCost
	jobs  int           // pure-pw's -C and -M, which shape a hash of another kind
	memMB int
}

// addFlags gives cmd its flags; asks tells that cmd reads a password.
func (o *passwordOptions) addFlags(cmd *cobra.Command, asks bool) {
	cmd.Flags().StringVar(&o.ready, "password-hash", "", "`hash` of the password, as pure-pw, crypt(3) or another portreeve made it")
	o.cost = server.DefaultConfig()
	if asks {
		cmd.Flags().Var(costValue(&o.cost), "cost", "what hashing the password costs: log2 of N, r and p of scrypt")
	}
	cmd.Flags().IntVarP(&o.jobs, "concurrent", "C", 0, "accepted and not needed")
	cmd.Flags().IntVarP(&o.memMB, "memory", "M", 0, "accepted and not needed")
	hideFlags(cmd.Flags(), "concurrent", "memory")
}

// hash returns the hash to store: the ready one, or that of a password it asks for.
func (o *passwordOptions) hash(ctx context.Context, e *env) (string, error) {
	if o.ready != "" {
		return o.ready, knownHash(o.ready)
	}
	password, err := askPassword(ctx, e)
	if err != nil {
		return "", err
	}
	hash, err := userdb.Hash(password, userdb.Cost(o.cost.PasswordCost))
	if errors.Is(err, userdb.ErrInvalid) {
		return "", usagef("%w", err)
	}
	return hash, err
}

// knownHash refuses a hash with which nobody could ever log in.
func knownHash(hash string) error {
	if _, err := userdb.Memory(hash); err != nil {
		return withHint(usagef("--password-hash: %w", err), "a hash begins with $7$, $argon2id$, $argon2i$, $2b$, $y$, $6$, $5$ or $1$; in a shell it stands in single quotes")
	}
	return nil
}

// passwordTries is how often two passwords may differ, as with pure-pw.
const passwordTries = 3

// askPassword reads a new password twice: from the terminal, or as two lines.
func askPassword(ctx context.Context, e *env) (string, error) {
	read := lineReader(ctx, e.in)
	if f, ok := e.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		read = func(prompt string) (string, error) { return typed(ctx, f, e.err, prompt) }
	}
	for range passwordTries {
		first, err := read("Password: ")
		if err != nil {
			return "", err
		}
		if first == "" {
			return "", usagef("an empty password is refused: anybody would have it")
		}
		if err := userdb.ValidPassword(first); err != nil {
			return "", usagef("%w", err)
		}
		again, err := read("Enter it again: ")
		if err != nil {
			return "", err
		}
		if first == again {
			return first, nil
		}
		fmt.Fprintln(e.err, "You didn't enter the same password")
	}
	return "", errors.New("no password was entered the same twice")
}

// lineReader returns a function that reads lines of r and ignores its prompt.
func lineReader(ctx context.Context, r io.Reader) func(string) (string, error) {
	lines := bufio.NewReader(r)
	return func(string) (string, error) {
		line, err := awaited(ctx, func() (string, error) { return lines.ReadString('\n') })
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		if errors.Is(err, io.EOF) {
			return "", withHint(usagef("reading the password: standard input ended"), "it is read as two lines, twice the same")
		}
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
}

// typed reads a line from a terminal that does not show it.
func typed(ctx context.Context, f *os.File, prompts io.Writer, prompt string) (string, error) {
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	fmt.Fprint(prompts, prompt)
	line, err := awaited(ctx, func() (string, error) {
		b, err := term.ReadPassword(int(f.Fd()))
		return string(b), err
	})
	fmt.Fprintln(prompts)
	switch {
	case errors.Is(err, errInterrupted):
		return "", errors.Join(err, term.Restore(int(f.Fd()), before)) // what is typed shows again
	case errors.Is(err, io.EOF):
		return "", errors.New("no password was entered")
	case err != nil:
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return line, nil
}

// errInterrupted means that Ctrl-C was pressed while something was asked.
var errInterrupted = errors.New("interrupted; nothing was changed")

// awaited is read(), or errInterrupted if ctx ends first; the read then goes on
// until the process ends, which is soon.
func awaited(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := read()
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-ctx.Done():
		return "", errInterrupted
	}
}
