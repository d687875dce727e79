package logfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A rotator writes a log and rotates it, as servers and logrotate do.
type rotator struct {
	t    *testing.T
	path string
	file *os.File
	late []*os.File // that sessions have open
	next int        // line
}

func (r *rotator) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// write writes some lines, some in two pieces, and some to a file that was rotated
// away.
func (r *rotator) write(n int) {
	if r.file == nil {
		f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		r.must(err)
		r.file = f
	}
	for range n {
		line := fmt.Sprintf("line %d %s\n", r.next, strings.Repeat("x", r.next%90))
		to := r.file
		if len(r.late) > 0 && r.next%7 == 0 {
			to = r.late[r.next%len(r.late)]
		}
		half := 0
		if r.next%5 == 0 {
			half = len(line) / 2
		}
		_, err := to.WriteString(line[:half])
		r.must(err)
		_, err = to.WriteString(line[half:])
		r.must(err)
		r.next++
	}
}

// shift makes room for xferlog.1.
func (r *rotator) shift() {
	for i := 4; i > 0; i-- {
		for _, packed := range []string{"", ".gz"} {
			old := fmt.Sprintf("%s.%d%s", r.path, i, packed)
			if i == 4 {
				os.Remove(old)
			} else {
				os.Rename(old, fmt.Sprintf("%s.%d%s", r.path, i+1, packed))
			}
		}
	}
}

func (r *rotator) rename() {
	r.shift()
	r.must(os.Rename(r.path, r.path+".1"))
	r.file.Close()
	r.file = nil
}

func (r *rotator) copyTruncate() {
	r.shift()
	text, err := os.ReadFile(r.path)
	r.must(err)
	r.must(os.WriteFile(r.path+".1", text, 0o600))
	r.must(os.Truncate(r.path, 0))
}

func (r *rotator) pack() {
	text, err := os.ReadFile(r.path + ".1")
	r.must(err)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(text)
	r.must(err)
	r.must(w.Close())
	r.must(os.WriteFile(r.path+".1.gz", packed.Bytes(), 0o600))
	r.must(os.Remove(r.path + ".1"))
}

// rotations are what logrotate and others do to a log that is being written.
var rotations = map[string]func(*rotator){
	"renamed":    (*rotator).rename,
	"compressed": func(r *rotator) { r.rename(); r.pack() },
	"copied":     (*rotator).copyTruncate,
	"copied and compressed": func(r *rotator) {
		r.copyTruncate()
		r.pack()
	},
	"absent": func(r *rotator) { r.rename(); time.Sleep(700 * time.Millisecond) },
	"deleted by its writer": func(r *rotator) { // once everybody has seen it
		time.Sleep(time.Second)
		r.must(os.Remove(r.path))
		r.file.Close()
		r.file = nil
	},
	"three times": func(r *rotator) {
		for range 3 {
			r.rename()
			r.write(3)
		}
	},
	"three copies": func(r *rotator) {
		for range 3 {
			r.copyTruncate()
			r.write(3)
		}
	},
	"kept open": func(r *rotator) {
		old := r.file
		r.shift()
		r.must(os.Rename(r.path, r.path+".1"))
		r.file = nil
		if r.late = append(r.late, old); len(r.late) > 3 {
			r.late[0].Close()
			r.late = r.late[1:]
		}
	},
	"with a hole": func(r *rotator) { // by who does not append
		old := r.file
		f, err := os.OpenFile(r.path, os.O_WRONLY, 0)
		r.must(err)
		_, err = f.Seek(0, io.SeekEnd)
		r.must(err)
		old.Close()
		r.file = f
		r.copyTruncate()
	},
}

// TestFollow has a writer of 5,000 lines a second, with each way to rotate: every
// line comes once, whole, and within a quarter of a second, where nobody tells of
// changes.
func TestFollow(t *testing.T) {
	for name, rotate := range rotations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { follow(t, rotate, lookout{}) })
		})
	}
}

func follow(t *testing.T, rotate func(*rotator), n notifier) {
	const lines = 20000
	r := &rotator{t: t, path: filepath.Join(t.TempDir(), "xferlog")}
	r.write(10) // that are there already
	r.next = 0
	ctx, cancel := context.WithCancel(t.Context())
	f := Follow(ctx, r.path, FollowOptions{notifier: n})
	defer f.Close()
	seen := make([]int, lines+10) // what the last write has beyond
	odd := 0
	done := make(chan struct{})
	progress := make(chan int, 1)
	go func() {
		defer close(done)
		in := bufio.NewScanner(f)
		last := -1
		for in.Scan() {
			var n int
			var rest string
			if _, err := fmt.Sscanf(in.Text()+"|", "line %d %s", &n, &rest); err != nil || rest != strings.Repeat("x", n%90)+"|" || n >= len(seen) {
				odd++
				t.Logf("%q", in.Text())
				continue
			}
			seen[n]++
			last = max(last, n)
			select {
			case <-progress:
			default:
			}
			progress <- last
		}
	}()
	dice := rand.New(rand.NewPCG(1, 2))
	for turn := 200 * time.Millisecond; r.next < lines; {
		r.write(5)
		time.Sleep(time.Millisecond)
		if turn -= time.Millisecond; turn <= 0 && r.next < lines-1000 {
			rotate(r)
			turn = time.Duration(dice.IntN(900)) * time.Millisecond
		}
	}
	time.Sleep(250 * time.Millisecond)
	synctest.Wait()
	if last := <-progress; last != r.next-1 {
		t.Errorf("a quarter of a second after line %d only %d is there", r.next-1, last)
	}
	cancel()
	<-done
	lost, twice := 0, 0
	for _, n := range seen[:r.next] {
		if n == 0 {
			lost++
		}
		if n > 1 {
			twice++
		}
	}
	if lost+twice+odd > 0 {
		t.Errorf("%d lines are lost, %d there twice, %d not lines", lost, twice, odd)
	}
}
