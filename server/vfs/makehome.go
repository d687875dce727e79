package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// MakeHome makes the folder in which an account starts, where there is none, and
// those above it; it tells whether it did. The folder is the account's, its mode
// 0777 less DirUmask; those above it are the daemon's, 0755.
//
// Folders that only the system's administrator can change are gone through as the
// daemon, links and all. From the first on that somebody else can change, no link
// is followed, and what is missing is made as the account: so nobody has root make
// a folder in a place of his choice, or give him one.
//
// Errors name the host path; they are for the log.
func MakeHome(home string, o Options) (made bool, err error) {
	if !strings.HasPrefix(home, "/") {
		return false, nil
	}
	host, start := place(home, o.Caged)
	path, ok := o.Charset.Encode(Clean(host, "."+start))
	if !ok {
		return false, nil
	}
	if o.Roots != nil {
		o.Roots.making.Lock()
		defer o.Roots.making.Unlock()
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, nil // there, or Open says what is wrong
	}
	b := builder{opts: o}
	if b.actor, b.who, err = actAs(o.As); err == nil {
		err = b.build(path)
	}
	if err != nil {
		return b.made, fmt.Errorf("make home %q: %w", home, cause(err))
	}
	return b.made, nil
}

// A builder goes down a host path, a name at a time, and makes what is missing.
type builder struct {
	opts  Options
	actor actor // how to become the account; nil if the process is it
	who   Identity

	at      int  // descriptor of the folder that was reached
	foreign bool // somebody else than the administrator could have changed the way there
	links   int
	made    bool
}

func (b *builder) build(path string) (err error) {
	if b.at, err = openFolder(unix.AT_FDCWD, "/"); err != nil {
		return err
	}
	defer func() { unix.Close(b.at) }()
	for rest := path; ; {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return nil
		}
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		target, err := b.step(name, strings.Trim(rest, "/") == "")
		if err != nil {
			return fmt.Errorf("at %s: %w", name, err)
		}
		rest = target + "/" + rest
	}
}

// step enters the folder name, which it makes if there is none, or returns the
// target of the link that has the name.
func (b *builder) step(name string, last bool) (target string, err error) {
	if err := b.judge(); err != nil {
		return "", err
	}
	var st unix.Stat_t
	err = unix.Fstatat(b.at, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == unix.ENOENT:
		return "", b.make(name, last)
	case err != nil:
		return "", err
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return b.follow(name, &st)
	}
	return "", b.enter(name)
}

// judge looks whether others can change what the folder that was reached holds.
func (b *builder) judge() error {
	var st unix.Stat_t
	if err := unix.Fstat(b.at, &st); err != nil {
		return err
	}
	// What root has in a sticky folder nobody else can move away.
	if !administers(st.Uid) || st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0 {
		b.foreign = true
	}
	return nil
}

// administers tells whether a user could do what the daemon can, anyway.
func administers(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

// errForeignLink is a link where only folders are gone through.
var errForeignLink = errors.New("is a link that not only the administrator can change")

func (b *builder) follow(name string, st *unix.Stat_t) (target string, err error) {
	if b.foreign || !administers(st.Uid) {
		return "", errForeignLink
	}
	if b.links++; b.links > maxLinks {
		return "", unix.ELOOP
	}
	var buf [maxPath]byte
	n, err := retry(func() (int, error) { return unix.Readlinkat(b.at, name, buf[:]) })
	if err != nil {
		return "", err
	}
	if target = string(buf[:n]); strings.HasPrefix(target, "/") {
		return target, b.enter("/")
	}
	return target, nil
}

// enter goes on to a folder, and never through a link.
func (b *builder) enter(name string) error {
	fd, err := openFolder(b.at, name)
	if err == nil {
		unix.Close(b.at)
		b.at = fd
	}
	return err
}

func openFolder(at int, name string) (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// make makes a folder and enters it.
func (b *builder) make(name string, last bool) error {
	mode := uint32(0o755)
	if last {
		mode = uint32((0o777 &^ b.opts.DirUmask).Perm())
	}
	if b.foreign && b.actor != nil {
		return b.actor.do(func() error { return b.makeAs(name, mode, false) })
	}
	return b.makeAs(name, mode, last)
}

// makeAs runs as whoever is to make the folder.
func (b *builder) makeAs(name string, mode uint32, give bool) error {
	if err := again(func() error { return unix.Mkdirat(b.at, name, 0o700) }); err != nil {
		return err
	}
	b.made = true
	if err := b.enter(name); err != nil {
		return err
	}
	if give && b.actor != nil {
		if err := again(func() error { return unix.Fchown(b.at, b.who.UID, b.who.GID) }); err != nil {
			return err
		}
	}
	return again(func() error { return unix.Fchmod(b.at, mode) }) // now: the umask of the process took bits
}
