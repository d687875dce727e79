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

	"portreeve/userdb"
)

// A change of many users is shown before it is made. What is shown is what is made:
// the database refuses it if one of these users is no longer as it was then.

// confirmOptions are what commands share that show first.
type confirmOptions struct{ yes, dryRun, json bool }

func (o *confirmOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.yes, "yes", false, "do it, without showing it and asking")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would change, and change nothing")
	f.BoolVar(&o.json, "json", false, "print JSON, an object a line for each user")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if o.yes && o.dryRun {
			return usagef("--yes does it, and --dry-run does not")
		}
		return nil
	}
}

// nothing says that there is nothing to do; in JSON no line does.
func (o confirmOptions) nothing(e *env, said string) error {
	if o.json {
		return nil
	}
	return e.say(said)
}

// commit shows edits under a heading, asks, and makes them.
func (o confirmOptions) commit(ctx context.Context, e *env, edits *userdb.Edits, heading string) error {
	users := counted(edits.Len(), "user", "users")
	if !o.yes {
		if err := o.show(e, edits, heading); err != nil || o.dryRun {
			return err
		}
		switch agreed, err := e.ask(ctx, "Change "+users+"? [y/N] "); {
		case err != nil:
			return err
		case !agreed:
			return errors.New("nothing is changed")
		}
	}
	progress := newProgress(e, false)
	err := edits.Commit(func(n int) { progress.step("writing", n) })
	progress.end()
	if errors.Is(err, userdb.ErrConflict) {
		return withHint(fmt.Errorf("%w; nothing is changed", err), "run the command again: it shows what would change now")
	}
	switch {
	case err != nil:
		return pwError(err)
	case o.json && !o.yes:
		return nil
	case o.json:
		return writeDeltaLines(e.out, edits)
	case !edits.Undoable():
		return e.say(fmt.Sprintf("%s changed by change %d, which is too large to be undone", users, edits.Number()))
	}
	return e.say(fmt.Sprintf("%s changed; portreeve pw undo %d takes it back", users, edits.Number()))
}

// show prints what would become of the first users.
func (o confirmOptions) show(e *env, edits *userdb.Edits, heading string) error {
	if o.json {
		return writeDeltaLines(e.out, edits)
	}
	const most = 20
	if heading != "" {
		if err := e.say(heading); err != nil {
			return err
		}
	}
	t := newDeltaTable(e.out)
	n := 0
	for d := range edits.Deltas() {
		if n == most {
			break
		}
		n++
		t.add(d)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if more := edits.Len() - n; more > 0 {
		if err := e.say(fmt.Sprintf("and %s; --json shows them all", counted(more, "more user", "more users"))); err != nil {
			return err
		}
	}
	if !edits.Undoable() {
		return e.say("this is too large to be undone; see portreeve pw history --help")
	}
	return nil
}

// ask asks a question at the terminal. Elsewhere nobody can answer.
func (e *env) ask(ctx context.Context, question string) (bool, error) {
	f, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, withHint(errors.New("nothing is changed: there is no terminal to ask at"), "--yes does it, --dry-run shows it alone")
	}
	fmt.Fprint(e.err, question)
	line, err := awaited(ctx, func() (string, error) { return bufio.NewReader(f).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(e.err)
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// writeDeltaLines prints what becomes of each user as JSON, and by which change.
func writeDeltaLines(w io.Writer, edits *userdb.Edits) error {
	out := bufio.NewWriterSize(w, 64<<10)
	for d := range edits.Deltas() {
		line := struct {
			Change uint64 `json:"change,omitzero"`
			userdb.Delta
		}{edits.Number(), d}
		if err := writeJSONLine(out, line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// A deltaTable prints a line for each attribute of each user. What is wider than its
// column goes on below, so that no part of a value is hidden.
type deltaTable struct {
	out   *bufio.Writer
	begun bool
}

func newDeltaTable(w io.Writer) *deltaTable { return &deltaTable{out: bufio.NewWriter(w)} }

// deltaWidths are the widths of the columns, 80 with two blanks between.
var deltaWidths = [...]int{17, 14, 21, 22}

func (t *deltaTable) add(d userdb.Delta) {
	if !t.begun {
		t.begun = true
		t.row("USER", "ATTRIBUTE", "BEFORE", "AFTER")
	}
	user := d.User
	if d.What != "changed" {
		t.row(user, d.What, "", "")
		user = ""
	}
	if d.What == "removed" {
		return
	}
	for _, a := range d.Attributes {
		t.row(user, a.Name, orDash(a.Before), orDash(a.After))
		user = ""
	}
}

func (t *deltaTable) row(cells ...string) {
	parts, most := make([][]string, len(cells)), 0
	for i, cell := range cells {
		parts[i] = broken(visible(cell), deltaWidths[i])
		most = max(most, len(parts[i]))
	}
	for n := range most {
		var line strings.Builder
		for i := range parts {
			cell := ""
			if n < len(parts[i]) {
				cell = parts[i][n]
			}
			line.WriteString(pad(cell, deltaWidths[i]+2))
		}
		t.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func (t *deltaTable) flush() error { return t.out.Flush() }

// broken parts text into lines of so many columns: behind a blank or a comma, if one
// is in the second half of the line.
func broken(text string, width int) (lines []string) {
	start, used, after := 0, 0, 0
	for i, r := range text {
		n := columns(string(r))
		if used+n > width {
			end := i
			if after > start && columns(text[start:after]) > width/2 {
				end = after
			}
			lines = append(lines, text[start:end])
			start, used = end, columns(text[end:i])
		}
		if used += n; r == ' ' || r == ',' {
			after = i + 1
		}
	}
	return append(lines, text[start:])
}
