//go:build linux

package main

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The load generator works with sockets in blocking mode, by system calls, on
// threads of its own: what is measured is then the server, and neither the
// runtime of this process nor what a client does with the bytes.

// A wire is a socket in blocking mode. As a net.Conn it can do what tls asks.
type wire struct{ fd int }

// patient is how long a client waits for anything; every load ends by itself.
const patient = time.Minute

func dialWire(port string) (wire, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return wire{-1}, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return wire{-1}, os.NewSyscallError("socket", err)
	}
	limit := unix.NsecToTimeval(int64(patient))
	to := &unix.SockaddrInet4{Port: int(n), Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		os.NewSyscallError("connect", uninterrupted(func() error { return unix.Connect(fd, to) }))); err != nil {
		unix.Close(fd)
		return wire{-1}, err
	}
	return wire{fd}, nil
}

// uninterrupted makes a system call again that a signal of the runtime ended.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func (w wire) Read(p []byte) (n int, err error) {
	err = uninterrupted(func() (err error) { n, err = unix.Read(w.fd, p); return err })
	if n <= 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (w wire) Write(p []byte) (sent int, err error) {
	for sent < len(p) && err == nil {
		err = uninterrupted(func() error {
			n, err := unix.Write(w.fd, p[sent:])
			sent += max(n, 0)
			return err
		})
	}
	return sent, err
}

func (w wire) Close() error                     { return unix.Close(w.fd) }
func (w wire) CloseWrite() error                { return unix.Shutdown(w.fd, unix.SHUT_WR) }
func (w wire) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (w wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (w wire) SetDeadline(time.Time) error      { return nil }
func (w wire) SetReadDeadline(time.Time) error  { return nil }
func (w wire) SetWriteDeadline(time.Time) error { return nil }

// drop reads to the end without copying.
func (w wire) drop(room []byte) (n int64, err error) {
	for {
		got := 0
		err := uninterrupted(func() (err error) {
			got, _, err = unix.Recvfrom(w.fd, room, unix.MSG_TRUNC)
			return err
		})
		if err != nil || got <= 0 {
			return n, err
		}
		n += int64(got)
	}
}

// A recordWire gives its reader no more than one TLS record at a time, so that
// what follows a handshake is still in the socket.
type recordWire struct {
	wire
	header []byte // read, and not yet taken
	left   int    // of the record's body
}

func (w *recordWire) Read(p []byte) (int, error) {
	if len(w.header) == 0 && w.left == 0 {
		var header [5]byte
		if _, err := io.ReadFull(w.wire, header[:]); err != nil {
			return 0, err
		}
		w.header, w.left = header[:], int(binary.BigEndian.Uint16(header[3:]))
	}
	if len(w.header) > 0 {
		n := copy(p, w.header)
		w.header = w.header[n:]
		return n, nil
	}
	n, err := w.wire.Read(p[:min(len(p), w.left)])
	w.left -= n
	return n, err
}

// dropRecords reads records without copying or deciphering, up to the alert
// that ends them. Some servers wait for the client's own before they close.
func (w *recordWire) dropRecords(room []byte) (n int64, err error) {
	const alert = 2 + 1 + 16 // of TLS 1.3, with its type and its tag
	header := make([]byte, 5)
	for {
		if _, err := io.ReadFull(w.wire, header); err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		size := int(binary.BigEndian.Uint16(header[3:]))
		for left := size; left > 0; {
			got := 0
			err := uninterrupted(func() (err error) {
				got, _, err = unix.Recvfrom(w.fd, room[:left], unix.MSG_TRUNC|unix.MSG_WAITALL)
				return err
			})
			if err != nil || got <= 0 {
				return n, cmp.Or(err, io.ErrUnexpectedEOF)
			}
			left -= got
		}
		if size == alert {
			return n, nil
		}
		n += int64(size)
	}
}

// pour sends a file's first bytes without copying.
func (w wire) pour(f *os.File, size int64) error {
	for at := int64(0); at < size; {
		err := uninterrupted(func() error {
			n, err := unix.Sendfile(w.fd, int(f.Fd()), &at, int(min(size-at, 1<<20)))
			if n == 0 && err == nil {
				return io.ErrUnexpectedEOF
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A loader is a client's control connection.
type loader struct {
	wire
	conn   net.Conn // the wire, or TLS on it
	in     *bufio.Reader
	secure *tls.Config // of data connections, nil without TLS
	room   []byte      // of which drop only needs the size
}

func (c *loader) drop(w *recordWire) (int64, error) {
	if c.room == nil {
		c.room = make([]byte, 1<<20)
	}
	if c.secure != nil {
		return w.dropRecords(c.room)
	}
	return w.drop(c.room)
}

// dial connects and reads the greeting; with a TLS configuration it asks for TLS.
func (p *contestant) dial(secure *tls.Config) (*loader, error) {
	w, err := dialWire(p.port)
	if err != nil {
		return nil, err
	}
	c := &loader{wire: w, conn: w, in: bufio.NewReaderSize(w, 512)}
	err = c.expect(220)
	if err == nil && secure != nil {
		err = c.protect(secure)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return c, nil
}

func (c *loader) protect(secure *tls.Config) error {
	if err := c.say(234, "AUTH TLS"); err != nil {
		return err
	}
	conn := tls.Client(c.wire, secure)
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.in, c.secure = conn, bufio.NewReaderSize(conn, 512), secure
	return nil
}

// login opens a session that is ready to move files.
func (p *contestant) login(secure bool) (*loader, error) {
	var conf *tls.Config
	if secure { // one of its own, so that data connections resume this session and no other
		conf = &tls.Config{InsecureSkipVerify: true, ServerName: "bench", MinVersion: tls.VersionTLS13,
			ClientSessionCache: tls.NewLRUClientSessionCache(4), DynamicRecordSizingDisabled: true}
	}
	c, err := p.dial(conf)
	if err != nil {
		return nil, err
	}
	err = c.say(331, "USER "+p.user)
	if err == nil {
		err = c.say(230, "PASS "+password)
	}
	if err == nil && secure {
		err = errors.Join(c.say(200, "PBSZ 0"), c.say(200, "PROT P"))
	}
	if err == nil {
		err = c.say(200, "TYPE I")
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return c, nil
}

// reply reads one, of however many lines, and returns its last.
func (c *loader) reply() (code int, text string, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, "", err
		}
		if len(line) < 4 || line[3] != ' ' {
			continue
		}
		if code, err := strconv.Atoi(string(line[:3])); err == nil {
			return code, string(line[4:]), nil
		}
	}
}

func (c *loader) expect(want int) error {
	code, text, err := c.reply()
	if err == nil && code != want {
		err = fmt.Errorf("%d %s instead of %d", code, strings.TrimSpace(text), want)
	}
	return err
}

// send sends a command, for whose reply somebody waits later.
func (c *loader) send(command string) error {
	_, err := c.conn.Write(append([]byte(command), '\r', '\n'))
	return err
}

func (c *loader) say(want int, command string) error {
	err := c.send(command)
	if err == nil {
		err = c.expect(want)
	}
	if err != nil {
		verb, _, _ := strings.Cut(command, " ")
		err = fmt.Errorf("%s: %w", verb, err)
	}
	return err
}

// quit leaves in good order.
func (c *loader) quit() error {
	err := c.say(221, "QUIT")
	return errors.Join(err, c.Close())
}

// data opens a passive data connection.
func (c *loader) data() (wire, error) {
	if err := c.send("EPSV"); err != nil {
		return wire{-1}, err
	}
	code, text, err := c.reply()
	if err == nil && code != 229 {
		err = fmt.Errorf("EPSV: %d %s", code, text)
	}
	if err != nil {
		return wire{-1}, err
	}
	_, port, _ := strings.Cut(text, "|||")
	port, _, _ = strings.Cut(port, "|")
	return dialWire(port)
}

// transfer has a command move data, and returns once the server says that it is
// all there. Under TLS move gets what deciphers, too.
func (c *loader) transfer(command string, move func(*recordWire, net.Conn) error) error {
	raw, err := c.data()
	if err != nil {
		return err
	}
	w := &recordWire{wire: raw}
	err = c.send(command)
	if err == nil && c.secure == nil {
		err = c.began()
	}
	var conn net.Conn = raw
	if err == nil && c.secure != nil {
		t := tls.Client(w, c.secure)
		conn = t
		if err = t.Handshake(); err == nil { // some say 150 before it, some after
			err = c.began()
		}
	}
	if err == nil {
		err = move(w, conn)
	}
	if c.secure != nil && err == nil {
		_ = conn.Close() // with an alert
	} else {
		err = errors.Join(err, w.Close())
	}
	if err == nil {
		err = c.expect(226)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// began reads the reply that begins a transfer: 150, or 125.
func (c *loader) began() error {
	code, text, err := c.reply()
	if err == nil && code/100 != 1 {
		err = fmt.Errorf("%d %s instead of 150", code, strings.TrimSpace(text))
	}
	return err
}

// fetch downloads a file of a size, and drops it undeciphered.
func (c *loader) fetch(name string, size int64) error {
	return c.transfer("RETR "+name, func(w *recordWire, _ net.Conn) error {
		n, err := c.drop(w)
		if err == nil && (n < size || c.secure == nil && n != size) {
			err = fmt.Errorf("%d of %d bytes", n, size)
		}
		return err
	})
}

// put uploads the first bytes of a file.
func (c *loader) put(name string, f *os.File, size int64) error {
	return c.transfer("STOR "+name, func(w *recordWire, conn net.Conn) error {
		if c.secure == nil {
			return w.pour(f, size)
		}
		return c.cipherOut(w, conn.(*tls.Conn), io.NewSectionReader(f, 0, size))
	})
}

// cipherOut sends everything and the end of TLS, and waits for the server's end:
// to close with its session tickets unread would be a reset.
func (c *loader) cipherOut(w *recordWire, conn *tls.Conn, from io.Reader) error {
	if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, from, make([]byte, 256<<10)); err != nil {
		return err
	}
	if err := errors.Join(conn.CloseWrite(), w.CloseWrite()); err != nil {
		return err
	}
	_, err := c.drop(w)
	return err
}

// fetchAll downloads a file and returns it.
func (c *loader) fetchAll(command string, to io.Writer) error {
	return c.transfer(command, func(_ *recordWire, conn net.Conn) error {
		_, err := io.CopyBuffer(to, struct{ io.Reader }{conn}, make([]byte, 64<<10))
		return err
	})
}
