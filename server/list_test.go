package server

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"portreeve/server/auth"
	"portreeve/server/vfs"
)

// lsLine is the long form of a listing, as clients take it apart.
var lsLine = regexp.MustCompile(`^[-dl][-rwxsStT]{9} +\d+ [^ ]+ +[^ ]+ +\d+ [A-Z][a-z]{2} [ 0-9]\d [ 0-9:]{5} .+$`)

// T194, T195: LIST has CRLF lines in columns, in either type.
func TestListForm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("a b.txt", "hello")
		r.put(".hidden", "x")
		mkdir(t, r, "sub")
		link(t, r, "a b.txt", "link")
		link(t, r, "/etc/passwd", "out")
		link(t, r, "nowhere", "dangling")
		c := r.login()
		for _, kind := range []string{"A", "I"} {
			c.cmd(200, "TYPE %s", kind)
			data, code := c.retr("LIST")
			if code != 226 {
				t.Fatalf("LIST ended with %d", code)
			}
			lines := splitLines(t, data)
			if len(lines) != 5 {
				t.Fatalf("%d lines: %q", len(lines), lines)
			}
			for _, line := range lines {
				if !lsLine.MatchString(line) {
					t.Errorf("line %q is not in the form of ls", line)
				}
			}
		}
		for arg, want := range map[string][]string{
			"":        {"a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub"},
			"-a":      {".", "..", ".hidden", "a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub"},
			"-A":      {".hidden", "a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub"},
			"-la":     {".", "..", ".hidden", "a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub"},
			"-z":      {"a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub"},
			"-r":      {"sub", "out -> ?", "link -> a b.txt", "dangling -> nowhere", "a b.txt"},
			"-F":      {"a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub/"},
			"-d":      {"."},
			"-d sub":  {"sub"},
			"a b.txt": {"a b.txt"},
			"link":    {"link -> a b.txt"},
			"-L link": {"link"},
			"a*":      {"a b.txt"},
			"sub":     {},
			"sub/":    {},
			"/sub":    {},
			"*.zip":   {},
		} {
			data, code := c.retr("%s", strings.TrimSpace("LIST "+arg))
			if got := lsNames(t, data); code != 226 || !slices.Equal(got, want) {
				t.Errorf("LIST %s: %d %q, want %q", arg, code, got, want)
			}
		}
	})
}

// T197, T202, T203: what is there by its name is meant before options and patterns.
func TestListLiteralFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("-dash", "x")
		r.put("a*b", "x")
		r.put("ab", "x")
		mkdir(t, r, "with space")
		r.put("with space/in", "x")
		c := r.login()
		for arg, want := range map[string][]string{
			"-dash":         {"-dash"},
			"a*b":           {"a*b"},
			"-- -dash":      {"-dash"},
			"with space":    {"in"},
			"-l with space": {"in"},
		} {
			data, code := c.retr("LIST %s", arg)
			if got := lsNames(t, data); code != 226 || !slices.Equal(got, want) {
				t.Errorf("LIST %s: %d %q, want %q", arg, code, got, want)
			}
		}
		c.passive()
		c.cmd(550, "LIST nosuch")
		c.cmd(550, "NLST nosuch")
		c.cmd(550, "MLSD nosuch")
		c.cmd(501, "MLSD ab")
		c.cmd(550, "MLSD -a")
	})
}

// T204, T205: the time column of a file that is old, new or of the future.
func TestListTimes(t *testing.T) {
	now := time.Date(2026, 11, 22, 13, 33, 0, 0, time.UTC)
	l := &ls{now: now}
	for _, c := range []struct {
		t    time.Time
		want string
	}{
		{now, "Nov 22 13:33"},
		{now.Add(-179 * 24 * time.Hour), "May 27 13:33"},
		{now.Add(-181 * 24 * time.Hour), "May 25  2026"},
		{now.Add(30 * time.Second), "Nov 22 13:33"},
		{now.Add(48 * time.Hour), "Nov 24  2026"},
		{time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), "Feb  3  2001"},
		{time.Unix(0, 0), "Jan  1  1970"},
	} {
		if got := string(appendTime(nil, c.t.UTC(), l.recent(c.t))); got != c.want {
			t.Errorf("%s is written %q, want %q", c.t, got, c.want)
		}
	}
}

func TestStampIsTimesOwn(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(1795354500, 5), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(12345, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2020, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600))} {
		if got, want := formatTime(at), at.UTC().Format(stamp); got != want {
			t.Errorf("%s is written %s, want %s", at, got, want)
		}
	}
}

// T206 to T208, T211: columns of unusual entries.
func TestLongLine(t *testing.T) {
	at := time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		info vfs.Info
		want string
	}{
		{vfs.Info{Name: "f", Mode: 0o644, Size: 1234, Nlink: 1, UID: 7, GID: 8, ModTime: at},
			"-rw-r--r--    1 7          8                1234 Feb  3  2001 f"},
		{vfs.Info{Name: " x  y ", Mode: 0o644, Size: 1<<63 - 1, Nlink: 1234567, UID: 1000, GID: 1000, ModTime: at},
			"-rw-r--r-- 1234567 some_user  some_user  9223372036854775807 Feb  3  2001  x  y "},
		{vfs.Info{Name: "d", Mode: os.ModeDir | os.ModeSticky | 0o1777&0o777, Nlink: 0, UID: 7, GID: 8, ModTime: at},
			"drwxrwxrwt    1 7          8                   0 Feb  3  2001 d"},
		{vfs.Info{Name: "s", Mode: os.ModeSetuid | os.ModeSetgid | 0o654, Nlink: 1, UID: 7, GID: 8, ModTime: at},
			"-rwSr-sr--    1 7          8                   0 Feb  3  2001 s"},
		{vfs.Info{Name: "l", Mode: os.ModeSymlink | 0o777, Nlink: 1, UID: 7, GID: 8, ModTime: at, Target: "a b"},
			"lrwxrwxrwx    1 7          8                   0 Feb  3  2001 l -> a b"},
	} {
		s := &session{account: &auth.Account{UID: 1000, GID: 1000}, shownAs: columnName("some user"), cfg: &Config{ListZone: time.UTC}}
		l := &ls{s: s, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		if got := string(l.long()(nil, &c.info)); got != c.want+"\r\n" {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

// T219 to T223: NLST names what RETR takes.
func TestNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("b.txt", "x")
		r.put("a", "x")
		r.put(".dot", "x")
		mkdir(t, r, "sub")
		r.put("sub/x.txt", "x")
		r.put("sub/y", "x")
		c := r.login()
		for arg, want := range map[string]string{
			"":          "a\r\nb.txt\r\nsub\r\n",
			".":         "a\r\nb.txt\r\nsub\r\n",
			"./":        "a\r\nb.txt\r\nsub\r\n",
			"sub":       "sub/x.txt\r\nsub/y\r\n",
			"sub/":      "sub/x.txt\r\nsub/y\r\n",
			"/sub":      "/sub/x.txt\r\n/sub/y\r\n",
			"a":         "a\r\n",
			"*.txt":     "b.txt\r\n",
			"sub/*.txt": "sub/x.txt\r\n",
			"no*match":  "",
			"-a":        ".\r\n..\r\n.dot\r\na\r\nb.txt\r\nsub\r\n",
			"-A":        ".dot\r\na\r\nb.txt\r\nsub\r\n",
			"s*":        "sub\r\n",
		} {
			data, code := c.retr("%s", strings.TrimSpace("NLST "+arg))
			if code != 226 || data != want {
				t.Errorf("NLST %s: %d %q, want %q", arg, code, data, want)
			}
		}
		if data, _ := c.retr("NLST -l"); len(splitLines(t, data)) != 3 || !lsLine.MatchString(splitLines(t, data)[0]) {
			t.Errorf("NLST -l: %q", data)
		}
	})
}

// T227 to T232: MLSD's lines, and how what one may do shows in them.
func TestMLSD(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f;x=y z", "hello")
		r.put(".dot", "x")
		mkdir(t, r, "sub")
		if err := os.Link(filepath.Join(r.home, ".dot"), filepath.Join(r.home, "hard")); err != nil {
			t.Fatal(err)
		}
		c := r.login()
		facts := func(data string) map[string]string {
			m := make(map[string]string)
			for _, line := range splitLines(t, data) {
				f, name, ok := strings.Cut(line, " ")
				if !ok {
					t.Fatalf("line %q has no name", line)
				}
				m[name] = f
			}
			return m
		}
		data, _ := c.retr("MLSD")
		all := facts(data)
		if len(all) != 5 {
			t.Fatalf("MLSD of the root: %q", data)
		}
		if !strings.HasPrefix(all["."], "type=cdir;modify=") || !strings.HasPrefix(all["sub"], "type=dir;modify=") {
			t.Errorf("directories: %q, %q", all["."], all["sub"])
		}
		if !regexp.MustCompile(`^type=file;size=5;modify=\d{14};(?:create=\d{14};)?perm=\w*;unique=[0-9a-f]{16};UNIX.mode=0644;UNIX.owner=\d+;UNIX.group=\d+;$`).MatchString(all["f;x=y z"]) {
			t.Errorf("file: %q", all["f;x=y z"])
		}
		unique := regexp.MustCompile(`unique=\w+`)
		if a, b := unique.FindString(all[".dot"]), unique.FindString(all["hard"]); a != b {
			t.Errorf("hard links are %s and %s", a, b)
		}
		if a, b := unique.FindString(all[".dot"]), unique.FindString(all["f;x=y z"]); a == b {
			t.Error("two files have one unique")
		}
		data, _ = c.retr("MLSD sub")
		if sub := facts(data); len(sub) != 2 || !strings.HasPrefix(sub[".."], "type=pdir;") {
			t.Errorf("MLSD of a directory: %q", data)
		}
		// RFC 3659, section 7.5.1: without the type, the directory itself must not be listed.
		c.cmd(200, "OPTS MLST size;")
		data, _ = c.retr("MLSD sub")
		if data != "" {
			t.Errorf("MLSD without types: %q", data)
		}
		// T230: the type of the transfer does not matter.
		c.cmd(200, "TYPE A")
		ascii, _ := c.retr("MLSD")
		c.cmd(200, "TYPE I")
		if image, _ := c.retr("MLSD"); ascii != image {
			t.Errorf("TYPE A: %q, TYPE I: %q", ascii, image)
		}
	})
}

// T209, T212: what would forge a line, and what is no file, is in no listing.
func TestListHides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("ok", "x")
		r.put("evil\n-rw-r--r-- 1 root root 0 Jan 1 2000 forged", "x")
		r.put("bell\a", "x")
		r.put(".pureftpd-upload.123", "x")
		r.put(".ftpquota", "x")
		if err := syscall.Mkfifo(filepath.Join(r.home, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		c := r.login()
		for _, cmd := range []string{"LIST -a", "NLST -a", "MLSD"} {
			data, _ := c.retr("%s", cmd)
			if strings.Contains(data, "forged") || strings.Contains(data, "fifo") || strings.Contains(data, "bell") ||
				strings.Contains(data, "pureftpd") || strings.Contains(data, "ftpquota") {
				t.Errorf("%s: %q", cmd, data)
			}
		}
		if text := c.cmd(212, "STAT /"); strings.Contains(text, "forged") || !strings.Contains(text, " ok") {
			t.Errorf("STAT: %q", text)
		}
		c.passive()
		c.cmd(550, "RETR fifo")
	})
}

// T210: names are bytes.
func TestListRawNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("x\xff\xfe", "x")
		c := r.login()
		if data, _ := c.retr("NLST"); data != "x\xff\xfe\r\n" {
			t.Errorf("NLST: %q", data)
		}
	})
}

// T213, T214: listings have bounds.
func TestListBounds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.ListEntries, c.ListDepth = 10, 2 })
		for i := range 12 {
			r.put(fmt.Sprintf("f%02d", i), "x")
		}
		c := r.login()
		data, code := c.retr("LIST")
		if n := len(splitLines(t, data)); n != 10 || code != 226 {
			t.Errorf("LIST has %d lines, %d", n, code)
		}
		for _, d := range []string{"deep", "deep/a", "deep/a/b", "deep/a/b/c"} {
			mkdir(t, r, d)
		}
		link(t, r, "..", "deep/loop")
		data, _ = c.retr("LIST -R deep")
		if !strings.Contains(data, "deep/a:") || strings.Contains(data, "deep/a/b:") || strings.Contains(data, "loop:") {
			t.Errorf("LIST -R: %q", data)
		}
	})
}

// T217, T218: STAT of a path is a reply, which no name of a file ends.
func TestStatPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("213 x", "x")
		r.put("212 y", "x")
		c := r.login()
		text := c.cmd(212, "STAT /")
		lines := strings.Split(text, "\n")
		if len(lines) != 4 {
			t.Fatalf("STAT: %q", text)
		}
		for _, line := range lines[1:3] {
			if !strings.HasPrefix(line, " ") || !lsLine.MatchString(line[1:]) {
				t.Errorf("line %q", line)
			}
		}
		c.cmd(213, "STAT 213 x")
		c.cmd(550, "STAT nosuch")
		c.cmd(211, "STAT")
	})
}

func mkdir(t *testing.T, r *rig, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(r.home, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, r *rig, target, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(r.home, name)); err != nil {
		t.Fatal(err)
	}
}

// splitLines parts data into its lines, each of which must end with CRLF.
func splitLines(t *testing.T, data string) []string {
	t.Helper()
	if data == "" {
		return nil
	}
	body, ok := strings.CutSuffix(data, "\r\n")
	if !ok {
		t.Fatalf("the last line of %q has no end", data)
	}
	return strings.Split(body, "\r\n")
}

// lsNames returns the last column of a long listing.
func lsNames(t *testing.T, data string) []string {
	t.Helper()
	names := []string{}
	for _, line := range splitLines(t, data) {
		m := regexp.MustCompile(`^.{10} +\d+ \S+ +\S+ +\d+ .{12} (.*)$`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("line %q is not in the form of ls", line)
		}
		names = append(names, m[1])
	}
	return names
}
