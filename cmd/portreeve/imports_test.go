package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The import diagram. An import goes from a package to one in a lower row, and
// only where this table says so; what is not in it has no place yet.
//
//	3  cmd/portreeve
//	2  server  stats/page
//	1  userfile  userquery  server/auth  server/vfs  server/control  server/ledger  server/history  stats  logfile  logparse/logtest
//	0  puredb  purepw  userdb  config  logparse  server/session  server/lang  server/cert  server/charset
//	   server/extauth  server/query  server/thread  server/rate  server/spool  server/syslog  server/measure
//	   server/metrics
//	   server/cert/acmetest
var mayImport = map[string][]string{
	"config":         nil,
	"server/history": {"logparse"},
	"server/spool":   nil,
	"logparse":       nil,
	"logfile":        {"logparse"},
	"server/syslog":  nil,
	"server/lang":    nil,
	"server/session": nil,
	"server/cert":    {"server/query"},
	"server/query":   nil,

	"server/cert/acmetest": nil,
	"logparse/logtest":     {"logparse"},

	"server/charset": nil,
	"server/measure": nil,
	"server/metrics": {"server/measure"},
	"server/thread":  nil,
	"server/rate":    nil,
	"userdb":         {"config"},
	"stats":          {"logparse"},
	"stats/page":     {"stats"},
	"puredb":         {"userdb"},
	"purepw":         nil,
	"userfile":       {"config", "puredb", "userdb"},
	"userquery":      {"config", "userdb"},
	"server/auth":    {"puredb", "userdb", "server/extauth", "server/measure", "server/query", "server/thread"},
	"server/extauth": {"server/query", "userdb"},
	"server/ledger":  {"userdb"},
	"server/vfs":     {"userdb", "server/charset", "server/ledger"},
	"server/control": {"logfile", "logparse", "server/session", "server/cert", "server/history"},
	"server":         {"config", "logparse", "userdb", "server/auth", "server/charset", "server/lang", "server/ledger", "server/measure", "server/rate", "server/session", "server/spool", "server/syslog", "server/thread", "server/vfs"},
	"cmd/portreeve":  {"config", "logfile", "logparse", "stats", "stats/page", "puredb", "purepw", "userdb", "server", "server/auth", "server/cert", "server/control", "server/extauth", "server/history", "server/ledger", "server/metrics", "server/query", "server/session", "server/spool", "server/syslog", "server/vfs", "userfile", "userquery"},
}

// testsImport are further imports of ours, of tests alone.
var testsImport = map[string][]string{
	"server/cert":   {"server/cert/acmetest"},
	"logparse":      {"logparse/logtest"},
	"logfile":       {"logparse/logtest"},
	"stats":         {"logparse/logtest"},
	"cmd/portreeve": {"logparse", "logparse/logtest", "server/cert/acmetest"},
}

// bans are the imports that tempt, with the reason why not.
var bans = []struct{ from, to, because string }{
	{"server", "server/control", "the daemon does not know that it is watched"},
	{"server", "server/metrics", "the daemon counts, and does not know who asks"},
	{"server/session", "server", "the registry counts sessions and knows no protocol"},
	{"server/vfs", "server/auth", "files are touched for an account, however it was let in"},
	{"server/auth", "server", "who may log in is decided without the protocol"},
	{"server/ledger", "server/vfs", "what files amount to is counted without touching them"},
	{"userdb", "server", "users are kept whether a server runs or not"},
	{"logparse", "server", "logs are read where no server runs"},
	{"config", "server", "the table's engine does not know what it describes"},
}

// homes are the packages that may import a module of others: each is used
// behind one of ours, so that it can be replaced there.
var homes = map[string][]string{
	"go.etcd.io/bbolt":              {"userdb", "server/history"},
	"golang.org/x/crypto":           {"userdb"},
	"github.com/go-crypt":           {"userdb"},
	"github.com/spf13/cobra":        {"cmd/portreeve"},
	"github.com/spf13/pflag":        {"config", "cmd/portreeve"},
	"golang.org/x/sys":              {"logfile", "server", "server/spool", "server/thread", "server/vfs", "server/control", "cmd/portreeve"},
	"golang.org/x/sync":             {"server/auth", "cmd/portreeve"},
	"golang.org/x/time":             {"server"},
	"golang.org/x/term":             {"cmd/portreeve"},
	"github.com/klauspost/compress": {"server", "logfile"},
	"github.com/ulikunitz/xz":       {"logfile"},
	"golang.org/x/text":             {"server/charset", "server/lang", "cmd/portreeve"},
	"github.com/nicksnyder":         {"server/lang"},

	"github.com/prometheus":    {"server/metrics"},
	"golang.org/x/crypto/acme": {"server/cert"},
	"github.com/letsencrypt":   {"server/cert/acmetest"},
}

// testHomes are further imports of tests alone.
var testHomes = map[string][]string{
	"github.com/rogpeppe/go-internal": {"cmd/portreeve"},
	"github.com/spf13/pflag":          {"server"},
	"golang.org/x/sys":                {"userdb", "server/session"},
}

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

const module = "portreeve/"

func TestImports(t *testing.T) {
	// What is compiled differs from system to system.
	for _, system := range []string{"linux", "freebsd", "darwin"} {
		t.Run(system, func(t *testing.T) {
			seen := make(map[string]bool)
			for _, p := range listPackages(t, system) {
				name := strings.TrimPrefix(p.ImportPath, module)
				seen[name] = true
				if _, ok := mayImport[name]; !ok {
					t.Errorf("package %s has no place in the table of imports", name)
					continue
				}
				for _, path := range p.Imports {
					if why := forbidden(name, path, false); why != "" {
						t.Errorf("%s imports %s: %s", name, path, why)
					}
				}
				for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
					if why := forbidden(name, path, true); why != "" {
						t.Errorf("a test of %s imports %s: %s", name, path, why)
					}
				}
			}
			for name := range mayImport {
				if !seen[name] {
					t.Errorf("the table of imports has %s, which there is not", name)
				}
			}
		})
	}
}

// listPackages returns the packages of this module as they are on a system.
func listPackages(t *testing.T, system string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.String())
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// forbidden returns why the package called name may not import path, or "".
func forbidden(name, path string, test bool) string {
	if of, ours := strings.CutPrefix(path, module); ours {
		if slices.Contains(mayImport[name], of) || test && (of == name || slices.Contains(testsImport[name], of)) {
			return ""
		}
		for _, ban := range bans {
			if ban.from == name && ban.to == of {
				return ban.because
			}
		}
		if strings.HasPrefix(of, "cmd/") {
			return "commands are nobody's library"
		}
		return "the table of imports does not say so"
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	home, known := homeOf(path, homes)
	if test {
		more, ok := homeOf(path, testHomes)
		home, known = slices.Concat(home, more), known || ok
	}
	switch {
	case !known:
		return "no package is the home of that module; each one needs a reason"
	case !slices.Contains(home, name):
		return fmt.Sprintf("its home is %s", strings.Join(home, ", "))
	}
	return ""
}

// homeOf returns the row of the longest prefix of path in a table.
func homeOf(path string, table map[string][]string) (home []string, known bool) {
	longest := ""
	for prefix, names := range table {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest, home, known = prefix, names, true
		}
	}
	return home, known
}

// TestForbidden makes sure that the guard can fail.
func TestForbidden(t *testing.T) {
	for _, tt := range []struct{ from, to, want string }{
		{"server", "portreeve/server/vfs", ""},
		{"server", "net/netip", ""},
		{"server", "portreeve/server/control", "the daemon does not know"},
		{"userdb", "portreeve/cmd/portreeve", "nobody's library"},
		{"server/vfs", "portreeve/config", "does not say so"},
		{"server", "go.etcd.io/bbolt", "its home is userdb"},
		{"config", "github.com/spf13/cobra", "its home is cmd/portreeve"},
		{"config", "github.com/stretchr/testify/assert", "needs a reason"},
		{"cmd/portreeve", "golang.org/x/crypto/scrypt", "its home is userdb"},
		{"userdb", "golang.org/x/crypto/scrypt", ""},
		{"server/cert", "golang.org/x/crypto/acme", ""},
		{"userdb", "golang.org/x/crypto/acme", "its home is server/cert"},
		{"server/cert", "portreeve/server/cert/acmetest", "does not say so"},
	} {
		got := forbidden(tt.from, tt.to, false)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s importing %s: %q, not %q", tt.from, tt.to, got, tt.want)
		}
	}
}

// TestDiagramHasNoCircle follows the table: no package reaches itself.
func TestDiagramHasNoCircle(t *testing.T) {
	var reaches func(from, to string, depth int) bool
	reaches = func(from, to string, depth int) bool {
		return depth < len(mayImport) && slices.ContainsFunc(mayImport[from], func(next string) bool {
			return next == to || reaches(next, to, depth+1)
		})
	}
	for name := range mayImport {
		if reaches(name, name, 0) {
			t.Errorf("%s may import itself by way of others", name)
		}
	}
	for _, ban := range bans {
		if slices.Contains(mayImport[ban.from], ban.to) {
			t.Errorf("%s is both allowed and forbidden to import %s", ban.from, ban.to)
		}
	}
}
