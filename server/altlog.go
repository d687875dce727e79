package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"portreeve/logparse"
)

// The logs of AltLog. A session hands over what happened and goes on; each log has
// a goroutine that writes it down, a line at a time. A disk that is slow or full
// costs lines, which are counted and told of, and never a transfer.

const (
	altLogQueue = 4096                   // entries that may wait for a log
	altLogLook  = 100 * time.Millisecond // how often it is looked whether the file was moved away
	altLogMute  = time.Minute            // between two complaints
	altLogClose = 2 * time.Second        // for what waits at the end
)

// toStderr is a log that is no file but standard error, from where containers
// collect what they log.
const toStderr = "stderr"

// An altLog is one file. All but the channels and the counters are its
// goroutine's own.
type altLog struct {
	spec   string // format:path
	path   string
	format logparse.Format
	log    *slog.Logger

	queue      chan *logparse.Entry // which other logs have, too
	reopen     chan struct{}
	stop       chan struct{}
	done       chan struct{}
	lost       atomic.Int64
	complained atomic.Int64 // when, in nanoseconds since 1970; 0: never

	file   *os.File
	looked time.Time // whether it is still at its path
	told   int64     // of lost, by who complained
	torn   bool      // the last line is not whole
	line   []byte
}

// transferLogs are those that are in force.
type transferLogs struct {
	changing sync.Mutex
	now      atomic.Pointer[[]*altLog]
}

// UseAltLogs opens the logs of transfers that specs name. What it returns puts
// them in force and looks for all files anew; until then nothing has changed,
// and if it is not called, nothing does.
func (s *Server) UseAltLogs(specs []string) (use func(), err error) {
	s.altLogs.changing.Lock()
	defer s.altLogs.changing.Unlock()
	var logs, fresh []*altLog
	paths := make(map[string]string)
	for _, spec := range specs {
		l := s.altLogs.find(spec)
		if l == nil {
			l, err = openAltLog(spec, s.Log)
			fresh = append(fresh, l)
		}
		if err == nil && paths[l.path] != "" && paths[l.path] != spec {
			err = fmt.Errorf("AltLog: %s is to be written in two formats", l.path)
		}
		if err != nil {
			for _, l := range fresh {
				l.discard()
			}
			return nil, err
		}
		if paths[l.path] == "" {
			logs = append(logs, l)
		}
		paths[l.path] = spec
	}
	return func() { s.altLogs.use(logs) }, nil
}

// all returns the logs in force.
func (a *transferLogs) all() []*altLog {
	if now := a.now.Load(); now != nil {
		return *now
	}
	return nil
}

func (a *transferLogs) find(spec string) *altLog {
	if i := slices.IndexFunc(a.all(), func(l *altLog) bool { return l.spec == spec }); i >= 0 {
		return a.all()[i]
	}
	return nil
}

// use puts logs in force; those that are no longer wanted write what waits.
func (a *transferLogs) use(logs []*altLog) {
	a.changing.Lock()
	defer a.changing.Unlock()
	old := a.all()
	for _, l := range logs {
		if slices.Contains(old, l) {
			select {
			case l.reopen <- struct{}{}:
			default: // it is about to
			}
		} else {
			go l.run()
		}
	}
	a.now.Store(&logs)
	deadline := time.Now().Add(altLogClose)
	for _, l := range old {
		if !slices.Contains(logs, l) {
			close(l.stop)
			l.wait(time.Until(deadline))
		}
	}
}

// wait waits for the end of a log, as long as a disk may take.
func (l *altLog) wait(limit time.Duration) {
	select {
	case <-l.done:
	case <-time.After(limit):
		l.log.Error("entries are not in their log: what it is written to does not answer", "log", l.spec, "lost", l.lost.Load()+int64(len(l.queue)))
	}
}

// CloseAltLogs writes what waits, as far as the disks let it.
func (s *Server) CloseAltLogs() { s.altLogs.use(nil) }

// LostEntries returns how many transfers a log could not keep, by directive and
// file; logs that kept all are not in it.
func (s *Server) LostEntries() map[string]int64 {
	lost := make(map[string]int64)
	for _, l := range s.altLogs.all() {
		if n := l.lost.Load(); n > 0 {
			lost["AltLog "+l.spec] = n
		}
	}
	return lost
}

// openAltLog opens the log of a spec, which was checked as the configuration was
// read.
func openAltLog(spec string, log *slog.Logger) (*altLog, error) {
	name, path, _ := strings.Cut(spec, ":")
	format, ok := logparse.Find(name)
	if !ok {
		return nil, fmt.Errorf("AltLog: %q is no log format", name)
	}
	l := newAltLog(spec, path, format, log)
	return l, l.open()
}

func newAltLog(spec, path string, format logparse.Format, log *slog.Logger) *altLog {
	return &altLog{spec: spec, path: path, format: format, log: log, queue: make(chan *logparse.Entry, altLogQueue),
		reopen: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

// open opens the file. It must be one: who may write to its folder could have put
// a link there, or something that blocks.
func (l *altLog) open() error {
	if l.path == toStderr {
		l.file = os.Stderr
		return nil
	}
	f, err := openToAppend(l.path)
	if err != nil {
		return fmt.Errorf("AltLog: opening a log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("AltLog: %s is no file", l.path)
	}
	torn := err == nil && endsTorn(f, info.Size())
	if err == nil && info.Size() == 0 && l.format.Header != nil {
		_, err = f.WriteString(l.format.Header(time.Now()))
	}
	if err != nil {
		f.Close()
		return err
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.looked, l.torn = f, time.Now(), torn
	return nil
}

// openToAppend opens a log to be written, and read if that is allowed: its last
// line is looked at.
func openToAppend(path string) (*os.File, error) {
	const flags = os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return os.OpenFile(path, os.O_WRONLY|flags, 0o600)
	}
	return f, err
}

// endsTorn tells whether the last line of a file has no end, as it is when the disk
// was full or the machine went down: what is written behind it needs a new one.
func endsTorn(f *os.File, size int64) bool {
	var last [1]byte
	if size == 0 {
		return false
	}
	_, err := f.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

// discard gives up a log that was never in force.
func (l *altLog) discard() {
	if l != nil && l.file != nil {
		l.close()
	}
}

func (l *altLog) close() {
	if l.path != toStderr {
		l.file.Close()
	}
}

// note queues an entry, which nobody changes any more.
func (l *altLog) note(e *logparse.Entry) {
	select {
	case l.queue <- e:
	default:
		l.lost.Add(1)
		l.complain(errTooSlow)
	}
}

// errTooSlow is a disk that does not keep up.
var errTooSlow = errors.New("what it is written to is slower than what happens")

func (l *altLog) run() {
	defer close(l.done)
	defer l.close()
	for {
		select {
		case e := <-l.queue:
			l.write(e)
		case <-l.reopen:
			l.complain(l.open())
		case <-l.stop:
			for {
				select {
				case e := <-l.queue:
					l.write(e)
				default:
					l.sum()
					return
				}
			}
		}
	}
}

// write adds a line, in one write, so that who reads along sees whole lines.
func (l *altLog) write(e *logparse.Entry) {
	if l.path != toStderr && time.Since(l.looked) >= altLogLook {
		l.looked = time.Now()
		if l.moved() {
			l.complain(l.open())
		}
	}
	l.line = l.line[:0]
	if l.torn { // the disk was full in the middle of a line
		l.line = append(l.line, '\n')
	}
	before := len(l.line)
	if l.line = l.format.AppendEntry(l.line, e); len(l.line) == before { // it has no words for that
		return
	}
	n, err := l.file.Write(l.line)
	if err == nil {
		l.torn = false
		if l.told != l.lost.Load() && len(l.queue) == 0 && l.due() {
			l.sum()
		}
		return
	}
	l.torn = l.torn || n > 0
	l.lost.Add(1)
	l.complain(fmt.Errorf("AltLog: writing a log: %w", err))
}

// moved tells whether another file is at the path than the one that is open, or
// none.
func (l *altLog) moved() bool {
	ours, err := l.file.Stat()
	if err != nil {
		return true
	}
	there, err := os.Lstat(l.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there)
}

// complain logs what is wrong, now and then. Sessions do, and the log's goroutine.
func (l *altLog) complain(err error) {
	if err != nil && l.due() {
		l.log.Error("entries are not in their log", "log", l.spec, "err", err, "lost", l.lost.Load())
	}
}

// due tells whether it is time to say something, and then it was said.
func (l *altLog) due() bool {
	last, now := l.complained.Load(), time.Now().UnixNano()
	return (last == 0 || now-last >= int64(altLogMute)) && l.complained.CompareAndSwap(last, now)
}

// sum tells what was lost, once lines are written again or the log is closed.
func (l *altLog) sum() {
	if n := l.lost.Load(); n != l.told {
		l.log.Warn("entries are missing in a log", "log", l.spec, "lost", n)
		l.told = n
	}
}
