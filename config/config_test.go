package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sample is a struct as the packages that use the table have them: a bit of
// everything, with a second spelling of the list.
type sample struct {
	Name    string
	File    string
	Log     string
	On      bool
	Verbose int
	Count   int
	Idle    time.Duration
	Words   []string
	Ports   PortRange
	Mask    fs.FileMode
	DirMask fs.FileMode
}

func sampleDefaults() sample {
	return sample{Log: "info", Count: 50, Idle: 15 * time.Minute, Words: []string{"one", "two"},
		Ports: PortRange{49152, 65535}, Mask: 0o133, DirMask: 0o022}
}

var sampleTable = Table[sample]{
	{Name: "Greeting", Short: "g", Group: "Network", Help: "What to say. And no more.",
		Bind: func(s *sample) Value { return Text(&s.Name, "text") }},
	{Name: "File", Group: "Network", Restart: true, Help: "A file.",
		Bind: func(s *sample) Value { return Path(&s.File) }},
	{Name: "LogLevel", Group: "Logs", Help: "How much to log.",
		Bind: func(s *sample) Value { return Choice(&s.Log, "info", "warn") }},
	{Name: "Lights", Short: "l", Group: "Network", Help: "Whether it is on.",
		Bind: func(s *sample) Value { return YesNo(&s.On) }},
	{Name: "Verbose", Short: "v", Group: "Logs", Help: "Say more.",
		Bind: func(s *sample) Value { return Level(&s.Verbose, 2) }},
	{Name: "MaxClients", Flag: "clients", Short: "c", Group: "Limits", Help: "Most clients.",
		Bind: func(s *sample) Value { return Count(&s.Count, 1, 1000) }},
	{Name: "MaxIdle", Group: "Limits", Help: "How long to wait.",
		Bind: func(s *sample) Value { return Span(&s.Idle, time.Minute, time.Second, 24*time.Hour) }},
	{Name: "Word", Short: "w", Group: "Limits", Help: "A word.",
		Bind: func(s *sample) Value { return Words(&s.Words, "words") }},
	{Name: "Shout", AliasOf: "Word", Group: "Limits", Help: "A loud word.",
		Bind: func(s *sample) Value {
			return ListOf(&s.Words, "word", func(s string) ([]string, error) {
				return strings.Fields(strings.ReplaceAll(strings.ToUpper(s), ",", " ")), nil
			},
				func([]string) string { return "" })
		}},
	{Name: "Ports", Group: "Network", Help: "Ports.",
		Bind: func(s *sample) Value { return Ports(&s.Ports, 1024) }},
	{Name: "Umask", Short: "u", Group: "Limits", Help: "Masks.",
		Bind: func(s *sample) Value { return Masks(&s.Mask, &s.DirMask) }},
}

// readSample reads text over the defaults.
func readSample(t *testing.T, text string) (sample, Origins, error) {
	t.Helper()
	s := sampleDefaults()
	origins, err := sampleTable.Read(&s, strings.NewReader(text), "test.conf")
	return s, origins, err
}

func TestReadForms(t *testing.T) {
	tests := []struct {
		name string
		text string
		want func(*sample)
	}{
		{"nothing", "", func(*sample) {}},
		{"blank", "Greeting hello", func(s *sample) { s.Name = "hello" }},
		{"blanks and tabs", "  \tGreeting \t  hello  \t", func(s *sample) { s.Name = "hello" }},
		{"equals sign", "Greeting=hello", func(s *sample) { s.Name = "hello" }},
		{"equals sign with blanks", "Greeting  =  hello", func(s *sample) { s.Name = "hello" }},
		{"colon", "Greeting:hello", func(s *sample) { s.Name = "hello" }},
		{"colon with blanks", "Greeting : hello", func(s *sample) { s.Name = "hello" }},
		{"only one separator", "Greeting ==hello", func(s *sample) { s.Name = "=hello" }},
		{"IPv6 address", "Greeting ::1,21", func(s *sample) { s.Name = "::1,21" }},
		{"IPv6 address after a colon", "Greeting:::1", func(s *sample) { s.Name = "::1" }},
		{"IPv6 address after blanks and a colon", "Greeting : ::1", func(s *sample) { s.Name = "::1" }},
		{"any case", "gReEtInG hello\nMAXCLIENTS 7", func(s *sample) { s.Name, s.Count = "hello", 7 }},
		{"several words", "Greeting good morning", func(s *sample) { s.Name = "good morning" }},
		{"quotes", `Greeting "hello"`, func(s *sample) { s.Name = "hello" }},
		{"quotes keep blanks", `Greeting "  hello "`, func(s *sample) { s.Name = "  hello " }},
		{"quotes make nothing", "Greeting x\nGreeting \"\"", func(*sample) {}},
		{"a quote alone", `Greeting "`, func(s *sample) { s.Name = `"` }},
		{"a quote at one end", `Greeting "hello`, func(s *sample) { s.Name = `"hello` }},
		{"comment", "# Greeting x\n   #Greeting y\n\n \t\n", func(*sample) {}},
		{"no comment after a value", "Greeting hello # there", func(s *sample) { s.Name = "hello # there" }},
		{"line ends of DOS", "Greeting hello\r\nMaxClients 7\r\n", func(s *sample) { s.Name, s.Count = "hello", 7 }},
		{"byte order mark", "\ufeffGreeting hello", func(s *sample) { s.Name = "hello" }},
		{"no final line end", "Greeting hello\nMaxClients 7", func(s *sample) { s.Name, s.Count = "hello", 7 }},
		{"the last counts", "MaxClients 7\nMaxClients 8", func(s *sample) { s.Count = 8 }},
		{"pair", "Ports 2000 3000\nUmask 077:027", func(s *sample) { s.Ports, s.Mask, s.DirMask = PortRange{2000, 3000}, 0o77, 0o27 }},
		{"pair the other way", "Ports 2000:3000\nUmask 077 027", func(s *sample) { s.Ports, s.Mask, s.DirMask = PortRange{2000, 3000}, 0o77, 0o27 }},
		{"twice is more", "Verbose yes\nVerbose on", func(s *sample) { s.Verbose = 2 }},
		{"a list replaces the default", "Word red", func(s *sample) { s.Words = []string{"red"} }},
		{"and grows", "Word red\nWord green blue", func(s *sample) { s.Words = []string{"red", "green", "blue"} }},
		{"by both spellings", "Shout red\nWord green\nShout blue", func(s *sample) { s.Words = []string{"RED", "green", "BLUE"} }},
		{"until it is emptied", "Word red\nWord \"\"", func(s *sample) { s.Words = nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := sampleDefaults()
			tt.want(&want)
			got, _, err := readSample(t, tt.text)
			if err != nil {
				t.Fatalf("Read(%q): %v", tt.text, err)
			}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("Read(%q)\n got %+v\nwant %+v", tt.text, got, want)
			}
		})
	}
}

func TestReadFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"name alone", "Lights", `test.conf:1: "Lights" has no value`},
		{"name and separator", "\nLights = ", `test.conf:2: "Lights" has no value`},
		{"no name", "= yes", `test.conf:1: a line begins with a name, not with "="`},
		{"unknown with a near name", "MaxClient 3", `test.conf:1: unknown directive "MaxClient"; did you mean MaxClients?`},
		{"unknown in any case", "greetings x", `test.conf:1: unknown directive "greetings"; did you mean Greeting?`},
		{"unknown without", "Frobnicate yes", `test.conf:1: unknown directive "Frobnicate"`},
		{"trailing comment", "Lights yes # sure", `test.conf:1: Lights: "yes # sure" is neither yes nor no`},
		{"bad value", "MaxClients 0", `test.conf:1: MaxClients: 0 is not from 1 to 1000`},
		{"the row's spelling", "maxclients x", `test.conf:1: MaxClients: "x" is not a whole number`},
		{"no path", `Include ""`, `test.conf:1: Include needs the path of a file`},
		{"long line", "Greeting x\nGreeting " + strings.Repeat("x", maxLine), "test.conf:2: reading the line: bufio.Scanner: token too long"},
		{"long name", strings.Repeat("x", 1000), `test.conf:1: "` + strings.Repeat("x", 40) + `..." has no value`},
		{"long unknown name", strings.Repeat("x", 1000) + " y", `test.conf:1: unknown directive "` + strings.Repeat("x", 40) + `..."`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readSample(t, tt.text)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Read(%.60q)\n got %v\nwant %s", tt.text, err, tt.want)
			}
		})
	}
}

func TestReadTellsEveryFault(t *testing.T) {
	_, _, err := readSample(t, "Lights maybe\nGreeting hello\nNothing 1\nMaxClients many\nPorts 1\n")
	want := []string{
		`test.conf:1: Lights: "maybe" is neither yes nor no`,
		`test.conf:3: unknown directive "Nothing"`,
		`test.conf:4: MaxClients: "many" is not a whole number`,
		`test.conf:5: Ports: "1" is not two ports`,
	}
	if got := strings.Split(fmt.Sprint(err), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !errors.Is(err, ErrUnknown) {
		t.Error("the error is not ErrUnknown, though a directive was")
	}
}

func TestReadGivesUpOnAWrongFile(t *testing.T) {
	_, _, err := readSample(t, strings.Repeat("GET / HTTP/1.1\n", 100_000))
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxFaults+1 {
		t.Fatalf("%d faults, not %d", len(lines), maxFaults+1)
	}
	if want := "test.conf:101: too many faults; the rest is not read"; lines[maxFaults] != want {
		t.Errorf("the last is %q, not %q", lines[maxFaults], want)
	}
}

func TestOrigins(t *testing.T) {
	_, origins, err := readSample(t, "Greeting x\n\nShout y\nVerbose yes\nVerbose yes\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Origins{"Greeting": "test.conf:1", "Word": "test.conf:3", "Verbose": "test.conf:5"}
	if fmt.Sprint(origins) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", origins, want)
	}
}

// write makes files in a new folder and returns the folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInclude(t *testing.T) {
	dir := write(t, map[string]string{
		"main.conf":         "Word main\nInclude sub/a.conf\nInclude missing.conf\ninclude \"sub/b.conf\"\nMaxClients 3\n",
		"sub/a.conf":        "Word a\nInclude deeper/c.conf\nMaxClients 1\n",
		"sub/b.conf":        "Greeting b\nMaxClients 2\n",
		"sub/deeper/c.conf": "Shout c\nVerbose yes\n",
	})
	s := sampleDefaults()
	origins, err := sampleTable.ReadFile(&s, filepath.Join(dir, "main.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"main", "a", "C"}; !slices.Equal(s.Words, want) {
		t.Errorf("Words are %v, not %v: a list must grow over all files", s.Words, want)
	}
	if s.Name != "b" || s.Count != 3 || s.Verbose != 1 {
		t.Errorf("got %+v", s)
	}
	for name, want := range map[string]string{"Greeting": "sub/b.conf:1", "Verbose": "sub/deeper/c.conf:2", "MaxClients": "main.conf:5"} {
		if got := origins[name]; got != filepath.Join(dir, want) {
			t.Errorf("%s comes from %s, not %s", name, got, want)
		}
	}
}

func TestIncludeFaults(t *testing.T) {
	deep := map[string]string{}
	for i := range maxInclude + 1 {
		deep[fmt.Sprintf("%d.conf", i)] = fmt.Sprintf("Include %d.conf\n", i+1)
	}
	dir := write(t, deep)
	s := sampleDefaults()
	_, err := sampleTable.ReadFile(&s, filepath.Join(dir, "0.conf"))
	want := fmt.Sprintf("%s:1: Include: more than %d files deep", filepath.Join(dir, fmt.Sprintf("%d.conf", maxInclude-1)), maxInclude)
	if fmt.Sprint(err) != want {
		t.Errorf("nested too deep\n got %v\nwant %s", err, want)
	}

	// A file that includes itself many times over must not be read for ever.
	dir = write(t, map[string]string{
		"self.conf":  strings.Repeat("Include other.conf\n", 20),
		"other.conf": strings.Repeat("Include self.conf\nInclude other.conf\n", 2),
	})
	_, err = sampleTable.ReadFile(&s, filepath.Join(dir, "self.conf"))
	lines := strings.Split(fmt.Sprint(err), "\n")
	want = fmt.Sprintf("%s:1: Include: %s includes itself", filepath.Join(dir, "other.conf"), filepath.Join(dir, "self.conf"))
	if len(lines) != 4*20 || lines[0] != want {
		t.Errorf("%d faults, the first is %s\nwant %s", len(lines), lines[0], want)
	}

	// Faults of an included file bear its name.
	dir = write(t, map[string]string{"a.conf": "Include b.conf\nLights maybe\n", "b.conf": "\nFoo 1\n"})
	_, err = sampleTable.ReadFile(&s, filepath.Join(dir, "a.conf"))
	want = filepath.Join(dir, "b.conf") + `:2: unknown directive "Foo"` + "\n" +
		filepath.Join(dir, "a.conf") + `:2: Lights: "maybe" is neither yes nor no`
	if fmt.Sprint(err) != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}

	// A folder is there, so it is not passed over.
	if _, _, err = readSample(t, "Include "+dir); err == nil {
		t.Error("including a folder is no error")
	}
	if _, err = sampleTable.ReadFile(&s, filepath.Join(dir, "none.conf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a file that is not there: %v", err)
	}
}

func TestSet(t *testing.T) {
	s := sampleDefaults()
	if err := sampleTable.Set(&s, "maxclients", "9"); err != nil || s.Count != 9 {
		t.Errorf("Set: %v, count %d", err, s.Count)
	}
	if err := sampleTable.Set(&s, "MaxClients", "-1"); fmt.Sprint(err) != "MaxClients: -1 is not from 1 to 1000" {
		t.Errorf("Set to a wrong value: %v", err)
	}
	if err := sampleTable.Set(&s, "MaxClint", "1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Set of an unknown name: %v", err)
	}
	if s.Count != 9 {
		t.Errorf("a refused value changed the count to %d", s.Count)
	}
}

func TestLookup(t *testing.T) {
	if f, ok := sampleTable.Lookup("GREETING"); !ok || f.Name != "Greeting" {
		t.Errorf("Lookup(GREETING) = %q, %v", f.Name, ok)
	}
	if _, ok := sampleTable.Lookup("nothing"); ok {
		t.Error("Lookup finds what is not there")
	}
}

func TestFieldTexts(t *testing.T) {
	f, _ := sampleTable.Lookup("Greeting")
	if got := f.Summary(); got != "What to say" {
		t.Errorf("Summary is %q", got)
	}
	if got := f.LongFlag(); got != "greeting" {
		t.Errorf("LongFlag is %q", got)
	}
	f, _ = sampleTable.Lookup("MaxClients")
	if got := f.Summary(); got != "Most clients" {
		t.Errorf("Summary is %q", got)
	}
	if got := f.LongFlag(); got != "clients" {
		t.Errorf("LongFlag is %q", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"MaxClients", "MaxClientsPerIP", "MinUID", "who", "TLS"}
	for name, want := range map[string]string{
		"MaxClients":      "MaxClients",
		"maxclients":      "MaxClients",
		"MaxClinets":      "MaxClients",
		"MaxClientPerIP":  "MaxClientsPerIP",
		"MaxClientsPerIp": "MaxClientsPerIP",
		"MinGID":          "MinUID",
		"wh":              "who",
		"TSL":             "TLS",
		"hwo":             "who",
		"MaxCl":           "MaxClients",
		"Ma":              "",
		"":                "",
		"Frobnicate":      "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("Nearest(%q) = %q, not %q", name, got, want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("nearest of none is %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"ab", "ba", 1}, {"check", "chekc", 1}, {"abcd", "badc", 2}, {"ca", "abc", 3},
	} {
		if got := distance(tt.a, tt.b, 9); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, not %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a, 9); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, not %d", tt.b, tt.a, got, tt.want)
		}
	}
	if got := distance("a", "abcdef", 3); got != 4 {
		t.Errorf("distance beyond the limit is %d, not the limit and one", got)
	}
}

// FuzzRead holds two things true of any text: every fault names file and line,
// and what is read can be written and read again.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", "Greeting hello\nMaxClients 7\n", "Greeting \"=x\"\nWord a b, c\n", "Umask 077\nPorts 2000 3000\nVerbose yes\nVerbose yes",
		"Greeting ::x\nFile \"/a b\"", "Lights", "= 3", "Include x\nMaxIdle 90s\nMaxIdle 2147483647", "Shout x\nWord \"\"",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") {
			return // would read whatever files the fuzzer thinks of
		}
		defaults := sampleDefaults()
		v := defaults
		_, err := sampleTable.Read(&v, strings.NewReader(text), "fuzz.conf")
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				var n int
				if _, scanErr := fmt.Sscanf(line, "fuzz.conf:%d: ", &n); scanErr != nil || n < 1 {
					t.Fatalf("Read(%q): fault %q has no file and line", text, line)
				}
			}
			return
		}
		var b strings.Builder
		if err := sampleTable.Write(&b, v); err != nil {
			t.Fatal(err)
		}
		again := defaults
		if _, err := sampleTable.Read(&again, strings.NewReader(b.String()), "again.conf"); err != nil {
			t.Fatalf("Read(%q) was written as\n%s\nwhich cannot be read: %v", text, b.String(), err)
		}
		if changed := sampleTable.Changed(v, again); len(changed) > 0 {
			t.Fatalf("Read(%q) was written as\n%s\nwhich reads as another %s", text, b.String(), changed[0].Name)
		}
	})
}

// TestStatements: a file is read line by line, with what it includes, and what is
// no line is told.
func TestStatements(t *testing.T) {
	dir := t.TempDir()
	outer, inner := filepath.Join(dir, "outer"), filepath.Join(dir, "inner")
	for name, text := range map[string]string{
		outer: "# c\nOne 1\nInclude inner\nInclude none\none: \" 2 \"\n",
		inner: "\nTwo = a b\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Statements(outer)
	want := []Statement{{"One", "1", outer + ":2"}, {"Two", "a b", inner + ":2"}, {"one", " 2 ", outer + ":5"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, not %q", got, err, want)
	}
	if err := os.WriteFile(inner, []byte("Two\nInclude outer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Statements(outer)
	if err == nil || !strings.Contains(err.Error(), inner+":1: ") || !strings.Contains(err.Error(), inner+":2: ") {
		t.Errorf("what is wrong is told as %v", err)
	}
	if _, err := Statements(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there says nothing wrong")
	}
}
