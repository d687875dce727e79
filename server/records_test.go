package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"
)

// A stream is a connection that only reads, and counts.
type stream struct {
	net.Conn
	r     io.Reader
	taken int
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.taken += n
	return n, err
}

// FuzzRecordReader: all that comes is handed on, in order, and no read takes more
// than the record at hand.
func FuzzRecordReader(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 3, 'a', 'b', 'c', 23, 3, 3, 0, 0, 21, 3, 3, 0, 2, 1, 0, 'P', 'W', 'D'}, true, 7)
	f.Add([]byte("PWD\r\nNOOP\r\n"), false, 512)
	f.Fuzz(func(t *testing.T, sent []byte, slowly bool, size int) {
		under := &stream{r: bytes.NewReader(sent)}
		if slowly {
			under.r = iotest.OneByteReader(under.r)
		}
		r := &recordReader{Conn: under}
		buf := make([]byte, 1+(size&0x3ff))
		var got []byte
		for {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if end := endOfRecord(sent, len(got)); under.taken > end {
				t.Fatalf("%d bytes were taken, and the record ends at %d", under.taken, end)
			}
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, sent) {
			t.Fatalf("%q became %q", sent, got)
		}
	})
}

// endOfRecord is where the record ends, or its head, that byte n-1 is in.
func endOfRecord(sent []byte, n int) int {
	end := 0
	for end < n {
		if len(sent)-end < recordHead {
			return len(sent)
		}
		head := end
		end += recordHead
		if end >= n {
			return end
		}
		end += int(binary.BigEndian.Uint16(sent[head+3:]))
	}
	return min(end, len(sent))
}

// TestStrayBytes: while TLS ends, what is no record is kept for who goes on.
func TestStrayBytes(t *testing.T) {
	for _, c := range []struct{ sent, stray string }{
		{"PWD\r\nNOOP\r\n", "PWD\r\n"}, {"Q", "Q"}, {"\x15\x03\x03\x00\x02\x01\x00PWD\r\n", "PWD\r\n"}, {"\x15\x02 no", "\x15\x02 no"},
	} {
		under := &stream{r: bytes.NewReader([]byte(c.sent))}
		r := &recordReader{Conn: under, ending: true}
		_, err := io.Copy(io.Discard, struct{ io.Reader }{r})
		if !errors.Is(err, errNotTLS) || string(r.stray) != c.stray {
			t.Errorf("%q: %q, %v", c.sent, r.stray, err)
		}
	}
}
