package stats

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"portreeve/logparse"
)

// FuzzLoadRules gives what rules, logins and sessions keep bytes of any kind, and
// goes on from what they take.
func FuzzLoadRules(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 6))
	list := randomSeen(r, 0)
	entries := append(randomLogins(r), randomSessions(r)...)
	fill := func(w *watcher, l *logins, s *sessions) {
		for i := range list {
			w.show(&list[i])
		}
		for i := range entries {
			if entries[i].Event == logparse.Login {
				l.add(&entries[i], entries[i].Time.Unix())
			}
			s.add(&entries[i])
		}
	}
	write := func(w *watcher, l *logins, s *sessions) []byte {
		var to bytes.Buffer
		e := &encoder{to: &to}
		w.write(e)
		l.write(e)
		s.write(e)
		e.flush()
		return to.Bytes()
	}
	w, l, s := new(watcher), newLogins(), new(sessions)
	fill(w, &l, s)
	f.Add(write(w, &l, s))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, state []byte) {
		w, l, s := new(watcher), newLogins(), new(sessions)
		d := decoder{rest: state}
		w.load(&d)
		l.load(&d)
		s.load(&d)
		if d.err != nil {
			return
		}
		again := write(w, &l, s)
		d = decoder{rest: again}
		w2, l2, s2 := new(watcher), newLogins(), new(sessions)
		w2.load(&d)
		l2.load(&d)
		s2.load(&d)
		if d.err != nil {
			t.Fatalf("what was written is refused: %v", d.err)
		}
		w.merge(w2, renumbering{users: []uint32{1, 0}, networks: []uint32{2, dropped, 0}})
		l.merge(&l2)
		s.merge(s2)
		fill(w, &l, s)
	})
}
