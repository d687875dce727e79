package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"portreeve/server/session"
)

// Returned by Client's methods, wrapped in what was asked.
var (
	// ErrNoDaemon: nobody listens on the socket.
	ErrNoDaemon = errors.New("no daemon")
	// ErrDenied: the socket's mode or the daemon's rules keep us out.
	ErrDenied = errors.New("permission denied")
	// ErrNoTransfer: the session is there and moves nothing.
	ErrNoTransfer = errors.New("no transfer to abort")
)

// clientHost stands in the Host header; the socket decides where requests go.
const clientHost = "portreeve"

// askTime bounds a call whose context has no deadline, so that a daemon that is
// stopped or stuck hangs no script.
const askTime = 30 * time.Second

// A Client asks the daemon that listens on Socket. Its methods may be called
// from several goroutines.
type Client struct {
	Socket string
	// Version is that of the asking program and Differs, if set, is called with
	// the daemon's when the two are not the same, once.
	Version string
	Differs func(daemon string)

	once   sync.Once
	http   *http.Client
	warned sync.Once
}

func (c *Client) transport() *http.Client {
	c.once.Do(func() {
		c.http = &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", c.Socket)
			},
			DisableCompression: true,
			IdleConnTimeout:    keepTime / 2, // before the daemon loses patience
		}}
	})
	return c.http
}

// Close drops connections kept for the next call.
func (c *Client) Close() { c.transport().CloseIdleConnections() }

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, nil)
}

// call sends a request, with a body unless it is nil, and decodes the answer.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, err error) {
	err = c.ask(ctx, method, path, body, func(r io.Reader) error {
		return json.NewDecoder(r).Decode(&answer)
	})
	return answer, err
}

// ask sends a request and has a good answer read, a bad one made an error.
func (c *Client) ask(ctx context.Context, method, path string, body any, read func(io.Reader) error) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askTime)
		defer cancel()
	}
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.failed(resp)
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("read the answer of the daemon at %s: %w", c.Socket, err)
	}
	_, err = io.Copy(io.Discard, resp.Body) // to its end, so that the connection serves again
	return err
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	if c.Socket == "" {
		return nil, fmt.Errorf("%w: no socket is named", ErrNoDaemon)
	}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+clientHost+path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.transport().Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	daemon := resp.Header.Get(versionHeader)
	if c.Differs != nil && daemon != c.Version {
		c.warned.Do(func() { c.Differs(daemon) })
	}
	return resp, nil
}

// unreached tells apart a daemon that is not there from one that is not for us.
func (c *Client) unreached(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	switch {
	case !ok || op.Op != "dial":
		if request, ok := errors.AsType[*url.Error](err); ok {
			err = request.Err // it would tell of an http://portreeve that nobody knows
		}
		return fmt.Errorf("ask the daemon at %s: %w", c.Socket, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w at %s", ErrNoDaemon, c.Socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s", ErrDenied, c.Socket)
	}
	return fmt.Errorf("reach the daemon at %s: %w", c.Socket, op.Err)
}

// failed makes an error of an answer that is none.
func (c *Client) failed(resp *http.Response) error {
	var body errorBody
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&body) != nil || body.Error == "" {
		return fmt.Errorf("the daemon at %s answered %s", c.Socket, resp.Status)
	}
	// Of the routes only those of one session can be right and yet find nothing.
	one := strings.HasPrefix(resp.Request.URL.Path, "/v1/sessions/")
	switch code := resp.StatusCode; {
	case code == http.StatusForbidden:
		return fmt.Errorf("%w: %s", ErrDenied, body.Error)
	case code == http.StatusNotFound && one:
		return fmt.Errorf("%w: %s", session.ErrNoSession, body.Error)
	case code == http.StatusConflict && one:
		return fmt.Errorf("%w: %s", ErrNoTransfer, body.Error)
	case code == http.StatusUnprocessableEntity:
		return &RefusedError{body.Complaints}
	}
	return fmt.Errorf("the daemon at %s: %s", c.Socket, body.Error)
}
