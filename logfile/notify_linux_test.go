package logfile

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// A ticking notifier is the kernel's for tests whose clock is theirs: there nobody
// may wait for a file, so it looks for events every millisecond.
type ticking struct {
	*inotify
	t     *testing.T
	waits atomic.Int64
}

func newTicking(t *testing.T) *ticking {
	n, err := newInotify()
	if err != nil {
		t.Fatal(err)
	}
	return &ticking{inotify: n, t: t}
}

func (n *ticking) wait(ctx context.Context, most time.Duration) change {
	n.waits.Add(1)
	for end := time.Now().Add(most); ctx.Err() == nil && time.Now().Before(end); {
		size, err := unix.Read(n.fd, n.buf[:])
		if err != nil && err != unix.EAGAIN {
			n.t.Error(err)
		}
		if size > 0 {
			if c := n.changed(n.buf[:size]); c != noChange {
				return c
			}
		}
		lookout{}.wait(ctx, time.Millisecond)
	}
	return noChange
}

// TestFollowNotified is TestFollow where the kernel tells of changes.
func TestFollowNotified(t *testing.T) {
	for name, rotate := range rotations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { follow(t, rotate, newTicking(t)) })
		})
	}
}

// linesOf follows a log until stop is called, and returns what is given, line by
// line.
func linesOf(t *testing.T, path string, n notifier) (lines <-chan string, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	f := Follow(ctx, path, FollowOptions{notifier: n})
	given := make(chan string)
	go func() {
		defer close(given)
		for in := bufio.NewScanner(f); in.Scan(); {
			given <- in.Text()
		}
	}()
	return given, func() {
		cancel()
		for line := range given {
			t.Errorf("there is a line too many: %q", line)
		}
		f.Close()
	}
}

// TestFollowRests has a log that nobody writes: it costs next to nothing, and when
// something comes at last it is there at once.
func TestFollowRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "xferlog")
		add(t, path, "old\n")
		n := newTicking(t)
		lines, stop := linesOf(t, path, n)
		defer stop()
		const rest = time.Minute
		time.Sleep(10 * time.Second) // it may be that files beside the log are new
		before := n.waits.Load()
		time.Sleep(rest)
		if woken := n.waits.Load() - before; woken > int64(rest/followSure)+1 {
			t.Errorf("in a minute in which nothing came it woke up %d times", woken)
		}
		// What happens beside the log is not its concern.
		before = n.waits.Load()
		for i := range 100 {
			add(t, filepath.Join(filepath.Dir(path), fmt.Sprint("other", i)), "text\n")
			time.Sleep(time.Millisecond)
		}
		if woken := n.waits.Load() - before; woken > 1 {
			t.Errorf("other files woke it up %d times", woken)
		}
		start := time.Now()
		add(t, path, "new\n")
		if got := <-lines; got != "new" || time.Since(start) > 5*time.Millisecond {
			t.Errorf("%q came after %v", got, time.Since(start))
		}
	})
}

// add adds to a file.
func add(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		t.Error(err)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFollowNames changes what a path leads to in ways that are no rotation. Each
// time a line is there at once, by the kernel's word and not since somebody looks
// now and then.
func TestFollowNames(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string) (path string, then func()){
		"made for the first time": func(t *testing.T, dir string) (string, func()) {
			return filepath.Join(dir, "xferlog"), func() { add(t, filepath.Join(dir, "xferlog"), "new\n") }
		},
		"in a folder that is made": func(t *testing.T, dir string) (string, func()) {
			path := filepath.Join(dir, "a", "b", "xferlog")
			return path, func() {
				must(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
				time.Sleep(200 * time.Millisecond)
				must(t, os.Mkdir(filepath.Join(dir, "a", "b"), 0o700))
				time.Sleep(200 * time.Millisecond)
				add(t, path, "new\n")
			}
		},
		"in folders that are made at once": func(t *testing.T, dir string) (string, func()) {
			path := filepath.Join(dir, "a", "b", "xferlog")
			return path, func() { must(t, os.MkdirAll(filepath.Dir(path), 0o700)); add(t, path, "new\n") }
		},
		"in a folder that is made again": func(t *testing.T, dir string) (string, func()) {
			folder := filepath.Join(dir, "a")
			must(t, os.Mkdir(folder, 0o700))
			path := filepath.Join(folder, "xferlog")
			add(t, path, "old\n")
			return path, func() {
				must(t, os.RemoveAll(folder), os.Mkdir(folder, 0o700))
				add(t, path, "new\n")
			}
		},
		"in a folder that is renamed": func(t *testing.T, dir string) (string, func()) {
			folder := filepath.Join(dir, "a")
			must(t, os.Mkdir(folder, 0o700))
			path := filepath.Join(folder, "xferlog")
			add(t, path, "old\n")
			return path, func() {
				must(t, os.Rename(folder, folder+"2"), os.Mkdir(folder, 0o700))
				time.Sleep(200 * time.Millisecond)
				add(t, path, "new\n")
			}
		},
		"a link that is switched": func(t *testing.T, dir string) (string, func()) {
			link := filepath.Join(dir, "current")
			add(t, filepath.Join(dir, "one"), "old\n")
			must(t, os.Symlink("one", link))
			return link, func() {
				add(t, filepath.Join(dir, "two"), "new\n")
				must(t, os.Symlink("two", link+"~"), os.Rename(link+"~", link))
			}
		},
		"behind a link to a folder that is switched": func(t *testing.T, dir string) (string, func()) {
			link := filepath.Join(dir, "current")
			for _, day := range []string{"mon", "tue"} {
				must(t, os.Mkdir(filepath.Join(dir, day), 0o700))
			}
			add(t, filepath.Join(dir, "mon", "xferlog"), "old\n")
			must(t, os.Symlink(filepath.Join(dir, "mon"), link))
			return filepath.Join(link, "xferlog"), func() {
				must(t, os.Remove(link), os.Symlink(filepath.Join(dir, "tue"), link))
				time.Sleep(200 * time.Millisecond)
				add(t, filepath.Join(dir, "tue", "xferlog"), "new\n")
			}
		},
		"the end of a link that is rotated": func(t *testing.T, dir string) (string, func()) {
			folder := filepath.Join(dir, "a")
			must(t, os.Mkdir(folder, 0o700))
			end := filepath.Join(folder, "log")
			add(t, end, "old\n")
			link := filepath.Join(dir, "xferlog")
			must(t, os.Symlink(filepath.Join("a", "log"), link))
			return link, func() {
				must(t, os.Rename(end, end+".1"))
				time.Sleep(200 * time.Millisecond)
				add(t, end, "new\n")
			}
		},
		"by another name": func(t *testing.T, dir string) (string, func()) {
			path := filepath.Join(dir, "xferlog")
			add(t, path, "old\n")
			must(t, os.Link(path, filepath.Join(dir, "other")))
			return path, func() { add(t, filepath.Join(dir, "other"), "new\n") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, then := change(t, t.TempDir())
				lines, stop := linesOf(t, path, newTicking(t))
				defer stop()
				time.Sleep(10500 * time.Millisecond) // between two looks
				then()
				start := time.Now()
				if got := <-lines; got != "new" || time.Since(start) > 250*time.Millisecond {
					t.Errorf("%q came after %v", got, time.Since(start))
				}
			})
		})
	}
}

// TestFollowAtLast sees that what the kernel does not tell of is found all the same:
// here it is not asked.
func TestFollowAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "xferlog")
		add(t, path, "old\n")
		lines, stop := linesOf(t, path, deaf{})
		defer stop()
		time.Sleep(time.Minute)
		start := time.Now()
		add(t, path, "new\n")
		if got := <-lines; got != "new" || time.Since(start) > followSure {
			t.Errorf("%q came after %v", got, time.Since(start))
		}
	})
}

// deaf says that it will tell, and never does.
type deaf struct{ lookout }

func (deaf) watch([]*followed, map[string][]string) (all, fresh bool) { return true, false }

// TestFollowKernel follows by the kernel's word and the true clock.
func TestFollowKernel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xferlog")
	lines, stop := linesOf(t, path, nil)
	defer stop()
	for i := range 12 {
		text := fmt.Sprint("line ", i)
		add(t, path, text+"\n")
		if got := <-lines; got != text {
			t.Fatalf("%q came instead of %q", got, text)
		}
		if i%4 == 3 {
			must(t, os.Rename(path, fmt.Sprint(path, ".", i)))
		}
	}
}

// TestNotWatched sees that who cannot watch says so.
func TestNotWatched(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]notifier{"none": lookout{}, "no more watches": &inotify{fd: -1, files: make(map[*followed]int32)}} {
		if all, fresh := n.watch(nil, map[string][]string{dir: {"xferlog"}}); all || fresh {
			t.Errorf("%s: it says that it watches: all %v, fresh %v", name, all, fresh)
		}
	}
	n := newTicking(t)
	defer n.close()
	if all, _ := n.watch(nil, map[string][]string{"/proc/self": {"xferlog"}}); all {
		t.Error("it says that it watches /proc, of which the kernel tells nothing")
	}
}
