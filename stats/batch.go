package stats

import (
	"slices"

	"portreeve/logparse"
)

// A seen is an entry whose names have numbers, the same for the same name.
type seen struct {
	user, host, network, file uint32
	at                        int64 // as Unix counts
	bytes                     int64
	took                      int64 // milliseconds
	offset                    int32 // of the zone's clocks, in seconds
	what                      what
}

// wall is what clocks of the zone show, as clocks at UTC would count it.
func (s *seen) wall() int64 { return s.at + int64(s.offset) }

// A batch is of entries that are counted together. What is known of a user lies in
// many places, each of which the processor has to wait for: it is fetched once for
// all that the user did in the batch, and while it works on others.
type batch struct {
	list  []seen
	users []uint32 // that are in it
	of    []turn   // by number of a user
	order []int32  // of list, user by user
}

// A turn is what a user did in a batch: so many, up to before end in order.
type turn struct{ n, end int32 }

// batchSize is how many entries are a batch: as many as a processor keeps near.
const batchSize = 16384

func (b *batch) full() bool { return len(b.list) == batchSize }

func (b *batch) add(s *seen) {
	b.list = append(b.list, *s)
}

// byUser orders the entries by users, of whom there are so many; those of each stay
// in order.
func (b *batch) byUser(users int) {
	if len(b.of) < users {
		b.of = append(b.of, make([]turn, users-len(b.of))...)
	}
	for i := range b.list {
		of := &b.of[b.list[i].user]
		if of.n == 0 {
			b.users = append(b.users, b.list[i].user)
		}
		of.n++
	}
	end := int32(0)
	for _, user := range b.users {
		b.of[user].end = end
		end += b.of[user].n
	}
	b.order = slices.Grow(b.order, len(b.list))[:len(b.list)]
	for i := range b.list {
		of := &b.of[b.list[i].user]
		b.order[of.end] = int32(i)
		of.end++
	}
}

func (b *batch) clear() {
	for _, user := range b.users {
		b.of[user] = turn{}
	}
	b.list, b.order, b.users = b.list[:0], b.order[:0], b.users[:0]
}

// unnamed are names that have no numbers yet: to find them the processor has to wait
// for memory, and waits for many at once.
type unnamed struct {
	list []wanted
	text []byte // of all
}

// A wanted is an entry's names, by their hashes and where they end.
type wanted struct{ user, host, file want }

type want struct {
	hash uint64
	end  int
}

// slack is how many names wait, and so for how many a table has to have room.
const slack = 64

func (u *unnamed) full() bool { return len(u.list) == slack }

// add adds an entry's.
func (u *unnamed) add(e *logparse.Entry, user, host, file *table) {
	var w wanted
	u.text = append(u.text, e.User...)
	w.user = want{user.hash(e.User), len(u.text)}
	u.text = append(u.text, e.Host...)
	w.host = want{host.hash(e.Host), len(u.text)}
	u.text = append(u.text, e.Path...)
	w.file = want{file.hash(e.Path), len(u.text)}
	u.list = append(u.list, w)
}

func (u *unnamed) clear() { u.list, u.text = u.list[:0], u.text[:0] }
