package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portreeve/userdb"
)

func TestList(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		for i, name := range []string{"b", "a", "B", ".dot", " lead", "trail ", "-x", "é", "\xff\xfe", "a\nb", "\x1b[2J", "x\x7f", "10", "9"} {
			w.file("/d/"+name, strings.Repeat("x", i))
			at := time.Unix(1_000_000_000+int64(i*7%5), 0)
			w.must(os.Chtimes(w.home+"/d/"+name, at, at))
		}
		w.dir("/d/sub")
		w.must(os.Chtimes(w.home+"/d/sub", time.Unix(5, 0), time.Unix(5, 0)))
		w.link("a", "/d/link")
		w.must(os.Symlink("x", w.home+"/d/a\rb"))
		w.must(syscall.Mkfifo(w.home+"/d/fifo", 0o666))
		plain := []string{" lead", "-x", "10", "9", "B", "a", "b", "link", "sub", "trail ", "é", "\xff\xfe"}
		reversed := slices.Clone(plain)
		slices.Reverse(reversed)
		for _, tc := range []struct {
			name string
			opt  ListOptions
			want []string
		}{
			{"plain", ListOptions{}, plain},
			{"names only", ListOptions{NamesOnly: true}, plain},
			{"reverse", ListOptions{Reverse: true}, reversed},
			{"hidden", ListOptions{Hidden: true}, append([]string{" lead", "-x", ".dot"}, plain[2:]...)},
			{"dots", ListOptions{Dots: true}, append([]string{".", ".."}, plain...)},
			{"match", ListOptions{Match: "[ab]"}, []string{"a", "b"}},
			{"match and hide", ListOptions{Match: "*o*"}, nil},
			{"match hidden", ListOptions{Match: ".*"}, []string{".dot"}},
			{"no match", ListOptions{Match: "*zz"}, nil},
			{"size", ListOptions{Sort: BySize, Match: "[abB91]*"}, []string{"9", "10", "B", "a", "b"}},
			{"size, reverse", ListOptions{Sort: BySize, Reverse: true, Match: "[abB91]*"}, []string{"b", "a", "B", "10", "9"}},
			{"time", ListOptions{Sort: ByTime, Match: "[abB91]*"}, []string{"10", "B", "a", "9", "b"}},
			{"time of names", ListOptions{Sort: ByTime, NamesOnly: true, Match: "[abB91]*"}, []string{"10", "B", "a", "9", "b"}},
			{"limit", ListOptions{Limit: 3}, plain[:3]},
			{"follow", ListOptions{Follow: true}, plain},
			{"follow names", ListOptions{Follow: true, NamesOnly: true}, plain},
		} {
			if got := w.names("/d", tc.opt); !slices.Equal(got, tc.want) {
				t.Errorf("%s: listed %q, want %q", tc.name, got, tc.want)
			}
		}
		unsorted := w.names("/d", ListOptions{Sort: Unsorted})
		slices.Sort(unsorted)
		if !slices.Equal(unsorted, plain) {
			t.Errorf("unsorted: %q", unsorted)
		}
		if got := w.names("/d/sub", ListOptions{}); got != nil {
			t.Errorf("an empty directory holds %q", got)
		}
	})
}

// TestListDescribes as Lstat does, or Stat if links are to be followed.
func TestListDescribes(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/sub")
		w.file("/d/f", "12345")
		w.must(os.Link(w.home+"/d/f", w.home+"/d/g"))
		w.link("f", "/d/link")
		w.link("/d/sub", "/d/abs")
		w.link("nowhere", "/d/dangling")
		w.link(w.outside, "/d/out")
		w.link("a\nb", "/d/odd")
		w.must(syscall.Mkfifo(w.home+"/d/fifo", 0o666))
		w.link("fifo", "/d/tofifo")
		targets := map[string]string{"link": "f", "abs": "/d/sub", "dangling": "nowhere", "out": "?", "odd": "?", "tofifo": "fifo"}
		for _, opt := range []ListOptions{{}, {Sort: ByTime}, {Sort: Unsorted}, {Follow: true}, {Targets: true}, {Targets: true, Follow: true}} {
			l, err := w.fs.List("/d", opt)
			w.must(err)
			seen := 0
			for e := range l.Entries() {
				seen++
				want, err := w.fs.Lstat("/d/" + e.Name)
				w.must(err)
				if real, err := w.fs.Stat("/d/" + e.Name); opt.Follow && err == nil {
					want = real
				}
				if opt.Targets && want.IsLink() {
					want.Target = targets[e.Name]
				}
				if *e != want {
					t.Errorf("%+v: %+v, want %+v", opt, *e, want)
				}
			}
			want := 9
			if opt.Follow {
				want-- // a link to a FIFO is one
			}
			if seen != want || l.Err() != nil || l.Truncated() {
				t.Errorf("%+v: %d entries, %v, %t", opt, seen, l.Err(), l.Truncated())
			}
		}
		l, err := w.fs.List("/d/abs", ListOptions{Dots: true})
		w.must(err)
		dir, err := w.fs.Stat("/d/sub")
		w.must(err)
		top, err := w.fs.Stat("/d")
		w.must(err)
		dir.Name, top.Name = ".", ".."
		var dots []Info
		for e := range l.Entries() {
			dots = append(dots, *e)
		}
		if l.Dir != dir || !slices.Equal(dots, []Info{dir, top}) {
			t.Errorf("the dots are %+v, want %+v and %+v", dots, dir, top)
		}
	})
}

func TestListLimits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for i := range 10 {
			w.file(fmt.Sprint("/", i), "")
		}
		for limit, truncated := range map[int]bool{0: false, 1: true, 9: true, 10: false, 11: false} {
			for _, order := range []Order{ByName, BySize, Unsorted} {
				l, err := w.fs.List("/", ListOptions{Limit: limit, Sort: order, Dots: true})
				w.must(err)
				n := -2 // the dots
				for range l.Entries() {
					n++
				}
				want := limit
				if !truncated {
					want = 10
				}
				if n != want || l.Truncated() != truncated || l.Err() != nil {
					t.Errorf("limit %d: %d entries, truncated %t, %v", limit, n, l.Truncated(), l.Err())
				}
			}
		}
	})
}

// TestListEnds: a listing yields once, ends where it is told, and copes with a
// directory that goes away.
func TestListEnds(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		for i := range 600 {
			w.file(fmt.Sprint("/d/", i), "")
		}
		for _, opt := range []ListOptions{{}, {Dots: true}, {Sort: ByTime}, {Sort: Unsorted}} {
			l, err := w.fs.List("/d", opt)
			w.must(err)
			for range l.Entries() {
				break
			}
			for range l.Entries() {
				t.Fatal("yielded after the end")
			}
			w.must(l.Close())
		}

		l, err := w.fs.List("/d", ListOptions{})
		w.must(err)
		n := 0
		for range l.Entries() {
			if n++; n == 1 {
				w.must(os.RemoveAll(w.home + "/d"))
			}
		}
		if n == 0 || n > 300 || l.Err() != nil {
			t.Errorf("%d entries of a directory that went away, %v", n, l.Err())
		}
	})
}

// TestListUnsearchable: names can be read, but nothing be known of them.
func TestListUnsearchable(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		if w.as == nil && os.Getuid() == 0 {
			return // root searches everything
		}
		w.dir("/d")
		w.file("/d/f", "")
		w.must(os.Chmod(w.home+"/d", 0o400))
		defer os.Chmod(w.home+"/d", 0o700)
		l, err := w.fs.List("/d", ListOptions{})
		if errors.Is(err, fs.ErrPermission) {
			return // os.Root does not get that far
		}
		w.must(errors.Join(err, l.Close()))
		if got := w.names("/d", ListOptions{}); got != nil {
			t.Errorf("listed %q", got)
		}
		if got := w.names("/d", ListOptions{NamesOnly: true}); !slices.Equal(got, []string{"f"}) {
			t.Errorf("listed %q", got)
		}
		w.fs.root = untypedRoot{w.fs.root}
		if got := w.names("/d", ListOptions{NamesOnly: true}); got != nil {
			t.Errorf("the process looked for the user, and listed %q", got)
		}
	})
}

// A countingRoot counts what a listing asks the kernel.
type countingRoot struct {
	root
	stats atomic.Int64
	reads int
}

type countingLister struct {
	lister
	r *countingRoot
}

func (r *countingRoot) list(path string, in *Info) (lister, error) {
	l, err := r.root.list(path, in)
	return countingLister{l, r}, err
}

func (l countingLister) stat(es *entries, i int, in *Info) error {
	l.r.stats.Add(1)
	return l.lister.stat(es, i, in)
}

func (l countingLister) read(es *entries) (bool, error) {
	l.r.reads++
	return l.lister.read(es)
}

// manyFiles makes a home with a directory /d of n empty files.
func manyFiles(t testing.TB, n int) (home string) {
	t.Helper()
	home = publicDir(t)
	if err := os.Mkdir(home+"/d", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		fd, err := syscall.Open(fmt.Sprintf("%s/d/file-%06d.dat", home, i*7919%n), syscall.O_CREAT|syscall.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		syscall.Close(fd)
	}
	return home
}

// TestListMany: 100,000 entries, with one stat each and memory that does not
// grow with them.
func TestListMany(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	home := manyFiles(t, n)
	f, err := Open(home, Options{Caged: true, Perms: userdb.AllPerms})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	count := &countingRoot{root: f.root}
	f.root = count

	for _, tc := range []struct {
		name  string
		opt   ListOptions
		n     int
		stats int64
		heap  uint64 // bytes alive at most, above what was before
		send  bool
	}{
		{"as it comes", ListOptions{Sort: Unsorted}, n, int64(n), 1 << 20, false},
		{"by name", ListOptions{}, n, int64(n), 5 << 20, false},
		{"by time", ListOptions{Sort: ByTime}, n, 2 * int64(n), 8 << 20, false},
		{"names", ListOptions{NamesOnly: true, Sort: Unsorted}, n, 0, 1 << 20, false},
		{"a tenth", ListOptions{Match: "*5.dat"}, n / 10, int64(n) / 10, 3 << 20, false},
		{"limited", ListOptions{Limit: n / 10}, n / 10, int64(n)/10 + batch, 5 << 20, false},
		{"as it comes, sent", ListOptions{Sort: Unsorted}, n, int64(n), 2 << 20, true},
		{"by name, sent", ListOptions{}, n, int64(n), 5 << 20, true},
		{"by time, sent", ListOptions{Sort: ByTime}, n, 2 * int64(n), 8 << 20, true},
		{"limited, sent", ListOptions{Limit: n / 10}, n / 10, int64(n)/10 + 2*pending*sendRun, 5 << 20, true},
	} {
		count.stats.Store(0)
		runtime.GC()
		var before, after, now runtime.MemStats
		runtime.ReadMemStats(&before)
		l, err := f.List("/d", tc.opt)
		if err != nil {
			t.Fatal(err)
		}
		seen, looked, peak := 0, -1, uint64(0)
		look := func(more int) {
			if seen += more; seen/20_000 > looked {
				looked = seen / 20_000
				runtime.GC()
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
		if tc.send {
			_, err := l.Send(formatName, func(text []byte) error {
				look(bytes.Count(text, []byte{'\n'}))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		} else {
			for range l.Entries() {
				look(1)
			}
		}
		runtime.ReadMemStats(&after)
		allocs := float64(after.Mallocs-before.Mallocs) / float64(seen)
		bytes := float64(after.TotalAlloc-before.TotalAlloc) / float64(seen)
		heap := peak - min(peak, before.HeapAlloc)
		t.Logf("%s: %d entries, %d stats, %.4f allocations and %.0f bytes an entry, %d KiB at most", tc.name, seen, count.stats.Load(), allocs, bytes, heap>>10)
		if seen != tc.n || count.stats.Load() > tc.stats || l.Err() != nil {
			t.Errorf("%s: %d entries and %d stats, want %d and %d; %v", tc.name, seen, count.stats.Load(), tc.n, tc.stats, l.Err())
		}
		// Not one for each entry; but what is pooled may be gone at any time, and then
		// each run makes its own.
		if allocs > 0.15+200/float64(seen) || heap > tc.heap {
			t.Errorf("%s: %.3f allocations an entry, %d bytes alive", tc.name, allocs, heap)
		}
	}
}

// A madeUpLister has n entries that no disk has to hold.
type madeUpLister struct {
	lister
	n    int
	name func(i int) string
	next int
}

func (l *madeUpLister) read(es *entries) (bool, error) {
	for range min(1000, l.n-l.next) {
		es.add(l.name(l.next), 0)
		l.next++
	}
	return l.next < l.n, nil
}

func (l *madeUpLister) stat(_ *entries, _ int, in *Info) error { return nil }
func (l *madeUpLister) close() error                           { return nil }

type madeUpRoot struct {
	root
	lister madeUpLister
}

func (r *madeUpRoot) list(path string, in *Info) (lister, error) {
	l := r.lister
	return &l, nil
}

// An untypedLister is on a file system whose directories hold names alone.
type untypedLister struct {
	lister
}

func (l untypedLister) read(es *entries) (bool, error) {
	all := entries{opt: es.opt}
	more, err := l.lister.read(&all)
	for _, e := range all.list {
		es.add(string(all.bytes(e)), unknown)
	}
	return more, err
}

type untypedRoot struct{ root }

func (r untypedRoot) list(path string, in *Info) (lister, error) {
	l, err := r.root.list(path, in)
	return untypedLister{l}, err
}

func TestListWithoutTypes(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		w.dir("/d/sub")
		w.file("/d/f", "x")
		w.link("f", "/d/link")
		w.must(syscall.Mkfifo(w.home+"/d/fifo", 0o666))
		want := map[string]fs.FileMode{"sub": fs.ModeDir, "f": 0, "link": fs.ModeSymlink}
		for _, untyped := range []bool{false, true} {
			if untyped {
				w.fs.root = untypedRoot{w.fs.root}
			}
			for _, names := range []bool{false, true} {
				l, err := w.fs.List("/d", ListOptions{NamesOnly: names})
				w.must(err)
				got := map[string]fs.FileMode{}
				for e := range l.Entries() {
					got[e.Name] = e.Mode.Type()
				}
				if !maps.Equal(got, want) {
					t.Errorf("untyped %t, names only %t: listed %v", untyped, names, got)
				}
			}
		}
	})
}

// TestListSortsUpToABound: and beyond it loses nothing.
func TestListSortsUpToABound(t *testing.T) {
	short := func(i int) string { return fmt.Sprintf("%07d", i*7919%1_000_003) }
	long := func(i int) string { return short(i) + strings.Repeat("x", 240) }
	reverse := ListOptions{Reverse: true}
	for _, tc := range []struct {
		n      int
		name   func(int) string
		opt    ListOptions
		sorted bool
	}{
		{maxSorted, short, ListOptions{}, true},
		{maxSorted + 1, short, ListOptions{}, false},
		{maxSortedText / 248, long, ListOptions{}, true},
		{maxSortedText/248 + 1001, long, ListOptions{}, false},
		{1_000_000, short, ListOptions{}, false},
		{maxAsked, short, reverse, true},
		{maxAsked + 1, short, reverse, false},
		{maxAskedText/248 + 1001, long, reverse, false},
		{maxAsked, short, ListOptions{Sort: BySize}, true},
	} {
		f := &FS{root: &madeUpRoot{lister: madeUpLister{n: tc.n, name: tc.name}}, refs: 1}
		f.SetPerms(userdb.AllPerms)
		l, err := f.List("/", tc.opt)
		if err != nil {
			t.Fatal(err)
		}
		n, sum, last, sorted := 0, 0, "", true
		for e := range l.Entries() {
			i, err := strconv.Atoi(e.Name[:7])
			if err != nil {
				t.Fatal(err)
			}
			n, sum = n+1, sum^i
			sorted = sorted && (n == 1 || last < e.Name != tc.opt.Reverse)
			last = e.Name
			if cap(l.es.names) > 3*maxAskedText || cap(l.es.list) > 2*maxAsked ||
				!tc.opt.Reverse && tc.opt.Sort == ByName && (cap(l.es.names) > 3*maxSortedText || cap(l.es.list) > 2*maxSorted) {
				t.Fatalf("holds %d bytes and %d entries", cap(l.es.names), cap(l.es.list))
			}
		}
		want := 0
		for i := range tc.n {
			want ^= i * 7919 % 1_000_003
		}
		if n != tc.n || sum != want || sorted != tc.sorted || l.Unsorted() == tc.sorted {
			t.Errorf("%d entries, %+v: yielded %d, all %t, sorted %t, said not to be %t", tc.n, tc.opt, n, sum == want, sorted, l.Unsorted())
		}
	}
}
