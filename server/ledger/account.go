package ledger

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"portreeve/userdb"
)

var (
	// ErrFull is a change that there is no room for.
	ErrFull = errors.New("quota exceeded")
	// ErrCounting is a change to files that are being counted.
	ErrCounting = errors.New("files are being counted")
)

// Limits are what an account may have. The zero value limits nothing.
type Limits struct{ Files, Bytes userdb.Limit }

// Any tells whether there is a limit at all.
func (l Limits) Any() bool {
	_, files := l.Files.Value()
	_, bytes := l.Bytes.Value()
	return files || bytes
}

// An Account is what a user's files amount to. An account without limits counts
// nothing and costs nothing.
//
// Lock and Unlock are for whoever changes names in the user's folders: what is
// looked at before such a change must be what is changed.
type Account struct {
	sync.Mutex

	ledger *Ledger
	key    key
	refs   int // guarded by Ledger.mu

	limited atomic.Bool

	mu       sync.Mutex // guards the fields that follow
	limits   Limits
	files    []Files // where they are, one for each session
	known    bool    // held is right
	counting chan struct{}
	held     userdb.Usage // what there is
	reserved userdb.Usage // what is about to be
	pending  userdb.Usage // of held, what the database has not been told
	mark     bool         // the database says that the files are being changed
	turn     int          // how often mark was set
	busy     int          // changes under way
	changed  time.Time    // when the last one ended
	unfiled  bool         // KeepFile has something to write
	writes   map[Inode]*writing
	credits  map[Inode]*Claim
	failed   []failure
}

// Name returns whose account it is.
func (a *Account) Name() string { return a.key.name }

// Limited tells whether there is anything to count.
func (a *Account) Limited() bool { return a != nil && a.limited.Load() }

// Limits returns what the account may have.
func (a *Account) Limits() Limits {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits
}

// SetLimits changes what the account may have, at once and for all sessions. What
// there is already stays.
func (a *Account) SetLimits(limits Limits) {
	a.mu.Lock()
	a.limits = limits
	if !limits.Any() { // nobody counts what is done from now on
		a.known = false
	}
	a.mu.Unlock()
	a.limited.Store(limits.Any())
	if limits.Any() {
		a.ledger.join(a.key)
		a.learn()
	} else {
		a.ledger.leave(a.key)
	}
}

// Usage returns what the files take up, and false if that is not known yet.
func (a *Account) Usage() (userdb.Usage, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held, a.known
}

// Left returns how many files and bytes there is room for.
func (a *Account) Left() userdb.Usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leftLocked()
}

func (a *Account) leftLocked() userdb.Usage {
	left := func(limit userdb.Limit, taken int64) int64 {
		most, limited := limit.Value()
		if !limited {
			return math.MaxInt64
		}
		return max(0, most-taken)
	}
	return userdb.Usage{
		Files: left(a.limits.Files, a.held.Files+a.reserved.Files),
		Bytes: left(a.limits.Bytes, a.held.Bytes+a.reserved.Bytes),
	}
}

// Begin comes before a change, and End after it. It waits until what there is is
// known, for a while, and until the database says that it is about to change.
func (a *Account) Begin() error {
	for {
		a.mu.Lock()
		switch {
		case !a.known:
			a.mu.Unlock()
			if err := a.await(patience); err != nil {
				return err
			}
			continue
		case a.mark:
			a.busy++
			a.mu.Unlock()
			return nil
		}
		a.mu.Unlock()
		if err := a.ledger.mark(a); err != nil {
			return err
		}
	}
}

// End tells that a change is over.
func (a *Account) End() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy--
	a.changed = time.Now()
}

// Add adds to what there is what was made, or takes away what was removed,
// between Begin and End.
func (a *Account) Add(d userdb.Usage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addLocked(d)
}

func (a *Account) addLocked(d userdb.Usage) {
	if d == (userdb.Usage{}) {
		return
	}
	a.held = atLeastNothing(a.held, d)
	a.pending.Files += d.Files
	a.pending.Bytes += d.Bytes
	a.unfiled = true
}

// Close gives an account up.
func (a *Account) Close() {
	l := a.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.refs--; a.refs == 0 && !a.isMarked() {
		delete(l.accounts, a.key)
	}
}

func (a *Account) isMarked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mark
}

// marked notes that the database says whose files are written, and what it knows
// of them: somebody may have counted them.
func (a *Account) marked(t userdb.Tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mark, a.turn, a.changed = true, a.turn+1, time.Now()
	a.adoptLocked(t)
}

// rehearsed is marked where nothing is written: what there is, is known.
func (a *Account) rehearsed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mark, a.turn = true, a.turn+1
}

// adoptLocked takes over what the database has, and what it has not been told.
func (a *Account) adoptLocked(t userdb.Tally) {
	a.held = atLeastNothing(t.Usage, a.pending)
}

// atLeastNothing is a sum. It falls below zero where files are removed that came
// from elsewhere and were not counted.
func atLeastNothing(u, d userdb.Usage) userdb.Usage {
	return userdb.Usage{Files: max(0, u.Files+d.Files), Bytes: max(0, u.Bytes+d.Bytes)}
}

// take returns what is to be written now, if there is anything. The last time
// nothing is left to be said later.
func (a *Account) take(last bool) (userdb.Change, bool) {
	refs := a.users()
	a.mu.Lock()
	defer a.mu.Unlock()
	c := userdb.Change{Usage: a.pending}
	c.Done = a.busy == 0 && (last || refs == 0 || time.Since(a.changed) >= settleAfter)
	if c == (userdb.Change{}) {
		return c, false
	}
	a.pending = userdb.Usage{}
	if c.Done {
		a.mark = false
	}
	return c, true
}

func (a *Account) users() int {
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	return a.refs
}

// untake takes back what could not be written.
func (a *Account) untake(c userdb.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pending.Files += c.Files
	a.pending.Bytes += c.Bytes
	a.mark = true
}

// settled notes what the database has now.
func (a *Account) settled(t userdb.Tally) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.adoptLocked(t)
}
