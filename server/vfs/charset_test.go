package vfs

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"portreeve/server/charset"
)

func mustCharset(t *testing.T, name string) *charset.Charset {
	t.Helper()
	c, err := charset.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCharset does everything to names in Big5, each of whose characters ends
// with a backslash there, or an opening bracket.
func TestCharset(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		const name, onDisk = "許功蓋", "\xb3\\\xa5\\\xbb\\"
		w.opts.Charset = mustCharset(t, "Big5")
		w.opts.NoTruncate = true
		f := w.open()
		w.must(f.Mkdir("/" + name))
		up, err := f.Write("/"+name+"/功", How{})
		w.must(err)
		if up.Name() != "/許功蓋/功" {
			t.Errorf("it is stored as %q", up.Name())
		}
		w.must(up.Commit())
		if got := w.content("/" + onDisk + "/\xa5\\"); got != "" {
			t.Errorf("it holds %q", got)
		}
		w.must(f.Rename("/許功蓋/功", "/許功蓋/蓋"))
		w.must(f.Chtimes("/許功蓋/蓋", time.Unix(1e9, 0)))
		w.must(f.Chmod("/許功蓋/蓋", 0o600))
		w.must(f.Chdir("/許功蓋"))
		in, err := f.Stat("/許功蓋/蓋")
		if err != nil || in.Name != "蓋" || in.ModTime.Unix() != 1e9 {
			t.Errorf("it is %+v, %v", in, err)
		}
		file, in, err := f.Read("/許功蓋/蓋")
		w.must(err)
		file.Close()
		if in.Name != "蓋" {
			t.Errorf("it is read as %q", in.Name)
		}
		w.link(onDisk+"/\xbb\\", "/\xc3\xec")
		if target, err := f.Readlink("/鏈"); target != "許功蓋/蓋" || err != nil {
			t.Errorf("the link leads to %q, %v", target, err)
		}
		w.must(f.Remove("/許功蓋/蓋"))
		w.must(f.RemoveDir("/許功蓋"))
	})
}

func TestCharsetRefuses(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.Charset = mustCharset(t, "Big5")
		f := w.open()
		for _, name := range []string{"/ä", "/ไทย", "/\xb3\\", "/\xff", "/a\ufffd"} {
			if err := f.Mkdir(name); !errors.Is(err, ErrName) {
				t.Errorf("Mkdir %q: %v", name, err)
			}
			if _, err := f.Write(name, How{}); !errors.Is(err, ErrName) {
				t.Errorf("Write %q: %v", name, err)
			}
			if _, err := f.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Lstat %q: %v", name, err)
			}
		}
		if left := w.onDisk("/"); len(left) > 0 {
			t.Errorf("there is %q", left)
		}
	})
}

func TestCharsetList(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.Charset = mustCharset(t, "Big5")
		f := w.open()
		w.file("/plain", "")
		w.file("/\xb3\\[.txt", "")
		w.file("/\xff\xff", "") // nothing in Big5
		w.link("\xff\xff", "/\xa5\\")
		w.link("/\xb3\\", "/\xbb\\")
		for _, tt := range []struct {
			opt  ListOptions
			want string
			left int
		}{
			{ListOptions{}, "plain 功>? 蓋>? 許[.txt", 1},
			{ListOptions{Sort: BySize, NamesOnly: true}, "plain 功 蓋 許[.txt", 1},
			{ListOptions{Match: "許*"}, "許[.txt", 0},
			{ListOptions{Match: "?[[]*"}, "許[.txt", 0}, // a byte would not do
			{ListOptions{Match: "[一-龥]"}, "功>? 蓋>?", 0},
		} {
			tt.opt.Targets = true
			l, err := f.List("/", tt.opt)
			w.must(err)
			var got []string
			for in := range l.Entries() {
				name := in.Name
				if in.IsLink() && in.Target != "" {
					name += ">" + in.Target
				}
				got = append(got, name)
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != tt.want || l.Err() != nil || l.Illegible() != tt.left {
				t.Errorf("%+v: %q, want %q, and %d left out, %v", tt.opt, s, tt.want, l.Illegible(), l.Err())
			}
		}
	})
}

func TestCharsetUnique(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.opts.Charset = mustCharset(t, "Big5")
		f := w.open()
		up, err := f.Write("/a"+strings.Repeat("許", 127), How{Unique: true})
		w.must(err)
		defer up.Discard()
		name, _, _ := strings.Cut(up.Name(), ".")
		if name != "/a"+strings.Repeat("許", 122) {
			t.Errorf("it is called %q", up.Name())
		}
	})
}

func TestCharsetOfHome(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.dir("/\xb3\\")
		w.dir("/\xb3\\/\xa5\\")
		w.opts.Charset, w.opts.Caged = mustCharset(t, "Big5"), false
		home := w.home
		w.home = home + "/許/./功"
		f := w.open()
		if f.Home() != "/功" {
			t.Errorf("one starts in %q", f.Home())
		}
		if _, err := open(home+"/ä", w.opts, w.openRoot); !errors.Is(err, ErrNoHome) {
			t.Errorf("a home that Big5 cannot name: %v", err)
		}
		w.home = home
	})
}
