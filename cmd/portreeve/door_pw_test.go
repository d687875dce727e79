//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"portreeve/puredb"
	"portreeve/userdb"
)

// pwStart is a text with what may be in one.
const pwStart = `# comment
a:$1$x:1:2:ga:/h/a

bad
noslash:x:5:5:g:h
b:h:10:20:gb:/h/b/./:1024:2048:1:2:3:4:5:1.1.1.1:2.2.2.2:3.3.3.3:4.4.4.4:900-1800
# tail
a:dup:9:9:dup:/d
c:h:x:0:gc:/h/c:::::::::::::::
z::5:5:g:/h
`

// pwCases are calls of pure-pw on that text, one after another in each group.
var pwCases = [][]string{
	{"useradd joe -u 2001 -g 2001 -d /home/joe -f p", "useradd joe -u 2001 -g 2001 -d /home/joe -f p", "show joe -f p", "list x -f p"},
	{"useradd ann -u 2000 -g 2000 -D /home/ann/// -c A:b -t 100 -T 0 -n 0 -N 5 -q 1 -Q 5 -y 3 -z 0900-1800 -r 1.2.3.4,10.0.0.0/8 -I 9.9.9.9 -f p", "show ann -f p"},
	{"useradd b:b -u 2000 -g 2000 -d /home/bb:x/ -f p -m -F q", "show b_b -f p"},
	{"useradd ann -u nobody -d /home/ann -f p", "useradd ben -u nobody -g daemon -d /x -f p", "useradd cat -g daemon -u nobody -d /x -f p"},
	{"useradd ann -u 2001 -d /home/joe -f p"},
	{"useradd ann -u nosuch -d /home/joe -f p"},
	{"useradd ann -g 5 -d /home/joe -f p", "useradd ann -u 5 -g 5 -f p", "useradd ann -u 0 -g 5 -d /x -f p", "USERADD ann -u 7 -g 5 -d /x -f p"},
	{"useradd new -u 7 -g 5 -d /x -f notthere", "show new -f notthere"},
	{"passwd a -f p", "passwd b -f p", "passwd nosuch -f p", "passwd a -f notthere", "passwd bad -f p"},
	{"usermod a -y 5 -f p", "userdel b -f p", "userdel b -f p", "userdel bad -f p", "userdel z -f p", "userdel x -f notthere", "userdel"},
	{"show a -f p", "show b -f p", "show c -f p", "show z -f p", "show bad -f p", "show a -f notthere"},
	{"list x -f p", "list x -f notthere", "mkdb q -f notthere", "mkdb nodir/q -f p"},
	{"usermod b -u nobody -f p", "usermod b -u 77 -f p", "usermod b -g nogroup -f p"},
	{"usermod b -D /new/ -f p", "usermod b -d /new// -f p", "usermod b -d // -f p"},
	{"usermod b -t '' -T '' -n '' -N '' -q '' -Q '' -y '' -z '' -r '' -R '' -i '' -I '' -c '' -f p", "show b -f p"},
	{"usermod b -t 0 -f p", "usermod b -n 0 -N 0 -y 0 -f p", "show b -f p", "usermod b -T 5 -t 7 -f p", "usermod b -C 4 -M 9000 -f p"},
	{"usermod b -q 0 -f p", "usermod b -Q x -f p", "usermod b -z 0900 -f p", "usermod b -z 2400-0100 -f p", "usermod b -z 0960-1000 -f p", "usermod b -C 0 -f p"},
	{"usermod b -z 900-2359 -f p", "show b -f p", "usermod b -z 0000-0000 -f p", "show b -f p", "usermod b -z 0001-02 -f p", "show b -f p"},
	{"usermod a -q 2 -f p", "show a -f p", "usermod a -Q 3 -f p", "show a -f p", "usermod a -r 1.2.3.0/24 -R 1.2.3.4 -i 5.6.7.8 -I 8.7.6.5 -f p"},
	{"usermod b extra -f p", "usermod b -m -F q -f p", "usermod b -m -F nodir/x -f p", "usermod nosuch -m -F nodir/x -f p", "userdel nosuch -m -F nodir/q -f p"},
}

// TestPurePwText compares texts, words and codes with those of the real program.
func TestPurePwText(t *testing.T) {
	needs(t, "pure-pw")
	ours := filepath.Join(linked(t), "pure-pw")
	hashes := regexp.MustCompile(`\$(7|argon2id)\$[^:\s]+`)
	for _, group := range pwCases {
		t.Run(group[0], func(t *testing.T) {
			t.Parallel() // the real one takes a second to hash
			var dirs [2]string
			for i := range dirs {
				dirs[i] = t.TempDir()
				writeFile(t, filepath.Join(dirs[i], "p"), []byte(pwStart))
			}
			for _, line := range group {
				var said [2]string
				for i, program := range []string{"pure-pw", ours} {
					// With a quoted nothing as an argument it is a shell that knows how.
					cmd := exec.Command("sh", "-c", `exec "$0" `+line, program)
					cmd.Dir = dirs[i]
					cmd.Env = append(os.Environ(), "PORTREEVE_DB="+dirs[i]+"/none.db")
					if i == 1 && strings.Contains(line, " -F ") {
						cmd.Args[2] += " --puredb"
					}
					cmd.Stdin = strings.NewReader("secret\nsecret\n")
					var out, complaints bytes.Buffer
					cmd.Stdout, cmd.Stderr = &out, &complaints
					_ = cmd.Run() // its code is looked at
					said[i] = fmt.Sprintf("code %d\n--- out\n%s--- err\n%s", cmd.ProcessState.ExitCode(), hashes.ReplaceAllString(out.String(), "HASH"), pwComplaint(complaints.String()))
					for _, name := range []string{"p", "notthere"} {
						text, err := os.ReadFile(filepath.Join(dirs[i], name))
						if err == nil {
							said[i] += "--- " + name + "\n" + hashes.ReplaceAllString(string(text), "HASH")
						}
					}
				}
				if said[0] != said[1] {
					t.Errorf("%s\n=== Pure-FTPd\n%s\n=== here\n%s", line, said[0], said[1])
				}
			}
			entries, err := os.ReadDir(dirs[1])
			for _, e := range entries {
				if strings.HasSuffix(e.Name(), ".tmp") {
					t.Errorf("%s was left behind (%v)", e.Name(), err)
				}
			}
		})
	}
}

// pwComplaint leaves out what we say besides.
func pwComplaint(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "the system knows no "):
		case strings.HasPrefix(line, "and that ["): // where it is written differs
		case strings.HasPrefix(line, "Unable to create the database"):
			kept = append(kept, "Unable to create the database\n")
		default:
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// A pwHost is a place to run our pure-pw in.
type pwHost struct {
	*testing.T
	dir, program string
}

func newPwHost(t *testing.T) pwHost {
	return pwHost{t, t.TempDir(), filepath.Join(linked(t), "pure-pw")}
}

// run runs a command line and returns what it said and its code.
func (h pwHost) run(input string, args ...string) (string, int) {
	h.Helper()
	cmd := exec.Command(h.program, args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "PORTREEVE_DB="+h.dir+"/users.db")
	cmd.Stdin = strings.NewReader(input)
	out, _ := cmd.CombinedOutput() // its code is looked at
	return string(out), cmd.ProcessState.ExitCode()
}

// must runs a command line that has to succeed.
func (h pwHost) must(input, line string) string {
	h.Helper()
	out, code := h.run(input, strings.Fields(line)...)
	if code != 0 {
		h.Fatalf("%s: code %d\n%s", line, code, out)
	}
	return out
}

// names returns the users of a database of ours.
func (h pwHost) names(db string) (names []string) {
	h.Helper()
	for u, err := range userdb.At(filepath.Join(h.dir, db)).All() {
		if err != nil {
			h.Fatal(err)
		}
		names = append(names, u.Name)
	}
	return names
}

// TestPurePwRefuses tries what the real one stores and should not.
func TestPurePwRefuses(t *testing.T) {
	h := newPwHost(t)
	writeFile(t, filepath.Join(h.dir, "p"), []byte(pwStart))
	for _, c := range []struct {
		args string
		code int
	}{
		{"usermod b -y abc -f p", 1}, {"usermod b -n abc -f p", 1}, {"usermod b -N 1.5 -f p", 1}, {"usermod b -t -5 -f p", 1},
		{"usermod b -t 99999999999999999999 -f p", 1}, {"usermod b -n -5 -f p", 1}, {"usermod b -y -1 -f p", 1}, {"usermod b -T 5K -f p", 1},
		{"usermod b -r 2001:db8::/32 -f p", 1}, {"usermod b -z +900-1800 -f p", 1}, {"usermod b -d relative -f p", 64}, {"usermod b -d /../x -f p", 64},
		{"usermod b -u 5x -f p", 32}, {"usermod b -u 0 -f p", 32}, {"usermod b -g 4294967295 -f p", 32}, {"usermod b -r nota!host -f p", 1},
		{"useradd -f p -u 5 -g 5 -d /x", 1}, {"show -f p", 1}, {"userdel -f p", 255}, {"usermod b -M 0 -f p", 1},
		{"passwd b -f p", 8}, {"nosuch", 0}, {"usermod b --nosuch", 0}, {"", 0}, {"usermod b -M 10 -f p", 0},
	} {
		if out, code := h.run("\n\n", strings.Fields(c.args)...); code != c.code {
			t.Errorf("%q: code %d, not %d\n%s", c.args, code, c.code, out)
		}
	}
	// -C and -M alone change nothing but the place of the line, as there.
	text, err := os.ReadFile(filepath.Join(h.dir, "p"))
	lines := func(s string) []string {
		list := strings.Split(s, "\n")
		slices.Sort(list)
		return list
	}
	if err != nil || !slices.Equal(lines(string(text)), lines(pwStart)) {
		t.Errorf("%v: what was refused changed the text:\n%s", err, text)
	}
}

// TestPurePwDefects calls what the real program does not understand.
func TestPurePwDefects(t *testing.T) {
	h := newPwHost(t)
	writeFile(t, filepath.Join(h.dir, "p"), []byte("a:$1$x$y:1:2::/h\n"))
	writeFile(t, filepath.Join(h.dir, "p.tmp"), []byte("left behind"))
	if out := h.must("", "list -f p"); out != "a\t/h\t\n" {
		t.Errorf("list -f: %q", out)
	}
	h.must("", "mkdb -F x.db -f p")
	if got := h.names("x.db"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("mkdb -F: %v", got)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "-F")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a file called -F")
	}
	h.must("", "usermod a -y 3 -f p")
	if err := os.Symlink("p", filepath.Join(h.dir, "link")); err != nil {
		t.Fatal(err)
	}
	h.must("", "usermod a -y 4 -f link")
	if info, err := os.Lstat(filepath.Join(h.dir, "link")); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if out := h.must("", "show a -f p"); !strings.Contains(out, "Max sim sessions   : 4 (enabled)") {
		t.Errorf("the link was not followed:\n%s", out)
	}
}

// TestPurePwCommit has the database follow the text.
func TestPurePwCommit(t *testing.T) {
	h := newPwHost(t)
	db := userdb.At(h.dir + "/users.db")
	add := "useradd %s -u 1000 -g 1000 -d /h/%[1]s -f p -m"
	for _, name := range []string{"a", "b", "c"} {
		h.must("x\nx\n", fmt.Sprintf(add, name))
	}
	if got := h.names("users.db"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("the database has %v", got)
	}
	// What a line cannot say stays.
	err := db.Modify("a", func(u *userdb.User) error { u.Disabled, u.Perms = true, userdb.PermList; return nil })
	if err != nil {
		t.Fatal(err)
	}
	h.must("", "usermod a -N 5 -t 10 -f p")
	if u, err := db.Get("a"); err != nil || u.HasQuota() {
		t.Errorf("the database has what was not committed: %+v, %v", u, err)
	}
	out := h.must("", "userdel b -f p -m")
	u, err := db.Get("a")
	if most, _ := u.QuotaBytes.Value(); err != nil || most != 5<<20 || u.DownloadRate != 10<<10 || !u.Disabled || u.Perms != userdb.PermList {
		t.Errorf("user a is %+v, %v", u, err)
	}
	if got := h.names("users.db"); !slices.Equal(got, []string{"a", "c"}) || out != "" {
		t.Errorf("the database has %v; %s", got, out)
	}
	// Who is not in the text goes, and that is said; a line that is not understood is no user.
	if err := db.Add(userdb.User{Name: "other", UID: 5, GID: 5, Home: "/x"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(h.dir + "/p")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, h.dir+"/p", append(text, "d:$1$x$y:1:1::/h:::::::x:::::\nd:$1$x$y:1:1::/h\n"...))
	out = h.must("", "mkdb -f p")
	if got := h.names("users.db"); !slices.Equal(got, []string{"a", "c"}) || !strings.Contains(out, "other") || !strings.Contains(out, "invalid line [d]") {
		t.Errorf("the database has %v; %s", got, out)
	}
}

// TestPurePwKeepsPureDB has a file of the real program stay one.
func TestPurePwKeepsPureDB(t *testing.T) {
	needs(t, "pure-pw")
	h := newPwHost(t)
	text := pwStart + "long:$1$x$y:1:1:" + strings.Repeat("g", 500) + ":/h\n"
	writeFile(t, h.dir+"/p", []byte(text))
	real := exec.Command("pure-pw", "mkdb", "real", "-f", "p")
	real.Dir = h.dir
	if out, err := real.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := os.ReadFile(h.dir + "/real")
	if err != nil {
		t.Fatal(err)
	}
	h.must("", "mkdb new --puredb -f p")
	h.must("", "mkdb real -f p")
	for _, name := range []string{"real", "new"} {
		got, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another file than the real one makes (%v)", name, err)
		}
	}
	if out, code := h.run("x\nx\n", strings.Fields("useradd x -u 5 -g 5 -d /x -F real")...); code != exitPwFile {
		t.Errorf("changing a PureDB file: code %d, %s", code, out)
	}
	h.must("x\nx\n", "useradd x -u 5 -g 5 -d /x -f p -F real -m")
	f, err := puredb.Open(h.dir + "/real")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fields, err := f.Get("x"); err != nil || !strings.Contains(fields, ":5:5::/x/./:") {
		t.Errorf("user x is %q, %v", fields, err)
	}

	// What cannot be made does not take the place of what is there.
	writeFile(t, h.dir+"/p", []byte(text+strings.Repeat("n", 70_000)+":$1$x$y:1:1::/h\n"))
	want, err = os.ReadFile(h.dir + "/real")
	if err != nil {
		t.Fatal(err)
	}
	if out, code := h.run("", "mkdb", "real", "-f", "p"); code != exitPwOther {
		t.Errorf("a line that is too long: code %d, %s", code, out)
	}
	if got, err := os.ReadFile(h.dir + "/real"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("a PureDB file that could not be made has replaced the one there (%v)", err)
	}
}

// TestPurePwDatabase works without a text.
func TestPurePwDatabase(t *testing.T) {
	h := newPwHost(t)
	db := userdb.At(h.dir + "/users.db")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"list", 2, ""}, {"show joe", 16, "Unable to fetch info about user [joe]"}, {"passwd joe", 16, ""}, {"userdel joe", 4, ""},
		{"mkdb", 0, ""},
		{"useradd joe -u 1000 -g 1001 -d /home/joe/ -t 100 -N 10 -z 900-1800 -r 2001:db8::/32 -c a:b -m", 0, "Enter it again: \n"},
		{"useradd joe -u 1000 -g 1001 -d /home/joe", 4, "Check that [joe] doesn't already exist,"},
		{"usermod joe -t 0 -T 5 -y 3 -q 1 -Q 2", 0, ""},
		{"show joe", 0, "Download bandwidth : 100 Kb (enabled)\nUpload   bandwidth : 5 Kb (enabled)\nMax files          : 0 (unlimited)\nMax size           : 10 Mb (enabled)\nRatio              : 1:2 (enabled:enabled)\n"},
		{"show joe", 0, "Allowed client IPs : 2001:db8::/32\n"},
		{"show joe", 0, "Directory          : /home/joe/./\nFull name          : a_b\n"},
		{"list", 0, "joe\t/home/joe/./\ta_b\n"},
		{"usermod joe -N '' -r '' -D /srv/joe", 0, ""},
		{"usermod nosuch -y 1", 16, ""}, {"passwd joe", 0, "Password: \nEnter it again: \n"},
	} {
		args := strings.Fields(c.args)
		for i := range args {
			if args[i] == "''" {
				args[i] = ""
			}
		}
		out, code := h.run("pass\npass\n", args...)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: code %d, not %d\n%s", c.args, code, c.code, out)
		}
	}
	u, err := db.Get("joe")
	if ok, err := userdb.Verify(u.Password, "pass", 1<<30); err != nil || !ok {
		t.Errorf("the password does not fit: %v", err)
	}
	if err != nil || u.Home != "/srv/joe" || u.Caged || u.HasQuota() || u.AllowClient != nil || u.Hours.String() != "0900-1800" {
		t.Errorf("joe is %+v, %v", u, err)
	}
	h.must("", "userdel joe")
	if got := h.names("users.db"); len(got) != 0 {
		t.Errorf("there is still %v", got)
	}
}
