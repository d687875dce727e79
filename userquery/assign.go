package userquery

import (
	"fmt"
	"math"
	"strings"

	"portreeve/config"
	"portreeve/userdb"
)

// An Assignment gives an attribute another value: one that is said, none, or what it
// has and so much more or less.
type Assignment struct {
	field config.Field[userdb.User]
	value token
	sign  int64 // of what is added; 0: the value is set
	delta int64
}

// ParseAssignment reads "attribute=value". With + or - before it, the value of a
// number is added or taken away.
func ParseAssignment(text string) (Assignment, error) {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return Assignment{}, &Error{1, fmt.Sprintf("%.40q is no attribute=value", text), "such as quota-bytes=+10G"}
	}
	at := len([]rune(name)) + 2
	field, err := settable(strings.TrimSpace(name))
	if err != nil {
		return Assignment{}, err
	}
	a := Assignment{field: field, value: token{tokenWord, strings.TrimSpace(value), at}}
	if said, n := quoted(a.value.text + " "); n > 0 && n == len(a.value.text) && strings.ContainsAny(a.value.text[:1], `"'`) {
		a.value.kind, a.value.text = tokenQuoted, said
	}
	if err := a.relative(); err != nil {
		return Assignment{}, &Error{at, err.Error(), ""}
	}
	if a.sign == 0 {
		if err := set(field, new(userdb.User), a.value); err != nil {
			return Assignment{}, &Error{at, fmt.Sprintf("%s: %v", field.Name, err), ""}
		}
	}
	return a, nil
}

// settable finds the row of a name, which may be that of its flag.
func settable(name string) (config.Field[userdb.User], error) {
	want := named(name)
	var names []string
	for _, f := range userdb.Editable() {
		if f.Name == want || named(f.LongFlag()) == want {
			return f, nil
		}
		names = append(names, f.Name)
	}
	fault := &Error{Column: 1, Text: fmt.Sprintf("there is no attribute %.40q to set", name)}
	switch near := config.Nearest(want, names); {
	case want == "name":
		fault.Text = "a user cannot be renamed"
	case want == "password":
		fault.Text, fault.Hint = "a password is not set so", "pw passwd asks for it"
	case want == "created", want == "changed":
		fault.Text = want + " is kept by the database"
	case near != "":
		fault.Hint = "did you mean " + near + "?"
	default:
		fault.Hint = "attributes are those of pw show"
	}
	return config.Field[userdb.User]{}, fault
}

// relative finds out whether the value is to be added. That goes for what is a
// number and may be without one: an id is no amount.
func (a *Assignment) relative() error {
	text := a.value.text
	if a.value.kind == tokenQuoted || len(text) < 2 || text[0] != '+' && text[0] != '-' || text[1] < '0' || text[1] > '9' {
		return nil
	}
	var u userdb.User
	v := a.field.Bind(&u)
	switch config.Variable(v).(type) {
	case *int, *int64, *userdb.Limit:
	default:
		return nil
	}
	if v.Set("") != nil {
		return fmt.Errorf("%s: nothing can be added to it or taken away", a.field.Name)
	}
	if amount := text[1:]; strings.Trim(amount, "0") != "" { // which some rows refuse
		if err := v.Set(amount); err != nil {
			return fmt.Errorf("%s: %w", a.field.Name, err)
		}
		a.delta, _ = number(config.Variable(v))
	}
	a.sign = 1
	if text[0] == '-' {
		a.sign = -1
	}
	return nil
}

// Name returns the attribute.
func (a Assignment) Name() string { return a.field.Name }

// Apply changes u. An error names the user, and u is as it was.
func (a Assignment) Apply(u *userdb.User) error {
	now := *u
	var err error
	if a.sign != 0 {
		err = a.add(&now)
	} else {
		err = set(a.field, &now, a.value)
	}
	if err == nil {
		err = now.Validate()
	}
	if err != nil {
		return fmt.Errorf("user %s: %s: %w", u.Name, a.field.Name, err)
	}
	*u = now
	return nil
}

// add adds the amount. What has no limit cannot have more or less; and a sum that
// would stand for no limit is none.
func (a Assignment) add(u *userdb.User) error {
	v := a.field.Bind(u)
	n, isSet := number(config.Variable(v))
	if !isSet {
		return fmt.Errorf("it is %s, so that %s cannot be added", v, a.value.text)
	}
	if a.sign > 0 && n > math.MaxInt64-a.delta {
		return fmt.Errorf("%s and %s is more than a number can be", v, a.value.text)
	}
	sum := n + a.sign*a.delta
	if sum < 0 {
		return fmt.Errorf("%s and %s is less than nothing", v, a.value.text)
	}
	switch p := config.Variable(v).(type) {
	case *int:
		*p = int(sum)
	case *int64:
		*p = sum
	case *userdb.Limit:
		*p = userdb.LimitOf(sum)
	}
	if _, isSet := number(config.Variable(v)); !isSet {
		return fmt.Errorf("%s from %d leaves 0, which would be %s", a.value.text, n, v)
	}
	return v.Set(v.String()) // as if it had been said
}
