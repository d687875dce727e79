package server

import (
	"encoding/binary"
	"errors"
	"net"
)

// A recordReader is the connection under TLS that reads no further than the
// record at hand. When TLS ends on a connection that goes on, what follows is
// then still in the socket, also if it came in the same packet.
type recordReader struct {
	net.Conn
	head   [recordHead]byte
	got    int // of head
	left   int // of the record's body
	ending bool
	stray  []byte // read while ending, and no record
}

const recordHead = 5 // type, version and length (RFC 8446, section 5.1)

// errNotTLS: the client speaks in clear, without having ended TLS.
var errNotTLS = errors.New("not a TLS record")

func (r *recordReader) Read(p []byte) (n int, err error) {
	if r.left > 0 {
		n, err = r.Conn.Read(p[:min(len(p), r.left)])
		r.left -= n
		return n, err
	}
	n, err = r.Conn.Read(p[:min(len(p), recordHead-r.got)])
	copy(r.head[r.got:], p[:n])
	r.got += n
	if r.ending && r.got > 0 && !isRecord(r.head[:r.got]) {
		r.stray = r.head[:r.got]
		return 0, errNotTLS
	}
	if r.got == recordHead {
		r.got, r.left = 0, int(binary.BigEndian.Uint16(r.head[3:]))
	}
	return n, err
}

// isRecord tells whether bytes can begin a record of TLS. No command of FTP does.
func isRecord(b []byte) bool {
	return b[0] >= 20 && b[0] <= 23 && (len(b) < 2 || b[1] == 3)
}
