package vfs

import (
	"path"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for _, tc := range []struct{ cwd, path, want string }{
		{"/", "", "/"},
		{"/a", "", "/a"},
		{"/a", "b", "/a/b"},
		{"/a", "/b", "/b"},
		{"/a", ".", "/a"},
		{"/a", "..", "/"},
		{"/a", "../..", "/"},
		{"/a", "../../../../etc", "/etc"},
		{"/a/b", "../c", "/a/c"},
		{"/", "a//b/", "/a/b"},
		{"/", "a/./b/.", "/a/b"},
		{"/", "a/../../b", "/b"},
		{"/", "/..", "/"},
		{"/", "...", "/..."},
		{"/", ".hidden/..x", "/.hidden/..x"},
		{"/", ` a \ "b" `, `/ a \ "b" `},
		{"/", "%2e%2e/x", "/%2e%2e/x"},
		{"/", "..\\..\\x", "/..\\..\\x"},
		{"/", "\xff\xfe", "/\xff\xfe"},
		{"a", "b", "/a/b"},
		{"", "b", "/b"},
	} {
		if got := Clean(tc.cwd, tc.path); got != tc.want {
			t.Errorf("Clean(%q, %q) = %q, want %q", tc.cwd, tc.path, got, tc.want)
		}
	}
}

// FuzzClean holds Clean against package path, which for rooted paths means the
// same.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "/", "..", "a/../../b", "//x//./..", "...", "a/..", "/a/b/../../../c/"} {
		f.Add("/cwd", seed)
		f.Add(seed, "x/..")
	}
	f.Fuzz(func(t *testing.T, cwd, p string) {
		got := Clean(cwd, p)
		want := path.Clean("/" + cwd + "/" + p)
		if strings.HasPrefix(p, "/") {
			want = path.Clean(p)
		}
		if got != want {
			t.Errorf("Clean(%q, %q) = %q, want %q", cwd, p, got, want)
		}
		if again := Clean("/elsewhere", got); again != got {
			t.Errorf("cleaning %q again gives %q", got, again)
		}
		for part := range strings.SplitSeq(got[1:], "/") {
			if part == ".." || part == "." || part == "" && got != "/" {
				t.Errorf("%q has the component %q", got, part)
			}
		}
		if dir, base := split(got); join(dir, base) != got || strings.Contains(base, "/") {
			t.Errorf("split(%q) = %q, %q", got, dir, base)
		}
	})
}

func TestAllowed(t *testing.T) {
	for path, want := range map[string]bool{
		"/":                              true,
		"/a/b.c":                         true,
		"/ ":                             true,
		"/\\":                            true,
		"/\xff\xfe":                      true,
		"/..":                            true, // Clean's business
		"/é":                             true,
		"/.ftpquota.old":                 true,
		"/.pureftpd":                     true,
		"/a\x00":                         false,
		"/a\nb/c":                        false,
		"/\x1b[31m":                      false,
		"/\x7f":                          false,
		"/.ftpquota":                     false,
		"/a/.ftpquota/b":                 false,
		"/.pureftpd-upload.":             false,
		"/.pureftpd-upload.00ff/x":       false,
		"/" + strings.Repeat("x", 255):   true,
		"/" + strings.Repeat("x", 256):   false,
		strings.Repeat("/x", 2048):       true,
		strings.Repeat("/x", 2048) + "x": false,
	} {
		if got := allowed(path); got != want {
			t.Errorf("allowed(%.30q) = %t", path, got)
		}
	}
}

func TestIsLeftover(t *testing.T) {
	for name, want := range map[string]bool{
		tempPrefix + token(tempToken):          true,
		tempPrefix + strings.Repeat("0", 31):   false,
		tempPrefix + strings.Repeat("G", 32):   false,
		tempPrefix + "5c1a.12.5.4f2a":          false, // another server's
		"x" + tempPrefix + token(tempToken):    false,
		tempPrefix + token(tempToken) + ".1":   false,
		".pureftpd-rename." + token(tempToken): false,
	} {
		if got := isLeftover(name); got != want {
			t.Errorf("isLeftover(%q) = %t", name, got)
		}
		if want && allowed("/"+name) {
			t.Errorf("clients may name %q", name)
		}
	}
}

func TestExpand(t *testing.T) {
	links := map[string]string{
		"/abs": "/d/e", "/rel": "d/e", "/up": "../../../d", "/d/e/up": "..", "/chain": "abs/up",
		"/loop": "loop", "/a": "b", "/b": "a", "/d/dots": "./x/../e/.", "/root": "/",
	}
	readlink := func(path string) (string, error) {
		if target, ok := links[path]; ok {
			return target, nil
		}
		return "", ErrNotRegular
	}
	for _, tc := range []struct {
		path string
		last bool
		want string // "" for ELOOP
	}{
		{"/", true, "/"},
		{"/x/y", true, "/x/y"},
		{"/abs", true, "/d/e"},
		{"/abs", false, "/abs"},
		{"/abs/x", false, "/d/e/x"},
		{"/rel/up", true, "/d"},
		{"/rel/up", false, "/d/e/up"},
		{"/up/e", true, "/d/e"},
		{"/chain", true, "/d"},
		{"/d/dots", true, "/d/e"},
		{"/root/abs", false, "/abs"},
		{"/root/abs", true, "/d/e"},
		{"/loop", true, ""},
		{"/loop/x", false, ""},
		{"/loop", false, "/loop"},
		{"/a/x", true, ""},
	} {
		got, err := expand(tc.path, tc.last, readlink)
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("expand(%q, %t) = %q, %v, want %q", tc.path, tc.last, got, err, tc.want)
		}
	}
}
