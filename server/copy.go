package server

import (
	"context"
	"math"

	registry "portreeve/server/session"
	"portreeve/server/vfs"
	"portreeve/userdb"
)

// Copies that never leave the server: SITE COPY, SITE CPFR and CPTO (which WinSCP
// knows, and ProFTPD's mod_copy), and COMB, which joins what was uploaded in
// parts. What is made appears when it is whole.

// siteCPFR notes what to copy. It stays noted until CPTO or another CPFR.
func (s *session) siteCPFR(_ context.Context, arg string) (reply, error) {
	s.original = ""
	path := s.path(arg)
	if !s.fs.Perms().Has(userdb.PermRead) {
		return reply{}, vfs.ErrDenied
	}
	switch i, err := s.fs.Stat(path); {
	case err != nil:
		return reply{}, err
	case !i.IsRegular():
		return reply{}, vfs.ErrNotRegular
	}
	s.original = path
	return say(350, "Ready for SITE CPTO"), nil
}

func (s *session) siteCPTO(ctx context.Context, arg string) (reply, error) {
	from := s.original
	if from == "" {
		return say(503, "SITE CPFR first"), nil
	}
	s.original = ""
	return s.join(ctx, "SITE CPTO", s.file(arg), []string{from}, say(250, "File copied"))
}

// siteCOPY is both in one line.
func (s *session) siteCOPY(ctx context.Context, arg string) (reply, error) {
	paths, ok := quotedWords(arg)
	if !ok || len(paths) != 2 {
		return say(501, "COPY takes two paths, in quotes if they have blanks"), nil
	}
	return s.join(ctx, "SITE COPY", s.file(paths[1]), []string{s.file(paths[0])}, say(200, "File copied"))
}

// cmdCOMB makes its first path of the files that follow. They stay.
func (s *session) cmdCOMB(ctx context.Context, arg string) (reply, error) {
	paths, ok := quotedWords(arg)
	if !ok || len(paths) < 2 {
		return say(501, "COMB takes the path to make and those of its parts, in quotes if they have blanks"), nil
	}
	var parts []string
	for _, p := range paths[1:] {
		parts = append(parts, s.file(p))
	}
	return s.join(ctx, "COMB", s.file(paths[0]), parts, say(250, "Files joined"))
}

// join writes one file after the other to a new one that becomes path. One that
// is to be replaced can be among them: it lasts until the end.
func (s *session) join(ctx context.Context, verb, path string, parts []string, done reply) (reply, error) {
	if err := s.roomFor(path); err != nil {
		return reply{}, err
	}
	up, err := s.fs.Write(path, vfs.How{Hidden: true})
	if err != nil {
		return reply{}, s.unsaved(path, err)
	}
	t := &transfer{verb: verb, name: path, kind: registry.Working, path: up.Name(), size: -1, undo: func() { _ = up.Discard() }}
	files, room := s.fs, s.cfg.MaxFileSize
	if room == 0 {
		room = math.MaxInt64
	}
	t.work = func(f *flow) (reply, error) {
		defer func() { _ = up.Discard() }() // does nothing after Commit
		if err := up.Begin(); err != nil {
			return reply{}, err
		}
		f.allowed = allow(up, room, errTooLarge)
		for _, part := range parts {
			if err := f.addFile(up, files, part); err != nil {
				return reply{}, refuse(up, err)
			}
		}
		if f.ctx.Err() != nil { // after the last look of copyFile, and before it can be seen
			return reply{}, context.Cause(f.ctx)
		}
		return done, up.Commit()
	}
	return s.work(ctx, t)
}

// addFile copies a file as it is now to the end of what is being made.
func (f *flow) addFile(up *vfs.Upload, files *vfs.FS, path string) error {
	src, info, err := files.Read(path)
	if err != nil {
		return err
	}
	defer src.Close()
	if f.allowed.upTo(info.Size) < info.Size {
		return f.allowed.over()
	}
	f.allowed.room -= info.Size
	return f.copyFile(up.File(), src, info.Size)
}
