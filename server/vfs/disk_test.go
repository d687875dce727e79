package vfs

import (
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"
)

func TestDiskUsed(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "x")
		w.dir("/d")
		w.link("/d", "/l")
		var d Disks
		asked := 0
		d.Measure = func(int) (float64, error) { asked++; return 12.5, nil }
		for _, path := range []string{"/", "/f", "/new", "/d", "/d/", "/d/new", "/l/new"} {
			if got, err := w.fs.DiskUsed(path, &d); err != nil || got != 12.5 {
				t.Errorf("%s: %v, %v", path, got, err)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		for _, path := range []string{"/missing/new", "/d/missing/new"} {
			if _, err := w.fs.DiskUsed(path, &d); err == nil {
				t.Errorf("%s: no error", path)
			}
		}
		if got, err := w.fs.DiskUsed("/f", new(Disks)); err != nil || got < 0 || got > 100 {
			t.Errorf("the system's: %v, %v", got, err)
		}
		why := errors.New("no answer")
		d = Disks{Measure: func(int) (float64, error) { return 0, why }}
		if _, err := w.fs.DiskUsed("/f", &d); !errors.Is(err, why) {
			t.Errorf("failing: %v", err)
		}
		if _, err := w.fs.DiskUsed("/missing/new", &d); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
	})
}

// What is known of a disk is forgotten after a second.
func TestDiskUsedAnew(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.file("/f", "x")
		f, _, err := w.fs.Read("/f")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fd := int(f.Fd())
		synctest.Test(t, func(t *testing.T) {
			used := 0.0
			d := Disks{Measure: func(int) (float64, error) { used++; return used, nil }}
			for _, step := range []struct {
				wait time.Duration
				want float64
			}{{0, 1}, {useLasts - 1, 1}, {1, 2}, {useLasts, 3}} {
				time.Sleep(step.wait)
				if got, err := d.of(fd); err != nil || got != step.want {
					t.Errorf("%v, %v, want %v", got, err, step.want)
				}
			}
		})
	})
}
