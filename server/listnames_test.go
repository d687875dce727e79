package server

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hostileParts are what hostile names are made of: what could end a line, a
// column, a fact or a reply, and what a terminal obeys.
var hostileParts = []string{
	"\n", "\r\n", "\r", "\x1b[2J", "\x7f", "\xff", "\xff\xf4\xff\xf2", "\xfe\xff", "\xc3", "é", "\u202e", "\u2028", "\u0085",
	" ", "  ", "-", "--", "-la", ";", "=", "type=dir;", "; ", "size=9;", " -> ", "->", "213 x", "213-", "226 Done", "250 End", "212 End", "\t",
	"drwxr-xr-x    1 a          b                   0 Jan  1  2000 forged", "-rw-r--r--", "Nov 22 13:33", ":", "*", "?", "[a]", "{a,b}", `\`, `"`, "%n", "$HOME", "~", "..", ".", "a", "Z", "0",
	strings.Repeat("x", 100), strings.Repeat("é", 60),
}

// hostileName is a name that a file system takes.
func hostileName(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(5) {
		part := hostileParts[rng.IntN(len(hostileParts))]
		if b.Len()+len(part) <= 255 {
			b.WriteString(part)
		}
	}
	if name := b.String(); name != "" && name != "." && name != ".." {
		return name
	}
	return strings.Repeat("n", 1+rng.IntN(255))
}

// listable tells whether a listing is to have a name at all.
func listable(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// parseLong takes a line of ls -l apart as clients do: by its columns up to the
// time, behind which one blank parts it from the name. It returns the type too.
func parseLong(line string) (kind byte, name string, ok bool) {
	if len(line) < 11 || line[10] != ' ' || strings.Trim(line[1:10], "rwxsStT-") != "" {
		return 0, "", false
	}
	rest := line[10:]
	for column := range 7 { // links, owner, group, size, month, day, time
		rest = strings.TrimLeft(rest, " ")
		var field string
		field, rest, ok = strings.Cut(rest, " ")
		if _, err := strconv.Atoi(field); !ok || (column == 0 || column == 3 || column == 5) && err != nil {
			return 0, "", false
		}
	}
	return line[0], rest, true
}

// TestHostileNames makes files with random names of hostile parts, and takes every
// listing apart: each harmless name is in it once, and nothing else.
func TestHostileNames(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	for seed := range rounds {
		listCase(t, "T209, T210, T218, T234 hostile names forge nothing, seed "+strconv.Itoa(seed), func(t *testing.T, r *rig, c *client) {
			rng := rand.New(rand.NewPCG(uint64(seed), 7))
			mkdir(t, r, "d")
			want := map[string]byte{} // harmless names, and what they are
			for range 60 {
				name, kind := hostileName(rng), "-dl"[rng.IntN(3)]
				path := filepath.Join(r.home, "d") + "/" + name
				var err error
				switch kind {
				case '-':
					err = os.WriteFile(path, nil, 0o644)
				case 'd':
					err = os.Mkdir(path, 0o755)
				case 'l':
					err = os.Symlink(hostileName(rng), path)
				}
				if err == nil && listable(name) {
					want[name] = kind
				}
			}
			c.cmd(250, "CWD d")
			checkLong(t, c, want)
			checkMachine(t, c, want)
			c.cmd(200, "NOOP") // nothing is left over from any reply
		})
	}
}

// checkLong holds LIST, STAT and NLST to what is there.
func checkLong(t *testing.T, c *client, want map[string]byte) {
	t.Helper()
	is := func(what string, lines []string) {
		t.Helper()
		seen := map[string]bool{}
		for _, line := range lines {
			kind, name, ok := parseLong(line)
			if kind == 'l' { // the arrow of a link is the first that makes a name of one that is there
				for at := 0; ok && want[name] != 'l'; {
					i := strings.Index(name[at:], " -> ")
					if i < 0 {
						break
					}
					if at += i; want[name[:at]] == 'l' && !seen[name[:at]] {
						name = name[:at]
					}
					at++
				}
			}
			if !ok || want[name] != kind || seen[name] {
				t.Errorf("%s: line %q", what, line)
			}
			seen[name] = true
		}
		if len(seen) != len(want) {
			t.Errorf("%s has %d names of %d", what, len(seen), len(want))
		}
	}
	data, _ := c.retr("LIST -A")
	is("LIST", splitLines(t, data))

	reply := strings.Split(c.cmd(212, "STAT -A"), "\n")
	lines := reply[1 : len(reply)-1]
	for i, line := range lines {
		if !strings.HasPrefix(line, " ") || strings.Contains(strings.ReplaceAll(line, "\xff\xff", ""), "\xff") {
			t.Errorf("STAT: line %q", line)
		}
		lines[i] = strings.ReplaceAll(line[1:], "\xff\xff", "\xff")
	}
	is("STAT", lines)

	data, _ = c.retr("NLST -A")
	names := splitLines(t, data)
	if !slices.IsSorted(names) || len(names) != len(want) {
		t.Errorf("NLST has %d names of %d", len(names), len(want))
	}
	for _, name := range names {
		if want[name] == 0 {
			t.Errorf("NLST: %q", name)
		}
	}
}

// checkMachine holds MLSD and MLST to what is there.
func checkMachine(t *testing.T, c *client, want map[string]byte) {
	t.Helper()
	types := map[byte]string{'-': "file", 'd': "dir", 'l': "OS.unix=s"}
	data, _ := c.retr("MLSD")
	m := factsOf(t, data)
	delete(m, ".")
	delete(m, "..")
	if len(m) != len(want) {
		t.Errorf("MLSD has %d names of %d", len(m), len(want))
	}
	for name, facts := range m {
		if kind := want[name]; kind == 0 || !strings.HasPrefix(fact1(facts, "type"), types[kind]) {
			t.Errorf("MLSD: %q is %q", name, facts)
		}
	}
	for name, kind := range want {
		c.say("%s", "MLST "+strings.ReplaceAll(name, "\xff", "\xff\xff"))
		lines := strings.Split(c.want(250), "\n")
		if len(lines) != 3 {
			t.Fatalf("MLST of %q: %q", name, lines)
		}
		facts, path, _ := strings.Cut(strings.ReplaceAll(lines[1], "\xff\xff", "\xff")[1:], " ")
		if path != "/d/"+name || !strings.HasPrefix(fact1(facts, "type"), types[kind]) {
			t.Errorf("MLST of %q: %q", name, lines)
		}
	}
}
