package logparse

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestJournal reads the journal as JSON: it says what journalctl says in lines, and
// what these hide.
func TestJournal(t *testing.T) {
	read := func(file string) (all []Entry, c Counts) {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(bytes.NewReader(text), Format{})
		r.Name = file
		for e, err := range r.All() {
			if err != nil {
				t.Error(err)
			}
			all = append(all, *e)
		}
		if r.Format.Name != "syslog" {
			t.Errorf("%s is taken for %s", file, r.Format.Name)
		}
		return all, r.Counts()
	}
	coded, counts := read("pureftpd-journal.json")
	plain, _ := read("pureftpd-journal-short-iso-precise.log")
	if counts.Foreign != 1 || counts.Lines != 26 || len(coded) != len(plain) {
		t.Fatalf("it has %+v, %d and %d entries", counts, len(coded), len(plain))
	}
	var hidden []string
	for i, e := range coded {
		want := plain[i]
		if want.Style.Syslog.Bare && strings.HasSuffix(want.Text, " blob data]") { // journalctl does not show it
			hidden = append(hidden, e.Path)
			continue
		}
		if !e.Time.Equal(want.Time) {
			t.Errorf("entry %d is of %v, not %v", i, e.Time, want.Time)
		}
		e.Time, e.Style.Syslog.Stamp = want.Time, want.Style.Syslog.Stamp
		if e != want {
			t.Errorf("entry %d is %+v, not %+v", i, e, want)
		}
	}
	if want := []string{"/srv/caf\xe9", "/srv/tab_x_"}; !slices.Equal(hidden, want) {
		t.Errorf("in JSON alone are %q, not %q", hidden, want)
	}
}

// TestJournalLines has what else a journal can say.
func TestJournalLines(t *testing.T) {
	f, _ := Find("syslog")
	const stamp = `"__REALTIME_TIMESTAMP":"1795355643000001"`
	for line, want := range map[string]string{
		`{` + stamp + `,"_COMM":"pure-ftpd","MESSAGE":"(a@h) [INFO] Logout.","SYSLOG_PID":"7"}`:                        "2026-11-22T13:54:03.000001+00:00 pure-ftpd[7]: (a@h) [INFO] Logout.",
		`{` + stamp + `,"_COMM":"x","SYSLOG_IDENTIFIER":"portreeve","MESSAGE":["(a@h) [INFO] Logout.","twice"]}`:       "2026-11-22T13:54:03.000001+00:00 portreeve: (a@h) [INFO] Logout.",
		` { ` + stamp + ` , "SYSLOG_IDENTIFIER" : "pure-ftpd" , "MESSAGE" : [ 40 , 255 ] , "_PID":null,"X":{"a":[1]}}`: "",
		`{` + stamp + `,"SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":[40,255]}`:                                           "2026-11-22T13:54:03.000001+00:00 pure-ftpd: (\xff",
		`{` + stamp + `,"SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":null}`:                                               "2026-11-22T13:54:03.000001+00:00 pure-ftpd: ",
		`{` + stamp + `,"SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":[40,256]}`:                                           "",
		`{` + stamp + `,"SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":[40,`:                                                "",
		`{` + stamp + `,"SYSLOG_IDENTIFIER":"pure-ftpd"}`:                                                              "",
		`{"SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":"x"}`:                                                              "",
		`{` + stamp + `,"SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":"x"} x`:                                              "",
		`{"__REALTIME_TIMESTAMP":"-1","SYSLOG_IDENTIFIER":"pure-ftpd","MESSAGE":"x"}`:                                  "",
	} {
		p := Parser{Zone: time.UTC}
		var e Entry
		got := ""
		err := p.Parse(&f, line, &e)
		if err == nil {
			got = strings.TrimSuffix(string(f.Append(nil, e)), "\n")
		}
		if got != want || err == errForeign {
			t.Errorf("%s becomes %q, not %q: %v", line, got, want, err)
		}
	}
}

// TestForeign passes over what others tell the system's log, and not over what
// servers do in words that are not understood.
func TestForeign(t *testing.T) {
	text := `-- Boot 00000000000000000000000000000000 --
Nov 22 13:54:00 ftp1 cron[7]: (root) CMD (true)
Nov 22 13:54:00 ftp1 last message repeated 3 times
Nov 22 13:54:01 ftp1 pure-ftpd[7]: (?@192.0.2.1) [INFO] New connection from 192.0.2.1
Nov 22 13:54:01 ftp1 pure-ftpd[x]: (?@192.0.2.1) [INFO] New connection from 192.0.2.1
Nov 22 13:54:01 ftp1 pure-ftpd
Nov 22 13:54:01 ftp1 sshd[7]: pure-ftpd[7]: (?@192.0.2.1) [WARNING] Authentication failed for user [root]
Nov 22 25:54:01 ftp1 cron[7]: (root) CMD (true)
`
	r := NewReader(strings.NewReader(text), Format{})
	var errs []string
	for _, err := range r.All() {
		if err != nil {
			errs = append(errs, err.Error())
		}
	}
	if c := r.Counts(); c != (Counts{Lines: 8, Entries: 1, Bad: 3, Foreign: 3}) || len(errs) != 3 {
		t.Errorf("it has %+v, %q", c, errs)
	}
}
