package vfs

import (
	"os"
	"sync"
)

// Roots lets those whose root is the same directory share its descriptor: a
// thousand sessions of one account then hold one and not a thousand. It may be
// used by several goroutines at once; the zero value is ready.
type Roots struct {
	mu   sync.Mutex // guards the field that follows, and refs of what is in it
	open map[string]*sharedRoot

	making sync.Mutex // held by MakeHome, so that two logins do not meet half a home
}

// A sharedRoot is closed with the last who has it.
type sharedRoot struct {
	root
	all  *Roots
	host string
	is   Info
	refs int
}

// get opens the host directory host as a root, or finds it open. A directory that
// has since been put in its place is another one.
func (r *Roots) get(host string, openRoot func(host string) (root, error)) (root, error) {
	now, err := os.Stat(host)
	if err != nil {
		return nil, cause(err)
	}
	var is Info // what it is now
	is.fill(now)
	if s := r.find(host, &is); s != nil {
		return s, nil
	}
	opened, err := openRoot(host) // without the lock: a disk that hangs holds up nobody else
	if err == nil {
		if err = opened.stat("/", &is); err != nil {
			opened.close()
		}
	}
	if err != nil {
		return nil, err
	}
	return r.add(&sharedRoot{root: opened, all: r, host: host, is: is, refs: 1}), nil
}

// find takes a share of the directory host, if it is open.
func (r *Roots) find(host string, is *Info) *sharedRoot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.open[host]
	if s == nil || s.is.Dev != is.Dev || s.is.Ino != is.Ino || is.Ino == 0 {
		return nil
	}
	s.refs++
	return s
}

// add lets others have a share of s. Who has what was open there before closes it.
func (r *Roots) add(s *sharedRoot) *sharedRoot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[string]*sharedRoot)
	}
	r.open[s.host] = s
	return s
}

func (s *sharedRoot) close() error {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	}
	if s.all.open[s.host] == s {
		delete(s.all.open, s.host)
	}
	return s.root.close()
}
