package server

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portreeve/userdb"
)

// Blanks of a password are part of it.
func TestPasswordsKeepTheirBlanksT043(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.LoginDelay = 0 })
		addUser(t, userdb.At(r.srv.Config().UserDB), "bob", " p w ", r.home)
		for _, try := range []struct {
			say  string
			code int
		}{{"PASS p w", 530}, {"PASS  p w", 530}, {"PASS p w ", 530}, {"PASS   p w ", 530}, {"PASS  p w ", 230}} {
			c := r.dial(netip.AddrPort{})
			c.want(220)
			c.cmd(331, "USER bob")
			c.cmd(try.code, "%s", try.say)
			c.conn.Close()
			<-c.done
		}
	})
}

// A marker beyond what 32 bits hold is the right one.
func TestFarOffsetT148(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("big", "")
		f, err := os.OpenFile(filepath.Join(r.home, "big"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		const size = 5 << 30
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("here"), 1<<32); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("the end"), size-7); err != nil {
			t.Fatal(err)
		}
		f.Close()
		c := r.login()
		c.cmd(200, "TYPE I")
		c.cmd(213, "SIZE big")
		c.cmd(350, "REST %d", int64(size-7))
		if got, code := c.retr("RETR big"); got != "the end" || code != 226 {
			t.Errorf("%q, %d", got, code)
		}
		c.cmd(350, "REST 4294967296")
		data := c.passive()
		c.say("RETR big")
		c.want(150)
		got := make([]byte, 4)
		if _, err := data.Read(got); err != nil || string(got) != "here" {
			t.Errorf("%q, %v", got, err)
		}
		c.say("ABOR")
		c.want(426)
		c.want(226)
		data.Close()
	})
}

// Line ends are found wherever a buffer ends, and each is written once.
func TestManyLinesT142(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var plain, wire strings.Builder
		for n := range 100_000 {
			line := strings.Repeat("x", n%7) // every offset within a buffer comes up
			plain.WriteString(line + "\n")
			wire.WriteString(line + "\r\n")
		}
		r.put("lines", plain.String())
		c := r.login()
		c.cmd(200, "TYPE A")
		if got, code := c.retr("RETR lines"); got != wire.String() || code != 226 {
			t.Errorf("%d bytes, not %d; %d", len(got), wire.Len(), code)
		}
		if code := c.stor(wire.String(), "STOR back"); code != 226 || r.get("back") != plain.String() {
			t.Errorf("what went up is not what went down; %d", code)
		}
	})
}
