package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/userdb"
)

// joe is whom tests act as when they run as root.
var joe = &Identity{UID: 20001, GID: 20001}

// secret is what lies outside of homes; no test makes anything of its size.
var secret = strings.Repeat("secret ", 100)

// A world is one way to reach files, with a home of its own: through each
// kind of root, as the process and, if that is root's, as joe.
type world struct {
	t        *testing.T
	openRoot func(host string) (root, error)
	as       *Identity
	home     string // host path
	outside  string // host path of a directory beside home, with a file secret
	opts     Options
	fs       *FS
}

func eachWorld(t *testing.T, run func(t *testing.T, w *world)) {
	for name, openRoot := range map[string]func(string) (root, error){"root": openRoot, "os.Root": openOSRoot} {
		identities := map[string]*Identity{"process": nil}
		if os.Getuid() == 0 {
			identities["joe"] = joe
		}
		for who, as := range identities {
			t.Run(name+"/"+who, func(t *testing.T) { run(t, newWorld(t, openRoot, as)) })
		}
	}
}

// newWorld makes a home and opens it, caged and with all permissions.
func newWorld(t *testing.T, openRoot func(string) (root, error), as *Identity) *world {
	t.Helper()
	base := publicDir(t)
	w := &world{t: t, openRoot: openRoot, as: as, home: base + "/home", outside: base + "/outside",
		opts: Options{As: as, Caged: true, Perms: userdb.AllPerms, FileUmask: 0o133, DirUmask: 0o022}}
	for _, dir := range []string{w.home, w.outside} {
		w.must(os.Mkdir(dir, 0o755))
		w.own(dir)
	}
	w.must(os.WriteFile(w.outside+"/secret", []byte(secret), 0o644))
	w.own(w.outside + "/secret")
	w.open()
	return w
}

// open opens the home anew, as w.opts now says.
func (w *world) open() *FS {
	w.t.Helper()
	f, err := open(w.home, w.opts, w.openRoot)
	w.must(err)
	w.t.Cleanup(func() { f.Close() })
	w.fs = f
	return f
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// own gives what the test made to the user.
func (w *world) own(host string) {
	if w.as != nil {
		w.t.Helper()
		w.must(os.Lchown(host, w.as.UID, w.as.GID))
	}
}

// file, dir and link make things in the home without the FS.
func (w *world) file(path, content string) {
	w.t.Helper()
	w.must(os.WriteFile(w.home+path, []byte(content), 0o644))
	w.own(w.home + path)
}

func (w *world) dir(path string) {
	w.t.Helper()
	w.must(os.Mkdir(w.home+path, 0o755))
	w.own(w.home + path)
}

func (w *world) link(target, path string) {
	w.t.Helper()
	w.must(os.Symlink(target, w.home+path))
	w.own(w.home + path)
}

// content reads a file of the home without the FS.
func (w *world) content(path string) string {
	w.t.Helper()
	b, err := os.ReadFile(w.home + path)
	w.must(err)
	return string(b)
}

// store uploads content and returns the upload's error.
func (w *world) store(path, content string, how How) error {
	u, err := w.fs.Write(path, how)
	if err != nil {
		return err
	}
	return finish(u, content)
}

func finish(u *Upload, content string) error {
	if err := u.Begin(); err != nil {
		return err
	}
	if _, err := u.File().WriteString(content); err != nil {
		return err
	}
	return u.Commit()
}

// fetch reads a file through the FS.
func (w *world) fetch(path string) (string, error) {
	file, _, err := w.fs.Read(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	return string(b), err
}

// names lists a directory through the FS.
func (w *world) names(path string, opt ListOptions) []string {
	w.t.Helper()
	l, err := w.fs.List(path, opt)
	w.must(err)
	var names []string
	for e := range l.Entries() {
		names = append(names, e.Name)
	}
	w.must(l.Err())
	return names
}

// publicDir is a temporary directory that other users can reach: that of
// package testing lies in one that only its owner may enter.
func publicDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantErr fails unless err is a PathError around want that tells nothing of
// the host.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
	if err == nil {
		return
	}
	if _, ok := err.(*fs.PathError); !ok {
		t.Errorf("%s: %T is no *fs.PathError", what, err)
	}
	if strings.Contains(err.Error(), "/tmp") || strings.Contains(err.Error(), "/home/") {
		t.Errorf("%s: %q holds a host path", what, err)
	}
}
