package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"portreeve/server"
	"portreeve/server/vfs"
	"portreeve/userdb"
)

// The exit codes of pure-quotacheck.
const (
	exitCheckArgument = 255
	exitCheckIdentity = 254
	exitCheckEnter    = 253
	exitCheckWalk     = 252
	exitCheckWrite    = 251
)

const checkHelp = `
Usage:

pure-quotacheck -u <user> -d <directory> [-g <group>]

-d <directory>: start from this directory
-g <group/gid>: scan the directory under this gid
-h: help
-u <user/uid>: scan the directory under this uid

`

func doorQuota() *door {
	return &door{
		name:   "pure-quotacheck",
		folder: "sbin",
		what:   "count what a user has stored, by the name and options of Pure-FTPd's program",
		use:    "-u USER -d HOME [-g GROUP] [-F DATABASE]",
		about: `Pure-quotacheck counts files, directories and bytes below a home, as the user that
they belong to, and writes how many there are to .ftpquota there, where Pure-FTPd and
other programs read it. A link counts as what it leads to, if that is within the home.

Whoever of the users in the database of "portreeve pw", or in that of -F, has this
user and this home is counted in the database as well, as "portreeve quota recount"
does, so that a running server knows of it too.

Only root can count as somebody else; others need not say who they are.`,
		example: `  pure-quotacheck -u ftp -d /home/ftp/joe
  pure-quotacheck -u 2001 -g 2001 -d /home/ftp/joe`,
		options: func() []option {
			return []option{
				{letter: 'd', value: "home", help: "Directory to count in."},
				{letter: 'g', value: "group", help: "Group to count as, by number or name."},
				{letter: 'h', help: "Print the options and exit."},
				{letter: 'u', value: "user", help: "User to count as, by number or name. A name also sets the group; a number needs -g."},
				{letter: 'F', value: "database", help: "User database, if it is not that of \"portreeve pw\"."},
			}
		},
		codes: []exitMeaning{
			{0, "done, also after the help"},
			{exitCheckArgument, "there is no home, or an option stands twice"},
			{exitCheckIdentity, "user or group are missing, not there, or root's"},
			{exitCheckEnter, "the home cannot be entered, or not as that user"},
			{exitCheckWalk, "the files cannot be counted"},
			{exitCheckWrite, ".ftpquota or the database cannot be written"},
		},
		departs: []string{
			"A user and a group are taken wherever their options stand. With Pure-FTPd's program -g may not follow the name of a user.",
			"For who is not root it counts the home, too. Pure-FTPd's program counts all of the system then, and has that written to .ftpquota.",
			"A number with letters behind it is no number and refused with code 254.",
			"A user that has no entry in the system's files is counted. Pure-FTPd's program ends with code 253.",
			".ftpquota is replaced by a new file, so that whoever reads it meanwhile sees the old or the new. Pure-FTPd's program writes into a file that is there, and ends with code 251 where that belongs to somebody else.",
			"What the user cannot look into is left out as there, but told.",
			"In the database links count for nothing, since a server cannot know when what they lead to changes.",
		},
		run: runQuotaDoor,
	}
}

// A quotaCheck is what pure-quotacheck was asked for.
type quotaCheck struct {
	*env
	*doorCall
	uid, gid int
	homes    []string // as it was given, and without links
	db       userdb.DB
}

// A checkFault ends pure-quotacheck with its code.
type checkFault struct {
	code int
	error
}

func checkFaultf(code int, format string, args ...any) error {
	return &checkFault{code, fmt.Errorf(format, args...)}
}

func runQuotaDoor(ctx context.Context, e *env, c *doorCall) int {
	said, _, err := getopt(c.options(), c.args) // other words are passed over, as there
	if err != nil {
		c.complain(e, err)
	}
	given := make(map[byte]string)
	for _, s := range said {
		if _, twice := given[s.letter]; twice && s.letter == 'd' {
			c.say(e, "Already one startpath: [%s]", given['d'])
			return exitCheckArgument
		}
		given[s.letter] = s.text
	}
	if _, asked := given['h']; asked || err != nil || len(c.args) == 0 {
		fmt.Fprint(e.out, checkHelp)
		return exitDone
	}
	check := quotaCheck{env: e, doorCall: c, db: e.database(e.defaultDB())}
	if path := given['F']; path != "" {
		check.db = e.database(path)
	}
	err = check.run(ctx, given)
	if err == nil {
		return exitDone
	}
	code := exitCheckWalk
	if fault, ok := errors.AsType[*checkFault](err); ok {
		code = fault.code
	}
	c.say(e, "%v", err)
	return code
}

func (q *quotaCheck) run(ctx context.Context, given map[byte]string) error {
	home, ok := given['d']
	if !ok {
		return checkFaultf(exitCheckArgument, "Missing path")
	}
	if err := q.identify(given['u'], given['g']); err != nil {
		return err
	}
	path, err := filepath.Abs(home)
	real := ""
	if err == nil {
		real, err = filepath.EvalSymlinks(path)
	}
	if home == "" {
		err = syscall.ENOENT
	}
	q.homes = []string{path, real}
	o := vfs.Options{Caged: true, Perms: userdb.AllPerms, KeepUsage: true}
	switch uid := os.Geteuid(); {
	case err != nil:
	case uid == 0:
		o.As = &vfs.Identity{UID: q.uid, GID: q.gid, Groups: []int{q.gid}}
	case uid != q.uid:
		return checkFaultf(exitCheckEnter, "Can't switch uid/gid: [%v]", syscall.EPERM)
	}
	var files *vfs.FS
	if err == nil {
		files, err = vfs.Open(real, o)
	}
	if err != nil {
		return checkFaultf(exitCheckEnter, "Can't chroot to [%s]: [%s]", home, reason(err))
	}
	defer files.Close()
	found, err := files.CountThroughLinks(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission):
		q.doorCall.say(q.env, "Some of it is not counted: %v", err)
	case err != nil:
		return checkFaultf(exitCheckWalk, "Unable to count the files: [%w]", err)
	}
	if err := files.WriteUsage(found); err != nil {
		return checkFaultf(exitCheckWrite, "Unable to update the quota file (.ftpquota): [%s]", reason(err))
	}
	return q.tell(ctx)
}

// identify finds out as whom to count.
func (q *quotaCheck) identify(name, group string) error {
	id := func(text, kind string) (int, error) {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || n == 0 {
			return 0, checkFaultf(exitCheckIdentity, "Invalid/insecure/missing %s - must be > 0", kind)
		}
		return int(n), nil
	}
	own := ""
	if uid := os.Geteuid(); uid != 0 { // who can be nobody else
		name, own = cmp.Or(name, strconv.Itoa(uid)), strconv.Itoa(os.Getegid())
	}
	if u, err := user.Lookup(name); err == nil {
		name, own = u.Uid, u.Gid
	}
	if g, err := user.LookupGroup(group); err == nil {
		group = g.Gid
	}
	var err error
	if q.uid, err = id(name, "uid"); err == nil {
		q.gid, err = id(cmp.Or(group, own), "gid")
	}
	return err
}

// tell has the database know what those of its users have who have this home.
func (q *quotaCheck) tell(ctx context.Context) error {
	if isPureDB(q.db.Path()) {
		return nil // where nobody is counted
	}
	var names []string
	for u, err := range q.db.All() {
		switch {
		case errors.Is(err, userdb.ErrNoDatabase):
			return nil
		case errors.Is(err, userdb.ErrMalformed):
			continue
		case err != nil:
			return checkFaultf(exitCheckWrite, "Unable to read the users: [%w]", err)
		}
		if u.UID == q.uid && slices.Contains(q.homes, filepath.Clean(u.Home)) {
			names = append(names, u.Name)
		}
	}
	for _, name := range names {
		r := recounter{env: q.env, db: q.db, cfg: server.DefaultConfig()}
		if err := r.count(ctx, name); err != nil {
			return checkFaultf(exitCheckWrite, "Unable to update the quota of user %s: [%w]", name, err)
		}
		if r.moving {
			q.doorCall.say(q.env, "User %s was storing something meanwhile; the figure may be off by that", name)
		}
	}
	return nil
}
