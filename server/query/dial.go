package query

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// A Dialer connects to a socket on which a program answers. One that starts anew is
// waited for, a little; one that stays away is looked for but once by each question.
type Dialer struct {
	socket string
	down   atomic.Int64 // until when to expect nobody there, as UnixNano
}

const (
	firstWait = 20 * time.Millisecond
	lastWait  = 640 * time.Millisecond
	downTime  = 5 * time.Second
)

// NewDialer returns one for the socket of that path.
func NewDialer(socket string) *Dialer { return &Dialer{socket: socket} }

// Dial connects.
func (d *Dialer) Dial(ctx context.Context) (net.Conn, error) {
	patient := time.Now().UnixNano() > d.down.Load()
	for wait := firstWait; ; wait *= 2 {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", d.socket)
		switch {
		case err == nil:
			d.down.Store(0)
			return conn, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !patient || wait > lastWait:
			if patient {
				d.down.Store(time.Now().Add(downTime).UnixNano())
			}
			return nil, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
