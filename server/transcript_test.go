package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	registry "portreeve/server/session"
	"portreeve/userdb"
)

// TestTranscripts runs each section of testdata/*.txt against a server of its
// own, in virtual time. A section is what goes over the wire and what happens
// around it:
//
//	== name of the section
//	config Directive value     before the client connects
//	file name content          a file of alice's; \n and so on are understood
//	sized name 4096            a file of alice's of so many bytes
//	folder name | link target name
//	login                      as alice, unless USER is part of the section
//	> line                     what the client sends
//	>> "bytes"                 the same, to the byte
//	long 9000                  so many letters without an end
//	< line                     what it must get; * stands for anything, and prose
//	                           before the last line of a reply ("226-") is passed over
//	<< "bytes"                 the same, to the byte
//	...                        any lines, up to the next expected one
//	connect [address]          a data connection to the port of the last reply
//	send "bytes"               over it, and its end
//	stream 4096                so many bytes over it, and its end
//	recv "bytes"               what must come over it until its end
//	sent "bytes"               over it, without an end
//	close                      the client's end of the control connection
//	sleep 15m                  time passes
//	took 3s                    so long, at least, since the last took, sleep or beginning
//	kick message | abort | shutdown
//	tls [max=1.2] [alpn=a,b] [cert=name] [wants=ftp]   the client's handshake, after AUTH
//	tls fails [options]        which the server must refuse
//	clear | abandon            both sides, or the server alone, end TLS, and go on
//	secure                     login behind TLS, with data protected
//	protect [resumes]          the client's handshake on the data connection; serves: as the server of it
//	cut                        the end of the data connection, and none of its TLS
//	implicit                   the client comes to a port of implicit TLS
//	authority                  signs the certificates of clients
//	tls-user login|data        alice demands TLS
//	quota files bytes          what alice may store; - is no limit
//	load 4.5 | load unknown    of the machine
//	disk 91                    so many percent of each are used
//	uncertified                the server has no certificate
//	eof                        the server closes
//	content name "bytes"       a file of alice's must be so; absent name
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	seen := make(map[string]string)
	for _, name := range names {
		for _, sec := range sections(t, name) {
			if old := seen[sec.name]; old != "" {
				t.Errorf("%s: section %q is in %s too", name, sec.name, old)
			}
			seen[sec.name] = name
			t.Run(sec.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) { sec.run(t) })
			})
		}
	}
}

type section struct {
	file, name string
	first      int // number of its first line
	lines      []string
}

func sections(t *testing.T, file string) []section {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []section
	for i, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			all = append(all, section{file: file, name: name, first: i + 2})
		} else if len(all) > 0 {
			all[len(all)-1].lines = append(all[len(all)-1].lines, line)
		}
	}
	return all
}

// A play is a section under way.
type play struct {
	*testing.T
	rig   *rig
	c     *client
	data  net.Conn
	raw   net.Conn // under data, if that is protected
	mark  time.Time
	skip  bool // lines until one is as expected
	where string
}

func (sec section) run(t *testing.T) {
	var edits []func(*Config)
	rest := slices.Clone(sec.lines)
	for i, line := range rest {
		if line == "authority" {
			edits = append(edits, func(c *Config) { c.TLSClientCA = testAuthority().file(t) })
			rest[i] = ""
		}
		if d, ok := strings.CutPrefix(line, "config "); ok {
			name, value, _ := strings.Cut(d, " ")
			edits = append(edits, func(c *Config) {
				if err := Directives.Set(c, name, value); err != nil {
					t.Fatalf("%s:%d: %v", sec.file, sec.first+i, err)
				}
			})
			rest[i] = ""
		}
	}
	p := &play{T: t, rig: newRig(t, edits...), mark: time.Now()}
	for i, line := range rest {
		if line = strings.TrimRight(line, "\r"); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p.where = sec.file + ":" + strconv.Itoa(sec.first+i)
		p.step(line)
	}
	if p.c != nil {
		p.c.conn.Close()
		<-p.c.done
	}
	if p.data != nil {
		p.data.Close()
	}
	if n := p.rig.srv.Sessions.Len(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	if n := len(p.rig.net.listeners); n != 0 {
		t.Errorf("%d passive ports are left open", n)
	}
}

func (p *play) fail(format string, args ...any) {
	p.Helper()
	p.Logf("server's log:\n%s", p.rig.logs)
	p.Fatalf(p.where+": "+format, args...)
}

func (p *play) step(line string) {
	p.Helper()
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "file":
		name, content, _ := strings.Cut(arg, " ")
		if strings.HasPrefix(arg, `"`) {
			end := strings.Index(arg[1:], `"`) + 2
			name, content = p.text(arg[:end]), strings.TrimPrefix(arg[end:], " ")
		}
		p.rig.put(name, p.text(content))
		return
	case "sized":
		name, size, _ := strings.Cut(arg, " ")
		p.rig.put(name, strings.Repeat("x", p.number(size)))
		return
	case "folder":
		if err := os.MkdirAll(filepath.Join(p.rig.home, arg), 0o755); err != nil {
			p.fail("%v", err)
		}
		return
	case "link":
		target, name, _ := strings.Cut(arg, " ")
		if err := os.Symlink(target, filepath.Join(p.rig.home, name)); err != nil {
			p.fail("%v", err)
		}
		return
	case "load":
		load, err := strconv.ParseFloat(arg, 64)
		p.rig.srv.loadAverage = func() (float64, error) { return load, err }
		return
	case "disk":
		used, err := strconv.ParseFloat(arg, 64)
		p.rig.srv.disks.Measure = func(int) (float64, error) { return used, err }
		return
	case "uncertified":
		p.rig.srv.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no such file") }
		return
	case "tls-user":
		demand, err := userdb.ParseTLS(arg)
		if err == nil {
			err = userdb.At(p.rig.srv.Config().UserDB).Modify("alice", func(u *userdb.User) error { u.TLS = demand; return nil })
		}
		if err != nil {
			p.fail("%v", err)
		}
		return
	case "quota":
		p.rig.setQuota(strings.Fields(arg))
		return
	case "implicit":
		p.rig.implicit = true
		return
	case "secure":
		p.c = p.rig.secureLogin()
		return
	case "login":
		p.c = p.rig.login()
		return
	case "content":
		name, content, _ := strings.Cut(arg, " ")
		if got := p.rig.get(name); got != p.text(content) {
			p.fail("%s holds %q", name, got)
		}
		return
	case "absent":
		if p.rig.exists(arg) {
			p.fail("%s is there", arg)
		}
		return
	}
	if p.c == nil {
		p.c = p.rig.dial(netip.AddrPort{})
	}
	p.talk(verb, arg)
}

func (p *play) talk(verb, arg string) {
	p.Helper()
	switch verb {
	case ">":
		p.sendControl(arg + "\r\n")
	case ">>":
		p.sendControl(p.text(arg))
	case "long":
		p.sendControl(strings.Repeat("A", p.number(arg)))
	case "<":
		p.expect(arg)
	case "connect":
		from := clientAddr
		if arg != "" {
			from = netip.MustParseAddrPort(arg + ":50000")
		}
		p.data = p.c.connect(from)
	case "send":
		if _, err := io.WriteString(p.data, p.text(arg)); err != nil {
			p.fail("sending data: %v", err)
		}
		p.data.Close()
	case "stream":
		if _, err := io.WriteString(p.data, strings.Repeat("x", p.number(arg))); err != nil {
			p.fail("sending data: %v", err)
		}
		p.data.Close()
	case "recv":
		p.data.SetReadDeadline(time.Now().Add(time.Minute))
		got, err := io.ReadAll(p.data)
		if err != nil || arg != "*" && string(got) != p.text(arg) {
			p.fail("received %q, %v", got, err)
		}
	case "sent":
		if _, err := io.WriteString(p.data, p.text(arg)); err != nil {
			p.fail("sending data: %v", err)
		}
	case "close":
		p.c.conn.Close()
		<-p.c.done
	case "<<":
		want := p.text(arg)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(p.c.in, got); err != nil || string(got) != want {
			p.fail("got %q, %v", got, err)
		}
	case "...":
		p.skip = true
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			p.fail("%v", err)
		}
		time.Sleep(d) // virtual: the bubble's clock jumps
		p.mark = time.Now()
	case "took":
		d, err := time.ParseDuration(arg)
		if passed := time.Since(p.mark); err != nil || passed < d || passed > d+20*time.Millisecond {
			p.fail("it took %v", passed)
		}
		p.mark = time.Now()
	case "kick":
		for _, i := range p.rig.srv.Sessions.List() {
			p.rig.srv.Sessions.Kick(i.ID, registry.Kicked{Message: arg})
		}
	case "abort":
		for _, i := range p.rig.srv.Sessions.List() {
			if !p.rig.srv.Sessions.Abort(i.ID) {
				p.fail("there is nothing to abort")
			}
		}
	case "shutdown":
		p.shutdown()
	case "tls":
		p.handshake(arg)
	case "clear":
		p.c.unsecure()
	case "abandon":
		p.c.abandon()
	case "protect":
		p.raw = p.data
		conn := tls.Client(p.data, p.c.tls)
		if arg == "serves" {
			conn = tls.Server(p.data, &tls.Config{GetCertificate: giveTestCertificate})
		}
		if err := conn.Handshake(); err != nil {
			p.fail("protecting the data connection: %v", err)
		}
		if resumed := conn.ConnectionState().DidResume; arg == "resumes" && !resumed {
			p.fail("the session is not resumed")
		}
		p.data = conn
	case "cut":
		if p.raw != nil {
			p.raw.Close()
		}
		p.data.Close()
	case "eof":
		if line, err := p.c.in.ReadString('\n'); err != io.EOF {
			p.fail("got %q, %v", line, err)
		}
	default:
		p.fail("no such step: %s", verb)
	}
}

// handshake begins TLS, or must fail to.
func (p *play) handshake(options string) {
	p.Helper()
	options, fails := strings.CutPrefix(options, "fails")
	err := p.c.handshake(tlsOptions(p, options))
	switch {
	case fails && err == nil:
		p.fail("the handshake was done")
	case !fails && err != nil:
		p.fail("handshake: %v", err)
	}
	if _, want, found := strings.Cut(options, "wants="); found {
		if got := p.c.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != want {
			p.fail("the protocol is %q", got)
		}
	}
}

// sendControl writes without waiting for the server to have read it all: a pipe
// has no buffer, and a server may be busy.
func (p *play) sendControl(text string) {
	go io.WriteString(p.c.conn, text)
	synctest.Wait()
}

// expect reads one line, which must be as the pattern says.
func (p *play) expect(pattern string) {
	p.Helper()
	quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
	want := regexp.MustCompile("^(?s:" + quoted + ")$")
	var text string
	for {
		p.c.conn.SetReadDeadline(time.Now().Add(time.Hour))
		line, err := p.c.in.ReadString('\n')
		if err != nil {
			p.fail("want %q, got %q, %v", pattern, line, err)
		}
		var ended bool
		text, ended = strings.CutSuffix(line, "\r\n")
		if ended && want.MatchString(text) {
			break
		}
		if ended && len(pattern) > 4 && pattern[3] == ' ' && strings.HasPrefix(text, pattern[:3]+"-") {
			continue
		}
		if !p.skip || !ended {
			p.fail("want %q, got %q", pattern, line)
		}
	}
	p.skip = false
	if m := passiveReply.FindStringSubmatch(text); m != nil {
		port, _ := strconv.Atoi(m[1])
		if m[2] != "" {
			high, _ := strconv.Atoi(m[2])
			low, _ := strconv.Atoi(m[3])
			port = high<<8 | low
		}
		p.c.port = uint16(port)
	}
}

var passiveReply = regexp.MustCompile(`^22[79] .*\((?:\|\|\|(\d+)\||\d+,\d+,\d+,\d+,(\d+),(\d+))\)`)

// shutdown begins to stop the server, with its grace.
func (p *play) shutdown() {
	grace := p.rig.srv.Config().ShutdownGrace
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		p.rig.srv.Shutdown(ctx)
	}()
	synctest.Wait()
}

func (p *play) number(arg string) int {
	p.Helper()
	n, err := strconv.Atoi(arg)
	if err != nil {
		p.fail("%v", err)
	}
	return n
}

// text undoes the quotes of a step's argument; without quotes it is as it stands.
func (p *play) text(arg string) string {
	p.Helper()
	if !strings.HasPrefix(arg, `"`) {
		return arg
	}
	s, err := strconv.Unquote(arg)
	if err != nil {
		p.fail("%s: %v", arg, err)
	}
	return s
}
