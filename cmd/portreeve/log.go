package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"portreeve/logfile"
	"portreeve/logparse"
)

func newLog(e *env) *cobra.Command {
	group := newGroup("log", "Read logs of transfers, of any format and age",
		`  portreeve log show --since yesterday --user alice
  portreeve log convert --to json /var/log/xferlog >transfers.json
  portreeve log check '/var/log/xferlog*'
  portreeve log tail -f /var/log/ftp.json`,
		newLogShow(e), newLogTail(e), newLogConvert(e), newLogCheck(e))
	group.Long = `Logs of transfers are read in every format that AltLog writes, whichever server
wrote them: xferlog of five servers, the formats of Pure-FTPd, the logs of
vsftpd and of ProFTPD, what is told to syslog, and JSON.

` + logFilesHelp + `

` + exitStatusHelp
	return group
}

// logFilesHelp is the part of help that all of them share.
const logFilesHelp = `A FILE is a path, a pattern in quotes, or - for standard input. Files are read
in the order of time; those compressed by gzip, zstd, xz or bzip2 are unpacked,
whatever they are called. Which format a file is in is found out by its first
lines. Without a FILE, the logs are read that AltLog names, with those that were
rotated.`

// logBadShown is of how many bad lines of a file somebody hears who did not ask.
const logBadShown = 5

// A logReading reads the entries that a filter chooses, and tells what cannot be
// read.
type logReading struct {
	env      *env
	files    []*logfile.File
	filter   logfile.Filter
	progress *progress
	faults   int // files that cannot be read, or not wholly
	bad      int64
}

// newLogReading opens what flags and arguments say. Quiet says that the output
// itself shows how far it is.
func newLogReading(s *logSource, f *logFilter, args []string, quiet bool) (*logReading, error) {
	zone, err := s.location()
	if err != nil {
		return nil, err
	}
	filter, err := f.parse(time.Now().In(zone))
	if err != nil {
		return nil, err
	}
	files, faults, err := s.files(args)
	if err != nil {
		return nil, err
	}
	return &logReading{env: s.env, files: files, filter: filter, faults: faults, progress: newProgress(s.env, quiet)}, nil
}

// errEnough ends a reading that has all that was asked for.
var errEnough = errors.New("enough was read")

// each hands over the entries, one after the other. The entry is the same each
// time.
func (r *logReading) each(ctx context.Context, give func(*logparse.Entry) error) error {
	s := logfile.Scanner{Files: r.files, Window: r.filter.Window}
	s.Step = func() bool {
		r.progress.bytes("reading", s.Done(), s.Total())
		return ctx.Err() == nil
	}
	defer r.progress.end()
	said := make(map[string]int64)
	for e, err := range s.All() {
		if err != nil {
			r.complain(err, said)
			continue
		}
		if !r.filter.Match(e) {
			continue
		}
		if err := give(e); errors.Is(err, errEnough) {
			break
		} else if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.progress.end()
	for _, f := range r.files {
		if more := said[f.Path] - logBadShown; more > 0 {
			complain(r.env, fmt.Sprintf("%s: %s more cannot be read; \"portreeve log check --all\" lists them", f.Path, counted(int(more), "line", "lines")))
		}
	}
	return nil
}

// complain tells of a line or a file that cannot be read.
func (r *logReading) complain(err error, said map[string]int64) {
	if line, ok := errors.AsType[*logparse.LineError](err); ok {
		r.bad++
		if said[line.Name]++; said[line.Name] > logBadShown {
			return
		}
	} else {
		r.faults++
	}
	r.progress.end()
	complain(r.env, err.Error())
}

// end returns what became of it all: an error if a file could not be read. Who
// reads our output may have seen enough of it, as head does.
func (r *logReading) end(err error) error {
	switch {
	case errors.Is(err, syscall.EPIPE):
		return nil
	case err == nil && r.faults > 0:
		return errAnswered
	}
	return err
}
