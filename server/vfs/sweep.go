package vfs

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A daemon that ends in the middle of uploads leaves their hidden files
// behind, which no client can see or name. They are removed when somebody who
// may do so lists their directory, or wants to remove it.
//
// An upload in progress is told from such a leftover by its lock, which ends
// with the process that holds it, whichever daemon that is. The age covers
// the moment between making a file and locking it.

const (
	leftoverAge  = time.Minute
	maxLeftovers = 16 // removed by one listing
)

// isLeftover reports whether name could be the hidden file of an upload here;
// other servers have names with the same prefix, and locks of their own.
func isLeftover(name string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	return ok && len(rest) == 2*tempToken && strings.Trim(rest, "0123456789abcdef") == ""
}

// lock marks the file as an upload in progress. Where there are no locks
// nothing is ever swept.
func lock(file *os.File) bool {
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// sweep removes those of the names in d that nobody is uploading to; it runs
// as the user.
func sweep(d dir, names []string) (removed bool) {
	for _, name := range names {
		var in Info
		file, err := d.open(name, os.O_WRONLY, 0, &in)
		if err != nil {
			continue
		}
		if in.IsRegular() && time.Since(in.ModTime) > leftoverAge && lock(file) && d.unlink(name) == nil {
			removed = true
		}
		file.Close()
	}
	return removed
}

// rmdir removes an empty directory, and one in which there are leftovers only.
func (f *FS) rmdir(d dir, base, path string) error {
	for {
		err := d.rmdir(base)
		if !errors.Is(err, syscall.ENOTEMPTY) || !f.sweepAll(path) {
			return err
		}
	}
}

// sweepAll removes some leftovers from a directory that shows nothing else.
func (f *FS) sweepAll(path string) (removed bool) {
	var in Info
	l, err := f.root.list(path, &in)
	if err != nil {
		return false
	}
	defer l.close()
	es := entries{opt: &ListOptions{Hidden: true}}
	for more := true; more && err == nil && len(es.list) == 0; {
		if more, err = l.read(&es); sweep(l, es.leftovers) {
			removed = true
		}
		es.leftovers = nil
	}
	return removed
}
