package auth

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"portreeve/userdb"
)

// notes writes what a login leaves behind: when it was, and a better hash. It
// does so beside the login, which a slow or locked database does not hold up,
// and loses what it cannot write.
type notes struct {
	ctx  context.Context // ends the work that has not begun
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex // guards the fields that follow
	log      *slog.Logger
	logins   map[key]userdb.Login
	noted    map[key]time.Time // when a login was last noted
	renewing map[key]struct{}
	writing  *time.Timer // set when a write is to come or running
	wrote    time.Time   // when the last write ended
	closed   bool
}

// key is a user of one database.
type key struct {
	db   userdb.DB
	name string
}

const (
	// noteEvery is how precise a user's last login is.
	noteEvery = time.Minute
	// writeEvery is how often logins are written at most, all in one go.
	// A writer keeps readers out, and with them other logins.
	writeEvery = time.Second

	maxNotes    = 1 << 14 // logins that wait to be written, and that were
	maxRenewing = 4       // hashes that are made anew at a time; others wait for their next login
)

func newNotes() *notes {
	n := &notes{
		log:      slog.Default(),
		logins:   make(map[key]userdb.Login),
		noted:    make(map[key]time.Time),
		renewing: make(map[key]struct{}),
	}
	n.ctx, n.stop = context.WithCancel(context.Background())
	return n
}

// logTo sets where is told what could not be written.
func (n *notes) logTo(log *slog.Logger) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = log
}

// login notes a login, unless one of the user was noted within the minute.
func (n *notes) login(db userdb.DB, name string, l userdb.Login) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := key{db, name}
	if n.closed || l.At.Sub(n.noted[k]) < noteEvery || len(n.logins) >= maxNotes {
		return
	}
	if len(n.noted) >= maxNotes {
		makeRoom(n.noted, func(t time.Time) bool { return l.At.Sub(t) >= noteEvery })
	}
	n.noted[k] = l.At
	n.logins[k] = l
	if n.writing == nil {
		n.laterLocked(writeEvery - time.Since(n.wrote))
	}
}

// laterLocked sets a write for later. A write of its own goroutine follows, also
// if the time is past.
func (n *notes) laterLocked(wait time.Duration) {
	n.work.Add(1)
	n.writing = time.AfterFunc(max(wait, 0), n.write)
}

// write writes the logins that have come together.
func (n *notes) write() {
	defer n.work.Done()
	n.mu.Lock()
	waiting, log := n.logins, n.log
	n.logins = make(map[key]userdb.Login)
	n.mu.Unlock()

	byDB := make(map[userdb.DB]map[string]userdb.Login)
	for k, l := range waiting {
		if byDB[k.db] == nil {
			byDB[k.db] = make(map[string]userdb.Login)
		}
		byDB[k.db][k.name] = l
	}
	for db, logins := range byDB {
		if err := db.TouchAll(maps.All(logins)); err != nil {
			log.Warn("noting last logins", "users", len(logins), "err", err)
		}
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	n.wrote, n.writing = time.Now(), nil
	switch {
	case len(n.logins) == 0:
	case n.closed:
		n.laterLocked(0)
	default:
		n.laterLocked(writeEvery)
	}
}

// rehash replaces a user's hash by one of today's cost.
func (n *notes) rehash(db userdb.DB, h *hashing, u userdb.User, password string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := key{db, u.Name}
	_, running := n.renewing[k]
	if n.closed || running || len(n.renewing) >= maxRenewing {
		return
	}
	n.renewing[k] = struct{}{}
	log := n.log
	n.work.Go(func() {
		if err := n.renew(k, h, u.Password, password); err != nil && !errors.Is(err, userdb.ErrChanged) && n.ctx.Err() == nil {
			log.Warn("hashing a password anew", "user", u.Name, "err", err)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.renewing, k)
	})
}

func (n *notes) renew(k key, h *hashing, old, password string) error {
	better, err := h.renew(n.ctx, password)
	if err != nil {
		return err
	}
	err = k.db.Renew(k.name, old, better)
	if err == nil {
		h.remembered.add(h.remembered.digest(k.name, better, password), h.remember)
	}
	return err
}

// close waits for what has begun, and writes what has not.
func (n *notes) close() {
	n.mu.Lock()
	n.closed = true
	if n.writing != nil && n.writing.Stop() {
		n.work.Done()
		n.laterLocked(0)
	}
	n.mu.Unlock()
	n.stop()
	n.work.Wait()
}
