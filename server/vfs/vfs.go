// Package vfs is the only code that touches users' files: it confines, acts
// as the user, and applies what the account is allowed.
//
// Paths are virtual: absolute, slash-separated, byte strings; "/" is the root
// of the user. [Clean] makes one from what a client sent. They are UTF-8 where
// Options.Charset says what names are on disk: each path is encoded as it comes
// in, by lookup and create, and each name decoded as it goes out. Inside a root the
// kernel resolves links as it would after chroot(2): an absolute link means
// the root of the user, ".." never climbs above it.
//
// As root, every operation that opens or names a file runs with the user's
// uid, gid and groups; reading and writing an open file looks at none of them.
// A program that uses this must keep its main goroutine on the main thread:
//
//	func init() { runtime.LockOSThread() }
//
// because a thread that could not be given back its identity ends with its
// goroutine, and the main thread cannot end (it would stay, parked, and show
// the user's identity in the files of the process under /proc).
//
// Modes of what is created come from Options and not from the umask of the
// process, which is shared by all threads.
package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"portreeve/server/charset"
	"portreeve/server/ledger"
	"portreeve/userdb"
)

// Identity is whom the kernel is to judge file accesses by.
type Identity struct {
	UID, GID int
	Groups   []int // supplementary
}

// Options are the terms of one account.
type Options struct {
	As    *Identity // nil: act as the process
	Caged bool      // the home is the root; otherwise "/" is, and the home is where one starts
	Perms userdb.Perms
	Rules

	// Bits taken away from 0777 for files and directories created;
	// Pure-FTPd's "Umask 133:022" is 0133 and 0022.
	FileUmask, DirUmask fs.FileMode

	// NoTruncate keeps an upload under a hidden name until it is complete;
	// see Upload.
	NoTruncate bool

	// AutoRename never overwrites: a file stored under a name that is taken
	// becomes name.1, name.2 and so on, and a rename onto it is refused.
	AutoRename bool

	// OnlyNew lets files be stored under names that nothing has, and nothing be
	// done to what is there, nor links be made. A file that is empty may be
	// filled.
	OnlyNew bool

	// Rehearse changes nothing, and answers as if it had.
	Rehearse bool

	// Roots are those that this one may share; nil: none.
	Roots *Roots

	// Charset is how names are written on disk; nil is UTF-8, or rather as
	// clients write them. A name that it does not hold cannot be made, and one
	// that means nothing in it does not exist.
	Charset *charset.Charset

	// Account counts what files there are, and limits it; nil: nobody does.
	Account *ledger.Account

	// KeepUsage has WriteUsage write to a file that other servers read.
	KeepUsage bool
}

// FS is the file system of one logged-in user. Its methods may be called from
// several goroutines at once.
type FS struct {
	root  root
	actor actor         // how to become the user; nil if the process is him
	who   Identity      // whom operations run as, for Rights
	perms atomic.Uint32 // userdb.Perms; at first those of opts
	start string        // virtual
	host  string        // host path of the root, for showing absolute links
	opts  Options

	located sync.Once // sets real
	real    string    // host without links

	mu     sync.Mutex  // guards the fields that follow
	files  fs.FileMode // bits taken away from what is created, at first those of opts
	dirs   fs.FileMode
	closed bool
	refs   int // the root is closed with the last: one until Close, one for each operation, upload and listing
}

// Open opens the file system of an account whose home is the host path home,
// as that account. Options.Caged makes the home its root; so does "/./" in
// home, which parts the root from the directory where one starts:
// "/home/joe/./sub" is rooted in /home/joe and starts in /sub (in / if there
// is no such directory).
//
// Errors name the host path; they are for the log.
func Open(home string, o Options) (*FS, error) {
	return open(home, o, openRoot)
}

func open(home string, o Options, openRoot func(host string) (root, error)) (*FS, error) {
	if !strings.HasPrefix(home, "/") {
		return nil, fmt.Errorf("open home %q: not an absolute path: %w", home, ErrNoHome)
	}
	f := &FS{opts: o, files: o.FileUmask, dirs: o.DirUmask, refs: 1}
	f.SetPerms(o.Perms)
	f.host, f.start = place(home, o.Caged)
	var ok bool
	if f.host, ok = o.Charset.Encode(f.host); !ok {
		return nil, fmt.Errorf("open home %q: not a name in %s: %w", home, o.Charset.Name(), ErrNoHome)
	}
	var err error
	if f.actor, f.who, err = actAs(o.As); err != nil {
		return nil, fmt.Errorf("open home %q: %w", home, err)
	}
	// The administrator says where the root is, also below a folder that is
	// closed to the user, as chroot(2) would have it. What is in it is the
	// user's affair.
	if o.Roots != nil {
		f.root, err = o.Roots.get(f.host, openRoot)
	} else {
		f.root, err = openRoot(f.host)
	}
	if err == nil && o.Rehearse {
		f.root = &rehearsal{f.root, f}
	}
	if err == nil {
		err = f.do(f.begin)
	}
	if err != nil {
		f.Close()
		if errors.Is(err, ErrIdentity) {
			return nil, fmt.Errorf("open home %q: %w", home, err)
		}
		return nil, fmt.Errorf("open home %q: %w: %w", home, ErrNoHome, cause(err))
	}
	return f, nil
}

// begin enters the directory where the user starts; it runs as the user, for the
// first time.
func (f *FS) begin() error {
	if f.actor != nil {
		if err := f.actor.fit(); err != nil {
			return err
		}
	}
	start, ok := f.opts.Charset.Encode(f.start)
	if !ok {
		return fs.ErrNotExist
	}
	err := f.root.enter(start)
	if err != nil && f.host != "/" && errors.Is(err, fs.ErrNotExist) && f.start != "/" {
		f.start = "/"
		err = f.root.enter(f.start)
	}
	return err
}

// place splits a home into the host path of the root and the virtual path of
// the directory to start in.
func place(home string, caged bool) (host, start string) {
	if before, after, ok := strings.Cut(home, "/./"); ok {
		return Clean("/", before), Clean("/", after)
	}
	if caged {
		return Clean("/", home), "/"
	}
	return "/", Clean("/", home)
}

// Home returns the virtual directory where the user starts.
func (f *FS) Home() string { return f.start }

// Host returns where on the host the root of the user is.
func (f *FS) Host() string { return f.host }

// Caged tells whether the user sees a part of the host only.
func (f *FS) Caged() bool { return f.host != "/" }

// Perms returns what the account may do.
func (f *FS) Perms() userdb.Perms { return userdb.Perms(f.perms.Load()) }

// SetPerms replaces what the account may do, for operations that begin after it.
// A file that is open stays so, as it does when the system takes a right away.
func (f *FS) SetPerms(perms userdb.Perms) { f.perms.Store(uint32(perms)) }

// Umask returns the bits taken away from 0777 for files and directories created.
func (f *FS) Umask() (files, dirs fs.FileMode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files, f.dirs
}

// SetUmask takes other bits away from what is created from now on: of a file
// those that mean execution as well, as creat(2) has it of 0666. It is a way to
// choose permissions, and needs what that needs.
func (f *FS) SetUmask(mask fs.FileMode) error {
	if err := f.need(userdb.PermChmod, "change umask", "/"); err != nil {
		return err
	}
	if f.opts.NoChmod {
		return fail("change umask", "/", ErrDenied)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files, f.dirs = mask.Perm()|0o111, mask.Perm()
	if f.opts.KeepOwner {
		f.files, f.dirs = f.files&^ownerFile, f.dirs&^ownerDir
	}
	return nil
}

// Close gives up the root, once the uploads and listings still open have
// ended.
func (f *FS) Close() error {
	f.mu.Lock()
	again := f.closed
	f.closed = true
	f.mu.Unlock()
	if !again {
		f.release()
	}
	return nil
}

func (f *FS) acquire() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refs == 0 {
		return fs.ErrClosed
	}
	f.refs++
	return nil
}

func (f *FS) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refs--; f.refs == 0 && f.root != nil {
		f.root.close()
	}
}

// do runs job as the user.
func (f *FS) do(job func() error) error {
	if err := f.acquire(); err != nil {
		return err
	}
	defer f.release()
	if f.actor == nil {
		return job()
	}
	return f.actor.do(job)
}

// need refuses op on path unless the account has all of perms.
func (f *FS) need(perms userdb.Perms, op, path string) error {
	if !f.Perms().Has(perms) {
		return fail(op, path, fmt.Errorf("it takes %v: %w", perms, ErrDenied))
	}
	return nil
}
