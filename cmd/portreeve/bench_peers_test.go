//go:build linux

package main

import (
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A contestant is an FTP server that serves a folder: ours, or another one to
// compare it with.
type contestant struct {
	name       string
	port, user string
	up         string // folder for uploads, in the served one
	pid        int
	mlsd       bool
	orphans    bool // leaves processes whose time nobody counts
}

// login opens a session.
func (p contestant) login(b *testing.B) *ftpConn {
	b.Helper()
	c, err := loginFTP(p.port, p.user)
	if err != nil {
		b.Fatalf("%s: %v", p.name, err)
	}
	return c
}

// cpu returns the processor time of a server, with that of the processes that
// it started and that have ended, in seconds.
func (p contestant) cpu(b *testing.B) float64 {
	b.Helper()
	stat := string(readFile(b, fmt.Sprintf("/proc/%d/stat", p.pid)))
	if p.orphans {
		return math.NaN()
	}
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	ticks := 0
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return float64(ticks) / 100
}

// idle tells whether a server has no processes besides its own. One that makes
// a process for each session has counted its time then.
func (p contestant) idle() bool {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.pid, p.pid))
	return err == nil && len(children) == 0
}

// contestants starts every server that is installed, each on a port of
// loopback, for the same folder.
func contestants(b *testing.B, home string) []contestant {
	b.Helper()
	all := []contestant{ours(b, home)}
	if os.Getuid() != 0 {
		b.Log("the other servers cannot start without root: measuring ours alone")
		return all
	}
	dir := b.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	for _, p := range []struct {
		name, program, user string
		mlsd                bool
		command             func(b *testing.B, dir, home, port string) []string
	}{
		{"pure-ftpd", "pure-ftpd", "alice", true, pureFTPd},
		{"vsftpd", "vsftpd", "anonymous", false, vsftpd},
		{"proftpd", "proftpd", "alice", true, proFTPD},
	} {
		path, err := exec.LookPath(p.program)
		if err != nil {
			b.Logf("%s is not installed", p.name)
			continue
		}
		c := contestant{name: p.name, port: freePort(b), user: p.user, up: "up", mlsd: p.mlsd, orphans: p.name == "vsftpd"}
		cmd := exec.Command(path, p.command(b, dir, home, c.port)...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		c.pid = cmd.Process.Pid
		b.Cleanup(func() {
			syscall.Kill(-c.pid, syscall.SIGKILL)
			cmd.Wait()
		})
		eventually(b, p.name+" listens", func() bool {
			conn, err := net.Dial("tcp", "127.0.0.1:"+c.port)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		all = append(all, c)
	}
	return all
}

func ours(b *testing.B, home string) contestant {
	b.Helper()
	d := newSite(b, nil, "LogLevel warn")
	d.home = home
	d.addUser(b, "bench")
	d.start(b)
	return contestant{name: "portreeve", port: d.port4, user: "bench", up: "up", pid: d.cmd.Process.Pid, mlsd: true}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// md5crypt is password as "$1$": as good as no hash, so that hashing is out of
// the picture.
const md5crypt = "$1$portreev$/2VYK9NUbQPGcfIQhuVe41"

func pureFTPd(b *testing.B, dir, home, port string) []string {
	b.Helper()
	users, db := filepath.Join(dir, "pure.passwd"), filepath.Join(dir, "pure.pdb")
	writeFile(b, users, fmt.Appendf(nil, "alice:%s:%d:%d::%s/./::::::::::::\n", md5crypt, ftpUID, ftpUID, home))
	cmdline("pure-pw", "mkdb", db, "-f", users).must(b)
	return []string{"-S", "127.0.0.1," + port, "-l", "puredb:" + db, "-E", "-H", "-f", "none",
		"-c", "500", "-L", "1000000:5", "-g", filepath.Join(dir, "pure.pid")}
}

// vsftpd knows no users but the system's; anonymous may do everything here.
func vsftpd(b *testing.B, dir, home, port string) []string {
	b.Helper()
	empty := filepath.Join(dir, "empty")
	os.Mkdir(empty, 0o755)
	conf := filepath.Join(dir, "vsftpd.conf")
	writeFile(b, conf, fmt.Appendf(nil, `listen=YES
listen_address=127.0.0.1
listen_port=%s
background=NO
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_root=%s
anon_upload_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
ftp_username=daemon
chown_uploads=NO
secure_chroot_dir=%s
seccomp_sandbox=NO
xferlog_enable=NO
use_localtime=NO
`, port, home, empty))
	return []string{conf}
}

func proFTPD(b *testing.B, dir, home, port string) []string {
	b.Helper()
	users := filepath.Join(dir, "proftpd.passwd")
	writeFile(b, users, fmt.Appendf(nil, "alice:%s:%d:%d::%s:/bin/false\n", md5crypt, ftpUID, ftpUID, home))
	os.Chmod(users, 0o600)
	conf := filepath.Join(dir, "proftpd.conf")
	writeFile(b, conf, fmt.Appendf(nil, `ServerType standalone
DefaultAddress 127.0.0.1
Port %s
User nobody
Group nogroup
AuthOrder mod_auth_file.c
AuthUserFile %s
RequireValidShell off
DefaultRoot ~
UseIPv6 off
UseReverseDNS off
WtmpLog off
TransferLog none
SystemLog none
DelayEngine off
AllowOverwrite on
AllowStoreRestart on
ScoreboardFile %[3]s/proftpd.score
PidFile %[3]s/proftpd.pid
MaxInstances 100
TimesGMT on
`, port, users, dir))
	return []string{"-n", "-q", "-c", conf}
}
