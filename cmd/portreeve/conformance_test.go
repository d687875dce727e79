package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portreeve/server"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// The numbered cases of protocol conformance: what a server must do when this is
// sent then. A test says by its name which ones it tries.
const cases = 321

// areas are the cases' chapters, by their first number.
var areas = []struct {
	first int
	title string
}{
	{1, "Connection, greeting, lines"},
	{35, "Logging in"},
	{57, "Directories and names"},
	{75, "Renaming"},
	{86, "TYPE, MODE, STRU, ALLO, REST, OPTS, FEAT, LANG, HOST"},
	{103, "Passive and active data connections"},
	{132, "RETR"},
	{151, "STOR, APPE, STOU"},
	{179, "ABOR, STAT and others during a transfer"},
	{194, "LIST and STAT"},
	{219, "NLST"},
	{224, "MLSD, MLST, MDTM, SIZE, MFMT, MFF"},
	{247, "SITE, checksums, others"},
	{263, "TLS"},
	{303, "Attacks and limits"},
	{315, "Real clients"},
}

// A caseTest is a test that says which cases it tries.
type caseTest struct {
	cases []int
	what  string   // the rest of its name
	file  string   // from the root of the project
	verbs []string // what a transcript sends
}

var (
	caseNumbers = regexp.MustCompile(`^(?:T\d{3}(?:, |,| and | to |-| )?)+`)
	caseNumber  = regexp.MustCompile(`T(\d{3})`)
	testOfCase  = regexp.MustCompile(`^Test.*T\d{3}`)
)

// trials finds the tests that name a case: sections of transcripts, functions,
// and the names of cases in tables, which are string literals.
func trials(t *testing.T) []caseTest {
	t.Helper()
	var all []caseTest
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "." && d.Name() != "..":
			return fs.SkipDir
		case strings.HasSuffix(path, "_test.go") && d.Name() != "conformance_test.go":
			found, err := trialsOfGo(path)
			all = append(all, found...)
			return err
		case strings.HasSuffix(path, ".txt") && filepath.Base(filepath.Dir(path)) == "testdata":
			found, err := trialsOfTranscript(path)
			all = append(all, found...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// named makes a trial of a name, if it has numbers.
func named(name, path string) (caseTest, bool) {
	head := caseNumbers.FindString(name)
	if head == "" {
		return caseTest{}, false
	}
	tr := caseTest{what: strings.TrimLeft(strings.TrimPrefix(name, head), ": "), file: strings.TrimPrefix(filepath.ToSlash(path), "../../")}
	for _, m := range caseNumber.FindAllStringSubmatch(head, -1) {
		n, _ := strconv.Atoi(m[1])
		tr.cases = append(tr.cases, n)
	}
	if strings.Contains(head, " to ") && len(tr.cases) == 2 {
		for n := tr.cases[0] + 1; n < tr.cases[1]; n++ {
			tr.cases = append(tr.cases, n)
		}
	}
	return tr, true
}

func trialsOfTranscript(path string) ([]caseTest, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []caseTest
	inCase := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "== "); ok {
			var tr caseTest
			if tr, inCase = named(name, path); inCase {
				all = append(all, tr)
			}
			continue
		}
		if sent, ok := strings.CutPrefix(line, "> "); ok && inCase {
			verb, arg, _ := strings.Cut(strings.ToUpper(sent), " ")
			if verb == "SITE" {
				sub, _, _ := strings.Cut(arg, " ")
				verb += " " + sub
			}
			all[len(all)-1].verbs = append(all[len(all)-1].verbs, verb)
		}
	}
	return all, nil
}

func trialsOfGo(path string) ([]caseTest, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []caseTest
	ast.Inspect(file, func(n ast.Node) bool {
		name := ""
		switch n := n.(type) {
		case *ast.FuncDecl:
			if testOfCase.MatchString(n.Name.Name) {
				head := strings.Join(caseNumber.FindAllString(n.Name.Name, -1), " ")
				first, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimPrefix(n.Doc.Text(), n.Name.Name+" "), "\n", " "), ". ")
				name = head + " " + strings.TrimSuffix(first, ".")
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				name, _ = strconv.Unquote(n.Value)
			}
		}
		if tr, ok := named(name, path); ok {
			all = append(all, tr)
		}
		return true
	})
	return all, nil
}

// conformance is the page of the manual that says which case is tried by what,
// and what is deliberately otherwise.
func conformance(t *testing.T) []byte {
	t.Helper()
	byCase := make(map[int][]caseTest)
	byVerb := make(map[string]map[int]bool)
	for _, tr := range trials(t) {
		for _, n := range tr.cases {
			byCase[n] = append(byCase[n], tr)
			for _, verb := range tr.verbs {
				if byVerb[verb] == nil {
					byVerb[verb] = make(map[int]bool)
				}
				byVerb[verb][n] = true
			}
		}
	}
	var b bytes.Buffer
	b.WriteString("# Conformance\n\nWhat is tried of the protocol, case by case. Each case has a number; a test that\ntries it carries that in its name, so `go test -run T127 ./...` runs it. This page\nis made from the tests and from the table of commands.\n")
	b.WriteString("\n## Deliberately otherwise\n\nWhere a standard or the practice asks for one thing and Portreeve does another:\n\n| Case | What is done | Why |\n|---|---|---|\n")
	for _, n := range slices.Sorted(maps.Keys(departures)) {
		fmt.Fprintf(&b, "| T%03d | %s | %s |\n", n, departures[n].does, departures[n].why)
	}
	for i, a := range areas {
		last := cases
		if i+1 < len(areas) {
			last = areas[i+1].first - 1
		}
		fmt.Fprintf(&b, "\n## %s\n\n| Case | Tried | By |\n|---|---|---|\n", a.title)
		for n := a.first; n <= last; n++ {
			slices.SortFunc(byCase[n], func(a, b caseTest) int { return strings.Compare(a.file+a.what, b.file+b.what) })
			var what, by []string
			for _, tr := range byCase[n] {
				if !slices.Contains(what, tr.what) && tr.what != "" {
					what = append(what, tr.what)
				}
				if !slices.Contains(by, tr.file) {
					by = append(by, tr.file)
				}
			}
			fmt.Fprintf(&b, "| T%03d | %s | %s |\n", n, cell(strings.Join(what, "; ")), strings.Join(by, ", "))
		}
	}
	writeAttacks(&b)
	b.WriteString("\n## Commands\n\n| Command | Cases in which transcripts send it |\n|---|---|\n")
	for _, name := range commandNames(t) {
		var numbers []string
		for _, n := range slices.Sorted(maps.Keys(byVerb[name])) {
			numbers = append(numbers, fmt.Sprintf("T%03d", n))
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.Join(numbers, " "))
	}
	return b.Bytes()
}

// cell makes text safe for a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "\n", " ", "*", `\*`).Replace(s)
}

// commandNames reads the first column of the table of commands.
func commandNames(t *testing.T) []string {
	var b bytes.Buffer
	if err := server.WriteProtocol(&b); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z0-9 ]+)`").FindAllStringSubmatch(b.String(), -1) {
		names = append(names, m[1])
	}
	return names
}

// TestConformancePage holds docs/conformance.md to the tests; make docs writes it.
func TestConformancePage(t *testing.T) {
	const file = docsFolder + "/conformance.md"
	want := conformance(t)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/conformance.md is stale; run make docs (%v)", err)
	}
}
