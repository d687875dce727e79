package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// hostile are names that something on the way could take for something else.
var hostile = []string{
	"/a b", "/a\nb", "/a\r\n2 complete \"x\"", `/"quoted"`, `/'`, "/$(touch x)`id`", "/-rf", "/\x01\x02\x7f", "/\xff\xfe", "/ünï", `/\n`, "/ ", "/" + strings.Repeat("x", 5000),
}

func open(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func read(t testing.TB, dir string) *Reader {
	t.Helper()
	r, err := Read(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// next returns the record that is there.
func (r *Reader) next(t testing.TB) *Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rec, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// none fails if there is a record.
func (r *Reader) none(t testing.TB) {
	t.Helper()
	if u, found, err := r.line(); found || err != nil {
		t.Fatalf("there is %+v, %v", u, err)
	}
}

func (r *Reader) finish(t testing.TB, rec *Record) {
	t.Helper()
	if err := r.Done(rec); err != nil {
		t.Fatal(err)
	}
}

func upload(path string) Upload {
	return Upload{Time: time.Unix(1, 2), User: "al ice\"", Path: path, Status: Complete}
}

// What is added comes out as it was, whichever end is there first, and what is
// done is not told again.
func TestSpool(t *testing.T) {
	for _, first := range []string{"writer", "reader"} {
		dir := filepath.Join(t.TempDir(), "a", "spool")
		var r *Reader
		if first == "reader" {
			r = read(t, dir)
			r.none(t)
		}
		j := open(t, dir)
		for _, name := range hostile {
			j.Add(upload(name))
		}
		if r == nil {
			r = read(t, dir)
		}
		if st := j.State(); st != (State{Waiting: int64(len(hostile)), Noted: int64(len(hostile)), Read: true}) {
			t.Errorf("%+v", st)
		}
		for i, name := range hostile {
			rec := r.next(t)
			if rec.Upload != upload(name) {
				t.Errorf("got %+v, not %+v", rec.Upload, upload(name))
			}
			if i < 5 {
				r.finish(t, rec)
			}
		}
		r.none(t)
		r.Close()
		if st := j.State(); st != (State{Waiting: int64(len(hostile) - 5), Noted: int64(len(hostile))}) {
			t.Errorf("%+v", st)
		}
		r = read(t, dir)
		if rec := r.next(t); rec.Path != hostile[5] {
			t.Errorf("after five that are done, %q", rec.Path)
		}
	}
}

// What is done after something that is not is told again; that is not lost.
func TestOutOfOrder(t *testing.T) {
	dir := t.TempDir()
	j, r := open(t, private700(t, dir)), read(t, dir)
	for i := range 4 {
		j.Add(upload(fmt.Sprint(i)))
	}
	var recs []*Record
	for range 4 {
		recs = append(recs, r.next(t))
	}
	for _, i := range []int{0, 2, 3} {
		r.finish(t, recs[i])
	}
	r.Close()
	r = read(t, dir)
	if rec := r.next(t); rec.Path != "1" {
		t.Errorf("after 0, 2 and 3 are done there is %s", rec.Path)
	}
}

func private700(t testing.TB, dir string) string {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Segments follow each other, also over restarts of both ends, and those of which
// all is done go.
func TestSegments(t *testing.T) {
	dir := private700(t, t.TempDir())
	long := strings.Repeat("x", 100<<10)
	const each, rounds = 25, 3 // more than two segments a round
	for round := range rounds {
		j := open(t, dir)
		for i := range each {
			j.Add(upload(fmt.Sprintf("%d %d %s", round, i, long)))
		}
		j.Close()
		r := read(t, dir)
		for i := range each {
			rec := r.next(t)
			if want := fmt.Sprintf("%d %d ", round, i); !strings.HasPrefix(rec.Path, want) {
				t.Fatalf("got %.9s, not %s", rec.Path, want)
			}
			r.finish(t, rec)
		}
		r.none(t)
		r.Close()
		if numbers, _, err := segments(dir); err != nil || len(numbers) != 1 {
			t.Errorf("all is done, and there are segments %d, %v", numbers, err)
		}
	}
}

// A reader meets what a writer was killed at, a full disk or a faulty one left:
// what is whole is told, all of it and nothing else.
func TestDamage(t *testing.T) {
	whole := string(appendRecord(nil, upload("/whole")))
	second := string(appendRecord(nil, upload("/second")))
	for what, tt := range map[string]struct {
		text string
		want []string
	}{
		"torn tail":         {whole + second[:20], []string{"/whole"}},
		"torn, then whole":  {whole[:30] + "\n" + second, []string{"/second"}},
		"torn, not ended":   {whole[:30] + second, nil},
		"zeros at the end":  {whole + strings.Repeat("\x00", 512), []string{"/whole"}},
		"zeros between":     {strings.Repeat("\x00", 512) + "\n" + whole, []string{"/whole"}},
		"a flipped bit":     {strings.Replace(whole, "/whole", "/whale", 1) + second, []string{"/second"}},
		"another checksum":  {whole[:len(whole)-2] + "0\n" + second, []string{"/second"}},
		"empty lines":       {"\n\n" + whole + "\n", []string{"/whole"}},
		"nothing":           {"", nil},
		"what never was it": {"lorem ipsum\n" + second, []string{"/second"}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := private700(t, t.TempDir())
			writeFile(t, segmentPath(dir, 7), tt.text)
			j := open(t, dir) // a writer that comes after, and begins a segment
			j.Add(upload("/after"))
			r := read(t, dir)
			for _, want := range append(tt.want, "/after") {
				if rec := r.next(t); rec.Path != want {
					t.Errorf("got %q, not %q", rec.Path, want)
				}
			}
			r.none(t)
		})
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A damaged note of what is done tells more than need be, and never less.
func TestDamagedDone(t *testing.T) {
	for _, text := range []string{"", "x", "00000000000000000001", "99999999999999999999999 1\n", strings.Replace(string(position{1, 2}.note()), "1", "9", 1), strings.Repeat("\x00", 42)} {
		dir := private700(t, t.TempDir())
		j := open(t, dir)
		j.Add(upload("/a"))
		writeFile(t, filepath.Join(dir, doneName), text)
		if rec := read(t, dir).next(t); rec.Path != "/a" {
			t.Errorf("with %q done, %q", text, rec.Path)
		}
	}
	// It got to the disk, and what it is about did not: what comes then is read.
	dir := private700(t, t.TempDir())
	writeFile(t, filepath.Join(dir, doneName), string(position{5, 1000}.note()))
	writeFile(t, segmentPath(dir, 5), "")
	j, r := open(t, dir), read(t, dir)
	j.Add(upload("/b"))
	if rec := r.next(t); rec.Path != "/b" {
		t.Errorf("got %q", rec.Path)
	}
}

// A disk that was full in the middle of a record costs that record alone.
func TestTornWrite(t *testing.T) {
	dir := private700(t, t.TempDir())
	j, r := open(t, dir), read(t, dir)
	j.Add(upload("/a"))
	if _, err := j.file.WriteString(string(appendRecord(nil, upload("/lost")))[:15]); err != nil {
		t.Fatal(err)
	}
	j.torn = true
	j.Add(upload("/b"))
	j.Add(upload("/c"))
	for _, want := range []string{"/a", "/b", "/c"} {
		if rec := r.next(t); rec.Path != want {
			t.Errorf("got %q, not %q", rec.Path, want)
		}
	}
}

// Nobody reads: the spool grows to its limit, what is more is counted, and there
// is room again when somebody does.
func TestBounded(t *testing.T) {
	dir := private700(t, t.TempDir())
	var log bytes.Buffer
	j, err := Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.most = 3 << 20
	u := upload(strings.Repeat("x", 100<<10))
	const added = 100
	for range added {
		j.Add(u)
	}
	st := j.State()
	if st.Waiting+st.Lost != added || st.Lost == 0 || st.Waiting < 25 {
		t.Errorf("of %d, %+v", added, st)
	}
	if _, bytes, _ := segments(dir); bytes > j.most+segmentBytes+200<<10 {
		t.Errorf("it has %d bytes", bytes)
	}
	if said := log.String(); strings.Count(said, "will not be told") != 1 {
		t.Errorf("the log has %s", said)
	}
	r := read(t, dir)
	for range st.Waiting {
		r.finish(t, r.next(t))
	}
	j.looked = time.Time{} // a second later
	j.Add(u)
	r.finish(t, r.next(t))
	if now := j.State(); now.Lost != st.Lost || now.Waiting != 0 {
		t.Errorf("after all was read, %+v", now)
	}
}

// Who empties the folder under a writer loses what was in it, and not what comes.
func TestEmptied(t *testing.T) {
	dir := private700(t, t.TempDir())
	j := open(t, dir)
	j.Add(upload("/a"))
	if err := os.Remove(segmentPath(dir, 1)); err != nil {
		t.Fatal(err)
	}
	j.looked = time.Time{} // a second later
	j.Add(upload("/b"))
	if rec := read(t, dir).next(t); rec.Path != "/b" {
		t.Errorf("got %q", rec.Path)
	}
}

// A session that is cut off late may note its upload when the next server is there.
func TestLate(t *testing.T) {
	dir := private700(t, t.TempDir())
	old := open(t, dir)
	old.Close()
	j := open(t, dir)
	old.Add(upload("/late"))
	j.Add(upload("/b"))
	old.Close()
	r := read(t, dir)
	for _, want := range []string{"/late", "/b"} {
		if rec := r.next(t); rec.Path != want {
			t.Errorf("got %q, not %q", rec.Path, want)
		}
	}
}

// Two readers would tell everything twice, and two writers would mix.
func TestOneOfEach(t *testing.T) {
	dir := private700(t, t.TempDir())
	j, r := open(t, dir), read(t, dir)
	if _, err := Read(dir, quiet); !errors.Is(err, ErrBusy) {
		t.Errorf("a second reader: %v", err)
	}
	if _, err := Open(dir, quiet); !errors.Is(err, ErrBusy) {
		t.Errorf("a second writer: %v", err)
	}
	j.Close()
	r.Close()
	open(t, dir)
	read(t, dir)
}

// Looking at a spool never keeps anybody from reading it.
func TestLookedAt(t *testing.T) {
	dir := private700(t, t.TempDir())
	j := open(t, dir)
	end := make(chan struct{})
	var lookers sync.WaitGroup
	defer lookers.Wait()
	defer close(end)
	lookers.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				j.State()
			}
		}
	})
	for range 50 {
		read(t, dir).Close()
	}
}

// A folder that others could put records into is refused.
func TestPrivate(t *testing.T) {
	for _, mode := range []os.FileMode{0o777, 0o750, 0o702} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, quiet); err == nil {
			t.Errorf("mode %o is taken", mode)
		}
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(private700(t, t.TempDir()), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(link, quiet); err == nil {
		t.Error("a link is followed")
	}
	writeFile(t, filepath.Join(dir, "file"), "")
	if _, err := Read(filepath.Join(dir, "file"), quiet); err == nil {
		t.Error("a file is taken")
	}
}

// Sixteen write while one reads: all of it comes, once, and in each writer's order.
func TestTogether(t *testing.T) {
	const writers, each = 16, 500
	dir := private700(t, t.TempDir())
	j, r := open(t, dir), read(t, dir)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				j.Add(upload(fmt.Sprintf("%d %d", w, i)))
			}
		})
	}
	next := make([]int, writers)
	for range writers * each {
		rec := r.next(t)
		var w, i int
		if _, err := fmt.Sscan(rec.Path, &w, &i); err != nil || next[w] != i {
			t.Fatalf("got %q, and not number %d", rec.Path, next[w])
		}
		next[w]++
		r.finish(t, rec)
	}
	all.Wait()
	r.none(t)
	if st := j.State(); st.Lost != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// FuzzParseRecord: what is taken for a record is one, and what is one is taken.
func FuzzParseRecord(f *testing.F) {
	for _, name := range hostile {
		line := string(appendRecord(nil, upload(name)))
		f.Add(line[:len(line)-1], name)
	}
	f.Add("", "")
	f.Add("1 complete \"\" \"\" 00000000", "\x00")
	f.Fuzz(func(t *testing.T, line, name string) {
		if u, ok := parseRecord(line); ok {
			again, same := parseRecord(strings.TrimSuffix(string(appendRecord(nil, u)), "\n"))
			if !same || again != u {
				t.Errorf("%q is %+v and then %+v", line, u, again)
			}
		}
		text := appendRecord(nil, upload(name))
		if bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%q is more than a line: %q", name, text)
		}
		u, ok := parseRecord(string(text[:len(text)-1]))
		if strings.Contains(name, "\x00") {
			if ok {
				t.Errorf("%q is a path", name)
			}
		} else if !ok || u != upload(name) {
			t.Errorf("%q became %+v, %v", name, u, ok)
		}
	})
}

// FuzzSegment: whatever a segment has, reading it ends, and what comes after is
// read.
func FuzzSegment(f *testing.F) {
	f.Add(appendRecord(nil, upload("/a")), int64(0))
	f.Add([]byte("\n\x00\n"), int64(1))
	f.Fuzz(func(t *testing.T, text []byte, from int64) {
		dir := private700(t, t.TempDir())
		writeFile(t, segmentPath(dir, 1), string(text))
		writeFile(t, filepath.Join(dir, doneName), string(position{1, max(0, from)}.note()))
		j := open(t, dir)
		defer j.Close()
		j.Add(upload("/the last"))
		r := read(t, dir)
		defer r.Close()
		var paths []string
		for {
			u, found, err := r.line()
			if err != nil {
				t.Fatal(err)
			}
			if !found {
				break
			}
			paths = append(paths, u.Path)
		}
		if len(paths) == 0 || slices.Index(paths, "/the last") < 0 {
			t.Errorf("read %q", paths)
		}
	})
}

// BenchmarkAdd is what an upload costs its session.
func BenchmarkAdd(b *testing.B) {
	j := open(b, private700(b, b.TempDir()))
	j.most = 1 << 40
	u := upload("/home/users/alice/some/folder/picture-0001.jpg")
	for b.Loop() {
		j.Add(u)
	}
}
