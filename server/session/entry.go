package session

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// An Entry is one session's place in the registry. The session that opened it
// is the only one to call its methods, but for Moved, which is for the goroutine
// that moves the file, and SetName and Info, which are for all.
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
	users    string // which account it is of that name; see Login
	cwd      string
	command  string
	client   string
	name     string
	host     string
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

// Login counts the session for an account of a database, "" for the server's own,
// and makes it Idle: virtual hosts may have users of one name who are not the same.
// It returns a LimitError around ErrUserFull if the account has max sessions already, this
// one not counted; zero is no limit. A session that is logged in changes its
// account, or keeps it where the new one is full.
func (e *Entry) Login(users, account string, max int) error {
	r := e.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	who := user{users, account}
	n := r.users[who]
	if e.loggedIn && who == (user{e.users, e.account}) {
		n--
	}
	if full(n, max) {
		return &LimitError{ErrUserFull, max}
	}
	if e.closed { // the counts are settled; nobody will take this one off again
		return nil
	}
	e.logoutLocked()
	r.users[who]++
	e.users, e.account, e.loggedIn = users, account, true
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
		e.reg.leaveUserLocked(user{e.users, e.account})
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

// SetHost records the virtual host that the client chose, "" for none.
func (e *Entry) SetHost(name string) {
	e.mu.Lock()
	e.host = name
	e.mu.Unlock()
}

// SetName records the name of the client's host. It may be called by anybody.
func (e *Entry) SetName(name string) {
	e.mu.Lock()
	e.name = name
	e.mu.Unlock()
}

// Name returns the name of the client's host, "" if none is known yet.
func (e *Entry) Name() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.name
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
		e.reg.moved[p.State].Add(int64(n))
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

// Brief counts a transfer that was over before anybody could look at it.
func (e *Entry) Brief(kind State, n int64, err error) {
	e.reg.moved[kind].Add(n)
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.sums(kind); s != nil {
		s.begun++
		s.bytes += n
		if err == nil {
			s.whole++
		}
	}
	e.since = time.Now()
}

// sums returns where a kind of transfer is added up, nil for what no file comes or goes by.
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

// state returns what the session is doing.
func (e *Entry) state() State {
	if p := e.xfer.Load(); p != nil {
		return p.State
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loggedIn {
		return Idle
	}
	return Login
}

// read fills i in place, since Info is large and List makes thousands.
func (e *Entry) read(i *Info) {
	i.ID, i.Remote, i.Local, i.Started = e.id, e.remote, e.local, e.started
	i.Size = -1
	e.mu.Lock()
	defer e.mu.Unlock()
	i.User, i.Cwd, i.Command, i.Client, i.Name, i.Host, i.TLS = e.account, e.cwd, e.command, e.client, e.name, e.host, e.tls
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
