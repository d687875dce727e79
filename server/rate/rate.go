// Package rate shares bandwidth among transfers: a tree of token buckets.
//
// A transfer draws from every limited node on its way: the server, the group of
// its user, the networks that its client is in, the user, and the session; each
// direction has buckets of its own. A bucket is not filled by a clock. It knows
// until when what was drawn from it is paid for, and who draws more waits behind
// those who drew before. That is fair as long as each draws according to its
// share, so Step deals out the amounts: what a bucket gives in a tenth of a second
// is divided among its users, and each part among the transfers of that user.
//
// A transfer moves a step first and pays for it then. So one that stands still
// holds nothing back from the others, and no more than a tenth of a second is ever
// ahead of its time. What was not used is made up for as far as a fifth of a
// second goes, which covers the delays of a busy machine, and only while somebody
// draws: nobody begins with a burst.
package rate

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Way is a direction.
type Way uint8

const (
	Up   Way = iota // from the client
	Down            // to the client
	ways
)

// A Limit is the most bytes a second each way; 0 is no limit.
type Limit struct{ Up, Down int64 }

func (l Limit) of(w Way) int64 {
	if w == Up {
		return l.Up
	}
	return l.Down
}

// Limits are those that users have in common. A client is held to those of all
// the networks that it is in.
type Limits struct {
	Server   Limit
	Groups   map[int]Limit
	Networks map[netip.Prefix]Limit
}

// A Holder tells whose a session is.
type Holder struct {
	Users, Name string // the account, and what tells it from another of that name
	GID         int
	Addr        netip.Addr // of the client
	Many        bool       // the account is many people's: those at one address share as a user
}

// A Tree is the buckets of a server. Its zero value has no limits. One lock is
// enough: a transfer takes it about ten times a second, and not at all without a
// limit.
type Tree struct {
	// mu guards the fields that follow, and those of accounts and buckets.
	mu       sync.Mutex
	limits   Limits
	accounts map[account]*members
	buckets  map[node]*bucket
}

// An account is a name, and what tells it from the same name elsewhere.
type account struct{ users, name string }

// members are the sessions of an account.
type members struct {
	limit    Limit
	sessions map[*Session]struct{}
}

// A Session is one login's way up the tree. Its methods may be called from many
// goroutines.
type Session struct {
	tree  *Tree
	who   Holder
	limit Limit // its own; guarded by tree.mu
	paths [ways]atomic.Pointer[path]
}

// A path is the limited nodes of a session in one direction, nil if there are
// none. It is never changed, but replaced.
type path struct {
	buckets []*bucket
	rates   []int64       // of the buckets, when it was made
	over    chan struct{} // closed when another path holds
}

// Configure sets the limits that users have in common, for transfers under way too.
func (t *Tree) Configure(l Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = l
	for _, m := range t.accounts {
		t.routeLocked(m)
	}
}

// Join gives a session its way up, until Leave. See Set for the limits.
func (t *Tree) Join(h Holder, user, session Limit) *Session {
	s := &Session{tree: t, who: h}
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.accounts[s.account()]
	if m == nil {
		m = &members{sessions: make(map[*Session]struct{})}
		if t.accounts == nil {
			t.accounts = make(map[account]*members)
		}
		t.accounts[s.account()] = m
	}
	m.sessions[s] = struct{}{}
	s.setLocked(m, user, session)
	return s
}

// Set changes the limit of the session's user, which all its sessions have
// together, and the session's own, for transfers under way too.
func (s *Session) Set(user, session Limit) {
	s.tree.mu.Lock()
	defer s.tree.mu.Unlock()
	if m := s.tree.accounts[s.account()]; m != nil {
		if _, live := m.sessions[s]; live {
			s.setLocked(m, user, session)
		}
	}
}

func (s *Session) setLocked(m *members, user, session Limit) {
	m.limit, s.limit = user, session
	s.tree.routeLocked(m)
}

// Leave ends the session, whose transfers have ended. What nobody has on its way
// any more is forgotten.
func (s *Session) Leave() {
	t := s.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.accounts[s.account()]
	if m == nil {
		return
	}
	if _, live := m.sessions[s]; !live {
		return
	}
	delete(m.sessions, s)
	if len(m.sessions) == 0 {
		delete(t.accounts, s.account())
	}
	for w := range ways {
		t.releaseLocked(s.paths[w].Load())
	}
}

// Limited tells whether a transfer of the session in that direction has a limit.
func (s *Session) Limited(w Way) bool { return s.paths[w].Load() != nil }

func (s *Session) account() account { return account{s.who.Users, s.who.Name} }

// peer is whose share the session draws from.
func (s *Session) peer() peer {
	p := peer{account: s.account()}
	if s.who.Many {
		p.addr = s.who.Addr
	}
	return p
}

// routeLocked gives the sessions of an account the paths that hold now.
func (t *Tree) routeLocked(m *members) {
	for s := range m.sessions {
		for w := range ways {
			t.leadLocked(s, w, t.nodesLocked(s, m, w))
		}
	}
}

// A limited is a node and its rate.
type limited struct {
	node
	rate int64
}

// nodesLocked returns the limited nodes of a session.
func (t *Tree) nodesLocked(s *Session, m *members, w Way) []limited {
	var nodes []limited
	add := func(n node, l Limit) {
		if rate := l.of(w); rate > 0 {
			n.way = w
			nodes = append(nodes, limited{n, rate})
		}
	}
	add(node{}, t.limits.Server)
	add(node{grouped: true, gid: s.who.GID}, t.limits.Groups[s.who.GID])
	for network, l := range t.limits.Networks {
		if network.Contains(s.who.Addr) {
			add(node{network: network}, l)
		}
	}
	add(node{account: s.account()}, m.limit)
	add(node{session: s}, s.limit)
	return nodes
}

// leadLocked makes nodes the path of a session, unless they are.
func (t *Tree) leadLocked(s *Session, w Way, nodes []limited) {
	old := s.paths[w].Load()
	if old.leads(nodes) {
		return
	}
	var fresh *path
	if len(nodes) > 0 {
		fresh = &path{over: make(chan struct{})}
	}
	for _, n := range nodes {
		fresh.buckets = append(fresh.buckets, t.bucketLocked(n))
		fresh.rates = append(fresh.rates, n.rate)
	}
	s.paths[w].Store(fresh)
	t.releaseLocked(old)
	if old != nil {
		close(old.over)
	}
}

// leads tells whether a path is of just these nodes.
func (p *path) leads(nodes []limited) bool {
	if p == nil || len(p.buckets) != len(nodes) {
		return p == nil && len(nodes) == 0
	}
	rates := make(map[node]int64, len(nodes))
	for _, n := range nodes {
		rates[n.node] = n.rate
	}
	for i, b := range p.buckets {
		if rates[b.node] != p.rates[i] {
			return false
		}
	}
	return true
}

// bucketLocked returns the bucket of a node, for one more session. Whoever waits
// at another rate will be called, and owes nothing any more.
func (t *Tree) bucketLocked(n limited) *bucket {
	b := t.buckets[n.node]
	if b == nil {
		b = &bucket{node: n.node, drawing: make(map[peer]int)}
		if t.buckets == nil {
			t.buckets = make(map[node]*bucket)
		}
		t.buckets[n.node] = b
	}
	if b.rate != n.rate {
		b.rate, b.paid = n.rate, time.Now()
	}
	b.sessions++
	return b
}

func (t *Tree) releaseLocked(p *path) {
	if p == nil {
		return
	}
	for _, b := range p.buckets {
		if b.sessions--; b.sessions == 0 {
			delete(t.buckets, b.node)
		}
	}
}
