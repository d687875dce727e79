package server

import (
	"errors"
	"time"

	"portreeve/server/auth"
	registry "portreeve/server/session"
)

// Why the server ends a session, beside a transfer's own reasons.
var (
	errShutdown      = errors.New("server is stopping")
	errIdle          = errors.New("idle for too long")
	errLoginTimeout  = errors.New("no login in time")
	errTooManyErrors = errors.New("too many refused commands")
)

// farewells are the last words to a client, by the reason of the parting. To
// one that is gone, or has had its reply, nothing is said.
var farewells = []struct {
	why  error
	text string
}{
	{errShutdown, "Server is shutting down"},
	{errIdle, "Timeout: no command for too long"},
	{errLoginTimeout, "Timeout: no login in time"},
	{errTooManyErrors, "Too many refused commands"},
	{errQueue, "Too many commands during a transfer"},
	{errFlood, "Command line too long"},
	{auth.ErrHours, "Outside the hours of this account"},
	{auth.ErrTLS, "TLS is required for this account: AUTH TLS first"},
	{errRevoked, "This account may no longer be used"},
}

// leave says goodbye and closes.
func (s *session) leave(why error) error {
	if s.xfer != nil { // what it uses is not given up under it
		s.cut(errLost)
		s.finish(<-s.xfer.done)
	}
	s.bye = true
	for _, f := range farewells {
		if errors.Is(why, f.why) {
			s.reply(say(421, f.text))
			break
		}
	}
	if k, ok := errors.AsType[registry.Kicked](why); ok {
		if k.Message == "" {
			s.reply(say(421, "Session ended by the operator"))
		} else {
			s.reply(sayf(421, "Session ended by the operator: %s", k.Message))
		}
	}
	return why
}

// farewell logs the end of a session, and sees its client off.
func (s *session) farewell() {
	s.endTLS()
	info := s.entry.Info()
	s.log.Info("disconnected", "why", s.why, "took", time.Since(info.Started).Round(time.Millisecond),
		"up", info.TotalUp, "down", info.TotalDown)
	s.left(info.User, s.why)
	switch {
	case s.leaving.Load(): // whoever ended it does not want to wait
		farewell(s.conn, conclusion)
	case !s.deaf:
		farewell(s.conn, lingerTime)
	}
}
