package server

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"portreeve/server/lang"
)

// said is what the server says somewhere, with the codes it is said with.
type said struct {
	where gotoken.Position
	codes []string
}

// wordsOf collects every text that clients read in their own language: what
// say, sayf and phrasef are given, and the tables of errors and farewells.
func wordsOf(t *testing.T) map[string]*said {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{T: t, files: gotoken.NewFileSet(), consts: make(map[string]string), texts: make(map[string]*said)}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(c.files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		ast.Inspect(f, c.constants)
	}
	for _, f := range parsed {
		ast.Inspect(f, c.visit)
	}
	return c.texts
}

type collector struct {
	*testing.T
	files  *gotoken.FileSet
	consts map[string]string
	texts  map[string]*said
}

func (c *collector) constants(n ast.Node) bool {
	if spec, ok := n.(*ast.ValueSpec); ok {
		for i, name := range spec.Names {
			if i < len(spec.Values) {
				if text, ok := c.text(spec.Values[i]); ok {
					c.consts[name.Name] = text
				}
			}
		}
	}
	return true
}

// tables are variables whose strings are all said.
var tables = []string{"replies", "farewells"}

// speakers are the functions that are given a text, and which argument it is.
var speakers = map[string]int{"say": 1, "sayf": 1, "phrasef": 0}

func (c *collector) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl: // these hand on what they are given
		_, speaks := speakers[n.Name.Name]
		return !speaks
	case *ast.KeyValueExpr: // of a row of the commands
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "help" {
			help, _ := c.text(n.Value)
			_, what, _ := strings.Cut(help, "- ")
			c.add(what, n.Pos(), "")
		}
	case *ast.ValueSpec:
		if slices.Contains(tables, n.Names[0].Name) {
			ast.Inspect(n, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
					text, _ := strconv.Unquote(lit.Value)
					c.add(text, lit.Pos(), "")
				}
				return true
			})
			return false
		}
	case *ast.CallExpr:
		name, ok := n.Fun.(*ast.Ident)
		if !ok {
			return true
		}
		at, ok := speakers[name.Name]
		if !ok || len(n.Args) <= at {
			return true
		}
		code := ""
		if lit, ok := n.Args[0].(*ast.BasicLit); ok && at == 1 {
			code = lit.Value
		}
		if text, ok := c.text(n.Args[at]); ok {
			c.add(text, n.Args[at].Pos(), code)
		} else if field, ok := n.Args[at].(*ast.SelectorExpr); !ok || field.Sel.Name != "text" { // of a row
			c.Errorf("%s: what %s is given is no constant: nobody can translate it", c.files.Position(n.Pos()), name.Name)
		}
	}
	return true
}

func (c *collector) add(text string, pos gotoken.Pos, code string) {
	if !strings.ContainsFunc(strip(text), unicode.IsLetter) {
		return
	}
	if c.texts[text] == nil {
		c.texts[text] = &said{where: c.files.Position(pos)}
	}
	c.texts[text].codes = append(c.texts[text].codes, code)
}

// text returns the value of a constant expression.
func (c *collector) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == gotoken.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.Ident:
		s, ok := c.consts[e.Name]
		return s, ok
	case *ast.BinaryExpr:
		a, ok := c.text(e.X)
		b, also := c.text(e.Y)
		return a + b, ok && also && e.Op == gotoken.ADD
	}
	return "", false
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?([-+# 0]*[\d.]*)([a-zA-Z%])`)

func strip(text string) string { return verb.ReplaceAllString(text, "") }

// verbs returns the verb of each argument, by its number.
func verbs(text string) map[int]string {
	all := make(map[int]string)
	next := 1
	for _, m := range verb.FindAllStringSubmatch(text, -1) {
		if m[3] == "%" {
			continue
		}
		if m[1] != "" {
			next, _ = strconv.Atoi(m[1])
		}
		all[next] = m[2] + m[3]
		next++
	}
	return all
}

// fault tells what is wrong with a translation.
func fault(english, text string, codes []string) string {
	switch {
	case strings.TrimSpace(text) != text || text == "":
		return "is empty, or has blanks around it"
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "has what does not belong in a line"
	case len(text) > lastLine:
		return "is too long for simple clients"
	case !maps.Equal(verbs(english), verbs(text)):
		return "has other verbs"
	case strings.Contains(english, "(%s)") && !strings.Contains(text, "(%s)"): // 522
		return "lacks what programs look for"
	case strings.Contains(english, "(%d bytes)") && !strings.Contains(text, "(%d bytes)"): // 150
		return "lacks what programs look for"
	case slices.Contains(codes, "257") && (!strings.HasPrefix(text, "%s ") || strings.Contains(text, `"`)):
		return "hides the quoted path"
	case regexp.MustCompile(`^\d{3}[ -]`).MatchString(text):
		return "could be taken for a reply"
	}
	return ""
}

// Every language has every text, and no other, with the same facts in it.
func TestCatalogues(t *testing.T) {
	texts := wordsOf(t)
	if len(texts) < 100 {
		t.Fatalf("only %d texts were found", len(texts))
	}
	for _, tag := range lang.Tags() {
		if tag == lang.English {
			continue
		}
		file, err := os.ReadFile(filepath.Join("lang", tag+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var catalogue map[string]string
		if err := json.Unmarshal(file, &catalogue); err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		language, ok := lang.Find(tag)
		if !ok {
			t.Fatalf("%s is not found", tag)
		}
		for _, english := range slices.Sorted(maps.Keys(texts)) {
			text, ok := catalogue[english]
			switch {
			case !ok:
				t.Errorf("%s lacks %q (%s)", tag, english, texts[english].where)
			case language.Say(english) != text:
				t.Errorf("%s: %q is not found in the catalogue", tag, english)
			default:
				if why := fault(english, text, texts[english].codes); why != "" {
					t.Errorf("%s: the translation of %q %s: %q", tag, english, why, text)
				}
			}
		}
		for _, english := range slices.Sorted(maps.Keys(catalogue)) {
			if texts[english] == nil {
				t.Errorf("%s has %q, which nobody says", tag, english)
			}
		}
	}
}
