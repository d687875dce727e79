package session

import (
	"cmp"
	"maps"
	"slices"
)

// A Bound is how a protected data connection showed whose it is.
type Bound int

const (
	Unbound      Bound = iota // it resumed nothing
	BoundUser                 // it resumed another session of the same user from the same address
	BoundSession              // it resumed the session of its own control connection
)

// Software counts the protected data connections of one kind of client, by how
// they showed whose they are: what would fail if more were demanded.
type Software struct {
	Client      string `json:"client"`       // as it calls itself
	SameSession int64  `json:"same_session"` // would do under TLSDataBinding strict
	SameUser    int64  `json:"same_user"`    // would do under user, and fail under strict
	Unbound     int64  `json:"unbound"`      // would fail under both
}

// mostSoftware bounds what clients can make up names for.
const (
	mostSoftware  = 64
	otherSoftware = "others"
)

// CountBound notes a protected data connection of that client.
func (r *Registry) CountBound(client string, b Bound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.software[client]
	if s == nil && len(r.software) >= mostSoftware {
		client = otherSoftware
		s = r.software[client]
	}
	if s == nil {
		s = &Software{Client: client}
		if r.software == nil {
			r.software = make(map[string]*Software)
		}
		r.software[client] = s
	}
	switch b {
	case BoundSession:
		s.SameSession++
	case BoundUser:
		s.SameUser++
	default:
		s.Unbound++
	}
}

// Software returns the counts of CountBound, those that would fail first.
func (r *Registry) Software() []Software {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Software
	for s := range maps.Values(r.software) {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Software) int {
		return cmp.Or(cmp.Compare(b.Unbound, a.Unbound), cmp.Compare(b.SameUser, a.SameUser), cmp.Compare(a.Client, b.Client))
	})
	return all
}
