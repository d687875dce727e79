package userquery

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"portreeve/config"
	"portreeve/userdb"
)

// An attribute is what can be asked of a user.
type attribute struct {
	name    string
	help    string
	isSet   predicate
	compare func(op string, value token) (predicate, error)
}

// table has the attributes by their names, in which "-" is "_".
type table struct {
	list []attribute
}

// attributes returns those of userdb.Fields, and what else is known of a user.
func attributes(now time.Time) table {
	var t table
	for _, f := range userdb.Fields {
		if f.AliasOf == "" {
			t.list = append(t.list, ofField(f, now))
		}
	}
	t.list = append(t.list, computed(now)...)
	return t
}

// An Attribute describes one for a manual.
type Attribute struct{ Name, Help string }

// Computed returns the attributes that are no fields of a user.
func Computed() []Attribute {
	var all []Attribute
	for _, a := range computed(time.Time{}) {
		all = append(all, Attribute{a.name, a.help})
	}
	return all
}

// named brings the name of an attribute to the form of the table.
func named(text string) string { return strings.ToLower(strings.ReplaceAll(text, "-", "_")) }

func (t table) lookup(name token) (attribute, error) {
	want := named(name.text)
	i := slices.IndexFunc(t.list, func(a attribute) bool { return a.name == want })
	if i >= 0 {
		return t.list[i], nil
	}
	names := make([]string, len(t.list))
	for i, a := range t.list {
		names[i] = a.name
	}
	hint := "attributes are those of pw show, and " + strings.Join(names[len(t.list)-len(computed(time.Time{})):], ", ")
	if near := config.Nearest(want, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return attribute{}, name.fault(fmt.Sprintf("there is no attribute %.40q", name.text), hint)
}

// operatorError means that an attribute has no such comparison.
type operatorError struct{ text, hint string }

func (e *operatorError) Error() string { return e.text }

func noOperator(name, op, is, known string) error {
	return &operatorError{fmt.Sprintf("%s is %s, which %s does not compare", name, is, op), "it has " + known}
}

// ofField makes an attribute of a row. What it is follows from the variable that the
// row sets: what is no number, time or boolean is compared as it is shown.
func ofField(f config.Field[userdb.User], now time.Time) attribute {
	a := attribute{name: f.Name, help: f.Help}
	variable := func(u *userdb.User) any { return config.Variable(f.Bind(u)) }
	shown := func(s *userdb.Stored) string { return f.Bind(&s.User).String() }
	switch variable(new(userdb.User)).(type) {
	case *int, *int64, *userdb.Limit:
		n := numbers{name: f.Name, get: func(s *userdb.Stored) (int64, bool) { return number(variable(&s.User)) }, shown: shown}
		n.parse = func(text string) (int64, bool, error) {
			var u userdb.User
			if err := set(f, &u, token{kind: tokenWord, text: text}); err != nil {
				return 0, false, err
			}
			value, isSet := number(variable(&u))
			return value, isSet, nil
		}
		a.isSet, a.compare = n.isSet, n.compare
	case *time.Time:
		m := moments{name: f.Name, now: now, get: func(s *userdb.Stored) time.Time { return *variable(&s.User).(*time.Time) }}
		m.ends = f.Bind(new(userdb.User)).Set("2000-01-01") == nil // what can be set is the end of something
		a.isSet, a.compare = m.isSet, m.compare
	case *bool:
		b := booleans{name: f.Name, get: func(s *userdb.Stored) bool { return *variable(&s.User).(*bool) }}
		a.isSet, a.compare = b.get, b.compare
	default:
		w := texts{name: f.Name, get: shown}
		w.canonical = func(value token) (string, error) {
			var u userdb.User
			err := set(f, &u, value)
			return f.Bind(&u).String(), err
		}
		empty := f.Bind(new(userdb.User)).String()
		a.isSet = func(s *userdb.Stored) bool { return shown(s) != empty }
		a.compare = w.compare
	}
	return a
}

// none is the value of an attribute that is not set.
const none = "none"

// set gives u a value. The bare word none takes it away where the empty text does
// so: "" gives an account all permissions, for which none is another value.
func set(f config.Field[userdb.User], u *userdb.User, value token) error {
	if value.is(none) {
		var cleared userdb.User
		v := f.Bind(&cleared)
		if v.Set("") == nil && reflect.ValueOf(config.Variable(v)).Elem().IsZero() {
			return f.Bind(u).Set("")
		}
	}
	return f.Bind(u).Set(value.text)
}

// number returns the number in a variable, and false if it stands for none.
func number(variable any) (int64, bool) {
	switch p := variable.(type) {
	case *int:
		return int64(*p), *p != 0
	case *int64:
		return *p, *p != 0
	case *userdb.Limit:
		return p.Value()
	}
	return 0, false
}

// numbers is an attribute that is a whole number, or not set; then it is neither
// less nor more than any.
type numbers struct {
	name  string
	get   func(*userdb.Stored) (int64, bool)
	parse func(string) (n int64, isSet bool, err error)
	shown func(*userdb.Stored) string // nil: a glob does not match it
}

func (a numbers) isSet(s *userdb.Stored) bool {
	_, isSet := a.get(s)
	return isSet
}

func (a numbers) compare(op string, value token) (predicate, error) {
	if op == "~" && a.shown != nil {
		return func(s *userdb.Stored) bool { return glob(value.text, a.shown(s)) }, nil
	}
	order, ordered := orders[op]
	equal, known := equality(op)
	if !known && !ordered {
		return nil, noOperator(a.name, op, "a number", "= != < <= > >=")
	}
	want, wantSet, err := a.parse(value.text)
	if err != nil {
		return nil, err
	}
	if known {
		return func(s *userdb.Stored) bool {
			n, isSet := a.get(s)
			return (n == want && isSet == wantSet || !isSet && !wantSet) == equal
		}, nil
	}
	if !wantSet {
		return nil, &operatorError{fmt.Sprintf("%.40q is no number that %s could compare %s to", value.text, op, a.name), "= and != tell whether it is set"}
	}
	return func(s *userdb.Stored) bool {
		n, isSet := a.get(s)
		return isSet && order(compareInts(n, want))
	}, nil
}

func compareInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// orders are the comparisons by the sign of a difference.
var orders = map[string]func(int) bool{
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
}

// equality tells whether an operator asks for equal or for unequal values.
func equality(op string) (equal, known bool) {
	return op != "!=", op == "=" || op == "==" || op == "!="
}

// booleans is an attribute that is yes or no.
type booleans struct {
	name string
	get  predicate
}

func (a booleans) compare(op string, value token) (predicate, error) {
	equal, known := equality(op)
	if !known {
		return nil, noOperator(a.name, op, "yes or no", "= !=")
	}
	var want bool
	if err := config.YesNo(&want).Set(value.text); err != nil {
		return nil, err
	}
	return func(s *userdb.Stored) bool { return (a.get(s) == want) == equal }, nil
}

// texts is an attribute that is compared as it is shown.
type texts struct {
	name      string
	get       func(*userdb.Stored) string
	canonical func(token) (string, error) // how the value of an expression would be shown
}

func (a texts) compare(op string, value token) (predicate, error) {
	if op == "~" {
		return func(s *userdb.Stored) bool { return glob(value.text, a.get(s)) }, nil
	}
	equal, known := equality(op)
	if !known {
		return nil, noOperator(a.name, op, "text", "= != and ~, by which * stands for any text")
	}
	want, err := a.canonical(value)
	if err != nil {
		return nil, err
	}
	return func(s *userdb.Stored) bool { return (a.get(s) == want) == equal }, nil
}

// plain takes a value as it is; the bare word none is the empty text.
func plain(value token) (string, error) {
	if value.is(none) {
		return "", nil
	}
	return value.text, nil
}

// glob tells whether a text is like a pattern, in which * stands for any text and ?
// for a character. It goes back to the last star only, so that it takes at most the
// product of the lengths.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	i, j, star, from := 0, 0, -1, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// percents is the share of a quota.
type percents struct {
	name string
	get  func(*userdb.Stored) (float64, bool)
}

func (a percents) isSet(s *userdb.Stored) bool {
	_, isSet := a.get(s)
	return isSet
}

func (a percents) compare(op string, value token) (predicate, error) {
	order, ordered := orders[op]
	equal, known := equality(op)
	switch {
	case known && value.is(none):
		return func(s *userdb.Stored) bool { return a.isSet(s) != equal }, nil
	case known:
		order = func(c int) bool { return (c == 0) == equal }
	case !ordered:
		return nil, noOperator(a.name, op, "a percentage", "= != < <= > >=")
	}
	want, err := strconv.ParseFloat(strings.TrimSuffix(value.text, "%"), 64)
	if err != nil || math.IsNaN(want) || math.IsInf(want, 0) || want < 0 {
		return nil, fmt.Errorf("%.40q is not a percentage such as 90%%", value.text)
	}
	return func(s *userdb.Stored) bool {
		share, isSet := a.get(s)
		if !isSet {
			return op == "!="
		}
		switch {
		case share < want:
			return order(-1)
		case share > want:
			return order(1)
		}
		return order(0)
	}, nil
}
