package logfile

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no string // paths, by commas
	}{
		{"*.pdf", "/a/b.pdf,/.pdf,x.pdf", "/a/b.pdfx,/b.pdf/c"},
		{"/srv/*", "/srv/a,/srv/", "/srv,/srv/a/b,/x/srv/a"},
		{"/srv/**", "/srv/a,/srv/a/b/c", "/srv,/srvx"},
		{"/srv/", "/srv/a,/srv/a/b/c", "/srv,/srvx"},
		{"/srv/**/x", "/srv/x,/srv/a/x,/srv/a/b/x", "/srv/ax,/srv/x/y,/x"},
		{"**/x", "x,/x,/a/x,/a/b/x", "/ax,/x/y"},
		{"/a**z", "/az,/a/b/z,/abz", "/a/b"},
		{"/a/*/b*c", "/a/x/bc,/a/x/bbcc", "/a/x/b/c,/a/bc,/a/x/b/bc/bc"},
		{"/**/a*b/c", "/aab/c,/ab/x/ab/c", "/a/b/c"},
		{"f?o", "/foo,/fäo,/f\xffo", "/fo,/f/o,/fooo"},
		{"[a-cä]x", "/ax,/bx,/äx", "/dx,/x,/abx"},
		{"[!a-c]x", "/dx", "/ax,/x"},
		{"[]a]x", "/]x,/ax", "/bx"},
		{"[a-]x", "/-x,/ax", "/bx"},
		{`\*x`, "/*x", "/ax"},
		{"/a b/ü", "/a b/ü", "/a_b/ü"},
		{"*", "/a,/a/b,/", ""},
		{"/", "/,/a,/a/b", ""},
	} {
		g, err := ParseGlob(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		for path := range strings.SplitSeq(tt.yes, ",") {
			if !g.Match(path) {
				t.Errorf("%s is not like %s", path, tt.pattern)
			}
		}
		for path := range strings.SplitSeq(tt.no, ",") {
			if tt.no != "" && g.Match(path) {
				t.Errorf("%s is like %s", path, tt.pattern)
			}
		}
	}
	for _, pattern := range []string{"", "[a", `a\`, "[]"} {
		if _, err := ParseGlob(pattern); err == nil {
			t.Errorf("%q is a pattern", pattern)
		}
	}
}

// FuzzGlob compares with regular expressions.
func FuzzGlob(f *testing.F) {
	f.Add("/a/**/b*", "/a/x/bc")
	f.Add("*a*b**c*/d", "/xaxbx/c/d")
	f.Add("**/a/**/b?/*", "a/a/bb/")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		keep := func(r rune) rune {
			if strings.ContainsRune("ab/*?", r) {
				return r
			}
			return -1
		}
		pattern = strings.Map(keep, pattern)
		path = strings.Map(keep, path)
		if len(pattern) > 40 || len(path) > 60 {
			return
		}
		g, err := ParseGlob(pattern)
		if err != nil {
			return
		}
		whole := pattern
		if strings.HasSuffix(whole, "/") {
			whole += "**"
		}
		if !strings.Contains(pattern, "/") {
			path = path[strings.LastIndexByte(path, '/')+1:]
		}
		var re strings.Builder
		for rest := whole; rest != ""; {
			stars := len(rest) - len(strings.TrimLeft(rest, "*"))
			first := len(rest) == len(whole) || whole[len(whole)-len(rest)-1] == '/'
			switch {
			case stars > 1 && first && strings.HasPrefix(rest[stars:], "/"):
				re.WriteString("(.*/)?")
				rest = rest[stars+1:]
			case stars > 1:
				re.WriteString(".*")
				rest = rest[stars:]
			case stars == 1:
				re.WriteString("[^/]*")
				rest = rest[1:]
			case rest[0] == '?':
				re.WriteString("[^/]")
				rest = rest[1:]
			default:
				re.WriteString(regexp.QuoteMeta(rest[:1]))
				rest = rest[1:]
			}
		}
		if want := regexp.MustCompile("^" + re.String() + "$").MatchString(path); g.Match(path) != want {
			t.Errorf("%q is like %q: %v, not %v (%s)", path, pattern, !want, want, re.String())
		}
	})
}

func TestFilter(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	e := logparse.Entry{Time: at, Event: logparse.Transfer, Direction: logparse.Upload, Status: logparse.Cut, Bytes: 100,
		Host: "::ffff:192.0.2.7", User: "ann", Path: "/in/a.pdf"}
	login := logparse.Entry{Time: at, Event: logparse.Login, Status: logparse.Failed, Host: "www.Example.com.", User: "bob"}
	client := func(text string) []Client {
		c, err := ParseClient(text)
		if err != nil {
			t.Fatal(err)
		}
		return []Client{c}
	}
	glob, _ := ParseGlob("/in/*")
	for name, tt := range map[string]struct {
		filter      Filter
		file, login bool
	}{
		"none":       {Filter{}, true, true},
		"user":       {Filter{Users: []string{"x", "ann"}}, true, false},
		"network":    {Filter{Clients: client("192.0.2.0/24")}, true, false},
		"other":      {Filter{Clients: client("192.0.3.0/24")}, false, false},
		"mapped":     {Filter{Clients: client("::ffff:192.0.2.0/120")}, true, false},
		"address":    {Filter{Clients: client("192.0.2.7")}, true, false},
		"host":       {Filter{Clients: client("www.example.com")}, false, true},
		"domain":     {Filter{Clients: client("*.EXAMPLE.com")}, false, true},
		"parent":     {Filter{Clients: client("example.com")}, false, false},
		"path":       {Filter{Paths: []Glob{glob}}, true, false},
		"up":         {Filter{Directions: []Direction{Up}}, true, false},
		"down":       {Filter{Directions: []Direction{Down, Delete}}, false, false},
		"incomplete": {Filter{Outcomes: []logparse.Status{logparse.Cut}}, true, false},
		"failed":     {Filter{Outcomes: []logparse.Status{logparse.Failed}}, false, true},
		"login":      {Filter{Events: []logparse.Event{logparse.Login}}, false, true},
		"least":      {Filter{Least: 100}, true, false},
		"more":       {Filter{Least: 101}, false, false},
		"below":      {Filter{Below: 101}, true, false},
		"empty":      {Filter{Below: 1}, false, false},
		"since":      {Filter{Window: Window{Since: at}}, true, true},
		"until":      {Filter{Window: Window{Until: at}}, false, false},
	} {
		if got := tt.filter.Match(&e); got != tt.file {
			t.Errorf("%s: of the file it says %v", name, got)
		}
		if got := tt.filter.Match(&login); got != tt.login {
			t.Errorf("%s: of the login it says %v", name, got)
		}
	}
	if _, err := ParseClient("192.0.2.0/33"); err == nil {
		t.Error("a network of 33 bits")
	}
}
