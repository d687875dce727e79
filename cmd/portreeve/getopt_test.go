package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestGetopt(t *testing.T) {
	options := []option{
		{letter: 'a', long: "all"}, {letter: 'b', long: "bind", value: "x"}, {letter: 'c', value: "x"},
		{long: "binder"}, {long: "verbose"},
	}
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"-a", "a"},
		{"-ab1", "a b=1"},
		{"-ab 1 x", "a b=1 | x"},
		{"-b -a", "b=-a"},
		{"x -a y -c z", "a c=z | x y"},
		{"-a -- -b", "a | -b"},
		{"-", "| -"},
		{"--all --bind=1 --bind 2", "a b=1 b=2"},
		{"--bind=", "b="},
		{"--ver --al", "verbose a"},
		{"--bin=1", "! option '--bin' is ambiguous"},
		{"--binder", "binder"},
		{"--bind", "! option '--bind' requires an argument"},
		{"--all=1", "! option '--all' doesn't allow an argument"},
		{"--nosuch", "! unrecognized option '--nosuch'"},
		{"--=x", "! unrecognized option '--'"},
		{"-az", "! invalid option -- 'z'"},
		{"-c", "! option requires an argument -- 'c'"},
	} {
		said, words, err := getopt(options, strings.Fields(c.args))
		var got []string
		for _, s := range said {
			name := s.long
			if s.letter != 0 {
				name = string(s.letter)
			}
			if s.value != "" {
				name += "=" + s.text
			}
			got = append(got, name)
		}
		if len(words) > 0 {
			got = append(append(got, "|"), words...)
		}
		if err != nil {
			got = []string{"!", err.Error()}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: %q, not %q", c.args, s, c.want)
		}
	}
}

func FuzzGetopt(f *testing.F) {
	f.Add("-ab1 --bind=2 x -- y")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Fields(text)
		said, words, err := getopt(ftpdOptions(), slices.Clone(args))
		if err == nil && len(said)+len(words) == 0 && len(args) > 0 && args[0] != "--" {
			t.Errorf("%q came to nothing", args)
		}
		_ = fmt.Sprint(err)
	})
}
