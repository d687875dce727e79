package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// doorTests are the tests that show what the pages of the other programs say of
// where they differ.
var doorTests = map[string]string{
	"pure-pw":           "TestPurePwDefects; TestPurePwRefuses; TestPurePwText; TestPurePwCommit",
	"pure-ftpwho":       "TestWhoGolden; TestWhoXMLKeepsNames; TestControlGroups",
	"pure-mrtginfo":     "TestDoorsPrintTheSame; TestMRTGCounts",
	"pure-statsdecode":  "TestDoorsPrintTheSame",
	"pure-pwconvert":    "TestConvertSystem",
	"pure-quotacheck":   "TestQuotaDoor",
	"pure-authd":        "TestAnswerDoors; TestAnswerDoorsKeepFiles",
	"pure-certd":        "TestAnswerDoors; TestAnswerDoorsKeepFiles; TestExtCert",
	"pure-uploadscript": "TestUploadScript; TestSlowUploadScript; TestUploadDoor",
}

// defects are those known of Pure-FTPd 1.0.50: what the manual says of each, and
// what shows it.
var defects = []struct{ says, shown string }{
	{"A port that is taken ends it with code 252", "TestPortIsTaken"},
	{"goes round in a loop that SIGTERM does not end", "TestValuesThatAreNone"},
	{"-M takes any number of megabytes", "TestPurePwRefuses"},
	{`"list -f FILE" lists that file`, "TestPurePwDefects"},
	{`"mkdb -F FILE" makes it`, "TestPurePwDefects"},
	{"makes several fields of one", "TestPurePwRefuses; migrate.txtar"},
	{"The table's frame is as wide as its rows", "TestWhoGolden"},
	{"XML quotes quotes", "TestWhoXMLKeepsNames"},
	{"A file whose path cannot be resolved stays", construction},
	{"A slow program keeps no client waiting", "TestSlowUploadScript"},
	{"The file for the process id is removed at the end", "TestAnswerDoorsKeepFiles; TestUploadDoor"},
	{"Logs of transfers tell those that broke off", "TestAltLog; TestLogsTellTheTruth"},
	{"has the paths of a renamed file from the root on", "TestSystemLog"},
	{"is written without a scope", "TestNoScopeInReplies"},
	{"frees its place at once", "TestClientGoesBeforeData"},
	{"drops the data connection", "TestClientDropsDownload"},
	{"tells PAM the server's own name", "TestExtAuth"},
	{"An upload that a quota refuses leaves nothing behind", "a quota on files"},
	{"A second AUTH TLS on a connection is refused", "T267 AUTH once"},
}

// TestEveryDivergenceIsShown: whatever the manual says of where things differ from
// Pure-FTPd, a test shows. Who adds a sentence adds what shows it.
func TestEveryDivergenceIsShown(t *testing.T) {
	names := testNames(t)
	check := func(what, shown string) {
		if shown == "" {
			t.Errorf("nothing shows that %s", what)
		}
		for ref := range strings.SplitSeq(shown, ";") {
			ref = strings.TrimSpace(ref)
			found := ref == construction
			switch {
			case strings.HasSuffix(ref, ".txtar"):
				_, err := os.Stat(filepath.Join("testdata/script", ref))
				found = err == nil
			case strings.HasPrefix(ref, "Test"):
				found = strings.Contains(names, "func "+ref+"(")
			case !found:
				found = regexp.MustCompile(`(?m)^== ` + regexp.QuoteMeta(ref) + `$`).MatchString(names)
			}
			if !found {
				t.Errorf("%s: there is no %s", what, ref)
			}
		}
	}
	for _, g := range serverDivergences() {
		for _, d := range g.list {
			check(d.what, d.shown)
		}
	}
	var said strings.Builder
	for _, d := range newDoors() {
		said.WriteString(strings.Join(d.departs, "\n") + "\n")
		if len(d.departs) > 0 && d.name != "pure-ftpd" {
			check("what "+d.name+"(8) says", doorTests[d.name])
		}
	}
	for _, d := range defects {
		check(d.says, d.shown)
		if !strings.Contains(said.String(), d.says) {
			t.Errorf("the manual does not say %q", d.says)
		}
	}
}
