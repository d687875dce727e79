package logfile

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
)

// memory is the most that was in use while f ran.
func memory(f func()) uint64 {
	var peak uint64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticks := time.NewTicker(5 * time.Millisecond)
		defer ticks.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse+m.StackInuse)
			select {
			case <-done:
				return
			case <-ticks.C:
			}
		}
	}()
	runtime.GC()
	f()
	close(done)
	<-stopped
	return peak
}

// TestMemory reads a log of 100,000 lines that is never on a disk, and one of
// each compression, in memory that does not grow with it.
func TestMemory(t *testing.T) {
	const lines, most = 100_000, 48 << 20
	readStream(t, lines, most)
	xferlog, _ := logparse.Find("xferlog")
	for _, program := range []string{"gzip", "zstd", "xz", "bzip2"} {
		t.Run(program, func(t *testing.T) {
			cmd := exec.Command(program, "-1", "-c")
			cmd.Stdin = logtest.New(lines).Reader(xferlog)
			path := filepath.Join(t.TempDir(), "log")
			out, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			if cmd.Stdout = out; cmd.Run() != nil {
				t.Fatal("it does not run")
			}
			entries := 0
			if peak := memory(func() {
				files, _ := Find([]string{path}, Options{Zone: time.UTC})
				for _, err := range Scan(files, Window{}) {
					if err != nil {
						t.Fatal(err)
					}
					entries++
				}
			}); peak > most || entries != lines {
				t.Errorf("%d entries in %d MiB", entries, peak>>20)
			}
		})
	}
}

// readStream reads a log of any length as standard input.
func readStream(t testing.TB, lines int64, most uint64) {
	t.Helper()
	xferlog, _ := logparse.Find("xferlog")
	entries := int64(0)
	peak := memory(func() {
		files, err := Find([]string{Stdin}, Options{Zone: time.UTC, Stdin: logtest.New(lines).Reader(xferlog)})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range Scan(files, Window{Since: time.Unix(1, 0)}) {
			if err != nil {
				t.Fatal(err)
			}
			entries++
		}
	})
	if entries != lines || peak > most {
		t.Errorf("%d entries in %d MiB", entries, peak>>20)
	}
	t.Logf("%d entries in %d MiB", entries, peak>>20)
}

// BenchmarkLarge reads as many GB as PORTREEVE_LOG_GB says, ten without it.
func BenchmarkLarge(b *testing.B) {
	gb, err := strconv.ParseInt(os.Getenv("PORTREEVE_LOG_GB"), 10, 64)
	if err != nil {
		gb = 10
	}
	const lineLength = 122
	for b.Loop() {
		b.SetBytes(gb * 1e9)
		readStream(b, gb*1e9/lineLength, 48<<20)
	}
}

// TestDamaged changes, cuts and fills files at random: nothing crashes, what
// stands apart from the damage is read, and so is the next file.
func TestDamaged(t *testing.T) {
	xferlog, _ := logparse.Find("xferlog")
	text, err := io.ReadAll(logtest.New(2000).Reader(xferlog))
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(3, 4))
	forms := [][]byte{text}
	for _, program := range []string{"gzip", "zstd", "xz", "bzip2"} {
		forms = append(forms, packedBy(t, program, text))
	}
	dir := t.TempDir()
	next := write(t, filepath.Join(dir, "next"), []byte(line(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), "last")))
	for i := range 300 {
		data := damaged(dice, slices.Clone(forms[i%len(forms)]))
		files, err := Find([]string{write(t, filepath.Join(dir, "damaged"), data), next}, Options{Zone: time.UTC})
		if err != nil || len(files) != 2 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		w := Window{}
		if i%3 == 0 {
			w = Window{Since: time.Date(2026, 6, 20, 0, 0, 0, 0, time.UTC)}
		}
		paths, errs := scanned(files, w)
		if paths[len(paths)-1] != "/last" {
			t.Fatalf("the file behind a damaged one was not read: %v", errs)
		}
		if lines := len(paths); i%len(forms) == 0 && w == (Window{}) && lines < 1000 {
			t.Errorf("of a plain file only %d lines are left: %v", lines, errs[:min(3, len(errs))])
		}
	}
}

// damaged makes a few changes to a file, none larger than 40 bytes, but to one end
// or the other.
func damaged(dice *rand.Rand, data []byte) []byte {
	for range 1 + dice.IntN(5) {
		at := dice.IntN(len(data))
		switch n := min(1+dice.IntN(40), len(data)-at); dice.IntN(4) {
		case 0:
			data[at] ^= 1 << dice.IntN(8)
		case 1:
			data = slices.Delete(data, at, at+n)
		case 2:
			noise := make([]byte, n)
			for i := range noise {
				noise[i] = byte(dice.Uint32())
			}
			data = slices.Insert(data, at, noise...)
		case 3:
			data = data[:max(len(data)-n, 1)]
		}
	}
	return data
}

// TestCut cuts a file at every byte of its last 300: at most the line that was cut
// is missing.
func TestCut(t *testing.T) {
	for _, f := range logparse.Formats {
		log := logtest.New(40)
		text, err := io.ReadAll(log.Reader(f))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "log")
		for cut := range 301 {
			whole := text[:len(text)-cut]
			files, err := Find([]string{write(t, path, whole)}, Options{Zone: time.UTC, Format: f})
			if err != nil {
				t.Fatal(err)
			}
			in, err := files[0].Open()
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range in.All() {
				if _, line := errors.AsType[*logparse.LineError](err); err != nil && !line {
					t.Fatal(err)
				}
			}
			lines := int64(0)
			for _, c := range whole {
				if c == '\n' {
					lines++
				}
			}
			header := int64(0)
			if f.Header != nil {
				header = 4
			}
			if c := in.Counts(); c.Entries < lines-header || c.Entries > lines-header+1 || c.Bad > 1 {
				t.Fatalf("%s cut by %d: of %d lines there are %d entries and %d bad ones", f.Name, cut, lines, c.Entries, c.Bad)
			}
			in.Close()
		}
	}
}
