//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pureNames are the programs that the package of Debian has, and pure-alwaysfail,
// which FreeBSD's has too.
var pureNames = []string{
	"pure-alwaysfail", "pure-authd", "pure-certd", "pure-ftpd", "pure-ftpwho", "pure-mrtginfo", "pure-pw", "pure-pwconvert",
	"pure-quotacheck", "pure-statsdecode", "pure-uploadscript",
}

// TestDoors holds the table to what a door must say of itself.
func TestDoors(t *testing.T) {
	var names []string
	for _, d := range newDoors() {
		names = append(names, d.name)
		if d.folder != "bin" && d.folder != "sbin" || d.what == "" || d.about == "" || d.run == nil || len(d.codes) == 0 || d.example == "" {
			t.Errorf("%s says too little of itself", d.name)
		}
		if doorNamed("/usr/local/bin/"+d.name) == nil || doorNamed(d.name+"x") != nil {
			t.Errorf("%s is not found by its name alone", d.name)
		}
		seen := make(map[string]bool)
		for _, o := range d.options() {
			for _, name := range []string{string(o.letter), o.long} {
				if name != "" && name != "\x00" && seen[name] {
					t.Errorf("%s has the option %s twice", d.name, name)
				}
				seen[name] = true
			}
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, pureNames) {
		t.Errorf("the doors are %v, not %v", names, pureNames)
	}
}

// theirs is a program of Pure-FTPd. One of them says nothing to who is not root, or
// does not look so.
func theirs(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	if name == "pure-uploadscript" && os.Getuid() != 0 {
		needs(t, "unshare")
		return exec.Command("unshare", append([]string{"-r", name}, args...)...)
	}
	return exec.Command(name, args...)
}

// TestDoorsTakeTheirOptions compares with what the real programs say they take.
func TestDoorsTakeTheirOptions(t *testing.T) {
	long := regexp.MustCompile(`^-(.)\t--(\w+)\t(<opt>)?$`) // the daemons
	short := regexp.MustCompile(`^-(\w)( <[^>]*>)?:? *:`)   // the others
	for _, d := range newDoors() {
		if len(d.options()) == 0 || d.name == "pure-pw" { // whose help is no list
			continue
		}
		needs(t, d.name)
		out, err := theirs(t, d.name, "-h").CombinedOutput()
		if os.Geteuid() != 0 && strings.Contains(string(out), "root") { // it tells nobody else
			continue
		}
		if err != nil {
			t.Fatalf("%s -h: %v", d.name, err)
		}
		found := 0
		for line := range strings.Lines(string(out)) {
			line = strings.TrimRight(line, "\n")
			m := long.FindStringSubmatch(line)
			if m == nil {
				if m = short.FindStringSubmatch(line); m == nil {
					continue
				}
				m = []string{m[0], m[1], "", m[2]}
			}
			found++
			i := slices.IndexFunc(d.options(), func(o option) bool { return string(o.letter) == m[1] })
			switch {
			case i < 0:
				t.Errorf("%s does not take -%s --%s", d.name, m[1], m[2])
			case m[2] != "" && d.options()[i].long != m[2]:
				t.Errorf("%s has --%s and not --%s", d.name, d.options()[i].long, m[2])
			case (d.options()[i].value != "") != (m[3] != ""):
				t.Errorf("%s -%s: %q is its argument, and there %q", d.name, m[1], d.options()[i].value, m[3])
			}
		}
		if found < 3 {
			t.Errorf("%s -h tells of %d options:\n%s", d.name, found, out)
		}
	}
}

// linked makes links to the program by all its names, and returns their folder.
func linked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range newDoors() {
		if err := os.Symlink(built.path(t), filepath.Join(dir, d.name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDoorsPrintTheSame runs both programs where they need nothing else.
func TestDoorsPrintTheSame(t *testing.T) {
	log := filepath.Join(t.TempDir(), "stats")
	writeFile(t, log, []byte("1795354500 6921b7c4.2a1f joe 127.0.0.1 U 5000 0 /home/joe/my file.txt\n"+
		"1795354501 6921b7c4.2a1f joe 127.0.0.1 D 5000 10 /home/joe/\xe9\x01t\xc3\xa9\n1 x\n"))
	dir := linked(t)
	for _, args := range [][]string{
		{"pure-statsdecode", log}, {"pure-statsdecode"}, {"pure-statsdecode", log, log}, {"pure-statsdecode", "/nonexistent"},
		{"pure-mrtginfo"}, {"pure-mrtginfo", "64999"}, {"pure-pwconvert"},
		{"pure-uploadscript"}, {"pure-uploadscript", "-h"}, {"pure-uploadscript", "-X"}, {"pure-uploadscript", "--pid"}, {"pure-uploadscript", "--no"},
		{"pure-uploadscript", "-r"}, {"pure-uploadscript", "word"}, {"pure-uploadscript", "-u", "5", "-g", "7", "-B"},
	} {
		needs(t, args[0])
		for _, zone := range []string{"UTC", "Asia/Kolkata"} {
			run := func(cmd *exec.Cmd) (string, string, int) {
				var out, complaints bytes.Buffer
				cmd.Env = append(os.Environ(), "TZ="+zone)
				cmd.Stdout, cmd.Stderr = &out, &complaints
				_ = cmd.Run() // its code is looked at
				said := strings.ToLower(complaints.String())
				return regexp.MustCompile(`\d+:\d\d:\d\d\n`).ReplaceAllString(out.String(), "\n"), said, cmd.ProcessState.ExitCode()
			}
			out, said, code := run(exec.Command(filepath.Join(dir, args[0]), args[1:]...))
			wantOut, wantSaid, wantCode := run(theirs(t, args[0], args[1:]...))
			if out != wantOut || code != wantCode || (said == "") != (wantSaid == "") {
				t.Errorf("%v prints %q, %q and exits with %d\nthere it is %q, %q and %d", args, out, said, code, wantOut, wantSaid, wantCode)
			}
		}
	}
}

// TestMRTGCounts has both programs count connections over IPv4 and IPv6, of those that
// last, and of those to one port.
func TestMRTGCounts(t *testing.T) {
	needs(t, "pure-mrtginfo")
	ours := filepath.Join(linked(t), "pure-mrtginfo")
	v4, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer v4.Close()
	_, port, _ := net.SplitHostPort(v4.Addr().String())
	listeners := []net.Listener{v4}
	if haveIPv6() {
		v6, err := net.Listen("tcp6", "[::1]:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer v6.Close()
		listeners = append(listeners, v6)
	}
	var conns []net.Conn
	for i := range 5 {
		l := listeners[i%len(listeners)]
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		conns = append(conns, near)
	}
	counts := func(want int) {
		t.Helper()
		for _, cmd := range []*exec.Cmd{exec.Command(ours, port), theirs(t, "pure-mrtginfo", port)} {
			out, err := cmd.Output()
			if lines := strings.Split(string(out), "\n"); err != nil || len(lines) != 5 || lines[0] != fmt.Sprint(want) || lines[1] != lines[0] || lines[4] != "" {
				t.Errorf("%s prints %q (%v), of %d connections", cmd.Path, out, err, want)
			}
		}
	}
	counts(5)
	conns[0].Close() // which is half of a connection then
	counts(4)

	// Where they differ.
	if out, err := exec.Command(ours, port, "more").Output(); err != nil || !strings.HasPrefix(string(out), "4\n") {
		t.Errorf("with a second argument: %q, %v", out, err)
	}
	for _, bad := range []string{"0", "x", "", "-h", port + "x", "70000", "+" + port} {
		cmd := exec.Command(ours, bad)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "is no port") {
			t.Errorf("port %q: code %d, %q", bad, cmd.ProcessState.ExitCode(), out)
		}
	}
}

// TestDoorsByAnyLink calls the program by a link of either kind and as a copy.
func TestDoorsByAnyLink(t *testing.T) {
	dir := filepath.Dir(built.path(t)) // a hard link needs the same file system
	name := filepath.Join(t.TempDir(), "pure-alwaysfail")
	hard := filepath.Join(dir, "pure-alwaysfail")
	if err := os.Link(built.path(t), hard); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(hard)
	program, err := os.ReadFile(built.path(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{hard, name, filepath.Join(linked(t), "pure-alwaysfail")} {
		out, err := exec.Command(path).Output()
		if err != nil || string(out) != "auth_ok:0\nend\n" {
			t.Errorf("%s: %q, %v", path, out, err)
		}
	}
}

// TestInstallDropIn installs into a folder, with the links and without.
func TestInstallDropIn(t *testing.T) {
	needs(t, "make")
	for _, dropIn := range []bool{false, true} {
		dest := t.TempDir()
		args := []string{"-s", "-C", "../..", "install", "DESTDIR=" + dest, "PREFIX=/usr", "PROGRAM=" + built.path(t)}
		if dropIn {
			args = append(args, "DROPIN=1")
		}
		if out, err := exec.Command("make", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, d := range newDoors() {
			link := filepath.Join(dest, "usr", d.folder, d.name)
			_, err1 := os.Stat(link) // where it leads
			_, err2 := os.Stat(filepath.Join(dest, "usr/share/man/man8", d.name+".8"))
			if got := err1 == nil; got != dropIn || (err2 == nil) != dropIn {
				t.Errorf("with DROPIN=%v: %s: %v, its page: %v", dropIn, link, err1, err2)
			}
		}
		out, err := exec.Command(filepath.Join(dest, "usr/sbin/pure-alwaysfail")).Output()
		if dropIn && (err != nil || string(out) != "auth_ok:0\nend\n") {
			t.Errorf("the link prints %q, %v", out, err)
		}
	}
}

// TestConvertSystem prints the users of a system of its own, with all that a line of
// passwd(5) may be.
func TestConvertSystem(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"etc", "home/joe", "home/ann", "srv"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"etc/shells": "# shells\n/bin/sh\n/bin/bash # the usual\n",
		"etc/passwd": "root:x:0:0::/home/joe:/bin/bash\njoe:x:1000:1001:Joe,Room 1,2:/home/joe:/bin/bash\n" +
			"ann:x:1001:1001::/home/ann/:/bin/sh\nrobot:x:1002:1002::/home/joe:/usr/sbin/nologin\n" +
			"ftp:x:1003:1003:FTP:/srv:ftp\nempty:x:1004:1004::/srv:\ngone:x:1005:1005::/home/gone:/bin/sh\n" +
			"wheel:x:1006:0::/srv:/bin/sh\nlocked:x:1007:1007::/srv:/bin/sh\ndes:x:1008:1008::/srv:/bin/sh\n" +
			"short:x:1\n+::::::\nbad:x:many:1::/srv:/bin/sh\nroots:x:1009:1009::/:/bin/sh\n" +
			"over:x:1010:1010::/srv:/bin/sh\naged:x:1011:1011::/srv:/bin/sh\n",
		"etc/shadow": "joe:$6$salt$hash:1::::::\nann:*:1::::::\nlocked:!$6$salt$hash:1::::::\ndes:ab1234567890c:1::::::\nftp:$y$x$y$z:1::::::\n" +
			"over:$6$salt$hash:1:::::365:\naged:$6$salt$hash:1:0:90::::\n",
	} {
		writeFile(t, filepath.Join(root, name), []byte(text))
	}
	var out bytes.Buffer
	if err := convertSystem(&out, root); err != nil {
		t.Fatal(err)
	}
	want := "joe:$6$salt$hash:1000:1001:Joe:/home/joe/./\nann:*:1001:1001::/home/ann/./\nftp:$y$x$y$z:1003:1003:FTP:/srv/./\n" +
		"empty:*:1004:1004::/srv/./\nlocked:*:1007:1007::/srv/./\ndes:*:1008:1008::/srv/./\nroots:*:1009:1009::/./\n" +
		"over:*:1010:1010::/srv/./\naged:*:1011:1011::/srv/./\n"
	if out.String() != want {
		t.Errorf("it prints\n%snot\n%s", &out, want)
	}
	if err := convertSystem(&out, filepath.Join(root, "none")); err == nil {
		t.Error("there are users without a file of them")
	}
}

// TestAddressRoots: a server in Pure-FTPd's place finds what that finds, unless its
// configuration says otherwise.
func TestAddressRoots(t *testing.T) {
	dir := t.TempDir()
	silent, said := filepath.Join(dir, "silent"), filepath.Join(dir, "said")
	writeFile(t, silent, []byte("MinUID 1000\n"))
	writeFile(t, said, []byte("anonymousroots /srv\n"))
	for _, tt := range []struct{ folder, file, want string }{
		{dir, "/dev/null", dir}, {dir, silent, dir}, {dir, said, ""}, {silent, silent, ""}, {filepath.Join(dir, "none"), silent, ""},
	} {
		if got := addressRoots(tt.folder, tt.file); got != tt.want {
			t.Errorf("addressRoots(%q, %q) = %q, not %q", tt.folder, tt.file, got, tt.want)
		}
	}
}
