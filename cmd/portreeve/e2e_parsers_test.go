//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A listParser is a client that tells what it understood of a listing, a line for each
// entry: kind (f, d or l), size, time in seconds, name.
type listParser struct {
	name string
	run  func(d *site, scripts string) command
	// minutes and days tell that the client knows times of LIST, to the minute if
	// they are recent and to the day if not; otherwise it knows seconds.
	minutes bool
	// confused is a name that it takes apart.
	confused string
}

const commonsNet = "/usr/share/java/commons-net.jar"

var listParsers = []listParser{
	{name: "commons-net, LIST", minutes: true, run: func(d *site, scripts string) command { return javaParser(d, scripts, "LIST") }},
	{name: "commons-net, MLSD", run: func(d *site, scripts string) command { return javaParser(d, scripts, "MLSD") }},
	// It takes the last thing in a line that looks like a time for the time.
	{name: "Perl's File::Listing", minutes: true, confused: "Jan  1  2000 x", run: func(d *site, scripts string) command {
		return cmdline("perl", scripts+"/listing.pl", d.port4, "alice", password, "odd")
	}},
	{name: "Python's ftplib, MLSD", run: func(d *site, scripts string) command {
		return cmdline("python3", scripts+"/mlsd.py", d.port4, "alice", password, "odd")
	}},
	{name: "lftp, LIST", minutes: true, run: func(d *site, _ string) command { return lftpParser(d, "no") }},
	{name: "lftp, MLSD", run: func(d *site, _ string) command { return lftpParser(d, "yes") }},
}

func javaParser(d *site, scripts, verb string) command {
	return cmdline("java", "-Dfile.encoding=UTF-8", "-cp", commonsNet, scripts+"/CommonsNet.java", d.port4, "alice", password, "odd", verb)
}

// lftpParser has lftp print the fields that it knows.
func lftpParser(d *site, mlsd string) command {
	script := fmt.Sprintf("set ftp:use-mlsd %s; set ftp:timezone UTC; set cmd:interactive no; open -u alice,%s -p %s 127.0.0.1; cd odd; cls -1 -q --perms --size --block-size=1 --date --time-style=%%s", mlsd, password, d.port4)
	return cmdline("lftp", "--norc", "-c", script)
}

// TestParsers has real clients take LIST and MLSD of odd entries apart, and holds
// what they understood to what is there.
func TestParsers(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	want := oddEntries(t, d)
	scripts, err := filepath.Abs("testdata/parsers")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range listParsers {
		t.Run(p.name, func(t *testing.T) {
			out := p.run(d, scripts).must(t)
			got := map[string]string{}
			for line := range strings.Lines(out) {
				if name, rest, ok := parsed(strings.TrimSuffix(line, "\n")); ok {
					got[name] = rest
				} else {
					t.Errorf("it printed %q", line)
				}
			}
			if p.confused != "" {
				delete(got, p.confused[strings.LastIndexByte(p.confused, ' ')+1:])
			}
			for name, in := range want {
				if name == p.confused {
					continue
				}
				if have := got[name]; !p.knows(have, in) {
					t.Errorf("%q is %q, not %v", name, have, in)
				}
				delete(got, name)
			}
			if len(got) != 0 {
				t.Errorf("it found what is not there: %q", got)
			}
		})
	}
}

// lftpLine is how lftp prints an entry: a folder has a slash, and no size in MLSD.
var lftpLine = regexp.MustCompile(`^([-dl])[-rwx]{9} +(\d*) +(\d+) (.*?)/?$`)

// parsed parts a line into name and the rest.
func parsed(line string) (name, rest string, ok bool) {
	if m := lftpLine.FindStringSubmatch(line); m != nil {
		return m[4], strings.Replace(m[1], "-", "f", 1) + " " + cmp.Or(m[2], "0") + " " + m[3], true
	}
	fields := strings.SplitN(line, "\t", 4)
	if len(fields) != 4 {
		return "", "", false
	}
	return fields[3], strings.Join(fields[:3], " "), true
}

// knows tells whether what a client understood is right.
func (p listParser) knows(have string, in oddEntry) bool {
	fields := strings.Fields(have)
	if len(fields) != 3 || fields[0] != in.kind {
		return false
	}
	seconds, err := strconv.ParseInt(fields[2], 10, 64)
	when := in.time
	if p.minutes {
		unit := 24 * time.Hour
		if age := time.Since(in.time); age > 0 && age < 170*24*time.Hour {
			unit = time.Minute
		}
		when = when.Truncate(unit)
		seconds = time.Unix(seconds, 0).Truncate(unit).Unix()
	}
	return err == nil && seconds == when.Unix() && (in.kind != "f" || fields[1] == strconv.FormatInt(in.size, 10))
}

type oddEntry struct {
	kind string
	size int64
	time time.Time
}

// oddEntries makes a folder "odd" and returns what is in it.
func oddEntries(t *testing.T, d *site) map[string]oddEntry {
	t.Helper()
	d.mkdir(t, "odd")
	now := time.Now()
	old, coming := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), now.Add(48*time.Hour)
	want := map[string]oddEntry{
		"plain": {"f", 5, now.Add(-time.Hour)}, "empty": {"f", 0, now.Add(-time.Hour)}, "old": {"f", 1, old},
		"half a year": {"f", 1, now.Add(-181 * 24 * time.Hour)}, "less": {"f", 1, now.Add(-179 * 24 * time.Hour)},
		"future": {"f", 1, coming}, "large": {"f", 5 << 30, old}, "folder": {"d", 0, old}, "a folder": {"d", 0, now.Add(-time.Hour)},
		"a  b": {"f", 1, old}, "trailing ": {"f", 1, old}, "-dash": {"f", 1, old}, "x;y=z": {"f", 1, old}, "é 日本": {"f", 1, old},
		"13:33 x": {"f", 1, old}, "Jan  1  2000 x": {"f", 1, old}, "2000": {"f", 1, old}, ".dot": {"f", 1, old}, "[a]*?": {"f", 1, old},
	}
	for name, in := range want {
		path := filepath.Join(d.path("odd"), name)
		var err error
		if in.kind == "d" {
			err = os.Mkdir(path, 0o755)
		} else if err = os.WriteFile(path, nil, 0o644); err == nil {
			err = os.Truncate(path, in.size)
		}
		if err == nil {
			err = os.Chtimes(path, in.time, in.time)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return want
}

// TestWildcards has clients that match patterns themselves, by what they read in a
// listing, fetch what matches.
func TestWildcards(t *testing.T) {
	t.Parallel()
	d := startSite(t)
	d.mkdir(t, "odd")
	var want []string
	for _, name := range []string{"a1.txt", "a 2.txt", "a3.txt"} {
		writeFile(t, filepath.Join(d.path("odd"), name), []byte(name))
		want = append(want, name)
	}
	slices.Sort(want)
	writeFile(t, filepath.Join(d.path("odd"), "b.txt"), []byte("b"))
	d.mkdir(t, "odd/a.folder")
	url := "ftp://127.0.0.1:" + d.port4 + "/odd/"
	for name, run := range map[string]func(dir string) command{
		"wget": func(dir string) command {
			return cmdline("wget", "-q", "-P", dir, "--user=alice", "--password="+password, url+"a*.txt")
		},
		"lftp": func(dir string) command {
			return cmdline("lftp", "--norc", "-c", fmt.Sprintf("set ftp:use-mlsd no; open -u alice,%s -p %s 127.0.0.1; lcd %s; mget odd/a*.txt", password, d.port4, dir))
		},
		"ncftpget": func(dir string) command {
			return cmdline("ncftpget", "-V", "-u", "alice", "-p", password, "-P", d.port4, "127.0.0.1", dir, "odd/a*.txt")
		},
		"tnftp": func(dir string) command {
			return command{args: []string{"tnftp", "-n", "-i", "127.0.0.1", d.port4},
				input: "user alice " + password + "\nlcd " + dir + "\ncd odd\nmget a*.txt\nquit\n"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run(dir).must(t)
			var got []string
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				content, _ := os.ReadFile(filepath.Join(dir, e.Name()))
				got = append(got, string(content))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("fetched %q, want %q", got, want)
			}
		})
	}
}
