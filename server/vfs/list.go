package vfs

import (
	"bytes"
	"cmp"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"

	"portreeve/server/charset"
	"portreeve/userdb"
)

// Bounds of what a listing holds in memory. Up to them it can be sorted: by name,
// as it comes if nobody asks for anything, in an order that somebody has asked for.
const (
	maxSorted     = 20_000
	maxSortedText = 1 << 20
	maxAsked      = 100_000
	maxAskedText  = 4 << 20

	batch = 256 // entries looked up at once, as the user
)

// Order is how a listing is sorted.
type Order uint8

const (
	ByName   Order = iota // byte order
	ByTime                // newest first
	BySize                // largest first
	Unsorted              // as the directory has them
)

// ListOptions select and order the entries of a directory.
type ListOptions struct {
	NamesOnly bool   // only Name and the type in Mode are wanted
	Hidden    bool   // names that begin with a dot, too
	Dots      bool   // "." and ".." first
	NoParent  bool   // only the first of them
	Follow    bool   // describe what links mean, where they mean something
	Targets   bool   // read links; what leads out of a root is "?"
	Match     string // a pattern for names, see Match; "" is all
	Sort      Order
	Reverse   bool
	Limit     int // most entries, 0 is no limit

	Stop func() bool // asked now and then; ends the listing early if it says so
}

// A Listing is a directory being listed. It holds regular files, directories
// and links: nothing else, no name with control bytes, which would forge
// lines, and none that is reserved for the daemon.
//
// What is sorted is held in memory, names and keys alone. So directories of more
// than 20,000 names come in their own order, and those of more than 100,000 if
// another order than that of names is asked for; the memory needed does not grow
// with them.
type Listing struct {
	Dir Info // the directory itself

	fs        *FS
	path      string
	opt       ListOptions
	parent    Info // of Dir, if Dots
	lister    lister
	es        entries
	more      bool // the directory may hold more than es
	infos     []Info
	yielded   int
	illegible atomic.Int64 // several goroutines count
	truncated bool
	unsorted  bool
	closed    bool
	err       error
}

// List opens the directory at path; its entries come from Entries.
func (f *FS) List(path string, opt ListOptions) (*Listing, error) {
	clean, err := f.lookup("list", path)
	if err == nil {
		err = f.need(userdb.PermList, "list", path)
	}
	if err == nil {
		err = fail("list", path, f.acquire())
	}
	if err != nil {
		return nil, err
	}
	l := &Listing{fs: f, path: clean, opt: opt}
	l.es.opt, l.es.charset = &l.opt, f.opts.Charset
	err = f.do(func() (err error) {
		if l.lister, err = f.root.list(clean, &l.Dir); err != nil {
			return err
		}
		l.Dir.Name = "."
		f.freeze(clean, true, &l.Dir)
		if opt.Dots && !opt.NoParent {
			above := Clean(clean, "..")
			err = f.root.stat(above, &l.parent)
			l.parent.Name = ".."
			f.freeze(above, true, &l.parent)
		}
		return err
	})
	if err != nil {
		l.Close()
		return nil, fail("list", path, err)
	}
	return l, nil
}

// Entries yields the entries, once. The Info is overwritten with each step;
// its strings are not. It closes the listing in the end.
func (l *Listing) Entries() iter.Seq[*Info] {
	return func(yield func(*Info) bool) {
		defer l.Close()
		if l.closed {
			return
		}
		for _, in := range l.dots() {
			if !yield(in) {
				return
			}
		}
		l.begin()
		for l.emit(yield) && l.more {
			l.es.reset()
			l.more = l.read(&l.es)
		}
	}
}

// dots are the directory and its parent, as far as they are to be listed.
func (l *Listing) dots() []*Info {
	switch {
	case !l.opt.Dots:
		return nil
	case l.opt.NoParent:
		return []*Info{&l.Dir}
	}
	return []*Info{&l.Dir, &l.parent}
}

// Err returns what ended the listing early, if anything did.
func (l *Listing) Err() error { return l.err }

// Truncated reports whether Limit cut entries off.
func (l *Listing) Truncated() bool { return l.truncated }

// Unsorted reports whether there were too many entries for the order asked for.
func (l *Listing) Unsorted() bool { return l.unsorted }

// Illegible returns how many entries were left out because their names mean
// nothing in Options.Charset.
func (l *Listing) Illegible() int { return int(l.illegible.Load()) }

// Close ends the listing; it may be called more than once.
func (l *Listing) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	var err error
	if l.lister != nil {
		if len(l.es.leftovers) > 0 {
			_ = l.fs.do(func() error { sweep(l.lister, l.es.leftovers); return nil }) // the next listing tries again
		}
		err = l.lister.close()
	}
	l.es, l.infos = entries{}, nil
	l.fs.release()
	return fail("list", l.path, err)
}

// read fetches the next names into es and reports whether there may be more.
func (l *Listing) read(es *entries) bool {
	if l.stopped() {
		return false
	}
	more, err := l.lister.read(es)
	if err != nil {
		l.err = fail("list", l.path, err)
	}
	return more && err == nil
}

func (l *Listing) stopped() bool { return l.opt.Stop != nil && l.opt.Stop() }

// begin reads names until there are none left or too many to sort, and sorts
// them.
func (l *Listing) begin() {
	l.more = true
	if l.opt.Sort == Unsorted {
		return
	}
	most, text := maxSorted, maxSortedText
	if l.opt.Sort != ByName || l.opt.Reverse {
		most, text = maxAsked, maxAskedText
	}
	for l.more && len(l.es.list) <= most && len(l.es.names) <= text {
		l.more = l.read(&l.es)
	}
	switch {
	case l.more || len(l.es.list) > most || len(l.es.names) > text:
		l.unsorted = true
	case l.opt.Sort == ByName:
		l.es.sort(l.opt.Reverse)
	default:
		l.arrange()
	}
}

func (es *entries) sort(reverse bool) {
	slices.SortFunc(es.list, func(a, b entry) int {
		if reverse {
			a, b = b, a
		}
		return bytes.Compare(es.bytes(a), es.bytes(b))
	})
}

// A keyed entry is one with what it is sorted by.
type keyed struct {
	key  int64 // the size, or the seconds of a time
	rest int32 // its nanoseconds
	entry
}

// arrange puts all entries, whose names are known, in an order for which they
// have to be looked at. They are again when they are listed: only keys are kept.
func (l *Listing) arrange() {
	all := make([]keyed, 0, len(l.es.list))
	for from := 0; from < len(l.es.list) && l.err == nil && !l.stopped(); from += batch {
		l.err = fail("list", l.path, l.fs.do(func() error {
			var in Info
			for i := from; i < min(from+batch, len(l.es.list)); i++ {
				k := keyed{entry: l.es.list[i]}
				in = Info{Name: l.es.name(k.entry)}
				if !l.look(&l.es, i, &in) {
					continue
				}
				k.kind, k.key = in.Mode.Type(), in.Size
				if l.opt.Sort == ByTime {
					k.key, k.rest = in.ModTime.Unix(), int32(in.ModTime.Nanosecond())
				}
				all = append(all, k)
			}
			return nil
		}))
	}
	slices.SortFunc(all, func(a, b keyed) int {
		if l.opt.Reverse {
			a, b = b, a
		}
		if order := cmp.Or(cmp.Compare(b.key, a.key), cmp.Compare(b.rest, a.rest)); order != 0 {
			return order
		}
		return bytes.Compare(l.es.bytes(a.entry), l.es.bytes(b.entry))
	})
	l.es.list = l.es.list[:0]
	l.es.typed = true
	for i := range all {
		l.es.list = append(l.es.list, all[i].entry)
	}
}

// emit yields what es holds and reports whether to go on.
func (l *Listing) emit(yield func(*Info) bool) bool {
	for from := 0; from < len(l.es.list); from += batch {
		n, ok := l.lookup(from)
		if !ok {
			return false
		}
		for i := range n {
			if !l.one(yield, &l.infos[i]) {
				return false
			}
		}
	}
	return true
}

func (l *Listing) one(yield func(*Info) bool, in *Info) bool {
	if !l.decode(in) {
		return true
	}
	if l.opt.Limit > 0 && l.yielded == l.opt.Limit {
		l.truncated = true
		return false
	}
	l.yielded++
	return yield(in)
}

// decode makes text of what in has from the disk, and reports whether it is any.
func (l *Listing) decode(in *Info) (ok bool) {
	if l.fs.opts.Charset == nil {
		return true
	}
	if in.Name, ok = l.fs.opts.Charset.Decode(in.Name); !ok {
		l.illegible.Add(1)
	}
	in.Target = l.fs.readable(in.Target)
	return ok
}

// lookup describes a batch of es in infos, and returns how many are left:
// what has vanished or may not be looked at is skipped, and so is what is not
// to be listed.
func (l *Listing) lookup(from int) (n int, ok bool) {
	to := min(from+batch, len(l.es.list))
	if len(l.infos) < to-from {
		l.infos = make([]Info, to-from)
	}
	names := l.es.text(from, to)
	err := l.asUser(&l.es, func() error {
		for i := from; i < to; i++ {
			e := l.es.list[i]
			in := &l.infos[n]
			*in = Info{Mode: e.kind}
			in.Name, names = names[:e.size], names[e.size:]
			if l.describe(&l.es, i, in) {
				n++
			}
		}
		return nil
	})
	if err != nil {
		l.err = err
	}
	return n, err == nil
}

// asUser runs what describes entries of es as the user, if it asks the kernel.
func (l *Listing) asUser(es *entries, describe func() error) error {
	if l.namesOnly(es) {
		return describe()
	}
	return fail("list", l.path, l.fs.do(describe))
}

// namesOnly reports whether to describe es is to ask the kernel nothing.
func (l *Listing) namesOnly(es *entries) bool {
	return l.opt.NamesOnly && !l.opt.Follow && es.typed
}

// describe completes the Info of entry i; it reports whether to list it.
func (l *Listing) describe(es *entries, i int, in *Info) bool {
	if l.namesOnly(es) {
		return true
	}
	if !l.look(es, i, in) {
		return false
	}
	if in.IsLink() && l.opt.Targets && !l.opt.NamesOnly {
		if text, err := l.lister.readlink(in.Name); err == nil {
			in.Target = l.fs.shown(l.path, text)
		}
	}
	return true
}

// look asks the kernel about entry i, and reports whether to list it.
func (l *Listing) look(es *entries, i int, in *Info) bool {
	if l.lister.stat(es, i, in) != nil {
		return false
	}
	if in.IsLink() && l.opt.Follow {
		target := Info{Name: in.Name}
		path := join(l.path, in.Name)
		if l.fs.opts.NoDotRead && l.fs.undotted(path, true) != nil {
			return true // described as the link that it is
		}
		if l.fs.root.stat(path, &target) == nil {
			*in = target
		}
	}
	return in.IsRegular() || in.IsDir() || in.IsLink()
}

// unknown is the type of an entry whose directory does not tell.
const unknown = fs.ModeIrregular

// entries are names of a directory, packed: each ends in a zero byte, so that
// it can be handed to the kernel where it lies.
type entries struct {
	opt       *ListOptions
	charset   *charset.Charset
	names     []byte
	list      []entry
	typed     bool     // no kind is unknown
	leftovers []string // see sweep
}

type entry struct {
	off  uint32
	kind fs.FileMode
	size uint8
}

func (es *entries) reset() {
	es.names, es.list, es.typed = es.names[:0], es.list[:0], true
}

// add takes an entry if it is to be listed.
func (es *entries) add(name string, kind fs.FileMode) {
	if kind != unknown && kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
		return
	}
	if len(name) == 0 || len(name) > maxName {
		return
	}
	if name[0] == '.' {
		if isLeftover(name) && len(es.leftovers) < maxLeftovers {
			es.leftovers = append(es.leftovers, strings.Clone(name))
		}
		if name == "." || name == ".." || reserved(name) || !es.opt.Hidden && !strings.HasPrefix(es.opt.Match, ".") {
			return
		}
	}
	for i := 0; i < len(name); i++ {
		if name[i] < ' ' || name[i] == 0x7f {
			return
		}
	}
	if es.opt.Match != "" {
		if text, ok := es.charset.Decode(name); !ok || !Match(es.opt.Match, text) {
			return
		}
	}
	if len(es.list) == 0 {
		es.typed = true
	}
	es.typed = es.typed && kind != unknown
	es.list = append(es.list, entry{uint32(len(es.names)), kind, uint8(len(name))})
	es.names = append(append(es.names, name...), 0)
}

// bytes is the name of an entry where it lies.
func (es *entries) bytes(e entry) []byte { return es.names[e.off : e.off+uint32(e.size)] }

// name is the same as a string, which is gone when es is filled again.
func (es *entries) name(e entry) string { return unsafe.String(&es.names[e.off], int(e.size)) }

// text is the names of some entries one after the other, in one allocation.
func (es *entries) text(from, to int) string {
	n := 0
	for _, e := range es.list[from:to] {
		n += int(e.size)
	}
	if n == 0 {
		return ""
	}
	b := make([]byte, 0, n)
	for _, e := range es.list[from:to] {
		b = append(b, es.bytes(e)...)
	}
	return unsafe.String(&b[0], n) // b is not touched again
}
