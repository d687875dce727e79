package userdb

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Changes and undos at random do what a model of them does, whichever way they are
// written.
func TestTrailAgainstModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := trailModel{t: t, db: testDB(t), r: rand.New(rand.NewPCG(seed, 1)), users: make(map[string]User)}
			for range 150 {
				w.step()
			}
		})
	}
}

// A trailModel keeps all states that there were.
type trailModel struct {
	t      *testing.T
	db     DB
	r      *rand.Rand
	users  map[string]User
	before []map[string]User // before each change
}

func (w *trailModel) step() {
	next := maps.Clone(w.users)
	name := editable(w.r.IntN(6)).Name
	u, exists := next[name]
	var do func() error
	switch n := w.r.IntN(10); {
	case n < 3 && len(w.before) > 0:
		w.undo()
		return
	case n == 3:
		next, do = w.many(next)
	case !exists:
		u = w.edited(editable(int(name[len(name)-1] - '0')))
		next[name] = u
		do = func() error { return w.db.Add(u) }
	case n == 4:
		delete(next, name)
		do = func() error { return w.db.Remove(name) }
	default:
		u = w.edited(u)
		next[name] = u
		do = func() error {
			return w.db.Modify(name, func(old *User) error { u.Created = old.Created; *old = u; return nil })
		}
	}
	if reflect.DeepEqual(next, w.users) {
		return
	}
	must(w.t, do())
	w.became(next)
}

// many changes all users at once.
func (w *trailModel) many(next map[string]User) (map[string]User, func() error) {
	e := w.db.Edits()
	for i := range 6 {
		name := editable(i).Name
		found, err := e.Read([]string{name})
		must(w.t, err)
		if w.r.IntN(3) == 0 {
			e.Remove(name, found[0])
			delete(next, name)
			continue
		}
		u := editable(i)
		if found[0].Exists() {
			u = next[name]
		}
		next[name] = w.edited(u)
		must(w.t, e.Put(found[0], next[name]))
	}
	return next, func() error { return e.Commit(nil) }
}

// edited gives a user another value of some attributes.
func (w *trailModel) edited(u User) User {
	for _, set := range []func(){
		func() { u.Gecos = strings.Repeat("- + ~", w.r.IntN(3)) },
		func() { u.Password = []string{"", oldHash, newHash}[w.r.IntN(3)] },
		func() { u.QuotaBytes = []Limit{{}, LimitOf(0), LimitOf(5)}[w.r.IntN(3)] },
		func() { u.Caged = !u.Caged },
		func() { u.AllowClient, _ = ParsePatterns([]string{"", "10.0.0.0/8,::1"}[w.r.IntN(2)]) },
		func() { u.Perms = Perms(w.r.IntN(int(AllPerms) + 1)) },
		func() { u.TLS = TLS(w.r.IntN(3)) },
	} {
		if w.r.IntN(3) == 0 {
			set()
		}
	}
	u.normal()
	return u
}

// undo takes a change back. The latest one comes to what was before it; an earlier
// one may be refused, and changes nothing then.
func (w *trailModel) undo() {
	number := uint64(0)
	if w.r.IntN(2) == 0 {
		number = 1 + uint64(w.r.IntN(len(w.before)))
	}
	e, c, err := w.db.Undo(number)
	later, isLater := errors.AsType[*LaterError](err)
	switch {
	case isLater && number != 0 && later.By > number:
	case err != nil:
		w.t.Fatalf("undoing change %d of %d: %v", number, len(w.before), err)
	default:
		must(w.t, e.Commit(nil))
		next := w.now()
		if c.Number == uint64(len(w.before)) && !w.same(next, w.before[len(w.before)-1]) {
			w.t.Fatalf("change %d undone comes to %+v and not to %+v", c.Number, next, w.before[len(w.before)-1])
		}
		w.became(next)
		return
	}
	w.became(w.users)
	w.before = w.before[:len(w.before)-1]
}

func (w *trailModel) now() map[string]User {
	all := make(map[string]User)
	for u, err := range w.db.All() {
		must(w.t, err)
		all[u.Name] = u
	}
	return all
}

func (w *trailModel) same(a, b map[string]User) bool {
	return maps.EqualFunc(a, b, func(a, b User) bool {
		a.Created, a.Changed, b.Created, b.Changed = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		a.Perms, b.Perms = a.Perms&AllPerms, b.Perms&AllPerms
		return reflect.DeepEqual(a, b)
	})
}

// became checks that the users are those, by a change with the next number.
func (w *trailModel) became(next map[string]User) {
	w.t.Helper()
	if now := w.now(); !w.same(now, next) {
		w.t.Fatalf("the users are %+v and not %+v", now, next)
	}
	w.before, w.users = append(w.before, w.users), next
	list, err := w.db.History(Wanted{Most: 1})
	must(w.t, err)
	if len(list) != 1 || list[0].Number > uint64(len(w.before)) {
		w.t.Fatalf("there are %d changes, and the trail says %+v", len(w.before), list)
	}
}
