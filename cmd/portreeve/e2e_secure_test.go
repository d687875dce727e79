//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An errand has one program do all that it is used for, in one way to connect.
type errand struct {
	title string // with the number of its case
	c     client
	do    func(t *testing.T, d *site, j job, dir string)
}

var errands = []errand{
	{"T315 curl stores, fetches, resumes, lists and describes", curl, runCurl},
	{"T316 lftp mirrors, resumes, fetches in parts and removes", lftp, runLftp},
	{"T317 wget fetches trees, goes on, and takes only what is new", wget, runWget},
	{"T318 ncftp stores and fetches with times", ncftp, runNcftp},
	{"T318 tnftp stores and fetches, many too, with times", tnftp, runTnftp},
	{"T318 inetutils-ftp stores and fetches, many too", inetutils, runInetutils},
	{"T319 ftplib stores, fetches, aborts, lists and asks", ftplib, runFtplib},
}

// TestErrands has each program at work, in clear and behind TLS, as the server is
// when nothing but a certificate is configured; T321 is the same over IPv6.
func TestErrands(t *testing.T) {
	t.Parallel()
	d, _ := secureSite(t)
	for _, r := range errands {
		t.Run(r.title, func(t *testing.T) {
			needs(t, r.c.programs...)
			for _, tls := range r.c.protections() {
				m := r.c.modes[0]
				m.tls = tls
				t.Run(m.String(), func(t *testing.T) { r.in(t, d, m) })
			}
		})
	}
	t.Run("T321 over IPv6", func(t *testing.T) {
		for _, r := range errands {
			if r.c.name == ncftp.name { // it has no IPv6
				continue
			}
			for _, tls := range r.c.protections() {
				m := epsv6
				m.tls = tls
				t.Run(r.c.name+"-"+m.String(), func(t *testing.T) { r.in(t, d, m) })
			}
		}
	})
}

func (r errand) in(t *testing.T, d *site, m mode) {
	t.Parallel()
	dir := m.String() + "-" + r.c.name
	d.mkdir(t, dir)
	r.do(t, d, d.job(t, m, "alice", dir, ""), dir)
	d.wantCommand(t, m.verb, dir)
}

// textFile makes a file of lines.
func textFile(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	writeFile(t, path, []byte("the first line\nthe second, äöü\n\nthe last\n"))
	return path
}

// part makes a file of the first bytes of another.
func part(t testing.TB, whole string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "part")
	writeFile(t, path, readFile(t, whole)[:size])
	return path
}

// smallTree makes folders and files, some empty, with times of their own.
func smallTree(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "tree")
	for i, name := range []string{"a", "b c/d", "b c/ä", "b c/e/f", "b c/e/日本", "g", "empty", "large"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		size := map[string]int{"empty": 0, "large": 100_000}[name]
		if size == 0 && name != "empty" {
			size = 500 * (i + 1)
		}
		writeFile(t, path, []byte(strings.Repeat(name, size)))
		if err := os.Chtimes(path, then, then.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plant copies a tree into the users' home, times and all, which must not be there.
func (d *site) plant(t testing.TB, from, name string) {
	t.Helper()
	if err := os.CopyFS(d.path(name), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(d.path(name), strings.TrimPrefix(path, from))
		return errors.Join(os.Chown(to, d.uid, -1), os.Chtimes(to, info.ModTime(), info.ModTime()))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// contains checks that a program printed something.
func contains(t testing.TB, out, want string) {
	t.Helper()
	if !strings.Contains(out, want) {
		t.Errorf("%q is not in what it printed:\n%s", want, out)
	}
}

func runCurl(t *testing.T, d *site, j job, dir string) {
	sent, text := randomFile(t, 3<<20+1), textFile(t, "text")
	at := j.url() + "/"
	local := func(name string) string { return filepath.Join(t.TempDir(), name) }
	do := func(args ...string) string { t.Helper(); return curlArgs(j, args...).must(t) }

	do("--ftp-create-dirs", "-T", sent, at+"new/deeper/file")
	sameContent(t, sent, d.path(dir+"/new/deeper/file"))
	for _, how := range [][]string{{}, {"--no-sessionid"}, {"--disable-epsv"}, {"--ftp-method", "nocwd"}, {"--ftp-method", "singlecwd"}} {
		got := local("got")
		do(append(how, "-o", got, at+"new/deeper/file")...)
		sameContent(t, sent, got)
	}
	do("--no-sessionid", "-T", sent, at+"full")
	sameContent(t, sent, d.path(dir+"/full"))
	do("--remote-time", "--parallel", "--create-dirs", "-o", local("a"), at+"full", "-o", local("b"), at+"new/deeper/file")

	half := part(t, sent, 1<<20)
	d.place(t, half, dir+"/resumed")
	do("-C", "-", "-o", half, at+"new/deeper/file")
	sameContent(t, sent, half)
	do("-C", "-", "-T", sent, at+"resumed")
	sameContent(t, sent, d.path(dir+"/resumed"))
	do("--append", "-T", text, at+"twice")
	do("--append", "-T", text, at+"twice")
	if want := bytes.Repeat(readFile(t, text), 2); !bytes.Equal(readFile(t, d.path(dir+"/twice")), want) {
		t.Error("what was appended is not there twice")
	}

	if j.tls != inClear {
		do("--tls-max", "1.2", "-T", sent, at+"full")
		sameContent(t, sent, d.path(dir+"/full"))
	}
	for path, exit := range map[string]string{"nothing": "78", "nowhere/nothing": "9"} {
		if out, err := curlArgs(j, at+path).run(t); err == nil || err.Error() != "exit status "+exit {
			t.Errorf("fetching %s: %v\n%s", path, err, out)
		}
	}
	runCurlAsking(t, d, j, dir)
}

// runCurlAsking is what curl does besides moving whole files.
func runCurlAsking(t *testing.T, d *site, j job, dir string) {
	text, at := textFile(t, "text"), j.url()+"/"
	do := func(args ...string) string { t.Helper(); return curlArgs(j, args...).must(t) }

	d.place(t, text, dir+"/text")
	for r, want := range map[string]string{"4-8": "first", "-5": "last\n", "27-": "äöü\n\nthe last\n"} {
		if got := do("-r", r, at+"text"); got != want {
			t.Errorf("range %s is %q", r, got)
		}
	}
	os.Chtimes(d.path(dir+"/text"), then, then)
	head := do("-I", at+"text")
	contains(t, head, "Last-Modified: Thu, 02 Jan 2020 03:04:05 GMT")
	contains(t, head, fmt.Sprintf("Content-Length: %d", sizeOf(text)))
	if got := do("-z", "20200103", at+"text"); got != "" {
		t.Errorf("it fetched what is not newer: %q", got)
	}

	if got := do("-B", at+"text"); got != string(readFile(t, text)) {
		t.Errorf("in ASCII it is %q", got)
	}
	do("-B", "--crlf", "-T", text, at+"ascii")
	sameContent(t, text, d.path(dir+"/ascii"))

	if got := do("-l", at); got != "ascii\nfull\nnew\nresumed\ntext\ntwice\n" {
		t.Errorf("the names are %q", got)
	}
	contains(t, do(at), fmt.Sprintf(" %d Jan  2  2020 text", sizeOf(text)))
	do("-Q", "DELE /"+dir+"/ascii", "-Q", "-RNFR full", "-Q", "-RNTO full 2", "-o", os.DevNull, at)
	if sizeOf(d.path(dir+"/ascii")) >= 0 || sizeOf(d.path(dir+"/full 2")) < 0 {
		t.Error("it did not remove or rename")
	}
}

func runLftp(t *testing.T, d *site, j job, dir string) {
	here, sent := smallTree(t), randomFile(t, 3<<20+1)
	want := treeOf(t, here)
	for _, sync := range []string{"on", "off"} { // off: it sends commands before it has the replies to the last
		there, back, got := "/"+dir+"/"+sync, t.TempDir(), filepath.Join(t.TempDir(), "got")
		half := part(t, sent, 1<<20)
		out := lftpScript(j, "set ftp:sync-mode "+sync,
			"mirror -R --parallel=2 "+quote(here)+" "+there,
			"mirror --parallel=2 "+there+" "+quote(back),
			"put "+quote(half)+" -o "+there+"/resumed",
			"put -c "+quote(sent)+" -o "+there+"/resumed",
			"get -c "+there+"/resumed -o "+quote(half),
			"pget -n 3 "+there+"/resumed -o "+quote(got),
			"mrm "+there+"/res*",
			"mv "+there+"/a "+there+"/z", "mv "+there+"/z "+there+"/a", "chmod 600 "+there+"/a",
			"cat "+there+"/b\\ c/d", "du -s "+there, "find "+there, "ls -la "+there, "nlist "+there).must(t)
		contains(t, out, strings.Repeat("b c/d", 3))
		sameTree(t, "up, sync-mode "+sync, want, treeOf(t, d.path(dir+"/"+sync)))
		sameTree(t, "down, sync-mode "+sync, want, treeOf(t, back))
		sameContent(t, sent, half)
		sameContent(t, sent, got)
		lftpScript(j, "set ftp:sync-mode "+sync, "rm -r "+there).must(t)
		if _, err := os.Stat(d.path(dir + "/" + sync)); err == nil {
			t.Error("rm -r left something")
		}
	}
}

func runWget(t *testing.T, d *site, j job, dir string) {
	here, sent := smallTree(t), randomFile(t, 3<<20+1)
	d.plant(t, here, dir+"/tree")
	d.place(t, sent, dir+"/large")
	do := func(at string, args ...string) { t.Helper(); cmdline(append(wgetArgs(j, args...).args, at)...).must(t) }

	back := t.TempDir()
	do(wgetURL(j, "/"+dir+"/tree/"), "-r", "-nH", "--cut-dirs=1", "-P", back)
	// It reads LIST, where old times are known to the day.
	want, got := toTheDay(treeOf(t, here)), toTheDay(treeOf(t, filepath.Join(back, "tree")))
	maps.DeleteFunc(got, func(path, _ string) bool { return filepath.Base(path) == ".listing" })
	sameTree(t, "wget -r", want, got)

	half := part(t, sent, 1<<20)
	do(wgetURL(j, "/"+dir+"/large"), "-c", "-O", half)
	sameContent(t, sent, half)

	// With -N it takes what is newer there than here.
	file, at := "/"+dir+"/tree/g", time.Now().Add(-48*time.Hour).Truncate(time.Minute)
	for i, tt := range []struct {
		time time.Time
		want string
	}{{at, "version 0"}, {at, "version 0"}, {at.Add(time.Hour), "version 2"}, {at.Add(time.Hour), "version 2"}} {
		writeFile(t, d.path(file), fmt.Appendf(nil, "version %d", i))
		os.Chtimes(d.path(file), tt.time, tt.time)
		do(wgetURL(j, file), "-N", "-P", back)
		if got := string(readFile(t, filepath.Join(back, "g"))); got != tt.want {
			t.Errorf("after version %d of %v it has %q", i, tt.time, got)
		}
		if info, err := os.Stat(filepath.Join(back, "g")); err != nil || !info.ModTime().Equal(tt.time) {
			t.Errorf("its time is not %v: %v %v", tt.time, info, err)
		}
	}
	if out, err := cmdline(append(wgetArgs(j).args, wgetURL(j, "/"+dir+"/nothing"))...).run(t); err == nil {
		t.Errorf("it fetched what is not there:\n%s", out)
	}
}

// toTheDay takes the time of day out of a tree.
func toTheDay(tree map[string]string) map[string]string {
	for path, file := range tree {
		tree[path] = file[:max(0, len(file)-len(" 00:00:00"))]
	}
	return tree
}

func runNcftp(t *testing.T, d *site, j job, dir string) {
	here, back := smallTree(t), t.TempDir()
	want := treeOf(t, here)
	do := func(args []string, more ...string) string {
		t.Helper()
		return cmdline(append(args, more...)...).must(t)
	}
	do(ncftpArgs("ncftpput", j), "-R", "-m", j.host, "/"+dir+"/new", here)
	sameTree(t, "ncftpput -R", want, treeOf(t, d.path(dir+"/new/tree"))) // with times
	do(ncftpArgs("ncftpget", j), "-R", j.host, back, "/"+dir+"/new/tree")
	sameTree(t, "ncftpget -R", want, treeOf(t, filepath.Join(back, "tree")))
	text := textFile(t, "text")
	do(ncftpArgs("ncftpput", j), "-a", "-S", ".tmp", j.host, "/"+dir, text)
	sameContent(t, text, d.path(dir+"/text"))
	do(ncftpArgs("ncftpput", j), "-A", j.host, "/"+dir, text)
	if sizeOf(d.path(dir+"/text")) != 2*sizeOf(text) {
		t.Error("it did not append")
	}
	contains(t, do(ncftpArgs("ncftpls", j), "-l", j.url()+"/new/tree/"), "500000 Jan  2  2020 large")
	do(ncftpArgs("ncftpget", j), "-DD", j.host, back, "/"+dir+"/text")
	if sizeOf(d.path(dir+"/text")) >= 0 {
		t.Error("ncftpget -DD did not remove what it had fetched")
	}
}

// many makes three files, and their names for those who fetch by patterns.
func many(t testing.TB) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"m1.bin", "m2.bin", "m3.bin"} {
		path := filepath.Join(dir, name)
		writeFile(t, path, []byte(strings.Repeat(name, 5000)))
		os.Chtimes(path, then, then)
		names = append(names, name)
	}
	return dir, names
}

func runTnftp(t *testing.T, d *site, j job, dir string) {
	here, names := many(t)
	back, text := t.TempDir(), textFile(t, "text")
	os.Chtimes(text, then, then)
	out := tnftpScript(j, "cd /"+dir, "lcd "+quote(here), "mput m*.bin", "mkdir sub", "cd sub", "put "+quote(text)+" text",
		"append "+quote(text)+" text", "ascii", "put "+quote(text)+" ascii", "binary", "cdup", "rename sub/ascii ascii",
		"modtime m1.bin", "size m1.bin", "mls m1.bin", "mlsd", "mlst m1.bin", "ls -la", "nlist", "pwd",
		"lcd "+quote(back), "mget m*.bin", "delete m3.bin", "delete sub/text", "rmdir sub", "newer m1.bin", "status", "rstatus", "system", "chmod 600 ascii", "umask", "idle", "features").must(t)
	for i, name := range names {
		sameContent(t, filepath.Join(here, name), filepath.Join(back, name))
		if i < 2 {
			sameContent(t, filepath.Join(here, name), d.path(dir+"/"+name))
		} else if sizeOf(d.path(dir+"/"+name)) >= 0 {
			t.Errorf("%s was not removed", name)
		}
		stored, err := os.Stat(d.path(dir + "/m1.bin"))
		info, err2 := os.Stat(filepath.Join(back, name))
		if err != nil || err2 != nil || i == 0 && info.ModTime().Unix() != stored.ModTime().Unix() {
			t.Errorf("the time of %s was not kept", name)
		}
	}
	sameContent(t, text, d.path(dir+"/ascii"))
	if _, err := os.Stat(d.path(dir + "/sub")); err == nil {
		t.Error("the folder was not removed")
	}
	for _, want := range []string{"m1.bin\t30000", "type=file;", "Remote directory: /" + dir + "\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func runInetutils(t *testing.T, d *site, j job, dir string) {
	here, names := many(t)
	back, text := t.TempDir(), textFile(t, "text")
	out := inetutilsScript(j, "cd /"+dir, "lcd "+quote(here), "mput m1.bin m2.bin m3.bin", "mkdir sub", "cd sub", "put "+quote(text)+" text",
		"append "+quote(text)+" text", "ascii", "put "+quote(text)+" ascii", "binary", "cdup", "rename sub/ascii ascii",
		"sunique", "put "+quote(text)+" ascii", "sunique",
		"modtime m1.bin", "size m1.bin", "dir", "nlist", "pwd",
		"lcd "+quote(back), "mget m*.bin", "delete m3.bin", "delete sub/text", "rmdir sub", "newer m1.bin", "status", "rstatus", "system", "chmod 600 ascii", "umask", "idle").must(t)
	for i, name := range names {
		sameContent(t, filepath.Join(here, name), filepath.Join(back, name))
		if i < 2 {
			sameContent(t, filepath.Join(here, name), d.path(dir+"/"+name))
		} else if sizeOf(d.path(dir+"/"+name)) >= 0 {
			t.Errorf("%s was not removed", name)
		}
	}
	sameContent(t, text, d.path(dir+"/ascii"))
	entries, err := os.ReadDir(d.path(dir))
	if err != nil || len(entries) != 4 {
		t.Errorf("m1.bin, m2.bin, ascii and one like it should be there: %v %v", entries, err)
	}
	if t.Failed() {
		t.Log(out)
	}
}

func runFtplib(t *testing.T, d *site, j job, dir string) {
	sent := randomFile(t, 8<<20)
	script := filepath.Join(t.TempDir(), "run.py")
	writeFile(t, script, []byte(ftplibSecure+ftplibRun))
	out := cmdline("python3", script, string(j.tls), j.host, j.port, j.user, password, dir, sent).must(t)
	contains(t, out, "all done")
	sameContent(t, sent, d.path(dir+"/whole"))
}

const ftplibRun = `
import io, sys
tls, host, port, user, password, folder, sent = sys.argv[1:]
content = open(sent, "rb").read()
ftp = connect(tls, host, port, user, password)
def fetch(name, rest=None):
    got = io.BytesIO(); ftp.retrbinary("RETR " + name, got.write, rest=rest); return got.getvalue()
def must(what, ok):
    if not ok: sys.exit("failed: " + what)
def refused(what, code):
    try: what()
    except ftplib.error_perm as e: must(str(e), str(e).startswith(code)); return
    sys.exit("not refused")
must("pwd", ftp.cwd("/" + folder).startswith("250") and ftp.pwd() == "/" + folder)
must("mkd", ftp.mkd('a "new" one') == "/" + folder + '/a "new" one')
ftp.cwd('a "new" one'); ftp.cwd(".."); ftp.rmd('a "new" one')
for name in ["whole", "it's ä"]:
    must("store", ftp.storbinary("STOR " + name, io.BytesIO(content)).startswith("226"))
    must("fetch", fetch(name) == content)
must("rest", fetch("whole", 5000001) == content[5000001:])
must("rest of a store", ftp.storbinary("STOR it's ä", io.BytesIO(content[4000000:]), rest=4000000).startswith("226") and fetch("it's ä") == content)
must("append", ftp.storbinary("APPE it's ä", io.BytesIO(b"more")).startswith("226") and fetch("it's ä") == content + b"more")
must("empty", ftp.storbinary("STOR empty", io.BytesIO()).startswith("226") and fetch("empty") == b"")
must("lines", ftp.storlines("STOR text", io.BytesIO("one\nzwei ö\n\nlast".encode())).startswith("226"))
lines = []; ftp.retrlines("RETR text", lines.append)
must("the same lines", lines == ["one", "zwei ö", "", "last"])
must("size", ftp.voidcmd("TYPE I") and ftp.size("whole") == len(content))
must("mdtm", ftp.sendcmd("MFMT 20200102030405 whole").startswith("213") and ftp.sendcmd("MDTM whole") == "213 20200102030405")
names = dict(ftp.mlsd(facts=["type", "size", "modify", "perm", "unique"]))
must("mlsd", names["whole"]["size"] == str(len(content)) and names["whole"]["modify"] == "20200102030405" and names["."]["type"] == "cdir")
must("nlst", sorted(ftp.nlst()) == ["empty", "it's ä", "text", "whole"])
listing = []; ftp.dir(listing.append); must("list", len(listing) == 4)
ftp.voidcmd("TYPE I")
for again in range(3):
    conn, size = ftp.ntransfercmd("RETR whole")
    must("size in the reply", size == len(content))
    conn.recv(100)
    said = ftp.abort()
    conn.close()
    must("abort: " + said, said[:3] in ("426", "225", "226"))
    if said[:3] == "426": must("its end", ftp.voidresp().startswith("226"))
must("after abort", fetch("text") == "one\nzwei ö\n\nlast\n".encode())
must("noop", ftp.voidcmd("NOOP").startswith("200"))
must("rename", ftp.rename("it's ä", "other").startswith("250"))
must("delete", ftp.delete("other").startswith("250"))
refused(lambda: fetch("nothing"), "550")
refused(lambda: ftp.storbinary("STOR nowhere/nothing", io.BytesIO(b"x")), "55")
refused(lambda: ftp.cwd("nowhere"), "550")
must("after what was refused", fetch("empty") == b"")
must("quit", ftp.quit().startswith("221"))
print("all done")
`

// T320 Java's commons-net in clear, with explicit and with implicit TLS.
func TestCommonsNetT320(t *testing.T) {
	t.Parallel()
	d, _ := secureSite(t)
	sent := randomFile(t, 3<<20+1)
	script, err := filepath.Abs("testdata/parsers/CommonsNetFiles.java")
	if err != nil {
		t.Fatal(err)
	}
	for how, port := range map[string]string{"clear": d.port4, "explicit": d.port4, "implicit": d.implicitPort(t, "127.0.0.1")} {
		t.Run(how, func(t *testing.T) {
			out := cmdline("java", "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-cp", commonsNet, script, how, port, "alice", password, sent).must(t)
			contains(t, out, "all done")
		})
	}
}

// T319 ftplib and curl go back to a control connection in clear, where that is
// allowed; data stays protected.
func TestClearCommandsT319(t *testing.T) {
	t.Parallel()
	d, _ := secureSite(t, "AllowCCC yes")
	sent := randomFile(t, 1<<20+1)
	script := filepath.Join(t.TempDir(), "ccc.py")
	writeFile(t, script, []byte(ftplibSecure+`
import sys
port, password, sent = sys.argv[1:]
ftp = connect("explicit", "127.0.0.1", port, "alice", password)
assert ftp.ccc().startswith("200") and ftp.sock.version() is None
assert ftp.storbinary("STOR python", open(sent, "rb")).startswith("226")
got = []
assert ftp.retrbinary("RETR python", got.append).startswith("226") and b"".join(got) == open(sent, "rb").read()
assert ftp.nlst() == ["python"] and ftp.pwd() == "/" and ftp.quit().startswith("221")
`))
	cmdline("python3", script, d.port4, password, sent).must(t)
	sameContent(t, sent, d.path("python"))

	j := d.job(t, mode{verb: "EPSV", tls: explicit}, "alice", "curl", sent)
	for _, how := range []string{"passive", "active"} { // who ends TLS first
		got := filepath.Join(t.TempDir(), "got")
		curlArgs(j, "--ftp-ssl-ccc-mode", how, "-T", sent, j.url()).must(t)
		curlArgs(j, "--ftp-ssl-ccc-mode", how, "-o", got, j.url()).must(t)
		sameContent(t, sent, got)
	}
	eventually(t, "all have said CCC", func() bool { return d.commands("CCC", "") == 5 })
}

// Status tells which clients would not be served if TLSDataBinding demanded more,
// by what they call themselves or by how they begin.
func TestStatusTellsWhoResumes(t *testing.T) {
	t.Parallel()
	d, _ := secureSite(t)
	sent := randomFile(t, 10_000)
	for _, c := range clients {
		if c.secures {
			d.mkdir(t, c.name)
			m := c.modes[0]
			m.tls = explicit
			name := c.name + "/file"
			d.place(t, sent, name)
			c.get(d.job(t, m, "alice", name, filepath.Join(t.TempDir(), "got"))).must(t)
		}
	}
	j := d.job(t, mode{verb: "EPSV", tls: explicit}, "alice", "", "")
	out := d.must(t, "status")
	for _, want := range []string{
		"unknown, begins as curl: 1 connections resumed their session\n",
		"unknown, begins as wget: 1 connections resumed their session\n",
		"unknown, begins as Python's ftplib, Java's commons-net: 0 connections resumed their session, 0 another of the user, 1 none: TLSDataBinding user or strict would refuse it\n",
	} {
		contains(t, out, want)
	}
	if !regexp.MustCompile(`lftp/\S+: \d+ connections resumed their session\n`).MatchString(out) {
		t.Errorf("lftp is missing:\n%s", out)
	}
	curlArgs(j, "--no-sessionid", "-o", os.DevNull, j.at("/curl/file")).must(t)
	contains(t, d.must(t, "status"), "unknown, begins as curl: 1 connections resumed their session, 0 another of the user, 1 none: TLSDataBinding user")
}
