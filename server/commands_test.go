package server

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table is complete, in order, and names nothing twice.
func TestCommandTable(t *testing.T) {
	seen := make(map[string]bool)
	feats := make(map[string]bool)
	cfg := DefaultConfig()
	cfg.Compression = 9
	rig := &session{cfg: &cfg}
	form := regexp.MustCompile(`^[A-Z][A-Z0-9@]{2,7}$|^SITE [A-Z]+$`)
	for i, c := range commands {
		if i > 0 && commands[i-1].name >= c.name {
			t.Errorf("%s stands after %s", c.name, commands[i-1].name)
		}
		for _, name := range append([]string{c.name}, c.also...) {
			if !form.MatchString(name) {
				t.Errorf("%q is no name of a command", name)
			}
			if seen[name] {
				t.Errorf("%s has two rows", name)
			}
			seen[name] = true
			if slices.Contains(notHere, name) || slices.Contains(notFTP, name) {
				t.Errorf("%s is offered and refused", name)
			}
			if byName[name] == nil || byName[name].name != c.name {
				t.Errorf("%s is not found by its name", name)
			}
		}
		if c.run == nil || c.rfc == "" || !strings.Contains(c.help, "- ") {
			t.Errorf("%s lacks what runs it, its standard or its help", c.name)
		}
		takes := c.arg == aWord || c.arg == aPath
		if c.name != "SITE" && takes != strings.HasPrefix(c.help, "<") && takes != regexp.MustCompile(`^[A-Z|]`).MatchString(c.help) {
			t.Errorf("%s: the help %q does not fit its argument", c.name, c.help)
		}
		if c.need&ends != 0 && c.arg != noArg || c.need&during != 0 && c.arg != maybePath {
			t.Errorf("%s cannot be said during a transfer", c.name)
		}
		if c.feat != nil {
			line := c.feat(rig)
			if line == "" && c.on == nil || strings.HasPrefix(line, " ") || feats[line] {
				t.Errorf("%s: the line %q of FEAT is empty, indented or there twice", c.name, line)
			}
			feats[line] = true
		}
	}
	if !slices.IsSorted(notHere) || !slices.IsSorted(notFTP) {
		t.Error("a list of refused commands is not in order")
	}
}

// A command that the configuration switches off is in neither FEAT nor HELP, and
// answered 502.
func TestCommandOff(t *testing.T) {
	size, chmod := lookup("SIZE"), byName["SITE CHMOD"]
	off := func(*Config) bool { return false }
	size.on, chmod.on = off, off
	t.Cleanup(func() { size.on, chmod.on = nil, nil })
	c := newRig(t).dial(netip.AddrPort{})
	c.want(220)
	c.cmd(530, "SIZE f")
	c.login("alice")
	for _, list := range []string{"FEAT", "HELP", "HELP SITE"} {
		c.say("%s", list)
		if _, text, err := c.read(); err != nil || strings.Contains(text, "SIZE") || strings.Contains(text, "CHMOD") {
			t.Errorf("%s tells of what is off: %q, %v", list, text, err)
		}
	}
	c.cmd(502, "SIZE f")
	c.cmd(502, "SITE CHMOD 600 f")
	c.cmd(501, "HELP SIZE")
}

// Every command is said in a transcript.
func TestCommandsAreProven(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, c := range commands {
		if !regexp.MustCompile(`(?m)^> ` + c.name + `( |$)`).Match(all.Bytes()) {
			t.Errorf("no transcript says %s", c.name)
		}
	}
}
