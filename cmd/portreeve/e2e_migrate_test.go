//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portreeve/puredb"
)

// A server of Debian's Pure-FTPd moves here and back, with every user it has.

const migrants = 1000

// migrantNames and migrantPasswords are what both servers take.
var (
	migrantNames = []string{"joe@example.org", "with space", "ünïcode", "a+b=c&d", `quote"s`, "o'neill", "per%cent", "<tag>", "semi;colon",
		"~tilde", "smile😀", "dollar$HOME", "star*?[x]", "{brace}", "1", "pipe|", "x,y", strings.Repeat("n", 127)}
	migrantPasswords = []string{"p@ss w0rd", "colon:semi;", `quote"'\`, "ünïcödé 😀", "%s%n$HOME`id`", " blank before", "(*&^!~#", "x,y=z", "\xe9 in Latin-1",
		strings.Repeat("long", 25)}
	cryptSettings = []string{"$1$salt%d$", "$5$rounds=1000$salt%d$", "$6$rounds=1000$salt%d$"}
)

// A migrant is a user with all attributes that Pure-FTPd knows.
type migrant struct {
	name, password string
	fields         []string // of a line, all but the name
}

// newMigrants makes users who may all log in from this machine now.
func newMigrants(t *testing.T, dir string, uid int) []migrant {
	t.Helper()
	list := make([]migrant, migrants)
	now := time.Now()
	minute := now.Hour()*60 + now.Minute()
	clock := func(m int) string {
		m = (m + 2*24*60) % (24 * 60)
		return fmt.Sprint(m/60*100 + m%60)
	}
	var crypt strings.Builder // lines of setting and password
	for i := range list {
		name := fmt.Sprintf("user%04d", i)
		if i < len(migrantNames) {
			name = migrantNames[i]
		}
		home := fmt.Sprintf("%s/homes/%04d", dir, i)
		if i < 50 {
			if err := errors.Join(os.MkdirAll(home, 0o755), os.Chown(home, uid, -1)); err != nil {
				t.Fatal(err)
			}
		}
		files, bytes := fmt.Sprint(100+i), fmt.Sprint(1<<20+i)
		if i%10 == 9 {
			files, bytes = "", "" // and not confined
		} else {
			home += "/./"
		}
		ratio := fmt.Sprint(1 + i%7)
		const sessions = 3 // at least: servers of Pure-FTPd's that are killed leave some behind, for all to count
		list[i] = migrant{name, fmt.Sprint(migrantPasswords[i%len(migrantPasswords)], "-", i), []string{
			"", fmt.Sprint(uid), fmt.Sprint(uid + i*min(uid-os.Getuid(), 1)), fmt.Sprintf("Nummer %d, é (%[1]d) <x>", i), home,
			fmt.Sprint(1024 * (50 + i)), fmt.Sprint(1024 * (90 + i)), ratio, fmt.Sprint(2 + i%5), fmt.Sprint(sessions + i%9), files, bytes,
			fmt.Sprintf("127.0.0.0/8,10.0.%d.1", i%250), fmt.Sprintf("198.51.100.%d", i%250),
			fmt.Sprintf("127.0.0.1,10.%d.0.0/16", i%250), fmt.Sprintf("192.0.2.%d,203.0.113.0/24", i%250),
			clock(minute-90-i%500) + "-" + clock(minute+90+i%500),
		}}
		fmt.Fprintf(&crypt, cryptSettings[i%len(cryptSettings)]+"\t%s\n", i, list[i].password)
	}
	needs(t, "perl")
	cmd := exec.Command("perl", "-ne", `chomp; my ($s, $p) = split /\t/, $_, 2; print crypt($p, $s), "\n"`)
	cmd.Stdin = strings.NewReader(crypt.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	hashes := strings.Fields(string(out))
	if len(hashes) != migrants {
		t.Fatalf("%d hashes", len(hashes))
	}
	for i := range list {
		list[i].fields[0] = hashes[i]
	}
	return list
}

// loginAs logs in and out, and wants what a login is answered.
func (m *migrant) loginAs(port string, code int) error {
	conn, err := textproto.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	defer conn.Close()
	c := ftpConn{conn, "127.0.0.1"}
	if _, _, err = c.ReadResponse(220); err == nil {
		_, err = c.cmd(331, "USER %s", m.name)
	}
	if err == nil {
		_, err = c.cmd(code, "PASS %s", m.password)
	}
	if err == nil {
		_, err = c.cmd(221, "QUIT")
	}
	if err != nil {
		return fmt.Errorf("%q with %q: %w", m.name, m.password, err)
	}
	return nil
}

// allLogIn has all log in, several at a time.
func allLogIn(t *testing.T, what, port string, list []migrant) {
	t.Helper()
	began := time.Now()
	next := make(chan *migrant)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for m := range next {
				if err := m.loginAs(port, 230); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
	for i := range list {
		next <- &list[i]
	}
	close(next)
	wg.Wait()
	t.Logf("%s: %d logins in %v", what, len(list), time.Since(began).Round(time.Millisecond))
}

// sameAttributes compares what users have, their hashes aside.
func sameAttributes(t *testing.T, what string, got map[string]string, list []migrant) {
	t.Helper()
	if len(got) != len(list) {
		t.Errorf("%s: %d users of %d", what, len(got), len(list))
	}
	for _, m := range list {
		_, have, _ := strings.Cut(got[m.name], ":")
		if want := strings.Join(m.fields[1:], ":"); have != want {
			t.Errorf("%s: %q has\n%s\nnot\n%s", what, m.name, have, want)
		}
	}
}

// TestMigrateAndBack moves a thousand users, has each log in with its old password,
// here and then in the real server again, and finds nothing lost on the way.
func TestMigrateAndBack(t *testing.T) {
	t.Parallel()
	needs(t, "pure-pw", "pure-ftpd")
	dir := t.TempDir()
	publish(t, dir)
	uid := os.Getuid()
	if uid == 0 {
		uid = ftpUID
	}
	list := newMigrants(t, dir, uid)
	etc := filepath.Join(dir, "pure-ftpd")
	pdb, passwd := filepath.Join(etc, "pureftpd.pdb"), filepath.Join(etc, "pureftpd.passwd")
	var lines strings.Builder
	for _, m := range list {
		lines.WriteString(m.name + ":" + strings.Join(m.fields, ":") + "\n")
	}
	for name, text := range map[string]string{
		"pureftpd.passwd": lines.String(), "conf/PureDB": pdb, "conf/Bind": "127.0.0.1,0", "conf/MaxClientsNumber": "60", "conf/CreateHomeDir": "yes",
		"conf/MinUID": "1", "conf/NoAnonymous": "yes", "conf/Umask": "177 077", "conf/PAMAuthentication": "no", "conf/TrustedGID": "7", "conf/PerUserLimits": "20 3",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(etc, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(etc, name), []byte(text+"\n"))
	}
	if err := errors.Join(os.Mkdir(filepath.Join(etc, "auth"), 0o755), os.Symlink("../conf/PureDB", filepath.Join(etc, "auth", "50pure"))); err != nil {
		t.Fatal(err)
	}
	command{args: []string{"pure-pw", "mkdb", pdb, "-f", passwd}}.must(t)
	writeFile(t, filepath.Join(dir, "homes", "0000", ".ftpquota"), []byte("3 4096\n"))

	d := &site{dir: dir, conf: filepath.Join(dir, "new", "portreeve.conf"), uid: uid}
	said := d.must(t, "migrate", "--from", etc, "--to", filepath.Dir(d.conf))
	db := filepath.Join(dir, "new", "users.db")
	if !strings.Contains(said, "users: 1000 users of") {
		t.Error(said)
	}
	d.must(t, "config", "check", "--config", d.conf)
	if q := d.must(t, "quota", "show", list[0].name, "--db", db, "--json"); !strings.Contains(q, "4096") {
		t.Errorf(".ftpquota is not known: %s", q)
	}

	// What an administrator of a test adds.
	conf, err := os.OpenFile(d.conf, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if haveIPv6() {
		fmt.Fprintln(conf, "Bind ::1,0")
	}
	fmt.Fprintln(conf, "PasswordCost 10 8 1\nLoginDelay 0s")
	conf.Close()
	d.start(t)
	allLogIn(t, "here", d.port4, list)
	wrong := list[7]
	wrong.password += "x"
	if err := wrong.loginAs(d.port4, 530); err != nil {
		t.Error(err)
	}
	// Logins leave better hashes behind, of a few users at a time.
	exported := func() map[string]string {
		users := make(map[string]string)
		for line := range strings.Lines(d.must(t, "pw", "export", "--db", db, "--format", "pureftpd.passwd")) {
			name, fields, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			users[name] = fields
		}
		return users
	}
	d.cmd.Process.Signal(os.Interrupt)
	<-d.exited
	better := 0
	for _, fields := range exported() {
		if strings.HasPrefix(fields, "$7$") {
			better++
		}
	}
	if t.Logf("%d hashes were made anew", better); better == 0 {
		t.Error("no hash was made anew")
	}

	sameAttributes(t, "pureftpd.passwd", exported(), list)
	back := filepath.Join(dir, "back.pdb")
	d.must(t, "pw", "export", "--db", db, "--format", "puredb", "--out", back)
	f, err := os.Open(back)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	read, err := puredb.New(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	users := make(map[string]string)
	for u, err := range read.All() {
		if err != nil {
			t.Fatal(err)
		}
		users[u[0]] = u[1]
	}
	sameAttributes(t, "puredb", users, list)
	if !maps.Equal(users, exported()) {
		t.Error("the two files differ")
	}
	if uid == os.Getuid() {
		return // only root can start the real server
	}
	real := startPureFTPd(t, "127.0.0.1", "-l", "puredb:"+back, "-c", "60", "-u", "1", "-j")
	allLogIn(t, "Pure-FTPd", real.port, list)
	if err := wrong.loginAs(real.port, 530); err != nil {
		t.Error(err)
	}
}
