package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A departure is a case that is deliberately not followed.
type departure struct{ does, why string }

// departures are told in docs/conformance.md.
var departures = map[int]departure{
	93:  {"OPTS UTF8 OFF is 504, but 200 where ClientCharset names what clients speak without UTF-8", "that is what such a client asks for"},
	101: {"LANG fr is answered 200, and LANG it 504", "French is one of the languages spoken here"},
	287: {"the default is 426, and 226 takes StrictTLSEOF no", "anybody on the way can end a connection, and the part would replace the whole file; no client that was tried leaves the end of TLS out of an upload"},
}

// attacks are the known ways to harm an FTP server or its users, each with what
// plays it: cases by their number, tests by their name, and transcripts that are
// named after the attack.
var attacks = []struct{ what, tests string }{
	{"a data connection to somebody else (FTP bounce)", "T120 T303 TestBounceIsCounted"},
	{"an address in another spelling: mapped, zoned, zero, octal", "T119 T121 T122 TestAddressTricks FuzzPORT FuzzEPRT"},
	{"connecting to somebody's passive port first", "T127 T289"},
	{"an upload through somebody's passive port", "T127 TestPassiveFXPT128"},
	{"as many passive ports as there are", "T113 T308"},
	{"more connections than can be served", "T003 T004 T307"},
	{"bytes that come slowly, before login, in TLS, as data", "T005 T145 T270 T279 T306"},
	{"a session kept by NOOP", "T260"},
	{"lines without an end", "T016 T017"},
	{"commands faster than they are answered", "T192 T009"},
	{"replies that nobody reads", "TestKickOfOneThatDoesNotRead TestControlResetUnderReply"},
	{"commands slipped in before TLS begins", "T264"},
	{"what was said in clear, used under TLS", "T265 T266 T268"},
	{"TLS talked out of a client or of the server", "T283 T284 T276"},
	{"a client of another protocol led here", "T272 T311 T032"},
	{"an upload cut short under TLS", "T287"},
	{"old TLS and weak ciphers", "T271 TestCiphersAuthenticate"},
	{"paths that climb out", "T059 T083 T154 TestHostilePaths FuzzResolve"},
	{"links swapped between a check and its use", "T072 T312"},
	{"devices, pipes and other things that are no files", "T134 T212"},
	{"files that steer the server, and its own hidden ones", "TestHiddenFilesAreHidden TestLeftovers"},
	{"set-id bits", "attack 22"},
	{"patterns that cost time", "T215 T309 T214 TestMatchIsNotExponential"},
	{"directories of millions of entries", "T213 TestListMany"},
	{"checksums and recursion as a burden", "T255 TestAttack25JobsAreLimited TestJobIsAborted"},
	{"a bomb in MODE Z", "T310"},
	{"filling the disk", "T090 T170 T172"},
	{"finding users by what is answered", "T036 T052"},
	{"finding users by how long it takes", "T037"},
	{"finding out about the host: owners, paths, nodes", "T231 TestAnonymousInListings TestHostilePaths"},
	{"trying passwords", "T046 T305 TestDelay TestFailuresBySource"},
	{"locking a victim out by failing in his name", "T305 TestFailuresBySource"},
	{"passwords in logs", "TestLogsHoldNoSecretT313"},
	{"forged lines in logs and listings", "T313 T209 TestHostileNames"},
	{"transfers from server to server as a tunnel", "T128 attack 35"},
	{"two users at one name", "T165 T174 T175 TestUniqueDoesNotReplace"},
	{"urgent data and Telnet", "T020 T182 T183 T184 TestTelnetAnswersAreBounded"},
	{"numbers that overflow", "attack 38 T091 T274"},
	{"times that are none", "attack 39 T240"},
	{"SITE EXEC", "attack 40 T253"},
	{"telling product and version by the greeting", "TestRepliesNameNoProductAttack41"},
	{"an anonymous upload as a drop", "T050 TestAnonymous"},
	{"TLS on the port for clear text", "A43"},
	{"a forged PROXY header", "TestProxyHeaderOfAnybody TestProxyWithoutHeader FuzzProxy"},
	{"handshakes that fail, again and again", "A45 T278"},
	{"a reply that opens ports in somebody's router", "TestRefusalsDoNotEchoAttack46"},
}

// writeAttacks is the part of the page about them.
func writeAttacks(w io.Writer) {
	fmt.Fprint(w, "\n## Known attacks\n\n| | Attack | Played by |\n|---|---|---|\n")
	for i, a := range attacks {
		fmt.Fprintf(w, "| A%02d | %s | %s |\n", i+1, cell(a.what), a.tests)
	}
}

// Every case is tried or departed from, and what plays an attack is there.
func TestEveryCaseIsTried(t *testing.T) {
	tried := make(map[int]bool)
	for _, c := range trials(t) {
		for _, n := range c.cases {
			tried[n] = true
			if n < 1 || n > cases {
				t.Errorf("%s tries T%03d, which there is not", c.file, n)
			}
		}
	}
	for n := 1; n <= cases; n++ {
		if _, ok := departures[n]; !ok && !tried[n] {
			t.Errorf("nothing tries T%03d", n)
		}
	}
	names := testNames(t)
	for i, a := range attacks {
		for ref := range strings.FieldsSeq(strings.ReplaceAll(a.tests, "attack ", "attack_")) {
			ref = strings.ReplaceAll(ref, "_", " ")
			var n int
			switch _, err := fmt.Sscanf(ref, "T%03d", &n); {
			case err == nil && len(ref) == 4 && tried[n]:
			case regexp.MustCompile(`(?m)^(func |== |\W*")` + ref + `\b`).MatchString(names):
			default:
				t.Errorf("attack %d (%s): there is no %s", i+1, a.what, ref)
			}
		}
	}
}

// testNames returns the lines of all tests that begin with a name.
func testNames(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") && filepath.Base(filepath.Dir(path)) != "testdata" {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "func ") || strings.HasPrefix(line, "== ") || strings.Contains(line, `"attack `) {
				all.WriteString(strings.TrimSpace(line[strings.LastIndex(line, "\t")+1:]) + "\n")
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
