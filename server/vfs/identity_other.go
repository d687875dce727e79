//go:build !linux

package vfs

import (
	"fmt"
	"os"
)

// actAs returns how to act as the identity, and as whom that is: elsewhere
// than on Linux a thread has no identity of its own, so only as the process.
func actAs(as *Identity) (actor, Identity, error) {
	who := process()
	if as != nil && as.UID != who.UID {
		return nil, who, fmt.Errorf("act as uid %d in a process of uid %d: %w: this system has no identity per thread", as.UID, who.UID, ErrIdentity)
	}
	return nil, who, nil
}

func process() Identity {
	groups, _ := os.Getgroups()
	return Identity{UID: os.Geteuid(), GID: os.Getegid(), Groups: groups}
}
