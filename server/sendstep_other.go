//go:build !linux

package server

import (
	"io"
	"os"
)

const threads = 0

// sendStep sends up to n bytes of file from where it stands.
func (f *flow) sendStep(file *os.File, n int64) (int64, error) {
	return io.CopyN(f.conn, file, n)
}
