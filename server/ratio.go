package server

import (
	"cmp"
	"errors"
	"math"
	"math/bits"
)

// Ratios: who fetches has to send, too. Counted is what a session has moved since
// its login, whether the transfers ended well or not, so that a new one may fetch a
// little less than the parts down, in bytes, for nothing; and a file is refused
// before it begins if it would be too much at its end.

// A Ratio lets Down parts be fetched for Up parts sent; the zero Ratio is none.
type Ratio struct{ Up, Down int }

// ratio returns the one that holds for the session. Root and who is trusted have
// none. A user's own parts go before the common ones.
func (s *session) ratio() Ratio {
	a, r := s.account, s.cfg.UserRatio
	switch {
	case a.Anonymous && s.cfg.AnonRatio != (Ratio{}):
		r = s.cfg.AnonRatio
	case a.Anonymous:
	case a.UID == 0 || s.cfg.trusts(a):
		return Ratio{}
	default:
		r = Ratio{Up: cmp.Or(a.UploadRatio, r.Up), Down: cmp.Or(a.DownloadRatio, r.Down)}
	}
	if r.Up == 0 || r.Down == 0 { // one part without the other says nothing
		return Ratio{}
	}
	return r
}

// missing is how many bytes are to be sent before n more may be fetched, by who
// has sent up and fetched down. Parts are counted whole, as Pure-FTPd counts them.
func (r Ratio) missing(up, down, n int64) int64 {
	if down > math.MaxInt64-n {
		return math.MaxInt64
	}
	high, need := bits.Mul64(uint64((down+n)/int64(r.Down)), uint64(r.Up))
	if high > 0 || need > math.MaxInt64 {
		return math.MaxInt64
	}
	return max(0, int64(need)-up)
}

// moved returns what was sent and fetched since the login.
func (s *session) moved() (up, down int64) {
	i := s.entry.Info()
	return i.TotalUp - s.before.up, i.TotalDown - s.before.down
}

// sums are bytes of a connection.
type sums struct{ up, down int64 }

// mayFetch refuses n bytes of a file to who has to send first.
func (s *session) mayFetch(n int64) error {
	r := s.ratio()
	if r == (Ratio{}) {
		return nil
	}
	up, down := s.moved()
	missing := r.missing(up, down, n)
	if missing == 0 {
		return nil
	}
	refusal := sayf(550, "Upload %d more kbytes to download this file", kbytes(missing))
	refusal.lines = []phrase{phrasef("The upload/download ratio is %d:%d", r.Up, r.Down),
		phrasef("You uploaded %d and downloaded %d kbytes", kbytes(up), kbytes(down))}
	refusal.prose = true
	return &failure{refusal, errRatio}
}

// errRatio is a file that is not to be fetched before others are sent.
var errRatio = errors.New("the ratio allows no more")

// kbytes counts KiB that were begun.
func kbytes(n int64) int64 { return n>>10 + min(n&1023, 1) }
