package stats

// An attempt is what is tried again.
type attempt struct{ user, host, file uint32 }

// attempt finds out whether an incomplete transfer is tried again.
func (w *watcher) attempt(s *seen) {
	if s.what&deletion != 0 {
		return
	}
	key := attempt{s.user, s.host, s.file}
	w.again(key, s)
	if s.what&whole != 0 {
		return
	}
	w.wasted += s.bytes
	if w.failed == nil {
		w.failed = make(map[attempt]int64)
	}
	if len(w.failed) >= max(w.crowded, fewFailed) {
		w.forgetLate(s.at)
	}
	if len(w.failed) >= maxFailed {
		w.forgetFailed(s.at)
	}
	w.failed[key] = s.at
}

// forgetLate forgets attempts that nobody can try again in time, also on lines that
// are late. The table is looked at for each transfer, and is to stay small for that.
func (w *watcher) forgetLate(now int64) {
	for k, at := range w.failed {
		if at < now-2*tenMinutes {
			delete(w.failed, k)
		}
	}
	w.crowded = min(2*len(w.failed), maxFailed)
}

// again counts an attempt after one that failed.
func (w *watcher) again(key attempt, s *seen) {
	if len(w.failed) == 0 {
		return
	}
	at, ok := w.failed[key]
	if !ok {
		return
	}
	delete(w.failed, key)
	if s.at-at > tenMinutes {
		return
	}
	w.retried++
	if s.what&whole != 0 {
		w.mended++
	}
}

// forgetFailed makes room: it leaves those that may still be tried again, and
// nothing if these are too many, since looking through them takes time.
func (w *watcher) forgetFailed(now int64) {
	for k, at := range w.failed {
		if at < now-tenMinutes {
			delete(w.failed, k)
		}
	}
	if len(w.failed) > maxFailed/2 {
		w.lost += int64(len(w.failed))
		clear(w.failed)
	}
}

// mergeFailed adds what a watcher saw afterwards.
func (w *watcher) mergeFailed(later *watcher) {
	if w.failed == nil {
		w.failed = make(map[attempt]int64)
	}
	for key, at := range later.failed {
		w.failed[key] = at
	}
	if len(w.failed) >= maxFailed {
		w.forgetFailed(later.latest)
	}
	w.retried += later.retried
	w.mended += later.mended
	w.wasted += later.wasted
}
