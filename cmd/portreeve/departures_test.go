package main

import (
	"fmt"
	"io"
	"strings"
)

// A departure is a case that is deliberately not followed.
type departure struct{ does, why string }

// departures are told in docs/conformance.md.
var departures = map[int]departure{}

// attacks are the known ways to harm an FTP server or its users, each with the
// tests that play it: cases by their number, other tests by their name.
var attacks = []struct {
	what  string
	tests []string
}{}

// writeAttacks is the part of the page about them.
func writeAttacks(w io.Writer) {
	fmt.Fprint(w, "\n## Known attacks\n\n| | Attack | Played by |\n|---|---|---|\n")
	for i, a := range attacks {
		fmt.Fprintf(w, "| A%02d | %s | %s |\n", i+1, cell(a.what), strings.Join(a.tests, " "))
	}
}
