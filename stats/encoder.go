package stats

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// An encoder writes a state. After an error it writes nothing.
type encoder struct {
	to  io.Writer
	buf []byte
	sum uint32 // of what was written
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
	e.write(text)
}

func (e *encoder) spill() {
	if len(e.buf) >= spillAt {
		e.flush()
	}
}

func (e *encoder) flush() {
	e.write(e.buf)
	e.buf = e.buf[:0]
}

func (e *encoder) write(text []byte) {
	e.sum = crc32.Update(e.sum, castagnoli, text)
	if e.err == nil && len(text) > 0 {
		_, e.err = e.to.Write(text)
	}
}

// end writes the sum of all before it, and tells what went wrong.
func (e *encoder) end() error {
	e.flush()
	e.write(binary.LittleEndian.AppendUint32(nil, e.sum))
	return e.err
}

// sumLength is how long what end writes is.
const sumLength = 4

// castagnoli is the polynomial for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendText adds bytes, and before them how many.
func appendText(buf []byte, text string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}
