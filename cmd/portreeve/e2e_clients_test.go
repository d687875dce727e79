//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The programs that people use, by the names of Debian's packages: inetutils
// and tnftp both want to be "ftp" there, so each is called by its own name.

// A mode is how the data connection comes to be: the command that asks for it,
// over which IP, and what protects it.
type mode struct {
	verb string // PASV, EPSV, PORT or EPRT
	ipv6 bool
	tls  protection
}

func (m mode) String() string {
	name := m.verb + "-IPv" + flagOr(m.ipv6, "6", "4")
	if m.tls != inClear {
		name += "-" + string(m.tls)
	}
	return name
}

// A protection is how a client comes to TLS.
type protection string

const (
	inClear  protection = ""
	explicit protection = "explicit" // by AUTH
	implicit protection = "implicit" // at a port where TLS is spoken from the first byte on
)

func (m mode) passive() bool { return m.verb == "PASV" || m.verb == "EPSV" }

var (
	pasv  = mode{verb: "PASV"}
	epsv  = mode{verb: "EPSV"}
	port  = mode{verb: "PORT"}
	eprt  = mode{verb: "EPRT"}
	epsv6 = mode{verb: "EPSV", ipv6: true}
	eprt6 = mode{verb: "EPRT", ipv6: true}
)

// A job is one thing to ask of a client.
type job struct {
	mode
	host, port, user string
	remote           string // path in the user's home, no leading slash
	local            string
	resume           int64 // go on after so many bytes, which are there
}

func (j job) url() string {
	return j.at("/" + j.remote)
}

// urlHost is the server as URLs have it.
func (j job) urlHost() string { return flagOr(j.ipv6, "["+j.host+"]", j.host) }

// at is the URL of an absolute path. To most clients ftps is implicit TLS.
func (j job) at(path string) string {
	u := url.URL{Scheme: flagOr(j.tls == implicit, "ftps", "ftp"), Host: net.JoinHostPort(j.host, j.port), Path: path}
	return u.String()
}

// A client is a real program. Its functions spell a job as a command; nil is
// what the program cannot do.
type client struct {
	name     string
	title    string // with the number of its case
	programs []string
	modes    []mode
	secures  bool // it speaks TLS
	get, put func(job) command
	// list prints names, each somewhere in a line.
	list func(job) command
	// refuses tells that the exit code of the program says whether it worked.
	// The interactive ones end with 0 whatever happened.
	refuses bool
	// returns tells that it connects anew, after a while, when its session was ended.
	returns bool
	// restarts tells that an upload can be resumed.
	restarts bool
	// forgets tells that some of its versions send data in clear where the server
	// connects, after they have asked for TLS.
	forgets bool
}

func (c client) protections() []protection {
	if c.secures {
		return []protection{inClear, explicit, implicit}
	}
	return []protection{inClear}
}

// A command is a program, its arguments and what is typed into it.
type command struct {
	args  []string
	input string
}

func cmdline(args ...string) command { return command{args: args} }

var clients = []client{curl, lftp, wget, ncftp, tnftp, inetutils, ftplib}

var curl = client{
	name: "curl", title: "T315 curl", secures: true, programs: []string{"curl"}, refuses: true, restarts: true,
	forgets: true, // 7.88
	modes:   []mode{epsv, pasv, port, eprt, epsv6, eprt6},
	get: func(j job) command {
		return curlArgs(j, "-o", j.local, j.url())
	},
	put: func(j job) command {
		return curlArgs(j, "-T", j.local, j.url())
	},
	list: func(j job) command { return curlArgs(j, "-l", j.url()+"/") },
}

func curlArgs(j job, more ...string) command {
	args := []string{"curl", "-sS", "--globoff", "-u", j.user + ":" + password}
	switch j.verb {
	case "PASV":
		args = append(args, "--disable-epsv")
	case "PORT":
		args = append(args, "--disable-eprt", "-P", "-")
	case "EPRT":
		args = append(args, "-P", "-")
	}
	if j.resume > 0 {
		args = append(args, "-C", "-")
	}
	if j.tls != inClear {
		args = append(args, "--ssl-reqd", "--insecure")
	}
	return command{args: append(args, more...)}
}

var lftp = client{
	name: "lftp", title: "T316 lftp", secures: true, programs: []string{"lftp"}, refuses: true, returns: true, restarts: true,
	// Its EPRT over IPv6 names the address "::", which nobody can connect to.
	modes: []mode{pasv, epsv, port, epsv6},
	get: func(j job) command {
		return lftpScript(j, "get "+flagIf(j.resume > 0, "-c ")+quote(j.remote)+" -o "+quote(j.local))
	},
	put: func(j job) command {
		return lftpScript(j, "put "+flagIf(j.resume > 0, "-c ")+quote(j.local)+" -o "+quote(j.remote))
	},
	list: func(j job) command { return lftpScript(j, "cls -1 "+quote("./"+j.remote)) },
}

func lftpScript(j job, lines ...string) command {
	script := append([]string{
		"set net:max-retries 1", "set net:timeout 20", "set net:persist-retries 0", "set cmd:fail-exit yes",
		flagOr(j.tls == inClear, "set ftp:ssl-allow no", "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no"),
		"set ftp:passive-mode " + strconv.FormatBool(j.passive()),
		"set ftp:prefer-epsv " + strconv.FormatBool(j.verb == "EPSV"),
		fmt.Sprintf("open -u %s,%s -p %s %s", j.user, password, j.port, flagOr(j.tls == implicit, "ftps://", "ftp://")+strings.TrimSuffix(net.JoinHostPort(j.host, ""), ":")),
	}, lines...)
	return cmdline("lftp", "--norc", "-c", strings.Join(script, "; "))
}

var wget = client{
	name: "wget", title: "T317 wget", secures: true, programs: []string{"wget"}, refuses: true,
	modes: []mode{pasv, port, epsv6, eprt6},
	get: func(j job) command {
		args := wgetArgs(j, "-O", j.local)
		if j.resume > 0 {
			args.args = append(args.args, "-c")
		}
		return command{args: append(args.args, wgetURL(j, "/"+j.remote))}
	},
	list: func(j job) command {
		return cmdline(append(wgetArgs(j, "-O", "-").args, wgetURL(j, "/"+j.remote+"/"))...)
	},
}

func wgetArgs(j job, more ...string) command {
	args := []string{"wget", "--no-config", "-nv", "--tries=1", "--timeout=20", "--no-glob", "--no-remove-listing",
		"--ftp-user=" + j.user, "--ftp-password=" + password}
	if !j.passive() {
		args = append(args, "--no-passive-ftp")
	}
	if j.tls != inClear {
		args = append(args, "--no-check-certificate")
	}
	if j.tls == implicit {
		args = append(args, "--ftps-implicit")
	}
	return cmdline(append(args, more...)...)
}

// wgetURL is a path as wget wants it, which takes ftps for explicit TLS.
func wgetURL(j job, path string) string {
	if j.tls == explicit {
		j.tls = implicit
	}
	return j.at(path)
}

var ncftp = client{
	// Asked to resume an upload, ncftpput 3.2.6 sends the whole file after REST.
	name: "ncftp", title: "T318 ncftp", programs: []string{"ncftpput", "ncftpget", "ncftpls"}, refuses: true,
	modes: []mode{pasv, port}, // it has no IPv6
	get: func(j job) command {
		return cmdline(append(ncftpArgs("ncftpget", j), "-C", j.host, j.remote, j.local)...)
	},
	put: func(j job) command {
		return cmdline(append(ncftpArgs("ncftpput", j), "-C", j.host, j.local, j.remote)...)
	},
	list: func(j job) command {
		return cmdline(append(ncftpArgs("ncftpls", j), "-1", j.url()+"/")...)
	},
}

func ncftpArgs(program string, j job) []string {
	args := []string{program, "-u", j.user, "-p", password, "-P", j.port, "-t", "20", "-r", "1"}
	if program != "ncftpls" {
		args = append(args, flagOr(j.resume > 0, "-z", "-Z"), "-V")
	}
	return append(args, flagOr(j.passive(), "-F", "-E"))
}

var tnftp = scripted("tnftp", []mode{epsv, pasv, port, eprt, epsv6, eprt6}, "ls", tnftpScript)

// scripted is a client that descends from BSD's and takes its commands.
func scripted(name string, modes []mode, list string, script func(job, ...string) command) client {
	return client{
		name: name, title: "T318 " + name, programs: []string{name}, restarts: true, modes: modes,
		get: func(j job) command {
			return script(j, flagOr(j.resume > 0, "reget ", "get ")+quote(j.remote)+" "+quote(j.local))
		},
		put: func(j job) command {
			put := "put " + quote(j.local) + " " + quote(j.remote)
			if j.resume > 0 {
				return script(j, fmt.Sprintf("restart %d", j.resume), put)
			}
			return script(j, put)
		},
		list: func(j job) command { return script(j, list+" "+quote("/"+j.remote)) },
	}
}

func tnftpScript(j job, lines ...string) command {
	extended := "epsv4 off"
	if j.ipv6 || strings.HasPrefix(j.verb, "E") {
		extended = "epsv4 on"
	}
	script := append([]string{"user " + j.user + " " + password, "binary", extended}, lines...)
	return command{
		args:  []string{"tnftp", "-n", "-v", "-i", flagOr(j.passive(), "-p", "-A"), j.host, j.port},
		input: strings.Join(script, "\n") + "\nquit\n",
	}
}

var inetutils = scripted("inetutils-ftp", []mode{port, pasv, epsv, eprt, epsv6, eprt6}, "nlist", inetutilsScript)

func inetutilsScript(j job, lines ...string) command {
	script := []string{"user " + j.user + " " + password, "binary"}
	if !j.ipv6 && strings.HasPrefix(j.verb, "E") {
		script = append(script, "epsv4") // a toggle, off at first
	}
	script = append(script, lines...)
	return command{
		args:  []string{"inetutils-ftp", "-n", "-v", "-i", flagOr(j.passive(), "-p", "-A"), j.host, j.port},
		input: strings.Join(script, "\n") + "\nquit\n",
	}
}

var ftplib = client{
	name: "ftplib", title: "T319 ftplib", secures: true, programs: []string{"python3"}, refuses: true, restarts: true,
	modes: []mode{pasv, port, epsv6, eprt6},
	get:   func(j job) command { return python(j, "get") },
	put:   func(j job) command { return python(j, "put") },
	list:  func(j job) command { return python(j, "list") },
}

func python(j job, verb string) command {
	return cmdline("python3", "-c", ftplibScript, verb, j.host, j.port, j.user, password,
		strconv.FormatBool(j.passive()), j.remote, j.local, strconv.FormatInt(j.resume, 10), string(j.tls))
}

// ftplibSecure has ftplib connect as it is told to. It knows no implicit TLS, but
// lets others teach it.
const ftplibSecure = `
import ftplib, ssl
class Implicit(ftplib.FTP_TLS):
    raw = None
    @property
    def sock(self): return self.raw
    @sock.setter
    def sock(self, s):
        if s is not None and not isinstance(s, ssl.SSLSocket): s = self.context.wrap_socket(s)
        self.raw = s
def connect(tls, host, port, user, password):
    ftp = {"": ftplib.FTP, "explicit": ftplib.FTP_TLS, "implicit": Implicit}[tls]()
    ftp.connect(host, int(port), timeout=20)
    ftp.login(user, password)
    if tls: ftp.prot_p()
    return ftp
`

const ftplibScript = ftplibSecure + `
import sys
verb, host, port, user, password, passive, remote, local, resume, tls = sys.argv[1:]
rest = int(resume) or None
ftp = connect(tls, host, port, user, password)
ftp.set_pasv(passive == "true")
if verb == "get":
    with open(local, "ab" if rest else "wb", buffering=0) as f:
        ftp.retrbinary("RETR " + remote, f.write, rest=rest)
elif verb == "put":
    with open(local, "rb") as f:
        f.seek(rest or 0)
        ftp.storbinary("STOR " + remote, f, rest=rest)
elif verb == "list":
    for name, facts in ftp.mlsd("/" + remote):
        print(name, facts["type"])
    if ftp.nlst("/" + remote) == []:
        sys.exit("NLST is empty")
ftp.quit()
`

func flagOr(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

func flagIf(cond bool, yes string) string { return flagOr(cond, yes, "") }

// quote is for the command languages of lftp and the two ftp programs.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// needs fails if a program is missing: a client test that is left out in
// silence proves nothing.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s is not installed; \"make test\" installs what the tests need", p)
		}
	}
}

// start begins a command in a folder of its own.
func (c command) start(t testing.TB, out *bytes.Buffer) *exec.Cmd {
	t.Helper()
	needs(t, c.args[0])
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "LC_ALL=C.UTF-8", "TERM=dumb", "XDG_CONFIG_HOME="+cmd.Dir)
	cmd.Stdin = strings.NewReader(c.input)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// run runs a command to its end and returns what it printed and its error.
func (c command) run(t testing.TB) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := c.start(t, &out)
	err := waitFor(t, cmd)
	return out.String(), err
}

// must is run for a command that has to work.
func (c command) must(t testing.TB) string {
	t.Helper()
	out, err := c.run(t)
	if err != nil {
		t.Fatalf("%q: %v\n%s", c.args, err, out)
	}
	return out
}

// TestClients has each program store, list and fetch a file in each way it knows
// to make a data connection, over both IPs and with each protection.
func TestClients(t *testing.T) {
	d, _ := secureSite(t)
	for _, c := range clients {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			for _, m := range c.modes {
				for _, m.tls = range c.protections() {
					t.Run(m.String(), func(t *testing.T) {
						if c.forgets && !m.passive() && m.tls != inClear {
							forgottenTLS(t, d, c, m)
							return
						}
						roundTrip(t, d, c, m)
					})
				}
			}
		})
	}
}

// forgottenTLS has a program upload that may send in clear what it said would be
// protected: then nothing of it may be stored, and the log must say why.
func forgottenTLS(t *testing.T, d *site, c client, m mode) {
	name := c.name + "-" + m.String()
	sent := randomFile(t, 10_000)
	out, err := c.put(d.job(t, m, "alice", name, sent)).run(t)
	if err == nil {
		sameContent(t, sent, d.path(name))
		return
	}
	t.Logf("%v\n%s", err, out)
	// What it sent in clear, or whether it closed before it sent anything, is chance.
	eventually(t, "the log says what was wrong with the data connection", func() bool {
		return strings.Contains(d.log.String(), "path=/"+name+" cause=tls-")
	})
	if sizeOf(d.path(name)) >= 0 {
		t.Error("data that came in clear was stored")
	}
}

func roundTrip(t *testing.T, d *site, c client, m mode) {
	needs(t, c.programs...)
	dir := c.name + "-" + m.String()
	name := dir + "/Käse & Brot.bin"
	d.mkdir(t, dir)
	sent := randomFile(t, 300<<10+17)
	if c.put != nil {
		c.put(d.job(t, m, "alice", name, sent)).must(t)
	} else {
		d.place(t, sent, name)
	}
	sameContent(t, sent, d.path(name))
	if out := c.list(d.job(t, m, "alice", dir, "")).must(t); !strings.Contains(out, "Käse & Brot.bin") && !strings.Contains(out, "K%C3%A4se") {
		t.Errorf("the list lacks the file:\n%s", out)
	}
	got := filepath.Join(t.TempDir(), "got")
	out := c.get(d.job(t, m, "alice", name, got)).must(t)
	sameContent(t, sent, got)
	if t.Failed() {
		t.Log(out)
	}
	d.wantCommand(t, m.verb, dir)
}
