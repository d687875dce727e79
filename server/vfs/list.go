package vfs

import (
	"bytes"
	"cmp"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"unsafe"

	"portreeve/userdb"
)

// Bounds of what a listing holds in memory. Up to them it can be sorted.
const (
	maxSorted      = 20000
	maxSortedBytes = 1 << 20
	batch          = 256 // entries looked up at once, as the user
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
// Directories of more than 20,000 names are not sorted, but come in their own
// order, so that the memory needed does not grow with them.
type Listing struct {
	Dir Info // the directory itself

	fs        *FS
	path      string
	opt       ListOptions
	parent    Info // of Dir, if Dots
	lister    lister
	es        entries
	infos     []Info
	yielded   int
	truncated bool
	closed    bool
	err       error
}

// List opens the directory at path; its entries come from Entries.
func (f *FS) List(path string, opt ListOptions) (*Listing, error) {
	clean, err := lookup("list", path)
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
	l.es.opt = &l.opt
	err = f.do(func() (err error) {
		if l.lister, err = f.root.list(clean, &l.Dir); err != nil {
			return err
		}
		l.Dir.Name = "."
		if opt.Dots {
			err = f.root.stat(Clean(clean, ".."), &l.parent)
			l.parent.Name = ".."
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
		if l.opt.Dots && (!yield(&l.Dir) || !yield(&l.parent)) {
			return
		}
		more := true
		if l.opt.Sort != Unsorted {
			if more = l.gather(); !more {
				l.sorted(yield)
				return
			}
		}
		for l.emit(yield) && more {
			l.es.reset()
			more = l.read()
		}
	}
}

// Err returns what ended the listing early, if anything did.
func (l *Listing) Err() error { return l.err }

// Truncated reports whether Limit cut entries off.
func (l *Listing) Truncated() bool { return l.truncated }

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

// read fetches the next names and reports whether there may be more.
func (l *Listing) read() bool {
	if l.opt.Stop != nil && l.opt.Stop() {
		return false
	}
	more, err := l.lister.read(&l.es)
	if err != nil {
		l.err = fail("list", l.path, err)
	}
	return more && err == nil
}

// gather reads names until there are none left or too many to sort.
func (l *Listing) gather() (more bool) {
	for more = true; more; {
		more = l.read()
		if len(l.es.list) > maxSorted || len(l.es.names) > maxSortedBytes {
			return true
		}
	}
	return false
}

// sorted yields all entries in order; all of their names are known.
func (l *Listing) sorted(yield func(*Info) bool) {
	byName := func(a, b entry) int { return bytes.Compare(l.es.bytes(a), l.es.bytes(b)) }
	if l.opt.Sort == ByName {
		if l.opt.Reverse {
			slices.SortFunc(l.es.list, func(a, b entry) int { return byName(b, a) })
		} else {
			slices.SortFunc(l.es.list, byName)
		}
		l.emit(yield)
		return
	}
	all := make([]Info, 0, len(l.es.list))
	for from := 0; from < len(l.es.list); from += batch {
		n, ok := l.lookup(from)
		if !ok {
			return
		}
		all = append(all, l.infos[:n]...)
	}
	slices.SortFunc(all, func(a, b Info) int {
		var order int
		if l.opt.Sort == BySize {
			order = cmp.Compare(b.Size, a.Size)
		} else {
			order = b.ModTime.Compare(a.ModTime)
		}
		order = cmp.Or(order, strings.Compare(a.Name, b.Name))
		if l.opt.Reverse {
			return -order
		}
		return order
	})
	for i := range all {
		if !l.one(yield, &all[i]) {
			return
		}
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
	if l.opt.Limit > 0 && l.yielded == l.opt.Limit {
		l.truncated = true
		return false
	}
	l.yielded++
	return yield(in)
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
	describe := func() error {
		for i := from; i < to; i++ {
			e := l.es.list[i]
			in := &l.infos[n]
			*in = Info{Mode: e.kind}
			in.Name, names = names[:e.size], names[e.size:]
			if l.describe(i, in) {
				n++
			}
		}
		return nil
	}
	var err error
	if l.opt.NamesOnly && l.opt.Sort != ByTime && l.opt.Sort != BySize && !l.opt.Follow && l.es.typed {
		err = describe() // nothing to ask the kernel
	} else {
		err = l.fs.do(describe)
	}
	if err != nil {
		l.err = fail("list", l.path, err)
	}
	return n, err == nil
}

// describe completes the Info of entry i; it reports whether to list it.
func (l *Listing) describe(i int, in *Info) bool {
	if !l.opt.NamesOnly || in.Mode == unknown || l.opt.Sort == ByTime || l.opt.Sort == BySize {
		if l.lister.stat(&l.es, i, in) != nil {
			return false
		}
	}
	if in.IsLink() && l.opt.Follow {
		target := Info{Name: in.Name}
		if l.fs.root.stat(join(l.path, in.Name), &target) == nil {
			*in = target
		}
	}
	if in.IsLink() && l.opt.Targets && !l.opt.NamesOnly {
		if text, err := l.lister.readlink(in.Name); err == nil {
			in.Target = l.fs.shown(l.path, text)
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
	if es.opt.Match != "" && !Match(es.opt.Match, name) {
		return
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
