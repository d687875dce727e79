package server

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"portreeve/logparse"
	"portreeve/server/vfs"
	"portreeve/userdb"
)

// path makes the argument of a command an absolute virtual path.
func (s *session) path(arg string) string { return vfs.Clean(s.cwd, arg) }

// file is path for what must be a file: a slash at its end is kept, and refused.
func (s *session) file(arg string) string {
	p := s.path(arg)
	if strings.HasSuffix(arg, "/") && p != "/" {
		p += "/"
	}
	return p
}

// cmdPWD answers the one quoted string that clients look for.
func (s *session) cmdPWD(context.Context, string) (reply, error) {
	if !s.legible(s.cwd) { // after OPTS UTF8 OFF; question marks would be another directory's
		return sayf(550, "The directory's name cannot be written in %s", s.charset.Name()), nil
	}
	return sayf(257, "%s is the current directory", quoted(s.cwd)), nil
}

// cmdCWD goes to a directory; without one, or to "~", to where the login began.
func (s *session) cmdCWD(ctx context.Context, arg string) (reply, error) {
	to := s.path(arg)
	if arg == "" {
		to = s.fs.Home()
	}
	err := s.fs.Chdir(to)
	if rest, tilde := strings.CutPrefix(arg, "~"); err != nil && tilde && (rest == "" || rest[0] == '/') {
		to = vfs.Clean(s.fs.Home(), "."+rest) // only where nothing is called "~"
		err = s.fs.Chdir(to)
	}
	if dir, ok := s.alias(arg); err != nil && ok {
		to = dir
		err = s.fs.Chdir(to)
	}
	if err != nil {
		return s.missed(ctx, err)
	}
	s.misses = 0
	s.moveTo(to)
	return s.arrived(), nil
}

// maxMisses is how many directories in a row a client may guess in vain.
const maxMisses = 50

// missed slows down who searches for directories: each guess in a row costs a
// tenth of a second more than the one before, and the last one the session.
func (s *session) missed(ctx context.Context, why error) (reply, error) {
	s.misses++
	if s.misses >= maxMisses {
		return say(421, "Too many wrong directories"), nil
	}
	if s.misses > freeMisses {
		s.penance(ctx, time.Duration(s.misses-freeMisses)*time.Second/10)
	}
	return reply{}, why
}

// freeMisses cost nothing: clients look for directories before they make them.
const freeMisses = 5

// alias returns what directory the administrator has given another name.
func (s *session) alias(name string) (dir string, ok bool) {
	for _, a := range s.cfg.DirAliases {
		if a.Name == name {
			return vfs.Clean("/", a.Dir), true
		}
	}
	return "", false
}

// cmdCDUP answers 250, as CWD does: RFC 959's appendix II has it so, and clients
// test for it, whatever the list of replies says.
func (s *session) cmdCDUP(ctx context.Context, _ string) (reply, error) {
	return s.cmdCWD(ctx, "..")
}

func (s *session) cmdMKD(_ context.Context, arg string) (reply, error) {
	p := s.path(arg)
	s.means(deed{event: logparse.Mkdir, path: p})
	if err := s.fs.Mkdir(p); err != nil {
		return reply{}, s.unsaved(p, err)
	}
	s.misses = 0
	s.log.Info("directory made", "path", p)
	return s.withUsage(sayf(257, "%s directory created", quoted(p))), nil
}

func (s *session) cmdRMD(_ context.Context, arg string) (reply, error) {
	p := s.path(arg)
	s.means(deed{event: logparse.Rmdir, path: p})
	if err := s.fs.RemoveDir(p); err != nil {
		return reply{}, err
	}
	s.log.Info("directory removed", "path", p)
	return s.withUsage(say(250, "Directory removed")), nil
}

func (s *session) cmdDELE(_ context.Context, arg string) (reply, error) {
	p := s.path(arg)
	s.means(deed{event: logparse.Delete, path: p})
	if err := s.fs.Remove(p); err != nil {
		return reply{}, err
	}
	s.log.Info("deleted", "path", p)
	return s.withUsage(say(250, "File deleted")), nil
}

// cmdRNFR notes what to rename. It stays noted until RNTO or another RNFR.
func (s *session) cmdRNFR(_ context.Context, arg string) (reply, error) {
	s.from = ""
	p := s.path(arg)
	if !s.fs.Perms().Has(userdb.PermRename) || p == "/" {
		return reply{}, vfs.ErrDenied
	}
	if _, err := s.fs.Lstat(p); err != nil {
		return reply{}, err
	}
	s.from = p
	return say(350, "Ready for RNTO"), nil
}

func (s *session) cmdRNTO(_ context.Context, arg string) (reply, error) {
	from := s.from
	s.from = ""
	switch {
	case arg == "":
		return say(501, "RNTO needs a path"), nil
	case from == "":
		return say(503, "RNFR first"), nil
	}
	to := s.path(arg)
	s.means(deed{event: logparse.Rename, path: from, to: to})
	if err := s.fs.Rename(from, to); errors.Is(err, fs.ErrExist) {
		return reply{}, &failure{say(553, "File exists, and is not overwritten"), err}
	} else if err != nil {
		return reply{}, err
	}
	s.log.Info("renamed", "path", from, "to", to)
	return say(250, "File renamed"), nil
}

// cmdSIZE tells how many bytes RETR would send now (RFC 3659, section 4). In
// TYPE A that takes reading the file, which is done for small ones only.
func (s *session) cmdSIZE(_ context.Context, arg string) (reply, error) {
	p := s.path(arg)
	i, err := s.fs.Stat(p)
	switch {
	case err != nil:
		return reply{}, err
	case !i.IsRegular():
		return reply{}, vfs.ErrNotRegular
	case s.zipped: // what RETR would send is not known before it is made
		return say(550, "No size in MODE Z"), nil
	case !s.ascii:
		return fixed(213, "%d", i.Size), nil
	}
	file, info, err := s.fs.Read(p) // which may be another than a moment ago
	if err != nil {
		return reply{}, err
	}
	defer file.Close()
	if info.Size > maxASCIIScan {
		return say(550, "Too large to tell in TYPE A"), nil
	}
	n, err := asciiSize(file, info.Size)
	if err != nil {
		return reply{}, err
	}
	return fixed(213, "%d", n), nil
}

// maxASCIIScan is the longest file that is read through to count line ends.
const maxASCIIScan = 8 << 20
