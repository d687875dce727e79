package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parseFlags returns what args say of a sample, and pflag's complaint.
func parseFlags(args ...string) (*Given[sample], *pflag.FlagSet, error) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.SetOutput(nil)
	g := sampleTable.Flags(fs, sampleDefaults())
	return g, fs, fs.Parse(args)
}

func TestFlags(t *testing.T) {
	_, fs, err := parseFlags()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range sampleTable {
		flag := fs.Lookup(f.LongFlag())
		if flag == nil {
			t.Errorf("%s has no flag --%s", f.Name, f.LongFlag())
			continue
		}
		if flag.Shorthand != f.Short {
			t.Errorf("--%s has the letter %q, not %q", flag.Name, flag.Shorthand, f.Short)
		}
		defaults := sampleDefaults()
		if want := f.Bind(&defaults).String(); flag.DefValue != want {
			t.Errorf("--%s shows the default %q, not %q", flag.Name, flag.DefValue, want)
		}
		if got := flag.Annotations[GroupAnnotation]; !slices.Equal(got, []string{f.Group}) {
			t.Errorf("--%s is in the group %v, not %s", flag.Name, got, f.Group)
		}
		if want := map[string]string{"Lights": "yes", "Verbose": "yes"}[f.Name]; flag.NoOptDefVal != want {
			t.Errorf("--%s alone means %q, not %q", flag.Name, flag.NoOptDefVal, want)
		}
	}
}

// TestPrecedence sets the same row by default, file and flag: each goes before
// what is left of it.
func TestPrecedence(t *testing.T) {
	tests := []struct {
		name        string
		file        string
		flags       []string
		row         string
		want        string
		wantsOrigin string
	}{
		{"default", "", nil, "MaxClients", "50", "default"},
		{"file over default", "MaxClients 7", nil, "MaxClients", "7", "test.conf:1"},
		{"flag over default", "", []string{"--clients=8"}, "MaxClients", "8", "--clients"},
		{"flag over file", "MaxClients 7", []string{"-c", "8"}, "MaxClients", "8", "--clients"},
		{"the default said again", "MaxClients 7", []string{"--clients", "50"}, "MaxClients", "50", "--clients"},
		{"the last flag counts", "", []string{"-c8", "--clients=9"}, "MaxClients", "9", "--clients"},
		{"boolean alone", "", []string{"-l"}, "Lights", "yes", "--lights"},
		{"boolean taken back", "Lights yes", []string{"--lights=no"}, "Lights", "no", "--lights"},
		{"letters together", "", []string{"-lvv"}, "Verbose", "2", "--verbose"},
		{"counting starts anew", "Verbose yes", []string{"-v"}, "Verbose", "1", "--verbose"},
		{"list of the file", "Word a\nShout b", nil, "Word", "a,B", "test.conf:2"},
		{"list of flags", "", []string{"-w", "a", "--word=b"}, "Word", "a,b", "--word"},
		{"flags replace the file's list", "Word a\nWord b", []string{"-w", "c", "-w", "d"}, "Word", "c,d", "--word"},
		{"both spellings, in order", "Word x", []string{"-w", "a", "--shout", "b", "-w", "c"}, "Word", "a,B,c", "--word"},
		{"the other spelling replaces too", "Word x", []string{"--shout", "b"}, "Word", "B", "--shout"},
		{"a list emptied", "Word x", []string{"-w", ""}, "Word", "", "--word"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given, _, err := parseFlags(tt.flags...)
			if err != nil {
				t.Fatal(err)
			}
			v, origins, err := readSample(t, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if err := given.Apply(&v, origins); err != nil {
				t.Fatal(err)
			}
			all := sampleTable.Settings(v, sampleDefaults(), origins)
			i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == tt.row })
			if all[i].Value != tt.want || all[i].Origin != tt.wantsOrigin {
				t.Errorf("%s is %q from %s, not %q from %s", tt.row, all[i].Value, all[i].Origin, tt.want, tt.wantsOrigin)
			}
		})
	}
}

func TestFlagsAreCheckedAtOnce(t *testing.T) {
	_, _, err := parseFlags("--clients", "0")
	want := `invalid argument "0" for "-c, --clients" flag: 0 is not from 1 to 1000`
	if fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestApplyTwice(t *testing.T) {
	given, _, err := parseFlags("-w", "a", "-w", "b", "-vv")
	if err != nil {
		t.Fatal(err)
	}
	// A reload reads the file again and applies the same flags to another value.
	for range 2 {
		v := sampleDefaults()
		if err := given.Apply(&v, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(v.Words, " "); got != "a b" || v.Verbose != 2 {
			t.Errorf("got %q and level %d", got, v.Verbose)
		}
	}
}

func TestApplyFails(t *testing.T) {
	// What Flags accepted over the defaults may be refused over another value.
	type pair struct{ low, high int }
	table := Table[pair]{
		{Name: "Low", Bind: func(p *pair) Value { return Count(&p.low, 0, 100) }},
		{Name: "High", Bind: func(p *pair) Value { return Count(&p.high, p.low, 100) }},
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	given := table.Flags(fs, pair{})
	if err := fs.Parse([]string{"--low=50", "--high=10"}); err != nil {
		t.Fatal(err)
	}
	if err := given.Apply(new(pair), nil); fmt.Sprint(err) != "--high: 10 is not from 50 to 100" {
		t.Errorf("got %v", err)
	}
}

func TestNames(t *testing.T) {
	given, _, err := parseFlags("-l", "--clients=3", "-w", "x", "--shout=y")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := given.Names(), []string{"Lights", "MaxClients", "Word", "Shout"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
