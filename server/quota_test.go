package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portreeve/userdb"
)

// withQuota limits everybody.
func (r *rig) withQuota(files, bytes int64) {
	r.t.Helper()
	r.setQuota([]string{fmt.Sprint(files), fmt.Sprint(bytes)})
}

// onDisk counts alice's home, as du would.
func (r *rig) onDisk() (u userdb.Usage) {
	r.t.Helper()
	err := filepath.WalkDir(r.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == r.home || strings.HasPrefix(d.Name(), ".pureftpd-upload.") || d.Name() == ".ftpquota" {
			return err
		}
		switch {
		case d.IsDir():
			u.Files++
		case d.Type().IsRegular():
			info, err := d.Info()
			if err != nil {
				return err
			}
			u.Files++
			u.Bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// exact fails unless the ledger, the database and the disk agree.
func (r *rig) exact() {
	r.t.Helper()
	r.srv.Ledger.Flush()
	db, err := userdb.At(r.srv.Config().UserDB).Tally("alice")
	if err != nil {
		r.t.Fatal(err)
	}
	if disk := r.onDisk(); db.Usage != disk || !db.Counted {
		r.t.Errorf("the database has %+v, the disk %+v", db, disk)
	}
}

// A quota holds to the byte in each of the ways in which data moves, in clear and
// behind TLS.
func TestQuotaOverSocketsT171(t *testing.T) {
	for _, shielded := range []bool{false, true} {
		for _, atomic := range []bool{false, true} {
			for _, limit := range []int{1, smallest - 1, smallest, smallest + 1, bulkFrom, 4*bulkFrom + 3, 8*bulkFrom + 5} {
				t.Run(fmt.Sprintf("%d, TLS %v, NoTruncate %v", limit, shielded, atomic), func(t *testing.T) {
					quotaOverSockets(t, shielded, atomic, limit)
				})
			}
		}
	}
}

func quotaOverSockets(t *testing.T, shielded, atomic bool, limit int) {
	r := newRig(t, func(c *Config) { c.NoTruncate = atomic; c.TLS = 1 })
	r.withQuota(10, int64(limit))
	var c *client
	if shielded {
		c = r.shielded("alice")
	} else {
		c = r.greet()
	}
	for i, size := range []int{limit - 1, limit, limit + 1, limit + 3*bulkFrom} {
		name := fmt.Sprint("f", i)
		content := strings.Repeat("x", size)
		want := 226
		if size > limit {
			want = 552
		}
		var data net.Conn = c.epsv()
		c.say("STOR %s", name)
		if code := c.code(); code != 150 {
			t.Fatalf("STOR of %d: %d", size, code)
		}
		if shielded {
			data = c.protect(data)
		}
		_, _ = io.WriteString(data, content) // the server may not want all of it
		data.Close()
		if code := c.code(); code != want {
			t.Errorf("STOR of %d: %d, not %d", size, code, want)
		}
		if r.exists(name) != (want == 226) {
			t.Errorf("STOR of %d: the file is there: %v", size, r.exists(name))
		}
		r.exact()
		if want == 226 {
			c.cmd(250, "DELE %s", name)
		}
	}
	r.exact()
}

// A swarm is many sessions of one user, who do everything that makes or removes
// files, all at once and to the same names.
type swarm struct {
	*rig
	at      string
	content []byte
	over    atomic.Bool
	full    atomic.Int64
	done    atomic.Int64
}

// TestQuotaIsExact lets 200 sessions write and delete at once; in the end what is
// counted is what is there, and no more than is allowed.
func TestQuotaIsExact(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"hidden":     func(c *Config) { c.NoTruncate = true },
		"in place":   func(c *Config) { c.NoTruncate = false },
		"AutoRename": func(c *Config) { c.AutoRename = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSwarm(t, edit)
			var clients sync.WaitGroup
			for i := range 200 {
				clients.Go(func() { s.client(rand.New(rand.NewPCG(uint64(i), 9))) })
			}
			pause(t.Context(), 2*time.Second)
			s.over.Store(true)
			clients.Wait()
			s.stop()
			s.exact()
			if got := s.onDisk(); got.Files > swarmFiles || got.Bytes > swarmBytes {
				t.Errorf("there are %+v", got)
			}
			if n := s.leftovers(); n > 0 {
				t.Errorf("%d hidden files are left", n)
			}
			if s.done.Load() < 200 || s.full.Load() == 0 {
				t.Errorf("%d changes, %d over quota", s.done.Load(), s.full.Load())
			}
			if strings.Contains(s.logs.String(), "panic") {
				t.Error("the log has a panic")
			}
			t.Logf("%d changes, %d over quota", s.done.Load(), s.full.Load())
		})
	}
}

const (
	swarmFiles = 25
	swarmBytes = 4 << 20
)

func newSwarm(t *testing.T, edit func(*Config)) *swarm {
	r := newRig(t, edit, func(c *Config) {
		c.MaxClients, c.MaxClientsPerIP = 0, 0
		c.PassivePorts.Last += 10_000
		c.ServerCopy, c.Symlinks, c.MaxJobs = true, true, JobLimit{300, 300}
		c.MaxCommandErrors = 10000
	})
	r.srv.network = tcp{}
	r.withQuota(swarmFiles, swarmBytes)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.serve(l)
	return &swarm{rig: r, at: l.Addr().String(), content: bytes.Repeat([]byte("0123456789abcdef"), 48<<10)}
}

func (s *swarm) client(r *rand.Rand) {
	conn, err := net.Dial("tcp", s.at)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	c := &client{rig: s.rig, conn: conn, in: bufio.NewReader(conn)}
	for _, step := range []struct {
		code int
		line string
	}{{220, ""}, {331, "USER alice"}, {230, "PASS secret"}, {200, "TYPE I"}} {
		if !c.tells(step.code, step.line) {
			s.t.Errorf("no login: %s", step.line)
			return
		}
	}
	for !s.over.Load() {
		if err := s.step(c, r); err != nil {
			s.t.Error(err)
			return
		}
	}
	c.tells(221, "QUIT")
}

func swarmName(r *rand.Rand) string { return fmt.Sprint("f", r.IntN(30)) }

// step does one thing.
func (s *swarm) step(c *client, r *rand.Rand) error {
	name, other := swarmName(r), swarmName(r)
	switch r.IntN(14) {
	case 0:
		return s.ask(c, "MKD d"+name)
	case 1:
		return s.ask(c, "RMD d"+name)
	case 2, 3, 4:
		return s.ask(c, "DELE "+name)
	case 5:
		return s.ask(c, "RNFR "+name, "RNTO "+other)
	case 6:
		return s.ask(c, "SITE COPY "+name+" "+other)
	case 7:
		return s.ask(c, "COMB "+name+" "+other+" "+name)
	case 8:
		return s.ask(c, "SITE SYMLINK "+other+" "+name)
	case 9:
		return s.store(c, r, "APPE "+name)
	case 10:
		if err := s.ask(c, fmt.Sprint("REST ", r.IntN(70000))); err != nil {
			return err
		}
		return s.store(c, r, "STOR "+name)
	case 11:
		return s.store(c, r, "STOU "+name)
	}
	return s.store(c, r, "STOR "+name)
}

// ask sends lines and reads a reply to each; which, is not said.
func (s *swarm) ask(c *client, lines ...string) error {
	for _, line := range lines {
		if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
			return err
		}
		code, text, err := c.read()
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		s.note(code, text)
	}
	return nil
}

func (s *swarm) note(code int, text string) {
	switch {
	case code == 552:
		s.full.Add(1)
	case code >= 200 && code < 300:
		s.done.Add(1)
	case code == 451 && strings.Contains(text, "Local error"):
		s.t.Errorf("%s", text)
	}
}

// store uploads something, whole or not.
func (s *swarm) store(c *client, r *rand.Rand, line string) error {
	if _, err := io.WriteString(c.conn, "EPSV\r\n"); err != nil {
		return err
	}
	code, text, err := c.read()
	if err != nil || code != 229 {
		return fmt.Errorf("EPSV: %s: %w", text, err)
	}
	data, err := net.Dial("tcp", "127.0.0.1:"+strings.Split(text, "|")[3])
	if err != nil {
		return err
	}
	defer data.Close()
	data.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return err
	}
	if code, text, err = c.read(); err != nil || code != 150 {
		s.note(code, text)
		return err
	}
	size := r.IntN(len(s.content))
	if r.IntN(2) == 0 {
		size = r.IntN(8 << 10)
	}
	_, _ = data.Write(s.content[:size])
	switch r.IntN(6) {
	case 0:
		if _, err := io.WriteString(c.conn, "ABOR\r\n"); err != nil {
			return err
		}
		data.Close()
		if !c.sync() {
			return errors.New("ABOR: no more replies")
		}
		return nil
	case 1:
		_ = data.(*net.TCPConn).SetLinger(0)
	}
	data.Close()
	code, text, err = c.read()
	s.note(code, text)
	return err
}

// What is removed from under an upload that writes it where it is keeps its bytes
// until it ends.
func TestQuotaOfAFileThatGoesT171(t *testing.T) {
	r := newRig(t, func(c *Config) { c.NoTruncate = false })
	r.withQuota(5, 100)
	r.put("f", strings.Repeat("o", 40))
	c, other := r.greet(), r.greet()
	data := c.epsv()
	c.cmd(150, "STOR f")
	if _, err := io.WriteString(data, strings.Repeat("n", 60)); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // until it is there
		if i, err := os.Stat(filepath.Join(r.home, "f")); err == nil && i.Size() == 60 {
			break
		}
		c.cmd(211, "STAT")
	}
	other.cmd(250, "DELE f")
	if text := other.cmd(213, "AVBL"); text != "213 0" && text != "213 40" {
		t.Errorf("while it is written: %s", text)
	}
	data.Close()
	c.want(226)
	if text := other.cmd(213, "AVBL"); text != "213 100" {
		t.Errorf("when it is closed: %s", text)
	}
	r.exact()
}

// A quota that is set holds for those who are logged in.
func TestQuotaComesLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", "12345")
		c := r.login()
		data := c.passive()
		c.cmd(150, "STOR g")
		if _, err := io.WriteString(data, "123456"); err != nil {
			t.Fatal(err)
		}
		r.withQuota(10, 10)
		time.Sleep(reach)
		data.Close()
		if text := c.want(552); !strings.Contains(text, "won't be saved") {
			t.Errorf("what is too much is answered %q", text)
		}
		if text := c.cmd(213, "AVBL"); text != "213 5" {
			t.Errorf("AVBL says %s", text)
		}
		r.setQuota([]string{"-", "-"})
		time.Sleep(reach)
		if code := c.stor("123456", "STOR g"); code != 226 {
			t.Errorf("without a quota: %d", code)
		}
		r.withQuota(10, 20)
		time.Sleep(reach)
		if text := c.cmd(213, "AVBL"); text != "213 9" {
			t.Errorf("AVBL says %s", text)
		}
		r.exact()
	})
}

// Whoever has no quota is counted nowhere.
func TestNoQuotaCountsNothing(t *testing.T) {
	r := newRig(t)
	c := r.greet()
	if code := c.upload(c.epsv(), "content", "STOR f"); code != 226 {
		t.Errorf("STOR: %d", code)
	}
	c.cmd(250, "DELE f")
	c.cmd(221, "QUIT")
	r.srv.Ledger.Flush()
	if got, err := userdb.At(r.srv.Config().UserDB).Tally("alice"); err != nil || got != (userdb.Tally{}) {
		t.Errorf("the database has %+v, %v", got, err)
	}
}
