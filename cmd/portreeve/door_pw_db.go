package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"portreeve/puredb"
	"portreeve/purepw"
	"portreeve/userdb"
	"portreeve/userfile"
)

// What pure-pw does to a database.

// db returns the database that is meant.
func (j *pwJob) db() userdb.DB {
	author := j.author()
	author.Command = "pure-pw " + j.command
	if j.to != "" {
		return j.database(j.to).By(author)
	}
	return j.database(j.defaultDB()).By(author)
}

// isPureDB tells whether a file is one that pure-pw of Pure-FTPd makes.
func isPureDB(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	_, err = io.ReadFull(f, head)
	format, unknown := userfile.Detect(head)
	return err == nil && unknown == nil && format == userfile.PureDB
}

// checkDB refuses to work on a file of Pure-FTPd's, which only a text can change.
func (j *pwJob) checkDB() error {
	if path := j.db().Path(); isPureDB(path) {
		return pwFaultf(exitPwFile, "%s is a database that Pure-FTPd's pure-pw made; -f names the text that it is made of", path)
	}
	return nil
}

// actDB changes or shows a user of the database.
func (j *pwJob) actDB() error {
	if err := j.checkDB(); err != nil {
		return err
	}
	db := j.db()
	switch j.command {
	case "useradd":
		return j.useraddDB(db)
	case "userdel":
		return j.dbFault(db.Remove(j.login), "already exists")
	}
	edit := j.edit.applyUser
	if j.command == "passwd" { // which asks before it looks
		hash, err := j.hash()
		if err != nil {
			return err
		}
		edit = func(u *userdb.User) error { u.Password = hash; return nil }
	}
	u, err := db.Get(j.login)
	if err != nil {
		return j.unknown(err)
	}
	if j.command == "show" {
		return j.show(entryOf(&u))
	}
	return j.dbFault(db.Modify(j.login, edit), "already exists")
}

func (j *pwJob) useraddDB(db userdb.DB) error {
	if err := j.complete(); err != nil {
		return err
	}
	u := userdb.New(j.login)
	if err := j.edit.applyUser(&u); err != nil {
		return err
	}
	hash, err := j.hash()
	if err != nil {
		return err
	}
	u.Password = hash
	return j.dbFault(db.Add(u), "doesn't already exist")
}

func (j *pwJob) dbFault(err error, should string) error {
	fault, _ := errors.AsType[*pwFault](err)
	switch {
	case err == nil:
		return nil
	case fault != nil:
		return fault
	case errors.Is(err, userdb.ErrUserExists), errors.Is(err, userdb.ErrNoUser), errors.Is(err, userdb.ErrNoDatabase):
		return j.conflict(err, should)
	}
	return pwFaultf(exitPwOther, "%v", err)
}

// mkdb commits the text to the database.
func (j *pwJob) mkdb() error {
	if j.text == "" {
		return nil // the users are in the database
	}
	f := purepw.At(j.text)
	if _, err := os.Stat(f.Path()); err != nil {
		return pwFaultf(exitPwFile, "Unable to open the passwd file: %s", reason(err))
	}
	path := j.db().Path()
	_, err := os.Stat(path)
	// A folder that is not there is a slip, and is made by nobody else either.
	_, fault := os.Stat(filepath.Dir(path))
	if fault != nil && j.to != "" {
		return pwFaultf(exitPwOther, "Unable to create the database: %s", reason(fault))
	}
	if isPureDB(path) || j.puredb && errors.Is(err, fs.ErrNotExist) {
		fault = writePureDB(path, f)
	} else {
		fault = j.commitText(f)
	}
	if fault != nil {
		return pwFaultf(exitPwOther, "Unable to create the database: %s", reason(fault))
	}
	return nil
}

// writePureDB writes the file of Pure-FTPd that has all lines of a text, also those
// that are no user's, as pure-pw does.
func writePureDB(path string, text purepw.File) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	var lines iter.Seq2[[2]string, error] = func(yield func([2]string, error) bool) {
		for line, err := range text.Lines() {
			name, rest, _ := strings.Cut(line, ":")
			if err == nil && (name == "" || rest == "") {
				continue
			}
			if !yield([2]string{name, rest}, err) {
				return
			}
		}
	}
	if err := cmp.Or(puredb.Write(temp, lines), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path) // never of one that is not whole
}

// commitBatch is how many users are looked up at a time.
const commitBatch = 5000

// commitText makes the users of our database those of the text, all at once.
func (j *pwJob) commitText(text purepw.File) error {
	var (
		edits   = j.db().Edits()
		there   = make(map[string]bool) // false: its first line is no user's
		waiting []userfile.Entry
	)
	flush := func() error {
		err := j.putEntries(edits, waiting)
		waiting = waiting[:0]
		return err
	}
	for line, err := range text.Lines() {
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(line, ":")
		if _, seen := there[name]; seen { // of two lines the first one counts
			continue
		}
		found := userfile.Entry{Name: name, Err: errNoUserLine}
		if _, ok := purepw.Parse(line); ok {
			source := bytes.NewReader([]byte(line))
			for e, err := range userfile.Read(source, source.Size(), userfile.PureText, userfile.Options{}) {
				if err != nil {
					return err
				}
				found = e
			}
		}
		if there[name] = found.Err == nil; !there[name] {
			j.warn(line)
			continue
		}
		if waiting = append(waiting, found); len(waiting) == commitBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if err := j.removeOthers(edits, there); err != nil {
		return err
	}
	return edits.Commit(nil)
}

var errNoUserLine = errors.New("no user's line")

func (j *pwJob) putEntries(edits *userdb.Edits, entries []userfile.Entry) error {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	stored, err := edits.Read(names)
	if err != nil {
		return err
	}
	for i, e := range entries {
		u := userdb.New(e.Name)
		if stored[i].Exists() && stored[i].Err == nil {
			u = stored[i].User
		}
		err := e.Set(&u)
		if err == nil {
			err = edits.Put(stored[i], u)
		}
		if err != nil {
			return fmt.Errorf("user %s: %w", e.Name, err)
		}
	}
	return nil
}

// removeOthers removes who is in the database and not in the text.
func (j *pwJob) removeOthers(edits *userdb.Edits, there map[string]bool) error {
	var names []string
	for u, err := range j.db().All() {
		if errors.Is(err, userdb.ErrNoDatabase) {
			return nil
		}
		if err != nil && !errors.Is(err, userdb.ErrMalformed) {
			return err
		}
		if !there[u.Name] {
			names = append(names, u.Name)
		}
	}
	stored, err := edits.Read(names)
	if err != nil {
		return err
	}
	for i, name := range names {
		edits.Remove(name, stored[i])
	}
	if len(names) > 0 && !(len(names) == 1 && j.command == "userdel" && names[0] == j.login) {
		j.tell(fmt.Sprintf("Removed from the database, since the text has them not: %d users, such as %s", len(names), names[0]))
	}
	return nil
}
