package stats

import "slices"

// held is how much of windows is kept of a user.
func (u *watched) held() int { return len(u.loads) + len(u.deletes) + len(u.places) + len(u.failed) }

// deleted looks at how many deletes there are within ten minutes.
func (w *watcher) deleted(u *watched, s *seen) {
	if n := len(u.deletes); n > 0 && s.at < u.deletes[n-1]-tenMinutes {
		w.held -= n
		u.deletes = u.deletes[:0] // a clock was put back
	}
	at := len(u.deletes)
	for at > 0 && u.deletes[at-1] > s.at {
		at--
	}
	u.deletes = slices.Insert(u.deletes, at, s.at)
	w.held++
	newest := u.deletes[len(u.deletes)-1]
	old := max(len(u.deletes)-maxWindow, 0)
	for u.deletes[old] <= newest-tenMinutes {
		old++
	}
	if old > 0 {
		u.deletes = u.deletes[:copy(u.deletes, u.deletes[old:])]
		w.held -= old
	}
	if n := int64(len(u.deletes)); n >= deleteRunLeast {
		w.reached(ruleDeletes, s, n)
	}
}

// downloaded looks at how many files are downloaded within ten minutes.
func (w *watcher) downloaded(u *watched, s *seen) {
	if n := len(u.loads); n-int(u.gone) >= halfLeast && slotOf(s.at) > slotOf(u.loads[n-1].at) {
		w.judge(s.user, u)
	}
	if n := len(u.loads); n > 0 && s.at < u.loads[n-1].at-tenMinutes {
		w.judge(s.user, u)
		w.held -= n
		u.loads, u.gone, u.files = u.loads[:0], 0, nil // a clock was put back
	}
	at := len(u.loads)
	for at > int(u.gone) && u.loads[at-1].at > s.at {
		at--
	}
	u.loads = slices.Insert(u.loads, at, load{s.at, s.file})
	w.held++
	if u.files != nil {
		u.files[s.file]++
	}
	newest := u.loads[len(u.loads)-1].at
	for u.loads[u.gone].at <= newest-tenMinutes || len(u.loads)-int(u.gone) > maxWindow {
		u.forget(u.loads[u.gone].file)
		u.gone++
	}
	if u.gone > 64 && int(u.gone) > len(u.loads)/2 || int(u.gone) == len(u.loads)-1 { // not for each
		u.loads = u.loads[:copy(u.loads, u.loads[u.gone:])]
		w.held -= int(u.gone)
		u.gone = 0
	}
	switch n := len(u.loads) - int(u.gone); {
	case n <= sweepMost/2:
		u.files = nil
		return
	case n <= sweepMost:
		return
	}
	if u.files == nil {
		u.files = make(map[uint32]int32)
		for _, l := range u.loads[u.gone:] {
			u.files[l.file]++
		}
	}
	if n := int64(len(u.files)); n > sweepMost {
		w.reached(ruleSweep, s, n)
	}
}

// forget takes a file out of those that are counted.
func (u *watched) forget(file uint32) {
	switch u.files[file] {
	case 0:
	case 1:
		delete(u.files, file)
	default:
		u.files[file]--
	}
}

// place looks at how many networks there are within an hour.
func (w *watcher) place(u *watched, s *seen) {
	last := len(u.places) - 1
	if last >= 0 && s.at < u.places[last].at-hourLong {
		w.held -= len(u.places)
		u.places, last = u.places[:0], -1 // a clock was put back
	}
	if last >= 0 && u.places[last].network == s.network {
		u.places[last].at = max(u.places[last].at, s.at)
		return
	}
	newest := s.at
	if last >= 0 {
		newest = max(newest, u.places[last].at)
	}
	at := s.at // the place is last, and so its time has to be
	w.held -= len(u.places)
	u.places = slices.DeleteFunc(u.places, func(p place) bool {
		if p.network == s.network {
			at = max(at, p.at)
			return true
		}
		return p.at <= newest-hourLong
	})
	if len(u.places) == maxPlaces {
		u.places = slices.Delete(u.places, 0, 1)
	}
	u.places = append(u.places, place{max(at, newest), s.network})
	w.held += len(u.places)
	if n := int64(len(u.places)); n >= hostsLeast {
		w.reached(ruleHosts, s, n)
	}
}

// release forgets what is in no window any more, of all users, and everything if
// that is too little: who has a million names must not fill the memory with them.
func (w *watcher) release(now int64) {
	held := 0
	for i := range w.users {
		u := &w.users[i]
		w.judge(uint32(i), u)
		if n := len(u.loads); n > 0 && u.loads[n-1].at <= now-tenMinutes {
			u.loads, u.gone, u.files = nil, 0, nil
		}
		if n := len(u.deletes); n > 0 && u.deletes[n-1] <= now-tenMinutes {
			u.deletes = nil
		}
		if n := len(u.places); n > 0 && u.places[n-1].at <= now-hourLong {
			u.places = nil
		}
		u.failed = slices.DeleteFunc(u.failed, func(a attempt) bool { return a.at < now-tenMinutes })
		held += u.held()
	}
	if w.held = held; held <= maxHeld/2 {
		return
	}
	w.lost += int64(held)
	w.held = 0
	for i := range w.users {
		u := &w.users[i]
		u.loads, u.gone, u.files, u.deletes, u.places, u.failed = nil, 0, nil, nil, nil, nil
	}
}
