package stats

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// What the rule of sweeps asks for where it looks at directories.
const (
	folderLeast = 50 // files under one, of which more than half are no small thing
	halfLeast   = folderLeast/2 + 1

	folderDepth   = 16 // of those that are looked at
	folderLength  = 4096
	maxSwept      = 1 << 14
	maxSweptBytes = 8 << 20 // of their names
)

// sweeps know how many files of a directory a user downloaded within ten minutes, at
// most. How many files there are is known in the end only. A user's ten minutes are
// those of the clock, and are looked at once, when they are over: who takes a whole
// directory takes more than half of it in one of two.
type sweeps struct {
	files   *table // whose names they are
	most    map[swept]extreme
	bytes   int // of the names of directories in most
	folders folders
}

type swept struct {
	user   uint32
	folder string
}

// slotOf numbers the ten minutes that a time is in.
func slotOf(at int64) int64 { return floorDiv(at, tenMinutes) }

// judge looks at the last ten minutes of a user in which there is something. To do
// that twice changes nothing.
func (w *watcher) judge(user uint32, u *watched) {
	loads := u.loads[u.gone:]
	if len(loads) < halfLeast || w.sweeps.files == nil {
		return
	}
	slot := slotOf(loads[len(loads)-1].at)
	first, _ := slices.BinarySearchFunc(loads, slot*tenMinutes, func(l load, at int64) int { return cmp.Compare(l.at, at) })
	s := &w.sweeps
	if loads = loads[first:]; len(loads) < halfLeast || !s.folders.count(loads, s.files) {
		return
	}
	for _, n := range s.folders.touched {
		if all := s.folders.list[n].all; all >= halfLeast && n != noFolder && !s.note(swept{user, s.folders.name(n)}, extreme{int64(all), slot * tenMinutes}) {
			w.lost++
		}
	}
}

// folders are the directories of files that were counted lately. All of it can be
// made again from the names of the files.
type folders struct {
	names
	list    []folder // by number
	files   []filed  // by number of the file
	turn    uint32   // of counting
	touched []uint32 // in this turn
}

// A folder has what it counted in a turn.
type folder struct {
	parent   uint32 // dropped: there is none
	turn     uint32
	own, all int32 // files in it, and under it
}

// A filed is a file with the number of its folder plus one; 0 is not looked up yet.
type filed struct{ folder, turn uint32 }

// noFolder is the number of what is above all folders.
const noFolder = 0

// How many folders are known, about.
const (
	maxFolders     = 1 << 16
	maxFoldersText = 8 << 20
)

// count counts the different files of loads by the folders that they are under, and
// tells whether these are some, and not so many that it is a sweep anyway.
func (f *folders) count(loads []load, names *table) bool {
	if f.turn++; f.turn == 0 || len(f.list) == 0 || len(f.list) > maxFolders || len(f.text) > maxFoldersText {
		*f = folders{names: newNames(), list: f.list[:0], turn: 1, touched: f.touched}
	}
	if more := len(names.cells) - len(f.files); more > 0 {
		f.files = append(f.files, make([]filed, more)...)
	}
	f.touched = f.touched[:0]
	different := 0
	for _, l := range loads {
		if l.file >= uint32(len(names.cells)) { // it was folded
			continue
		}
		one := &f.files[l.file]
		if one.turn == f.turn {
			continue
		}
		one.turn = f.turn
		if different++; different > sweepMost {
			return false
		}
		if one.folder == 0 {
			one.folder = f.enter(names.name(l.file)) + 1
		}
		f.touch(one.folder-1).own++
	}
	for _, n := range f.touched {
		for own, at := f.list[n].own, n; at != dropped; at = f.list[at].parent {
			f.touch(at).all += own
		}
	}
	return different >= halfLeast
}

// touch returns a folder that counts in this turn.
func (f *folders) touch(n uint32) *folder {
	one := &f.list[n]
	if one.turn != f.turn {
		one.turn, one.own, one.all = f.turn, 0, 0
		f.touched = append(f.touched, n)
	}
	return one
}

// enter returns the number of the folder that a file is in, or of the deepest that is
// looked at.
func (f *folders) enter(name string) uint32 {
	at := f.folder("", dropped) // noFolder
	for end := range foldersOf(name) {
		at = f.folder(name[:end], at)
	}
	return at
}

func (f *folders) folder(name string, parent uint32) uint32 {
	n := f.number(name)
	if int(n) == len(f.list) {
		f.list = append(f.list, folder{parent: parent})
	}
	return n
}

// foldersOf are the ends of the names of the directories that a file is under.
func foldersOf(name string) iter.Seq[int] {
	return func(yield func(int) bool) {
		depth := 0
		for i := 0; i < len(name) && i < folderLength && depth < folderDepth; i++ {
			if name[i] != '/' || i > 0 && name[i-1] == '/' {
				continue
			}
			if depth++; !yield(max(i, 1)) {
				return
			}
		}
	}
}

// note keeps the most, of what is as much the first, if there is room.
func (s *sweeps) note(key swept, e extreme) bool {
	old, known := s.most[key]
	switch {
	case known && (e.n < old.n || e.n == old.n && e.at >= old.at):
		return true
	case !known && (len(s.most) >= maxSwept || s.bytes+len(key.folder) > maxSweptBytes):
		return false
	case !known:
		if s.most == nil {
			s.most = make(map[swept]extreme)
		}
		key.folder = strings.Clone(key.folder)
		s.bytes += len(key.folder)
	}
	s.most[key] = e
	return true
}

// judgeAll looks at what nobody has yet.
func (w *watcher) judgeAll() {
	for i := range w.users {
		w.judge(uint32(i), &w.users[i])
	}
}

// mergeSweeps adds what a watcher saw afterwards.
func (w *watcher) mergeSweeps(later *watcher) {
	for key, e := range later.sweeps.most {
		if !w.sweeps.note(key, e) {
			w.lost++
		}
	}
}

// renumber changes the numbers of users and files.
func (s *sweeps) renumber(r renumbering) {
	if r.files != nil {
		s.folders = folders{}
	}
	if r.users == nil {
		return
	}
	s.most = moved(s.most, func(k swept) (swept, bool) {
		k.user = of(r.users, k.user)
		return k, k.user != dropped
	})
	s.bytes = 0
	for key := range s.most {
		s.bytes += len(key.folder)
	}
}

func (s *sweeps) write(e *encoder) {
	keys := sortedKeys(s.most, func(a, b swept) int { return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.folder, b.folder)) })
	e.uvarint(uint64(len(keys)))
	for _, key := range keys {
		e.varint(int64(key.user))
		e.text([]byte(key.folder))
		e.varint(s.most[key].n)
		e.varint(s.most[key].at)
	}
}

func (s *sweeps) load(d *decoder) {
	for range d.length(4) {
		if !s.note(swept{d.number(), d.text()}, extreme{d.varint(), d.varint()}) {
			d.fail()
			return
		}
	}
}

// half finds who downloaded more than half of a directory. Where files were folded
// nobody knows how many there are, and it says nothing.
func (f *finder) half() {
	c := f.c
	most := c.watch.sweeps.most
	if len(most) == 0 || c.files.folded > 0 {
		return
	}
	totals := make(map[string]int64)
	for key := range most {
		totals[key.folder] = 0
	}
	c.files.each(new(table), func(name string, _ *cell) {
		for end := range foldersOf(name) {
			if n, ok := totals[name[:end]]; ok {
				totals[name[:end]] = n + 1
			}
		}
	})
	best := make(map[uint32]swept)
	better := func(a, b swept) bool {
		return cmp.Or(cmp.Compare(most[b].n, most[a].n), cmp.Compare(totals[a.folder], totals[b.folder]), cmp.Compare(b.folder, a.folder)) < 0
	}
	for key, e := range most {
		_, told := c.watch.best[ruleUser{ruleSweep, key.user}]
		if total := totals[key.folder]; told || total < folderLeast || 2*e.n <= total || int(key.user) >= len(c.users.cells) {
			continue
		}
		if other, ok := best[key.user]; !ok || better(key, other) {
			best[key.user] = key
		}
	}
	for user, key := range best {
		name, e := c.users.name(user), most[key]
		f.note(ruleSweep, found{name, e.at, false, float64(e.n), func() string {
			return fmt.Sprintf("%s downloaded %d of the %d files under %s in the ten minutes from %s on",
				name, e.n, totals[key.folder], key.folder, c.stamp(e.at).Format(time.DateTime))
		}})
	}
}
