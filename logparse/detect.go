package logparse

import "strings"

// sample is how many lines it takes to tell a format.
const sample = 64

// Detect finds the format of a log from its beginning: the one that reads the most
// of its first lines, and of those the first in [Formats]. The dialects of xferlog
// are read alike; which server wrote a log does not always show, and it is called
// xferlog unless it cannot be that.
func Detect(text string) (Format, bool) {
	best, most := -1, 0
	for i := range Formats {
		var p Parser
		var e Entry
		n, tried := 0, 0
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if line == "" || len(line) > MaxLine {
				continue
			}
			if tried++; tried > sample {
				break
			}
			switch err := p.Parse(&Formats[i], line, &e); {
			case err == nil && !e.Style.Syslog.Bare, err == errHeader, err == errForeign:
				n++
			}
		}
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return Format{}, false
	}
	return Formats[best], true
}
