// Package session knows who is connected now and can make them leave.
//
// Every connection has an entry in the registry from accept to close, and none
// is served without one: the registry is the limiter, of sessions in all, from
// one address, and of one account. Checking and counting are one step, so no
// two that arrive at the same instant both take the last place.
//
// An entry is written by the session that owns it and read by anybody, as
// copies. While a file moves only atomic counters are touched; the registry's
// lock is taken to connect, log in, log out and leave, and an entry's own when
// a command begins or a transfer begins or ends.
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Returned by Open and Login inside a LimitError, which knows the number.
var (
	// ErrFull: the server has all the sessions it may have.
	ErrFull = errors.New("too many sessions")
	// ErrHostFull: the client's address has all the sessions it may have.
	ErrHostFull = errors.New("too many sessions from this address")
	// ErrUserFull: the account has all the sessions it may have.
	ErrUserFull = errors.New("too many sessions of this user")
)

// ErrNoSession: there is no session of that ID, or no longer. It is for those
// who make an error of the false that Get, Kick and Abort return.
var ErrNoSession = errors.New("no such session")

// A LimitError tells which limit was met and what it is.
type LimitError struct {
	Err error // ErrFull, ErrHostFull or ErrUserFull
	Max int
}

func (e *LimitError) Error() string { return fmt.Sprintf("%v (limit %d)", e.Err, e.Max) }
func (e *LimitError) Unwrap() error { return e.Err }

// Kicked is the reason for which an operator ends a session. Message is for the
// client and may be empty.
type Kicked struct{ Message string }

func (k Kicked) Error() string {
	if k.Message == "" {
		return "ended by the operator"
	}
	return "ended by the operator: " + k.Message
}

// Limits are what Open checks. Zero, or less, is no limit.
type Limits struct {
	Max     int `json:"max"`      // sessions in all
	PerHost int `json:"per_host"` // sessions from one address
}

// Totals are the registry's sums since it was made.
type Totals struct {
	Now       int   `json:"now"`
	Peak      int   `json:"peak"`
	Accepted  int64 `json:"accepted"`
	Refused   int64 `json:"refused"` // by Open; a refused login is the log's matter
	Up        int64 `json:"up"`      // bytes of files, with those now under way
	Down      int64 `json:"down"`
	FilesUp   int64 `json:"files_up"` // moved whole
	FilesDown int64 `json:"files_down"`
}

// A user is an account and the database that it is of.
type user struct{ users, account string }

// A Registry holds the live sessions.
type Registry struct {
	moved [Working + 1]atomic.Int64 // bytes, as they move, by state

	// mu guards the fields that follow. Lock order: Registry.mu, then Entry.mu.
	mu       sync.Mutex
	limits   Limits
	last     ID
	live     map[ID]*Entry
	hosts    map[netip.Addr]int
	users    map[user]int
	software map[string]*Software // by client
	past     Totals               // Now, and what Up to FilesDown say of those who left; Peak, Accepted, Refused
}

// New makes an empty registry.
func New(l Limits) *Registry {
	return &Registry{
		limits: l,
		live:   make(map[ID]*Entry),
		hosts:  make(map[netip.Addr]int),
		users:  make(map[user]int),
	}
}

// SetLimits replaces the limits for those to come; nobody is made to leave.
func (r *Registry) SetLimits(l Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = l
}

// Limits returns the limits in force.
func (r *Registry) Limits() Limits {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limits
}

// Open enters a connection, or returns a LimitError around ErrFull or
// ErrHostFull. leave is what Kick will call; it must end the session soon.
// An IPv4 client that came to an IPv6 socket is counted and shown as IPv4.
func (r *Registry) Open(remote, local netip.AddrPort, leave context.CancelCauseFunc) (*Entry, error) {
	now := time.Now()
	e := &Entry{
		reg:     r,
		remote:  unmap(remote),
		local:   unmap(local),
		started: now,
		leave:   leave,
		since:   now,
		active:  now,
	}
	host := e.remote.Addr()
	r.mu.Lock()
	defer r.mu.Unlock()
	if full(len(r.live), r.limits.Max) {
		r.past.Refused++
		return nil, &LimitError{ErrFull, r.limits.Max}
	}
	if full(r.hosts[host], r.limits.PerHost) {
		r.past.Refused++
		return nil, &LimitError{ErrHostFull, r.limits.PerHost}
	}
	r.last++
	e.id = r.last
	r.live[e.id] = e
	r.hosts[host]++
	r.past.Accepted++
	r.past.Peak = max(r.past.Peak, len(r.live))
	return e, nil
}

// Len returns how many are connected.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.live)
}

// List returns a copy of what is known of everybody, ordered by ID. Each entry
// is as it was at one moment, not all at the same.
func (r *Registry) List() []Info {
	entries := r.entries()
	slices.SortFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.id, b.id) })
	infos := make([]Info, len(entries))
	for i, e := range entries {
		e.read(&infos[i])
	}
	return infos
}

// Get returns what is known of one session, and whether there is such a one.
func (r *Registry) Get(id ID) (Info, bool) {
	e := r.entry(id)
	if e == nil {
		return Info{}, false
	}
	return e.Info(), true
}

// Totals returns the sums, those of the sessions now connected included.
func (r *Registry) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Under the lock, so that nobody is counted both as live and as past.
	t := r.past
	t.Now = len(r.live)
	for _, e := range r.live {
		t.add(e)
	}
	return t
}

// Admissions returns how many connections were let in, and how many Open refused.
func (r *Registry) Admissions() (accepted, refused int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.past.Accepted, r.past.Refused
}

// Moved returns how many bytes were moved in a state, those of transfers under way
// included.
func (r *Registry) Moved(s State) int64 { return r.moved[s].Load() }

// Now is how many sessions are in each state.
type Now [len(stateNames)]int

// Now counts the sessions by their state. The registry is locked for as long as it takes
// to list them.
func (r *Registry) Now() (now Now) {
	for _, e := range r.entries() {
		now[e.state()]++
	}
	return now
}

// Turnover returns how many sessions have begun and how many have ended, together.
func (r *Registry) Turnover() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return 2*r.past.Accepted - int64(len(r.live))
}

// Kick asks a session to leave for the given reason, and returns whether there
// is such a one. It does not wait for it to be gone.
func (r *Registry) Kick(id ID, reason error) bool {
	e := r.entry(id)
	if e == nil {
		return false
	}
	e.leave(reason)
	return true
}

// Abort ends the transfer of a session and keeps the session. It returns false
// if there is no such session or it moves nothing.
func (r *Registry) Abort(id ID) bool {
	e := r.entry(id)
	if e == nil {
		return false
	}
	p := e.xfer.Load()
	if p == nil || p.Abort == nil {
		return false
	}
	p.Abort()
	return true
}

func (r *Registry) entry(id ID) *Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[id]
}

func (r *Registry) entries() []*Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make([]*Entry, 0, len(r.live))
	for _, e := range r.live {
		entries = append(entries, e)
	}
	return entries
}

// leaveUserLocked takes a session off its account's count.
func (r *Registry) leaveUserLocked(who user) {
	if who.account == "" {
		return
	}
	if r.users[who]--; r.users[who] <= 0 {
		delete(r.users, who)
	}
}

// add is called with the registry's lock held, so it does not ask for rates.
func (t *Totals) add(e *Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t.Up += e.up.bytes
	t.Down += e.down.bytes
	t.FilesUp += int64(e.up.whole)
	t.FilesDown += int64(e.down.whole)
	p := e.xfer.Load()
	if p == nil {
		return
	}
	switch p.State {
	case Uploading:
		t.Up += p.moved.Load()
	case Downloading:
		t.Down += p.moved.Load()
	}
}

func full(n, limit int) bool { return limit > 0 && n >= limit }

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
