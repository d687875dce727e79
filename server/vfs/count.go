package vfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"portreeve/userdb"
)

// Count walks through everything in the root, as the user, and returns what there
// is: regular files and directories, and the bytes of the files. It follows no
// link, and leaves out what is hidden from clients. progress, which may be nil,
// hears from time to time how far it is.
//
// What cannot be looked at is not counted; the error is the first reason, and the
// walk goes on.
func (f *FS) Count(ctx context.Context, progress func(userdb.Usage)) (userdb.Usage, error) {
	return f.walk(ctx, &counter{progress: progress})
}

// CountThroughLinks counts as pure-quotacheck does: what a link leads to counts once
// more, if it is in the root, and all names but that of .ftpquota do. A directory
// counts once.
func (f *FS) CountThroughLinks(ctx context.Context) (userdb.Usage, error) {
	return f.walk(ctx, &counter{seen: make(map[[2]uint64]bool)})
}

func (f *FS) walk(ctx context.Context, c *counter) (userdb.Usage, error) {
	if err := f.acquire(); err != nil {
		return userdb.Usage{}, err
	}
	defer f.release()
	if c.seen != nil {
		var in Info
		if err := f.do(func() error { return f.root.stat("/", &in) }); err != nil {
			return userdb.Usage{}, fail("count", "/", err)
		}
		c.seen[[2]uint64{in.Dev, in.Ino}] = true
	}
	c.fs, c.left = f, []string{"/"}
	for len(c.left) > 0 {
		if ctx.Err() != nil {
			return c.found, context.Cause(ctx)
		}
		path := c.left[len(c.left)-1]
		c.left = c.left[:len(c.left)-1]
		err := c.folder(path)
		if c.seen != nil && path != "/" && errors.Is(err, fs.ErrPermission) {
			c.found.Files-- // pure-quotacheck counts a directory as it enters it
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && c.err == nil {
			c.err = fail("count", path, err)
		}
	}
	return c.found, c.err
}

// A counter walks. Directories wait to be looked into, the deepest first, so that
// few wait.
type counter struct {
	fs       *FS
	left     []string
	found    userdb.Usage
	progress func(userdb.Usage)
	seen     map[[2]uint64]bool // directories by device and number; nil: no links are followed
	err      error
}

// countBatch is how many names are read, and looked up as the user, at a time.
const countBatch = 512

func (c *counter) folder(path string) error {
	var (
		file *os.File
		d    dir
	)
	err := c.fs.do(func() (err error) {
		var in Info
		if file, err = c.fs.root.open(path, os.O_RDONLY, &in); err == nil {
			d, err = c.fs.root.dir(path)
		}
		return err
	})
	if file != nil {
		defer file.Close()
	}
	if err != nil {
		return err
	}
	defer d.close()
	for {
		entries, err := file.ReadDir(countBatch)
		if len(entries) > 0 {
			err = c.fs.do(func() error { return c.count(path, d, entries) })
		}
		if c.progress != nil {
			c.progress(c.found)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (c *counter) count(path string, d dir, entries []os.DirEntry) (first error) {
	for _, e := range entries {
		var in Info
		look := c.look
		if c.seen != nil {
			look = c.follow
		}
		switch err := look(path, d, e, &in); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			if first == nil {
				first = err
			}
		case in.IsDir():
			c.found.Files++
			c.left = append(c.left, join(path, e.Name()))
		case in.IsRegular():
			c.found.Files++
			c.found.Bytes += in.Size
		}
	}
	return first
}

// look describes an entry that counts; others are as good as not there.
func (c *counter) look(_ string, d dir, e os.DirEntry, in *Info) error {
	switch kind := e.Type(); {
	case kind.IsDir(): // of which nothing more is wanted
		in.Mode = kind
		return nil
	case reserved(e.Name()) || kind&(fs.ModeType&^fs.ModeIrregular) != 0:
		return fs.ErrNotExist
	}
	return d.lstat(e.Name(), in)
}

// follow describes what an entry leads to, unless that is a directory which was
// counted.
func (c *counter) follow(path string, d dir, e os.DirEntry, in *Info) error {
	if e.Name() == quotaFile {
		return fs.ErrNotExist
	}
	err := d.lstat(e.Name(), in)
	if err == nil && in.IsLink() && c.fs.root.stat(join(path, e.Name()), in) != nil {
		return fs.ErrNotExist // it leads nowhere
	}
	if err == nil && in.IsDir() {
		at := [2]uint64{in.Dev, in.Ino}
		if c.seen[at] {
			return fs.ErrNotExist
		}
		c.seen[at] = true
	}
	return err
}

// errUsageFile is a .ftpquota that does not say what it should.
var errUsageFile = errors.New("not two numbers in a line")

// ReadUsage returns what .ftpquota in the root says.
func (f *FS) ReadUsage() (userdb.Usage, error) {
	var text []byte
	err := f.do(func() error {
		d, err := f.root.dir("/")
		if err != nil {
			return err
		}
		defer d.close()
		var in Info
		file, err := d.open(quotaFile, os.O_RDONLY, 0, &in)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := storable(&in); err != nil {
			return err
		}
		text, err = io.ReadAll(io.LimitReader(file, 64))
		return err
	})
	if err != nil {
		return userdb.Usage{}, fail("read", "/"+quotaFile, err)
	}
	u, err := parseUsage(string(text))
	return u, fail("read", "/"+quotaFile, err)
}

// parseUsage reads "FILES BYTES" and perhaps a line end.
func parseUsage(text string) (u userdb.Usage, err error) {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	files, bytes, _ := strings.Cut(text, " ")
	for _, n := range []struct {
		text string
		to   *int64
	}{{files, &u.Files}, {bytes, &u.Bytes}} {
		v, err := strconv.ParseUint(n.text, 10, 63)
		if err != nil {
			return userdb.Usage{}, errUsageFile
		}
		*n.to = int64(v)
	}
	return u, nil
}

// WriteUsage has .ftpquota in the root say what there is, if Options.KeepUsage is
// set. Whoever reads it meanwhile sees the old or the new; who may, stays as it was.
func (f *FS) WriteUsage(u userdb.Usage) error {
	if !f.opts.KeepUsage {
		return nil
	}
	return fail("write", "/"+quotaFile, f.do(func() error {
		d, err := f.root.dir("/")
		if err != nil {
			return err
		}
		defer d.close()
		var in, old Info
		mode := fs.FileMode(0o600)
		if d.lstat(quotaFile, &old) == nil && old.IsRegular() {
			mode = old.Mode.Perm()
		}
		temp := tempPrefix + token(tempToken)
		file, err := d.open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600, &in)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(file, "%d %d\n", u.Files, u.Bytes)
		err = errors.Join(err, file.Chmod(mode), file.Close())
		if err == nil {
			err = d.rename(temp, d, quotaFile, true)
		}
		if err != nil {
			_ = d.unlink(temp)
		}
		return err
	}))
}
