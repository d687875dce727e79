//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
)

// A ftpConn is the least of a client, for tests that need many at a time or
// must know what happened when.
type ftpConn struct {
	*textproto.Conn
	host string
}

// dialFTP logs in. The connection is closed with the test.
func dialFTP(t testing.TB, d *site, user string) *ftpConn {
	t.Helper()
	c, err := loginFTP(d.port4, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func loginFTP(port, user string) (*ftpConn, error) {
	conn, err := textproto.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	c := &ftpConn{conn, "127.0.0.1"}
	_, _, err = c.ReadResponse(220)
	if err == nil {
		_, err = c.cmd(331, "USER %s", user)
	}
	if err == nil {
		_, err = c.cmd(230, "PASS %s", password)
	}
	if err == nil {
		_, err = c.cmd(200, "TYPE I")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("log in as %s: %w", user, err)
	}
	return c, nil
}

// cmd sends a command and wants a reply with a code.
func (c *ftpConn) cmd(code int, format string, args ...any) (string, error) {
	if err := c.PrintfLine(format, args...); err != nil {
		return "", err
	}
	_, text, err := c.ReadResponse(code)
	return text, err
}

// data opens a passive data connection.
func (c *ftpConn) data() (*net.TCPConn, error) {
	text, err := c.cmd(229, "EPSV")
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(text, "|||")
	port, _, _ = strings.Cut(port, "|")
	conn, err := net.Dial("tcp", net.JoinHostPort(c.host, port))
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// transfer has a command move data, and returns once the server says that it
// is all there.
func (c *ftpConn) transfer(command string, move func(*net.TCPConn) error) error {
	conn, err := c.data()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := c.cmd(150, "%s", command); err != nil {
		return err
	}
	if err := errors.Join(move(conn), conn.Close()); err != nil {
		return err
	}
	_, _, err = c.ReadResponse(226)
	return err
}

func (c *ftpConn) store(name string, content io.Reader) error {
	return c.transfer("STOR "+name, func(conn *net.TCPConn) error {
		_, err := io.Copy(conn, content)
		return err
	})
}

// retrieveList has a command list the working directory.
func (c *ftpConn) retrieveList(command string, to io.Writer) error {
	return c.transfer(command, func(conn *net.TCPConn) error {
		_, err := io.Copy(to, conn)
		return err
	})
}

func (c *ftpConn) retrieve(name string, to io.Writer) error {
	return c.transfer("RETR "+name, func(conn *net.TCPConn) error {
		_, err := io.Copy(to, conn)
		return err
	})
}
