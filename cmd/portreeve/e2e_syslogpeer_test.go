//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A systemLog is a socket that is heard as the system's log is: at once, since few
// lines fit into it and who says more waits.
type systemLog struct {
	path  string
	lines chan string
}

func newSystemLog(t *testing.T, path string) *systemLog {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	l := &systemLog{path, make(chan string, 1000)}
	go func() {
		defer close(l.lines)
		for buf := make([]byte, 64<<10); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			l.lines <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		for range l.lines { // until it has ended
		}
	})
	return l
}

// until returns what is said, up to a line with a certain text.
func (l *systemLog) until(t *testing.T, last string) (lines []string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line := <-l.lines:
			lines = append(lines, line)
			if strings.Contains(line, last) {
				return lines
			}
		case <-late:
			t.Fatalf("%q is not said:\n%s", last, strings.Join(lines, "\n"))
		}
	}
}

// aTime and what follows are not the same twice.
var (
	aTime     = regexp.MustCompile(`^(<\d+>)\w{3} [ \d]\d \d\d:\d\d:\d\d `)
	aRate     = regexp.MustCompile(`[\d.]+KB/sec`)
	aCipher   = regexp.MustCompile(`with \S+, \d+ secret`)
	oursAlone = regexp.MustCompile(`(session|names)="`) // what Pure-FTPd has no words for
)

// alike makes lines of two servers the same where they may be, with home for
// the user's home.
func alike(lines []string, home string) (out []string) {
	for _, line := range lines {
		line = aTime.ReplaceAllString(line, "$1")
		line = aRate.ReplaceAllString(line, "RATE")
		line = aCipher.ReplaceAllString(line, "with CIPHER, N secret")
		if !oursAlone.MatchString(line) {
			out = append(out, strings.ReplaceAll(line, home, "HOME"))
		}
	}
	return out
}

// asPureFTPd is what Pure-FTPd 1.0.50 says to whatever speak does.
var asPureFTPd = []string{
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] New connection from 127.0.0.1",
	"<92>pure-ftpd: (?@127.0.0.1) [WARNING] Authentication failed for user [alice]",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] alice is now logged in",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] HOME//a b uploaded  (5000 bytes, RATE)",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] HOME//a b downloaded  (5000 bytes, RATE)",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] Restarting at 100",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] HOME//a b downloaded  (4900 bytes, RATE)",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] HOME//empty uploaded  (0 bytes, RATE)",
	"<91>pure-ftpd: (alice@127.0.0.1) [ERROR] Can't create directory: File exists",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] HOME//dir/in uploaded  (1 bytes, RATE)",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] File successfully renamed or moved: [/dir/in]->[/dir/in 2]",
	"<91>pure-ftpd: (alice@127.0.0.1) [ERROR] Rename/move failure: No such file or directory",
	"<91>pure-ftpd: (alice@127.0.0.1) [ERROR] Can't remove directory: Directory not empty",
	"<93>pure-ftpd: (alice@127.0.0.1) [NOTICE] Deleted HOME//dir/in 2",
	"<91>pure-ftpd: (alice@127.0.0.1) [ERROR] Can't open nope: No such file or directory",
	"<91>pure-ftpd: (alice@127.0.0.1) [ERROR] Can't open that file: No such file or directory",
	"<94>pure-ftpd: (alice@127.0.0.1) [INFO] Logout.",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] New connection from 127.0.0.1",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] TLS: Enabled TLSv1.2 with CIPHER, N secret bits cipher",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] alice is now logged in",
	"<94>pure-ftpd: (alice@127.0.0.1) [INFO] Logout.",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] New connection from 127.0.0.1",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] TLS: Enabled TLSv1.3 with CIPHER, N secret bits cipher",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] alice is now logged in",
	"<94>pure-ftpd: (alice@127.0.0.1) [INFO] Logout.",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] New connection from 127.0.0.1",
	"<94>pure-ftpd: (?@127.0.0.1) [INFO] New connection from 127.0.0.1",
	"<92>pure-ftpd: (?@?) [WARNING] Too many connections (2) from this IP: [127.0.0.1]",
}

// speak does what servers log, at a port, and returns what was heard of it.
// Nobody is there when alone says so.
func speak(t *testing.T, heard *systemLog, port string, alone func() bool) (lines []string) {
	t.Helper()
	dial := func() *ftpConn {
		c, err := textproto.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return &ftpConn{c, "127.0.0.1"}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	anyway := func(c *ftpConn, commands ...string) { // what is answered differs
		t.Helper()
		for _, command := range commands {
			_, err := c.cmd(0, "%s", command)
			must(err)
		}
	}
	c := dial()
	_, _, err := c.ReadResponse(220)
	must(err)
	anyway(c, "USER alice", "PASS wrong", "USER alice", "PASS "+password, "TYPE I")
	must(c.store("a b", bytes.NewReader(make([]byte, 5000))))
	must(c.retrieve("a b", io.Discard))
	conn, err := c.data()
	must(err)
	anyway(c, "REST 100", "RETR a b")
	_, err = io.Copy(io.Discard, conn)
	must(err)
	conn.Close()
	_, _, err = c.ReadResponse(226)
	must(err)
	must(c.store("empty", strings.NewReader("")))
	anyway(c, "MKD dir", "MKD dir")
	must(c.store("dir/in", strings.NewReader("x")))
	anyway(c, "RNFR /dir/in", "RNTO /dir/in 2", "RNFR /dir/in 2", "RNTO /nowhere/x", "RMD dir", "DELE dir/in 2", "RMD dir", "DELE nope")
	for _, command := range []string{"RETR nope", "STOR nowhere/x"} {
		conn, err := c.data()
		must(err)
		anyway(c, command)
		conn.Close()
	}
	anyway(c, "SITE CHMOD 600 a b", "SIZE nope", "FOO bar", "QUIT")
	lines = append(lines, heard.until(t, "Logout.")...)
	c.Close()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		raw, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		must(err)
		t.Cleanup(func() { raw.Close() })
		clear := &ftpConn{textproto.NewConn(raw), "127.0.0.1"}
		_, _, err = clear.ReadResponse(220)
		must(err)
		_, err = clear.cmd(234, "AUTH TLS")
		must(err)
		under := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		must(under.Handshake())
		anyway(&ftpConn{textproto.NewConn(under), "127.0.0.1"}, "USER alice", "PASS "+password, "QUIT")
		lines = append(lines, heard.until(t, "Logout.")...)
		raw.Close()
	}
	eventually(t, "all are gone", alone)
	for range 2 {
		c := dial()
		_, _, err := c.ReadResponse(220)
		must(err)
	}
	if _, _, err := dial().ReadResponse(421); err != nil {
		t.Error(err)
	}
	return append(lines, heard.until(t, "Too many connections")...)
}

// knock makes what a server said at its start be over.
func knock(t *testing.T, heard *systemLog, port string) {
	t.Helper()
	c, err := textproto.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	heard.until(t, "Logout.")
}

// heardPureFTPd starts Debian's server where the system's log is ours to hear.
func heardPureFTPd(t *testing.T, more ...string) (fxpServer, int, *systemLog) {
	dir := t.TempDir()
	dev, heard := filepath.Join(dir, "dev"), newSystemLog(t, filepath.Join(dir, "log"))
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	script := `mount -t tmpfs none "$0"
for n in null zero urandom random; do touch "$0/$n"; mount --bind /dev/$n "$0/$n"; done
ln -s "$1" "$0/log"; mount --rbind "$0" /dev; shift; exec "$@"`
	s, pid := wrapPureFTPd(t, []string{"unshare", "-m", "sh", "-ec", script, dev, heard.path}, "127.0.0.1", append(more, "-f", "ftp")...)
	heard.until(t, "Logout.") // of who looked whether it listens
	return s, pid, heard
}

// TestSyslogAsPureFTPd compares what our daemon tells the system's log with what
// Pure-FTPd says of the same, and that, where it can be run, with what it says now.
func TestSyslogAsPureFTPd(t *testing.T) {
	t.Parallel()
	compare := func(t *testing.T, got []string, home string) {
		t.Helper()
		if got := alike(got, home); !slices.Equal(got, asPureFTPd) {
			t.Errorf("it says\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(asPureFTPd, "\n"))
		}
	}
	t.Run("ours", func(t *testing.T) {
		t.Parallel()
		d := newSite(t, nil)
		heard := newSystemLog(t, filepath.Join(d.dir, "log"))
		d.configure(t, "SyslogFacility ftp", "SyslogSocket "+heard.path, "LogLevel info", "TLS 1", "CertFile "+certificate(t), "MaxClientsPerIP 2", "DontResolve yes", "LoginDelay 0")
		d.start(t)
		knock(t, heard, d.port4)
		compare(t, speak(t, heard, d.port4, func() bool { return len(d.who(t)) == 0 }), d.home)
	})
	if os.Getuid() != 0 {
		return // who is not root cannot run it so that it is heard
	}
	t.Run("Pure-FTPd", func(t *testing.T) {
		t.Parallel()
		s, pid, heard := heardPureFTPd(t, "-Y", "1", "-2", certificate(t), "-C", "2")
		compare(t, speak(t, heard, s.port, func() bool {
			return len(readFile(t, fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))) == 0
		}), s.home)
	})
}
