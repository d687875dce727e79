package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"portreeve/logparse"
)

// An Input reads the entries of a file or of a part of it. It is a
// [logparse.Reader] whose errors name the file and, in a part, too, the line as it
// is counted from the beginning of the file. An input is not for two goroutines,
// but for Done.
type Input struct {
	*logparse.Reader

	file *File
	part Part
	from io.Closer
	data io.ReadCloser
	read atomic.Int64

	before  int64 // lines before the part
	counted bool
}

// A Part is some lines of a file. The zero value is all of them.
type Part struct {
	Offset int64
	Length int64     // 0: up to the end
	After  time.Time // of the entry before it, where that is needed to know its times
	Header string    // line of the file's header that holds there
}

// Whole tells that the part is the file.
func (p Part) Whole() bool { return p == Part{} }

// Open opens a file to be read from its beginning.
func (f *File) Open() (*Input, error) { return f.OpenPart(Part{}) }

// OpenPart opens a part of a plain file, or the whole of another.
func (f *File) OpenPart(p Part) (*Input, error) {
	in := &Input{file: f, part: p}
	if err := in.open(); err != nil {
		if in.from != nil {
			in.from.Close()
		}
		return nil, in.named(err)
	}
	in.Reader = logparse.NewReader(in.data, f.Format)
	in.Name, in.Parser = f.name(), f.parser()
	if !p.After.IsZero() {
		in.After(p.After)
	}
	if p.Header != "" {
		var e logparse.Entry
		_ = in.Parse(&f.Format, p.Header, &e) // that it is no entry is known
	}
	return in, nil
}

// name is what messages call a file.
func (f *File) name() string {
	if f.Path == Stdin {
		return "standard input"
	}
	return f.Path
}

func (in *Input) open() (err error) {
	if in.file.Path == Stdin {
		return in.stream(in.file.options.Stdin, io.NopCloser(nil))
	}
	file, err := os.Open(in.file.Path)
	if err != nil {
		return err
	}
	in.from = file
	switch {
	case in.file.stream:
		return in.stream(file, file)
	case in.part.Whole() || !in.file.Plain:
		in.data, err = decompress(in.file.compression, &counted{file, &in.read})
		return err
	case in.part.Length == 0:
		_, err = file.Seek(in.part.Offset, io.SeekStart)
		in.data = io.NopCloser(&counted{file, &in.read})
		return err
	}
	in.data = io.NopCloser(&counted{io.NewSectionReader(file, in.part.Offset, in.part.Length), &in.read})
	return nil
}

// stream opens what cannot be looked at before it is read.
func (in *Input) stream(from io.Reader, closer io.Closer) error {
	if in.from = closer; from == nil {
		from = strings.NewReader("")
	}
	from = &counted{from, &in.read}
	start := make([]byte, magicLength)
	n, err := io.ReadAtLeast(from, start, 1)
	for n < len(start) && err == nil && begins(start[:n]) {
		var more int
		more, err = from.Read(start[n:])
		n += more
	}
	if err != nil && err != io.EOF {
		return err
	}
	in.data, err = decompress(compressionOf(start[:n]), io.MultiReader(bytes.NewReader(start[:n]), from))
	return err
}

func (in *Input) named(err error) error {
	if errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), in.file.Path) {
		return err
	}
	return fmt.Errorf("reading %s: %w", in.file.name(), err)
}

// Close closes the file.
func (in *Input) Close() error {
	err := in.data.Close()
	if closed := in.from.Close(); err == nil {
		err = closed
	}
	return err
}

// Bytes returns the text of the lines, for who does not read entries.
func (in *Input) Bytes() io.Reader { return in.data }

// Done returns how many bytes of the file, as it is on disk, were read so far.
func (in *Input) Done() int64 { return in.read.Load() }

// Read reads the next entry, as [logparse.Reader.Read] does.
func (in *Input) Read(e *logparse.Entry) error {
	err := in.Reader.Read(e)
	if err == nil || err == io.EOF {
		return err
	}
	if line, ok := errors.AsType[*logparse.LineError](err); ok {
		line.Line += in.linesBefore()
		return err
	}
	return in.named(err)
}

// All returns all entries that are left, as [logparse.Reader.All] does.
func (in *Input) All() iter.Seq2[*logparse.Entry, error] {
	return func(yield func(*logparse.Entry, error) bool) {
		var e logparse.Entry
		for {
			err := in.Read(&e)
			if err == io.EOF {
				return
			}
			_, goesOn := errors.AsType[*logparse.LineError](err)
			if !yield(&e, err) || err != nil && !goesOn {
				return
			}
		}
	}
}

// linesBefore counts the lines before the part, once somebody must know.
func (in *Input) linesBefore() int64 {
	if in.counted || in.part.Offset == 0 {
		return in.before
	}
	in.counted = true
	file, err := os.Open(in.file.Path)
	if err != nil {
		return 0
	}
	defer file.Close()
	buf := make([]byte, 256<<10)
	for left := io.LimitReader(file, in.part.Offset); err == nil; {
		var n int
		n, err = left.Read(buf)
		in.before += int64(bytes.Count(buf[:n], []byte{'\n'}))
	}
	return in.before
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
