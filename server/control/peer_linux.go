package control

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// credentials asks for the uid, gid and pid, and apart from these for the
// supplementary groups, since an administrator is in the socket's group mostly
// through one of those.
func credentials(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	p := Peer{UID: int(cred.Uid), Groups: []int{int(cred.Gid)}, PID: int(cred.Pid)}
	// Before Linux 4.13 there is no such option; the effective group must do then.
	groups, _ := peerGroups(fd)
	for _, gid := range groups {
		if !slices.Contains(p.Groups, int(gid)) {
			p.Groups = append(p.Groups, int(gid))
		}
	}
	return p, nil
}

// peerGroups is getsockopt(SO_PEERGROUPS), for which x/sys has no wrapper.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ERANGE && int(size/4) > len(groups): // size is what it would take
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}
