package ledger

import (
	"math"
	"time"

	"portreeve/userdb"
)

// An Inode is a file, whatever it is called.
type Inode struct{ Dev, Ino uint64 }

// A Claim is what one upload may come to. It belongs to one goroutine at a time,
// and ends with Settle or Drop.
type Claim struct {
	account *Account
	grants  userdb.Usage // reserved
	ready   int64        // bytes that Grow need not reserve: others go for them, or they are
	lends   Inode        // who gives the credit; zero: nobody, or the file itself
	over    bool
}

// Claim begins an upload, between Begin and End. A new file takes a place.
func (a *Account) Claim(newFile bool) (*Claim, error) {
	c := &Claim{account: a}
	if !newFile {
		return c, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leftLocked().Files < 1 {
		return nil, ErrFull
	}
	a.reserved.Files++
	c.grants.Files = 1
	return c, nil
}

// Replaces says that the upload goes in the place of a file: as many bytes as that
// has need no room. Of several that go in its place at once that is said of the
// first.
func (c *Claim) Replaces(file Inode, size int64) {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.credits == nil {
		a.credits = make(map[Inode]*Claim)
	}
	if a.credits[file] == nil {
		a.credits[file] = c
		c.ready, c.lends = size, file
	}
}

// Within says that so many of the bytes to come go where there are some.
func (c *Claim) Within(bytes int64) { c.ready = max(0, bytes) }

// Grow reserves room for n more bytes, or for as many as there is room for, and
// returns how many.
func (c *Claim) Grow(n int64) int64 {
	free := min(n, c.ready)
	c.ready -= free
	if free == n {
		return n
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	more := min(n-free, a.leftLocked().Bytes)
	a.reserved.Bytes += more
	c.grants.Bytes += more
	return free + more
}

// Expect reserves n bytes for what Grow will be asked, or none.
func (c *Claim) Expect(n int64) bool {
	need := n - c.ready
	if need <= 0 {
		return true
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leftLocked().Bytes < need {
		return false
	}
	a.reserved.Bytes += need
	c.grants.Bytes += need
	c.ready = n
	return true
}

// Room returns how many bytes Grow could grant.
func (c *Claim) Room() int64 {
	left := c.account.Left().Bytes
	if left > math.MaxInt64-c.ready {
		return math.MaxInt64
	}
	return left + c.ready
}

// Made says that the new file is there, and counts, from now on.
func (c *Claim) Made() {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved.Files -= c.grants.Files
	a.addLocked(userdb.Usage{Files: c.grants.Files})
	c.grants.Files = 0
}

// Fit makes what is reserved as much as a change takes that is about to be made,
// with Lock held, and tells whether there is room for it. What takes nothing more
// has room in any case.
func (c *Claim) Fit(d userdb.Usage) bool {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.releaseLocked(c)
	left := a.leftLocked()
	if d.Files > max(0, left.Files) || d.Bytes > max(0, left.Bytes) {
		return false
	}
	c.grants = userdb.Usage{Files: max(0, d.Files), Bytes: max(0, d.Bytes)}
	a.reserved.Files += c.grants.Files
	a.reserved.Bytes += c.grants.Bytes
	return true
}

// Settle ends a claim: what was reserved has become d.
func (c *Claim) Settle(d userdb.Usage) {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	c.endLocked()
	a.addLocked(d)
}

// Drop ends a claim of which nothing came. It does nothing after Settle.
func (c *Claim) Drop() { c.Settle(userdb.Usage{}) }

func (c *Claim) endLocked() {
	a := c.account
	a.releaseLocked(c)
	if a.credits[c.lends] == c {
		delete(a.credits, c.lends)
	}
	c.ready, c.over = 0, true
}

func (a *Account) releaseLocked(c *Claim) {
	a.reserved.Files -= c.grants.Files
	a.reserved.Bytes -= c.grants.Bytes
	c.grants = userdb.Usage{}
}

// writing is a file that is written where it is.
type writing struct {
	claims int
	size   int64 // that is counted
}

// Writes says, with Lock held, that the upload writes a file where it is, which has
// so many bytes now. It returns how many are counted. Written ends the claim.
func (c *Claim) Writes(file Inode, size int64) int64 {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.writes == nil {
		a.writes = make(map[Inode]*writing)
	}
	w := a.writes[file]
	if w == nil {
		w = &writing{size: size}
		a.writes[file] = w
	}
	w.claims++
	return min(w.size, size)
}

// Written ends, with Lock held, a claim on a file that was written where it is. Now
// it has so many bytes, or no name any more.
func (c *Claim) Written(file Inode, size int64, gone bool) {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.writes[file]
	if c.over || w == nil {
		return
	}
	c.endLocked()
	if gone {
		size = 0
	}
	a.addLocked(userdb.Usage{Bytes: size - w.size})
	w.size = size
	if w.claims--; w.claims == 0 {
		delete(a.writes, file)
	}
}

// Of returns what a regular file counts for that is about to be removed. One that
// is being written keeps its bytes until it is closed.
func (a *Account) Of(file Inode, size int64) userdb.Usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.writes[file] != nil {
		size = 0
	}
	return userdb.Usage{Files: 1, Bytes: size}
}

// A failure is an upload that there was no room for.
type failure struct {
	path string
	room int64 // that there was
	at   time.Time
}

const (
	// failuresKept is how many such uploads an account remembers.
	failuresKept = 32
	// failureLasts is how long: a file of that name may become smaller.
	failureLasts = 10 * time.Minute
)

// Fail remembers that a file of that path found no room, though there was room for
// so many bytes.
func (a *Account) Fail(path string, room int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetLocked(path)
	if len(a.failed) == failuresKept {
		a.failed = a.failed[1:]
	}
	a.failed = append(a.failed, failure{path, room, time.Now()})
}

// Failed tells whether a file of that path found no room lately, and there is no
// more room now.
func (a *Account) Failed(path string, room int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.failed {
		if f.path == path {
			return room <= f.room && time.Since(f.at) < failureLasts
		}
	}
	return false
}

// forgetLocked forgets what has become of a path.
func (a *Account) forgetLocked(path string) {
	for i, f := range a.failed {
		if f.path == path {
			a.failed = append(a.failed[:i:i], a.failed[i+1:]...)
			return
		}
	}
}

// Forget is for a path whose file found room after all.
func (a *Account) Forget(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetLocked(path)
}
