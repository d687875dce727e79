package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"portreeve/logfile"
	"portreeve/logparse"
)

const (
	// logsAppear is how often it is looked whether a pattern matches another log.
	logsAppear = 2 * time.Second
	// logsLate is how long a log is followed that has a date in its name, and is not
	// the latest any more.
	logsLate = 10 * time.Minute
)

// follow prints what is written, until ctx ends or nobody reads it.
func (t *logTail) follow(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f := logFollowing{logTail: t, stop: stop, latest: make(map[string]context.CancelFunc), seen: t.matched}
	for _, file := range t.files {
		f.seen[file.Path] = true
	}
	for _, path := range t.paths() {
		f.start(ctx, t.logs[path])
	}
	if patterns := t.options.source.patterns(); len(patterns) > 0 {
		f.watch(ctx, patterns)
	}
	f.all.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// A logFollowing is logs that are followed, of which there may be more later.
type logFollowing struct {
	*logTail
	all    sync.WaitGroup
	stop   context.CancelCauseFunc
	seen   map[string]bool               // what a pattern matched
	latest map[string]context.CancelFunc // of the logs of patterns that have no file of their name
}

func (f *logFollowing) start(ctx context.Context, l *tailedLog) {
	path := l.path
	switch {
	case path == logfile.Stdin, slices.ContainsFunc(l.files, func(f *logfile.File) bool { return f.Path == path && !f.Plain }):
		return // what is compressed does not grow
	case l.file != nil && l.file.Path != path: // the latest of those with a date
		path = l.file.Path
		ctx = f.only(ctx, l.path)
	case l.file == nil && !l.named: // all are compressed
		return
	}
	f.all.Go(func() {
		if err := f.followLog(ctx, l, path); err != nil {
			f.stop(err)
		}
	})
}

// only has the log before this one be followed for a while and no longer.
func (f *logFollowing) only(ctx context.Context, log string) context.Context {
	if before := f.latest[log]; before != nil {
		time.AfterFunc(logsLate, before)
	}
	ctx, f.latest[log] = context.WithCancel(ctx)
	return ctx
}

// watch looks for other logs until ctx ends.
func (f *logFollowing) watch(ctx context.Context, patterns []string) {
	tick := time.NewTicker(logsAppear)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for path := range pathsLike(patterns) {
			if !f.seen[path] {
				f.seen[path] = true
				f.appeared(ctx, path)
			}
		}
	}
}

// pathsLike returns the paths that patterns match.
func pathsLike(patterns []string) map[string]bool {
	all := make(map[string]bool)
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // what is no pattern is told when files are found
		for _, path := range found {
			all[path] = true
		}
	}
	return all
}

// appeared follows a log that is new, and no log that is followed under the name
// it had before it was rotated away.
func (f *logFollowing) appeared(ctx context.Context, path string) {
	log, packed := logfile.Live(path)
	known := f.logs[log]
	if packed || known != nil && (known.named || known.file != nil && known.file.Path == log) || f.logs[path] != nil && f.logs[path].named {
		return
	}
	next := &tailedLog{path: path, named: true}
	f.logs[path] = next
	if path != log {
		ctx = f.only(ctx, log)
	} else if before := f.latest[log]; before != nil { // what it was before will be this, once it is rotated
		before()
	}
	f.start(ctx, next)
}

// followLog prints what is written to a log; what is written to a file that is not
// the one that was read is printed from its beginning.
func (t *logTail) followLog(ctx context.Context, l *tailedLog, path string) error {
	from := logfile.Follow(ctx, path, logfile.FollowOptions{From: l.file, Offset: l.read, All: true})
	defer from.Close()
	zone, _ := t.options.source.location() // it was looked up before
	format, _ := formatNamed("--from", t.options.source.from)
	if len(l.files) > 0 {
		format = l.files[len(l.files)-1].Format
	}
	state := logparse.Parser{Zone: zone, RawNames: t.options.source.rawNames}
	if l.state != nil {
		state = *l.state
	}
	for ctx.Err() == nil {
		r := logparse.NewReader(from, format)
		r.Parser = state
		for e, err := range r.All() {
			if err := t.came(l, e, err); err != nil {
				return err
			}
		}
		state = r.Parser
	}
	return nil
}
