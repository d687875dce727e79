package stats

import "slices"

// An attempt is an incomplete transfer of a user that may be tried again.
type attempt struct {
	host, file uint32
	at         int64
}

// attempt finds out whether a transfer is another try, and notes it if there may be
// one more.
func (w *watcher) attempt(u *watched, s *seen) {
	w.again(u, s)
	if s.what&whole != 0 {
		return
	}
	w.wasted += s.bytes
	before := len(u.failed)
	if before > 0 { // an hour late is as late as lines are
		u.failed = slices.DeleteFunc(u.failed, func(a attempt) bool { return a.at < s.at-hourLong })
	}
	if len(u.failed) == maxFailed {
		u.failed = slices.Delete(u.failed, 0, 1)
		w.lost++
	}
	u.failed = append(u.failed, attempt{s.host, s.file, s.at})
	u.failedAt = max(u.failedAt, s.at)
	w.held += len(u.failed) - before
}

// again counts an attempt after one that failed.
func (w *watcher) again(u *watched, s *seen) {
	if len(u.failed) == 0 || s.at-u.failedAt > tenMinutes {
		return // the usual case
	}
	i := len(u.failed) - 1 // one from before may be there still
	for i >= 0 && (u.failed[i].host != s.host || u.failed[i].file != s.file) {
		i--
	}
	if i < 0 {
		return
	}
	at := u.failed[i].at
	u.failed = slices.Delete(u.failed, i, i+1)
	w.held--
	if s.at-at > tenMinutes {
		return
	}
	w.retried++
	if s.what&whole != 0 {
		w.mended++
	}
}
