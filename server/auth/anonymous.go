package auth

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"portreeve/userdb"
)

// Anonymous is the back-end of clients that do not say who they are (RFC 1635):
// any password opens the one account that there is, to look and to fetch. It is
// there only if everything it needs is: where something is missing, its names
// are as unknown as any other.
type Anonymous struct {
	Root   string // its home; "" is that of the system user
	Lookup func(name string) (*user.User, error)

	// ByAddress is a folder in which others, or links to them, are called by
	// addresses of the server. Who connected to one of these has that for its
	// home; "" is no such folder.
	ByAddress string
}

// anonymousNames are what clients say; the system user is called so as well.
var anonymousNames = []string{"anonymous", "ftp"}

// systemNames are what systems call the user.
var systemNames = []string{"ftp", "_ftp"}

// IsAnonymous tells whether a client that says name asks for the anonymous account.
func IsAnonymous(name string) bool {
	for _, n := range anonymousNames {
		if strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}

func newAnonymous(with shared, root string) (Backend, error) {
	return &Anonymous{Root: root, ByAddress: with.byAddress, Lookup: user.Lookup}, nil
}

// Login opens the account, whatever the password is.
func (b *Anonymous) Login(_ context.Context, a Attempt) (Account, error) {
	if !IsAnonymous(a.Name) {
		return Account{}, ErrUnknown
	}
	account, err := b.account(a.Local)
	if err != nil {
		return Account{}, fmt.Errorf("%w: anonymous: %w", ErrUnknown, err)
	}
	return account, nil
}

// Check tells what is missing for anonymous logins, nil if nothing is.
func (b *Anonymous) Check() error {
	_, err := b.account(netip.Addr{})
	return err
}

func (b *Anonymous) account(local netip.Addr) (Account, error) {
	who := b.identity()
	if who.Uid == "" {
		return Account{}, fmt.Errorf("there is no system user %s", strings.Join(systemNames, " or "))
	}
	uid, uerr := strconv.Atoi(who.Uid)
	gid, gerr := strconv.Atoi(who.Gid)
	if uerr != nil || gerr != nil || uid <= 0 || gid <= 0 {
		return Account{}, fmt.Errorf("user %s has the uid or the gid of root", who.Username)
	}
	home := cmp.Or(b.at(local), b.Root, who.HomeDir)
	// System users without a home are given one that is not there, or "/".
	home = filepath.Clean(home)
	if !filepath.IsAbs(home) || home == "/" {
		return Account{}, fmt.Errorf("%q is no home for it", home)
	}
	if info, err := os.Stat(home); err != nil || !info.IsDir() {
		return Account{}, fmt.Errorf("there is no folder %s", home)
	}
	return Account{
		Name: "ftp", Anonymous: true, UID: uid, GID: gid, Groups: []int{}, Home: home, Caged: true,
		Limits: userdb.Limits{Perms: userdb.PermList | userdb.PermRead},
	}, nil
}

// at is the home of who connected to that address of the server, "" if there is
// none of its own.
func (b *Anonymous) at(local netip.Addr) string {
	if b.ByAddress == "" || !local.IsValid() {
		return ""
	}
	home := filepath.Join(b.ByAddress, local.Unmap().WithZone("").String())
	if _, err := os.Stat(home); err != nil {
		return ""
	}
	return home
}

// identity is the system user; a daemon that is not root's can only be its own.
func (b *Anonymous) identity() user.User {
	for _, name := range systemNames {
		if u, err := b.Lookup(name); err == nil {
			return *u
		}
	}
	if os.Geteuid() != 0 && b.Root != "" {
		return user.User{Username: "of the daemon", Uid: strconv.Itoa(os.Geteuid()), Gid: strconv.Itoa(os.Getegid())}
	}
	return user.User{}
}
