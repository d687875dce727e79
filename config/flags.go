package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// Given holds what a command line said of a T, until the file has been read:
// flags come after the file in precedence, but before it in time.
type Given[T any] struct {
	table Table[T]
	said  []saying
}

type saying struct {
	row  int
	text string
}

// GroupAnnotation is the key under which a flag tells the group of its row.
const GroupAnnotation = "group"

// Flags adds a flag for each row to fs. Their syntax is checked as they are
// parsed, against a scratch copy of defaults; Apply sets them for good.
func (t Table[T]) Flags(fs *pflag.FlagSet, defaults T) *Given[T] {
	g := &Given[T]{table: t}
	for i, f := range t {
		scratch := defaults
		v := f.Bind(&scratch)
		flag := fs.VarPF(&flagValue[T]{Value: v, given: g, row: i}, f.LongFlag(), f.Short, f.Summary())
		flag.Annotations = map[string][]string{GroupAnnotation: {f.Group}}
		if b, ok := v.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			flag.NoOptDefVal = "yes"
		}
	}
	return g
}

// flagValue checks a text with the row's own Value and remembers it in order.
type flagValue[T any] struct {
	Value
	given *Given[T]
	row   int
}

func (v *flagValue[T]) Set(text string) error {
	if err := v.Value.Set(text); err != nil {
		return err
	}
	v.given.said = append(v.given.said, saying{v.row, text})
	return nil
}

// Apply sets in v what the command line said, in its order, and notes it in
// origins, which may be nil.
func (g *Given[T]) Apply(v *T, origins Origins) error {
	bound := make(map[int]Value)
	fresh := make(map[string]bool) // rows that a flag, not the file, has set
	for _, s := range g.said {
		f := g.table[s.row]
		val, ok := bound[s.row]
		if !ok {
			val = f.Bind(v)
			if l, isList := val.(lister); isList && fresh[f.shownBy()] {
				l.extend()
			}
			bound[s.row] = val
		}
		if err := val.Set(s.text); err != nil {
			return fmt.Errorf("--%s: %w", f.LongFlag(), err)
		}
		fresh[f.shownBy()] = true
		if origins != nil {
			origins[f.shownBy()] = "--" + f.LongFlag()
		}
	}
	return nil
}

// Names returns the rows that the command line set, in its order.
func (g *Given[T]) Names() []string {
	var names []string
	for _, s := range g.said {
		names = append(names, g.table[s.row].Name)
	}
	return names
}
