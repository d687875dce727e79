package userdb

import (
	"os"
	"sync"
	"time"
)

// A Cache answers Get from memory for as long as the file is as it was. To open a
// database for one user takes several times as long as all the rest of a login
// whose password is remembered. It may be used by several goroutines at once.
type Cache struct {
	db DB

	mu    sync.Mutex // guards the fields that follow
	as    os.FileInfo
	users map[string]User
}

const (
	// maxCached bounds the memory: some hundred bytes each.
	maxCached = 1 << 12
	// settled is how long a file must have been left alone to be known by its
	// times: the clock of a file system may stand still for some milliseconds,
	// and two changes in that time look like one.
	settled = 200 * time.Millisecond
)

// NewCache makes an empty cache of db.
func NewCache(db DB) *Cache { return &Cache{db: db} }

// Get is that of DB. Slices in what it returns are shared: look, and change nothing.
func (c *Cache) Get(name string) (User, error) {
	now, err := os.Stat(c.db.path)
	if err != nil || time.Since(now.ModTime()) < settled {
		return c.db.Get(name)
	}
	if u, ok := c.find(name, now); ok {
		return u, nil
	}
	u, err := c.db.Get(name)
	if err != nil {
		return u, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What was read is no older than now; if it is newer, the times of the next
	// look say so, and it is forgotten unused.
	if !same(c.as, now) || len(c.users) >= maxCached {
		c.as, c.users = now, make(map[string]User)
	}
	c.users[name] = u
	return u, nil
}

func (c *Cache) find(name string, now os.FileInfo) (User, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !same(c.as, now) {
		return User{}, false
	}
	u, ok := c.users[name]
	return u, ok
}

func same(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
