// Package ledger knows what each user's files amount to, and lets nobody exceed it.
//
// An Account is what a user has and may have; all sessions of the user share it.
// Bytes are reserved before they are written and files before they are made, so
// that uploads side by side never amount to more than is allowed. What has been
// made or removed is added to the user database a second later, that of all users
// in one transaction.
//
// While a user's files change, the database says so. If it still says so when a
// daemon starts, another one has died over it, and the files are counted.
//
// Locks are taken in this order: Account.Lock, Ledger.writing, Ledger.mu,
// Account.mu. Only the first two are held while a disk is waited for.
package ledger

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"portreeve/userdb"
)

const (
	// flushEvery is how long a change waits to be written, together with others.
	flushEvery = time.Second
	// settleAfter is how long the files of a user who is logged in must have been
	// left alone before the database is told that nobody writes any more. To say
	// that they are written again costs the next change a transaction.
	settleAfter = 5 * time.Second
	// closingTime is how long Close waits for what was begun.
	closingTime = 5 * time.Second
)

// A Ledger has the accounts of those who are logged in.
type Ledger struct {
	writer    string // what the database calls this process
	log       *slog.Logger
	rehearses bool // nothing is written

	ctx  context.Context // ends what is being counted
	stop context.CancelFunc

	// writing is held for each transaction, and for what decides what is in it.
	writing sync.Mutex

	mu       sync.Mutex // guards the fields that follow
	accounts map[key]*Account
	marks    *marks           // asked for and not yet begun
	free     map[key]struct{} // those without limits, whom nobody counts from now on
	timer    *time.Timer      // of the next flush; nil if there is none to come
	closed   bool
	work     sync.WaitGroup // counts of files, and flushes
}

// key is somebody of one database.
type key struct {
	db   userdb.DB
	name string
}

// New makes a ledger without accounts.
func New(log *slog.Logger) *Ledger {
	l := &Ledger{writer: rand.Text(), log: log, accounts: make(map[key]*Account), free: make(map[key]struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// Rehearse makes a ledger that writes nothing: what is done with its accounts is
// over with them.
func Rehearse(log *slog.Logger) *Ledger {
	l := New(log)
	l.rehearses = true
	return l
}

// Open returns the account of a user. Whoever has it calls Close.
func (l *Ledger) Open(db userdb.DB, name string) *Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := key{db, name}
	a := l.accounts[k]
	if a == nil {
		a = &Account{ledger: l, key: k}
		l.accounts[k] = a
	}
	a.refs++
	return a
}

// marks are accounts that wait for the database to say that they are written.
type marks struct {
	accounts []*Account
	done     chan struct{}
	err      error
}

// mark has the database say that the files of a are about to change. Those who
// want that at the same time share a transaction.
func (l *Ledger) mark(a *Account) error {
	l.mu.Lock()
	m, first := l.marks, false
	if m == nil {
		m, first = &marks{done: make(chan struct{})}, true
		l.marks = m
	}
	m.accounts = append(m.accounts, a)
	l.mu.Unlock()
	if first {
		l.writing.Lock()
		l.mu.Lock()
		l.marks = nil
		l.mu.Unlock()
		m.err = l.markAll(m.accounts)
		l.writing.Unlock()
		close(m.done)
	}
	<-m.done
	return m.err
}

// markAll writes the marks of accounts. Several of them may be one.
func (l *Ledger) markAll(accounts []*Account) error {
	if l.rehearses {
		for _, a := range accounts {
			a.rehearsed()
		}
		return nil
	}
	byDB := make(map[userdb.DB]map[string]*Account)
	for _, a := range accounts {
		if byDB[a.key.db] == nil {
			byDB[a.key.db] = make(map[string]*Account)
		}
		byDB[a.key.db][a.key.name] = a
	}
	for db, users := range byDB {
		names := make([]string, 0, len(users))
		for name, a := range users {
			if !a.isMarked() {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			continue
		}
		tallies, err := db.BeginWriting(l.writer, names)
		if err != nil {
			return err
		}
		for name, t := range tallies {
			users[name].marked(t)
		}
	}
	l.later()
	return nil
}

// later has what has changed written after a while.
func (l *Ledger) later() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil && !l.closed && !l.rehearses {
		l.work.Add(1)
		l.timer = time.AfterFunc(flushEvery, func() {
			defer l.work.Done()
			l.Flush()
		})
	}
}

func (l *Ledger) stopTimerLocked() {
	if l.timer != nil && l.timer.Stop() {
		l.work.Done()
	}
	l.timer = nil
}

// Flush writes what has changed.
func (l *Ledger) Flush() {
	written := l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(written) > 0 {
		l.work.Go(func() { // a home that hangs holds up nobody who changes others
			for _, a := range written {
				a.keepFile()
			}
		})
	}
}

func (l *Ledger) flush() (written []*Account) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	l.stopTimerLocked()
	byDB := make(map[userdb.DB]map[string]*Account)
	for k, a := range l.accounts {
		if !a.isMarked() {
			continue
		}
		if byDB[k.db] == nil {
			byDB[k.db] = make(map[string]*Account)
		}
		byDB[k.db][k.name] = a
	}
	closed, free := l.closed, l.free
	l.free = make(map[key]struct{})
	l.mu.Unlock()
	l.uncount(free)
	again := false
	for db, users := range byDB {
		more, some := l.flushTo(db, users, closed)
		again = again || more
		written = append(written, some...)
	}
	if again {
		l.later()
	}
	return written
}

// maxFree is how many of them are remembered; others keep a count that is old.
const maxFree = 1 << 14

// leave notes that what a user does is not counted any more, or not yet.
func (l *Ledger) leave(k key) {
	l.mu.Lock()
	if len(l.free) < maxFree {
		l.free[k] = struct{}{}
	}
	l.mu.Unlock()
	l.later()
}

// join takes back what leave noted.
func (l *Ledger) join(k key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.free, k)
}

// uncount has the database know of those without limits.
func (l *Ledger) uncount(free map[key]struct{}) {
	byDB := make(map[userdb.DB][]string)
	for k := range free {
		byDB[k.db] = append(byDB[k.db], k.name)
	}
	for db, names := range byDB {
		if err := db.Uncount(names); err != nil {
			l.log.Error("noting that users are not counted", "users", len(names), "err", err)
		}
	}
}

// flushTo writes the changes of some users of one database; it tells whether there
// will be more to write, and whose changes are written.
func (l *Ledger) flushTo(db userdb.DB, users map[string]*Account, last bool) (again bool, written []*Account) {
	changes := make(map[string]userdb.Change)
	for name, a := range users {
		if c, ok := a.take(last); ok {
			changes[name] = c
		}
		again = again || !changes[name].Done
	}
	if len(changes) == 0 {
		return again, nil
	}
	tallies, err := db.AddUsages(l.writer, changes)
	if err != nil {
		l.log.Error("writing what users' files take up; it is tried again", "users", len(changes), "err", err)
	}
	for name, c := range changes {
		a := users[name]
		if err != nil {
			a.untake(c)
			again = true
			continue
		}
		a.settled(tallies[name])
		written = append(written, a)
		if c.Done {
			l.forget(a)
		}
	}
	return again, written
}

// forget drops an account that nobody has any more and that has nothing to write.
func (l *Ledger) forget(a *Account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.refs == 0 && !a.isMarked() {
		delete(l.accounts, a.key)
	}
}

// Close writes what is left, and waits for it. Nothing may change any more.
func (l *Ledger) Close() {
	l.mu.Lock()
	l.closed = true
	l.stopTimerLocked()
	l.mu.Unlock()
	l.stop()
	idle := make(chan struct{})
	go func() {
		l.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(closingTime): // a disk that hangs is no reason to stay
		l.log.Error("not everything about users' files is written: a disk does not answer")
	}
	if !l.rehearses {
		l.flush()
	}
}
