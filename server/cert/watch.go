package cert

import (
	"io/fs"
	"os"
	"strings"
	"time"
)

// pollTime is how often the files are looked at: two system calls each, which is
// cheaper to have everywhere than notification is.
const pollTime = 5 * time.Second

// A stamp is what tells a file that was changed or replaced from what it was.
// Files that cannot be looked at have the zero stamp.
type stamp [2]fileStamp

type fileStamp struct {
	changed time.Time
	size    int64
	mode    fs.FileMode
}

func stampOf(p Pair) stamp {
	var st stamp
	for i, name := range []string{p.Cert, p.keyFile()} {
		if info, err := os.Stat(name); err == nil {
			st[i] = fileStamp{info.ModTime(), info.Size(), info.Mode()}
		}
	}
	return st
}

// read takes what is in the files now, or says why it cannot be shown, and keeps
// what was there before.
func (e *entry) read() error {
	// The stamp comes first: what changes while the files are read is seen later.
	e.stamp = stampOf(e.pair)
	e.seen = e.stamp
	c, err := load(e.pair)
	e.err = err
	if err == nil {
		e.cert, e.stage = c, 0
	}
	return err
}

// poll reads the files that have changed and then kept still: whoever replaces a
// certificate and its key replaces one after the other. A fault is told once.
func (s *Store) poll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := false
	for _, e := range s.entries {
		now := stampOf(e.pair)
		still := now == e.seen
		e.seen = now
		if now == e.stamp || !still {
			continue
		}
		if err := e.read(); err != nil {
			if e.renewal != nil && e.cert == nil {
				continue // it is being obtained anyway
			}
			s.log.Error("certificate changed and cannot be used; the old one is kept", "file", e.pair.String(), "err", err)
			continue
		}
		s.welcome(e)
		changed = true
		if e.renewal != nil { // another server with the same folder was first
			e.plan(time.Now())
			s.nudge()
		}
	}
	if changed {
		s.publish()
	}
	s.remind(time.Now())
}

// reminders are when the end of a certificate is told, before it comes.
var reminders = [...]time.Duration{30 * day, 7 * day, day, 0}

const day = 24 * time.Hour

// remind tells of certificates that end soon: each time once.
func (s *Store) remind(now time.Time) {
	for _, e := range s.entries {
		if e.cert == nil {
			continue
		}
		leaf := e.cert.leaf()
		stage := 0
		for i, before := range reminders {
			// What renews itself is late only when half of its time for that is over.
			late := e.renewal == nil || before <= lifetime(e.cert)/6
			if late && leaf.NotAfter.Sub(now) <= before {
				stage = i + 1
			}
		}
		if stage <= e.stage {
			continue
		}
		e.stage = stage
		args := []any{"names", strings.Join(e.cert.names(), " "), "file", e.pair.String(), "expires", leaf.NotAfter}
		switch reminders[stage-1] {
		case 0:
			s.log.Error("certificate has expired: clients will refuse it", args...)
		case day:
			s.log.Error("certificate expires within a day", args...)
		default:
			s.log.Warn("certificate expires soon", append(args, "days", int(leaf.NotAfter.Sub(now)/day))...)
		}
	}
}
