package control

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"syscall"
)

// A Peer is the process at the other end, as the kernel saw it when it
// connected: it cannot be made up, and does not change if the process does.
type Peer struct {
	UID    int
	Groups []int // the effective one first
	PID    int   // 0 where the system does not tell
}

// LogValue names the peer in the log.
func (p Peer) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("uid", p.UID), slog.Int("pid", p.PID))
}

// Who is a set of local users.
type Who struct {
	Users  []int // uids
	Groups []int // gids
}

func (w Who) has(p Peer) bool {
	return slices.Contains(w.Users, p.UID) ||
		slices.ContainsFunc(p.Groups, func(gid int) bool { return slices.Contains(w.Groups, gid) })
}

// Access says who may read and who may change. Root and the daemon's own user
// may do both, and who may change may read; the zero value lets nobody else in.
// The mode of the socket is a first gate, this is the second: a peer that the
// mode lets through and Access does not is answered 403.
type Access struct {
	Read   Who
	Change Who
}

func (a Access) mayChange(p Peer) bool {
	return p.UID == 0 || p.UID == os.Geteuid() || a.Change.has(p)
}

func (a Access) mayRead(p Peer) bool { return a.mayChange(p) || a.Read.has(p) }

type peerKey struct{}

// withPeer is http.Server's ConnContext: it asks once a connection. A peer that
// cannot be told is left out, and who has no peer may do nothing.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	p, err := peerOf(conn)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(conn net.Conn) (p Peer, err error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return Peer{}, fmt.Errorf("read peer credentials: %T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("read peer credentials: %w", err)
	}
	if ctlErr := raw.Control(func(fd uintptr) { p, err = credentials(int(fd)) }); ctlErr != nil {
		err = ctlErr
	}
	if err != nil {
		return Peer{}, fmt.Errorf("read peer credentials: %w", err)
	}
	return p, nil
}
