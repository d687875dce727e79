package server

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"portreeve/server/charset"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// LIST, NLST and STAT in the form of ls, which clients parse by its columns.

// lsOptions are the options of ls that clients send before the path.
type lsOptions struct {
	all      bool // a: dot files, with . and ..
	almost   bool // A: dot files
	names    bool // 1 and C: names only
	long     bool // l, for NLST
	classify bool // F
	recurse  bool // R
	self     bool // d: the directory itself
	follow   bool // L
	reverse  bool
	sort     vfs.Order
}

// parseLS takes options off the front of an argument; the rest is one path,
// blanks and all. A word that is the name of a file is no option.
func parseLS(arg string, isFile func(string) bool) (o lsOptions, path string) {
	for strings.HasPrefix(arg, "-") && !isFile(arg) {
		word, rest, _ := strings.Cut(arg, " ")
		arg = rest
		if word == "--" {
			break
		}
		for i := 1; i < len(word); i++ {
			switch word[i] {
			case 'a':
				o.all = true
			case 'A':
				o.almost = true
			case '1', 'C':
				o.names = true
			case 'l':
				o.long = true
			case 'F':
				o.classify = true
			case 'R':
				o.recurse = true
			case 'd':
				o.self = true
			case 'L':
				o.follow = true
			case 'r':
				o.reverse = true
			case 't':
				o.sort = vfs.ByTime
			case 'S':
				o.sort = vfs.BySize
			}
		}
	}
	return o, arg
}

// An ls writes listings, a buffer at a time.
type ls struct {
	s      *session
	opt    lsOptions
	nlst   bool
	asked  string                 // the path as the client wrote it
	prefix string                 // before each name
	format func(l *ls) vfs.Format // makes what writes a line; the goroutines of a listing have one each
	line   vfs.Format             // the one of this goroutine
	write  func([]byte) error
	stop   func() bool // whether to give up; nil is never
	buf    []byte
	now    time.Time
	most   int // entries
	count  int
	cut    bool // there would have been more
	mixed  bool // there was too much to be sorted

	search  bool         // what is found may be little for the work, which has an end therefore
	sending atomic.Int64 // nanoseconds spent on sending, which are not work
	overdue atomic.Bool

	charset   *charset.Charset // the client's; nil is UTF-8
	spoken    bool             // lines become those of a reply, which is encoded itself
	illegible atomic.Int64     // entries that could not be written in it
}

// listBuffer is how much a listing gathers before it is sent: one write for a
// thousand entries, not one for each.
const listBuffer = 64 << 10

var listBuffers = sync.Pool{New: func() any { b := make([]byte, 0, listBuffer+4096); return &b }}

func (s *session) newLS(arg string) (*ls, string) {
	opt, path := parseLS(arg, func(name string) bool {
		_, err := s.fs.Lstat(s.path(name))
		return err == nil
	})
	opt.follow = opt.follow || s.cfg.BrokenClients
	return &ls{s: s, opt: opt, asked: path, now: time.Now(), most: s.cfg.ListEntries, format: (*ls).long, charset: s.charset}, path
}

func (s *session) cmdLIST(ctx context.Context, arg string) (reply, error) {
	l, path := s.newLS(arg)
	if l.names() {
		l.format = (*ls).name
	}
	return s.list(ctx, "LIST", l, path)
}

func (s *session) cmdNLST(ctx context.Context, arg string) (reply, error) {
	l, path := s.newLS(arg)
	l.nlst, l.opt.recurse = true, false // its lines are names to fetch, and a heading is none
	if l.names() {
		l.format = (*ls).name
	}
	return s.list(ctx, "NLST", l, path)
}

// names tells whether lines are names alone.
func (l *ls) names() bool { return (l.nlst || l.opt.names) && !l.opt.long }

// list begins the transfer of what path means.
func (s *session) list(ctx context.Context, verb string, l *ls, path string) (reply, error) {
	w, err := l.open(s.path(path))
	if err != nil {
		return reply{}, err
	}
	return s.transferList(ctx, verb, s.path(path), l, w)
}

// transferList sends what walk adds to l.
func (s *session) transferList(ctx context.Context, verb, path string, l *ls, w walk) (reply, error) {
	t := &transfer{verb: verb, kind: registry.Listing, path: path, size: -1,
		accept: say(150, "Here comes the listing"), undo: w.close}
	t.work = func(f *flow) (reply, error) {
		buf := listBuffers.Get().(*[]byte)
		defer func() {
			*buf = l.buf[:0]
			listBuffers.Put(buf)
		}()
		l.buf, l.write = *buf, func(b []byte) error {
			begun := time.Now()
			err := f.write(b)
			l.sending.Add(int64(time.Since(begun)))
			return err
		}
		l.stop = func() bool { return f.ctx.Err() != nil }
		err := w.run()
		if err == nil {
			err = l.flush()
		}
		if err == nil && f.ctx.Err() != nil {
			err = context.Cause(f.ctx)
		}
		return l.end(), err
	}
	return s.begin(ctx, t)
}

func (l *ls) end() reply {
	switch {
	case l.cut || l.overdue.Load():
		return sayf(226, "Listing truncated to %d entries", l.count)
	case l.illegible.Load() > 0:
		return sayf(226, "%d matches total, and %d with names that cannot be written here", l.count, l.illegible.Load())
	case l.mixed:
		return sayf(226, "%d matches total, too many to sort", l.count)
	}
	return sayf(226, "%d matches total", l.count)
}

// A walk is a listing that has been found possible. It is run or closed.
type walk struct {
	run   func() error
	close func()
}

// open finds out what path means, and returns what will list it: the content
// of a directory, the matches of a pattern, or the one thing itself.
func (l *ls) open(path string) (walk, error) {
	files := l.s.fs
	info, err := files.Stat(path)
	if err != nil {
		info, err = l.lost(path, err)
	}
	switch {
	case err == nil && (l.opt.self || !info.IsDir()):
		if link, lerr := files.Lstat(path); lerr == nil && link.IsLink() && !l.opt.follow {
			link.Target, _ = files.Readlink(path)
			info = link
		}
		if !info.IsRegular() && !info.IsDir() && !info.IsLink() {
			return walk{}, vfs.ErrNotRegular // what no listing has
		}
		info.Name = cmp.Or(l.asked, ".")
		return walk{func() error { return l.add(&info) }, func() {}}, nil
	case err == nil:
		if l.nlst {
			l.prefix = inDirectory(l.asked)
		}
		return l.content(path, "")
	}
	dir, pattern := splitPath(path)
	if before, found := strings.CutSuffix(l.asked, pattern); found && vfs.IsPattern(pattern) && !climbs(before) {
		l.prefix = before
		return l.content(dir, pattern)
	}
	return walk{}, err
}

// lost describes a link that leads nowhere, which is listed itself. One that leads
// out is as if there were none, and why is told then: it is nobody's business here.
func (l *ls) lost(path string, why error) (vfs.Info, error) {
	info, err := l.s.fs.Lstat(path)
	if err != nil || !info.IsLink() {
		return info, err
	}
	if target, err := l.s.fs.Readlink(path); err != nil || target == "?" {
		return vfs.Info{}, why
	}
	return info, nil
}

// climbs tells whether a path goes up again behind a pattern. Only the last part
// of a path may be one; the others would vanish from a path that is cleaned.
func climbs(path string) bool {
	i := strings.IndexAny(path, "*?[")
	return i >= 0 && strings.Contains(path[i:]+"/", "/../")
}

// inDirectory returns what stands before a name in a directory, for NLST: what
// it lists is good for RETR in the same place (RFC 1123, section 4.1.3.2).
func inDirectory(asked string) string {
	if asked == "" || asked == "." || asked == "./" {
		return ""
	}
	return strings.TrimSuffix(asked, "/") + "/"
}

// content opens a directory now, so that a refusal comes before 150.
func (l *ls) content(path, pattern string) (walk, error) {
	l.search = l.search || pattern != "" || l.opt.recurse
	list, err := l.s.fs.List(path, l.listOptions(pattern))
	if err != nil {
		return walk{}, err
	}
	return walk{func() error {
		if l.opt.recurse && pattern == "" {
			l.prefix = ""
			return l.tree(list, path, cmp.Or(strings.TrimSuffix(l.asked, "/"), "."), 1)
		}
		return l.entries(list, nil)
	}, func() { list.Close() }}, nil
}

func (l *ls) listOptions(pattern string) vfs.ListOptions {
	hidden := l.opt.all || l.opt.almost || l.s.cfg.DisplayDotFiles
	return vfs.ListOptions{
		NamesOnly: l.names() && !l.opt.classify,
		Hidden:    hidden, Dots: l.opt.all && pattern == "",
		Follow: l.opt.follow, Targets: !l.names(),
		Match: pattern, Sort: l.opt.sort, Reverse: l.opt.reverse,
		Limit: max(l.most-l.count, 1),
		Stop:  l.stopped,
	}
}

// maxSearch is how long patterns and LIST -R may search, and STAT may take.
const maxSearch = 17 * time.Second

// stopped tells whether to give up. The goroutines of a listing ask it.
func (l *ls) stopped() bool {
	if l.search && time.Since(l.now)-time.Duration(l.sending.Load()) > maxSearch {
		l.overdue.Store(true)
	}
	return l.overdue.Load() || l.stop != nil && l.stop()
}

// entries writes the lines of one directory. If each is there it is told of every
// entry, in order, which takes longer.
func (l *ls) entries(list *vfs.Listing, each func(*vfs.Info)) error {
	defer list.Close()
	if each == nil {
		if err := l.flush(); err != nil {
			return err
		}
		n, err := list.Send(l.lines, l.write)
		l.count += n
		l.illegible.Add(int64(list.Illegible()))
		l.cut, l.mixed = l.cut || list.Truncated(), list.Unsorted() && (l.opt.sort != vfs.ByName || l.opt.reverse)
		return err
	}
	for i := range list.Entries() {
		each(i)
		if err := l.add(i); err != nil {
			return err
		}
	}
	l.cut = l.cut || list.Truncated()
	l.illegible.Add(int64(list.Illegible()))
	return list.Err()
}

// maxBranches bounds what LIST -R remembers of one directory: the names of the
// directories in it that are still to be listed.
const maxBranches = 10000

// tree writes a directory and what is below it, as ls -R does. Links are not
// followed, so there is no loop.
func (l *ls) tree(list *vfs.Listing, path, shown string, depth int) error {
	var below []string
	err := l.entries(list, func(i *vfs.Info) {
		if i.IsDir() && i.Name != "." && i.Name != ".." {
			if len(below) < maxBranches {
				below = append(below, strings.Clone(i.Name))
			} else {
				l.cut = true
			}
		}
	})
	if err != nil {
		return err
	}
	for _, name := range below {
		if depth >= l.s.cfg.ListDepth || l.count >= l.most || l.stopped() {
			l.cut = true
			return nil
		}
		sub, err := l.s.fs.List(vfs.Clean(path, name), l.listOptions(""))
		if err != nil {
			continue // one directory that may not be read does not end the listing
		}
		heading, ok := l.encode([]byte("\r\n" + shown + "/" + name + ":\r\n\r\n"))
		if !ok { // the name was not listed, nor is what is below it
			sub.Close()
			continue
		}
		l.buf = append(l.buf, heading...)
		if err := l.tree(sub, vfs.Clean(path, name), shown+"/"+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// add writes one line, and sends the buffer when it is full.
func (l *ls) add(i *vfs.Info) error {
	if l.line == nil {
		l.line = l.lines()
	}
	before := len(l.buf)
	if l.buf = l.line(l.buf, i); len(l.buf) > before {
		l.count++
	}
	if len(l.buf) < listBuffer {
		return nil
	}
	return l.flush()
}

func (l *ls) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	err := l.write(l.buf)
	l.buf = l.buf[:0]
	return err
}

// cmdSTAT tells the state of things, or lists on the control connection.
func (s *session) cmdSTAT(ctx context.Context, arg string) (reply, error) {
	if arg == "" {
		return s.status(), nil
	}
	l, path := s.newLS(arg)
	l.format, l.spoken, l.search = (*ls).long, true, true
	l.most = min(l.most, maxStat)
	l.stop = func() bool { return ctx.Err() != nil }
	return s.statPath(l, path)
}

// maxStat bounds a listing on the control connection, which is one reply.
const maxStat = 2000

// statPath answers with 212 for what a directory holds and 213 for one thing
// (RFC 959, section 4.2). No line can be taken for the end: each begins with a
// blank.
func (s *session) statPath(l *ls, path string) (reply, error) {
	info, err := s.fs.Stat(s.path(path))
	if err != nil {
		info, err = s.fs.Lstat(s.path(path))
	}
	code := 212
	if err == nil && (!info.IsDir() || l.opt.self) {
		code = 213
	}
	w, err := l.open(s.path(path))
	if err != nil {
		return reply{}, err
	}
	r := reply{code: code, text: phrasef("End"), lines: []phrase{phrasef("Status of %s:", path)}}
	l.write = func(b []byte) error {
		for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\r\n"), "\r\n") {
			r.lines = append(r.lines, verbatim(line))
		}
		return nil
	}
	if err = w.run(); err == nil {
		err = l.flush()
	}
	if l.cut || l.overdue.Load() {
		r.text = phrasef("Listing truncated to %d entries", l.count)
	}
	return r, err
}

// splitPath parts a virtual path into its directory and its last component.
func splitPath(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/", path[i+1:]
	}
	return path[:i], path[i+1:]
}
