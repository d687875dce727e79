package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"portreeve/puredb"
	"portreeve/server/extauth"
	"portreeve/server/query"
	"portreeve/userdb"
)

// external is the back-end of a program behind a socket. Nothing that it says is
// remembered, and as long as it cannot be asked nobody gets past it: a back-end
// after it might grant what it would have refused.
type external struct {
	socket  string
	hashing *hashing
	slots   chan struct{} // one for each question under way
	program *query.Dialer
}

const (
	// externalMost bounds the questions that are asked at a time.
	externalMost = 16
	// externalTime is how long an answer may take. pure-authd answers one after
	// the other, so that the last of a crowd waits for all.
	externalTime = 30 * time.Second
)

func newExternal(with shared, socket string) (Backend, error) {
	if socket == "" {
		return nil, errors.New("it needs the path of a socket")
	}
	return &external{socket: socket, program: query.NewDialer(socket), hashing: with.hashing, slots: make(chan struct{}, externalMost)}, nil
}

// Login asks, and takes as long for a refusal as other back-ends, and the program
// besides.
func (b *external) Login(ctx context.Context, a Attempt) (Account, error) {
	switch {
	case a.Certified: // about which it cannot be asked
		return Account{}, denied(ErrPassword)
	case userdb.ValidName(a.Name) != nil:
		return Account{}, ErrUnknown
	}
	reply, err := b.ask(ctx, a)
	var account Account
	switch {
	case errors.Is(err, extauth.ErrReply):
	case err != nil:
		return Account{}, fmt.Errorf("asking %s: %w", b.socket, err)
	case reply.Verdict == extauth.Unknown:
		return Account{}, ErrUnknown
	case reply.Verdict == extauth.Granted:
		account, err = open(a.Name, reply)
	default:
		err = errors.New("it refuses")
	}
	if err == nil {
		return account, nil
	}
	if err := b.hashing.waste(ctx, a); err != nil {
		return Account{}, err
	}
	return Account{}, denied(fmt.Errorf("%w: %s: %w", ErrRefused, b.socket, err))
}

// open makes an account of what was granted, by the rules of our own users.
func open(name string, r extauth.Reply) (Account, error) {
	u := found{User: userdb.User{Name: name, UID: r.UID, GID: r.GID, Limits: r.Limits}}
	var err error
	if u.Home, u.start, u.Caged, err = puredb.SplitHome(r.Dir); err == nil {
		err = u.Validate()
	}
	if err != nil {
		return Account{}, fmt.Errorf("%w: %w", extauth.ErrReply, err)
	}
	u.Caged = u.Caged || u.HasQuota()
	return u.account(), nil
}

// ask has one answer, or an error that says why there is none.
func (b *external) ask(ctx context.Context, a Attempt) (extauth.Reply, error) {
	ctx, cancel := inTime(ctx)
	defer cancel()
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return extauth.Reply{}, fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	ctx, cancel = context.WithTimeoutCause(ctx, externalTime, fmt.Errorf("no answer in %s", externalTime))
	defer cancel()
	conn, err := b.program.Dial(ctx)
	switch {
	case ctx.Err() != nil:
		return extauth.Reply{}, context.Cause(ctx)
	case err != nil:
		return extauth.Reply{}, fmt.Errorf("%w (is portreeve authd or pure-authd running?)", err)
	}
	defer conn.Close()
	return extauth.Ask(ctx, conn, extauth.Request{Account: a.Name, Password: a.Password, Local: a.LocalPort(), Peer: a.From,
		SNI: hostName(a.SNI), Encrypted: a.TLS})
}

// hostName is a name of a host that a client chose, or nothing: a program may put
// it into a path or a command.
func hostName(name string) string {
	name = strings.ToLower(name)
	if len(name) > 255 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return ""
	}
	return name
}
