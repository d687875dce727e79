package server

import "io"

// TYPE A (RFC 959, section 3.1.1.1): on the wire lines end with CRLF, on disk
// with LF. Both directions keep their state from buffer to buffer.

// toNetwork turns each LF into CRLF, but leaves a CRLF that is there: a file
// that came from elsewhere is not given a second CR.
type toNetwork struct{ cr bool } // the last byte seen was CR

func (a *toNetwork) append(dst, src []byte) []byte {
	for _, c := range src {
		if c == '\n' && !a.cr {
			dst = append(dst, '\r')
		}
		dst = append(dst, c)
		a.cr = c == '\r'
	}
	return dst
}

// fromNetwork turns CRLF into LF and leaves every other CR.
type fromNetwork struct{ cr bool } // a CR is held back until the next byte is known

func (a *fromNetwork) append(dst, src []byte) []byte {
	for _, c := range src {
		if a.cr && c != '\n' {
			dst = append(dst, '\r')
		}
		a.cr = c == '\r'
		if !a.cr {
			dst = append(dst, c)
		}
	}
	return dst
}

// next is append, and flush when there is nothing to append.
func (a *fromNetwork) next(dst, src []byte) []byte {
	if len(src) == 0 {
		return a.flush(dst)
	}
	return a.append(dst, src)
}

// flush returns what is held back when the data ends.
func (a *fromNetwork) flush(dst []byte) []byte {
	if a.cr {
		dst = append(dst, '\r')
	}
	a.cr = false
	return dst
}

// asciiReader reads a file as TYPE A sends it.
type asciiReader struct {
	src  io.Reader
	conv toNetwork
	in   []byte
	buf  []byte // what in became
	out  []byte // the part of buf that is not yet read
	err  error
}

func newASCIIReader(src io.Reader) *asciiReader {
	return &asciiReader{src: src, in: make([]byte, 32<<10)}
}

func (r *asciiReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		var n int
		n, r.err = r.src.Read(r.in)
		r.buf = r.conv.append(r.buf[:0], r.in[:n])
		r.out = r.buf
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// asciiSize counts what TYPE A would send of size bytes of src, by sending it nowhere.
func asciiSize(src io.Reader, size int64) (int64, error) {
	return io.Copy(io.Discard, newASCIIReader(io.LimitReader(src, size)))
}
