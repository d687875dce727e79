package server

import (
	"io"
	"net"
	"testing"
)

// pieces is a connection that gives its data in pieces.
type pieces struct {
	net.Conn
	data []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ in, text, answer string }{
		{"NOOP\r\n", "NOOP", ""},
		{"NOOP\n", "NOOP", ""},
		{"a\rb\n", "a\rb", ""},
		{"\xff\xfb\x01NOOP\r\n", "NOOP", "\xff\xfe\x01"},
		{"\xff\xfd\x03NO\xff\xfe\x05OP\r\n", "NOOP", "\xff\xfc\x03"},
		{"\xff\xfa\x18\x01vt\xff\xf0NOOP\r\n", "NOOP", ""},
		{"\xff\xf4\xff\xf2ABOR\r\n", "ABOR", ""},
		{"\xff\xf4\xffABOR\r\n", "ABOR", ""},
		{"\xf2ABOR\r\n", "ABOR", ""},
		{"CWD a\xff\xffb\r\n", "CWD a\xffb", ""},
		{"CWD a\xffb\r\n", "CWD a\xffb", ""},
		{"CWD a\r\x00b\r\n", "CWD a\rb", ""},
		{"\xff\xfb\n", "", ""},
		{"\xff\xff\n", "", ""},
	} {
		text, answer, err := newLineReader(&pieces{data: []byte(c.in), size: 1}, 1024).read()
		if text != c.text || string(answer) != c.answer || err != nil {
			t.Errorf("%q: %q, %q, %v; want %q, %q", c.in, text, answer, err, c.text, c.answer)
		}
	}
}

// A client that keeps offering gets a bounded number of refusals.
func TestTelnetAnswersAreBounded(t *testing.T) {
	var in []byte
	for range 100 {
		in = append(in, telnetIAC, telnetWILL, 1)
	}
	l := newLineReader(&pieces{data: append(in, '\n'), size: 512}, 1024)
	_, answer, err := l.read()
	if err != nil || len(answer) != 3*maxTelnetAnswers {
		t.Errorf("%d bytes of refusals, %v", len(answer), err)
	}
}
