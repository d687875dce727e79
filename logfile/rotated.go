package logfile

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// What a log is called when it was rotated away: a number or a date behind its
// name, or before its extension, and what a compressor adds.
var (
	packed  = `(?:\.(?:gz|zst|zstd|xz|bz2))?`
	numbers = `[.-]\d[\d.:T_-]*`
	behind  = regexp.MustCompile(`^(.+?)(?:` + numbers + `|\.old)` + packed + `$`)
	before  = regexp.MustCompile(`^(.+?)` + numbers + `(\.[A-Za-z]\w*?)` + packed + `$`)
	only    = regexp.MustCompile(`^(.+?)\.(?:gz|zst|zstd|xz|bz2)$`)
)

// names returns what a log may have been called that is called so now, likeliest
// first; nothing if the name is that of one being written.
func names(name string) (logs []string) {
	if m := behind.FindStringSubmatch(name); m != nil {
		logs = append(logs, m[1])
	}
	if m := before.FindStringSubmatch(name); m != nil {
		logs = append(logs, m[1]+m[2])
	}
	if m := only.FindStringSubmatch(name); m != nil {
		logs = append(logs, m[1])
	}
	return logs
}

// Live returns the path that a log had while it was written, and whether it is
// called as one that was compressed since.
func Live(path string) (log string, packed bool) {
	folder, name := filepath.Split(path)
	packed = only.MatchString(name)
	if logs := names(name); len(logs) > 0 {
		return folder + logs[0], packed
	}
	return path, packed
}

// Rotated returns the files beside a log that were the log before. Where it is
// itself one of these, there are none.
func Rotated(path string) []string {
	folder, name := filepath.Split(path)
	entries, _ := os.ReadDir(cmp.Or(folder, ".")) // what cannot be listed has none that we could read
	var found []string
	for _, e := range entries {
		if e.Name() == name || !strings.HasPrefix(e.Name(), stem(name)) {
			continue
		}
		for _, log := range names(e.Name()) {
			if log == name {
				found = append(found, folder+e.Name())
				break
			}
		}
	}
	return found
}

// stem is what the names of all files of a log begin with.
func stem(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }
