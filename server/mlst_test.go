package server

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"portreeve/userdb"
)

// factsOf parts the lines of MLSD into names and what goes before them.
func factsOf(t testing.TB, data string) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, line := range splitLines(t, data) {
		facts, name, ok := strings.Cut(line, " ")
		if !ok || m[name] != "" {
			t.Fatalf("line %q has no name, or one that was there", line)
		}
		m[name] = facts
	}
	return m
}

func fact1(facts, name string) string {
	for f := range strings.SplitSeq(facts, ";") {
		if value, ok := strings.CutPrefix(f, name+"="); ok {
			return value
		}
	}
	return "none"
}

func TestMLSD(t *testing.T) {
	listCase(t, "T227 the folder, the one above it, and facts before names", func(t *testing.T, r *rig, c *client) {
		mkdir(t, r, "sub")
		r.put("sub/f", "hello")
		r.put("sub/.dot", "x")
		data, _ := c.retr("MLSD sub")
		if !strings.HasPrefix(data, "type=cdir;modify=") || !strings.HasPrefix(data[strings.IndexByte(data, '\n')+1:], "type=pdir;modify=") {
			t.Errorf("MLSD begins so: %q", data)
		}
		line := regexp.MustCompile(`^(?:[A-Za-z.]+=[^ ;]*;)+ [^ ].*$`)
		for _, l := range splitLines(t, data) {
			if !line.MatchString(l) {
				t.Errorf("line %q", l)
			}
		}
		if m := factsOf(t, data); len(m) != 4 || m["."] == "" || m[".."] == "" || m[".dot"] == "" ||
			!regexp.MustCompile(`^type=file;size=5;modify=\d{14};(?:create=\d{14};)?perm=\w*;unique=[0-9a-f]{16};UNIX.mode=0644;UNIX.owner=\d+;UNIX.group=\d+;$`).MatchString(m["f"]) {
			t.Errorf("MLSD: %q", data)
		}
		data, _ = c.retr("MLSD")
		if m := factsOf(t, data); len(m) != 2 || !strings.HasPrefix(m["."], "type=cdir;") || !strings.HasPrefix(m["sub"], "type=dir;modify=") {
			t.Errorf("MLSD of the root: %q", data)
		}
	})
	listCase(t, "T230 the type of the transfer does not matter", func(t *testing.T, r *rig, c *client) {
		r.put("f", "hello")
		c.cmd(200, "TYPE A")
		ascii, _ := c.retr("MLSD")
		c.cmd(200, "TYPE I")
		if image, _ := c.retr("MLSD"); ascii != image {
			t.Errorf("TYPE A: %q, TYPE I: %q", ascii, image)
		}
	})
	listCase(t, "T231 unique is of the file, and tells nothing of the disk", func(t *testing.T, r *rig, c *client) {
		r.put("f", "x")
		r.put("g", "x")
		if err := os.Link(filepath.Join(r.home, "f"), filepath.Join(r.home, "hard")); err != nil {
			t.Fatal(err)
		}
		data, _ := c.retr("MLSD")
		again, _ := c.retr("MLSD")
		m := factsOf(t, data)
		f, g, hard := fact1(m["f"], "unique"), fact1(m["g"], "unique"), fact1(m["hard"], "unique")
		if f != hard || f == g || len(f) != 16 {
			t.Errorf("unique of a file %s, of another link to it %s, of another file %s", f, hard, g)
		}
		if fact1(factsOf(t, again)["f"], "unique") != f {
			t.Error("unique changes within a session")
		}
		in, err := os.Stat(filepath.Join(r.home, "f"))
		if err != nil {
			t.Fatal(err)
		}
		if ino := strings.TrimLeft(f, "0"); ino == strconv.FormatUint(in.Sys().(*syscall.Stat_t).Ino, 16) {
			t.Errorf("unique is the inode: %s", f)
		}
	})
	listCase(t, "T234 names that look like facts", func(t *testing.T, r *rig, c *client) {
		for _, name := range []string{" lead", "a;b=c", "type=dir; x", "=", ";", " ; ", "size=1;"} {
			r.put(name, "x")
		}
		data, _ := c.retr("MLSD")
		m := factsOf(t, data)
		for _, name := range []string{" lead", "a;b=c", "type=dir; x", "=", ";", " ; ", "size=1;"} {
			if fact1(m[name], "type") != "file" {
				t.Errorf("%q has the facts %q", name, m[name])
			}
		}
	})
}

func TestMLSDPerm(t *testing.T) {
	listCase(t, "T232 what one may do shows in perm", func(t *testing.T, r *rig, c *client) {
		mkdir(t, r, "d")
		r.put("f", "x")
		for _, name := range []string{"", "d", "f"} { // so that the modes forbid nothing
			if err := os.Chmod(filepath.Join(r.home, name), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		addUser(t, userdb.At(r.srv.Config().UserDB), "reader", "secret", r.home, func(u *userdb.User) {
			u.Perms = userdb.PermRead | userdb.PermList
		})
		perms := func(c *client) (f, d string) {
			data, _ := c.retr("MLSD")
			m := factsOf(t, data)
			return fact1(m["f"], "perm"), fact1(m["d"], "perm")
		}
		if f, d := perms(c); f != "adfrw" || d != "dflcmpe" {
			t.Errorf("who may do all has %q and %q", f, d)
		}
		c.cmd(221, "QUIT")
		c = r.dial(clientAddr)
		c.want(220)
		c.login("reader")
		if f, d := perms(c); f != "r" || d != "le" {
			t.Errorf("who may read has %q and %q", f, d)
		}
	})
}
