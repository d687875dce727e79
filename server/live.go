package server

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"portreeve/server/auth"
	"portreeve/userdb"
)

// What becomes of a user reaches the sessions that it has. Whoever changes a user
// writes the database and tells nobody; so each database of ours that somebody is
// logged in from is looked at once a second, and sessions are handed what is new in
// their accounts. A session takes it over itself, between two commands or while a
// file moves; a user who is gone, disabled or locked is kicked out.
//
// What holds at once: rates, also of the transfer under way; ratios, quotas,
// permissions, hours, expiry, the addresses and networks of the lists, and the
// demand of TLS. What holds from the next login on: the ids, the home and the
// cage, which are what the session is made of; the password; the number of
// sessions, which lets nobody new in and makes nobody leave; host names on the
// lists, since to look them up may take long and the answers change. A file that is
// open stays open: without the right to write, an upload that has begun ends well,
// and the next one is refused. Data that TLS is demanded for is that of the next
// data connection.
//
// Accounts of other back-ends, anonymous among them, are as they were at the login.

// lookEvery is how often a database is looked at from which somebody is logged in.
const lookEvery = time.Second

// A watcher knows who is logged in from which database. For each of these there is
// a goroutine, and for the others nothing.
type watcher struct {
	log *slog.Logger

	mu sync.Mutex // guards the field that follows, and what it leads to
	of map[userdb.DB]*watched
}

// watched is a database from which somebody is logged in.
type watched struct {
	watch *userdb.Watch // its goroutine's
	quit  chan struct{} // closed when nobody is any more

	users map[string]map[*session]*changes
	fresh map[string]struct{} // who logged in since the last look
}

func newWatched(db userdb.DB) *watched {
	return &watched{watch: userdb.NewWatch(db), quit: make(chan struct{}),
		users: make(map[string]map[*session]*changes), fresh: make(map[string]struct{})}
}

// changes carries what becomes of an account to a session that is logged in.
type changes struct {
	reading atomic.Bool                // the session waits for a line, and has to be woken
	terms   atomic.Pointer[auth.Terms] // what it has not seen yet; nil if there is nothing
	bell    chan struct{}              // is rung for a session that moves a file
	last    *auth.Terms                // that it was given; the watcher's
}

func newWatcher(log *slog.Logger) *watcher {
	return &watcher{log: log, of: make(map[userdb.DB]*watched)}
}

// join has a session hear of its account from now on, and of what it became since
// it was read. It returns nil if the account is of no database of ours.
func (w *watcher) join(s *session, a *auth.Account) *changes {
	if a.DB == (userdb.DB{}) || s.srv.rehearses {
		return nil
	}
	c := &changes{bell: make(chan struct{}, 1), last: &auth.Terms{Limits: a.Limits, Expires: a.Expires}}
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.of[a.DB]
	if d == nil {
		d = newWatched(a.DB)
		w.of[a.DB] = d
		go w.follow(d)
	}
	if d.users[a.Name] == nil {
		d.users[a.Name] = make(map[*session]*changes, 1)
	}
	d.users[a.Name][s] = c
	d.fresh[a.Name] = struct{}{}
	return c
}

// leave has it hear no more. After that the watcher does not touch the session.
func (w *watcher) leave(s *session, a *auth.Account) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.of[a.DB]
	if d == nil || d.users[a.Name] == nil {
		return
	}
	if delete(d.users[a.Name], s); len(d.users[a.Name]) == 0 {
		delete(d.users, a.Name)
		delete(d.fresh, a.Name)
	}
	if len(d.users) == 0 {
		delete(w.of, a.DB)
		close(d.quit)
	}
}

// follow looks at a database until nobody is logged in from it.
func (w *watcher) follow(d *watched) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	blind := ""
	for {
		select {
		case <-d.quit:
			return
		case <-tick.C:
		}
		// A database that cannot be read says nothing of anybody: sessions stay.
		switch err := w.look(d); {
		case err == nil:
			blind = ""
		case err.Error() != blind:
			blind = err.Error()
			w.log.Warn("changes of users do not reach their sessions", "err", err)
		}
	}
}

// look hands out what has changed.
func (w *watcher) look(d *watched) error {
	w.mu.Lock()
	fresh := slices.Collect(maps.Keys(d.fresh))
	clear(d.fresh)
	w.mu.Unlock()
	found, err := d.watch.Look(fresh, func() []string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Collect(maps.Keys(d.users))
	})
	if err != nil { // then the next look finds all of them
		return err
	}
	for u, err := range found {
		w.tell(d, u, err)
	}
	return nil
}

// tell hands a user's sessions what it has become; err is that there is no such
// user any more, or none that can be understood.
func (w *watcher) tell(d *watched, u userdb.User, err error) {
	if err == nil {
		err = auth.Standing(u, time.Now())
	}
	terms := &auth.Terms{Limits: u.Limits, Expires: u.Expires}
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, c := range d.users[u.Name] {
		switch {
		case err != nil:
			s.dismiss(&revoked{err})
		case !c.last.Equal(terms):
			c.last = terms
			c.give(s, terms)
		}
	}
}

// give hands a session new terms. It is awake and sees them before it waits for
// its next line, or reading is true.
func (c *changes) give(s *session, terms *auth.Terms) {
	c.terms.Store(terms)
	select {
	case c.bell <- struct{}{}:
	default:
	}
	if c.reading.Load() {
		s.wake()
	}
}

// rings is rung when there is something to take over.
func (s *session) rings() <-chan struct{} {
	if s.changes == nil {
		return nil
	}
	return s.changes.bell
}

// A revoked account may no longer be used by the session that has it. Why is for
// the log.
type revoked struct{ why error }

var errRevoked = errors.New("account may no longer be used")

func (r *revoked) Error() string        { return errRevoked.Error() + ": " + r.why.Error() }
func (r *revoked) Unwrap() error        { return r.why }
func (r *revoked) Is(target error) bool { return target == errRevoked }

// listens sets how long the session waits for a line, and tells whether it may wait
// at all. What is handed to it after that wakes it.
func (s *session) listens() error {
	if s.changes != nil {
		s.changes.reading.Store(true)
	}
	for {
		s.conn.SetReadDeadline(s.deadline())
		if s.changes == nil || s.changes.terms.Load() == nil {
			return s.lapsed()
		}
		if err := s.review(); err != nil {
			return err
		}
	}
}

// heeds is called when the wait is over.
func (s *session) heeds() {
	if s.changes != nil {
		s.changes.reading.Store(false)
	}
}

// review takes over what has become of the account, if anything has. An error ends
// the session.
func (s *session) review() error {
	if s.changes == nil {
		return nil
	}
	terms := s.changes.terms.Swap(nil)
	if terms == nil {
		return nil
	}
	a := *s.account
	a.Limits, a.Expires = terms.Limits, terms.Expires
	if err := s.srv.Auth.Keeps(s.attempt(auth.Attempt{}), a); err != nil {
		return &revoked{err}
	}
	s.account = &a
	s.until = a.Until(time.Now())
	s.fs.SetPerms(s.perms(&a))
	if s.quotas != nil { // whose files nobody counts, is not confined, and has a quota from the next login on
		s.quotas.SetLimits(s.quota(&a))
	}
	s.share.Set(s.ownRates())
	s.log.Info("account changed")
	return s.lapsed()
}

// lapsed tells whether the account's time is over: its hours, or its last day.
func (s *session) lapsed() error {
	now := time.Now()
	if s.account == nil || s.until.IsZero() || now.Before(s.until) {
		return nil
	}
	if err := s.account.Lapsed(now); err != nil {
		return &revoked{err}
	}
	s.until = s.account.Until(now) // the clock was put back
	return nil
}

// reviewed is review and lapsed while a file moves, which then ends as well.
func (s *session) reviewed(ctx context.Context) error {
	if ctx.Err() != nil { // it is ending already
		return nil
	}
	err := s.review()
	if err == nil {
		err = s.lapsed()
	}
	if err != nil {
		s.cut(err)
	}
	return err
}
