package server

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"portreeve/logparse"
)

// TestNoPasswordInLogs says a password in every place where people say one, and
// looks for it in all that is written down.
func TestNoPasswordInLogs(t *testing.T) {
	const marked = "Mark3d-" // what every password here begins with
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.VerboseLog = 2; c.MaxLoginFailures = 100; c.AnonymousRoot = "/" })
		heard, all := r.hear(slog.LevelDebug), r.record()
		dir := t.TempDir()
		var specs []string
		for _, name := range logparse.Names() {
			specs = append(specs, name+":"+filepath.Join(dir, name))
		}
		use, err := r.srv.UseAltLogs(specs)
		if err != nil {
			t.Fatal(err)
		}
		use()
		t.Cleanup(r.srv.CloseAltLogs)
		c := r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(503, "PASS "+marked+"early")
		c.cmd(530, "SITE PSWD "+marked+"old "+marked+"new")
		c.cmd(331, "USER alice")
		c.cmd(530, "PASS "+marked+"wrong")
		for _, mistyped := range []string{"PAS " + marked + "x", "PASS" + marked + "x", marked + "x", "pasword " + marked + "x",
			"Mark3d", "ACCT " + marked + "x", "PASS\t" + marked + "x"} {
			c.say("%s", mistyped)
			if code := c.code(); code < 202 || code > 530 {
				t.Errorf("%q is %d", mistyped, code)
			}
		}
		c.login("alice")
		c.cmd(500, "SITE PSWD "+marked+"old "+marked+"new")
		c.cmd(221, "QUIT")
		<-c.done
		c = r.dial(netip.AddrPort{})
		c.want(220)
		c.cmd(331, "USER ftp")
		c.cmd(230, "PASS "+marked+"anonymous")
		c.cmd(221, "QUIT")
		<-c.done
		r.srv.config.Load().VerboseLog = 0 // commands are shown as they come, and names among them
		r.srv.Log = slog.New(NewSystemLog(slog.LevelInfo, heard.send))
		c = r.dial(netip.AddrPort{})
		c.want(220)
		for _, user := range []string{marked + "swapped", "alice " + marked + "swapped", "alice:" + marked + "swapped"} {
			c.cmd(331, "USER %s", user)
			c.cmd(530, "PASS "+marked+"swapped")
		}
		c.cmd(221, "QUIT")
		<-c.done
		synctest.Wait()
		said := map[string]string{"the daemon": r.logs.String(), "the system": strings.Join(heard.all(), "\n")}
		for _, e := range all.take() {
			said["the recorder"] += string(logparse.Formats[0].Append(nil, e))
		}
		for _, name := range logparse.Names() {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			said[name] = string(text)
		}
		for whose, text := range said {
			for line := range strings.Lines(text) {
				if strings.Contains(strings.ToUpper(line), strings.ToUpper(marked[:6])) {
					t.Errorf("the log of %s has a password: %s", whose, line)
				}
			}
		}
		if !strings.Contains(said["json"], `"event":"login","status":"failed"`) || !strings.Contains(said["the system"], "Authentication failed for user ["+hidden+"]") {
			t.Error("failures are not told")
		}
	})
}
