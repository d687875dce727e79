package server

import (
	"io"
	"net"
	"testing"
	"time"
)

// gone is the second of what peek tells.
func gone(c net.Conn, wait time.Duration) bool {
	_, gone := peek(c, wait)
	return gone
}

// TestGone looks at a connection whose other side is there, has sent something,
// and has left.
func TestGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if gone(conn, 0) {
		t.Error("a client that is silent is taken to be gone")
	}
	io.WriteString(client, "x")
	if said, left := peek(conn, time.Minute/1000); string(said) != "x" || left {
		t.Errorf("a client that has sent something: %q, gone %v", said, left)
	}
	client.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := io.ReadAll(conn); string(got) != "x" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if !gone(conn, time.Minute) {
		t.Error("a client that has left is not taken to be gone")
	}
	conn.Close()
	if !gone(conn, 0) {
		t.Error("a connection that we closed is not taken to be gone")
	}
	if near, _ := net.Pipe(); gone(near, 0) {
		t.Error("a connection in memory is taken to be gone")
	}
}
