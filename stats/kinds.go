package stats

import (
	"strings"

	"portreeve/logparse"
)

// hours are sums by hours of the zone's clocks.
type hours struct {
	number map[int64]int
	cells  []cell
	last   int64
	at0    int // where the last is
	other  cell
	folded int64
}

// maxHours is how many are kept: 57 years.
const maxHours = 500_000

func (h *hours) at(number int64) *cell {
	if number == h.last && len(h.cells) > 0 && h.at0 >= 0 {
		return &h.cells[h.at0]
	}
	i, ok := h.number[number]
	if !ok {
		if len(h.cells) >= maxHours {
			h.folded++
			return &h.other
		}
		if h.number == nil {
			h.number = make(map[int64]int)
		}
		i = len(h.cells)
		h.cells = append(h.cells, cell{})
		h.number[number] = i
	}
	h.last, h.at0 = number, i
	return &h.cells[i]
}

// A kind is what entries have in common beyond names and times.
type kind struct {
	event                        logparse.Event
	direction                    logparse.Direction
	status                       logparse.Status
	mode                         byte
	ascii                        bool
	service, tls, client, reason string
}

func kindOf(e *logparse.Entry) kind {
	return kind{e.Event, e.Direction, e.Status, e.Xfer.Mode, e.Xfer.ASCII, e.Xfer.Service, e.TLS, e.Client, e.Reason}
}

// entry is one of that kind.
func (k *kind) entry() logparse.Entry {
	return logparse.Entry{Event: k.event, Direction: k.direction, Status: k.status, TLS: k.tls, Client: k.client, Reason: k.reason,
		Xfer: logparse.Xfer{Mode: k.mode, ASCII: k.ascii, Service: k.service}}
}

// kinds are sums by kind.
type kinds struct {
	number map[kind]int
	list   []kind
	cells  []cell
	usual  [32]usual
	other  cell
	folded int64
}

// maxKinds is how many are kept. Software at the other end can call itself
// anything.
const maxKinds = 20_000

// A usual kind is one of the first that were met, which is found without a hash.
type usual struct {
	code uint64 // of it; 0 is none
	at   int    // in list
}

// code is all of a kind but its texts.
func code(e *logparse.Entry) uint64 {
	n := 1<<40 | uint64(e.Event)<<32 | uint64(e.Direction)<<24 | uint64(e.Status)<<16 | uint64(e.Xfer.Mode)<<8
	if e.Xfer.ASCII {
		n |= 1
	}
	return n
}

// says tells whether an entry has these texts.
func (k *kind) says(e *logparse.Entry) bool {
	return k.service == e.Xfer.Service && k.tls == e.TLS && k.client == e.Client && k.reason == e.Reason
}

func (k *kinds) at(e *logparse.Entry) *cell {
	is := code(e)
	for i := range k.usual {
		u := &k.usual[i]
		if u.code == is && k.list[u.at].says(e) {
			return &k.cells[u.at]
		}
		if u.code == 0 {
			c := k.of(e)
			if at, ok := k.number[kindOf(e)]; ok {
				*u = usual{is, at}
			}
			return c
		}
	}
	return k.of(e)
}

// of finds any kind.
func (k *kinds) of(e *logparse.Entry) *cell {
	is := kindOf(e)
	i, ok := k.number[is]
	if !ok {
		if len(k.list) >= maxKinds {
			k.folded++
			return &k.other
		}
		if k.number == nil {
			k.number = make(map[kind]int)
		}
		is.service, is.tls, is.client, is.reason = strings.Clone(is.service), strings.Clone(is.tls), strings.Clone(is.client), strings.Clone(is.reason)
		i = len(k.list)
		k.list, k.cells = append(k.list, is), append(k.cells, cell{})
		k.number[is] = i
	}
	return &k.cells[i]
}
