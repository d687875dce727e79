package vfs

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// A root is a directory tree that no path and no link leaves. Paths are clean
// virtual ones. Links are resolved inside the root, where an absolute one
// begins at the root. Errors are errnos or wrap them, without host paths once
// they went through cause.
//
// There are two: one over openat2, one over os.Root. Both must pass the same
// tests.
type root interface {
	// dir opens the directory at path for operations on its entries.
	dir(path string) (dir, error)
	// open opens what exists at path, without waiting for anything, and
	// describes it; it never creates.
	open(path string, flags int, in *Info) (*os.File, error)
	stat(path string, in *Info) error
	// enter reports whether path is a directory that may be searched.
	enter(path string) error
	chmod(path string, mode fs.FileMode) error
	chtimes(path string, mtime time.Time) error
	chgrp(path string, gid int) error
	// volume opens what exists at path, to ask something of its file system.
	volume(path string, use func(fd int) error) error
	// list opens the directory at path for reading its entries, and
	// describes it.
	list(path string, in *Info) (lister, error)
	close() error
}

// A dir is an open directory. Names are single components, and a link in the
// place of a name is never followed.
type dir interface {
	lstat(name string, in *Info) error
	open(name string, flags int, mode fs.FileMode, in *Info) (*os.File, error)
	mkdir(name string, mode fs.FileMode) error
	unlink(name string) error
	rmdir(name string) error
	// rename moves old here to name in to, a dir of the same root; if not
	// told to replace it fails with EEXIST where the name is taken.
	rename(old string, to dir, name string, replace bool) error
	readlink(name string) (string, error)
	symlink(target, name string) error
	close() error
}

// A lister is a dir that reads its entries, once, in the order they are in.
type lister interface {
	dir
	// read appends some of the entries to es; it reports whether there may
	// be more.
	read(es *entries) (more bool, err error)
	// stat describes entry i of es, whose name is in in already.
	stat(es *entries, i int, in *Info) error
}

// maxLinks is where a chain of links becomes ELOOP, as in the kernel.
const maxLinks = 40

// expand replaces the links on the way to path, and at its end, by what they
// mean in a root. It only finds names: what is then done with the result is
// confined anew, so a link that changes in between leads elsewhere inside the
// root and never out of it.
func expand(path string, last bool, readlink func(path string) (string, error)) (string, error) {
	cur, rest := "/", path
	for links := 0; ; {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return cur, nil
		}
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		next := Clean(cur, part)
		if part == "." || part == ".." || !last && strings.Trim(rest, "/") == "" {
			cur = next
			continue
		}
		target, err := readlink(next)
		if err != nil { // not a link, or whoever uses the result will see why
			cur = next
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		if strings.HasPrefix(target, "/") {
			cur = "/"
		}
		rest = target + "/" + rest
	}
}

// retry makes a call until no signal interrupts it: the runtime sends them
// freely, to stop goroutines, and file systems over a network or in user space
// let them through.
func retry(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); err != syscall.EINTR {
			return n, err
		}
	}
}

// again is retry for a call without a result.
func again(call func() error) error {
	_, err := retry(func() (int, error) { return 0, call() })
	return err
}
