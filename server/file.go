package server

import (
	"context"
	"io"
	"net"
	"os"

	"portreeve/logparse"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// typeName is the word for the data type that 150 uses.
func (s *session) typeName() string {
	if s.ascii {
		return "ASCII"
	}
	return "BINARY"
}

// cmdRETR sends a file (RFC 959, section 4.1.3). All that can be wrong with it
// is found before the data connection is used up.
func (s *session) cmdRETR(ctx context.Context, arg string) (reply, error) {
	path, mark := s.file(arg), s.mark
	s.means(deed{event: logparse.Transfer, direction: logparse.Download, path: path})
	file, info, err := s.fs.Read(path)
	if err != nil {
		return reply{}, err
	}
	t := &transfer{verb: "RETR", kind: registry.Downloading, path: path, offset: mark.first, size: info.Size,
		undo: func() { file.Close() }}
	t.accept = sayf(150, "Opening %s mode data connection for %s", s.typeName(), path)
	first, n, err := mark.of(info.Size)
	send := func(f *flow) error { return f.sendFile(file, n) }
	switch {
	case s.ascii:
		var src io.Reader
		src, err = mark.text(file, info.Size)
		send = func(f *flow) error { return f.send(src) }
	case err != nil:
	case s.zipped:
		send = func(f *flow) error { return f.send(io.LimitReader(file, n)) }
		err = seekTo(file, first)
	default:
		if mark == (marker{}) { // clients take the number for the whole size, or for what is left
			t.accept = sayf(150, "Opening %s mode data connection for %s (%d bytes)", s.typeName(), path, info.Size)
		}
		err = seekTo(file, first)
	}
	if err == nil {
		err = s.mayRetrieve(n)
	}
	if err != nil {
		file.Close()
		return reply{}, err
	}
	t.work = func(f *flow) (reply, error) {
		defer file.Close()
		return say(226, "Transfer complete"), send(f)
	}
	if !s.ascii && n <= smallest {
		t.small = func(f *flow) (reply, bool, error) {
			if !f.sendSmall(file, n) {
				return reply{}, false, nil
			}
			file.Close()
			return say(226, "Transfer complete"), true, nil
		}
	}
	return s.begin(ctx, t)
}

func (s *session) cmdSTOR(ctx context.Context, arg string) (reply, error) {
	return s.store(ctx, "STOR", s.file(arg), vfs.How{Offset: s.mark.first, Within: s.mark.ranged})
}

// cmdAPPE adds to a file; with a marker it is STOR (RFC 3659, section 5.4).
func (s *session) cmdAPPE(ctx context.Context, arg string) (reply, error) {
	return s.store(ctx, "APPE", s.file(arg), vfs.How{Offset: s.mark.first, Within: s.mark.ranged, Append: !s.mark.ranged})
}

// cmdSTOU stores under a name that nothing has. The name that a client offers
// becomes its beginning, but no path: the file is in the current directory.
func (s *session) cmdSTOU(ctx context.Context, arg string) (reply, error) {
	if s.mark != (marker{}) {
		return say(503, "REST and STOU exclude each other"), nil
	}
	dir := s.cwd
	if dir != "/" {
		dir += "/"
	}
	return s.store(ctx, "STOU", dir+hint(arg), vfs.How{Unique: true})
}

// hint makes the beginning of a file's name of what a client calls its own file.
func hint(arg string) string {
	_, base := splitPath(arg)
	name := []byte(base)
	for i, c := range name {
		if c < ' ' || c == 0x7f {
			name[i] = '_'
		}
	}
	if len(name) == 0 || name[0] == '.' {
		return ""
	}
	return string(name)
}

// store takes a file. What it says when it begins and ends depends on its name,
// which STOU and AutoRename choose.
func (s *session) store(ctx context.Context, verb, path string, how vfs.How) (reply, error) {
	s.means(deed{event: logparse.Transfer, direction: logparse.Upload, path: path})
	if s.ascii && s.mark != (marker{}) { // where that is on disk cannot be known
		return reply{}, vfs.ErrOffset
	}
	if err := s.roomFor(path); err != nil {
		return reply{}, err
	}
	how.Expect = s.expected()
	up, err := s.fs.Write(path, how)
	if err != nil {
		return reply{}, s.unsaved(path, err)
	}
	t := &transfer{verb: verb, name: path, kind: registry.Uploading, path: up.Name(), offset: up.Offset(), size: -1,
		undo: func() { _ = up.Discard() }}
	t.sole = !s.ascii && !s.zipped && !how.Append && s.mark == (marker{})
	t.accept = sayf(150, "Opening %s mode data connection for %s", s.typeName(), up.Name())
	if how.Unique { // RFC 1123, section 4.1.2.9, has the words
		_, name := splitPath(up.Name())
		t.accept = fixed(150, "FILE: %s", name)
	}
	room, excess := s.mark.room(), errRange
	if left := s.cfg.MaxFileSize - up.Offset(); s.cfg.MaxFileSize > 0 && left < room {
		room, excess = max(0, left), errTooLarge
	}
	receive, control, strict := s.receiver(), s.conn, !s.cfg.KeepUnconfirmed
	end := func(f *flow) (reply, error) {
		r, err := f.commit(up, control, strict)
		t.path = up.Name() // AutoRename has the last word
		return r, err
	}
	allowed := allow(up, room, excess)
	t.most, t.excess = allowed.all(), excess
	t.work = func(f *flow) (reply, error) {
		defer func() { _ = up.Discard() }() // does nothing after Commit
		if err := up.Begin(); err != nil {
			return reply{}, err
		}
		f.allowed = allowed
		if err := receive(f, up.File()); err != nil {
			return reply{}, refuse(up, err)
		}
		return end(f)
	}
	if !s.ascii {
		t.small = func(f *flow) (r reply, over bool, err error) {
			if err = up.Begin(); err == nil {
				f.allowed = allowed
				over, err = f.receiveSmall(up.File())
				allowed = f.allowed
			}
			if !over && err == nil {
				return reply{}, false, nil
			}
			defer func() { _ = up.Discard() }()
			if err == nil {
				r, err = end(f)
			}
			return r, true, err
		}
	}
	return s.begin(ctx, t)
}

// receiver returns what stores data of this session's TYPE and MODE.
func (s *session) receiver() func(*flow, *os.File) error {
	switch {
	case s.zipped && s.ascii:
		return func(f *flow, file *os.File) error { return f.receiveZip(file, new(fromNetwork).next) }
	case s.zipped:
		return func(f *flow, file *os.File) error {
			return f.receiveZip(file, func(_, src []byte) []byte { return src })
		}
	case s.ascii:
		return (*flow).receiveASCII
	}
	return (*flow).receiveFile
}

// commit ends an upload whose data has ended, if its client wants that.
func (f *flow) commit(up *vfs.Upload, control net.Conn, strict bool) (reply, error) {
	if err := f.whole(); err != nil {
		return reply{}, err
	}
	if err := f.atEnd(control, strict || up.Replaces()); err != nil {
		return reply{}, err
	}
	asked := up.Name()
	if err := up.Commit(); err != nil {
		return reply{}, err
	}
	if up.Name() != asked {
		return sayf(226, "Transfer complete, stored as %s", up.Name()), nil
	}
	return say(226, "Transfer complete"), nil
}
