package stats

import (
	"encoding/binary"
	"io"
)

// An encoder writes a state. After an error it writes nothing.
type encoder struct {
	to  io.Writer
	buf []byte
	err error
}

// spillAt is how much an encoder keeps before it writes.
const spillAt = 64 << 10

func (e *encoder) uvarint(n uint64) {
	e.buf = binary.AppendUvarint(e.buf, n)
	e.spill()
}

func (e *encoder) varint(n int64) {
	e.buf = binary.AppendVarint(e.buf, n)
	e.spill()
}

func (e *encoder) byte(b byte) { e.buf = append(e.buf, b) }

func (e *encoder) flag(set bool) {
	if set {
		e.byte(1)
	} else {
		e.byte(0)
	}
}

// text writes bytes, and before them how many.
func (e *encoder) text(text []byte) {
	e.uvarint(uint64(len(text)))
	e.bytes(text)
}

func (e *encoder) bytes(text []byte) {
	if len(text) < spillAt {
		e.buf = append(e.buf, text...)
		e.spill()
		return
	}
	e.flush()
	if e.err == nil {
		_, e.err = e.to.Write(text)
	}
}

func (e *encoder) spill() {
	if len(e.buf) >= spillAt {
		e.flush()
	}
}

func (e *encoder) flush() {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.to.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// appendText adds bytes, and before them how many.
func appendText(buf []byte, text string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}
