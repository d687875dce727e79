package server

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"strconv"
	"strings"
	"time"

	"portreeve/server/vfs"
)

// MLST and MLSD: listings for programs (RFC 3659, section 7).

// A fact is one thing that MLST and MLSD tell of a file.
type fact struct {
	name   string
	append func(b []byte, m *mls, i *vfs.Info) []byte // its value; nothing if it has none
}

// facts are in the order in which they are sent. The names of owners are sent to
// who asks for them, all others to everybody.
var facts = []fact{
	{"type", appendType},
	{"size", func(b []byte, _ *mls, i *vfs.Info) []byte {
		if !i.IsRegular() {
			return b
		}
		return strconv.AppendInt(b, i.Size, 10)
	}},
	{"modify", func(b []byte, m *mls, i *vfs.Info) []byte { return m.stamp(b, i.ModTime) }},
	{"create", func(b []byte, m *mls, i *vfs.Info) []byte {
		if i.Created.IsZero() {
			return b
		}
		return m.stamp(b, i.Created)
	}},
	{"perm", appendPerm},
	{"unique", func(b []byte, _ *mls, i *vfs.Info) []byte { return appendUnique(b, i) }},
	{"UNIX.mode", func(b []byte, _ *mls, i *vfs.Info) []byte {
		m := uint32(i.Mode.Perm())
		return append(b, '0', byte('0'+m>>6), byte('0'+m>>3&7), byte('0'+m&7))
	}},
	{"UNIX.owner", func(b []byte, _ *mls, i *vfs.Info) []byte { return strconv.AppendInt(b, int64(i.UID), 10) }},
	{"UNIX.group", func(b []byte, _ *mls, i *vfs.Info) []byte { return strconv.AppendInt(b, int64(i.GID), 10) }},
	{"UNIX.ownername", func(b []byte, m *mls, i *vfs.Info) []byte { return append(b, m.s.owner(i.UID)...) }},
	{"UNIX.groupname", func(b []byte, m *mls, i *vfs.Info) []byte { return append(b, m.s.group(i.GID)...) }},
}

// A factSet is which of facts a session wants, a bit each.
type factSet uint16

// defaultFacts are those that a session begins with.
var defaultFacts = func() (set factSet) {
	for i, f := range facts {
		if f.name != "UNIX.ownername" && f.name != "UNIX.groupname" {
			set |= 1 << i
		}
	}
	return set
}()

func (f factSet) has(i int) bool { return f&(1<<i) != 0 }

// typeFact is the place of "type" in facts: without it MLSD must not list the
// directory itself (RFC 3659, section 7.5.1).
const typeFact = 0

// An mls formats entries of one listing.
type mls struct {
	s     *session
	dir   *vfs.Info // the directory that holds the entries; nil for the root
	facts []*fact   // those that are on

	day  int64 // what date holds, in days since 1970
	date []byte
}

func (s *session) newMLS(dir *vfs.Info) *mls {
	m := &mls{s: s, dir: dir}
	for i := range facts {
		if s.facts.has(i) {
			m.facts = append(m.facts, &facts[i])
		}
	}
	return m
}

// stamp is appendStamp. It remembers the date, which the files of one place have
// in common more often than the time.
func (m *mls) stamp(b []byte, t time.Time) []byte {
	const aDay = 24 * 60 * 60
	day := floorDiv(t.Unix(), aDay)
	if day != m.day || m.date == nil {
		m.day, m.date = day, appendStamp(m.date[:0], t)
		m.date = m.date[:len(m.date)-len("150405")]
	}
	second := int(t.Unix() - day*aDay)
	b = append(b, m.date...)
	for _, n := range [...]int{second / 3600, second / 60 % 60, second % 60} {
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return b
}

func appendType(b []byte, m *mls, i *vfs.Info) []byte {
	switch {
	case i.Name == "." && i.IsDir():
		return append(b, "cdir"...)
	case i.Name == ".." && i.IsDir():
		return append(b, "pdir"...)
	case i.IsDir():
		return append(b, "dir"...)
	case i.IsLink() && i.Target != "" && i.Target != "?" && !strings.ContainsAny(i.Target, "; "):
		return m.s.appendName(append(b, "OS.unix=slink:"...), i.Target)
	case i.IsLink():
		return append(b, "OS.unix=symlink"...)
	}
	return append(b, "file"...)
}

// permLetters are RFC 3659's letters (section 7.5.5) in the order in which they
// are sent, those of files and those of directories.
var permLetters = []struct {
	letter byte
	right  vfs.Rights
}{
	{'a', vfs.MayAppend}, {'d', vfs.MayDelete}, {'f', vfs.MayRename}, {'r', vfs.MayRead}, {'w', vfs.MayWrite},
	{'l', vfs.MayList}, {'c', vfs.MayCreate}, {'m', vfs.MayMkdir}, {'p', vfs.MayPurge}, {'e', vfs.MayEnter},
}

func appendPerm(b []byte, m *mls, i *vfs.Info) []byte {
	dir := m.dir
	if i.Name == "." || i.Name == ".." { // what holds them is not known here
		dir = nil
	}
	rights := m.s.fs.Rights(i, dir)
	for _, p := range permLetters {
		if rights&p.right != 0 {
			b = append(b, p.letter)
		}
	}
	return b
}

// line writes "fact=value; name". A fact without a value is left out, but for
// perm: that nothing is allowed is worth saying.
func (m *mls) line(b []byte, i *vfs.Info, name string) []byte {
	for _, f := range m.facts {
		before := len(b)
		b = append(append(b, f.name...), '=')
		value := len(b)
		b = f.append(b, m, i)
		if len(b) == value && f.name != "perm" {
			b = b[:before]
			continue
		}
		b = append(b, ';')
	}
	return m.s.appendName(append(b, ' '), name)
}

// featMLST is the line of FEAT, with a star behind each fact that is on.
func (s *session) featMLST() string {
	var b strings.Builder
	b.WriteString("MLST ")
	for i, f := range facts {
		b.WriteString(f.name)
		if s.facts.has(i) {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

// optsMLST chooses the facts (RFC 3659, section 7.9). Names that nobody knows
// are dropped; a list that is parted by something else is refused.
func (s *session) optsMLST(list string) reply {
	if strings.ContainsAny(list, " ,") {
		return say(501, "MLST takes fact;fact;")
	}
	var set factSet
	text := ""
	for i, f := range facts {
		for name := range strings.SplitSeq(list, ";") {
			if strings.EqualFold(name, f.name) && !set.has(i) {
				set |= 1 << i
				text += f.name + ";"
			}
		}
	}
	s.facts = set
	return fixed(200, "%s", strings.TrimSuffix("MLST OPTS "+text, " "))
}

// cmdMLST tells the facts of one thing, on the control connection.
func (s *session) cmdMLST(_ context.Context, arg string) (reply, error) {
	path := s.path(arg)
	i, err := s.fs.Lstat(path)
	if err != nil {
		return reply{}, err
	}
	if i.IsLink() && s.cfg.MLSDFollowLinks {
		if target, err := s.fs.Stat(path); err == nil { // a link that leads nowhere is shown as one
			i = target
		}
	}
	if i.IsLink() {
		i.Target, _ = s.fs.Readlink(path)
	}
	if !i.IsRegular() && !i.IsDir() && !i.IsLink() {
		return reply{}, vfs.ErrNotRegular
	}
	m := s.newMLS(nil)
	if path != "/" {
		parent, _ := splitPath(path)
		if dir, err := s.fs.Stat(parent); err == nil {
			m.dir = &dir
		}
	}
	i.Name = "" // the type of a thing asked for by its name is never cdir or pdir
	return reply{code: 250, text: phrasef("End"), lines: []phrase{phrasef("Listing %s", path), verbatim(string(m.line(nil, &i, path)))}}, nil
}

// cmdMLSD lists a directory; its argument is a path to the letter.
func (s *session) cmdMLSD(ctx context.Context, arg string) (reply, error) {
	path := s.path(arg)
	i, err := s.fs.Stat(path)
	switch {
	case err != nil:
		return reply{}, err
	case !i.IsDir():
		return say(501, "Not a directory"), nil
	}
	list, err := s.fs.List(path, vfs.ListOptions{
		Hidden: true, Dots: s.facts.has(typeFact) && s.cfg.MLSDDots, NoParent: path == "/", Sort: vfs.Unsorted,
		Targets: true, Follow: s.cfg.MLSDFollowLinks, Limit: s.cfg.ListEntries,
	})
	if err != nil {
		return reply{}, err
	}
	l := &ls{s: s, charset: s.charset, format: func(*ls) vfs.Format {
		m := s.newMLS(&list.Dir)
		return func(b []byte, i *vfs.Info) []byte { return append(m.line(b, i, i.Name), '\r', '\n') }
	}}
	return s.transferList(ctx, "MLSD", path, l,
		walk{func() error { return l.entries(list, nil) }, func() { list.Close() }})
}

// identitySeed keys the "unique" fact of RFC 3659, section 7.5.2: it tells files
// apart for as long as the daemon runs, and tells nothing of the disk.
var identitySeed = maphash.MakeSeed()

func appendUnique(b []byte, i *vfs.Info) []byte {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:8], i.Dev)
	binary.LittleEndian.PutUint64(id[8:], i.Ino)
	return appendHex16(b, maphash.Bytes(identitySeed, id[:]))
}

func appendHex16(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&0xf])
	}
	return b
}
