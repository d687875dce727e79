package logfile

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// How long a follower waits before it looks again. Where the kernel tells of
// changes, it looks when there is one, and now and then all the same: nobody tells
// of what another machine writes, or of a queue that ran over. Elsewhere it looks
// the less often the longer nothing came.
const (
	followBusy = 100 * time.Millisecond // at least between two looks
	followSlow = time.Second            // where nobody tells
	followSure = 3 * time.Second        // where the kernel does
)

// A notifier waits for changes of files. It is for one goroutine.
type notifier interface {
	// watch replaces what is waited for: the contents of files, and the names in
	// folders that begin as one of those given. It tells whether the kernel will tell
	// of them all, and whether some are new: what was done to them before that,
	// nobody tells. With no folders those of before remain.
	watch(files []*followed, folders map[string][]string) (all, fresh bool)
	// wait waits for a change, as long as is given, and tells what changed.
	wait(ctx context.Context, most time.Duration) change
	close()
}

// A change is what a notifier tells of.
type change uint8

const (
	noChange     change = iota
	fileChanged         // its contents
	folderChange        // names, and so maybe what is at a path
)

// A lookout is the notifier where there is none: it waits.
type lookout struct{}

func (lookout) watch([]*followed, map[string][]string) (all, fresh bool) { return false, false }

func (lookout) wait(ctx context.Context, most time.Duration) change {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return noChange
}

func (lookout) close() {}

// places returns the folders where a change of names can change which file a path
// leads to, with how these names begin: its own, those of the links on the way,
// and where the way ends today, the one that has the end.
func places(path string) map[string][]string {
	found := make(map[string][]string)
	path, err := filepath.Abs(path)
	if err != nil {
		return found
	}
	const slash = string(filepath.Separator)
	add := func(folder, name string) { found[folder] = append(found[folder], name) }
	at, ahead := slash, strings.Split(path, slash)
	for links := 0; len(ahead) > 0 && links < 40; { // as many as Linux follows
		name := ahead[0]
		ahead = ahead[1:]
		if name == "" || name == "." {
			continue
		}
		if len(ahead) == 0 {
			add(at, stem(name)) // and what the log is called when it is rotated
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			add(at, name)
			return found
		case info.Mode()&os.ModeSymlink != 0:
			add(at, name)
			target, err := os.Readlink(next)
			if err != nil {
				return found
			}
			if links++; filepath.IsAbs(target) {
				at = slash
			}
			ahead = append(strings.Split(target, slash), ahead...)
		default:
			at = next
		}
	}
	return found
}
