package vfs

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
)

// Names reserved for the daemon: no client can name, create or see them.
const (
	tempPrefix = ".pureftpd-upload." // an upload that is not complete
	quotaFile  = ".ftpquota"         // where other servers count usage

	tempToken = 16 // random bytes, in hexadecimal, after the prefix
)

const (
	maxName = 255
	maxPath = 4096
)

// Clean returns the virtual absolute path that path means to somebody in
// cwd. It is lexical: empty components and "." go, ".." takes away the
// component before it and stays at the root. Backslash and every other byte
// are ordinary.
func Clean(cwd, path string) string {
	if path == "" || path[0] != '/' {
		path = cwd + "/" + path
		if path[0] != '/' {
			path = "/" + path
		}
	}
	if isClean(path) {
		return path
	}
	out := make([]byte, 0, len(path)+1)
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		default:
			out = append(append(out, '/'), part...)
		}
	}
	if len(out) == 0 {
		return "/"
	}
	return string(out)
}

// isClean reports whether Clean would return the absolute path as it is.
func isClean(path string) bool {
	if path == "/" {
		return true
	}
	for i := 0; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		rest := path[i+1:]
		if rest == "" || rest[0] == '/' {
			return false
		}
		if rest[0] == '.' && (len(rest) == 1 || rest[1] == '/' ||
			rest[1] == '.' && (len(rest) == 2 || rest[2] == '/')) {
			return false
		}
	}
	return true
}

// split cuts a clean path before its last component; base never holds a
// slash, and is empty for the root alone.
func split(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i == 0 {
		return "/", path[1:]
	}
	return path[:i], path[i+1:]
}

// join is the clean path of name in the clean directory dir.
func join(dir, name string) string {
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}

// relative is how one gets from the clean directory dir to the clean path to.
func relative(dir, to string) string {
	up := strings.Split(strings.Trim(dir, "/"), "/")
	down := strings.Split(strings.Trim(to, "/"), "/")
	if dir == "/" {
		up = nil
	}
	if to == "/" {
		down = nil
	}
	for len(up) > 0 && len(down) > 0 && up[0] == down[0] {
		up, down = up[1:], down[1:]
	}
	parts := append(slices.Repeat([]string{".."}, len(up)), down...)
	if len(parts) == 0 {
		return "."
	}
	return strings.Join(parts, "/")
}

// allowed reports whether clients may name path at all.
func allowed(path string) bool {
	if len(path) > maxPath {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if len(part) > maxName || reserved(part) {
			return false
		}
	}
	for i := 0; i < len(path); i++ {
		if path[i] < ' ' || path[i] == 0x7f {
			return false
		}
	}
	return true
}

func reserved(name string) bool {
	return len(name) > 0 && name[0] == '.' && (name == quotaFile || strings.HasPrefix(name, tempPrefix))
}

// lookup cleans a path that must exist, and returns it as it is on disk, if the
// rules on names let the user look at what it means.
func (f *FS) lookup(op, path string) (string, error) {
	clean, err := f.existing(op, path)
	if err == nil {
		err = f.mayLook(op, path, clean, true)
	}
	return clean, err
}

// lookupItself is lookup where a link at the end of path is not followed.
func (f *FS) lookupItself(op, path string) (string, error) {
	clean, err := f.existing(op, path)
	if err == nil {
		err = f.mayLook(op, path, clean, false)
	}
	return clean, err
}

// existing is lookup without those rules. A name that can never be created does
// not exist, which also tells nothing about hidden files.
func (f *FS) existing(op, path string) (string, error) {
	clean, ok := f.onDisk(Clean("/", path))
	if !ok {
		return clean, fail(op, path, fs.ErrNotExist)
	}
	return clean, nil
}

// create is lookup for a path whose last component is about to come into being.
func (f *FS) create(op, path string) (string, error) {
	clean, ok := f.onDisk(Clean("/", path))
	if !ok {
		return clean, fail(op, path, ErrName)
	}
	if clean == "/" {
		return clean, fail(op, path, fs.ErrExist)
	}
	if f.misleads(clean) {
		return clean, fail(op, path, ErrName)
	}
	return clean, f.mayChange(op, path, clean, false)
}

// onDisk returns a clean path as it is on disk, and whether clients may name it
// at all.
func (f *FS) onDisk(clean string) (string, bool) {
	path, ok := f.opts.Charset.Encode(clean)
	return path, ok && allowed(path)
}

// misleads tells whether a path is one that Pure-FTPd lets nobody make who has a
// quota, so that nothing there is taken for the server's own.
func (f *FS) misleads(clean string) bool {
	return f.account() != nil && (strings.Contains(clean, quotaFile) || strings.Contains(clean, "/.pureftpd-"))
}

// readable returns the text of a link as clients may read it; "?" is all there
// is to say of one that cannot be read.
func (f *FS) readable(target string) string {
	text, ok := f.opts.Charset.Decode(target)
	if !ok {
		return "?"
	}
	return text
}
