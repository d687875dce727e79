package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestArchitecture holds what ARCHITECTURE.md says to what is: the packages and the
// import diagram.
func TestArchitecture(t *testing.T) {
	data, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
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

// quoted returns the words in backquotes.
func quoted(text string) []string {
	var words []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, match[1])
	}
	return words
}
