package logfile

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// A compression is a row of compressions.
type compression uint8

const none compression = 0

const (
	// magicLength is as many bytes as tell a compression.
	magicLength = 6
	// maxWindow is how much a decompressor may remember. xz -9 takes 64 MiB; more
	// is asked for by what nobody wrote to be read.
	maxWindow = 64 << 20
)

// compressions are those that are undone, by what files begin with: a name can be
// wrong.
var compressions = []struct {
	name  string
	magic string
	open  func(*bufio.Reader) (io.ReadCloser, error)
}{
	none: {"", "", nil},
	1: {"gzip", "\x1f\x8b", func(r *bufio.Reader) (io.ReadCloser, error) {
		return gzip.NewReader(r)
	}},
	2: {"zstd", "\x28\xb5\x2f\xfd", openZstd},
	3: {"xz", "\xfd7zXZ\x00", openXZ},
	4: {"zstd", "\x50\x2a\x4d\x18", openZstd}, // a frame to be skipped, with which pzstd begins
	5: {"bzip2", "BZh", func(r *bufio.Reader) (io.ReadCloser, error) {
		return io.NopCloser(bzip2.NewReader(r)), nil
	}},
}

// compressionOf tells it from the beginning of a file.
func compressionOf(start []byte) compression {
	for i, c := range compressions {
		if compression(i) != none && bytes.HasPrefix(start, []byte(c.magic)) {
			return compression(i)
		}
	}
	return none
}

// begins tells whether so few bytes may become the beginning of a compressed file.
func begins(start []byte) bool {
	for i, c := range compressions {
		if compression(i) != none && bytes.HasPrefix([]byte(c.magic), start) {
			return true
		}
	}
	return false
}

func openZstd(r *bufio.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// openXZ refuses a dictionary that is too large, of the first block: those behind
// it are by the same writer.
func openXZ(r *bufio.Reader) (io.ReadCloser, error) {
	const header = 12 // of the file; the block's begins with its size by four, and its flags
	start, err := r.Peek(header + 2)
	if err != nil {
		return nil, err
	}
	start, err = r.Peek(header + (int(start[header])+1)*4)
	if err != nil {
		return nil, err
	}
	if size := dictionary(start[header:]); size > maxWindow {
		return nil, fmt.Errorf("it takes a dictionary of %d MiB, more than %d MiB", size>>20, maxWindow>>20)
	}
	d, err := xz.NewReader(r)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(d), nil
}

// dictionary returns how much an xz block says it takes, by section 5.3.1 of the
// format; 0 if the header says nothing that we understand, which is for others to
// refuse.
func dictionary(header []byte) int64 {
	const lzma2, sized = 0x21, 0xc0
	if header[0] == 0 || header[1]&0x3f != 0 { // an index, or more filters than one
		return 0
	}
	at := 2
	for flags := header[1] & sized; flags != 0; flags &= flags - 1 {
		for at < len(header) && header[at]&0x80 != 0 {
			at++
		}
		at++
	}
	if at+3 > len(header) || header[at] != lzma2 || header[at+2] > 40 {
		return 0
	}
	bits := header[at+2]
	return int64(2|bits&1) << (bits/2 + 11)
}

// decompress undoes a compression, if there is one.
func decompress(c compression, from io.Reader) (io.ReadCloser, error) {
	if c == none {
		return io.NopCloser(from), nil
	}
	r, err := compressions[c].open(bufio.NewReaderSize(from, 64<<10))
	if err != nil {
		return nil, broken(c, err)
	}
	return &undone{r, c}, nil
}

// undone names what is broken in its errors.
type undone struct {
	io.ReadCloser
	compression compression
}

func (u *undone) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = broken(u.compression, err)
	}
	return n, err
}

// ErrCompressed is the cause of errors about compressed data that is broken.
var ErrCompressed = errors.New("compressed data is broken")

func broken(c compression, err error) error {
	return fmt.Errorf("%s: %w: %w", compressions[c].name, ErrCompressed, err)
}
