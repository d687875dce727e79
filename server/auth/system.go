package auth

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"portreeve/puredb"
	"portreeve/userdb"
)

// system is the back-end of the system's own users: those in its files. What it
// would learn from elsewhere (NSS, PAM) is not asked. The files are read at each
// login, so a change to them counts at once.
type system struct {
	dir     string
	hashing *hashing
}

func newSystem(with shared, dir string) (Backend, error) {
	if dir == "" {
		dir = "/etc"
	}
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%q is not the absolute path of a folder", dir)
	}
	return &system{dir, with.hashing}, nil
}

// systemUser is what the files say of a user.
type systemUser struct {
	found
	shell string
	ended error // the account's time, or its password's
}

// Login checks the password first, as users does.
func (b *system) Login(ctx context.Context, a Attempt) (Account, error) {
	u, err := b.find(a.Name)
	switch {
	case errors.Is(err, userdb.ErrNoUser):
		return Account{}, ErrUnknown
	case errors.Is(err, userdb.ErrMalformed):
		u = systemUser{} // without a password: the time is spent
	case err != nil:
		return Account{}, fmt.Errorf("looking up a system user: %w", err)
	case a.Certified: // a certificate is the word of this server's administrator, and not of the system
		return Account{}, denied(ErrPassword)
	}
	ok, hashErr := b.hashing.check(ctx, a, u.Password)
	if err := verdict(err, ok, hashErr); err != nil {
		return Account{}, err
	}
	if u.ended != nil {
		return Account{}, denied(u.ended)
	}
	if err := b.permitsShell(u.shell); err != nil {
		return Account{}, denied(err)
	}
	groups, err := b.groupsOf(a.Name)
	if err != nil {
		return Account{}, fmt.Errorf("looking up the groups of a system user: %w", err)
	}
	account := u.account()
	account.Groups = groups
	return account, nil
}

// find reads the user's line of passwd and of shadow, or of the one file that
// BSD has for both.
func (b *system) find(name string) (systemUser, error) {
	if userdb.ValidName(name) != nil {
		return systemUser{}, userdb.ErrNoUser
	}
	if line, err := b.line("master.passwd", name); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return systemUser{}, err
		}
		return parseMaster(line)
	}
	line, err := b.line("passwd", name)
	if err != nil {
		return systemUser{}, err
	}
	if len(line) != 7 {
		return systemUser{}, fmt.Errorf("%w: %d fields in passwd", userdb.ErrMalformed, len(line))
	}
	u, err := parseSystem(line, line[5:])
	if err != nil || line[1] != "x" {
		return u, err
	}
	shadow, err := b.line("shadow", name)
	switch {
	case errors.Is(err, userdb.ErrNoUser), err == nil && len(shadow) != 9:
		return systemUser{}, fmt.Errorf("%w: no line of 9 fields in shadow", userdb.ErrMalformed)
	case err != nil:
		return systemUser{}, err
	}
	if u.Password = shadow[1]; u.Validate() != nil {
		return systemUser{}, fmt.Errorf("%w: the password in shadow", userdb.ErrMalformed)
	}
	u.ended, err = shadowEnd(shadow, time.Now())
	return u, err
}

// line returns the fields of a user's line in a file.
func (b *system) line(file, name string) ([]string, error) {
	f, err := os.Open(filepath.Join(b.dir, file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, found := strings.CutPrefix(lines.Text(), name); found && strings.HasPrefix(rest, ":") {
			return strings.Split(lines.Text(), ":"), nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return nil, fmt.Errorf("%w: %s", userdb.ErrNoUser, name)
}

// parseSystem reads a line's first fields, and its last two, home and shell.
func parseSystem(line, last []string) (systemUser, error) {
	u := systemUser{found: found{User: userdb.New(line[0])}, shell: last[1]}
	uid, err1 := strconv.ParseUint(line[2], 10, 32)
	gid, err2 := strconv.ParseUint(line[3], 10, 32)
	var err3 error
	u.Home, u.start, u.Caged, err3 = puredb.SplitHome(last[0])
	u.Password, u.UID, u.GID = line[1], int(uid), int(gid)
	if err := errors.Join(err1, err2, err3); err != nil {
		return systemUser{}, fmt.Errorf("%w: the line of %s in passwd", userdb.ErrMalformed, line[0])
	}
	if err := u.Validate(); err != nil {
		return systemUser{}, fmt.Errorf("%w: %w", userdb.ErrMalformed, err)
	}
	return u, nil
}

// parseMaster reads a line of BSD's master.passwd (passwd(5)), in which the times
// are seconds.
func parseMaster(line []string) (systemUser, error) {
	if len(line) != 10 {
		return systemUser{}, fmt.Errorf("%w: %d fields in master.passwd", userdb.ErrMalformed, len(line))
	}
	u, err := parseSystem(line, line[8:])
	for i, cause := range map[int]error{5: ErrPasswordExpired, 6: ErrExpired} {
		if line[i] == "" || line[i] == "0" {
			continue
		}
		end, numErr := strconv.ParseInt(line[i], 10, 64)
		if numErr != nil {
			return systemUser{}, fmt.Errorf("%w: %q is no time", userdb.ErrMalformed, line[i])
		}
		if end <= time.Now().Unix() {
			u.ended = cause
		}
	}
	return u, err
}

// shadowEnd tells whether the time of an account or of its password is over
// (shadow(5)), in days since 1970.
func shadowEnd(line []string, now time.Time) (ended, err error) {
	const changed, most, expires = 2, 4, 7
	days := map[int]int64{}
	for _, i := range []int{changed, most, expires} {
		days[i] = -1
		if line[i] == "" {
			continue
		}
		if days[i], err = strconv.ParseInt(line[i], 10, 32); err != nil {
			return nil, fmt.Errorf("%w: %q is no number of days in shadow", userdb.ErrMalformed, line[i])
		}
	}
	today := now.Unix() / (24 * 60 * 60)
	switch {
	case days[expires] >= 0 && today >= days[expires]:
		return ErrExpired, nil
	case days[changed] == 0: // it is to be changed at the next login, which cannot be done here
		return ErrPasswordExpired, nil
	case days[changed] > 0 && days[most] >= 0 && today > days[changed]+days[most]:
		return ErrPasswordExpired, nil
	}
	return nil, nil
}

// permitsShell holds a user's shell against the list of those that people may
// have. "ftp" marks users who have none and are for this.
func (b *system) permitsShell(shell string) error {
	if shell == "" {
		shell = "/bin/sh"
	}
	known := []string{"/bin/sh", "/bin/csh"} // what getusershell(3) knows without the file
	text, err := os.ReadFile(filepath.Join(b.dir, "shells"))
	switch {
	case err == nil:
		known = nil
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			known = append(known, strings.TrimSpace(line))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrShell, err)
	}
	if shell != "ftp" && !slices.Contains(known, shell) {
		return fmt.Errorf("%w: %q", ErrShell, shell)
	}
	return nil
}

// groupsOf returns the groups that have the user as a member.
func (b *system) groupsOf(name string) ([]int, error) {
	groups := []int{}
	f, err := os.Open(filepath.Join(b.dir, "group"))
	if errors.Is(err, fs.ErrNotExist) {
		return groups, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a group may have many members
	for lines.Scan() {
		line := strings.Split(lines.Text(), ":")
		if len(line) != 4 || !slices.Contains(strings.Split(line[3], ","), name) {
			continue
		}
		if gid, err := strconv.ParseUint(line[2], 10, 32); err == nil {
			groups = append(groups, int(gid))
		}
	}
	return groups, lines.Err()
}
