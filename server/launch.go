package server

import (
	"context"
	"errors"
	"time"

	registry "portreeve/server/session"
	"portreeve/server/vfs"
)

// How a session starts a transfer and answers for its end. All of this is its own
// goroutine's; see move and toil for the other side.

// begin starts a transfer; its replies come from the loop. What it needs has
// been checked: from here on the data connection is used up.
func (s *session) begin(ctx context.Context, t *transfer) (reply, error) {
	o := s.data
	if o == nil {
		if t.undo != nil {
			t.undo()
		}
		return say(425, "Use PASV, EPSV, PORT or EPRT first"), nil
	}
	s.data = nil
	if s.zipped {
		s.compress(t)
	}
	_, t.calls = o.(*active)
	t.shield = s.shield(o)
	t.draw = s.drawing(t.kind)
	if a := o.ready(); a != nil {
		if t.small != nil && !t.draw.Limited() && t.shield == nil && !s.encrypted() && s.atOnce(ctx, t, a) {
			return reply{}, nil
		}
		t.conn, _ = a.conn() // which it is for want of descriptors or memory only, and then open says so
	}
	work := s.launch(ctx, t)
	if t.conn != nil {
		s.announce(t)
	}
	go t.move(work, o, s)
	return reply{}, nil
}

// launch makes a transfer the one under way, and returns the context it works in.
func (s *session) launch(ctx context.Context, t *transfer) context.Context {
	limited, stop := context.WithTimeoutCause(ctx, s.cfg.MaxTransferTime, errTooLong)
	work, cancel := context.WithCancelCause(limited)
	t.cancel = func(why error) { cancel(why); stop() }
	t.opened, t.done = make(chan struct{}), make(chan result, 1)
	if t.kind == registry.Uploading {
		t.ask = make(chan chan struct{})
	}
	s.xfer = t
	s.entry.Begin(registry.Transfer{State: t.kind, Path: t.path, Offset: t.offset, Size: t.size,
		Abort: func() { t.cancel(errEnded) }})
	return work
}

// announce says 150, once, if there is a data connection that it is of.
func (s *session) announce(t *transfer) {
	if !t.said && t.accept.code != 0 {
		t.said = true
		s.reply(t.accept)
	}
}

// cut ends a transfer under way, if there is one. Its result still comes.
func (s *session) cut(why error) {
	if s.xfer != nil {
		s.xfer.cancel(why)
	}
}

// finish answers for a transfer that has ended.
func (s *session) finish(r result) {
	t := s.xfer
	s.xfer = nil
	t.cancel(nil)
	s.entry.End(r.err)
	if t.made != nil {
		s.data = t.made
	}
	select {
	case <-t.opened:
		s.announce(t)
	default:
	}
	s.settle(t, r)
}

// settle tells of a transfer's end, the log and the client.
func (s *session) settle(t *transfer, r result, before ...reply) {
	s.report(t, r)
	s.srv.counts.transfer(t.kind, &r)
	s.credit(t.kind, r.bytes)
	answer := r.reply
	switch {
	case errors.Is(r.err, vfs.ErrQuota):
		answer = s.overQuota(t.name, phrasef("Transfer aborted (quota)"))
	case r.err != nil && t.said:
		answer = afterStart(r.err)
	case r.err != nil:
		answer = replyFor(r.err)
	case t.kind == registry.Downloading || t.kind == registry.Uploading:
		answer = timed(answer, r.bytes, r.took)
	}
	s.tell(t, r, answer)
	if r.err == nil && t.name != "" {
		answer = s.withUsage(answer)
	}
	s.reply(append(before, answer)...)
	s.heard = time.Now()
	s.worked = s.heard
}

// report logs a transfer's end.
func (s *session) report(t *transfer, r result) {
	attrs := []any{"cmd", t.verb, "path", t.path, "bytes", r.bytes, "took", stretch(r.took)}
	if t.offset > 0 {
		attrs = append(attrs, "offset", t.offset)
	}
	e, never := errors.AsType[*noData](r.err)
	if !never {
		e, never = unprotected(r.err)
	}
	switch {
	case never:
		s.explain(e, "cmd", t.verb, "path", t.path)
	case r.err != nil:
		s.log.Info(transferFailed, append(attrs, "err", r.err)...)
	case t.kind == registry.Working:
		s.log.Info("job done", attrs...)
	case t.kind == registry.Listing:
		s.log.Debug("listed", attrs...)
	case r.unsigned:
		s.log.Warn(withoutTLSEnd, attrs...)
	case r.orphaned:
		s.log.Warn(leftAtOnce, attrs...)
	case t.kind == registry.Uploading:
		s.log.Info("uploaded", attrs...)
	default:
		s.log.Info("downloaded", attrs...)
	}
}
