package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portreeve/server"
)

// TestArchitecture holds what ARCHITECTURE.md says to what is: the packages, the
// import diagram, and the directives that are accepted and not yet in effect.
func TestArchitecture(t *testing.T) {
	data, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	var want []string
	for _, f := range server.Directives {
		if f.Pending {
			want = append(want, f.Name)
		}
	}
	listed := after(t, text, "when\nit starts with one of them:\n\n")
	if got := quoted(listed); !slices.Equal(got, want) || len(want) == 0 && listed != "There are none." {
		t.Errorf("it has as not yet in effect\n%s\nwhich is\n%q", listed, want)
	}
	for pkg, imports := range mayImport {
		if !strings.Contains(text, "| `"+pkg+"` | ") {
			t.Errorf("it does not say what %s is", pkg)
		}
		row := regexp.MustCompile("(?m)^\\| \\d \\| (?:`[a-z/]+`, )*`" + pkg + "`(?:, `[a-z/]+`)* \\| (.*) \\|$").FindStringSubmatch(text)
		switch {
		case row == nil:
			t.Errorf("it does not say what %s may import", pkg)
		case row[1] != "all below" && !slices.Equal(quoted(row[1]), imports):
			t.Errorf("it lets %s import %s", pkg, row[1])
		}
	}
}

// after returns the paragraph of text after what leads to it.
func after(t *testing.T, text, lead string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, lead)
	if !ok {
		t.Fatalf("there is no %q", lead)
	}
	paragraph, _, _ := strings.Cut(rest, "\n\n")
	return paragraph
}

// quoted returns the words in backquotes.
func quoted(text string) []string {
	var words []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, match[1])
	}
	return words
}
