package server

import (
	"io"
	"net"
	"net/netip"
	"os/user"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portreeve/userdb"
)

// A fetcher is a client whose server sends a file without an end, as it were.
type fetcher struct {
	*client
	got atomic.Int64
}

// fetch logs a user in, from an address, and has it fetch.
func (r *rig) fetch(user, addr string) *fetcher {
	r.t.Helper()
	f := &fetcher{client: r.dial(netip.AddrPortFrom(netip.MustParseAddr(addr), 40000))}
	f.want(220)
	f.login(user)
	f.cmd(200, "TYPE I")
	port := strings.Split(f.cmd(229, "EPSV"), "|")[3]
	data, err := r.net.connect(netip.MustParseAddrPort(addr+":50000"), netip.MustParseAddrPort("192.0.2.1:"+port))
	if err != nil {
		r.t.Fatal(err)
	}
	f.cmd(150, "RETR f")
	go io.Copy(counter{&f.got}, data)
	return f
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// over lets time pass and returns what each has got in it.
func over(d time.Duration, all ...*fetcher) []int64 {
	got := make([]int64, len(all))
	for i, f := range all {
		got[i] = -f.got.Load()
	}
	time.Sleep(d)
	synctest.Wait()
	for i, f := range all {
		got[i] += f.got.Load()
	}
	return got
}

func (f *fetcher) quit() {
	f.conn.Close()
	<-f.done
}

func atRate(t *testing.T, what string, got, want int64, percent int64) {
	t.Helper()
	if got < want*(100-percent)/100 || got > want*(100+percent)/100 {
		t.Errorf("%s: %d bytes, not %d", what, got, want)
	}
}

// A user's rate is of all its sessions together, which share it; what the server
// has is shared by users.
func TestSharedBandwidth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.ServerBandwidth.Down = 1000 << 10 })
		r.put("f", strings.Repeat("x", 16<<20))
		db := userdb.At(r.srv.Config().UserDB)
		addUser(t, db, "slow", "secret", r.home, func(u *userdb.User) { u.DownloadRate = 200 << 10 })
		var slow []*fetcher
		for range 8 {
			slow = append(slow, r.fetch("slow", "198.51.100.7"))
		}
		got := over(10*time.Second, slow...)
		sum := int64(0)
		for _, n := range got {
			sum += n
			atRate(t, "one of eight", n, 250<<10, 12) // a step of 25 KiB more or less
		}
		atRate(t, "eight", sum, 2000<<10, 3)

		all := []*fetcher{r.fetch("alice", "198.51.100.7"), r.fetch("alice", "198.51.100.8"), r.fetch("alice", "198.51.100.9")}
		over(time.Second, all...)
		for _, n := range over(10*time.Second, all...) {
			atRate(t, "alice beside slow", n, 8000<<10/3, 3)
		}
		for _, f := range slow {
			f.quit()
		}
		over(time.Second, all...)
		for _, n := range over(6*time.Second, all...) {
			atRate(t, "alice alone", n, 2000<<10, 3)
		}
		for _, f := range all {
			f.quit()
		}
	})
}

// A reload reaches transfers under way, with the limits that users have in common.
func TestBandwidthReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.ServerBandwidth.Down = 1 << 10 })
		r.put("f", strings.Repeat("x", 64<<20))
		f := r.fetch("alice", "198.51.100.7")
		over(time.Second, f)
		for _, c := range []struct {
			directive, value string
			want             int64
		}{
			{"ServerBandwidth", "1000", 1000 << 10},
			{"NetworkBandwidth", "198.51.100.0/24 300", 300 << 10},
			{"GroupBandwidth", "1000 500", 500 << 10},
			{"ServerBandwidth", ":100", 100 << 10},
		} {
			cfg := DefaultConfig()
			cfg.UserDB, cfg.PassivePorts = r.srv.Config().UserDB, r.srv.Config().PassivePorts
			if err := Directives.Set(&cfg, c.directive, c.value); err != nil {
				t.Fatal(err)
			}
			r.srv.Configure(cfg)
			over(time.Second, f)
			atRate(t, c.directive, over(4*time.Second, f)[0], 4*c.want, 3)
		}
		r.srv.Configure(DefaultConfig())
		f.want(226) // the rest comes at once
		f.quit()
	})
}

// TestBandwidthOnSockets keeps a rate over real sockets, where the kernel copies.
// None may ever be faster. A machine with much else to do is slower, now and then.
func TestBandwidthOnSockets(t *testing.T) {
	for _, sessions := range []int{1, 8} {
		const rate, took, tries = 8 << 20, 3, 4
		r := newRig(t, func(c *Config) { c.UserBandwidth.Down = rate })
		r.put("f", strings.Repeat("x", rate*took/sessions))
		for try := 1; ; try++ {
			seconds := r.fetchTogether(sessions)
			t.Logf("%d sessions: %.1f%% of the rate", sessions, took/seconds*100)
			if seconds < took*0.97 || seconds > took*1.25 && try == tries {
				t.Fatalf("%d sessions moved in %.2f s what takes %d", sessions, seconds, took)
			}
			if seconds <= took*1.25 {
				break
			}
		}
	}
}

// fetchTogether has so many sessions of one user download at a time, and returns the
// seconds until the last is done.
func (r *rig) fetchTogether(sessions int) float64 {
	var data []net.Conn
	var clients []*client
	for range sessions {
		c := r.greet()
		clients, data = append(clients, c), append(data, c.epsv())
	}
	start := time.Now()
	for _, c := range clients {
		c.say("RETR f")
	}
	var all sync.WaitGroup
	for _, d := range data {
		all.Go(func() { io.Copy(io.Discard, d) })
	}
	all.Wait()
	seconds := time.Since(start).Seconds()
	for _, c := range clients {
		c.want(150)
		c.want(226)
		c.say("QUIT")
		c.want(221)
	}
	return seconds
}

func TestBandwidthRows(t *testing.T) {
	root, err := user.LookupGroupId("0")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, shown string }{
		{"GroupBandwidth", "100 5", "100 5:5"},
		{"GroupBandwidth", root.Name + "\t5:", root.Name + " 5:"},
		{"GroupBandwidth", "100 :5 ; 7 1 2", "100 :5; 7 1:2"},
		{"NetworkBandwidth", "192.0.2.7 5", "192.0.2.7/32 5:5"},
		{"NetworkBandwidth", "2001:db8:1::/32  5:6", "2001:db8::/32 5:6"},
		{"ServerBandwidth", "5", "5:5"},
		{"AnonymousTotalBandwidth", ":5", ":5"},
	} {
		cfg := DefaultConfig()
		f, _ := Directives.Lookup(c.name)
		v := f.Bind(&cfg)
		if err := v.Set(c.text); err != nil || v.String() != c.shown {
			t.Errorf("%s %s: %q, %v", c.name, c.text, v, err)
		}
	}
	for _, c := range []struct{ name, text string }{
		{"GroupBandwidth", "100"}, {"GroupBandwidth", "100 0"}, {"GroupBandwidth", "100 :"}, {"GroupBandwidth", "no-such-group 5"},
		{"GroupBandwidth", "-1 5"}, {"GroupBandwidth", "4294967295 5"}, {"GroupBandwidth", "100 5;"}, {"GroupBandwidth", "100 1 2 3"},
		{"NetworkBandwidth", "here 5"}, {"NetworkBandwidth", "192.0.2.0/24,10.0.0.0/8 5"}, {"NetworkBandwidth", "192.0.2.0/33 5"},
		{"NetworkBandwidth", "192.0.2.0/24"}, {"NetworkBandwidth", ", 5"}, {"ServerBandwidth", "0"}, {"ServerBandwidth", "-1:"},
	} {
		cfg := DefaultConfig()
		f, _ := Directives.Lookup(c.name)
		if err := f.Bind(&cfg).Set(c.text); err == nil {
			t.Errorf("%s %s is taken", c.name, c.text)
		}
	}
	for _, lines := range [][2]string{{"GroupBandwidth", "0 5; " + root.Name + " 6"}, {"NetworkBandwidth", "192.0.2.0/24 5; 192.0.2.9/24 6"}} {
		cfg := DefaultConfig()
		if err := Directives.Set(&cfg, lines[0], lines[1]); err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s %s: %v", lines[0], lines[1], err)
		}
	}
}
