//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"portreeve/server/session"
)

// changeReach is how long a change may take to come to a session.
const changeReach = 2 * time.Second

// TestChangesReachSessions changes a user whose file curl is sending, by commands
// that know of no daemon.
func TestChangesReachSessions(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	d := startSite(t)
	sent := randomFile(t, 64<<20) // a minute's worth
	for _, c := range []struct {
		name    string
		command []string
		told    string // the code that the session's client hears last
	}{
		{"lock", []string{"pw", "lock"}, "code=421"},
		{"userdel", []string{"pw", "userdel"}, "code=421"},
		{"expired", []string{"pw", "usermod", "--expires", "2001-01-01"}, "code=421"},
		{"denied", []string{"pw", "usermod", "-R", "127.0.0.0/8"}, "code=421"},
		{"tls", []string{"pw", "usermod", "--tls", "login"}, "code=421"},
		{"quota", []string{"pw", "usermod", "-N", "1"}, "code=552"},
		{"where", []string{"pw", "usermod", "--set", "quota-bytes=-99", "--yes", "--where"}, "code=552"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d.addUser(t, c.name, "-T", "1024", "-N", "100")
			j := d.job(t, epsv, c.name, c.name+".up", sent)
			var out bytes.Buffer
			program := curl.put(j).start(t, &out)
			eventually(t, "more than a mebibyte is there", func() bool { return d.moved("/"+c.name+".up") > 1<<20+1<<18 })
			begun := time.Now()
			who := c.name
			if c.name == "where" {
				who = "name=" + who
			}
			d.must(t, append(c.command, who)...)
			if err := waitFor(t, program); err == nil {
				t.Errorf("curl thinks that it is done:\n%s", out.String())
			}
			if took := time.Since(begun); took > 2*changeReach { // with the time of the commands, on a busy machine
				t.Errorf("it took %v", took)
			}
			if size := sizeOf(d.path(c.name + ".up")); size >= 0 {
				t.Errorf("the upload that was cut off left %d bytes", size)
			}
			eventually(t, "the log shows "+c.told, func() bool {
				for line := range strings.Lines(d.log.String()) {
					if strings.Contains(line, "user="+c.name+" ") && strings.Contains(line, c.told) {
						return true
					}
				}
				return false
			})
		})
	}
	t.Run("rate", func(t *testing.T) {
		t.Parallel()
		d.addUser(t, "rate", "-T", "100")
		var out bytes.Buffer
		program := curl.put(d.job(t, epsv, "rate", "rate.up", randomFile(t, 20<<20))).start(t, &out)
		d.busy(t, session.Uploading, "/rate.up")
		d.must(t, "pw", "usermod", "-T", "0", "rate")
		if err := waitFor(t, program); err != nil { // at its old rate it would hang for minutes
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	t.Run("undo", func(t *testing.T) {
		t.Parallel()
		d.addUser(t, "undo")
		said := d.must(t, "pw", "usermod", "-T", "100", "--where", "name=undo", "--yes")
		var out bytes.Buffer
		program := curl.put(d.job(t, epsv, "undo", "undo.up", randomFile(t, 20<<20))).start(t, &out)
		d.busy(t, session.Uploading, "/undo.up")
		_, number, _ := strings.Cut(said, "pw undo ")
		d.must(t, "pw", "undo", strings.Fields(number)[0], "--yes")
		if err := waitFor(t, program); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
}
