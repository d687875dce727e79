package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"

	registry "portreeve/server/session"
)

// MODE Z (draft-preston-ftpext-deflate): each transfer, listings too, is one zlib
// stream (RFC 1950) between TYPE's conversion and TLS. It is another way through
// a transfer, not a part of the ordinary one, and off unless the administrator
// says how much a client may ask of the processor.

// zipLevel is how hard a session compresses that did not choose.
const zipLevel = 6

// A stream that expands more than anything but zeros can is a bomb, once it has
// made enough to tell.
const (
	mostExpansion = 1000
	bombFrom      = 1 << 20
)

// Why a compressed upload is refused.
var (
	errBomb    = errors.New("compressed data expands too much")
	errDamaged = errors.New("compressed data is damaged")
)

// featMODE is the line of FEAT, if there is a mode beyond the standard's.
func (s *session) featMODE() string {
	if s.cfg.Compression == 0 {
		return ""
	}
	return "MODE Z"
}

// optsMODE takes "Z" and "Z LEVEL n"; more than is allowed here is what is allowed.
func (s *session) optsMODE(arg string) reply {
	words := strings.Fields(strings.ToUpper(arg))
	if s.cfg.Compression == 0 || len(words) == 0 || words[0] != "Z" {
		return say(501, "No such option")
	}
	if len(words) == 1 {
		return say(200, "MODE Z is there")
	}
	if len(words) != 3 || words[1] != "LEVEL" || len(words[2]) != 1 || words[2][0] < '0' || words[2][0] > '9' {
		return say(501, "MODE Z takes LEVEL and a number from 0 to 9")
	}
	s.level = min(int(words[2][0]-'0'), s.cfg.Compression)
	return sayf(200, "MODE Z compresses at level %d", s.level)
}

// compress has a transfer send a zlib stream. How much of it makes how much of a
// file, nobody can tell.
func (s *session) compress(t *transfer) {
	t.small, t.size = nil, -1
	if t.kind == registry.Uploading {
		return
	}
	work, level := t.work, s.level
	t.work = func(f *flow) (reply, error) {
		out := bufio.NewWriterSize(steps{f}, 32<<10) // what compresses writes in crumbs
		z, err := zlib.NewWriterLevel(out, level)
		if err != nil {
			return reply{}, err
		}
		f.zip = z
		r, err := work(f)
		f.zip = nil
		if err == nil {
			err = z.Close()
		}
		if err == nil {
			err = out.Flush()
		}
		return r, err
	}
}

// A steps is the data connection, to read and to write in steps that keep the rate
// and hear of the end.
type steps struct{ f *flow }

func (w steps) Write(p []byte) (int, error) {
	if err := w.f.push(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w steps) Read(p []byte) (int, error) {
	for {
		if err := w.f.arm(); err != nil {
			return 0, err
		}
		n, err := w.f.conn.Read(p[:min(int64(len(p)), w.f.draw.Step())])
		if cerr := w.f.count(int64(n)); cerr != nil {
			return n, cerr
		}
		if err = w.f.judge(err, int64(n)); n > 0 || err != nil {
			return n, err
		}
	}
}

// receiveZip writes to file what a zlib stream holds. A stream tells its own end:
// what ends before it is a part, and what comes after it does not belong there.
func (f *flow) receiveZip(file *os.File, convert func(dst, src []byte) []byte) error {
	in := bufio.NewReaderSize(steps{f}, 32<<10)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		return nil // some clients send nothing at all for an empty file
	}
	z, err := zlib.NewReader(in)
	if err != nil {
		return unzipped(err)
	}
	defer z.Close()
	buf, out := make([]byte, 64<<10), []byte(nil)
	made := int64(0)
	for {
		n, err := z.Read(buf)
		if made += int64(n); made > bombFrom && made/mostExpansion > f.bytes {
			return errBomb
		}
		out = convert(out[:0], buf[:n])
		if werr := f.keep(file, out); werr != nil {
			return werr
		}
		switch {
		case errors.Is(err, io.EOF):
			if err := f.keep(file, convert(out[:0], nil)); err != nil {
				return err
			}
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				return unzipped(err)
			}
			return nil
		case err != nil:
			return unzipped(err)
		}
	}
}

// unzipped tells what is wrong with the data from what is wrong with its coming.
func unzipped(err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("%w: more follows its end", errDamaged)
	case errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary):
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if corrupt, ok := errors.AsType[flate.CorruptInputError](err); ok {
		return fmt.Errorf("%w: %w", errDamaged, corrupt)
	}
	return err
}
