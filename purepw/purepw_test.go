package purepw

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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
