package vfs

import (
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestOnlyNewFillsWhatIsEmpty: who may store what is new may give an empty file its
// content, once, and nothing else changes that is there.
func TestOnlyNewFillsWhatIsEmpty(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		eachWorld(t, func(t *testing.T, w *world) {
			w.opts.OnlyNew, w.opts.NoTruncate = true, hidden
			w.open()
			for _, name := range []string{"/empty", "/held", "/other", "/appended"} {
				w.file(name, "")
			}
			w.file("/full", "full")
			w.link("empty", "/link")

			wantErr(t, "store over content", w.store("/full", "x", How{}), fs.ErrExist)
			wantErr(t, "append to content", w.store("/full", "x", How{Append: true}), fs.ErrExist)
			wantErr(t, "fill", w.store("/empty", "mine", How{}), nil)
			wantErr(t, "fill again", w.store("/empty", "x", How{}), fs.ErrExist)
			wantErr(t, "fill through a link", w.store("/link", "x", How{}), fs.ErrExist)
			wantErr(t, "append", w.store("/appended", "mine", How{Append: true}), nil)
			wantErr(t, "at an offset", w.store("/held", "x", How{Offset: 1}), fs.ErrExist)

			one, err := w.fs.Write("/held", How{})
			w.must(err)
			_, err = w.fs.Write("/held", How{})
			wantErr(t, "while somebody fills it", err, syscall.EBUSY)
			_, err = w.fs.Write("/held", How{Append: true})
			wantErr(t, "append meanwhile", err, syscall.EBUSY)
			w.must(finish(one, "one"))

			fills, err := w.fs.Write("/other", How{})
			w.must(err)
			if hidden { // who is not bound by the rule has given it content meanwhile
				w.must(os.WriteFile(w.home+"/other", []byte("theirs"), 0o644))
				wantErr(t, "commit", finish(fills, "mine"), fs.ErrExist)
			} else {
				w.must(finish(fills, "theirs"))
			}

			for name, want := range map[string]string{"/empty": "mine", "/full": "full", "/held": "one", "/other": "theirs", "/appended": "mine"} {
				if got := w.content(name); got != want {
					t.Errorf("%s holds %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestOnlyOneFills has many fill one file at once.
func TestOnlyOneFills(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		w := newWorld(t, openRoot, nil)
		w.opts.OnlyNew, w.opts.NoTruncate = true, hidden
		w.open()
		w.file("/f", "")
		var all sync.WaitGroup
		var kept atomic.Int32
		for range 16 {
			all.Go(func() {
				for range 20 {
					if w.store("/f", "content", How{}) == nil {
						kept.Add(1)
					}
				}
			})
		}
		all.Wait()
		if kept.Load() != 1 || w.content("/f") != "content" {
			t.Errorf("hidden %v: %d stored, and it holds %q", hidden, kept.Load(), w.content("/f"))
		}
	}
}
