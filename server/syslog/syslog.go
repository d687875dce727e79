// Package syslog sends lines to the system's log and waits for nothing: they
// pass through a queue, and what the log does not take in time is lost and
// counted. The library's own package blocks while the log is busy.
package syslog

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Level is how urgent a line is (RFC 5424, section 6.2.1).
type Level int

// The levels that are used here.
const (
	Error   Level = 3
	Warning Level = 4
	Notice  Level = 5
	Info    Level = 6
	Debug   Level = 7
)

// names are what Pure-FTPd calls the levels.
var names = map[Level]string{Error: "ERROR", Warning: "WARNING", Notice: "NOTICE", Info: "INFO", Debug: "DEBUG"}

func (l Level) String() string { return names[l] }

// facilities are the numbers of RFC 5424, section 6.2.1.
var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8,
	"cron": 9, "authpriv": 10, "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21,
	"local6": 22, "local7": 23,
}

// Facilities are the words that Options.Facility may be, in the order of a manual.
var Facilities = []string{"ftp", "auth", "authpriv", "cron", "daemon", "kern", "lpr", "mail", "news", "security", "syslog",
	"user", "uucp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

// Options say where lines go and what they begin with.
type Options struct {
	Facility string
	Ident    string
	PID      bool   // also the number of the process
	Socket   string // "" is the system's
}

// sockets are where systems have their log: Linux, the BSDs, macOS.
var sockets = []string{"/dev/log", "/var/run/log", "/var/run/syslog"}

const (
	queued   = 1024        // lines that may wait
	patience = time.Second // of one write, and between two attempts to connect
	longest  = 8 << 10     // bytes of a line
)

// A Log is the system's log. One goroutine writes to it, from New to Close.
type Log struct {
	facility int
	tag      string
	sockets  []string

	queue chan line
	lost  atomic.Int64
	stop  chan struct{}
	once  sync.Once
	done  chan struct{}

	// The goroutine's own
	conn  net.Conn
	tried time.Time
}

type line struct {
	level Level
	at    time.Time
	text  string
}

// New begins to write to the log, which need not be there yet.
func New(o Options) (*Log, error) {
	facility, ok := facilities[o.Facility]
	if !ok {
		return nil, fmt.Errorf("there is no syslog facility %q", o.Facility)
	}
	l := &Log{facility: facility, tag: o.Ident, sockets: sockets, queue: make(chan line, queued),
		stop: make(chan struct{}), done: make(chan struct{})}
	if o.PID {
		l.tag += fmt.Sprintf("[%d]", os.Getpid())
	}
	if o.Socket != "" {
		l.sockets = []string{o.Socket}
	}
	go l.run()
	return l, nil
}

// Send queues a line.
func (l *Log) Send(level Level, at time.Time, text string) {
	select {
	case l.queue <- line{level, at, text}:
	default:
		l.lost.Add(1)
	}
}

// Lost returns how many lines the log did not take.
func (l *Log) Lost() int64 { return l.lost.Load() }

// Close writes what waits, but not for longer than a moment.
func (l *Log) Close() {
	l.once.Do(func() { close(l.stop) })
	select {
	case <-l.done:
	case <-time.After(2 * patience):
	}
}

func (l *Log) run() {
	defer close(l.done)
	for {
		select {
		case next := <-l.queue:
			l.write(next)
		case <-l.stop:
			l.drain(time.Now().Add(patience))
			return
		}
	}
}

// drain writes what is left.
func (l *Log) drain(until time.Time) {
	for time.Now().Before(until) {
		select {
		case next := <-l.queue:
			l.write(next)
		default:
			if l.conn != nil {
				l.conn.Close()
			}
			return
		}
	}
}

// write sends one line in the form that every system's log takes, with the date
// as RFC 3164, section 4.1.2, has it. Where the log was started anew since, the
// second attempt finds it.
func (l *Log) write(next line) {
	packet := fmt.Appendf(nil, "<%d>%s %s: ", l.facility<<3|int(next.level), next.at.Format(time.Stamp), l.tag)
	packet = append(packet, next.text[:min(len(next.text), longest)]...)
	for range 2 {
		if l.conn == nil && !l.connect() {
			break
		}
		l.conn.SetWriteDeadline(time.Now().Add(patience))
		_, err := l.conn.Write(packet)
		if err == nil {
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) { // it is there and busy
			break
		}
		l.conn.Close()
		l.conn, l.tried = nil, time.Time{}
	}
	l.lost.Add(1)
}

// connect finds the log, if it has not just been looked for in vain.
func (l *Log) connect() bool {
	if !l.tried.IsZero() && time.Since(l.tried) < patience {
		return false
	}
	l.tried = time.Now()
	for _, path := range l.sockets {
		if conn, err := net.DialTimeout("unixgram", path, patience); err == nil {
			l.conn = conn
			return true
		}
	}
	return false
}
