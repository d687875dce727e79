package userfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"portreeve/config"
	"portreeve/userdb"
)

// The columns of a table besides those of userdb.Fields.
const (
	columnName     = "name"
	columnPassword = "password"       // a hash
	columnPlain    = "plain_password" // in clear
)

// columns returns the rows of userdb.Fields that are written.
func columns() config.Table[userdb.User] {
	return slices.DeleteFunc(userdb.Editable(), func(f config.Field[userdb.User]) bool { return f.AliasOf != "" })
}

// isHeader tells whether a line is the header of a table.
func isHeader(line string) bool {
	header, err := csv.NewReader(strings.NewReader(line)).Read()
	return err == nil && len(header) > 1 && slices.ContainsFunc(header, func(s string) bool {
		return strings.EqualFold(strings.TrimSpace(s), columnName)
	})
}

// A column reads a cell.
type column struct {
	name string
	set  func(u *userdb.User, text string) error
}

func newColumn(name string) (column, error) {
	name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
	switch name {
	case columnName, columnPlain:
		return column{name: name}, nil
	case columnPassword:
		return column{name, setHash}, nil
	}
	f, ok := userdb.Fields.Lookup(name)
	if !ok {
		var names []string
		for _, f := range columns() {
			names = append(names, f.Name)
		}
		if near := config.Nearest(name, names); near != "" {
			return column{}, fmt.Errorf("the header has a column %q; did you mean %s?", name, near)
		}
		return column{}, fmt.Errorf("the header has a column %q, which is no attribute of a user", name)
	}
	if _, editable := userdb.Editable().Lookup(name); !editable {
		return column{name: name}, nil // kept by the database, and passed over
	}
	return column{name, func(u *userdb.User, text string) error {
		if text == "" && mustSay(name) {
			return nil
		}
		if err := f.Bind(u).Set(text); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		return nil
	}}, nil
}

// mustSay tells whether an empty cell says nothing, where for the others it takes
// a limit or a list away, as it does for usermod.
func mustSay(name string) bool {
	return slices.Contains([]string{"uid", "gid", "home", "home_caged", "home_free", "caged", "disabled", "perms"}, name)
}

// setHash refuses what may be a password in clear.
func setHash(u *userdb.User, text string) error {
	marked := strings.TrimLeft(text, "!*")
	if marked != "" && marked == text && text[0] != '$' && !isDES(text) {
		return errors.New("password: it is no hash; a password in clear is called " + columnPlain)
	}
	u.Password = text
	return nil
}

// isDES tells whether text looks like the oldest kind of hash.
func isDES(text string) bool {
	return len(text) == 13 && strings.Trim(text, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

func readCSV(from io.Reader, emit func(Entry) bool) error {
	r := csv.NewReader(from)
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	list := make([]column, len(header))
	seen := make(map[string]bool)
	for i, name := range header {
		if list[i], err = newColumn(name); err != nil {
			return err
		}
		if seen[list[i].name] {
			return fmt.Errorf("the header has the column %s twice", list[i].name)
		}
		seen[list[i].name] = true
	}
	if !seen[columnName] {
		return errors.New("the header has no column name")
	}
	for {
		row, err := r.Read()
		line := 0
		if len(row) > 0 {
			line, _ = r.FieldPos(0)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, csv.ErrFieldCount):
			if !emit(refuse(line, "", fmt.Errorf("%d cells are not the %d of the header", len(row), len(list)))) {
				return nil
			}
			continue
		case err != nil: // where the next row begins is not known
			return err
		}
		if !emit(rowEntry(line, list, row)) {
			return nil
		}
	}
}

func rowEntry(line int, list []column, row []string) Entry {
	e := Entry{Line: line}
	hash := "$"
	for i, c := range list {
		switch c.name {
		case columnName:
			e.Name = row[i]
		case columnPlain:
			e.Password = row[i]
		case columnPassword:
			hash = row[i]
		}
	}
	if e.Password != "" {
		if err := userdb.ValidPassword(e.Password); err != nil {
			return refuse(line, e.Name, err)
		}
	} else if hash != "$" {
		e.Notes = noteOf(hash)
	}
	e.Set = func(u *userdb.User) error {
		for i, c := range list {
			if c.set == nil {
				continue
			}
			if err := c.set(u, row[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return e
}

// A tableWriter writes users as a table.
type tableWriter struct {
	w       *csv.Writer
	columns config.Table[userdb.User]
	row     []string
}

func newTableWriter(to io.Writer) (*tableWriter, error) {
	t := &tableWriter{w: csv.NewWriter(to), columns: columns()}
	t.row = append(t.row, columnName, columnPassword)
	for _, f := range t.columns {
		t.row = append(t.row, f.Name)
	}
	return t, t.w.Write(t.row)
}

func (t *tableWriter) write(u *userdb.User) error {
	t.row = append(t.row[:0], u.Name, u.Password)
	for _, f := range t.columns {
		t.row = append(t.row, f.Bind(u).String())
	}
	return t.w.Write(t.row)
}

func (t *tableWriter) close() error {
	t.w.Flush()
	return t.w.Error()
}
