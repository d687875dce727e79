package server

import (
	"fmt"
	"io"
	"os"
	"os/exec"
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

// listCase runs one case against a server of its own, in virtual time.
func listCase(t *testing.T, name string, run func(t *testing.T, r *rig, c *client), edits ...func(*Config)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := newRig(t, edits...)
			run(t, r, r.login())
		})
	})
}

// listed wants the names of LIST to be these, in this order.
func (c *client) listed(command string, want ...string) {
	c.t.Helper()
	data, code := c.retr("%s", command)
	if got := lsNames(c.t, data); code != 226 || !slices.Equal(got, want) {
		c.t.Errorf("%s: %d %q, want %q", command, code, got, want)
	}
}

// furnish makes a home with one thing of each kind.
func furnish(t *testing.T, r *rig) {
	t.Helper()
	r.put("a b.txt", "hello")
	r.put(".hidden", "x")
	mkdir(t, r, "sub")
	r.put("sub/in", "x")
	r.put("sub/.dot", "x")
	link(t, r, "a b.txt", "link")
	link(t, r, "/etc/passwd", "out")
	link(t, r, "nowhere", "dangling")
}

func TestLISTForm(t *testing.T) {
	listCase(t, "T194 lines are columns", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		data, code := c.retr("LIST -a")
		lines := splitLines(t, data)
		if code != 226 || len(lines) != 8 {
			t.Fatalf("%d, %d lines: %q", code, len(lines), lines)
		}
		for _, line := range lines {
			if !lsLine.MatchString(line) || strings.ContainsRune("0123456789", rune(line[0])) {
				t.Errorf("line %q is not in the form of ls", line)
			}
		}
	})
	listCase(t, "T195 lines end alike in either type", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		c.cmd(200, "TYPE A")
		ascii, _ := c.retr("LIST")
		c.cmd(200, "TYPE I")
		image, code := c.retr("LIST")
		if code != 226 || ascii != image || len(splitLines(t, image)) != 5 {
			t.Errorf("TYPE A %q, TYPE I %q", ascii, image)
		}
	})
	listCase(t, "T198 a file, a folder, a link", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		c.listed("LIST a b.txt", "a b.txt")
		for _, path := range []string{"sub", "sub/", "/sub", "./sub"} {
			c.listed("LIST "+path, "in")
		}
		link(t, r, "sub", "ls")
		c.listed("LIST ls/", "in")
		c.listed("LIST -d sub", "sub")
	})
	listCase(t, "T199 a folder with a blank in its name", func(t *testing.T, r *rig, c *client) {
		mkdir(t, r, "with space")
		r.put("with space/in", "x")
		c.listed("LIST with space", "in")
		c.listed("LIST -l with space", "in")
	})
	listCase(t, "T200 options", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(r.home, "a b.txt"), at, at); err != nil {
			t.Fatal(err)
		}
		plain := []string{"a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub"}
		almost := append([]string{".hidden"}, plain...)
		all := append([]string{".", ".."}, almost...)
		for options, want := range map[string][]string{
			"-a": all, "-la": all, "-al": all, "-l -a": all, "-A": almost, "-z": plain, "-": plain, "-l": plain,
			"-r":   {"sub", "out -> ?", "link -> a b.txt", "dangling -> nowhere", "a b.txt"},
			"-alF": {"./", "../", ".hidden", "a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub/"},
			"-d":   {"."},
			"-L":   {"a b.txt", "dangling -> nowhere", "link", "out -> ?", "sub"},
		} {
			c.listed("LIST "+options, want...)
		}
		r.put("sub/large", "much")
		c.listed("LIST -lS sub", "large", "in")
		c.listed("LIST -rlS sub", "in", "large")
		data, _ := c.retr("LIST -lat") // links are of one moment
		names := lsNames(t, data)
		if slices.Index(names, "a b.txt") != len(names)-1 || slices.Index(names, ".hidden") < 0 {
			t.Errorf("LIST -lat: %q", names)
		}
		if data, _ := c.retr("LIST -1t"); !strings.HasSuffix(data, "\r\na b.txt\r\n") {
			t.Errorf("LIST -1t: %q", data)
		}
		if data, _ := c.retr("LIST -1tr"); !strings.HasPrefix(data, "a b.txt\r\n") {
			t.Errorf("LIST -1tr: %q", data)
		}
	})
	listCase(t, "T201 options before a path", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		r.put("-a", "x")
		c.listed("LIST -a sub", ".", "..", ".dot", "in")
		c.listed("LIST -- -a", "-a")
		c.listed("LIST -a", "-a") // T202: it is the name of a file
	})
	listCase(t, "T211 links", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		c.listed("LIST", "a b.txt", "dangling -> nowhere", "link -> a b.txt", "out -> ?", "sub")
		c.listed("LIST link", "link -> a b.txt")
		c.listed("LIST dangling", "dangling -> nowhere")
		c.listed("LIST -L link", "link")
	})
}

func TestLISTTimes(t *testing.T) {
	// Virtual time begins with the year 2000, at midnight.
	const day = 24 * time.Hour
	listCase(t, "T204, T205 the hour of half a year, and the year of other times", func(t *testing.T, r *rig, c *client) {
		for name, c := range map[string]struct {
			age  time.Duration
			want string
		}{
			"a": {0, "Jan  1 00:00"},
			"b": {179*day + 90*time.Minute, "Jul  5 22:30"},
			"c": {181 * day, "Jul  4  1999"},
			"d": {-30 * time.Second, "Jan  1 00:00"},
			"e": {-2 * day, "Jan  3  2000"},
			"f": {time.Since(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)), "Feb  3  2001"},
			"g": {time.Since(time.Unix(0, 0)), "Jan  1  1970"},
			"h": {time.Since(time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)), "Dec 31  1969"},
		} {
			r.put(name+c.want, "x")
			at := time.Now().Add(-c.age)
			if err := os.Chtimes(filepath.Join(r.home, name+c.want), at, at); err != nil {
				t.Fatal(err)
			}
		}
		data, _ := c.retr("LIST")
		for _, line := range splitLines(t, data) {
			when, name := line[len(line)-26:len(line)-14], line[len(line)-12:]
			if when != name {
				t.Errorf("%q for %q", when, name)
			}
		}
	})
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	listCase(t, "T235 LIST is of the zone that was chosen, all else of UTC", func(t *testing.T, r *rig, c *client) {
		r.put("f", "x")
		for at, want := range map[time.Time]string{
			time.Date(1999, 12, 31, 3, 4, 5, 0, time.UTC):   "Dec 30 22:04 f",
			time.Date(1999, 10, 1, 3, 4, 5, 0, time.UTC):    "Sep 30 23:04 f", // an hour less in summer
			time.Date(1996, 1, 1, 4, 59, 59, 0, time.UTC):   "Dec 31  1995 f",
			time.Date(1999, 10, 31, 5, 59, 59, 0, time.UTC): "Oct 31 01:59 f", // the hour that comes twice
			time.Date(1999, 10, 31, 6, 0, 1, 0, time.UTC):   "Oct 31 01:00 f",
		} {
			if err := os.Chtimes(filepath.Join(r.home, "f"), at, at); err != nil {
				t.Fatal(err)
			}
			if data, _ := c.retr("LIST"); !strings.HasSuffix(data, " "+want+"\r\n") {
				t.Errorf("LIST of %s: %q", at, data)
			}
			stamp := at.Format(stamp)
			if data, _ := c.retr("MLSD"); !strings.Contains(data, ";modify="+stamp+";") {
				t.Errorf("MLSD of %s: %q", at, data)
			}
			if text := c.cmd(213, "MDTM f"); text != "213 "+stamp {
				t.Errorf("MDTM of %s: %q", at, text)
			}
		}
	}, func(c *Config) { c.ListZone = newYork })
}

func TestStampIsTimesOwn(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(1795354500, 5), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(12345, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2020, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600))} {
		if got, want := formatTime(at), at.UTC().Format(stamp); got != want {
			t.Errorf("%s is written %s, want %s", at, got, want)
		}
	}
}

// Columns of unusual entries.
func TestLongLine(t *testing.T) {
	at := time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		info vfs.Info
		want string
	}{
		{"plain", vfs.Info{Name: "f", Mode: 0o644, Size: 1234, Nlink: 1, UID: 7, GID: 8, ModTime: at},
			"-rw-r--r--    1 7          8                1234 Feb  3  2001 f"},
		{"T206, T207, T208 a large file of somebody with blanks in the name", vfs.Info{Name: " x  y ", Mode: 0o644, Size: 1<<63 - 1, Nlink: 1234567, UID: 1000, GID: 1000, ModTime: at},
			"-rw-r--r-- 1234567 some_user  some_user  9223372036854775807 Feb  3  2001  x  y "},
		{"a folder", vfs.Info{Name: "d", Mode: os.ModeDir | os.ModeSticky | 0o1777&0o777, Nlink: 0, UID: 7, GID: 8, ModTime: at},
			"drwxrwxrwt    1 7          8                   0 Feb  3  2001 d"},
		{"set-id bits", vfs.Info{Name: "s", Mode: os.ModeSetuid | os.ModeSetgid | 0o654, Nlink: 1, UID: 7, GID: 8, ModTime: at},
			"-rwSr-sr--    1 7          8                   0 Feb  3  2001 s"},
		{"a link", vfs.Info{Name: "l", Mode: os.ModeSymlink | 0o777, Nlink: 1, UID: 7, GID: 8, ModTime: at, Target: "a b"},
			"lrwxrwxrwx    1 7          8                   0 Feb  3  2001 l -> a b"},
	} {
		s := &session{account: &auth.Account{UID: 1000, GID: 1000}, shownAs: columnName("some user"), cfg: &Config{ListZone: time.UTC}}
		l := &ls{s: s, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		if got := string(l.long()(nil, &c.info)); got != c.want+"\r\n" {
			t.Errorf("%s: got\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

func TestNLSTLong(t *testing.T) {
	listCase(t, "T223 NLST -l is LIST", func(t *testing.T, r *rig, c *client) {
		furnish(t, r)
		long, _ := c.retr("LIST")
		if data, code := c.retr("NLST -l"); code != 226 || data != long {
			t.Errorf("NLST -l: %d %q, LIST: %q", code, data, long)
		}
	})
}

// What would forge a line, and what is no file, is in no listing.
func TestListHides(t *testing.T) {
	listCase(t, "T209, T212 control bytes, pipes, sockets and devices", func(t *testing.T, r *rig, c *client) {
		r.put("ok", "x")
		r.put("evil\n-rw-r--r-- 1 root root 0 Jan 1 2000 forged", "x")
		r.put("bell\a", "x")
		r.put(".pureftpd-upload.123", "x")
		r.put(".ftpquota", "x")
		if err := syscall.Mkfifo(filepath.Join(r.home, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		t.Chdir(r.home) // the address of a socket is short
		if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: "socket"}); err != nil {
			t.Fatal(err)
		}
		_ = exec.Command("mknod", "device", "c", "1", "3").Run() // who may not make devices has none to hide
		for _, cmd := range []string{"LIST -1a", "NLST -a", "MLSD"} {
			data, _ := c.retr("%s", cmd)
			for _, line := range splitLines(t, data) {
				if name := line[strings.LastIndexByte(line, ' ')+1:]; name != "ok" && name != "." && name != ".." {
					t.Errorf("%s: %q", cmd, line)
				}
			}
		}
		if text := c.cmd(212, "STAT /"); strings.Count(text, "\n") != 2 || !strings.Contains(text, " ok\n") {
			t.Errorf("STAT: %q", text)
		}
		c.passive()
		for _, name := range []string{"fifo", "socket"} {
			c.cmd(550, "RETR %s", name)
			c.cmd(550, "LIST %s", name)
			c.cmd(550, "STAT %s", name)
			c.cmd(550, "MLST %s", name)
		}
	})
}

// Listings have bounds.
func TestListBounds(t *testing.T) {
	listCase(t, "T213 a folder with more than may be listed", func(t *testing.T, r *rig, c *client) {
		for i := range 1300 {
			r.put(fmt.Sprintf("f%04d", i), "")
		}
		for _, cmd := range []string{"LIST", "NLST", "LIST -t", "LIST f*"} {
			conn := c.passive()
			c.cmd(150, "%s", cmd)
			data, err := io.ReadAll(conn)
			if n := len(splitLines(t, string(data))); n != 1200 || err != nil {
				t.Errorf("%s has %d lines, %v", cmd, n, err)
			}
			if text := c.want(226); text != "226 Listing truncated to 1200 entries" {
				t.Errorf("%s: %q", cmd, text)
			}
		}
		data, _ := c.retr("MLSD")
		if n := len(splitLines(t, data)); n != 1201 { // and the folder itself
			t.Errorf("MLSD has %d lines", n)
		}
	}, func(c *Config) { c.ListEntries = 1200 })
	listCase(t, "T216 a folder that goes away while it is listed", func(t *testing.T, r *rig, c *client) {
		mkdir(t, r, "d")
		for i := range 3000 {
			r.put(fmt.Sprintf("d/f%04d", i), "")
		}
		for _, cmd := range []string{"LIST d", "MLSD d", "LIST -R", "NLST -F d"} {
			conn := c.passive()
			c.cmd(150, "%s", cmd)
			if err := os.RemoveAll(filepath.Join(r.home, "d")); err != nil { // before anything is read
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); err != nil {
				t.Errorf("%s: %v", cmd, err)
			}
			if code, text, err := c.read(); err != nil || code != 226 && code != 451 {
				t.Errorf("%s: %q, %v", cmd, text, err)
			}
			mkdir(t, r, "d")
			for i := range 3000 {
				r.put(fmt.Sprintf("d/f%04d", i), "")
			}
		}
	})
	t.Run("a search ends", func(t *testing.T) {
		l := &ls{now: time.Now().Add(-maxSearch - time.Second), search: true}
		l.sending.Store(int64(2 * time.Second))
		if l.stopped() {
			t.Error("the client's time counts")
		}
		l.sending.Store(0)
		if !l.stopped() || l.end().code != 226 || !strings.Contains(l.end().text.String(), "truncated") {
			t.Error("it goes on")
		}
		if (&ls{now: time.Now().Add(-time.Hour)}).stopped() {
			t.Error("so does a listing that is no search")
		}
	})
}

// STAT of a path is a reply, which no name of a file ends.
func TestStatPath(t *testing.T) {
	listCase(t, "T217, T218 STAT of a folder, of a file and of nothing", func(t *testing.T, r *rig, c *client) {
		mkdir(t, r, "sub")
		r.put("sub/213 x", "x")
		r.put("sub/212 y", "x")
		r.put("f", "x")
		text := c.cmd(212, "STAT sub")
		lines := strings.Split(text, "\n")
		if len(lines) != 4 || lines[0] != "212-Status of sub:" || lines[3] != "212 End" {
			t.Fatalf("STAT: %q", text)
		}
		for _, line := range lines[1:3] {
			if !strings.HasPrefix(line, " ") || !lsLine.MatchString(line[1:]) {
				t.Errorf("line %q", line)
			}
		}
		c.cmd(213, "STAT f")
		c.cmd(213, "STAT sub/213 x")
		c.cmd(213, "STAT -d sub")
		c.cmd(212, "STAT -la /")
		c.cmd(212, "STAT sub/2*")
		c.cmd(550, "STAT nosuch")
		c.cmd(211, "STAT")
	})
	listCase(t, "STAT of a large folder", func(t *testing.T, r *rig, c *client) {
		for i := range maxStat + 1 {
			r.put(fmt.Sprint(i), "")
		}
		text := c.cmd(212, "STAT /")
		if n := strings.Count(text, "\n"); n != maxStat+1 || !strings.HasSuffix(text, "\n212 Listing truncated to 2000 entries") {
			t.Errorf("%d lines, the last %q", n, text[strings.LastIndexByte(text, '\n')+1:])
		}
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
func splitLines(t testing.TB, data string) []string {
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
func lsNames(t testing.TB, data string) []string {
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
