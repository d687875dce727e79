package history

import (
	"fmt"
	"sync"
	"time"

	"portreeve/logparse"
)

const (
	failureBurst = 1000        // failed logins that are written one by one,
	failureEvery = time.Minute // and one more for each of these
	foldedEvery  = 10 * time.Minute
)

// failures are the logins that failed. Who guesses passwords makes as many as he
// likes, from as many addresses, so that they have a share of their own, and push
// nothing else out of the queue or the file; what exceeds it is counted.
type failures struct {
	mu     sync.Mutex
	used   time.Duration // of failureBurst*failureEvery
	at     time.Time     // when used was so
	folded int64         // not written yet
	told   time.Time
}

// failed tells whether an entry is of their share.
func failed(e *logparse.Entry) bool {
	return e.Event == logparse.Login && e.Status == logparse.Failed
}

// admit tells whether a failed login is written, or counts it.
func (f *failures) admit(now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.at.IsZero() { // a clock that is set back gives nothing
		f.used = max(f.used-max(now.Sub(f.at), 0), 0)
	}
	f.at = now
	if f.used+failureEvery > failureBurst*failureEvery {
		f.folded++
		return false
	}
	f.used += failureEvery
	return true
}

// fold returns an entry for those that were counted, if it is time or the end.
func (f *failures) fold(now time.Time, end bool) (e logparse.Entry, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.folded == 0 || !end && now.Sub(f.told) < foldedEvery && !now.Before(f.told) {
		return e, false
	}
	e = logparse.Entry{Time: now, Event: logparse.Login, Status: logparse.Failed, Reason: fmt.Sprintf("%d more logins failed", f.folded)}
	f.folded, f.told = 0, now
	return e, true
}
