package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An intrusion is an operation that must not reach outside the home, tried on
// a path that would lead to the directory outside.
var intrusions = map[string]func(w *world, dir string) error{
	"read": func(w *world, dir string) error {
		got, err := w.fetch(dir + "/secret")
		if got == secret {
			return errEscaped
		}
		return err
	},
	"stat": func(w *world, dir string) error {
		in, err := w.fs.Stat(dir + "/secret")
		if err == nil && in.Size == int64(len(secret)) {
			return errEscaped
		}
		return err
	},
	"list": func(w *world, dir string) error {
		l, err := w.fs.List(dir, ListOptions{Hidden: true, Targets: true})
		if err != nil {
			return err
		}
		for e := range l.Entries() {
			if e.Name == "secret" && e.Size == int64(len(secret)) {
				return errEscaped
			}
		}
		return l.Err()
	},
	"store":   func(w *world, dir string) error { return w.store(dir+"/secret", "x", How{}) },
	"append":  func(w *world, dir string) error { return w.store(dir+"/secret", "x", How{Append: true}) },
	"create":  func(w *world, dir string) error { return w.store(dir+"/new", "x", How{}) },
	"unique":  func(w *world, dir string) error { return w.store(dir+"/new", "x", How{Unique: true}) },
	"mkdir":   func(w *world, dir string) error { return w.fs.Mkdir(dir + "/newdir") },
	"remove":  func(w *world, dir string) error { return w.fs.Remove(dir + "/secret") },
	"rmdir":   func(w *world, dir string) error { return w.fs.RemoveDir(dir + "/empty") },
	"into":    func(w *world, dir string) error { return w.fs.Rename("/mine", dir+"/new") },
	"out of":  func(w *world, dir string) error { return w.fs.Rename(dir+"/secret", "/theirs") },
	"chmod":   func(w *world, dir string) error { return w.fs.Chmod(dir+"/secret", 0o777) },
	"chtimes": func(w *world, dir string) error { return w.fs.Chtimes(dir+"/secret", time.Unix(1, 0)) },
	"chgrp":   func(w *world, dir string) error { return w.fs.Chgrp(dir+"/secret", w.fs.who.GID) },
	"within":  func(w *world, dir string) error { return w.store(dir+"/secret", "x", How{Within: true}) },
	"symlink": func(w *world, dir string) error { return w.fs.Symlink("/mine", dir+"/link") },
	"chdir": func(w *world, dir string) error {
		if err := w.fs.Chdir(dir + "/empty"); err != nil {
			return err
		}
		return errEscaped
	},
}

var errEscaped = errors.New("got out")

// snapshot describes a tree in words.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, in.Mode(), in.ModTime().UnixNano())
		if in.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			fmt.Fprintf(&b, "%q\n", content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestNoLinkLeaves: every operation on every sort of link that would lead out
// if it were not for the root.
func TestNoLinkLeavesT177(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.must(os.Mkdir(w.outside+"/empty", 0o755))
		w.own(w.outside + "/empty")
		w.file("/mine", "mine")
		w.dir("/d")
		w.dir("/d/e")
		ways := []string{"/../outside", "/d/../../outside", "//../outside/.", w.outside}
		for path, target := range map[string]string{
			"/absolute":   w.outside,
			"/climbing":   "../outside",
			"/d/climbing": "../../outside",
			"/d/e/far":    "../../../../../../../../../../" + w.outside,
			"/magic":      "/proc/self/root" + w.outside,
			"/first":      "d/second",
			"/d/second":   "e/../../climbing",
			"/empty":      w.outside + "/empty",
			"/secret":     w.outside + "/secret",
		} {
			w.link(target, path)
			ways = append(ways, path)
		}
		before := snapshot(t, w.outside)
		for _, atomic := range []bool{false, true} {
			w.opts.NoTruncate = atomic
			w.open()
			for _, dir := range ways {
				for name, intrude := range intrusions {
					if err := intrude(w, dir); err == nil || errors.Is(err, errEscaped) {
						t.Errorf("%s by %s: %v", name, dir, err)
					}
				}
			}
			// The links at the end of a path: nothing is written through,
			// and what is removed or renamed is the link.
			for _, err := range []error{w.store("/secret", "x", How{}), w.store("/secret", "x", How{Append: true})} {
				wantErr(t, "store onto a link that leads out", err, fs.ErrNotExist)
			}
		}
		w.must(errors.Join(w.fs.Remove("/secret"), w.fs.Rename("/absolute", "/renamed")))
		wantErr(t, "rmdir of a link that leads out", w.fs.RemoveDir("/empty"), syscall.ENOTDIR)
		if after := snapshot(t, w.outside); after != before {
			t.Errorf("outside was\n%s\nand is\n%s", before, after)
		}
	})
}

// TestNoRaceLeavesT072T312 swaps a directory and a link that leads out, as fast as it
// can, while every operation is tried on it.
func TestNoRaceLeavesT072T312(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 300
	}
	eachWorld(t, func(t *testing.T, w *world) {
		w.must(os.Mkdir(w.outside+"/empty", 0o755))
		w.own(w.outside + "/empty")
		w.dir("/d")
		w.dir("/x")
		w.link("../outside", "/climbing")
		w.link(w.outside, "/absolute")
		w.file("/mine", "")
		before := snapshot(t, w.outside)

		stop, done := make(chan struct{}), make(chan int)
		go func() {
			swaps := 0
			for ; ; swaps++ {
				select {
				case <-stop:
					done <- swaps
					return
				default:
				}
				link := []string{"/climbing", "/absolute"}[swaps%2]
				os.Rename(w.home+"/d", w.home+"/aside")
				os.Rename(w.home+link, w.home+"/d")
				os.Rename(w.home+"/d", w.home+link)
				os.Rename(w.home+"/aside", w.home+"/d")
			}
		}()
		halt := sync.OnceValue(func() int { close(stop); return <-done })
		defer halt()
		succeeded := 0
		for i := range rounds {
			w.fs.opts.NoTruncate = i%2 == 0
			for name, intrude := range intrusions {
				err := intrude(w, "/d")
				if errors.Is(err, errEscaped) {
					t.Fatalf("%s: %v", name, err)
				}
				if err == nil {
					succeeded++
				}
			}
			// Through the FS: the test must not do what it tests for.
			w.fs.Remove("/d/secret")
			w.fs.Remove("/d/new")
			w.fs.RemoveDir("/d/newdir")
			if _, err := w.fs.Lstat("/mine"); err != nil {
				w.must(w.store("/mine", "", How{}))
			}
			if i%100 == 99 {
				if after := snapshot(t, w.outside); after != before {
					t.Fatalf("outside was\n%s\nand is\n%s", before, after)
				}
			}
		}
		if swaps := halt(); swaps == 0 || succeeded == 0 {
			t.Errorf("%d swaps, %d operations inside: nothing was tried", swaps, succeeded)
		}
	})
}
