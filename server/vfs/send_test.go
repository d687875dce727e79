package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portreeve/userdb"
)

// formatName is a line of a name and a size.
func formatName() Format {
	return func(b []byte, in *Info) []byte {
		return append(strconv.AppendInt(append(append(b, in.Name...), ' '), in.Size, 10), '\n')
	}
}

// TestSendIsEntries sends what Entries yields, in the same order, whether it is
// little or much.
func TestSendIsEntries(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		for i := range 2*sendRun + 100 {
			w.file(fmt.Sprint("/d/", i*7919%100_003), strings.Repeat("x", i%7))
		}
		w.dir("/few")
		w.file("/few/a", "1")
		w.link("a", "/few/b")
		w.dir("/empty")
		for _, path := range []string{"/d", "/few", "/empty", "/"} {
			for _, opt := range []ListOptions{
				{}, {Dots: true}, {Dots: true, NoParent: true}, {Sort: Unsorted}, {Sort: ByTime}, {Sort: BySize, Reverse: true},
				{Reverse: true}, {Match: "*7*"}, {NamesOnly: true}, {Follow: true, Targets: true},
				{Limit: 1}, {Limit: 2, Dots: true}, {Limit: 1, Dots: true}, {Limit: 700, Sort: Unsorted}, {Limit: 2*sendRun + 100},
			} {
				var want []byte
				n := 0
				one, err := w.fs.List(path, opt)
				w.must(err)
				for in := range one.Entries() {
					want = formatName()(want, in)
					n++
				}
				var got []byte
				two, err := w.fs.List(path, opt)
				w.must(err)
				lines, err := two.Send(formatName, func(text []byte) error {
					got = append(got, text...)
					return nil
				})
				if err != nil || lines != n || !bytes.Equal(got, want) || one.Truncated() != two.Truncated() {
					t.Errorf("%s, %+v: %d lines, truncated %t, %v; not %d, %t; the same: %t",
						path, opt, lines, two.Truncated(), err, n, one.Truncated(), bytes.Equal(got, want))
				}
			}
		}
	})
}

// TestSendEnds when it cannot go on, and leaves nobody behind.
func TestSendEnds(t *testing.T) {
	made := func(n int, opt ListOptions) *Listing {
		f := &FS{root: &madeUpRoot{lister: madeUpLister{n: n, name: func(i int) string { return fmt.Sprint(i) }}}, refs: 1}
		f.SetPerms(userdb.AllPerms)
		l, err := f.List("/", opt)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	broken := errors.New("broken")
	for _, n := range []int{10, 100_000} {
		for failAt := range 3 {
			calls := 0
			_, err := made(n, ListOptions{Sort: Unsorted}).Send(formatName, func([]byte) error {
				if calls++; calls > failAt {
					return broken
				}
				return nil
			})
			if n > 10 && !errors.Is(err, broken) {
				t.Errorf("%d entries, write fails after %d: %v", n, failAt, err)
			}
		}
		stops := 0
		l := made(n, ListOptions{Sort: Unsorted, Stop: func() bool { stops++; return stops > 3 }})
		if lines, err := l.Send(formatName, func([]byte) error { return nil }); err != nil || n > 10 && lines == n {
			t.Errorf("%d entries, told to stop: %d lines, %v", n, lines, err)
		}
		faulty := func() Format {
			return func(b []byte, in *Info) []byte {
				if strings.HasSuffix(in.Name, "9") {
					panic("fault of a format")
				}
				return b
			}
		}
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, "fault of a format") {
					t.Errorf("%d entries: recovered %v", n, p)
				}
			}()
			made(n, ListOptions{}).Send(faulty, func([]byte) error { return nil })
		}()
	}
}

// A faultyRoot is one whose directories are a fault of ours to read, in the middle.
type faultyRoot struct{ madeUpRoot }

type faultyLister struct {
	lister
	reads *int
}

func (r *faultyRoot) list(path string, in *Info) (lister, error) {
	l, err := r.madeUpRoot.list(path, in)
	return faultyLister{l, new(int)}, err
}

func (l faultyLister) read(es *entries) (bool, error) {
	if *l.reads++; *l.reads > 5 {
		panic("fault of a lister")
	}
	return l.lister.read(es)
}

func TestSendTellsOfFaults(t *testing.T) {
	f := &FS{refs: 1, root: &faultyRoot{madeUpRoot{
		lister: madeUpLister{n: 100_000, name: func(i int) string { return fmt.Sprint(i) }}}}}
	f.SetPerms(userdb.AllPerms)
	l, err := f.List("/", ListOptions{Sort: Unsorted})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "fault of a lister") {
			t.Errorf("recovered %v", p)
		}
	}()
	l.Send(formatName, func([]byte) error { return nil })
}

// TestSendSkipsWhatVanishes while it is being listed.
func TestSendSkipsWhatVanishes(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/d")
		for i := range 2*sendRun + 100 {
			w.file(fmt.Sprintf("/d/%06d", i), "")
		}
		l, err := w.fs.List("/d", ListOptions{})
		w.must(err)
		var got []string
		lines, err := l.Send(func() Format {
			return func(b []byte, in *Info) []byte { return append(append(b, in.Name...), '\n') }
		}, func(text []byte) error {
			got = append(got, strings.Fields(string(text))...)
			return os.RemoveAll(w.home + "/d")
		})
		if err != nil || lines != len(got) || lines < sendRun || !slices.IsSorted(got) {
			t.Errorf("%d lines, %d names, sorted %t, %v", lines, len(got), slices.IsSorted(got), err)
		}
	})
}
