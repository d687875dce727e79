// Package query is both ends of the sockets on which helpers of Pure-FTPd answer: a
// program decides, and the daemon itself never runs one.
//
// A question is lines of a key, a colon and a value, and then "end"; so is the
// answer. There is one of each on a connection.
package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	last = "end"
	// maxText is the most that either end reads. Pure-FTPd's read 4095 bytes.
	maxText = 16 << 10
)

// A Line is one of a question.
type Line struct{ Key, Value string }

// ErrNoEnd means that an answer was cut off, or was none.
var ErrNoEnd = errors.New(`the answer has no "end"`)

// Ask sends a question and returns the lines of the answer by their keys; of a key
// that is there twice the later value counts. Closing the connection is the caller's.
func Ask(ctx context.Context, conn net.Conn, question []Line) (map[string]string, error) {
	var text strings.Builder
	for _, l := range question {
		if strings.ContainsAny(l.Value, "\x00\r\n") {
			return nil, fmt.Errorf("%s is more than a line", l.Key)
		}
		text.WriteString(l.Key + ":" + l.Value + "\n")
	}
	text.WriteString(last + "\n")
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	_, err := io.WriteString(conn, text.String())
	answer, end := map[string]string(nil), false
	if err == nil {
		answer, end, err = readLines(conn)
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case !end:
		return nil, ErrNoEnd
	}
	return answer, nil
}

// readLines returns the lines before the end by their keys, and whether there was
// an end. What is longer than maxText has none.
func readLines(from io.Reader) (values map[string]string, end bool, err error) {
	values = make(map[string]string)
	lines := bufio.NewScanner(io.LimitReader(from, maxText))
	lines.Buffer(nil, maxText+1)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == last {
			return values, true, nil
		}
		if key, value, ok := strings.Cut(line, ":"); ok {
			values[key] = value
		}
	}
	return values, false, lines.Err()
}
