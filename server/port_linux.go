package server

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A port is a passive port that the runtime's poller does not know until somebody
// has to wait at it. Most clients connect before they say what for, and then to
// accept takes one system call, and a small file two more.
type port struct {
	mu      sync.Mutex   // guards the fields that follow
	fd      int          // -1 once it is closed, or waited at
	waiting net.Listener // who waits, does so through the runtime
	at      netip.AddrPort
}

// What follows calls the kernel without telling the scheduler, as package syscall
// does for calls that cannot block. None on a socket in non-blocking mode does,
// but they take long enough, when the other end is on this machine, for the
// scheduler to give the processor away meanwhile; the way back costs more than
// the call.
//
// Memory is handed over as a pointer, which becomes a number in the call itself
// and no sooner: the stack it may be on moves when it grows (see unsafe.Pointer).

// rawCall makes a call of a descriptor, memory, its size, and flags.
func rawCall(trap uintptr, fd int, p unsafe.Pointer, n, flags uintptr) (int, error) {
	r, _, errno := unix.RawSyscall6(trap, uintptr(fd), uintptr(p), n, flags, 0, 0)
	return outcome(r, errno)
}

// rawAccept takes a connection that waits, if one does.
func rawAccept(fd int, from *unix.RawSockaddrInet6) (int, error) {
	size := uint32(unsafe.Sizeof(*from))
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(from)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return outcome(r, errno)
}

func outcome(r uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// closeSocket closes a socket that nobody lingers for.
func closeSocket(fd int) error {
	_, err := rawCall(unix.SYS_CLOSE, fd, nil, 0, 0)
	return err
}

// backlog is how many connections may wait to be accepted; strangers may be first.
const backlog = maxStrangers

// listenAt opens a port. That it was in use a moment ago is no hindrance: the
// server closes first after a download, and its side then stays in TIME_WAIT.
func listenAt(addr netip.Addr, number uint16, congestion string) (net.Listener, error) {
	at := netip.AddrPortFrom(addr.Unmap(), number)
	family, name := unix.AF_INET, socketAddress(at)
	if at.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	setCongestion(fd, congestion)
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, name))
	}
	if err == nil {
		r, _, errno := unix.RawSyscall(unix.SYS_LISTEN, uintptr(fd), backlog, 0)
		_, lerr := outcome(r, errno)
		err = os.NewSyscallError("listen", lerr)
	}
	if err != nil {
		_ = closeSocket(fd) // what was wrong before is worth telling
		return nil, err
	}
	return &port{fd: fd, at: at}, nil
}

// setCongestion sets the congestion control of a connection to be, or of those that
// a port is to accept. To change it later would not end the pacing of the one before.
func setCongestion(fd int, name string) {
	if name != "" { // one that the system does not have, or not for everybody, leaves its own
		_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	}
}

func socketAddress(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneID(a.Addr().Zone())}
}

// zoneID is the number of an interface, by its name or as it is.
func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32) // 0 is no interface, and binding says so
	return uint32(n)
}

func (p *port) Addr() net.Addr { return net.TCPAddrFromAddrPort(p.at) }

func (p *port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waiting != nil:
		return p.waiting.Close()
	case p.fd < 0:
		return net.ErrClosed
	}
	fd := p.fd
	p.fd = -1
	return closeSocket(fd)
}

// Accept waits for a connection.
func (p *port) Accept() (net.Conn, error) {
	l, err := p.listener()
	if err != nil {
		return nil, err
	}
	return l.Accept()
}

// listener hands the port over to the runtime.
func (p *port) listener() (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting != nil {
		return p.waiting, nil
	}
	if p.fd < 0 {
		return nil, net.ErrClosed
	}
	f := os.NewFile(uintptr(p.fd), "passive port")
	p.fd = -1
	defer f.Close() // the listener has a duplicate
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	p.waiting = l
	return l, nil
}

// take accepts a connection that is there, and returns nil if there is none.
func (p *port) take() *arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.fd >= 0 {
		var from unix.RawSockaddrInet6 // has room for IPv4, too
		fd, err := rawAccept(p.fd, &from)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return nil
		}
		a := &arrival{fd: fd, from: netip.AddrFrom16(from.Addr).Unmap()}
		if from.Family == unix.AF_INET {
			a.from = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&from)).Addr)
		}
		return a
	}
	return nil
}

// An arrival is a data connection that the runtime's poller does not know. One
// goroutine has it, which closes it or makes it a net.Conn.
type arrival struct {
	fd   int
	from netip.Addr
}

func (a *arrival) close() { _ = closeSocket(a.fd) }

// conn hands the connection over to the runtime.
func (a *arrival) conn() (net.Conn, error) {
	f := os.NewFile(uintptr(a.fd), "data connection")
	defer f.Close() // the connection has a duplicate
	return net.FileConn(f)
}

// send writes as much as goes without waiting, which is with the end of the data
// if that is all: they are one segment then. Why no more goes is found out by who
// sends the rest.
func (a *arrival) send(p []byte) (sent int) {
	for sent < len(p) {
		n, err := rawCall(unix.SYS_SENDTO, a.fd, unsafe.Pointer(&p[sent]), uintptr(len(p)-sent), unix.MSG_MORE|unix.MSG_NOSIGNAL)
		sent += max(n, 0)
		if err != nil && err != unix.EINTR {
			break
		}
	}
	return sent
}

// receive reads until p is full or the client has ended. It gives up where nothing
// has come for so long, or little for longer. What is wrong with the connection the
// kernel tells once: who reads on would take it for the client's end.
func (a *arrival) receive(p []byte, silence, most time.Duration) (n int, ended bool, err error) {
	var late time.Time
	for n < len(p) {
		got, err := rawCall(unix.SYS_READ, a.fd, unsafe.Pointer(&p[n]), uintptr(len(p)-n), 0)
		switch {
		case got > 0:
			n += got
		case err == nil:
			return n, true, nil
		case err == unix.EAGAIN:
			now := time.Now()
			if late.IsZero() {
				late = now.Add(most)
			}
			limit := unix.NsecToTimespec(int64(min(silence, late.Sub(now))))
			if limit.Nano() <= 0 {
				return n, false, nil
			}
			if ready, _ := unix.Ppoll([]unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}}, &limit, nil); ready == 0 {
				return n, false, nil
			}
		case err != unix.EINTR:
			return n, false, os.NewSyscallError("read", err)
		}
	}
	return n, false, nil
}

// clean tells whether nothing has come that was not read: to close would then not
// reset the connection.
func (a *arrival) clean() bool {
	var one [1]byte
	n, err := rawCall(unix.SYS_RECVFROM, a.fd, unsafe.Pointer(&one), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err == unix.EAGAIN || err == nil && n == 0
}
