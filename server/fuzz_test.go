package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// FuzzSession sends bytes to a session in each of its states. Whatever they
// are, every answer is a reply, the session ends when it is told to, and
// nothing outside the user's home is touched.
func FuzzSession(f *testing.F) {
	r := newRig(f, func(c *Config) {
		c.LoginDelay, c.ConnectTimeout, c.StallTimeout = 0, time.Second, time.Second
		c.MaxLoginFailures, c.MaxCommandErrors = 100, 10000
		c.ServerCopy, c.Symlinks, c.MDTMWrite, c.Compression = true, true, true, 6
		c.MaxFileSize, c.MaxHashSize = 64<<10, 64<<10
	})
	r.put("f", strings.Repeat("x", 1000))
	outside := filepath.Join(filepath.Dir(r.home), "outside")
	if err := os.WriteFile(outside, []byte("untouched"), 0o644); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(r.home, "out")); err != nil {
		f.Fatal(err)
	}
	for state := range uint8(4) {
		for _, seed := range []string{
			"NOOP\r\n", "USER alice\r\nPASS secret\r\nPWD\r\n", "\xff\xf4\xff\xf2ABOR\r\n", "CWD ../../..\r\nRETR out\r\n",
			"RNFR f\r\nRNTO ../../outside\r\n", "STAT -laRF /\r\nMLST f\r\n", "REST 99\r\nEPSV ALL\r\nPASV\r\n",
			"SITE CHMOD 777 out\r\nMFMT 20200101000000 out\r\nDELE out\r\n", "PORT 1,2,3,4,5,6\r\nEPRT |2|::1|9|\r\nLIST *[\r\n",
			"OPTS MLST size;\r\nFEAT\r\nHELP SITE\r\nREIN\r\n", "MKD a\x00\r\n\r\n \r\n", "ALLO \t\r\nMFMT \t\r\nSITE \t\r\nEPRT \t\r\nOPTS \t\r\nREST \t\r\n", "QUIT\r\nNOOP\r\n",
			"RANG 0 3\r\nHASH f\r\nXCRC \"f\" 0 4\r\nOPTS HASH MD5\r\n", "SITE COPY out g\r\nCOMB g f out f\r\nSITE CPFR f\r\nSITE CPTO ../../outside\r\n",
			"SITE SYMLINK ../outside l\r\nRETR l\r\nMODE Z\r\nPRET STOR l\r\nESTP\r\nESTA\r\n", "MFF Modify=20200101000000;UNIX.mode=777; out\r\nMDTM 20200101000000 out\r\nSITE UMASK 0\r\nAVBL out\r\n",
		} {
			f.Add(state, []byte(seed))
		}
	}
	logs := r.logs
	f.Fuzz(func(t *testing.T, state uint8, data []byte) {
		if len(data) > 64<<10 {
			return // longer than any of the limits
		}
		r := &rig{t: t, srv: r.srv, net: r.net, home: r.home, logs: new(logBuffer)}
		c := r.dial(netip.AddrPort{})
		c.conn.SetDeadline(time.Now().Add(20 * time.Second))
		c.want(220)
		if state%4 >= 1 {
			c.cmd(331, "USER alice")
		}
		if state%4 >= 2 {
			c.cmd(230, "PASS secret")
		}
		if state%4 == 3 {
			passive := c.passive() // nobody reads from it: the transfer lasts until it is aborted
			defer passive.Close()
			c.cmd(150, "RETR f")
		}
		go func() {
			c.conn.Write(data)
			io.WriteString(c.conn, "\r\nABOR\r\nQUIT\r\n")
		}()
		checkReplies(t, c.in)
		<-c.done
		if len(r.net.listeners) != 0 || r.srv.Sessions.Len() != 0 {
			t.Fatalf("%d ports and %d sessions are left", len(r.net.listeners), r.srv.Sessions.Len())
		}
		if strings.Contains(logs.String(), "msg=panic") {
			t.Fatalf("a fault: %s", logs)
		}
		logs.Reset()
		if got, err := os.ReadFile(outside); err != nil || string(got) != "untouched" {
			t.Fatalf("the file outside is %q, %v", got, err)
		}
		os.Symlink(outside, filepath.Join(r.home, "out")) // a link may be deleted or renamed
		if !r.exists("f") {
			r.put("f", strings.Repeat("x", 1000))
		}
	})
}

// checkReplies reads until the end; what it reads must be replies, but for
// Telnet's refusals between them.
func checkReplies(t *testing.T, in *bufio.Reader) {
	t.Helper()
	open := "" // code of a reply of several lines
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" && open == "" {
			return
		}
		if err != nil {
			t.Fatalf("the session did not end well: %q, %v", line, err)
		}
		for open == "" && len(line) > 3 && line[0] == telnetIAC && (line[1] == telnetDONT || line[1] == telnetWONT) {
			line = line[3:]
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		if !ok || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("line %q is not clean", line)
		}
		m := replyLine.FindStringSubmatch(text)
		switch {
		case open != "" && m != nil && m[1] == open && m[2] == " ":
			open = ""
		case open != "" && strings.HasPrefix(text, " "):
		case open == "" && m != nil && m[2] == "-":
			open = m[1]
		case open == "" && m != nil:
		default:
			t.Fatalf("line %q is no reply", line)
		}
	}
}

var replyLine = regexp.MustCompile(`^([1-5][0-9][0-9])([ -])`)

// FuzzPORT checks PORT's argument against a pattern of its own.
func FuzzPORT(f *testing.F) {
	for _, s := range []string{"1,2,3,4,5,6", "256,0,0,1,4,5", "1,2,3,4,5", "01,002,3,4,5,6", "0,0,0,0,1,1", "1,2,3,4,0,0", " 1,2,3,4,5,6", "+1,2,3,4,5,6", ""} {
		f.Add(s)
	}
	form := regexp.MustCompile(`^(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)$`)
	f.Fuzz(func(t *testing.T, arg string) {
		got, err := parsePORT(arg)
		m := form.FindStringSubmatch(arg)
		var n [6]int
		valid := m != nil
		for i := range n {
			if valid {
				if _, serr := fmt.Sscan(strings.TrimLeft(m[i+1], "0")+"", &n[i]); serr != nil {
					n[i] = 0 // nothing but zeros
				}
				valid = n[i] <= 255 && len(strings.TrimLeft(m[i+1], "0")) <= 3
			}
		}
		valid = valid && n[4]*256+n[5] > 0 && n[0]+n[1]+n[2]+n[3] > 0
		if valid != (err == nil) {
			t.Fatalf("parsePORT(%q) = %v, %v", arg, got, err)
		}
		if valid {
			want := fmt.Sprintf("%d.%d.%d.%d:%d", n[0], n[1], n[2], n[3], n[4]*256+n[5])
			if got.String() != want {
				t.Fatalf("parsePORT(%q) = %v, want %s", arg, got, want)
			}
		}
	})
}

// FuzzEPRT checks that what is accepted is what was written, and nothing that
// could reach anybody by another name.
func FuzzEPRT(f *testing.F) {
	for _, s := range []string{"|1|1.2.3.4|5|", "|2|::1|65535|", "|1|::1|5|", "|2|fe80::1%lo|5|", "|3|x|5|", "||||", "|1|1.2.3.4|0|", "!1!1.2.3.4!5!", "|2|::ffff:1.2.3.4|9|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		family, to, err := parseEPRT(arg)
		if err != nil {
			return
		}
		if !to.IsValid() || to.Port() == 0 || to.Addr().IsUnspecified() || to.Addr().Zone() != "" || to.Addr().Is4In6() {
			t.Fatalf("parseEPRT(%q) = %v", arg, to)
		}
		d := arg[:1]
		fields := strings.Split(arg, d)
		addr, aerr := netip.ParseAddr(fields[2])
		if aerr != nil || addr.Unmap() != to.Addr() || fields[1] != family || (family == "1") != addr.Is4() {
			t.Fatalf("parseEPRT(%q) = %s, %v", arg, family, to)
		}
		if port := strings.TrimLeft(fields[3], "0"); port != fmt.Sprint(to.Port()) {
			t.Fatalf("parseEPRT(%q) has port %d", arg, to.Port())
		}
	})
}

// FuzzLine checks the reader against what it must keep of a line: pieces do not
// matter, and nothing is lost or made up between them.
func FuzzLine(f *testing.F) {
	f.Add([]byte("NOOP\r\nPWD\n"), 3)
	f.Add([]byte("\xff\xfb\x01NO\xff\xf4OP\r\nCWD a\xff\xffb\r\n"), 1)
	f.Add([]byte(strings.Repeat("x", 700)+"\n\n\r\n"), 64)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		piece = max(1, piece&0xff)
		whole, cut := readLines(data, len(data)+1), readLines(data, piece)
		if strings.Join(whole, "\n") != strings.Join(cut, "\n") {
			t.Fatalf("%q in pieces of %d: %q, whole: %q", data, piece, cut, whole)
		}
	})
}

// readLines runs a reader over data that comes in pieces.
func readLines(data []byte, piece int) (lines []string) {
	l := newLineReader(&pieces{data: data, size: piece}, 1024)
	for {
		text, answer, err := l.read()
		if err != nil && !errors.Is(err, errLineLong) && !errors.Is(err, errNUL) {
			return append(lines, err.Error())
		}
		lines = append(lines, fmt.Sprintf("%q %x %v", text, answer, err))
	}
}
