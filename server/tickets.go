package server

import (
	"crypto/rand"
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A token names a control connection inside its session tickets, so that a data
// connection which resumes one shows whose it is. A ticket is sealed: nobody but
// this server can read or make one.
type token [16]byte

// ticketMark goes before the token among what a ticket may carry.
const ticketMark = "portreeve:"

const (
	ticketKeyLife = 24 * time.Hour
	ticketKeys    = 8 // the one in use, and those of the tickets that may still be good
)

// tickets seals and opens session tickets, and knows whose they are. All
// connections share its keys.
type tickets struct {
	// mu guards the fields that follow.
	mu     sync.Mutex
	sealer *tls.Config // holds the keys
	keys   [][32]byte  // the newest first
	turned time.Time   // when that was made
	live   map[token]owner
}

// An owner is whose a control connection is. Virtual hosts may have users of one
// name who are not the same.
type owner struct {
	user string // "" before login
	host string // virtual
	addr netip.Addr
}

func newTickets() *tickets {
	return &tickets{sealer: new(tls.Config), live: make(map[token]owner)}
}

// keyed returns what holds the keys, with a new one if it is time.
func (k *tickets) keyed() *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); len(k.keys) == 0 || now.Sub(k.turned) >= ticketKeyLife {
		var key [32]byte
		rand.Read(key[:])
		k.keys = slices.Insert(k.keys, 0, key)
		k.keys = k.keys[:min(len(k.keys), ticketKeys)]
		k.turned = now
		k.sealer.SetSessionTicketKeys(k.keys)
	}
	return k.sealer
}

// wrap makes tickets that carry the token.
func (k *tickets) wrap(t token) func(tls.ConnectionState, *tls.SessionState) ([]byte, error) {
	return func(cs tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		state.Extra = [][]byte{append([]byte(ticketMark), t[:]...)}
		return k.keyed().EncryptTicket(cs, state)
	}
}

// open returns what a ticket holds and whose it is; nil if it is none of ours.
func (k *tickets) open(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, token) {
	state, err := k.keyed().DecryptTicket(ticket, cs)
	if err != nil || state == nil || len(state.Extra) != 1 {
		return nil, token{}
	}
	mark := state.Extra[0]
	if len(mark) != len(ticketMark)+len(token{}) || string(mark[:len(ticketMark)]) != ticketMark {
		return nil, token{}
	}
	return state, token(mark[len(ticketMark):])
}

// enter, own and leave keep track of who is behind a token.
func (k *tickets) enter(t token, addr netip.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.live[t] = owner{addr: addr}
}

func (k *tickets) own(t token, user, host string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o, ok := k.live[t]; ok {
		o.user, o.host = user, host
		k.live[t] = o
	}
}

func (k *tickets) leave(t token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.live, t)
}

// same tells whether two tokens are of one user, who is logged in at both, from
// one address.
func (k *tickets) same(a, b token) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	first, ok := k.live[a]
	return ok && first.user != "" && first == k.live[b]
}

// handshakes counts those under way, by where they come from: each holds memory and
// a goroutine, before anybody has said who it is.
type handshakes struct {
	mu    sync.Mutex // guards hosts
	hosts map[netip.Prefix]int
}

// enter counts one, which leave ends, unless there are too many.
func (h *handshakes) enter(addr netip.Addr) (leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	host := origin(addr)
	if h.hosts[host] >= handshakesPerHost {
		return nil, false
	}
	if h.hosts == nil {
		h.hosts = make(map[netip.Prefix]int)
	}
	h.hosts[host]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.hosts[host]--; h.hosts[host] == 0 {
			delete(h.hosts, host)
		}
	}, true
}
