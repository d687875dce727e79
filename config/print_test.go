package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	v := sampleDefaults()
	v.Count, v.Words = 7, nil
	all := sampleTable.Settings(v, sampleDefaults(), Origins{"MaxClients": "x.conf:3"})
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	if want := []string{"Greeting", "File", "LogLevel", "Lights", "Verbose", "MaxClients", "MaxIdle", "Word", "Ports", "Umask"}; !slices.Equal(names, want) {
		t.Errorf("rows are %v, not %v: an alias has none of its own", names, want)
	}
	if got, want := all[5], (Setting{"MaxClients", "7", "x.conf:3", "50", "Limits"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := all[7], (Setting{"Word", "", "default", "one,two", "Limits"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestChanged(t *testing.T) {
	a, b := sampleDefaults(), sampleDefaults()
	if got := sampleTable.Changed(a, b); len(got) != 0 {
		t.Errorf("%d rows differ between equals", len(got))
	}
	b.Words, b.DirMask, b.On = append(b.Words, "three"), 0, true
	var names []string
	for _, f := range sampleTable.Changed(a, b) {
		names = append(names, f.Name)
	}
	if want := []string{"Lights", "Word", "Umask"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestLine(t *testing.T) {
	for value, want := range map[string]string{
		"x":     "Name x",
		"a b":   "Name a b",
		"":      `Name ""`,
		" a":    `Name " a"`,
		"a\t":   "Name \"a\t\"",
		"=a":    `Name "=a"`,
		":50":   `Name ":50"`,
		"50:":   "Name 50:",
		`"`:     `Name "`,
		`"a"`:   `Name ""a""`,
		`"a" b`: `Name "a" b`,
		"# a":   "Name # a",
	} {
		line := Line("Name", value)
		name, rest, _ := strings.Cut(line, " ")
		if got := name + " " + strings.TrimLeft(rest, " "); got != want {
			t.Errorf("Line(%q) is %q, not %q", value, got, want)
		}
		if name, text, err := splitLine(line); name != "Name" || text != value || err != nil {
			t.Errorf("Line(%q) is %q, which reads as %q, %q, %v", value, line, name, text, err)
		}
	}
}

func TestWrite(t *testing.T) {
	v := sample{Name: ":x", Words: []string{"a", "b"}, Log: "warn", On: true, Count: 1, Idle: 90e9, Ports: PortRange{1024, 1025}}
	var b strings.Builder
	if err := sampleTable.Write(&b, v); err != nil {
		t.Fatal(err)
	}
	want := `Greeting ":x" / File "" / LogLevel warn / Lights yes / Verbose 0 / MaxClients 1 / ` +
		`MaxIdle 1m30s / Word a / Word b / Ports 1024 1025 / Umask 000:000 / `
	var got strings.Builder
	for line := range strings.Lines(b.String()) {
		got.WriteString(strings.Join(strings.Fields(line), " ") + " / ")
	}
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", got.String(), want)
	}
	if err := sampleTable.Write(fullDisk{}, v); !errors.Is(err, errFull) {
		t.Errorf("a write that fails gives %v", err)
	}
}

// A fullDisk takes nothing.
type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteSample(t *testing.T) {
	var b strings.Builder
	if err := sampleTable.WriteSample(&b, sampleDefaults()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Network\n", "# Limits\n",
		"\n# What to say. And no more.\n#Greeting                     \"\"\n",
		"\n# A file. Needs a restart.\n",
		"\n# Most clients.\n#MaxClients                   50\n",
		"#Word                         one,two\n",
		"# Form: Shout word\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the sample has no %q:\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if strings.TrimSpace(line) != "" && line[0] != '#' {
			t.Errorf("the sample sets something: %q", line)
		}
	}
	if err := sampleTable.WriteSample(fullDisk{}, sampleDefaults()); !errors.Is(err, errFull) {
		t.Errorf("a write that fails gives %v", err)
	}
}

func TestSampleSetsTheDefaults(t *testing.T) {
	var b strings.Builder
	if err := sampleTable.WriteSample(&b, sampleDefaults()); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for line := range strings.Lines(b.String()) {
		// A setting stands right behind the sign, a sentence one blank further.
		if line[0] == '#' && line[1] != ' ' && line[1] != '-' && line[1] != '\n' && !strings.HasPrefix(line, "#Shout") {
			lines.WriteString(line[1:])
		}
	}
	var v sample
	if _, err := sampleTable.Read(&v, strings.NewReader(lines.String()), "sample"); err != nil {
		t.Fatal(err)
	}
	if changed := sampleTable.Changed(v, sampleDefaults()); len(changed) > 0 {
		t.Errorf("%s in the sample is not the default", changed[0].Name)
	}
}

func TestWriteManual(t *testing.T) {
	table := slices.Concat(sampleTable, Table[sample]{
		{Name: "Odd", Group: "Logs", Help: ".dots and 'quotes' and \\slashes and-dashes; " + strings.Repeat("word ", 20) + "end.",
			Bind: func(s *sample) Value { return Text(&s.Name, "text") }},
	})
	var b strings.Builder
	if err := table.WriteManual(&b, sampleDefaults()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		".SH NETWORK\n.TP\n\\fBGreeting\\fR \\fItext\\fR\nWhat to say. And no more.\n.br\nNo default. Flag: \\fB\\-g\\fR, \\fB\\-\\-greeting\\fR.\n",
		"Default: 49152 65535. Flag: \\fB\\-\\-ports\\fR.\n",
		"Adds to \\fBWord\\fR. Flag: \\fB\\-\\-shout\\fR.\n",
		"\\&.dots and 'quotes' and \\eslashes and\\-dashes; word",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %q:\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 81 {
			t.Errorf("a line of %d characters: %q", len(line), line)
		}
	}
	if strings.Count(b.String(), ".SH") != 3 || strings.Count(b.String(), ".TP") != len(table) {
		t.Error("not a section for each group and an entry for each row")
	}
	if err := table.WriteManual(fullDisk{}, sampleDefaults()); !errors.Is(err, errFull) {
		t.Errorf("a write that fails gives %v", err)
	}
}

func TestRoff(t *testing.T) {
	for s, want := range map[string]string{
		"":         "",
		"a-b":      `a\-b`,
		`a\b`:      `a\eb`,
		".SH x":    `\&.SH x`,
		"'tis":     `\&'tis`,
		"it's 1.5": "it's 1.5",
		"--flag":   `\-\-flag`,
	} {
		if got := Roff(s); got != want {
			t.Errorf("Roff(%q) = %q, not %q", s, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, nil},
		{"  \n ", 10, nil},
		{"one two three", 7, []string{"one two", "three"}},
		{"one two three", 8, []string{"one two", "three"}},
		{"one two three", 100, []string{"one two three"}},
		{"incomprehensible to some", 5, []string{"incomprehensible", "to", "some"}},
		{"  many\n   blanks ", 20, []string{"many blanks"}},
		{"äöü äöü", 7, []string{"äöü äöü"}},
	}
	for _, tt := range tests {
		if got := Wrap(tt.text, tt.width); !slices.Equal(got, tt.want) {
			t.Errorf("Wrap(%q, %d) = %q, not %q", tt.text, tt.width, got, tt.want)
		}
	}
}
