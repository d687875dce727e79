package control

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"

	"portreeve/server/session"
)

func TestRoundTrip(t *testing.T) {
	reg := session.New(session.Limits{})
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := Listen(path, 0o660, -1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	srv := &Server{Sessions: reg, Version: "1"}
	go func() { done <- srv.Serve(ctx, l) }()
	e, err := reg.Open(netip.MustParseAddrPort("[::ffff:192.0.2.1]:99"), netip.MustParseAddrPort("127.0.0.1:21"), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	e.Begin(session.Transfer{State: session.Uploading, Path: "/x", Size: -1})
	e.Moved(100)
	c := &Client{Socket: path}
	infos, err := c.Sessions(ctx, Filter{})
	if err != nil || len(infos) != 1 || infos[0].Moved != 100 {
		t.Errorf("Sessions = %+v, %v", infos, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
