package purepw

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestEditsTogether has many edit one text at once: none is lost.
func TestEditsTogether(t *testing.T) {
	f := At(filepath.Join(t.TempDir(), "p"))
	const users, rounds = 8, 10
	var group sync.WaitGroup
	for n := range users {
		group.Go(func() {
			login := "user" + strconv.Itoa(n)
			for i := range rounds {
				err := f.Edit(login, true, func(there bool, was *Entry) (*Entry, error) {
					if there != (i > 0) {
						t.Errorf("%s: round %d finds %v", login, i, was)
					}
					e := New(login)
					if was != nil {
						e = *was
					}
					e.Password, e.UID, e.GID, e.Home = "x", "1", "1", "/h"
					e.Files = strconv.Itoa(i)
					return &e, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	n := 0
	for line, err := range f.Lines() {
		if e, ok := Parse(line); err != nil || !ok || e.Files != strconv.Itoa(rounds-1) {
			t.Errorf("%q, %v", line, err)
		}
		n++
	}
	if n != users {
		t.Errorf("%d users", n)
	}
}

// TestFailedEditLeavesNothing has an edit fail before and in a new file.
func TestFailedEditLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f := At(filepath.Join(dir, "p"))
	refuse := errors.New("no")
	for range 2 {
		if err := f.Edit("a", true, func(bool, *Entry) (*Entry, error) { return nil, refuse }); !errors.Is(err, refuse) {
			t.Error(err)
		}
	}
	long := New("a")
	long.Gecos = strings.Repeat("x", maxLine)
	if err := f.Edit("a", true, func(bool, *Entry) (*Entry, error) { return &long, nil }); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if err := f.Edit("a", false, nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestFullDisk has an edit fail while it writes: the text stays as it was.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	f := At(filepath.Join(dir, "p"))
	text := strings.Repeat("joe:$1$x$y:1:1::/h\n", 10_000)
	if err := os.WriteFile(f.Path(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// A limit of the process does what a full disk does. It is everybody's, so that
	// this test is not for running beside others.
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 64 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		t.Fatal(err)
	}
	err := f.Edit("ann", true, func(bool, *Entry) (*Entry, error) { e := New("ann"); return &e, nil })
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("writing more than may be: %v", err)
	}
	if got, err := os.ReadFile(f.Path()); err != nil || string(got) != text {
		t.Errorf("the text has %d bytes of %d, %v", len(got), len(text), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// FuzzParse has each line come back as it was.
func FuzzParse(f *testing.F) {
	f.Add("joe:$7$x:1:2:g:/h/./:1:2:3:4:5:6:7:a:b:c:d:900-1800")
	f.Add("joe:x:1:2::/h")
	f.Add("a:b:c:d:e:f:g:h:i:j:k:l:m:n:o:p:q:r:s:t")
	f.Fuzz(func(t *testing.T, line string) {
		e, _ := Parse(line)
		want := line
		if missing := 17 - strings.Count(line, ":"); missing > 0 {
			want += strings.Repeat(":", missing)
		}
		if got := e.Line(); got != want {
			t.Errorf("%q becomes %q", line, got)
		}
	})
}
