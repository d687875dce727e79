package server

import (
	"errors"
	"math"
	"strings"

	"portreeve/server/auth"
	"portreeve/server/ledger"
	"portreeve/server/vfs"
	"portreeve/userdb"
)

// Quotas. What files amount to is counted where they are touched (package vfs),
// for all sessions of a user together (package ledger). Here is who has a quota,
// and what clients are told of it, in Pure-FTPd's words.

// quota returns what an account may store. Anonymous and root have no quota, and
// nor has whoever is trusted.
func (s *session) quota(a *auth.Account) ledger.Limits {
	if a.Anonymous || a.UID == 0 || s.cfg.trusts(a) {
		return ledger.Limits{}
	}
	l := ledger.Limits{Files: a.QuotaFiles, Bytes: a.QuotaBytes}
	if q := s.cfg.Quota; q != (Quota{}) {
		if _, own := l.Files.Value(); !own {
			l.Files = userdb.LimitOf(q.Files)
		}
		if _, own := l.Bytes.Value(); !own {
			l.Bytes = userdb.LimitOf(min(q.MiB, math.MaxInt64>>20) << 20)
		}
	}
	return l
}

// openAccount finds who counts a user's files, as options then say; nil is nobody.
// A quota confines its user: what is elsewhere is nobody's to count.
func (s *session) openAccount(a *auth.Account, o *vfs.Options) *ledger.Account {
	limits := s.quota(a)
	o.Caged = o.Caged || limits.Any()
	if s.srv.Ledger == nil || a.Anonymous || a.UID == 0 || !o.Caged && !strings.Contains(a.Home, "/./") {
		return nil
	}
	db, name := a.DB, a.Name
	if db == (userdb.DB{}) {
		if db = userdb.At(s.cfg.UserDB); s.usersOf(a) != "" { // another than the server's user of that name
			name += ":" + s.hostName()
		}
	}
	o.Account, o.KeepUsage = s.srv.Ledger.Open(db, name), s.cfg.QuotaFile
	return o.Account
}

// leaveAccount gives up what openAccount found.
func (s *session) leaveAccount() {
	if s.quotas != nil {
		s.quotas.Part(s.fs)
		s.quotas.Close()
		s.quotas = nil
	}
}

// usage is what a user with a quota is told of it: a line for each limit.
func (s *session) usage() (lines []phrase) {
	if s.terse || !s.quotas.Limited() {
		return nil
	}
	used, known := s.quotas.Usage()
	if !known {
		return nil
	}
	limits := s.quotas.Limits()
	if most, limited := limits.Files.Value(); limited {
		lines = append(lines, phrasef("%d files used (%d%%) - authorized: %d files", used.Files, percent(used.Files, most), most))
	}
	if most, limited := limits.Bytes.Value(); limited {
		lines = append(lines, phrasef("%d Kbytes used (%d%%) - authorized: %d Kb", used.Bytes>>10, percent(used.Bytes, most), most>>10))
	}
	return lines
}

// percent is what part of most is used, without what is behind the point.
func percent(used, most int64) int64 {
	if most == 0 {
		return 100
	}
	return int64(float64(used) / float64(most) * 100)
}

// withUsage adds to a reply what the user has used now, before its last line.
func (s *session) withUsage(r reply) reply {
	if lines := s.usage(); len(lines) > 0 {
		r.lines, r.prose = append(lines, r.lines...), true
	}
	return r
}

// overQuota is the reply where there is no room for what a client calls name.
func (s *session) overQuota(name string, before ...phrase) reply {
	s.srv.counts.overQuota.Add(1)
	r := sayf(552, "Quota exceeded: [%s] won't be saved", name)
	r.lines, r.prose = append(before, s.usage()...), true
	return r
}

// unsaved is the error of a command that was to make what a client calls name.
func (s *session) unsaved(name string, err error) error {
	if errors.Is(err, vfs.ErrQuota) {
		return &failure{s.overQuota(name), err}
	}
	return err
}

// An allowance is how many bytes an upload may still write: those that it has room
// for, and those that it may ask for.
type allowance struct {
	room   int64
	left   int64 // that may be asked for
	ask    func(n int64) int64
	excess error // what is wrong with more than that
}

// allow returns what an upload may write, at most so many bytes.
func allow(up *vfs.Upload, most int64, excess error) allowance {
	if !up.Counted() {
		return allowance{room: most, excess: excess}
	}
	return allowance{left: most, ask: up.Grow, excess: excess}
}

// upTo returns for how many of n bytes there is room, and asks for it where that is
// needed.
func (a *allowance) upTo(n int64) int64 {
	if want := min(n-a.room, a.left); want > 0 {
		got := a.ask(want)
		a.room += got
		a.left -= got
	}
	return min(n, a.room)
}

// all is how much there may be.
func (a *allowance) all() int64 { return a.room + a.left }

// over is what is wrong when there is no more room.
func (a *allowance) over() error {
	if a.left > 0 {
		return vfs.ErrQuota
	}
	return a.excess
}

// refuse gives up an upload that found no room, and returns why.
func refuse(up *vfs.Upload, err error) error {
	if errors.Is(err, vfs.ErrQuota) {
		_ = up.Exceed()
	}
	return err
}

// expected returns how many bytes ALLO said the next upload has, 0 if that is not
// known, and forgets it. In TYPE A and MODE Z the file becomes another size.
func (s *session) expected() int64 {
	n := max(0, s.announced-s.mark.first)
	s.announced = 0
	if s.ascii || s.zipped {
		return 0
	}
	return n
}
