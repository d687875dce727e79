package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// A door is a program of Pure-FTPd's that this one stands in for when it is called
// by its name, through a link or as a copy: it takes that program's options, prints
// its formats and exits with its codes, so that what calls it need not know.
type door struct {
	name    string
	folder  string // where it is installed: "bin" or "sbin"
	what    string // in a line, for the manual
	use     string // its arguments
	about   string // paragraphs for the manual
	example string
	options func() []option
	codes   []exitMeaning
	// departs are the sentences that tell where it does not do what the program
	// does: what is better left, and what nobody can want back.
	departs []string
	run     func(context.Context, *env, *doorCall) int
}

// A doorCall is how a door was called.
type doorCall struct {
	*door
	args []string
}

type exitMeaning struct {
	code    int
	meaning string
}

// newDoors returns all doors. It is the one place that knows of them: links, manual
// and tests are made from it.
func newDoors() []*door {
	return []*door{
		doorFTPD(),
		doorPw(),
		doorWho(),
		doorQuota(),
		doorAuthd(),
		doorCertd(),
		doorUploadScript(),
		doorMRTG(),
		doorStats(),
		doorConvert(),
		doorFail(),
	}
}

// doorNamed returns the door that a program called by this path is, or nil.
func doorNamed(path string) *door {
	name := filepath.Base(path)
	for _, d := range newDoors() {
		if d.name == name {
			return d
		}
	}
	return nil
}

// enter runs a door and returns its exit code.
func (d *door) enter(ctx context.Context, e *env, args []string) int {
	return d.run(ctx, e, &doorCall{d, args})
}

// say prints a line to standard error, as the programs do: without their name.
func (c *doorCall) say(e *env, format string, args ...any) {
	fmt.Fprintln(e.err, visible(fmt.Sprintf(format, args...)))
}

// complain prints what getopt does, which begins with the program's name.
func (c *doorCall) complain(e *env, err error) {
	fmt.Fprintf(e.err, "%s: %s\n", c.name, visible(err.Error()))
}

// writeOptions prints what the daemons of Pure-FTPd answer to -h.
func (c *doorCall) writeOptions(w io.Writer) {
	options := c.options()
	slices.SortStableFunc(options, func(a, b option) int { // as there, whatever the case
		return cmp.Compare(a.letter|' ', b.letter|' ')
	})
	for _, o := range options {
		if o.letter == 0 {
			continue
		}
		argument := ""
		if o.value != "" {
			argument = "<opt>"
		}
		fmt.Fprintf(w, "-%c\t--%s\t%s\n", o.letter, o.long, argument)
	}
}

// helpOption is -h of those that have it.
var helpOption = option{letter: 'h', long: "help", help: "Print the options and exit."}
