package server

import "time"

// soon is how long a session waits for its next line in the kernel, before it
// leaves that to the runtime's poller.
const soon = 200 * time.Microsecond

// linger waits a moment for the next line where this session alone is busy. The
// thread then sleeps in the kernel and is woken by it, as a process of its own
// would be, which takes a third of the time that the poller and the scheduler
// need. Beside others their work comes first: a thread that waits would hold up
// theirs.
//
// It is for sessions that move files: it takes more stack, which stays, than one
// that logs in and idles would ever need.
//
//go:noinline
func (s *session) linger() {
	if s.alone() && s.moves && s.in.empty() && s.tls == nil {
		awaitInput(s.conn, soon)
	}
}

// alone tells whether no other session waited for a line since this one last did.
func (s *session) alone() bool {
	last := s.turn
	s.turn = s.srv.turns.Add(1)
	return s.turn == last+1
}
