package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"portreeve/userdb"
)

// patience is how long a change waits for files to be counted.
const patience = 2 * time.Second

// Files are a user's, as the ledger looks at them.
type Files interface {
	// Count returns what there is, and tells from time to time how far it is. With
	// an error it returns what it found before that.
	Count(ctx context.Context, progress func(userdb.Usage)) (userdb.Usage, error)
	// ReadUsage returns what .ftpquota says: fs.ErrNotExist if there is none.
	ReadUsage() (userdb.Usage, error)
	// WriteUsage has .ftpquota say so; nil is for those who do not want that.
	WriteUsage(u userdb.Usage) error
}

// Use tells where the files of an account are, until Part, and what it may have.
func (a *Account) Use(files Files, limits Limits) {
	a.mu.Lock()
	a.files = append(a.files, files)
	a.mu.Unlock()
	a.SetLimits(limits)
	if limits.Any() {
		_ = a.await(briefly) // a small home is counted before its user looks
	}
}

// briefly is how long a login waits for that.
const briefly = 200 * time.Millisecond

// Part takes back what Use said.
func (a *Account) Part(files Files) {
	a.keepFile()
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.files, files); i >= 0 {
		a.files = slices.Delete(a.files, i, i+1)
	}
}

// keepFile has .ftpquota say what there is, if somebody wants that.
func (a *Account) keepFile() {
	a.mu.Lock()
	if a.ledger.rehearses || !a.unfiled || !a.known || len(a.files) == 0 {
		a.mu.Unlock()
		return
	}
	a.unfiled = false
	files, held := a.files[0], a.held
	a.mu.Unlock()
	if err := files.WriteUsage(held); err != nil && !errors.Is(err, fs.ErrClosed) {
		a.ledger.log.Warn("writing .ftpquota", "user", a.key.name, "err", err)
	}
}

// await waits until it is known what there is.
func (a *Account) await(most time.Duration) error {
	a.mu.Lock()
	known, counting := a.known, a.counting
	a.mu.Unlock()
	switch {
	case known:
		return nil
	case counting == nil: // it failed; the log says why
		return ErrCounting
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-counting:
		if _, known := a.Usage(); known {
			return nil
		}
	case <-timer.C:
	}
	return ErrCounting
}

// learn finds out what there is, unless that is known. What the database has
// serves if nobody died over it; then what .ftpquota has; then the files are
// counted, which nobody changes meanwhile.
func (a *Account) learn() {
	a.mu.Lock()
	if a.counting != nil || a.mark && a.known || len(a.files) == 0 {
		a.mu.Unlock()
		return
	}
	done := make(chan struct{})
	turn, files := a.turn, a.files[0]
	if !a.known { // what is known is looked up again: somebody may have counted
		a.counting = done
	}
	a.mu.Unlock()

	t, err := a.key.db.Tally(a.key.name)
	if errors.Is(err, userdb.ErrMalformed) {
		a.ledger.log.Error("what a user's files take up cannot be read; they are counted", "user", a.key.name, "err", err)
		t, err = userdb.Tally{}, nil
	}
	if a.learned(t, err, turn) {
		return
	}
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	if a.ledger.closed {
		a.counted(userdb.Usage{}, false)
		return
	}
	a.ledger.work.Go(func() { a.find(files, t) })
}

// learned takes over what the database knows, and tells whether that will do.
func (a *Account) learned(t userdb.Tally, err error, turn int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	done := a.counting
	switch {
	case a.known && (err != nil || a.mark || a.turn != turn): // it has changed since
		return true
	case err != nil:
		a.ledger.log.Error("looking up what a user's files take up", "user", a.key.name, "err", err)
	case t.Counted && (t.Writer == "" || t.Writer == a.ledger.writer || a.ledger.rehearses): // a daemon tells what it counts, a moment later
		a.known = true
		a.adoptLocked(t)
	case a.known: // somebody else has begun to write; what comes of it is known later
		return true
	default:
		return false
	}
	if done != nil {
		a.counting = nil
		close(done)
	}
	return true
}

// find finds out what there is where the database does not know.
func (a *Account) find(files Files, t userdb.Tally) {
	log := a.ledger.log.With("user", a.key.name)
	found, err := userdb.Usage{}, fs.ErrNotExist
	if !t.Counted && !t.Left {
		found, err = files.ReadUsage()
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Error("reading .ftpquota; nothing is taken until the files are counted", "err", err)
		}
		found, err = a.count(files, t)
	} else {
		log.Info("usage taken over from .ftpquota", "files", found.Files, "bytes", found.Bytes)
	}
	a.ledger.writing.Lock() // what was found is not to be added to
	defer a.ledger.writing.Unlock()
	if err == nil && !a.ledger.rehearses {
		err = a.key.db.SetUsage(a.key.name, found, a.ledger.writer)
	}
	if err != nil {
		log.Error("finding out what a user's files take up; uploads are refused", "err", err)
	}
	a.counted(found, err == nil)
}

// count counts the files. Those that cannot be seen count for as much as they did.
func (a *Account) count(files Files, t userdb.Tally) (userdb.Usage, error) {
	log := a.ledger.log.With("user", a.key.name)
	begun := time.Now()
	said := begun
	found, err := files.Count(a.ledger.ctx, func(u userdb.Usage) {
		if time.Since(said) >= 10*time.Second {
			said = time.Now()
			log.Info("counting", "files", u.Files, "bytes", u.Bytes)
		}
	})
	if a.ledger.ctx.Err() != nil {
		return found, fmt.Errorf("counting: %w", context.Cause(a.ledger.ctx))
	}
	if err != nil {
		found.Files, found.Bytes = max(found.Files, t.Files), max(found.Bytes, t.Bytes)
		log.Warn("some files could not be counted", "err", err)
	}
	log.Info("counted", "files", found.Files, "bytes", found.Bytes, "before", t.Usage, "took", time.Since(begun).Round(time.Millisecond))
	return found, nil
}

// counted tells those who wait what was found.
func (a *Account) counted(found userdb.Usage, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok {
		a.held, a.pending, a.known = found, userdb.Usage{}, true
	}
	close(a.counting)
	a.counting = nil
}

// Recover counts the files of those users of a database whom a daemon was writing
// for when it died. open returns a user's files, and how to give them back.
func (l *Ledger) Recover(db userdb.DB, open func(name string) (files Files, closeFiles func(), err error)) {
	names, err := db.Unfinished(l.writer)
	if err != nil {
		l.log.Error("looking for users to be counted again", "err", err)
		return
	}
	if len(names) == 0 {
		return
	}
	l.log.Warn("the last daemon did not end well: counting the files of users it was writing for", "users", len(names))
	for i, name := range names {
		if l.ctx.Err() != nil {
			return
		}
		files, closeFiles, err := open(name)
		if errors.Is(err, userdb.ErrNoUser) {
			l.log.Info("a user of another back-end is counted at the next login", "user", name)
			continue
		}
		if err != nil {
			l.log.Error("counting files again", "user", name, "err", err)
			continue
		}
		l.recount(db, name, files)
		closeFiles()
		l.log.Info("counted again", "user", name, "done", i+1, "of", len(names))
	}
}

// recount has the files of one user counted, if nobody has done so meanwhile.
func (l *Ledger) recount(db userdb.DB, name string, files Files) {
	a := l.Open(db, name)
	defer a.Close()
	a.mu.Lock()
	a.files = append(a.files, files)
	a.mu.Unlock()
	defer a.Part(files)
	a.learn()
	a.mu.Lock()
	counting := a.counting
	a.mu.Unlock()
	if counting != nil {
		<-counting
	}
}
