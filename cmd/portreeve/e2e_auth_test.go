//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"portreeve/userdb"
)

// Logins that other programs decide about, or that come from files of others, with
// the real programs at the other end.

// authScript lets joe in, who may store two files, and refuses evil; nobody else
// is known. What it was asked it writes beside itself.
func authScript(t *testing.T, d *site) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "program")
	publish(t, filepath.Dir(program))
	script := fmt.Sprintf(`#!/bin/sh
case $AUTHD_ACCOUNT in
joe) if [ "$AUTHD_PASSWORD" = %s ]; then
	printf 'auth_ok:1\nuid:%d\ngid:%[2]d\ndir:%s/./\nuser_quota_files:2\nuser_quota_size:1000000\nper_user_max:1\n'
	env | grep ^AUTHD_ | grep -v LOCAL_PORT | sort >%s.env
else
	echo auth_ok:-1
fi;;
evil) echo auth_ok:-1;;
half) printf 'auth_ok:1\nuid:%[2]d\ngid:%[2]d\n';;
root) printf 'auth_ok:1\nuid:0\ngid:0\ndir:/\n';;
*) echo auth_ok:0;;
esac
echo end
`, password, d.uid, d.home, program)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// startAuthd runs pure-authd, or what takes its options, until the test ends.
func startAuthd(t *testing.T, cmd *exec.Cmd, socket string) (log *logBuffer) {
	t.Helper()
	log = new(logBuffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	eventually(t, "it answers at "+socket, func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return log
}

// turnedAway logs in and wants the code that a refusal has.
func turnedAway(t *testing.T, port, user string, code int) {
	t.Helper()
	c, err := loginFTP(port, user)
	if err == nil {
		c.Close()
	}
	if e, ok := errors.AsType[*textproto.Error](err); !ok || e.Code != code {
		t.Errorf("%s: %v", user, err)
	}
}

// checkEnv compares what the program was given.
func checkEnv(t *testing.T, program string) {
	t.Helper()
	got, err := os.ReadFile(program + ".env")
	want := "AUTHD_ACCOUNT=joe\nAUTHD_ENCRYPTED=0\nAUTHD_LOCAL_IP=127.0.0.1\nAUTHD_PASSWORD=" + password + "\nAUTHD_REMOTE_IP=127.0.0.1\n"
	if err != nil || string(got) != want {
		t.Errorf("the program was given (%v)\n%swant\n%s", err, got, want)
	}
}

// Our daemon asks Debian's pure-authd, and ours by either name: all say the same.
func TestExtAuth(t *testing.T) {
	needs(t, "pure-authd")
	doors := linked(t)
	for what, authd := range map[string][]string{
		"pure-authd": {"pure-authd"}, "portreeve authd": {built.path(t), "authd"}, "its door": {filepath.Join(doors, "pure-authd")},
	} {
		real := what == "pure-authd"
		if real && os.Geteuid() != 0 { // it runs for root alone
			continue
		}
		t.Run(what, func(t *testing.T) {
			d := newSite(t, nil)
			program, socket := authScript(t, d), filepath.Join(d.dir, "authd.sock")
			d.configure(t, "ExtAuth "+socket, "Auth userdb", "LoginDelay 0s", "AllowUserFXP yes")
			args := []string{"-s", socket, "-r", program, "-p", filepath.Join(d.dir, "authd.pid")}
			cmd := exec.Command(authd[0], slices.Concat(authd[1:], args)...)
			log := startAuthd(t, cmd, socket)
			d.start(t)

			joe := dialFTP(t, d, "joe")
			checkEnv(t, program)
			for i := range 3 {
				err := joe.store(fmt.Sprint("file", i), strings.NewReader("x"))
				if (err == nil) != (i < 2) {
					t.Errorf("file %d of 2: %v", i, err)
				}
			}
			turnedAway(t, d.port4, "joe", 421) // once is what he may
			for _, user := range []string{"evil", "half", "root", "nobody"} {
				turnedAway(t, d.port4, user, 530)
			}
			dialFTP(t, d, "alice") // whom it does not know
			if said := log.String() + d.log.String(); strings.Contains(said, password) {
				t.Error("a password is in the log")
			}

			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
			if _, err := os.Stat(socket); err == nil && !real {
				t.Error("it leaves its socket")
			}
			turnedAway(t, d.port4, "alice", 421) // who might be refused by it
			eventually(t, "the log tells the administrator", func() bool {
				return strings.Contains(d.log.String(), "is portreeve authd or pure-authd running?")
			})
		})
	}
}

// The real pure-ftpd asks our authd.
func TestAuthdServesPureFTPd(t *testing.T) {
	d := newSite(t, nil)
	program, socket := authScript(t, d), filepath.Join(d.dir, "authd.sock")
	startAuthd(t, exec.Command(built.path(t), "authd", "--socket", socket, "--run", program), socket)
	if os.Geteuid() != 0 {
		// Only root can start it. What anybody can see is the answer itself.
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "account:evil\npassword:x\nend\n")
		var answer bytes.Buffer
		if _, err := answer.ReadFrom(conn); err != nil || answer.String() != "auth_ok:-1\nend\n" {
			t.Errorf("%q, %v", answer.String(), err)
		}
		return
	}
	s := startPureFTPd(t, "127.0.0.1", "-l", "extauth:"+socket)
	joe, err := loginFTP(s.port, "joe")
	if err != nil {
		t.Fatal(err)
	}
	defer joe.Close()
	checkEnv(t, program)
	if err := joe.store("file", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.path("file")); err != nil {
		t.Error(err)
	}
	turnedAway(t, s.port, "evil", 530)
}

// A file of pure-pw logs its users in as it is, and a change of it counts at once.
func TestPureDB(t *testing.T) {
	needs(t, "pure-pw")
	d := newSite(t, nil)
	passwd, pdb := filepath.Join(d.dir, "pureftpd.passwd"), filepath.Join(d.dir, "pureftpd.pdb")
	purePw := func(args ...string) {
		t.Helper()
		command{args: slices.Concat([]string{"pure-pw"}, args, []string{"-f", passwd}), input: password + "\n" + password + "\n"}.must(t)
	}
	id := fmt.Sprint(d.uid)
	purePw("useradd", "joe", "-u", id, "-g", id, "-d", d.home, "-n", "2", "-y", "1", "-C", "16")
	purePw("useradd", "elsewhere", "-u", id, "-g", id, "-d", d.home, "-R", "127.0.0.0/8", "-C", "16")
	purePw("mkdb", pdb)
	d.configure(t, "PAMAuthentication yes", "UnixAuthentication no", "PureDB "+pdb, "LoginDelay 0s")
	d.start(t)
	joe := dialFTP(t, d, "joe")
	for i := range 3 {
		err := joe.store(fmt.Sprint("file", i), strings.NewReader("x"))
		if (err == nil) != (i < 2) {
			t.Errorf("file %d of 2: %v", i, err)
		}
	}
	turnedAway(t, d.port4, "joe", 421)
	turnedAway(t, d.port4, "elsewhere", 530)
	turnedAway(t, d.port4, "alice", 530) // UserDB is not asked
	if !strings.Contains(d.log.String(), "PAMAuthentication is passed over") {
		t.Error("the log does not tell that PAM is not asked")
	}
	joe.Close()
	before, err := os.ReadFile(pdb)
	if err != nil {
		t.Fatal(err)
	}
	purePw("userdel", "joe")
	purePw("useradd", "ann", "-u", id, "-g", id, "-d", d.home, "-C", "16")
	purePw("mkdb", pdb)
	turnedAway(t, d.port4, "joe", 530)
	dialFTP(t, d, "ann")
	// It is never written to.
	writeFile(t, pdb, before)
	dialFTP(t, d, "joe")
	if after, err := os.ReadFile(pdb); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file is another one (%v)", err)
	}
}

// Users of the system log in by what is in its files.
func TestUnixUsers(t *testing.T) {
	d := newSite(t, nil)
	hash, err := userdb.Hash(password, userdb.Cost{LogN: 10, R: 8, P: 1})
	if err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(d.dir, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"passwd": fmt.Sprintf("joe:x:%d:%[1]d:Joe:%s:/bin/sh\ndaemon:x:%[1]d:%[1]d::%[2]s:/usr/sbin/nologin\n", d.uid, d.home),
		"shadow": "joe:" + hash + ":19000:0:99999:7:::\ndaemon:" + hash + ":19000:0:99999:7:::\n",
		"shells": "/bin/sh\n",
	} {
		writeFile(t, filepath.Join(etc, name), []byte(content))
	}
	d.configure(t, "Auth unix:"+etc+" userdb", "ChrootEveryone yes", "LoginDelay 0s")
	d.start(t)
	joe := dialFTP(t, d, "joe")
	if err := joe.store("file", strings.NewReader("x")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(d.path("file")); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != d.uid {
		t.Errorf("whose file it is: %v", err)
	}
	turnedAway(t, d.port4, "daemon", 530)
	dialFTP(t, d, "alice")
}

// authd runs its program as whom it is told, with no other group.
func TestAuthdIdentity(t *testing.T) {
	dir := t.TempDir()
	program, socket := filepath.Join(dir, "program"), filepath.Join(dir, "s")
	publish(t, program[:len(dir)])
	script := "#!/bin/sh\nprintf 'auth_ok:1\\nuid:%s\\ngid:%s\\ndir:/%s\\nend\\n' $(id -u) $(id -g) \"$(id -G | tr ' ' ,)\"\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(built.path(t), "authd", "-s", socket, "-r", program, "-u", fmt.Sprint(ftpUID))
	if os.Geteuid() != 0 {
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "only root can") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	startAuthd(t, cmd, socket)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "account:joe\npassword:x\nend\n")
	var answer bytes.Buffer
	want := fmt.Sprintf("auth_ok:1\nuid:%d\ngid:%[1]d\ndir:/%[1]d\nend\n", ftpUID)
	if _, err := answer.ReadFrom(conn); err != nil || answer.String() != want {
		t.Errorf("it runs as %q, %v", answer.String(), err)
	}
}
