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
	if err := f.acquire(); err != nil {
		return userdb.Usage{}, err
	}
	defer f.release()
	c := counter{fs: f, left: []string{"/"}, progress: progress}
	for len(c.left) > 0 {
		if ctx.Err() != nil {
			return c.found, context.Cause(ctx)
		}
		path := c.left[len(c.left)-1]
		c.left = c.left[:len(c.left)-1]
		if err := c.folder(path); err != nil && !errors.Is(err, fs.ErrNotExist) && c.err == nil {
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
		kind := e.Type()
		if !kind.IsDir() { // of which nothing more is wanted
			if reserved(e.Name()) || kind&(fs.ModeType&^fs.ModeIrregular) != 0 {
				continue
			}
			switch err := d.lstat(e.Name(), &in); {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				if first == nil {
					first = err
				}
				continue
			}
			kind = in.Mode.Type()
		}
		switch {
		case kind.IsDir():
			c.found.Files++
			c.left = append(c.left, join(path, e.Name()))
		case kind.IsRegular():
			c.found.Files++
			c.found.Bytes += in.Size
		}
	}
	return first
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
// set. Whoever reads it meanwhile sees the old or the new.
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
		var in Info
		temp := tempPrefix + token(tempToken)
		file, err := d.open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600, &in)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(file, "%d %d\n", u.Files, u.Bytes)
		err = errors.Join(err, file.Close())
		if err == nil {
			err = d.rename(temp, d, quotaFile, true)
		}
		if err != nil {
			_ = d.unlink(temp)
		}
		return err
	}))
}
