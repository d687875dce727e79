package logfile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An inotify is a notifier by inotify(7). Who follows a log reads its events
// itself, when it has nothing else to do: until then the kernel makes one of many
// that are alike, so a log that is written a thousand times a second wakes nobody a
// thousand times.
type inotify struct {
	fd      int
	events  *os.File // the same
	files   map[*followed]int32
	folders map[string]folderWatch
	told    bool // of all in the folders
	buf     [4 << 10]byte
}

// A folderWatch is the names that matter in a folder.
type folderWatch struct {
	wd    int32
	names []string
}

const (
	fileEvents   = unix.IN_MODIFY
	folderEvents = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	notWatched = -1
)

// local are the file systems of which the kernel sees every change. On others, such
// as NFS, another machine may make it.
var local = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC: true, unix.RAMFS_MAGIC: true, unix.OVERLAYFS_SUPER_MAGIC: true, unix.NILFS_SUPER_MAGIC: true,
	unix.REISERFS_SUPER_MAGIC: true, unix.MSDOS_SUPER_MAGIC: true, unix.EXFAT_SUPER_MAGIC: true, unix.ECRYPTFS_SUPER_MAGIC: true,
	0x2fc12fc1: true, // ZFS
	0xca451a4e: true, // bcachefs
	0x3153464a: true, // JFS
	0x7366746e: true, // NTFS
}

func newNotifier() notifier {
	n, err := newInotify()
	if err != nil { // there are as many as fs.inotify.max_user_instances allows
		return lookout{}
	}
	return n
}

func newInotify() (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	return &inotify{fd: fd, events: os.NewFile(uintptr(fd), "inotify"), files: make(map[*followed]int32), folders: make(map[string]folderWatch)}, nil
}

func (n *inotify) close() { n.events.Close() }

func (n *inotify) watch(files []*followed, folders map[string][]string) (all, fresh bool) {
	if folders != nil {
		fresh = n.watchFolders(folders)
	}
	all = n.told
	for _, t := range files {
		wd, known := n.files[t]
		if t.packed != nil || known && wd != notWatched {
			continue
		}
		wd = watchFile(n.fd, t.file)
		all, fresh = all && wd != notWatched, fresh || wd != notWatched
		n.files[t] = wd
	}
	for t, wd := range n.files {
		if !slices.Contains(files, t) {
			delete(n.files, t)
			n.unwatch(wd)
		}
	}
	return all, fresh
}

// watchFile has the kernel tell of an open file, whatever it is called now.
func watchFile(fd int, file *os.File) int32 {
	wd := notWatched
	raw, err := file.SyscallConn()
	if err != nil {
		return notWatched
	}
	err = raw.Control(func(of uintptr) {
		var fs unix.Statfs_t
		if unix.Fstatfs(int(of), &fs) != nil || !local[int64(uint32(fs.Type))] {
			return
		}
		if added, err := unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", of), fileEvents); err == nil {
			wd = added
		}
	})
	if err != nil {
		return notWatched
	}
	return int32(wd)
}

// watchFolders looks for all folders anew, since one may be another than it was, and
// tells whether one is new.
func (n *inotify) watchFolders(folders map[string][]string) (fresh bool) {
	old := n.folders
	n.folders, n.told = make(map[string]folderWatch, len(folders)), true
	for path, names := range folders {
		var fs unix.Statfs_t
		wd, err := unix.InotifyAddWatch(n.fd, path, folderEvents)
		if err != nil || unix.Statfs(path, &fs) != nil || !local[int64(uint32(fs.Type))] {
			n.told = false
		}
		if err == nil {
			n.folders[path] = folderWatch{int32(wd), names}
			fresh = fresh || old[path].wd != int32(wd) || len(old[path].names) == 0
		}
	}
	for _, w := range old {
		n.unwatch(w.wd)
	}
	return fresh
}

// unwatch has the kernel forget a file, unless it is watched for something else,
// too.
func (n *inotify) unwatch(wd int32) {
	for _, other := range n.files {
		if other == wd {
			return
		}
	}
	for _, other := range n.folders {
		if other.wd == wd {
			return
		}
	}
	if wd != notWatched {
		_, _ = unix.InotifyRmWatch(n.fd, uint32(wd)) // it may be gone by itself
	}
}

func (n *inotify) wait(ctx context.Context, most time.Duration) change {
	wake := context.AfterFunc(ctx, func() { _ = n.events.SetReadDeadline(time.Unix(1, 0)) })
	defer wake()
	_ = n.events.SetReadDeadline(time.Now().Add(most))
	for ctx.Err() == nil {
		size, err := n.events.Read(n.buf[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return noChange
		} else if err != nil { // there is no such error; if there is, let it not be a busy loop
			return lookout{}.wait(ctx, most)
		}
		if c := n.changed(n.buf[:size]); c != noChange {
			return c
		}
	}
	return noChange
}

// changed reads events, and returns what changed of what matters.
func (n *inotify) changed(events []byte) (c change) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if end > len(events) {
			break
		}
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:end]), "\x00")
		events = events[end:]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			c = folderChange
		case mask&unix.IN_MODIFY != 0:
			c = max(c, fileChanged)
		case mask&unix.IN_IGNORED != 0: // the folder is gone, of which we were told, or we forgot it
		case n.matters(wd, name):
			c = folderChange
		}
	}
	return c
}

// matters tells whether a name in a folder does.
func (n *inotify) matters(wd int32, name string) bool {
	for _, w := range n.folders {
		if w.wd == wd && (name == "" || slices.ContainsFunc(w.names, func(start string) bool { return strings.HasPrefix(name, start) })) {
			return true
		}
	}
	return false
}
