package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	registry "portreeve/server/session"
	"portreeve/userdb"
)

// endless makes a file that takes minutes to read: nobody waits for the end of a
// job in these tests. Nothing of it is on disk.
func (r *rig) endless(name string) {
	r.t.Helper()
	path := filepath.Join(r.home, name)
	if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40)); err != nil {
		r.t.Fatal(err)
	}
}

func unlimited(c *Config) { c.MaxHashSize, c.ServerCopy = 0, true }

// A job is heard of and ended as a transfer is: the session answers meanwhile.
func TestJobIsEnded(t *testing.T) {
	for _, verb := range []string{"HASH f", "XSHA512 f", "SITE COPY f g", "COMB g f f", "RANG 0 999999999999\r\nHASH f"} {
		t.Run("T256 ABOR of "+verb, func(t *testing.T) {
			r := newRig(t, unlimited)
			r.endless("f")
			c := r.login()
			before, last, both := strings.Cut(verb, "\r\n")
			if !both {
				last = before
			} else {
				c.cmd(350, "%s", before)
			}
			c.say("%s", last)
			for range 3 {
				if text := c.cmd(211, "STAT"); !strings.Contains(text, "at work on /") {
					t.Errorf("STAT tells nothing of it: %s", text)
				}
			}
			c.say("NOOP") // waits for its turn
			c.cmd(426, "ABOR")
			c.want(200)
			c.want(226)
			r.noJobs()
			if r.exists("g") || r.leftovers() != 0 {
				t.Error("a part of the copy is left")
			}
			r.put("f", "x")
			c.cmd(213, "HASH f")
		})
	}
}

// noJobs checks that no place is held that nobody uses.
func (r *rig) noJobs() {
	r.t.Helper()
	r.srv.jobs.mu.Lock()
	defer r.srv.jobs.mu.Unlock()
	if all, accounts := r.srv.jobs.all, len(r.srv.jobs.of); all != 0 || accounts != 0 {
		r.t.Fatalf("%d jobs of %d accounts are left", all, accounts)
	}
}

// leftovers counts the hidden files in alice's home.
func (r *rig) leftovers() (n int) {
	r.t.Helper()
	entries, err := os.ReadDir(r.home)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			n++
		}
	}
	return n
}

// Whoever ends the session ends its job, also where nobody says ABOR.
func TestJobEndsWithItsSession(t *testing.T) {
	for name, end := range map[string]func(r *rig, c *client){
		"the client leaves": func(_ *rig, c *client) { c.conn.Close() },
		"kick":              func(r *rig, _ *client) { r.srv.Sessions.Kick(r.srv.Sessions.List()[0].ID, registry.Kicked{}) },
		"shutdown": func(r *rig, _ *client) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			r.srv.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, unlimited)
			r.endless("f")
			c := r.login()
			c.say("SITE COPY f g")
			c.cmd(211, "STAT")
			go func() { // whatever the last words are
				for err := error(nil); err == nil; _, _, err = c.read() {
				}
			}()
			end(r, c)
			<-c.done
			r.noJobs()
			if r.exists("g") || r.leftovers() != 0 {
				t.Error("a part of the copy is left")
			}
		})
	}
}

// An operator ends a job and leaves the session.
func TestJobIsAborted(t *testing.T) {
	r := newRig(t, unlimited)
	r.endless("f")
	c := r.login()
	c.say("HASH f")
	c.cmd(211, "STAT")
	if !r.srv.Sessions.Abort(r.srv.Sessions.List()[0].ID) {
		t.Fatal("there is nothing to abort")
	}
	c.want(426)
	c.cmd(200, "NOOP")
}

// Attack 25: whoever has many sessions hash at a time is told to wait.
func TestAttack25JobsAreLimited(t *testing.T) {
	r := newRig(t, unlimited, func(c *Config) { c.MaxJobs = JobLimit{3, 2} })
	r.endless("f")
	home := filepath.Join(filepath.Dir(r.home), "bob")
	if err := errors.Join(os.Mkdir(home, 0o755), os.Link(filepath.Join(r.home, "f"), filepath.Join(home, "f"))); err != nil {
		t.Fatal(err)
	}
	addUser(t, userdb.At(r.srv.Config().UserDB), "bob", "secret", home)
	start := func(name string, code int) *client {
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.login(name)
		if c.say("HASH f"); code != 0 {
			c.want(code)
		} else {
			c.cmd(211, "STAT")
		}
		return c
	}
	first := start("alice", 0)
	start("alice", 0)
	start("alice", 450)
	start("bob", 0)
	turned := start("bob", 450) // three in all
	first.cmd(426, "ABOR")
	first.want(226)
	turned.say("HASH f")
	turned.cmd(211, "STAT")
}

// What is copied is what was there, however much it is and wherever it ends.
func TestCopyIsExact(t *testing.T) {
	r := newRig(t, unlimited)
	c := r.login()
	random := rand.New(rand.NewSource(1))
	for _, size := range []int{0, 1, jobStep - 1, jobStep, jobStep + 1, 3*jobStep + 17} {
		content := make([]byte, size)
		random.Read(content)
		r.put("f", string(content))
		c.cmd(200, "SITE COPY f g")
		if r.get("g") != string(content) {
			t.Errorf("a copy of %d bytes differs", size)
		}
		c.cmd(250, "COMB h f g f")
		if r.get("h") != strings.Repeat(string(content), 3) {
			t.Errorf("three times %d bytes are not joined", size)
		}
		sum := c.cmd(250, "XMD5 g")
		if again := c.cmd(250, "XMD5 f"); again != sum {
			t.Errorf("%s and %s", sum, again)
		}
	}
}

// A file that becomes shorter while it is hashed has no checksum.
func TestHashOfAFileThatShrinks(t *testing.T) {
	r := newRig(t, unlimited)
	r.endless("f")
	c := r.login()
	c.say("HASH f")
	c.cmd(211, "STAT")
	if err := os.Truncate(filepath.Join(r.home, "f"), 0); err != nil {
		t.Fatal(err)
	}
	c.want(451)
}

// FuzzXHash: whatever is accepted has a path, and places in order.
func FuzzXHash(f *testing.F) {
	for _, s := range []string{"f", `"a b"`, `"a b" 0 4`, `"a""b" 5`, "a 0 4", `"`, `"a`, `"a"b`, `"a" 4 0`, `"a" 9223372036854775807 9223372036854775807`, `"a" 1 99999999999999999999`} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, arg string, there bool) {
		path, mark, ok := parseXHash(arg, func(string) bool { return there })
		if !ok {
			return
		}
		if path == "" && arg != "" || len(path) > len(arg) {
			t.Fatalf("parseXHash(%q) = %q", arg, path)
		}
		if mark.first < 0 || mark.ranged && mark.room() < 0 {
			t.Fatalf("parseXHash(%q) has %+v", arg, mark)
		}
		for _, size := range []int64{0, 1, 1000, 1<<63 - 1} {
			first, n, err := mark.of(size)
			if err == nil && (first < 0 || n < 0 || first+n < 0 || first+n > size) {
				t.Fatalf("parseXHash(%q) is %d bytes from %d of %d", arg, n, first, size)
			}
		}
		if quoted := `"` + strings.ReplaceAll(path, `"`, `""`) + `"`; path != "" {
			again, none, ok := parseXHash(quoted, func(string) bool { return false })
			if !ok || again != path || none != (marker{}) {
				t.Fatalf("parseXHash(%q) = %q, %+v, %v", quoted, again, none, ok)
			}
		}
	})
}

// FuzzQuotedWords: what was quoted comes back, and nothing else is made up.
func FuzzQuotedWords(f *testing.F) {
	for _, s := range []string{"a b", `"a b" c`, `a\ b c`, `"a""b" c\`, `\`, `\ `, `" `, `"" a`, `a\\ b`, `"a"b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		words, ok := quotedWords(arg)
		if !ok {
			return
		}
		var quoted []string
		for _, w := range words {
			if w == "" || len(w) > len(arg) {
				t.Fatalf("quotedWords(%q) = %q", arg, words)
			}
			quoted = append(quoted, `"`+strings.ReplaceAll(w, `"`, `""`)+`"`)
		}
		again, ok := quotedWords(strings.Join(quoted, " "))
		if !ok || fmt.Sprintf("%q", again) != fmt.Sprintf("%q", words) {
			t.Fatalf("quotedWords(%q) = %q, and again %q", arg, words, again)
		}
	})
}

// FuzzFacts: whatever MFF takes is in a calendar, and no more than twelve bits.
func FuzzFacts(f *testing.F) {
	for _, s := range []string{"Modify=20200102030405;", "Modify=20200102030405;Create=1", "UNIX.mode=0644;UNIX.group=5", ";", "=", "Create=1;", "Modify=20200102030405.9;modify=20200102030405", "UNIX.mode=+644"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		set, err := parseFacts(list)
		if err != nil {
			if set != (settable{}) {
				t.Fatalf("parseFacts(%q) fails and sets %+v", list, set)
			}
			return
		}
		switch {
		case set == (settable{}):
			t.Fatalf("parseFacts(%q) sets nothing", list)
		case set.modify != nil && (set.modify.Year() < 1970 || set.modify.Year() > 9999):
			t.Fatalf("parseFacts(%q) = %v", list, set.modify)
		case set.mode != nil && *set.mode&^0o777 != 0:
			t.Fatalf("parseFacts(%q) = %v", list, *set.mode)
		case set.group != nil && *set.group < 0:
			t.Fatalf("parseFacts(%q) = %d", list, *set.group)
		}
		if again, err := parseFacts(strings.TrimSuffix(list, ";")); err != nil || again.modify == nil != (set.modify == nil) {
			t.Fatalf("parseFacts(%q) without its last semicolon: %v", list, err)
		}
	})
}

// FuzzUTIME: both forms of SITE UTIME give a time in a calendar and a path.
func FuzzUTIME(f *testing.F) {
	for _, s := range []string{"20200101000000 f", "202001010000 a b", "f 20200101000000 20200101000000 20200101000000 UTC", "a b 20200101000000 20200101000000 20200101000000 utc", " 1 2 3 UTC", "f 1 2 3 UTC", "20200101000000 a 1 2 3 UTC"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		when, path, ok := parseUTIME(arg)
		if !ok {
			return
		}
		if path == "" || !strings.Contains(arg, path) || when.Year() < 1970 || when.Year() > 9999 {
			t.Fatalf("parseUTIME(%q) = %v, %q", arg, when, path)
		}
		if !strings.Contains(arg, formatTime(when)[:12]) {
			t.Fatalf("parseUTIME(%q) = %v", arg, when)
		}
	})
}

// ESTA connects at once, and the next transfer goes over that connection.
func TestESTA(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", "content")
		l, err := r.net.listenAt(netip.MustParseAddrPort("198.51.100.7:50001"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(200, "PORT 198,51,100,7,195,81")
		c.say("ESTA")
		data, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if text := c.want(225); text != "225 Connected from (|1|192.0.2.1|20|)" {
			t.Error(text)
		}
		c.cmd(520, "ESTA")
		c.cmd(150, "RETR f")
		if got, err := io.ReadAll(data); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
		c.want(226)
	})
}

// Two names of one file have the same "unique" fact, two files have not, and
// nobody learns from it where on the disk a file is.
func TestUniqueT231(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("a", "x")
		r.put("c", "x")
		if err := os.Link(filepath.Join(r.home, "a"), filepath.Join(r.home, "b")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(r.home, "a"))
		if err != nil {
			t.Fatal(err)
		}
		inode := fmt.Sprintf("%x", info.Sys().(*syscall.Stat_t).Ino)
		c := r.login()
		c.cmd(200, "OPTS MLST unique;")
		fact := func(name string) string {
			_, rest, _ := strings.Cut(c.cmd(250, "MLST %s", name), "unique=")
			value, _, _ := strings.Cut(rest, ";")
			return value
		}
		a, b, other := fact("a"), fact("b"), fact("c")
		if a == "" || a != b || a == other {
			t.Errorf("of one file %s and %s, of another %s", a, b, other)
		}
		if strings.HasSuffix(a, inode) {
			t.Errorf("%s has the inode %s", a, inode)
		}
	})
}
