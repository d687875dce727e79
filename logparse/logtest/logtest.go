// Package logtest makes logs for tests: of any length, in any format, the same ones
// for the same numbers, and in memory that does not grow with them.
package logtest

import (
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"portreeve/logparse"
)

// A Log is what a made-up server would have written. Its rhythm is that of people at
// work, with a job in the small hours, by the clock of the zone that Start is in; few
// files, users and hosts make most of the transfers. A file is its owner's, some are
// everybody's, and a user comes from a few hosts.
type Log struct {
	Seed  uint64
	Lines int64
	Start time.Time
	Days  int

	Hosts int // a tenth of them has IPv6
	Users int
	Files int

	Deletes    float64 // of all lines
	Incomplete float64 // of the transfers
	Odd        bool    // names hold blanks, quotes, parts of log lines and what is no UTF-8
}

// New returns a log as an agency of middle size has in a summer: 90 days in three
// months, 5,000 hosts, 2,000 users and 60,000 files. A million lines of xferlog are
// 122.5 MB.
func New(lines int64) Log {
	return Log{Seed: 1, Lines: lines, Start: time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC), Days: 90,
		Hosts: 5000, Users: 2000, Files: 60000, Deletes: 0.02, Incomplete: 0.04}
}

// Entries returns the entries in the order of their times. The entry is the same each
// time, and filled anew.
func (l Log) Entries() iter.Seq[*logparse.Entry] {
	return func(yield func(*logparse.Entry) bool) {
		g := newGenerator(l)
		for g.next() && yield(&g.entry) {
		}
	}
}

// Reader returns the log as a file in a format has it, from its header on. What the
// format has no lines for is left out.
func (l Log) Reader(f logparse.Format) io.Reader {
	r := &reader{from: newGenerator(l), format: f}
	if f.Header != nil {
		r.left = []byte(f.Header(l.Start))
	}
	return r
}

// A reader writes the lines that are asked for.
type reader struct {
	from   *generator
	format logparse.Format
	buf    []byte
	left   []byte // of buf
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		const room = 64 << 10
		r.buf = r.buf[:0]
		for len(r.buf) < room && r.from.next() {
			r.buf = r.format.AppendEntry(r.buf, &r.from.entry)
		}
		if len(r.buf) == 0 {
			return 0, io.EOF
		}
		r.left = r.buf
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// A file is what is known of one before anything happens to it.
type file struct {
	path  string
	owner int // everybody if negative
	size  int64
}

// A generator makes one entry after the other.
type generator struct {
	log   Log
	rand  *rand.Rand
	users []string
	hosts []string
	files []file
	rates []float64 // bytes a second, by host
	entry logparse.Entry

	sessions []session // by user

	weight float64 // of all hours,
	past   float64 // and of those that are over
	hour   int     // that is under way, from Start
	made   int64   // lines
	first  int64   // of this hour
	last   int64   // of this hour, and one
}

// A session of a user lasts an hour.
type session struct {
	hour int
	name string
}

func newGenerator(l Log) *generator {
	g := &generator{log: l, rand: rand.New(rand.NewPCG(l.Seed, 0)), sessions: make([]session, l.Users), hour: -1}
	for i := range l.Users {
		g.users = append(g.users, userName(i, l.Odd))
		g.sessions[i].hour = -1
	}
	for i := range l.Hosts {
		g.hosts = append(g.hosts, hostAddress(i))
		g.rates = append(g.rates, math.Exp(math.Log(1<<20)+g.rand.NormFloat64()))
	}
	for i := range l.Files {
		g.files = append(g.files, g.newFile(i))
	}
	for hour := range l.Days * 24 {
		g.weight += rhythm(g.at(hour))
	}
	return g
}

func (g *generator) at(hour int) time.Time { return g.log.Start.Add(time.Duration(hour) * time.Hour) }

// rhythm is how busy an hour is.
func rhythm(at time.Time) float64 {
	const (
		night, job, morning, day, lunch, evening = 0.15, 0.9, 0.6, 1, 0.75, 0.35
		weekend                                  = 0.3
	)
	w := night
	switch hour := at.Hour(); {
	case hour == 2:
		return job // also on Sundays
	case hour >= 18 && hour < 23:
		w = evening
	case hour >= 7 && hour < 9, hour == 17:
		w = morning
	case hour == 12:
		w = lunch
	case hour >= 9 && hour < 17:
		w = day
	}
	if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
		w *= weekend
	}
	return w
}

// next makes the next entry, if there is one.
func (g *generator) next() bool {
	for g.made == g.last {
		if g.hour++; g.hour >= g.log.Days*24 {
			return false
		}
		g.past += rhythm(g.at(g.hour))
		g.first, g.last = g.last, int64(math.Round(float64(g.log.Lines)*g.past/g.weight))
	}
	const millis = 3600 * 1000
	in := (float64(g.made-g.first) + g.rand.Float64()) / float64(g.last-g.first)
	g.made++
	g.fill(g.at(g.hour).Add(time.Duration(in*millis) * time.Millisecond))
	return true
}

// fill makes what happened at a time.
func (g *generator) fill(at time.Time) {
	n := g.few(len(g.files))
	f := &g.files[n]
	user := f.owner
	if user < 0 {
		user = g.few(len(g.users))
	}
	host := g.host(user)
	e := &g.entry
	*e = logparse.Entry{Time: at, User: g.users[user], Host: g.hosts[host], Path: f.path, Size: f.size, Bytes: f.size,
		Session: g.session(user), PID: 1000 + user, Status: logparse.Whole, Event: logparse.Delete}
	e.Xfer.Mode = 'r'
	if g.rand.Float64() < g.log.Deletes {
		return
	}
	e.Event, e.Direction = logparse.Transfer, logparse.Download
	if g.rand.Float64() < uploads(user) {
		e.Direction = logparse.Upload
	}
	if g.rand.Float64() < g.log.Incomplete {
		e.Status = logparse.Cut
		e.Bytes = int64(float64(e.Bytes) * g.rand.Float64())
		e.Reason = "the client closed the connection"
	}
	rate := g.rates[host] * (0.5 + g.rand.Float64())
	e.Took = (20*time.Millisecond + time.Duration(float64(e.Bytes)/rate*float64(time.Second))).Truncate(time.Millisecond)
	if user%3 == 0 {
		e.TLS, e.Xfer.Service = "TLSv1.3", "ftps"
	}
	e.Client = clients[user%len(clients)]
}

// clients are what the other ends call themselves.
var clients = [...]string{"", "FileZilla", "lftp/4.9.2", "WinSCP-release-6.3.5", "ncftp"}

// few draws from the numbers below n, small ones more often: half of the draws are of
// the first quarter.
func (g *generator) few(n int) int {
	u := g.rand.Float64()
	return int(u * u * float64(n))
}

// host draws one of the hosts of a user, or seldom any.
func (g *generator) host(user int) int {
	if g.rand.IntN(10) == 0 {
		return g.rand.IntN(len(g.hosts))
	}
	own := max(1, len(g.hosts)/len(g.users))
	return (user*len(g.hosts)/len(g.users) + g.few(own)) % len(g.hosts)
}

// session is the one that a user has.
func (g *generator) session(user int) string {
	s := &g.sessions[user]
	if s.hour != g.hour {
		*s = session{g.hour, fmt.Sprintf("%x.%x", g.at(g.hour).Unix(), 1000+user)}
	}
	return s.name
}

// uploads is which part of a user's transfers are some: there are devices that send,
// readers, and people.
func uploads(user int) float64 {
	return [...]float64{0.4, 0.1, 0.95, 0.3, 0.2, 0.35}[user%6]
}
