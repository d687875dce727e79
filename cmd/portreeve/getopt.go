package main

import (
	"fmt"
	"strings"
)

// The programs of Pure-FTPd read their options with getopt_long, which pflag does
// not do alike: an option may follow other words, and a long one may be shortened.

// An option is one of a door.
type option struct {
	letter byte   // 0: it has only a long name
	long   string // "": it has only a letter
	value  string // what its argument is called; "" is none
	help   string // "": another page tells
}

// A saying is an option that was given.
type saying struct {
	option
	text string // its argument
}

// An optionError is what getopt_long would print about an option.
type optionError string

func (e optionError) Error() string { return string(e) }

// getopt takes args apart. What is no option is returned in words, wherever it
// stands; after "--" everything is.
func getopt(options []option, args []string) (said []saying, words []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return said, append(words, args...), nil
		case strings.HasPrefix(arg, "--"):
			var one saying
			if one, args, err = getoptLong(options, arg[2:], args); err != nil {
				return said, words, err
			}
			said = append(said, one)
		case len(arg) > 1 && arg[0] == '-':
			var some []saying
			if some, args, err = getoptLetters(options, arg[1:], args); err != nil {
				return said, words, err
			}
			said = append(said, some...)
		default:
			words = append(words, arg)
		}
	}
	return said, words, nil
}

func getoptLong(options []option, arg string, rest []string) (saying, []string, error) {
	name, text, joined := strings.Cut(arg, "=")
	var found []option
	for _, o := range options {
		if o.long == name && name != "" {
			found = []option{o}
			break
		}
		if name != "" && strings.HasPrefix(o.long, name) {
			found = append(found, o)
		}
	}
	switch {
	case len(found) == 0:
		return saying{}, nil, optionError(fmt.Sprintf("unrecognized option '--%s'", name))
	case len(found) > 1:
		return saying{}, nil, optionError(fmt.Sprintf("option '--%s' is ambiguous", name))
	}
	o := found[0]
	switch {
	case o.value == "" && joined:
		return saying{}, nil, optionError(fmt.Sprintf("option '--%s' doesn't allow an argument", o.long))
	case o.value != "" && !joined:
		if len(rest) == 0 {
			return saying{}, nil, optionError(fmt.Sprintf("option '--%s' requires an argument", o.long))
		}
		text, rest = rest[0], rest[1:]
	}
	return saying{o, text}, rest, nil
}

// getoptLetters takes apart letters that stand together, of which the last may
// have its argument behind it or as the next word.
func getoptLetters(options []option, letters string, rest []string) (said []saying, _ []string, err error) {
	for i := range len(letters) {
		var found option
		for _, o := range options {
			if o.letter == letters[i] {
				found = o
			}
		}
		switch {
		case found.letter == 0:
			return said, nil, optionError(fmt.Sprintf("invalid option -- '%c'", letters[i]))
		case found.value == "":
			said = append(said, saying{found, ""})
			continue
		case i+1 < len(letters):
			return append(said, saying{found, letters[i+1:]}), rest, nil
		case len(rest) == 0:
			return said, nil, optionError(fmt.Sprintf("option requires an argument -- '%c'", letters[i]))
		}
		return append(said, saying{found, rest[0]}), rest[1:], nil
	}
	return said, rest, nil
}
