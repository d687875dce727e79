package server

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"portreeve/server/spool"
)

// A notebook is a spool that a rig's uploads are noted in.
type notebook struct {
	t    testing.TB
	root string // the home, without links
	j    *spool.Journal
	r    *spool.Reader
}

// noteUploads has a server write uploads down.
func noteUploads(t testing.TB, s *Server, home string) *notebook {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spool")
	n := &notebook{t: t}
	var err error
	if n.j, err = spool.Open(dir, s.Log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.j.Close)
	if n.r, err = spool.Read(dir, s.Log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.r.Close)
	if n.root, err = filepath.EvalSymlinks(home); err != nil {
		t.Fatal(err)
	}
	s.Uploads = n.j
	return n
}

// want compares what is noted by now, and was not yet asked for: accounts, paths
// and statuses.
func (n *notebook) want(want ...[3]string) {
	n.t.Helper()
	if got := n.j.State(); got.Waiting != int64(len(want)) || got.Lost != 0 {
		n.t.Fatalf("%+v, and not %d uploads", got, len(want))
	}
	for _, w := range want {
		rec, err := n.r.Next(context.Background())
		if err != nil {
			n.t.Fatal(err)
		}
		if got := [3]string{rec.User, rec.Path, string(rec.Status)}; got != [3]string{w[0], n.root + w[1], w[2]} {
			n.t.Errorf("noted is %q, not %q", got, w)
		}
		if err := n.r.Done(rec); err != nil {
			n.t.Fatal(err)
		}
	}
}

// TestUploadsAreNoted: whatever stores a file is noted, under its real name, by
// the time its client is answered, and nothing else is.
func TestUploadsAreNoted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.AutoRename = true })
		n := noteUploads(t, r.srv, r.home)
		if err := errors.Join(os.MkdirAll(filepath.Join(r.home, "sub/real"), 0o755), os.Symlink("/sub/real", filepath.Join(r.home, "link"))); err != nil {
			t.Fatal(err)
		}
		c := r.login()
		c.stor("12345", "STOR link/a b")
		n.want([3]string{"alice", "/sub/real/a b", "complete"})
		c.stor("", "STOR link/a b") // AutoRename
		n.want([3]string{"alice", "/sub/real/a b.1", "complete"})
		c.stor("678", "APPE link/a b")
		n.want([3]string{"alice", "/sub/real/a b", "complete"})
		c.cmd(200, "TYPE A")
		c.stor("x\r\n", `STOR "q" $(x) -rf`)
		n.want([3]string{"alice", `/"q" $(x) -rf`, "complete"})
		c.retr("RETR link/a b")
		c.retr("NLST")
		c.cmd(550, "STOR nowhere/x")
		c.cmd(257, "MKD folder")
		c.cmd(350, "RNFR link/a b")
		c.cmd(250, "RNTO b")
		c.cmd(250, "DELE b")
		conn := c.passive()
		c.say("STOR cut")
		c.want(150)
		_, _ = io.WriteString(conn, "123")
		c.say("ABOR")
		c.want(426)
		c.want(226)
		n.want()
	})
}

// One whose client left at once is noted as what it is.
func TestUnconfirmedIsNoted(t *testing.T) {
	r := newRig(t)
	n := noteUploads(t, r.srv, r.home)
	c := r.greet()
	data := c.epsv()
	c.cmd(150, "STOR picture")
	if _, err := io.WriteString(data, "pixels"); err != nil {
		t.Fatal(err)
	}
	c.conn.Close()
	data.Close()
	r.stop()
	n.want([3]string{"alice", "/picture", "unconfirmed"})
}
