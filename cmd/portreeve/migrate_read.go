package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"portreeve/config"
)

// readPureFTPd returns what Pure-FTPd is told by its configuration file, or by a
// folder: conf/ and auth/ as Debian's wrapper reads them, else pure-ftpd.conf.
func (m *migration) readPureFTPd(from string) ([]config.Statement, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return config.Statements(from)
	}
	if info, err := os.Stat(filepath.Join(from, "conf")); err == nil && info.IsDir() {
		m.debian = true
		if from == "/etc/pure-ftpd" {
			m.readDefaults("/etc/default/pure-ftpd-common")
		}
		return readDebian(from)
	}
	said, err := config.Statements(filepath.Join(from, "pure-ftpd.conf"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has neither a folder conf nor a file pure-ftpd.conf", from)
	}
	return said, err
}

// readDebian reads a folder in which a file is a directive: its name in conf/, its
// value in the first line. What authenticates is what links in auth/ lead to, in
// the order of their names; without a link a file of conf/ that authenticates has
// no effect.
func readDebian(from string) ([]config.Statement, error) {
	said, err := readDebianAuth(filepath.Join(from, "auth"))
	faults := []error{err}
	conf := filepath.Join(from, "conf")
	files, err := os.ReadDir(conf)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if !isDirectiveFile(f.Name()) || isAuthentication(f.Name()) {
			continue
		}
		path := filepath.Join(conf, f.Name())
		s, err := readDirectiveFile(path)
		switch {
		case err != nil:
			faults = append(faults, err)
		case s.Value != "":
			said = append(said, s)
		}
	}
	return said, errors.Join(faults...)
}

func readDebianAuth(folder string) (said []config.Statement, err error) {
	links, err := os.ReadDir(folder) // in the order of their names
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		path := filepath.Join(folder, link.Name())
		target, err := os.Readlink(path)
		if err != nil { // no link
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(folder, target)
		}
		if info, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if !isAuthentication(filepath.Base(target)) {
			return nil, fmt.Errorf("%s: %s is no way to log in", path, filepath.Base(target))
		}
		s, err := readDirectiveFile(target)
		if err != nil {
			return nil, err
		}
		if s.Value != "" {
			said = append(said, s)
		}
	}
	return said, nil
}

// isDirectiveFile tells a directive's file from backups and what packages leave.
func isDirectiveFile(name string) bool {
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	for i := range len(name) {
		if !letter(name[i]) && (i == 0 || name[i] < '0' || name[i] > '9') {
			return false
		}
	}
	return len(name) > 1
}

// readDirectiveFile returns what a directive's file says: its first line that is
// neither empty, nor a comment, nor says no.
func readDirectiveFile(path string) (config.Statement, error) {
	text, err := readRegular(path)
	if err != nil {
		return config.Statement{}, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		s := config.Statement{Name: filepath.Base(path), Value: line, Origin: fmt.Sprintf("%s:%d", path, n)}
		if line != "" && line[0] != '#' && !saysNo(s) {
			return s, nil
		}
	}
	return config.Statement{}, nil
}

// readRegular reads a file, and waits for nobody at a pipe.
func readRegular(path string) ([]byte, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// readDefaults tells what Debian's init script is told besides.
func (m *migration) readDefaults(path string) {
	text, err := readRegular(path)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch {
		case value == "":
		case name == "STANDALONE_OR_INETD" && value != "standalone":
			m.left("%s: Pure-FTPd is started by %s; this server runs by itself, and the line of inetd has to go", path, value)
		case name == "VIRTUALCHROOT" && value == "true":
			m.left("%s: VIRTUALCHROOT: links do not lead out of homes here", path)
		case name == "UPLOADSCRIPT":
			m.left("%s: UPLOADSCRIPT: \"portreeve uploadscript -B -r %s\" has to be started beside the server", path, value)
		}
	}
}
