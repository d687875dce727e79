package server

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Large files under TLS. crypto/tls makes records of 16 KiB, and a system call for
// each costs as much as the cipher. Here 256 KiB are read from the file at a time,
// sealed record by record, and written at once; uploads the other way round.

// sealedStep is how much of a file is sealed before it is written, or opened.
const sealedStep = 256 << 10

// A bulkBuffer is what a thread needs for that: a step of a file, and its records.
type bulkBuffer struct {
	plain  [sealedStep]byte
	sealed [sealedStep + sealedStep/32]byte // a record adds 22 bytes, or few more in TLS 1.2
}

// A socket is what is under a data connection's TLS, as a thread that waits in
// the kernel sees it.
type socket struct {
	f  *flow
	fd int
}

// Read waits for a client that is not slow; for others it is os.ErrDeadlineExceeded.
func (s socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err == unix.EAGAIN:
			if ready, err := s.f.await(s.fd, unix.POLLIN); err != nil {
				return 0, os.NewSyscallError("poll", err)
			} else if !ready {
				return 0, os.ErrDeadlineExceeded
			}
		case err != unix.EINTR:
			return 0, os.NewSyscallError("read", err)
		}
	}
}

// Write writes all of p, however slow the client is: a record that is cut cannot be
// taken up again.
func (s socket) Write(p []byte) (n int, err error) {
	lively := time.Now()
	for n < len(p) {
		k, err := unix.Write(s.fd, p[n:])
		switch {
		case k > 0:
			n += k
			lively = time.Now()
		case err == unix.EAGAIN:
			if _, err := s.f.await(s.fd, unix.POLLOUT); err != nil {
				return n, os.NewSyscallError("poll", err)
			}
			if time.Since(lively) > s.f.stall {
				return n, errStalled
			}
		case err != unix.EINTR:
			return n, os.NewSyscallError("write", err)
		}
	}
	return n, nil
}

// sendSealed is sendBulk under TLS.
func (f *flow) sendSealed(conn, file int, n int64) (sent int64, err error) {
	buf := f.bulks.Get().(*bulkBuffer)
	defer f.bulks.Put(buf)
	t := f.tls.trunk
	t.direct, t.out = socket{f, conn}, buf.sealed[:0]
	defer func() { t.direct, t.out = nil, nil }()
	for sent < n && f.bytes >= f.until && f.ctx.Err() == nil && !f.draw.Limited() {
		k, err := retried(func() (int, error) { return unix.Read(file, buf.plain[:min(n-sent, sealedStep)]) })
		if err != nil || k == 0 {
			if err == nil {
				err = io.EOF
			}
			return sent, err
		}
		if _, err = f.tls.Write(buf.plain[:k]); err == nil {
			err = t.flush()
		}
		if err != nil {
			return sent, err
		}
		sent += int64(k)
		f.moved(int64(k))
	}
	return sent, nil
}

// receiveSealed is receiveBulk under TLS.
func (f *flow) receiveSealed(conn, file int, n int64) (received int64, err error) {
	buf := f.bulks.Get().(*bulkBuffer)
	t := f.tls.trunk
	t.direct, t.room = socket{f, conn}, buf.sealed[:]
	defer func() {
		t.direct, t.room = nil, nil
		if len(t.ahead) == 0 { // otherwise the buffer is still in use
			f.bulks.Put(buf)
		}
	}()
	for received < n && err == nil && !f.draw.Limited() {
		step := f.allowed.upTo(min(n-received, sealedStep))
		if step == 0 {
			return received, nil
		}
		k := 0
		for k < int(step) && err == nil {
			var m int
			m, err = f.tls.Read(buf.plain[k:step])
			k += m
		}
		for p := buf.plain[:k]; len(p) > 0; {
			w, werr := retried(func() (int, error) { return unix.Write(file, p) })
			if werr != nil {
				return received, os.NewSyscallError("write", werr)
			}
			p = p[w:]
		}
		received += int64(k)
		f.allowed.room -= int64(k)
		f.moved(int64(k))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return received, err
}

// retried makes a call again that a signal ended.
func retried(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
