package server

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"portreeve/server/auth"
	"portreeve/userdb"
)

// What Pure-FTPd compares, (down+n)/parts down > up/parts up in whole numbers,
// tells when nothing is missing; one byte less than what is missing is too little.
func TestRatioMissing(t *testing.T) {
	refused := func(r Ratio, up, down, n int64) bool { return (down+n)/int64(r.Down) > up/int64(r.Up) }
	for _, r := range []Ratio{{1, 1}, {1, 5}, {3, 7}, {10, 1}, {2, 1000}} {
		for up := int64(0); up < 30; up++ {
			for down := int64(0); down < 30; down += 3 {
				for n := int64(0); n < 30; n++ {
					m := r.missing(up, down, n)
					if (m > 0) != refused(r, up, down, n) || refused(r, up+m, down, n) || m > 0 && !refused(r, up+m-1, down, n) {
						t.Fatalf("%v: up %d, down %d, %d more: %d missing", r, up, down, n, m)
					}
				}
			}
		}
	}
	for _, c := range []struct {
		r           Ratio
		up, down, n int64
	}{{Ratio{math.MaxInt, 1}, 5, 1, 2}, {Ratio{2, 1}, 0, math.MaxInt64 / 2, math.MaxInt64/2 + 1}, {Ratio{1, 1}, 0, math.MaxInt64, 1}} {
		if m := c.r.missing(c.up, c.down, c.n); m < math.MaxInt64/2 {
			t.Errorf("%v: %d missing", c, m)
		}
	}
}

func TestKbytes(t *testing.T) {
	for n, want := range map[int64]int64{0: 0, 1: 1, 1024: 1, 1025: 2, math.MaxInt64: 1 << 53} {
		if got := kbytes(n); got != want {
			t.Errorf("%d bytes are %d", n, got)
		}
	}
}

// A user's own parts go before the common ones, each by itself; root has none.
func TestOwnRatio(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.UserRatio = Ratio{1, 10} })
		db := userdb.At(r.srv.Config().UserDB)
		for _, u := range []struct {
			name     string
			up, down int
			says     string
		}{{"both", 3, 4, "3:4"}, {"up", 5, 0, "5:10"}, {"down", 0, 7, "1:7"}, {"none", 0, 0, "1:10"}} {
			addUser(t, db, u.name, "secret", r.home, func(to *userdb.User) { to.UploadRatio, to.DownloadRatio = u.up, u.down })
			c := r.dial(netip.AddrPort{})
			c.want(220)
			if text := c.login(u.name); !strings.Contains(text, " "+u.says+" ") {
				t.Errorf("%s is told %q", u.name, text)
			}
		}
		r.srv.Configure(DefaultConfig())
		for name, want := range map[string]int{"both": 550, "up": 150} {
			r.put("f", "hello")
			c := r.dial(netip.AddrPort{})
			c.want(220)
			c.login(name)
			c.cmd(200, "TYPE I")
			data := c.passive()
			c.say("RETR f")
			if want == 150 { // one part is none where there is no common one
				buf := make([]byte, 5)
				data.Read(buf)
			}
			c.want(want)
		}
		s := &session{cfg: &Config{UserRatio: Ratio{1, 10}, TrustedGID: -1}, account: &auth.Account{}}
		if got := s.ratio(); got != (Ratio{}) {
			t.Errorf("root has the ratio %v", got)
		}
	})
}
