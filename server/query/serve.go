package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Protocol is what is asked on a socket.
type Protocol struct {
	// Variables are those by which the program gets the values, by their keys. All
	// of them begin with Prefix; no other variable that does reaches the program.
	Variables map[string]string
	Prefix    string
	Subject   string // the key whose value the log tells
	Refusal   string // the line that is said for a program that says nothing of use
}

// A Server answers questions by what a program says.
type Server struct {
	Protocol
	Program   string        // its path; it gets no arguments
	TimeLimit time.Duration // of one run, which is then ended and refuses
	AtOnce    int           // runs at a time; others wait
	Log       *slog.Logger  // of runs that gave no answer
}

const (
	// maxWaiting is how many connections are taken at a time; more wait in the
	// queue of the system.
	maxWaiting = 256
	// askTime is how long a request may take to come.
	askTime = 5 * time.Second
	// outputTime is how long what a program left behind may keep its output open.
	outputTime = time.Second
)

// Serve answers until ctx ends, and then ends those requests that have come; each
// has its time. The listener is closed then.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var group sync.WaitGroup
	defer group.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	waiting, running := make(chan struct{}, maxWaiting), make(chan struct{}, s.AtOnce)
	for {
		waiting <- struct{}{}
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // too many open files, say
			<-waiting
			s.Log.Error("accepting a request", "err", err)
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
			continue
		}
		group.Go(func() {
			defer func() { <-waiting }()
			defer conn.Close()
			s.answer(conn, running)
		})
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// answer reads a request and sends what the program says to it. Whoever ends the
// server waits for that: it takes no longer than the times say.
func (s *Server) answer(conn net.Conn, running chan struct{}) {
	conn.SetDeadline(time.Now().Add(askTime))
	request, end, err := readLines(conn)
	reply := []byte(s.Refusal + "\n" + last + "\n")
	switch {
	case err != nil || !end:
		s.Log.Warn("a request without an end", "err", err)
	default:
		running <- struct{}{}
		said, err := s.run(request)
		<-running
		if err != nil { // whose text has nothing of the request
			s.Log.Error("running the program", s.Subject, request[s.Subject], "err", err)
		} else {
			reply = said
		}
	}
	conn.SetDeadline(time.Now().Add(askTime))
	if _, err := conn.Write(reply); err != nil {
		s.Log.Debug("sending the reply", "err", err)
	}
}

// run returns what the program prints, up to its last line.
func (s *Server) run(request map[string]string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.TimeLimit, fmt.Errorf("it took longer than %s", s.TimeLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Program)
	cmd.Dir = "/" // as there, so that no folder is in use
	cmd.Env = s.environment(os.Environ(), request)
	var out output
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	// A shell has children, which end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputTime
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, err
	}
	// How it exits does not count, if only it has said everything.
	text, end := out.answer()
	if !end {
		return nil, errors.Join(fmt.Errorf("it printed no line %q in its first %d bytes", last, maxText), err)
	}
	return text, nil
}

// environment is ours and the question's, of which what is empty is left out.
func (p *Protocol) environment(ours []string, request map[string]string) []string {
	env := slices.DeleteFunc(slices.Clone(ours), func(v string) bool { return strings.HasPrefix(v, p.Prefix) })
	for key, variable := range p.Variables {
		if value := request[key]; value != "" {
			env = append(env, variable+"="+value)
		}
	}
	return env
}

// output keeps the beginning of what a program prints.
type output struct{ bytes.Buffer }

func (o *output) Write(p []byte) (int, error) {
	o.Buffer.Write(p[:min(len(p), maxText-o.Len())])
	return len(p), nil
}

// answer returns the lines up to the last one, and whether that was there.
func (o *output) answer() (text []byte, end bool) {
	for line := range bytes.Lines(o.Bytes()) {
		if text = append(text, line...); strings.TrimRight(string(line), "\r\n") == last {
			if line[len(line)-1] != '\n' {
				text = append(text, '\n')
			}
			return text, true
		}
	}
	return nil, false
}
