//go:build freebsd || darwin

package control

import "golang.org/x/sys/unix"

// credentials asks LOCAL_PEERCRED, whose level is 0 (SOL_LOCAL) on both systems.
// It tells sixteen groups at most, and x/sys does not show the pid in it.
func credentials(fd int) (Peer, error) {
	const solLocal = 0
	cred, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	p := Peer{UID: int(cred.Uid)}
	for _, gid := range cred.Groups[:max(0, min(int(cred.Ngroups), len(cred.Groups)))] {
		p.Groups = append(p.Groups, int(gid))
	}
	return p, nil
}
