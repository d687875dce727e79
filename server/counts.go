package server

import (
	"cmp"
	"crypto/tls"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"portreeve/server/measure"
	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// What a server counts for those who watch it. Counting is an addition to an atomic
// number, where a command, a reply, a transfer or a handshake ends; bytes are
// counted as they move, in the registry of sessions. Only the users who move most
// are found under a lock, once a transfer and where MetricsTopUsers wants them.

// counts are what happened since the server was made.
type counts struct {
	commands     []*measure.Histogram // nanoseconds, in the order of commands
	replies      [6]atomic.Int64      // by the first digit
	logins       [numLogins]atomic.Int64
	transfers    [len(directions)][numEndings]atomic.Int64
	rates        [len(directions)]*measure.Histogram // bytes a second
	handshakes   [len(channels)][len(tlsVersions)]atomic.Int64
	noHandshakes [len(channels)]atomic.Int64
	overQuota    atomic.Int64
	top          atomic.Pointer[topUsers] // nil: nobody wants to know
}

func newCounts() *counts {
	c := new(counts)
	for range commands {
		c.commands = append(c.commands, measure.NewHistogram(latencies[:]))
	}
	for i := range c.rates {
		c.rates[i] = measure.NewHistogram(speeds[:])
	}
	return c
}

// latencies are bounds for what a command takes, from what only memory is asked for to
// what somebody will complain of.
var latencies = [...]int64{100e3, 300e3, 1e6, 3e6, 10e6, 30e6, 100e6, 300e6, 1e9, 3e9, 10e9, 60e9}

// speeds are bounds for how fast a file moves, from a modem to a machine's own memory.
var speeds = [...]int64{10e3, 30e3, 100e3, 300e3, 1e6, 3e6, 10e6, 30e6, 100e6, 300e6, 1e9, 3e9}

// worthARate is the least file that has one: what a smaller one takes is the latency.
const worthARate = 64 << 10

// directions are the ways in which a transfer goes, by the state that a session is in then.
var directions = [...]struct {
	state registry.State
	name  string
}{{registry.Downloading, "download"}, {registry.Uploading, "upload"}, {registry.Listing, "list"}, {registry.Working, "job"}}

// directionOf returns the place of a kind in directions.
func directionOf(kind registry.State) int {
	for i, d := range directions {
		if d.state == kind {
			return i
		}
	}
	return len(directions) - 1
}

// channels are what TLS may be of.
var channels = [...]string{"control", "data"}

const (
	controlChannel = iota
	dataChannel
)

// tlsVersions are those that are counted apart; the last stands for all others.
var tlsVersions = [...]struct {
	version uint16
	name    string
}{{tls.VersionTLS12, "1.2"}, {tls.VersionTLS13, "1.3"}, {0, "other"}}

// A loginResult is what came of a login.
type loginResult int

const (
	loginGood    loginResult = iota
	loginWrong               // wrong, or not to be let in
	loginNoPlace             // right, but there is no place or no home
	loginUnasked             // nobody could say
	numLogins
)

var loginResults = [numLogins]string{"success", "failure", "refused", "error"}

// An ending is how a transfer ended.
type ending int

const (
	endedWhole ending = iota
	endedUnconfirmed
	endedByClient
	endedByTime
	endedByServer
	endedByNetwork
	endedByQuota
	endedUnconnected
	endedByFault
	numEndings
)

var endings = [numEndings]string{"complete", "unconfirmed", "aborted", "timeout", "ended", "broken", "quota", "no_connection", "failed"}

// endingsOf tells the ending of the errors that have one of their own.
var endingsOf = []struct {
	err error
	is  ending
}{
	{vfs.ErrQuota, endedByQuota},
	{errAborted, endedByClient},
	{errStalled, endedByTime}, {errTooLong, endedByTime},
	{errEnded, endedByServer}, {errRevoked, endedByServer}, {errShutdown, endedByServer},
}

func (r *result) ending() ending {
	switch {
	case r.err == nil && (r.orphaned || r.unsigned):
		return endedUnconfirmed
	case r.err == nil:
		return endedWhole
	case neverBegan(r.err):
		return endedUnconnected
	}
	for _, row := range endingsOf {
		if errors.Is(r.err, row.err) {
			return row.is
		}
	}
	if _, kicked := errors.AsType[registry.Kicked](r.err); kicked {
		return endedByServer
	}
	if replyFor(r.err).code == 426 {
		return endedByNetwork
	}
	return endedByFault
}

// transfer counts one that has ended.
func (c *counts) transfer(kind registry.State, r *result) {
	d, how := directionOf(kind), r.ending()
	c.transfers[d][how].Add(1)
	if how == endedWhole && r.bytes >= worthARate && r.took > 0 {
		c.rates[d].Observe(int64(float64(r.bytes) / r.took.Seconds()))
	}
}

// command counts one that was answered, or whose transfer has begun.
func (c *counts) command(row *command, took time.Duration) {
	if row != nil {
		c.commands[row.at].Observe(int64(took))
	}
}

// reply counts one by what its code begins with.
func (c *counts) reply(code int) {
	if class := code / 100; class < len(c.replies) {
		c.replies[class].Add(1)
	}
}

func (c *counts) login(r loginResult) { c.logins[r].Add(1) }

// handshake counts one of a channel, which went well if version is not 0.
func (c *counts) handshake(channel int, version uint16) {
	if version == 0 {
		c.noHandshakes[channel].Add(1)
		return
	}
	i := 0
	for i < len(tlsVersions)-1 && tlsVersions[i].version != version {
		i++
	}
	c.handshakes[channel][i].Add(1)
}

// topUsers are those who move most.
type topUsers struct {
	*measure.Top
	shown int
}

// followed is how many users are followed for each that is shown, and at least: the
// more there are, the less their sums are in doubt.
const (
	followedEach  = 20
	followedLeast = 1000
)

// setTop has so many users told of, 0 for none. What is known of them is kept as long as
// their number is.
func (c *counts) setTop(shown int) {
	old := c.top.Load()
	switch {
	case shown == 0:
		c.top.Store(nil)
	case old == nil || old.shown != shown:
		c.top.Store(&topUsers{measure.NewTop(max(followedEach*shown, followedLeast)), shown})
	}
}

// credit counts what a session's user has moved.
func (s *session) credit(kind registry.State, n int64) {
	top := s.srv.counts.top.Load()
	if top == nil || n == 0 || kind != registry.Uploading && kind != registry.Downloading {
		return
	}
	host := s.hostName()
	if s.account.Anonymous {
		host = ""
	}
	top.Add(measure.Key{Host: host, User: s.account.Name}, n)
}

// Measured is what a server has counted since it was made, and what of its limits is
// in use. Times are in nanoseconds, rates in bytes a second.
type Measured struct {
	Commands         []measure.Sizes // by command; those that nobody has said are left out
	Replies          []measure.Count // by class
	Logins           []measure.Count // by result
	Transfers        []measure.Count // by direction and outcome
	Bytes            []measure.Count // by direction, those that move now included
	Rates            []measure.Sizes // by direction
	Handshakes       []measure.Count // by channel and version
	FailedHandshakes []measure.Count // by channel
	NoData           []measure.Count // by cause
	QuotaRefusals    int64

	Sessions     []measure.Count // by state
	PassivePorts int             // that wait for their clients
	Jobs         int             // that run

	TopUsers []measure.Share
}

// Measured returns what was counted.
func (s *Server) Measured() Measured {
	c := s.counts
	m := Measured{QuotaRefusals: c.overQuota.Load(), PassivePorts: s.passive.waiting(), Jobs: s.jobs.running()}
	for i, h := range c.commands {
		if b := h.Buckets(); b.Count() > 0 {
			m.Commands = append(m.Commands, measure.Sizes{Labels: []string{commands[i].name}, Buckets: b})
		}
	}
	for class := 1; class < len(c.replies); class++ {
		m.Replies = append(m.Replies, count(&c.replies[class], strconv.Itoa(class)+"xx"))
	}
	for i := range c.logins {
		m.Logins = append(m.Logins, count(&c.logins[i], loginResults[i]))
	}
	for state, n := range s.Sessions.Now() {
		m.Sessions = append(m.Sessions, measure.Count{Labels: []string{registry.State(state).String()}, N: int64(n)})
	}
	for d := range directions {
		m.Bytes = append(m.Bytes, measure.Count{Labels: []string{directions[d].name}, N: s.Sessions.Moved(directions[d].state)})
		for o := range c.transfers[d] {
			m.Transfers = append(m.Transfers, count(&c.transfers[d][o], directions[d].name, endings[o]))
		}
		if kind := directions[d].state; kind == registry.Uploading || kind == registry.Downloading {
			m.Rates = append(m.Rates, measure.Sizes{Labels: []string{directions[d].name}, Buckets: c.rates[d].Buckets()})
		}
	}
	for ch := range channels {
		for v := range tlsVersions {
			m.Handshakes = append(m.Handshakes, count(&c.handshakes[ch][v], channels[ch], tlsVersions[v].name))
		}
		m.FailedHandshakes = append(m.FailedHandshakes, count(&c.noHandshakes[ch], channels[ch]))
	}
	for i := range s.noData {
		m.NoData = append(m.NoData, count(&s.noData[i], causes[i].word))
	}
	slices.SortFunc(m.NoData, func(a, b measure.Count) int { return cmp.Compare(a.Labels[0], b.Labels[0]) })
	if top := c.top.Load(); top != nil {
		m.TopUsers = top.Most(top.shown)
	}
	return m
}

func count(n *atomic.Int64, labels ...string) measure.Count {
	return measure.Count{Labels: labels, N: n.Load()}
}
