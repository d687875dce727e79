//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// oddNames are names that have broken clients, servers or what was between
// them: the command line, the format of lists, patterns, encodings.
var oddNames = []string{
	" ", "  two", " lead", "trail ", " both ", "a  b",
	"-", "-rf", "--help", "...", "..a", ".hidden", "~", "~root", "~tilde~",
	"*", "st*r", "?", "[", "[a-z]", "br[ack]et", "{a,b}", "{", "!", "!bang", "^caret",
	"quote's", `dou"ble`, "`back`", `back\slash`, `\`, "$HOME", "$(id)", "(paren)",
	"semi;colon", "amp&ersand", "pi|pe", "<less>", "#hash", "a=b", "+plus+", "comma,", "co:lon", "at@sign",
	"100%", "%41%00", "%2e%2e%2f", "%s%n%d", "link -> target", "a/b"[:1] + "∕b", // a slash of division
	"ÄÖÜ ß", "e\u0301 decomposed", "日本語 ファイル", "許功蓋", "🎉", "\u202ertl", "no\u00a0break", "ÿÿ",
	"total 0", "drwxr-xr-x 2 root root 4096 Jan 1 00:00 x", "Type=file;Size=1; x", "226 Done",
	strings.Repeat("long", 60),
}

// oddTree makes n files with odd names in folders with odd names, of all sizes
// from none to many packets and of all ages.
func oddTree(t testing.TB, dir string, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(2, uint64(n)))
	pick := func() string { return oddNames[r.IntN(len(oddNames))] }
	folders := []string{dir}
	for i := range n / 40 {
		name := fmt.Sprintf("%.60s%d%.60s", pick(), i, pick())
		if i < len(oddNames) {
			name = oddNames[i]
		}
		parent := folders[0]
		if i%3 == 0 {
			parent = folders[r.IntN(len(folders))]
		}
		folders = append(folders, filepath.Join(parent, name))
		if err := os.MkdirAll(folders[len(folders)-1], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	content := make([]byte, 256<<10)
	newRandom(3).Read(content)
	for i := range n {
		name, folder := "", folders[r.IntN(len(folders))]
		if i < len(oddNames) {
			name, folder = oddNames[i], filepath.Join(dir, "odd")
			os.MkdirAll(folder, 0o755)
		} else {
			name = fmt.Sprintf("%.60s%d%.60s", pick(), i, pick())
		}
		size := r.IntN(3000)
		switch {
		case i%50 == 0:
			size = 0
		case i%100 == 1:
			size = r.IntN(len(content))
		}
		path := filepath.Join(folder, strings.ToValidUTF8(name, ""))
		writeFile(t, path, content[r.IntN(len(content)-size+1):][:size])
		age := time.Duration(r.Int64N(int64(20*365*24*time.Hour))) / time.Second * time.Second
		os.Chtimes(path, time.Time{}, time.Now().Add(-age).Truncate(time.Second))
	}
}

// treeOf maps the path of each file to what must be the same in a copy:
// content and time. A folder has its path only.
func treeOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if e.IsDir() {
			files[rel+"/"] = ""
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files[rel] = fmt.Sprintf("%s %d bytes %s", checksum(t, path)[:16], info.Size(), info.ModTime().UTC().Format(time.DateTime))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTree(t testing.TB, what string, want, got map[string]string) {
	t.Helper()
	wrong := 0
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		w, wanted := want[path]
		g, there := got[path]
		switch {
		case wanted && !there:
			t.Errorf("%s: %q is missing", what, path)
		case !wanted && there:
			t.Errorf("%s: %q is new", what, path)
		case w != g:
			t.Errorf("%s: %q: %s, not %s", what, path, g, w)
		default:
			continue
		}
		if wrong++; wrong == 20 {
			t.Fatalf("%s: and so on", what)
		}
	}
}

// TestMirror has lftp carry a tree of 2,000 files up, down, and up again, when
// there is nothing left to do.
func TestMirror(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	here, back := t.TempDir(), t.TempDir()
	oddTree(t, here, 2000)
	want := treeOf(t, here)

	up := d.job(t, pasv, "alice", "tree", here)
	mirrorUp := func() { lftpScript(up, "mirror -R --parallel=4 "+quote(here)+" /tree").must(t) }
	mirrorUp()
	sameTree(t, "up", want, treeOf(t, d.path("tree")))

	down := d.job(t, epsv6, "alice", "tree", back)
	lftpScript(down, "mirror --parallel=4 /tree "+quote(back)).must(t)
	sameTree(t, "down", want, treeOf(t, back))

	sent := func() int64 {
		status, err := d.status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return status.Totals.FilesUp
	}
	before := sent()
	mirrorUp()
	if n := sent() - before; before == 0 || n != 0 {
		t.Errorf("a mirror that is up to date sent %d files, after %d the first time", n, before)
	}
	sameTree(t, "up again", want, treeOf(t, d.path("tree")))
}

// TestRecursion has the clients that copy folders do so.
func TestRecursion(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	here := t.TempDir()
	for _, name := range []string{"a", "b c/d", "b c/ä", "b c/e/f", ".dot", "g", "empty"} {
		path := filepath.Join(here, "tree", name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		size := 2000
		if name == "empty" {
			size = 0
		}
		writeFile(t, path, []byte(strings.Repeat(name, size)))
		os.Chtimes(path, time.Time{}, time.Now().Add(-1000*time.Hour).Truncate(time.Minute))
	}
	want := treeOf(t, filepath.Join(here, "tree"))

	j := d.job(t, pasv, "alice", "", "")
	cmdline(append(ncftpArgs("ncftpput", j), "-R", j.host, "/", filepath.Join(here, "tree"))...).must(t)
	sameTree(t, "ncftpput -R", want, treeOf(t, d.path("tree")))

	byNcftp := t.TempDir()
	cmdline(append(ncftpArgs("ncftpget", j), "-R", j.host, byNcftp, "/tree")...).must(t)
	sameTree(t, "ncftpget -R", want, treeOf(t, filepath.Join(byNcftp, "tree")))

	byWget := t.TempDir()
	cmdline(append(wgetArgs(j, "-r", "-nH", "-P", byWget).args, j.url()+"tree/")...).must(t)
	got := treeOf(t, filepath.Join(byWget, "tree"))
	maps.DeleteFunc(got, func(path, _ string) bool { return filepath.Base(path) == ".listing" })
	sameTree(t, "wget -r", want, got)
}
