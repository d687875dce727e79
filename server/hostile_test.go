package server

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A lair is a home with links that lead out of it, and what is outside.
type lair struct {
	*rig
	outside string // a directory beside the home
	before  string // what is in it
}

const hostileSecret = "nobody inside may see this"

func newLair(t *testing.T, edits ...func(*Config)) *lair {
	r := newRig(t, edits...)
	l := &lair{rig: r, outside: filepath.Join(filepath.Dir(r.home), "outside")}
	for _, dir := range []string{l.outside, l.outside + "/dir"} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(l.outside+"/secret", []byte(hostileSecret), 0o666); err != nil {
		t.Fatal(err)
	}
	l.before = l.look()
	l.furnish()
	return l
}

// furnish makes what the home should have, as far as it is not there any more.
func (l *lair) furnish() {
	os.MkdirAll(l.home+"/dir/deep", 0o755)
	for _, name := range []string{"/file", "/dir/file", "/dir/deep/file"} {
		if _, err := os.Lstat(l.home + name); err != nil {
			os.WriteFile(l.home+name, []byte("inside"), 0o644)
		}
	}
	for name, to := range map[string]string{
		"/climb": "../outside", "/absolute": l.outside, "/secret": "../outside/secret", "/dir/up": "../..", "/root": "/",
		"/loop": "loop", "/proc": "/proc/self/root", "/file.link": l.outside + "/secret",
	} {
		os.Symlink(to, l.home+name)
	}
}

// look describes what is outside.
func (l *lair) look() string {
	var b strings.Builder
	err := filepath.Walk(l.outside, func(path string, in os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintln(&b, path, in.Mode(), in.ModTime().UnixNano(), in.Size())
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	secret, err := os.ReadFile(l.outside + "/secret")
	if err != nil || string(secret) != hostileSecret {
		l.t.Fatalf("the file outside is %q, %v", secret, err)
	}
	return b.String()
}

// parts are what hostile paths are made of.
func (l *lair) parts() []string {
	return []string{"..", "..", "..", ".", "", "dir", "deep", "file", "climb", "absolute", "secret", "up", "root", "loop", "proc",
		"file.link", "etc", "passwd", "outside", strings.TrimPrefix(l.outside, "/"), strings.TrimPrefix(l.home, "/"),
		"%2e%2e", "..%2f", `..\`, `\`, "~", "~root", "C:", "...", ". .", ".. ", " ..", "*", "?", "[a-z]*", "[", "{dir,climb}", "-la", "-", `"`, `"x`,
		"\xff\xff", "\xc0\xae\xc0\xae", "\xe2\x80\xae", "\x7f", "\x01", "\t", strings.Repeat("a", 255), strings.Repeat("b", 256), "con", ".ftpquota", "a;b=c", "227 (1,2,3,4,5,6)"}
}

// pathArgument is what commands want before the path; those that are not in it
// take the path alone.
var pathArgument = map[string]string{
	"SITE CHMOD": "777 ", "SITE UTIME": "20200101000000 ", "MFMT": "20200101000000 ", "MFF": "Modify=20200101000000;UNIX.mode=0777; ",
	"SITE SYMLINK": "../../outside/secret ", "SITE COPY": "file ", "COMB": "made ", "PRET": "RETR ",
}

// Whatever path a client names, in whatever command, nothing outside its home is
// read, changed or told of, every answer is a reply, and the session lives.
func TestHostilePaths(t *testing.T) {
	tries := 100_000
	if testing.Short() {
		tries = 5000
	}
	bubble(t, func(t *testing.T) {
		l := newLair(t, func(c *Config) { c.MaxCommandErrors = 1 << 30 })
		var verbs []*command
		for i := range commands {
			c := &commands[i]
			if (c.arg == aPath || c.arg == maybePath) && c.need&(secret|preAuth) == 0 && c.name != "SITE" {
				verbs = append(verbs, c)
			}
		}
		rng := rand.New(rand.NewPCG(1, 2))
		parts := l.parts()
		c := l.login()
		for n := range tries {
			if n%500 == 0 {
				l.furnish()
				if after := l.look(); after != l.before {
					t.Fatalf("outside was\n%s\nand is\n%s", l.before, after)
				}
			}
			if n%20 == 0 { // so that a search for directories is never too long
				c.cmd(250, "CWD /")
			}
			var path strings.Builder
			for i := range 1 + rng.IntN(5) {
				if i > 0 || rng.IntN(2) == 0 {
					path.WriteByte('/')
				}
				path.WriteString(parts[rng.IntN(len(parts))])
			}
			verb := verbs[rng.IntN(len(verbs))]
			line := verb.name + " " + pathArgument[verb.name] + path.String()
			code, text := l.try(c, verb, line, n%10 == 0)
			if code == 421 {
				t.Fatalf("%q ended the session: %s", line, text)
			}
		}
		c.cmd(221, "QUIT")
		c.conn.Close()
		<-c.done
		if after := l.look(); after != l.before {
			t.Errorf("outside was\n%s\nand is\n%s", l.before, after)
		}
		if strings.Contains(l.logs.String(), "msg=panic") {
			t.Error("a handler panicked")
		}
	})
}

// try sends a line, with a data connection if wished, and returns the last reply.
func (l *lair) try(c *client, verb *command, line string, withData bool) (code int, text string) {
	l.t.Helper()
	var data net.Conn
	if verb.need&opensData != 0 && withData {
		data = c.passive()
		got := make(chan string, 1)
		go func() {
			if strings.HasPrefix(verb.name, "STO") || verb.name == "APPE" {
				io.WriteString(data, "hostile")
				data.Close()
				got <- ""
				return
			}
			b, _ := io.ReadAll(data)
			data.Close()
			got <- string(b)
		}()
		defer func() {
			data.Close()
			if s := <-got; strings.Contains(s, hostileSecret) || strings.Contains(s, l.outside) {
				l.t.Fatalf("%q brought %q", line, s)
			}
		}()
	}
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		l.t.Fatal(err)
	}
	for {
		code, text, err := c.read()
		if err != nil {
			l.t.Fatalf("%q: %v", line, err)
		}
		if strings.Contains(text, hostileSecret) || strings.Contains(text, l.home) && !strings.Contains(line, l.home[1:]) {
			l.t.Fatalf("%q is answered %q", line, text)
		}
		if code != 150 {
			return code, text
		}
	}
}

// Somebody swaps a directory with a link that leads out, as fast as possible,
// while files are sent and stored through it over whole sessions.
func TestSwappedDirectoriesT072T312(t *testing.T) {
	l := newLair(t)
	transfers := 10_000
	if testing.Short() {
		transfers = 500
	}
	stop, swapped := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				swapped <- n
				return
			default:
			}
			link := []string{"/climb", "/absolute"}[n%2]
			os.Rename(l.home+"/dir", l.home+"/aside")
			os.Rename(l.home+link, l.home+"/dir")
			os.Rename(l.home+"/dir", l.home+link)
			os.Rename(l.home+"/aside", l.home+"/dir")
		}
	}()
	halt := sync.OnceValue(func() int { close(stop); return <-swapped })
	defer halt()
	c := l.greet()
	c.conn.SetDeadline(time.Now().Add(5 * time.Minute))
	done := 0
	enough := time.Now().Add(time.Minute) // who swaps leaves a single processor to others for moments only
	for n := 0; n < transfers && time.Now().Before(enough); n++ {
		data := c.epsv()
		verb := []string{"RETR /dir/secret", "STOR /dir/new", "RETR /dir/file", "APPE /dir/secret", "STOR /dir/dir/new"}[n%5]
		c.say("%s", verb)
		code, text, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		if code == 150 {
			if strings.HasPrefix(verb, "RETR") {
				b, _ := io.ReadAll(data)
				if strings.Contains(string(b), hostileSecret) {
					t.Fatal("the file outside was sent")
				}
			} else {
				io.WriteString(data, "hostile")
			}
			data.Close()
			if code, text, err = c.read(); err != nil {
				t.Fatal(err)
			}
			if code == 226 {
				done++
			}
		}
		data.Close()
		if code == 421 {
			t.Fatal(text)
		}
	}
	if n := halt(); n == 0 || done == 0 {
		t.Errorf("%d swaps, %d transfers: nothing was tried", n, done)
	}
	if after := l.look(); after != l.before {
		t.Errorf("outside was\n%s\nand is\n%s", l.before, after)
	}
}

// openFiles counts this process's descriptors; -1 where that cannot be seen.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// Many sessions at a time do everything in any order, over real sockets: what is
// stored is what was sent, and nothing is left behind.
func TestManyMixedSessions(t *testing.T) {
	const sessions = 200
	rounds := 15
	if testing.Short() {
		rounds = 3
	}
	r := newRig(t, func(c *Config) {
		c.MaxClients, c.LoginDelay = sessions+10, 0
		c.PassivePorts.First, c.PassivePorts.Last = 30000, 39999
	})
	for i := range 20 {
		r.put(fmt.Sprintf("shared%d", i), strings.Repeat(fmt.Sprintf("line %d\n", i), 2000))
	}
	first := r.real()
	first.Close()
	addr := first.RemoteAddr().String()
	before := openFiles()
	var all sync.WaitGroup
	for n := range sessions {
		all.Go(func() {
			t.Run(strconv.Itoa(n), func(t *testing.T) { mixedSession(t, r, addr, n, rounds) })
		})
	}
	all.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for (r.srv.Sessions.Len() > 0 || openFiles() > before) && time.Now().Before(deadline) {
		runtime.GC() // the runtime's pipes for splicing are closed by that
		<-time.After(10 * time.Millisecond)
	}
	if n := r.srv.Sessions.Len(); n > 0 {
		t.Errorf("%d sessions are left", n)
	}
	if after := openFiles(); after > before {
		t.Errorf("%d files were open before, and %d are after", before, after)
	}
	if strings.Contains(r.logs.String(), "msg=panic") {
		t.Errorf("a fault: %s", r.logs)
	}
}

// mixedSession is one of them.
func mixedSession(t *testing.T, r *rig, addr string, id, rounds int) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	m := &mixed{client: r.on(conn), id: id, rng: rand.New(rand.NewPCG(uint64(id), 7))}
	m.t = t
	m.want(220)
	m.login("alice")
	m.cmd(200, "TYPE I")
	does := []func(){m.storeAndFetch, m.storeAndFetch, m.list, m.abort, m.prepare, m.move}
	for m.round = range rounds {
		does[m.rng.IntN(len(does))]()
	}
	if id%3 != 0 { // the others leave without a word
		m.cmd(221, "QUIT")
	}
}

// mixed is a client that does something else in each round.
type mixed struct {
	*client
	id, round int
	rng       *rand.Rand
}

// storeAndFetch sends a file of its own up and down again.
func (m *mixed) storeAndFetch() {
	name := fmt.Sprintf("mine%d", m.id)
	content := strings.Repeat(fmt.Sprintf("%d of %d\n", m.round, m.id), 1+m.rng.IntN(3000))
	if code := m.upload(m.epsv(), content, "STOR %s", name); code != 226 {
		m.t.Fatalf("STOR: %d", code)
	}
	if got, code := m.download(m.epsv(), "RETR %s", name); code != 226 || got != content {
		m.t.Fatalf("RETR: %d, %d bytes of %d", code, len(got), len(content))
	}
}

// list lists the home while others make files there.
func (m *mixed) list() {
	verb := []string{"MLSD", "LIST", "NLST"}[m.rng.IntN(3)]
	if got, code := m.download(m.epsv(), "%s", verb); code != 226 || !strings.Contains(got, "shared0") {
		m.t.Fatalf("%s: %d, %d bytes", verb, code, len(got))
	}
}

// abort gives a download up, before its end or after it.
func (m *mixed) abort() {
	data := m.epsv()
	m.cmd(150, "RETR shared%d", m.rng.IntN(20))
	m.say("ABOR")
	if code := m.code(); code != 426 && code != 226 {
		m.t.Fatalf("the aborted download: %d", code)
	}
	m.want(226)
	data.Close()
}

// prepare makes a data connection for nothing.
func (m *mixed) prepare() { m.epsv().Close() }

// move makes a directory, looks into it, renames and removes it.
func (m *mixed) move() {
	dir := fmt.Sprintf("dir%d-%d", m.id, m.round)
	m.cmd(257, "MKD %s", dir)
	m.cmd(250, "CWD %s", dir)
	m.cmd(250, "CDUP")
	m.cmd(350, "RNFR %s", dir)
	m.cmd(250, "RNTO %sx", dir)
	m.cmd(250, "RMD %sx", dir)
	m.cmd(211, "STAT")
}
