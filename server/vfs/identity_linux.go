package vfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// actAs returns how to act as the identity, and as whom that is.
func actAs(as *Identity) (actor, Identity, error) {
	groups, err := os.Getgroups()
	if err != nil {
		return nil, Identity{}, fmt.Errorf("read the groups of the process: %w", err)
	}
	own := Identity{UID: os.Geteuid(), GID: os.Getegid(), Groups: groups}
	if as == nil {
		return nil, own, nil
	}
	if as.UID == own.UID && as.GID == own.GID && own.UID != 0 {
		return nil, own, nil
	}
	if as.UID <= 0 || as.GID < 0 {
		return nil, own, fmt.Errorf("act as uid %d, gid %d: %w: only an account that is not root", as.UID, as.GID, ErrIdentity)
	}
	who := Identity{UID: as.UID, GID: as.GID, Groups: slices.Clone(as.Groups)}
	a := &threadActor{user: who, own: own, groups: !sameGroups(who, own)}
	return a, who, nil
}

// A threadActor lends the calling thread the identity of a user for one job.
//
// Linux keeps identities by thread. The goroutine is locked to its thread
// meanwhile, so that nothing else runs there, and the runtime starts new
// threads from a clean one as long as any goroutine is locked. To switch there
// and back is cheaper than to hand the job to a thread that is the user
// already, and a user whose disk hangs holds up nobody else.
type threadActor struct {
	user, own Identity
	groups    bool // those differ, too
}

// sameGroups tells whether the groups of the process and the gid of a user make
// the groups of that user. To set them is the dearest part of a switch, and most
// users have none but their own.
func sameGroups(user, process Identity) bool {
	return slices.Equal(others(user.Groups, user.GID), others(process.Groups, user.GID))
}

// others are the groups besides gid, in order.
func others(groups []int, gid int) []int {
	groups = slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return g == gid })
	slices.Sort(groups)
	return slices.Compact(groups)
}

func (a *threadActor) do(job func() error) (err error) {
	runtime.LockOSThread()
	defer func() {
		if back := a.become(&a.own); back != nil {
			// Stay locked: the thread serves this goroutine alone and
			// dies with it.
			err = errors.Join(err, back)
			return
		}
		runtime.UnlockOSThread()
	}()
	if err := a.become(&a.user); err != nil {
		return err
	}
	return job()
}

// become makes id the file-system identity of this thread, by the raw system
// calls: those of package syscall change every thread.
func (a *threadActor) become(id *Identity) error {
	if a.groups {
		if err := unix.Setgroups(id.Groups); err != nil {
			return fmt.Errorf("set groups of uid %d: %w: %w", id.UID, ErrIdentity, err)
		}
	}
	// Neither call reports failure: each returns what was before, and -1,
	// being no id, changes nothing and so only asks.
	unix.SetfsgidRetGid(id.GID)
	unix.SetfsuidRetUid(id.UID)
	if gid, _ := unix.SetfsgidRetGid(-1); gid != id.GID {
		return fmt.Errorf("set gid %d: %w", id.GID, ErrIdentity)
	}
	if uid, _ := unix.SetfsuidRetUid(-1); uid != id.UID {
		return fmt.Errorf("set uid %d: %w", id.UID, ErrIdentity)
	}
	return nil
}

// overriding are the capabilities that put their holder above the permissions
// of files. The kernel withholds them while fsuid is not 0, but not from a
// process that has them without being root, nor with the securebit
// NO_SETUID_FIXUP.
const overriding = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH |
	1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_MKNOD

// fit refuses an identity that has kept such capabilities.
func (a *threadActor) fit() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w: %w", ErrIdentity, err)
	}
	if data[0].Effective&overriding != 0 {
		return fmt.Errorf("the process keeps capabilities over files (%#x): %w", data[0].Effective&overriding, ErrIdentity)
	}
	return nil
}
