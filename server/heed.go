package server

import (
	"context"
	"errors"
	"os"
	"time"
)

// moment is how long the rest of a record may take whose beginning is here.
const moment = 5 * time.Millisecond

// catchUp hears what the client has said by now, for a transfer that wants to
// know before it ends: nobody else can tell what the reader has taken already, or
// what is behind TLS. It waits for nothing more, and does not let a client that
// never stops keep it for ever. The reader, if there is one, has been called back and is started again.
func (s *session) catchUp(ctx context.Context, lines chan line) (end error) {
	if lines != nil {
		s.wake()
		end = s.heed(ctx, <-lines)
	}
	for n := 0; n < queueLines && !s.deaf && ctx.Err() == nil; n++ {
		limit := past // what has been decrypted is to be had nevertheless
		if said, _ := peek(s.conn, 0); len(said) > 0 {
			limit = time.Now().Add(moment)
		}
		s.conn.SetReadDeadline(limit)
		var l line
		l.text, l.answer, l.err = s.in.read()
		if errors.Is(l.err, os.ErrDeadlineExceeded) {
			break
		}
		if err := s.heed(ctx, l); end == nil {
			end = err
		}
	}
	if lines != nil && !s.deaf {
		s.read(lines)
	}
	return end
}

// heed takes a line that came while a file moves. Where the session ends by it,
// so does the transfer, unless its client has taken leave properly.
func (s *session) heed(ctx context.Context, l line) error {
	t := s.xfer
	err := s.received(ctx, l)
	if s.deaf && t.leave.Load() {
		return nil
	}
	if err != nil {
		s.lost(t)
	}
	return err
}

// hear has the session do that, and returns when it is done.
func (f *flow) hear() {
	if f.ask == nil {
		return
	}
	done := make(chan struct{})
	select {
	case f.ask <- done:
		<-done
	case <-f.ctx.Done():
	}
}
