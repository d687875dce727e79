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

// A Registry holds the live sessions.
type Registry struct {
	// mu guards the fields that follow. Lock order: Registry.mu, then Entry.mu.
	mu     sync.Mutex
	limits Limits
	last   ID
	live   map[ID]*Entry
	hosts  map[netip.Addr]int
	users  map[string]int
	past   Totals // Now, and what Up to FilesDown say of those who left; Peak, Accepted, Refused
}

// New makes an empty registry.
func New(l Limits) *Registry {
	return &Registry{
		limits: l,
		live:   make(map[ID]*Entry),
		hosts:  make(map[netip.Addr]int),
		users:  make(map[string]int),
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
func (r *Registry) leaveUserLocked(account string) {
	if account == "" {
		return
	}
	if r.users[account]--; r.users[account] <= 0 {
		delete(r.users, account)
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

// An Entry is one session's place in the registry. The session that opened it
// is the only one to call its methods, but for Moved, which is for the goroutine
// that moves the file, and Info, which is for all.
type Entry struct {
	// Given at birth, never changed
	reg           *Registry
	id            ID
	remote, local netip.AddrPort
	started       time.Time
	leave         context.CancelCauseFunc

	// xfer is the transfer under way, nil if none. Written under mu.
	xfer atomic.Pointer[progress]

	// mu guards the fields that follow. It is never taken while bytes move.
	mu       sync.Mutex
	closed   bool
	loggedIn bool // account is counted; it may be empty before
	account  string
	cwd      string
	command  string
	client   string
	tls      string
	since    time.Time // Login, Logout or End
	active   time.Time // last command
	up, down sums
}

// sums are one direction's, of transfers that ended; begun counts all.
type sums struct {
	bytes        int64
	begun, whole int
}

// ID returns the session's number.
func (e *Entry) ID() ID { return e.id }

// Login counts the session for an account, and makes it Idle. It returns a
// LimitError around ErrUserFull if the account has max sessions already, this
// one not counted; zero is no limit. A session that is logged in changes its
// account, or keeps it where the new one is full.
func (e *Entry) Login(account string, max int) error {
	r := e.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	n := r.users[account]
	if e.loggedIn && e.account == account {
		n--
	}
	if full(n, max) {
		return &LimitError{ErrUserFull, max}
	}
	if e.closed { // the counts are settled; nobody will take this one off again
		return nil
	}
	e.logoutLocked()
	r.users[account]++
	e.account, e.loggedIn = account, true
	e.since = time.Now()
	return nil
}

// Logout is REIN: the account's place is free, the connection stays.
func (e *Entry) Logout() {
	e.reg.mu.Lock()
	defer e.reg.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.logoutLocked()
	e.cwd, e.since = "", time.Now()
}

func (e *Entry) logoutLocked() {
	if e.loggedIn {
		e.reg.leaveUserLocked(e.account)
	}
	e.account, e.loggedIn = "", false
}

// Close takes the session out of the registry. It may be called again.
func (e *Entry) Close() {
	e.End(errClosed)
	r := e.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live[e.id] != e {
		return
	}
	delete(r.live, e.id)
	host := e.remote.Addr()
	if r.hosts[host]--; r.hosts[host] <= 0 {
		delete(r.hosts, host)
	}
	e.mu.Lock()
	e.logoutLocked()
	e.closed = true
	e.mu.Unlock()
	r.past.add(e)
}

// errClosed is why a transfer did not end that was under way at Close.
var errClosed = errors.New("session closed")

// SetCwd records the working directory.
func (e *Entry) SetCwd(path string) {
	e.mu.Lock()
	e.cwd = path
	e.mu.Unlock()
}

// SetCommand records the line that was just received. Whoever calls has masked
// what is secret in it.
func (e *Entry) SetCommand(line string) {
	e.mu.Lock()
	e.command, e.active = line, time.Now()
	e.mu.Unlock()
}

// SetClient records what the client says it is.
func (e *Entry) SetClient(name string) {
	e.mu.Lock()
	e.client = name
	e.mu.Unlock()
}

// SetTLS records the version of TLS on the control connection, "" for none.
func (e *Entry) SetTLS(version string) {
	e.mu.Lock()
	e.tls = version
	e.mu.Unlock()
}

// Begin shows a transfer as under way; End must follow.
func (e *Entry) Begin(t Transfer) {
	p := newProgress(t)
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sums(t.State); s != nil {
		s.begun++
	}
	e.xfer.Store(p)
}

// Moved adds n bytes to the transfer under way. One goroutine at a time may
// call it, between Begin and End. It takes no lock.
func (e *Entry) Moved(n int) {
	if p := e.xfer.Load(); p != nil {
		p.add(int64(n))
	}
}

// End makes the session Idle again. A nil error says the file was moved whole.
// Without a transfer under way it does nothing.
func (e *Entry) End(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.xfer.Load()
	if p == nil {
		return
	}
	if s := e.sums(p.State); s != nil {
		s.bytes += p.moved.Load()
		if err == nil {
			s.whole++
		}
	}
	e.xfer.Store(nil)
	e.since = time.Now()
}

// sums returns where a kind of transfer is added up, nil for a listing.
func (e *Entry) sums(kind State) *sums {
	switch kind {
	case Uploading:
		return &e.up
	case Downloading:
		return &e.down
	}
	return nil
}

// Info returns what is known of the session now.
func (e *Entry) Info() Info {
	var i Info
	e.read(&i)
	return i
}

// read fills i in place, since Info is large and List makes thousands.
func (e *Entry) read(i *Info) {
	i.ID, i.Remote, i.Local, i.Started = e.id, e.remote, e.local, e.started
	i.Size = -1
	e.mu.Lock()
	defer e.mu.Unlock()
	i.User, i.Cwd, i.Command, i.Client, i.TLS = e.account, e.cwd, e.command, e.client, e.tls
	i.State, i.Since, i.Active = Login, e.since, e.active
	if e.loggedIn {
		i.State = Idle
	}
	i.TotalUp, i.Uploads, i.FilesUp = e.up.bytes, e.up.begun, e.up.whole
	i.TotalDown, i.Downloads, i.FilesDown = e.down.bytes, e.down.begun, e.down.whole
	p := e.xfer.Load()
	if p == nil {
		return
	}
	i.State, i.Since = p.State, p.started
	i.Path, i.Offset, i.Size = p.Path, p.Offset, p.Size
	i.Moved, i.Rate1s, i.Rate10s, i.RateAvg = p.rates()
	switch p.State {
	case Uploading:
		i.TotalUp += i.Moved
	case Downloading:
		i.TotalDown += i.Moved
	}
}
