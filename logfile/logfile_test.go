package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/logparse"
	"portreeve/logparse/logtest"
)

// line is one of xferlog.
func line(at time.Time, name string) string {
	return at.Format("Mon Jan 02 15:04:05 2006") + " 1 192.0.2.1 5 /" + name + " b _ o r ann ftp 0 * c\n"
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// packedBy runs a compressor.
func packedBy(t *testing.T, program string, data []byte) []byte {
	t.Helper()
	cmd := exec.Command(program, "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out
}

// paths returns the entries of files.
func scanned(files []*File, w Window) (paths []string, errs []error) {
	for e, err := range Scan(files, w) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		paths = append(paths, e.Path)
	}
	return paths, errs
}

func TestFind(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("xferlog"), []byte(line(day(9), "live")))
	write(t, at("xferlog.1"), []byte("not of a log\n"+line(day(8), "one")))
	write(t, at("xferlog.2.gz"), packedBy(t, "gzip", []byte(line(day(7), "two"))))
	write(t, at("xferlog.3.bz2"), packedBy(t, "zstd", []byte(line(day(6), "three")))) // by another name
	write(t, at("xferlog-20261101.xz"), packedBy(t, "xz", []byte(line(day(5), "four"))))
	write(t, at("xferlog-20261031"), packedBy(t, "bzip2", []byte(line(day(4), "five"))))
	write(t, at("xferlog.4"), nil)
	write(t, at("xferlog.html"), []byte("no log\n"))
	write(t, at("xferlog2"), []byte(line(day(1), "another")))
	if err := os.Symlink("xferlog.1", at("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(at("xferlog.2.gz"), at("xferlog.hard.gz")); err != nil {
		t.Fatal(err)
	}
	o := Options{Zone: time.UTC, Rotated: true, Stdin: strings.NewReader(line(day(2), "in"))}
	files, err := Find([]string{"-", at("link"), at("xferlog"), at("xferlog.hard*")}, o)
	if err != nil {
		t.Fatal(err)
	}
	paths, errs := scanned(files, Window{})
	if want := []string{"/five", "/four", "/three", "/two", "/one", "/live", "/in"}; !slices.Equal(paths, want) {
		t.Errorf("read %v, not %v", paths, want)
	}
	if len(errs) != 1 || !strings.HasSuffix(errs[0].Error(), "link:1: "+errors.Unwrap(errs[0]).Error()) {
		t.Errorf("errors: %v", errs)
	}
	for _, f := range files {
		if f.Path == at("xferlog.4") && !f.First.IsZero() {
			t.Error("an empty file has an entry")
		}
	}
	if files, err = Find([]string{at("nothing"), at("no*thing"), dir, at("xferlog")}, Options{}); len(files) != 1 ||
		strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), dir+" is a folder") {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"xferlog": "xferlog", "xferlog.1": "xferlog", "xferlog.12.gz": "xferlog", "xferlog-20261101": "xferlog",
		"xferlog-20261101.zst": "xferlog", "xferlog-2026-11-01T14:00.xz": "xferlog", "xferlog.old": "xferlog", "xferlog.gz": "xferlog",
		"ftp.log": "ftp.log", "ftp.log.1": "ftp.log", "ftp-20261101.log": "ftp.log", "ftp.1.log.gz": "ftp.log", "ftp2.log": "ftp2.log",
		"xferlog.html": "xferlog.html", ".1": ".1",
	} {
		if got, _ := Live(name); got != want {
			t.Errorf("%s is of %s, not of %s", name, got, want)
		}
		if got, _ := Live("a.1/" + name); got != "a.1/"+want {
			t.Errorf("a.1/%s is of %s", name, got)
		}
	}
}

// TestBroken has compressed files that are cut or changed: what can be read is
// read, the error names the file, and the next one is read.
func TestBroken(t *testing.T) {
	log := logtest.New(3000)
	xferlog, _ := logparse.Find("xferlog")
	text, _ := io.ReadAll(log.Reader(xferlog))
	for _, program := range []string{"gzip", "zstd", "xz", "bzip2"} {
		t.Run(program, func(t *testing.T) {
			dir := t.TempDir()
			whole := packedBy(t, program, text)
			next := write(t, filepath.Join(dir, "next"), []byte(line(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), "last")))
			changed := slices.Clone(whole)
			copy(changed[len(changed)/2:], "XXXXXXXXXXXXXXXX")
			for name, data := range map[string][]byte{"cut": whole[:len(whole)*2/3], "changed": changed, "short": whole[:3], "header": whole[:12]} {
				path := write(t, filepath.Join(dir, name), data)
				files, err := Find([]string{path, next}, Options{Zone: time.UTC})
				if err != nil || len(files) != 2 {
					t.Fatalf("%s: %d files, %v", name, len(files), err)
				}
				paths, errs := scanned(files, Window{})
				if !slices.Contains(paths, "/last") {
					t.Errorf("%s: the file behind it was not read", name)
				}
				if !slices.ContainsFunc(errs, func(err error) bool { return strings.Contains(err.Error(), path) }) {
					t.Errorf("%s: nobody said so: %v", name, errs)
				}
			}
			path := write(t, filepath.Join(dir, "twice"), slices.Concat(whole, whole))
			files, _ := Find([]string{path}, Options{})
			if paths, errs := scanned(files, Window{}); len(paths) != 6000 || errs != nil {
				t.Errorf("of two behind each other %d entries were read, %v", len(paths), errs)
			}
		})
	}
}

func TestDictionary(t *testing.T) {
	packed := packedBy(t, "xz", []byte(line(time.Now(), "x")))
	if got := dictionary(packed[12:]); got != 8<<20 {
		t.Errorf("xz -6 takes a dictionary of %d", got)
	}
	cmd := exec.Command("xz", "-c", "--lzma2=dict=1GiB")
	cmd.Stdin = strings.NewReader("x\n")
	large, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := Find([]string{write(t, filepath.Join(t.TempDir(), "large"), large)}, Options{})
	if _, errs := scanned(files, Window{}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "1024 MiB") {
		t.Errorf("a dictionary of 1 GiB: %v", errs)
	}
}

func TestLineOfPart(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var text strings.Builder
	for i := range 5000 {
		if text.WriteString(line(start.Add(time.Duration(i)*time.Minute), fmt.Sprint(i))); i == 4000 {
			text.WriteString("no line\n")
		}
	}
	files, err := Find([]string{write(t, filepath.Join(t.TempDir(), "xferlog"), []byte(text.String()))}, Options{Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	w := Window{Since: start.Add(3999 * time.Minute), Until: start.Add(4003 * time.Minute)}
	p, err := files[0].Within(w)
	if err != nil || p.Offset == 0 || p.Length == 0 || p.Length > 20<<10 {
		t.Errorf("part %+v, %v", p, err)
	}
	paths, errs := scanned(files, w)
	if want := []string{"/3999", "/4000", "/4001", "/4002"}; !slices.Equal(paths, want) {
		t.Errorf("read %v, not %v", paths, want)
	}
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "xferlog:4002:") {
		t.Errorf("errors %v", errs)
	}
}

// TestYears has two logs without years, which were written in two: when, the files
// tell. A file whose time is made up tells nothing.
func TestYears(t *testing.T) {
	dir := t.TempDir()
	text := []byte("Nov 22 13:54:00 ftp1 pure-ftpd[7]: (ann@192.0.2.1) [NOTICE] Deleted /x\n")
	now := time.Now()
	for name, tt := range map[string]struct{ at, want time.Time }{
		"syslog":       {now, now},
		"syslog.1":     {time.Date(2021, 11, 23, 0, 0, 0, 0, time.UTC), time.Date(2021, 11, 22, 13, 54, 0, 0, time.UTC)},
		"syslog.2.gz":  {time.Date(2020, 11, 22, 13, 54, 0, 0, time.UTC), time.Date(2020, 11, 22, 13, 54, 0, 0, time.UTC)},
		"image/syslog": {time.Unix(0, 0), now},
	} {
		path := filepath.Join(dir, name)
		data := text
		if strings.HasSuffix(name, ".gz") {
			data = packedBy(t, "gzip", text)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(write(t, path, data), tt.at, tt.at); err != nil {
			t.Fatal(err)
		}
		files, err := Find([]string{path}, Options{Zone: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range Scan(files, Window{}) {
			if err != nil {
				t.Error(err)
			} else if tt.want.Equal(now) && now.Sub(e.Time) > 366*24*time.Hour || !tt.want.Equal(now) && !e.Time.Equal(tt.want) {
				t.Errorf("%s is of %v", name, e.Time)
			}
		}
	}
}

// TestSkippedFrame reads what begins with a frame that says nothing, as pzstd
// writes.
func TestSkippedFrame(t *testing.T) {
	frame := append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"), packedBy(t, "zstd", []byte(line(time.Unix(1e9, 0), "x")))...)
	files, err := Find([]string{write(t, filepath.Join(t.TempDir(), "log"), frame)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if paths, errs := scanned(files, Window{}); !slices.Equal(paths, []string{"/x"}) || errs != nil {
		t.Errorf("read %q, %v", paths, errs)
	}
}
