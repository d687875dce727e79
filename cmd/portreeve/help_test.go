package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelpFits asks every command for help: no line is wider than a terminal.
func TestHelpFits(t *testing.T) {
	began := false
	root := newRoot(&env{in: strings.NewReader(""), out: new(bytes.Buffer), err: new(bytes.Buffer), getenv: func(string) string { return "" }}, &began)
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		var help bytes.Buffer
		if err := writeHelp(&help, cmd); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(help.String(), "\n") {
			if columns(line) > helpWidth {
				t.Errorf("%s --help has a line of %d columns: %s", cmd.CommandPath(), columns(line), line)
			}
		}
		seen++
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
	if seen < 20 {
		t.Errorf("only %d commands were asked", seen)
	}
}
