package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"portreeve/userdb"
)

// write writes database and configuration, both or neither: each is made under
// another name, and what has its own by the time that something fails is taken back.
func (m *migration) write() (err error) {
	var back []func() error
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(back) {
				err = errors.Join(err, f())
			}
		}
	}()
	for _, folder := range []struct {
		path string
		mode fs.FileMode
	}{{m.to, 0o755}, {filepath.Dir(m.db), 0o700}} {
		made, err := makeFolders(folder.path, folder.mode)
		back = append(back, func() error { return removeFolders(made) })
		if err != nil {
			return err
		}
	}
	unlock, err := m.claim()
	if err != nil {
		return err
	}
	defer unlock()
	conf, err := m.stage()
	if err != nil {
		return err
	}
	back = append(back, func() error { return ignoreGone(os.Remove(conf)) })
	takeBack, err := m.writeUsers()
	back = append(back, takeBack)
	if err != nil {
		return pwError(err)
	}
	if err := m.keepOld(); err != nil {
		return err
	}
	if err := os.Rename(conf, m.Config); err != nil {
		return err
	}
	_ = syncFolder(m.to) // both are there now, and neither is taken back for this
	return nil
}

// The names of what is staged.
const (
	stagedConf = "." + configName + "-"
	stagedDB   = ".migrate-"
)

// claim keeps other migrations out of the folders that are written to, and removes
// what one left there that was ended in the middle: its database has everybody's
// hashes. A file system without locks keeps nobody out, and nothing is removed.
func (m *migration) claim() (unlock func(), err error) {
	var locked []*os.File
	unlock = func() {
		for _, f := range locked {
			f.Close()
		}
	}
	for _, dir := range slices.Compact([]string{m.to, filepath.Dir(m.db)}) {
		f, err := os.Open(dir)
		if err != nil {
			unlock()
			return nil, err
		}
		locked = append(locked, f)
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case errors.Is(err, unix.EWOULDBLOCK):
			unlock()
			return nil, fmt.Errorf("another migration writes to %s", dir)
		case err == nil:
			removeStaged(dir)
		}
	}
	return unlock, nil
}

// removeStaged removes what is staged in a folder. What cannot be removed stays.
func removeStaged(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.Type().IsRegular() && (strings.HasPrefix(e.Name(), stagedConf) || strings.HasPrefix(e.Name(), stagedDB)) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// stage writes the configuration under another name.
func (m *migration) stage() (string, error) {
	f, err := os.CreateTemp(m.to, stagedConf+"*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(m.text)
	if err = cmp.Or(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// writeUsers writes the database and returns how it becomes what it was.
func (m *migration) writeUsers() (takeBack func() error, err error) {
	takeBack = func() error { return nil }
	path := cmp.Or(m.staged, m.db)
	db := userdb.At(path).By(m.env.author())
	if m.staged != "" {
		defer os.Remove(m.staged)
	}
	if m.edits.Len() == 0 && m.staged != "" {
		return takeBack, nil // the first user makes it
	}
	p := newProgress(m.env, false)
	err = m.edits.Commit(func(n int) { p.step("writing", n) })
	p.end()
	if err != nil {
		return takeBack, err
	}
	if number := m.edits.Number(); m.staged == "" && number > 0 {
		takeBack = func() error {
			undo, _, err := db.Undo(number)
			if err != nil {
				return fmt.Errorf("taking back changeset %d: %w", number, err)
			}
			return undo.Commit(nil)
		}
	}
	if len(m.held) > 0 {
		if err := db.LearnUsages(m.held); err != nil {
			return takeBack, err
		}
	}
	if m.staged == "" {
		return takeBack, nil
	}
	if err := os.Link(m.staged, m.db); err != nil { // never over one that somebody made meanwhile
		return takeBack, err
	}
	return func() error { return os.Remove(m.db) }, syncFolder(filepath.Dir(m.db))
}

// keepOld keeps a configuration that is to be replaced under a name that is free.
func (m *migration) keepOld() error {
	old, err := os.ReadFile(m.Config)
	if err != nil || string(old) == m.text {
		return ignoreGone(err)
	}
	for i := range 1000 {
		name := m.Config + ".old"
		if i > 0 {
			name = fmt.Sprintf("%s%d", name, i+1)
		}
		err = os.Link(m.Config, name)
		if !errors.Is(err, fs.ErrExist) {
			m.did("the old configuration", "is kept as "+name)
			break
		}
	}
	return err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// makeFolders makes a folder and what is missing above it, and returns what it made.
func makeFolders(path string, mode fs.FileMode) (made []string, err error) {
	for dir := path; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, dir) // the deepest first
	}
	return made, os.MkdirAll(path, mode)
}

func removeFolders(made []string) error {
	for _, dir := range made {
		if err := ignoreGone(os.Remove(dir)); err != nil {
			return err
		}
	}
	return nil
}
