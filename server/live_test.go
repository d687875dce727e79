package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portreeve/server/auth"
	"portreeve/userdb"
)

// alter changes a user as a command would that knows of no daemon.
func (r *rig) alter(name string, edit func(*userdb.User)) {
	r.t.Helper()
	err := userdb.At(r.srv.Config().UserDB).Modify(name, func(u *userdb.User) error { edit(u); return nil })
	if err != nil {
		r.t.Fatal(err)
	}
}

// hours are from so long after now until so long.
func hours(from, to time.Duration) userdb.Hours {
	now := time.Now()
	h, err := userdb.ParseHours(now.Add(from).Format("1504") + "-" + now.Add(to).Format("1504"))
	if err != nil {
		panic(err) // a clock shows nothing else
	}
	return h
}

// reach is how long a change may take to come to a session.
const reach = 2 * time.Second

// Who may no longer be in is told so, and cut off.
func TestRevoked(t *testing.T) {
	others := userdb.Patterns{{Prefix: netip.MustParsePrefix("203.0.113.0/24")}}
	named := append(others, userdb.Pattern{Host: "gone.example"})
	const noLonger, notNow = "This account may no longer be used", "Outside the hours"
	for name, c := range map[string]struct {
		edit func(*userdb.User)
		text string // "" if the session goes on
	}{
		"disabled": {func(u *userdb.User) { u.Disabled = true }, noLonger},
		"locked":   {func(u *userdb.User) { u.Password = "!" + u.Password }, noLonger},
		"expired":  {func(u *userdb.User) { u.Expires = time.Now().Add(-time.Second) }, noLonger},
		"hours":    {func(u *userdb.User) { u.Hours = hours(time.Hour, 2*time.Hour) }, notNow},
		"client denied": {func(u *userdb.User) {
			u.DenyClient = userdb.Patterns{{Prefix: netip.PrefixFrom(clientAddr.Addr(), 32)}}
		}, noLonger},
		"client not allowed": {func(u *userdb.User) { u.AllowClient = others }, noLonger},
		"local not allowed":  {func(u *userdb.User) { u.AllowLocal = others }, noLonger},
		"TLS":                {func(u *userdb.User) { u.TLS = userdb.TLSLogin }, "TLS is required"},

		"a name":         {func(u *userdb.User) { u.AllowClient = named }, ""},
		"a denied name":  {func(u *userdb.User) { u.DenyClient = named }, ""},
		"password":       {func(u *userdb.User) { u.Password = "x" }, ""},
		"other hours":    {func(u *userdb.User) { u.Hours = hours(-time.Hour, time.Hour) }, ""},
		"other home":     {func(u *userdb.User) { u.Home = "/nosuch" }, ""},
		"fewer sessions": {func(u *userdb.User) { u.MaxSessions = 1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				addUser(t, userdb.At(r.srv.Config().UserDB), "bob", "secret", r.home)
				idle, busy, other := r.login(), r.login(), r.dial(netip.AddrPort{})
				other.want(220)
				other.login("bob")
				data := busy.passive()
				busy.cmd(150, "STOR up")
				io.WriteString(data, "some of it")
				time.Sleep(10 * time.Second)

				r.alter("alice", c.edit)
				if c.text == "" {
					time.Sleep(reach)
					data.Close()
					busy.want(226)
					idle.cmd(200, "NOOP")
					return
				}
				if took := elapsed(func() {
					if text := idle.want(421); !strings.Contains(text, c.text) {
						t.Errorf("an idle session hears %q", text)
					}
					busy.want(426)
					if text := busy.want(421); !strings.Contains(text, c.text) {
						t.Errorf("one that stores a file hears %q", text)
					}
				}); took > reach {
					t.Errorf("it took %v", took)
				}
				idle.gone()
				busy.gone()
				<-busy.done
				if r.exists("up") {
					t.Error("the upload that was cut off is there")
				}
				if n := r.srv.Sessions.Totals().FilesUp; n != 0 {
					t.Errorf("%d uploads count as whole", n)
				}
				other.cmd(200, "NOOP")
				again := r.dial(netip.AddrPort{})
				again.want(220)
				again.cmd(331, "USER alice")
				again.cmd(530, "PASS secret")
			})
		})
	}
}

// A user who is removed, and one whose record can no longer be understood.
func TestRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		time.Sleep(time.Minute)
		if err := userdb.At(r.srv.Config().UserDB).Remove("alice"); err != nil {
			t.Fatal(err)
		}
		if took := elapsed(func() { c.want(421) }); took > reach {
			t.Errorf("it took %v", took)
		}
		c.gone()
		<-c.done
		if !strings.Contains(r.logs.String(), "no such user") {
			t.Errorf("the log does not say why:\n%s", r.logs)
		}
	})
}

// What a session keeps to is what its account has become.
func TestChangesApply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.put("f", strings.Repeat("x", 1<<20))
		c := r.login()
		c.cmd(200, "TYPE I")
		r.alter("alice", func(u *userdb.User) { u.Perms, u.DownloadRate = userdb.PermList|userdb.PermRead, 100<<10 })
		time.Sleep(reach)
		c.passive()
		c.cmd(550, "STOR g")
		c.cmd(550, "MKD d")
		c.cmd(550, "DELE f")
		if took := elapsed(func() { c.retr("RETR f") }); took < 10*time.Second {
			t.Errorf("1 MiB at 100 KiB/s took %v", took)
		}
		r.alter("alice", func(u *userdb.User) { u.Perms, u.DownloadRate = userdb.AllPerms, 0 })
		time.Sleep(reach)
		if took := elapsed(func() { c.retr("RETR f") }); took > time.Second {
			t.Errorf("1 MiB without a rate took %v", took)
		}
		c.cmd(257, "MKD d")
	})
}

// Without the right to store, what is being stored is stored.
func TestPermsLeaveTransfers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		data := c.passive()
		c.cmd(150, "STOR up")
		io.WriteString(data, "some of it, ")
		r.alter("alice", func(u *userdb.User) { u.Perms = userdb.PermList })
		time.Sleep(reach)
		io.WriteString(data, "and the rest")
		data.Close()
		c.want(226)
		if got := r.get("up"); got != "some of it, and the rest" {
			t.Errorf("the file is %q", got)
		}
		c.passive()
		c.cmd(550, "STOR again")
	})
}

// The rate of a transfer under way changes: to none, to a lower one, and from one so
// low that it sleeps for hours.
func TestRatesApply(t *testing.T) {
	const size = 4 << 20
	for _, c := range []struct {
		before, after int64
		least, most   time.Duration // after the change
	}{
		{1, 0, 0, 3 * time.Second},
		{100 << 10, 0, 0, 3 * time.Second},
		{100 << 10, 1 << 20, 2 * time.Second, 6 * time.Second},
		{200 << 10, 100 << 10, 25 * time.Second, 45 * time.Second},
	} {
		t.Run(fmt.Sprintf("from %d to %d", c.before, c.after), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.put("f", strings.Repeat("x", size))
				r.alter("alice", func(u *userdb.User) { u.UploadRate, u.DownloadRate = c.before, c.before })
				s := r.login()
				s.cmd(200, "TYPE I")
				for _, way := range []string{"RETR f", "STOR g"} {
					data := s.passive()
					s.cmd(150, "%s", way)
					go func() {
						if way == "RETR f" {
							io.Copy(io.Discard, data)
						} else {
							io.WriteString(data, strings.Repeat("y", size))
							data.Close()
						}
					}()
					time.Sleep(5 * time.Second)
					r.alter("alice", func(u *userdb.User) { u.UploadRate, u.DownloadRate = c.after, c.after })
					if took := elapsed(func() { s.want(226) }); took < c.least || took > c.most {
						t.Errorf("%s: the rest took %v, not %v to %v", way, took, c.least, c.most)
					}
					r.alter("alice", func(u *userdb.User) { u.UploadRate, u.DownloadRate = c.before, c.before })
					time.Sleep(reach)
				}
			})
		})
	}
}

// A session ends when the hours of its account do, or the account itself, though
// nobody changes anything.
func TestBoundaries(t *testing.T) {
	for name, c := range map[string]struct {
		from, to time.Duration // hours, from now on; all of the day where they are not
		days     int           // until the account expires; 0 is never
		stays    time.Duration
	}{
		"the same day":    {0, 89 * time.Minute, 0, 90 * time.Minute},
		"across midnight": {-2 * time.Hour, 6*time.Hour - time.Minute, 0, 6 * time.Hour},
		"nearly all day":  {0, 24*time.Hour - 2*time.Minute, 0, 24*time.Hour - time.Minute},
		"expiry":          {0, 0, 2, 48 * time.Hour},
		"expiry first":    {0, 12 * time.Hour, -1, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				begin := time.Now()
				r := newRig(t, func(c *Config) { c.MaxIdleTime, c.MaxTransferTime = 100*time.Hour, 100*time.Hour })
				r.alter("alice", func(u *userdb.User) {
					if c.to > 0 {
						u.Hours = hours(c.from, c.to)
					}
					switch {
					case c.days > 0:
						u.Expires = begin.AddDate(0, 0, c.days)
					case c.days < 0:
						u.Expires = begin.Add(10 * time.Minute)
					}
				})
				idle, busy := r.login(), r.login()
				data := busy.passive()
				busy.cmd(150, "STOR up")
				var feeding sync.WaitGroup
				feeding.Go(func() {
					for {
						if _, err := io.WriteString(data, "x"); err != nil {
							return
						}
						time.Sleep(time.Minute)
					}
				})
				defer feeding.Wait()
				if left := elapsed(func() { idle.want(421) }) - c.stays; left < -time.Second || left > time.Second {
					t.Errorf("an idle session ended %v from the boundary", left)
				}
				busy.want(426)
				busy.want(421)
				if left := time.Since(begin) - c.stays; left > reach {
					t.Errorf("one that stored a file ended %v from the boundary", left)
				}
				if r.exists("up") {
					t.Error("the upload that was cut off is there")
				}
			})
		})
	}
}

// Virtual hosts have users of their own, who change on their own.
func TestChangesAtVirtualHost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "other.db")
		r := newRig(t, func(c *Config) { c.VirtualHosts = []VirtualHost{{Name: "other.example", Users: path}} })
		addUser(t, userdb.At(path), "alice", "secret", r.home)
		here, there := r.login(), r.dial(netip.AddrPort{})
		there.want(220)
		there.cmd(220, "HOST other.example")
		there.login("alice")
		time.Sleep(time.Minute)
		if err := userdb.At(path).Modify("alice", func(u *userdb.User) error { u.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if took := elapsed(func() { there.want(421) }); took > reach {
			t.Errorf("it took %v", took)
		}
		here.cmd(200, "NOOP")
	})
}

// Somebody who logs in while the user is changed has the change, too, and somebody
// who is logged in again as another user has not.
func TestChangesAndLogins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		addUser(t, userdb.At(r.srv.Config().UserDB), "bob", "secret", r.home)
		c := r.login()
		c.cmd(220, "REIN")
		c.login("bob")
		r.alter("alice", func(u *userdb.User) { u.Disabled = true })
		time.Sleep(reach)
		c.cmd(200, "NOOP")
		c.cmd(221, "QUIT")
		<-c.done
		if n := len(r.srv.watcher.of); n != 0 {
			t.Errorf("%d databases are looked at for nobody", n)
		}
	})
}

// A login reads its user; the user changes, and the database is looked at; only then
// does the session hear of changes. It hears of that one.
func TestChangeDuringLogin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		account, err := r.srv.Auth.Login(t.Context(), auth.Attempt{Name: "alice", Password: "secret", From: clientAddr.Addr()})
		if err != nil {
			t.Fatal(err)
		}
		r.alter("alice", func(u *userdb.User) { u.Disabled = true })
		d := newWatched(account.DB)
		if _, err := d.watch.Look(nil, func() []string { return nil }); err != nil {
			t.Fatal(err)
		}
		w := r.srv.watcher
		w.of[account.DB] = d
		go w.follow(d)
		conn, _ := net.Pipe()
		ended := make(chan error, 1)
		s := &session{srv: r.srv, conn: conn, cancel: func(why error) { ended <- why }}
		w.join(s, &account)
		if err := <-ended; !errors.Is(err, auth.ErrDisabled) {
			t.Errorf("it ends by %v", err)
		}
		w.leave(s, &account)
	})
}

// A change of everybody is one look at the database, and reaches all within its time.
func TestChangeOfMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 10_000
		r := newRig(t)
		w, db := r.srv.watcher, userdb.At(filepath.Join(t.TempDir(), "many.db"))
		add := func(yield func(userdb.User, error) bool) {
			for i := range many {
				u := userdb.New(fmt.Sprintf("u%05d", i))
				u.UID, u.GID, u.Home = 1000, 1000, r.home
				if !yield(u, nil) {
					return
				}
			}
		}
		if _, err := db.AddAll(add); err != nil {
			t.Fatal(err)
		}
		conn, _ := net.Pipe()
		var all []*session
		var accounts []*auth.Account
		for u, err := range db.All() {
			if err != nil {
				t.Fatal(err)
			}
			s, a := &session{srv: r.srv, conn: conn}, &auth.Account{Name: u.Name, DB: db, Limits: u.Limits}
			s.changes = w.join(s, a)
			all, accounts = append(all, s), append(accounts, a)
		}
		time.Sleep(reach)
		for _, s := range all {
			if s.changes.terms.Load() != nil {
				t.Fatal("a session hears of a change that was none")
			}
		}
		for u := range db.All() { // as pw import does, though one by one
			if u.Name != "u00000" && u.Name != "u09999" {
				continue
			}
			if err := db.Modify(u.Name, func(u *userdb.User) error { u.DownloadRate = 1 << 20; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(reach)
		heard := 0
		for _, s := range all {
			if s.changes.terms.Load() != nil {
				heard++
			}
		}
		if heard != 2 {
			t.Errorf("%d sessions hear of the change of two users", heard)
		}
		for i, s := range all {
			w.leave(s, accounts[i])
		}
	})
}

// A quota holds for the uploads of a session from when it is set, and goes when it is
// taken away.
func TestQuotasApply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		c := r.login()
		c.cmd(200, "TYPE I")
		if code := c.stor(strings.Repeat("x", 1000), "STOR a"); code != 226 {
			t.Errorf("without a quota: %d", code)
		}
		r.alter("alice", func(u *userdb.User) { u.QuotaBytes = userdb.LimitOf(1500) })
		time.Sleep(reach)
		if code := c.stor(strings.Repeat("x", 1000), "STOR b"); code != 552 {
			t.Errorf("beyond a quota: %d", code)
		}
		r.alter("alice", func(u *userdb.User) { u.QuotaBytes = userdb.LimitOf(5000) })
		time.Sleep(reach)
		if code := c.stor(strings.Repeat("x", 1000), "STOR b"); code != 226 {
			t.Errorf("within a larger quota: %d", code)
		}
		r.alter("alice", func(u *userdb.User) { u.QuotaBytes = userdb.Limit{} })
		time.Sleep(reach)
		if code := c.stor(strings.Repeat("x", 10000), "STOR c"); code != 226 {
			t.Errorf("without a quota again: %d", code)
		}
	})
}
